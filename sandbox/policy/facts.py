"""All that a decision may look at: one frozen snapshot with its own ``now``, small enough to keep and replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from sandbox.policy.access_review import EVERY
from sandbox.policy.agreement import Agreement
from sandbox.policy.entries import (
    AccessEntry,
    ConsentEntry,
    DatasetEntry,
    ErasureEntry,
    IntakeEntry,
    PersonEntry,
    StatusEntry,
)
from sandbox.policy.recipe import Card
from sandbox.policy.registers import Registers
from sandbox.policy.reviewed import UNCHANGED, ImageFacts, RecipeChange, RecipeFacts
from sandbox.records import Manifest
from sandbox.runs import Request

Speaker = tuple[str, str]  # (dataset, subject): a consent is given for one dataset


@dataclass(frozen=True)
class DatasetLimits:
    """What the agreement says of one dataset."""

    purposes: tuple[str, ...]
    regions: tuple[str, ...]
    retention_until: datetime
    minor_approver: str = ""
    intake: str = "consignment"


@dataclass(frozen=True)
class TermsFacts:
    """What the decision needs of the signed terms. ``access_longest`` is an ISO 8601 duration."""

    agreement: str
    digest: str
    version: int
    complete: bool
    since: datetime
    until: datetime
    relationship: str
    purposes: tuple[str, ...]
    access_roles: tuple[str, ...]
    access_longest: str
    process_in: tuple[str, ...]
    dp_required: bool
    max_epsilon: float
    max_delta: float
    datasets: dict[str, DatasetLimits]
    party_b: str = ""
    access_review_every: str = EVERY

    @classmethod
    def of(cls, agreement: Agreement) -> TermsFacts:
        terms = agreement.terms
        return cls(
            agreement=terms.metadata.id,
            digest=agreement.digest,
            version=terms.metadata.version,
            complete=terms.metadata.source_document.complete,
            since=terms.effective.since,
            until=terms.effective.until,
            relationship=terms.relationship.model,
            purposes=terms.purpose_ids,
            access_roles=terms.access.roles,
            access_longest=terms.access.longest.text,
            process_in=terms.residency.process_in,
            dp_required=terms.derivatives.dp.required,
            max_epsilon=terms.derivatives.dp.max_epsilon,
            max_delta=terms.derivatives.dp.max_delta,
            datasets={
                dataset.id: DatasetLimits(
                    dataset.purposes,
                    dataset.storage.regions,
                    dataset.retention.until,
                    dataset.subjects.minor_access_approver or "",
                    dataset.intake,
                )
                for dataset in terms.datasets
            },
            party_b=terms.parties.b.legal_name,
            access_review_every=terms.access.review_every.text,
        )


@dataclass(frozen=True)
class ManifestFacts:
    """What the verified manifest says; its subjects are who exists."""

    dataset: str
    version: int
    digest: str
    agreement: str
    agreement_digest: str
    subjects: tuple[str, ...]
    tombstones: tuple[str, ...]
    region: str
    retention_until: str
    purposes: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, digest: str) -> ManifestFacts:
        """``digest`` is the sha256 of the manifest's envelope."""
        return cls(
            dataset=manifest.dataset,
            version=manifest.version,
            digest=digest,
            agreement=manifest.agreement,
            agreement_digest=manifest.agreement_digest,
            subjects=manifest.subjects,
            tombstones=manifest.tombstones,
            region=manifest.region,
            retention_until=manifest.retention_until,
            purposes=manifest.purposes,
        )


@dataclass(frozen=True)
class InputFacts:
    """A model given to the run. ``speakers`` are all data subjects in its lineage, back to the first dataset.

    ``bases`` are the published files in it. A ``public`` one is such a file itself; it comes from no agreement.
    Of a checkpoint, ``purpose`` is what the run that left it was for.
    """

    model: str
    digest: str
    agreements: tuple[str, ...]
    speakers: tuple[Speaker, ...]
    taint: str = ""
    withdrawn: str = ""  # whose consent to it was withdrawn since: ``dataset/subject …``
    bases: tuple[str, ...] = ()
    public: bool = False
    purpose: str = ""


@dataclass(frozen=True)
class Spend:
    """The privacy loss of one data subject at the agreement's ``max_delta``: so far, and with this run composed in."""

    dataset: str
    subject: str
    spent: float
    after: float


