"""Entries of what people ask and review: access asked for and looked at again, images that may run (3.2 a).

The latest entry of a key wins, as in every register; a request goes from ``pending`` to what was decided of it.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from sandbox.errors import Usage
from sandbox.policy.documents import Model
from sandbox.policy.fields import DatasetName, Digest, MomentOrDay, Nothing, PersonName, Text, Whole
from sandbox.runs import PURPOSES


def _purpose(value: str) -> str:
    if value not in PURPOSES:
        raise ValueError(f"no purpose {value!r}")
    return value


PurposeName = Annotated[str, AfterValidator(_purpose)]
Purposes = Annotated[tuple[PurposeName, ...], Field(min_length=1)]
AccessName = Annotated[str, Field(pattern=r"^ac-[a-z0-9]{4,16}$")]
RequestName = Annotated[str, Field(pattern=r"^rq-[a-z0-9]{4,16}$")]


def _shown(value: str) -> str:
    """Words are read in terminals: nothing in them moves a cursor, hides, or turns the writing round."""
    if any(unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") for char in value):
        raise ValueError("write plain words on one line")
    return value


Words = Annotated[Text, Field(max_length=300), AfterValidator(_shown)]
_WORDS: TypeAdapter[str] = TypeAdapter(Words)


def reason(value: str) -> str:
    """A reason that may be entered. Raises Usage for one that is empty, long, or holds what a terminal acts on."""
    try:
        return _WORDS.validate_python(value.strip())
    except ValidationError:
        raise Usage(
            "a reason is one line of at most 300 characters, without control characters",
            code="reason.invalid",
        ) from None


class RequestEntry(Model):
    """Access that somebody asks for; ``break_glass`` is for somebody else, in an emergency, for hours.

    ``closes`` is when a request that nobody decided is void. ``decided_by`` approved, denied or confirmed it.
    """

    id: RequestName
    kind: Literal["access", "break_glass"]
    person: PersonName
    dataset: DatasetName
    purposes: Purposes
    until: MomentOrDay
    reason: Words
    asked_by: PersonName
    closes: MomentOrDay
    lasts_s: Annotated[Whole | None, Nothing] = None  # of break-glass: from when it is confirmed
    status: Literal["pending", "approved", "denied"] = "pending"
    decided_by: Annotated[PersonName | None, Nothing] = None
    why: Annotated[Words | None, Nothing] = None
    access: Annotated[AccessName | None, Nothing] = None

    @property
    def key(self) -> str:
        return self.id


class AccessReviewEntry(Model):
    """One access looked at again: kept as it is, or removed."""

    access: AccessName
    reviewer: PersonName
    verdict: Literal["kept", "removed"]

    @property
    def key(self) -> str:
        return self.access


class ImageEntry(Model):
    """One reviewer's word on a runner image: its id, and the sha256 of the digests of all it was made from."""

    image: Digest
    inputs: Digest
    reviewer: PersonName
    status: Literal["approved", "revoked"] = "approved"
    reason: Annotated[Words | None, Nothing] = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.image, self.reviewer)
