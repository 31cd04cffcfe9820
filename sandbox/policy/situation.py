"""A situation in a compliance officer's words, made into the request and the facts that the rules look at.

What a situation does not say is in order: the person is trained, the access stands, everybody consented to training.
A test of rules therefore writes down only what matters to it.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from sandbox.policy.consent import ALWAYS
from sandbox.policy.documents import Model
from sandbox.policy.entries import CONSENT_FLAGS, Purpose, Role
from sandbox.policy.fields import (
    DatasetName,
    Flag,
    MomentOrDay,
    Number,
    PersonName,
    SubjectName,
    Text,
)
from sandbox.policy.terms import Region

_NO_PRIVACY = BeforeValidator(lambda value: None if value == "none" else value)
_NOBODY = BeforeValidator(lambda value: None if value == "none" else value)
_NOTHING = BeforeValidator(lambda value: () if value == "none" else value)


def _flag(value: str) -> str:
    if value not in CONSENT_FLAGS:
        raise ValueError(f"nobody is asked for {value!r}; one of {', '.join(CONSENT_FLAGS)}")
    return value


class ConsentSaid(Model):
    """What a speaker said yes to. ``none``: nothing is on record. From and until are a year around the date."""

    status: Literal["given", "withdrawn", "expired", "refused", "unknown", "none"] = "given"
    scope: tuple[Annotated[str, BeforeValidator(_flag)], ...] = ALWAYS
    since: MomentOrDay | None = None
    until: MomentOrDay | None = None
    age: Literal["adult", "14_17", "under_14"] = "adult"
    signed_by: Literal["subject", "guardian"] = "subject"
    guardian: Flag = False  # whether there is evidence of a guardian's consent


class PrivacyAsked(Model):
    """The differential privacy that is asked for."""

    unit: Literal["speaker", "utterance"] = "speaker"
    epsilon: Annotated[Number, Field(gt=0)]
    delta: Annotated[Number, Field(gt=0, lt=1)] = 1e-6


class Situation(Model):
    """Who wants to do what with whose voices, when and where. Bare dates are their first second in UTC."""

    date: MomentOrDay | None = None
    agreement_status: Literal["active", "suspended", "terminated", "none"] = "active"

    person: PersonName | None = None
    registered: Flag = True
    left: Flag = False
    roles: tuple[Role, ...] = ("ml_engineer",)
    nda_until: MomentOrDay | None = None  # None: a year after the date
    training_until: MomentOrDay | None = None
    access: Annotated[tuple[Purpose, ...] | None, _NOTHING] = None  # None: for the purpose; `none`: no access
    access_since: MomentOrDay | None = None  # None: the date
    access_until: MomentOrDay | None = None  # None: as long as the agreement allows
    access_approved_by: PersonName = "a.approver"
    access_reviewed: MomentOrDay | None = None  # None: never since it was given

    purpose: Purpose | None = None
    dataset: DatasetName | None = None
    sealed_for: tuple[Purpose, ...] | None = None  # None: for the purpose
    kept_until: MomentOrDay | None = None  # None: as the agreement says
    stored_in: Region | None = None  # None: where the agreement says
    processed_in: Region | None = None
    model: Annotated[Text | None, Field(pattern=r"^[a-z][a-z0-9-]{0,47}@[1-9][0-9]{0,8}$")] = None
    tainted: Text | None = None

    recipe_for: tuple[Purpose, ...] | None = None  # None: for the purpose
    clones: Flag = False
    approved_by: tuple[PersonName, ...] = ("b.reviewer.1", "b.reviewer.2")
    approved_for: tuple[Purpose, ...] | None = None  # None: for the purpose
    recipe_revoked: Flag = False
    image_approved_by: Annotated[PersonName | None, _NOBODY] = "b.reviewer.1"  # none: nobody
    trains_privately: Flag = True
    privacy: Annotated[PrivacyAsked | None, _NO_PRIVACY] = None
    epsilon_spent: Annotated[Number, Field(ge=0)] = 0.0

    intake: Literal["accepted", "reviewed", "quarantined", "rejected", "none"] = (
        "accepted"  # none: no consignment
    )

    speakers: tuple[SubjectName, ...] = ("spk_aa", "spk_bb")
    consent: ConsentSaid = ConsentSaid()
    consent_of: dict[SubjectName, ConsentSaid] = Field(default_factory=dict)
    erased: tuple[SubjectName, ...] = ()
    minors_approved: tuple[SubjectName, ...] = ()  # by the agreement's approver, for the purpose, for a day


S = TypeVar("S", bound=Model)


def over(usual: S, said: Model) -> S:
    """``usual`` with whatever ``said`` says itself; what stands in a block is said key by key."""
    changes = {}
    for name in said.model_fields_set & set(type(usual).model_fields):
        new, old = getattr(said, name), getattr(usual, name)
        changes[name] = over(old, new) if isinstance(old, Model) and isinstance(new, Model) else new
    return usual.model_copy(update=changes)


def faults(found: Situation) -> list[tuple[str, str]]:
    """(key, why) for what keeps a situation from being decided at all."""
    wrong = [
        (name, "missing, here and in usual")
        for name in ("date", "person", "purpose", "dataset")
        if getattr(found, name) is None
    ]
    listed = (("erased", found.erased), ("minors_approved", found.minors_approved))
    for name, named in (("consent_of", tuple(found.consent_of)), *listed):
        wrong += [(name, f"{who} is none of the speakers") for who in named if who not in found.speakers]
    if found.tainted and not found.model:
        wrong.append(("tainted", "only a model is tainted: name it with model: NAME@VERSION"))
    return wrong