@dataclass(frozen=True)
class MachineFacts:
    """Where the gate runs, and what it allows to any run."""

    region: str
    run_time_max_s: int
    live_runs: int = 0
    live_runs_max: int = 1
    public_digest: str = ""


@dataclass(frozen=True)
class Facts:
    """The snapshot. What is not known is None or absent, and refused by the rule that needs it."""

    now: datetime
    name: str
    machine: MachineFacts
    person: PersonEntry | None = None
    status: StatusEntry | None = None
    terms: TermsFacts | None = None
    recipe: RecipeFacts | None = None
    manifest: ManifestFacts | None = None
    registered: DatasetEntry | None = None
    inputs: dict[str, InputFacts] = field(default_factory=dict)
    access: tuple[AccessEntry, ...] = ()
    granted_at: dict[str, datetime] = field(default_factory=dict)
    consents: tuple[ConsentEntry, ...] = ()
    erasures: tuple[ErasureEntry, ...] = ()
    intake: tuple[IntakeEntry, ...] = ()
    spending: tuple[Spend, ...] = ()
    heads: dict[str, str] = field(default_factory=dict)
    reviewed_at: dict[str, datetime] = field(default_factory=dict)
    image: ImageFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything that the decision saw, for the log and for ``policy explain``."""
        found: dict[str, Any] = _adapter().dump_python(self, mode="json", by_alias=True)
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Facts:
        return _adapter().validate_python(value)


@cache
def _adapter() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)


def chosen(request: Request, facts: Facts) -> tuple[str, ...]:
    """The subjects of the dataset that the run is to hear: those asked for, or all that the manifest lists."""
    if facts.manifest is None:
        return ()
    if request.subjects is None:
        return tuple(sorted(facts.manifest.subjects))
    return tuple(sorted(set(request.subjects)))


def speakers(request: Request, facts: Facts) -> tuple[Speaker, ...]:
    """Everybody whose voice the run touches: of its dataset, and of everything in the lineage of its inputs."""
    direct = (
        {(facts.manifest.dataset, subject) for subject in chosen(request, facts)} if facts.manifest else set()
    )
    inherited = {speaker for found in facts.inputs.values() for speaker in found.speakers}
    return tuple(sorted(direct | inherited))


def gather(
    request: Request,
    *,
    name: str,
    now: datetime,
    machine: MachineFacts,
    registers: Registers,
    agreement: Agreement | None,
    recipe: Card | None,
    manifest: ManifestFacts | None,
    inputs: Mapping[str, InputFacts],
    spending: Iterable[Spend] = (),
    change: RecipeChange = UNCHANGED,
    image: str = "",
) -> Facts:
    """The snapshot for one request out of everything known: only the people, rows and consents it concerns.

    ``agreement`` is the verified file that the status register names; ``manifest`` is the verified manifest of the
    dataset and version asked for; ``inputs`` maps the names of the recipe's card.
    """
    facts = Facts(
        now=now,
        name=name,
        machine=machine,
        person=registers.people.get(name),
        status=registers.statuses.get(request.agreement),
        terms=None if agreement is None else TermsFacts.of(agreement),
        recipe=None
        if recipe is None
        else RecipeFacts.of(recipe, request.recipe_digest, request.purpose, registers, change),
        manifest=manifest,
        registered=None if manifest is None else registers.dataset(manifest.dataset, manifest.version),
        inputs=dict(inputs),
        access=tuple(row for row in registers.access.values() if row.person == name),
        granted_at={
            row.id: registers.granted_at[row.id]
            for row in registers.access.values()
            if row.person == name and row.id in registers.granted_at
        },
        spending=tuple(spending),
        heads=dict(registers.heads),
        reviewed_at={
            row.id: registers.reviewed_at[row.id]
            for row in registers.access.values()
            if row.person == name and row.id in registers.reviewed_at
        },
        image=ImageFacts.of(image, registers),
    )
    concerned = speakers(request, facts)
    origins = facts.registered.consignments if facts.registered else ()
    return Facts(
        **{
            **facts.__dict__,
            "consents": tuple(registers.consents[s] for s in concerned if s in registers.consents),
            "erasures": tuple(registers.erasures[s] for s in concerned if s in registers.erasures),
            "intake": tuple(registers.intake[name] for name in origins if name in registers.intake),
        }
    )
