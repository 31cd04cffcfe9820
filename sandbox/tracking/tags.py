"""A grant as MLflow shows it: ``gov.*`` tags, write-once params, the dataset's profile (LINEAGE.md). Pure.

MLflow's tags have no history and no lock, its params cannot be changed: the facts stand in both. The classification
is a property of a run, not a choice: no argument leads to another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.lineage import PUBLIC, PublicBase, public_base
from sandbox.runs import CLASSIFICATION, Grant, Kind
from sandbox.statements import canonical_json, sha256

CLEAN = "none"
DENIED = "denied"
WITHDRAWN = "gov.withdrawn"
FROZEN = "gov.frozen"
MAX_VALUE = 5000  # bytes of a tag in MLflow's tables
BANNER = (
    "**Confidential. Derivative results of Party A.** Everything here was made from Party A's data under agreement "
    "`{agreement}`. Do not disclose, license or transfer without Party A's written consent (clause 3.3). This page is "
    "a view; the signed statements are the record: `sandbox audit verify`."
)
#: What a private run began from is not part of its claim: also of those of the dataset who are in an input too.
BESIDE = " bounds=dataset-only people-of-inputs=unbounded"
BANNER_PUBLIC = "Dry runs on public speech: outside any agreement, and without a model that is kept."


@dataclass(frozen=True)
class ModelRecord:
    """A model as the gate knows it: its name and version, and the sealed artifact that it is."""

    name: str
    version: int
    path: str
    step: int
    size: int
    sha256: str
    statement: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


def experiment(grant: Grant) -> tuple[str, str]:
    """Name and banner of the experiment that a run belongs to: one for each agreement, one for dry runs."""
    if grant.kind is Kind.DRY:
        return "dry-runs", BANNER_PUBLIC
    return grant.agreement, BANNER.format(agreement=grant.agreement)


def subjects(grant: Grant) -> str:
    """How many, and the digest of the set of pseudonyms: no pseudonym itself."""
    return f"{len(grant.subjects)} sha256:{sha256(canonical_json(sorted(grant.subjects)))}"


def privacy(grant: Grant) -> str:
    """The mechanism with its unit, or ``none``. An epsilon without a unit says nothing and is never written."""
    found = grant.privacy
    if found is None:
        return "none"
    return (
        f"dp-sgd unit={found.unit} epsilon={found.epsilon:g} delta={found.delta:g} sigma={found.sigma:g} "
        f"q={found.sample_rate:g} steps={found.steps} clip={found.clip:g} accountant=pld"
        f"{BESIDE if grant.inputs else ''}"
    )


def governance(grant: Grant, grant_digest: str, taint: str = "") -> dict[str, str]:
    """Every ``gov.*`` fact of a run; its models carry the same."""
    return {
        "gov.classification": PUBLIC if grant.kind is Kind.DRY else CLASSIFICATION,
        "gov.party": "none" if grant.kind is Kind.DRY else "A",
        "gov.agreement": grant.agreement or "none",
        "gov.agreement_digest": grant.agreement_digest or "none",
        "gov.datasets": grant.dataset or "none",
        "gov.manifest_digest": grant.manifest_digest or "none",
        "gov.subjects": subjects(grant),
        "gov.purpose": grant.purpose,
        "gov.run": grant.run,
        "gov.grant": grant.grant,
        "gov.grant_digest": grant_digest,
        "gov.recipe": grant.recipe,
        "gov.recipe_digest": grant.recipe_digest,
        "gov.image_digest": grant.image_id,
        "gov.engineer": grant.person,
        "gov.isolation_digest": grant.isolation_digest,
        "gov.inputs": ",".join(item.digest for item in grant.inputs) or "none",
        "gov.dp": privacy(grant),
        "gov.release": DENIED,
        "gov.taint": (taint or CLEAN)[:MAX_VALUE],
        **({} if (brought := public_base(grant)) is None else {"gov.base": base(brought)}),
    }


def base(found: PublicBase) -> str:
    """Where a published model comes from: by the word of who brought it in, but for the digest."""
    return f"{found.model} licence={found.licence} source={found.source} sha256={found.sha256}"


def withdrawal(whose: str) -> dict[str, str]:
    """Whose consent to a model was withdrawn since it was made; no tag at all while that is nobody."""
    return {WITHDRAWN: whose[:MAX_VALUE]} if whose else {}


def freeze(incidents: str) -> dict[str, str]:
    """The open incidents that hold a model; no tag at all while there is none."""
    return {FROZEN: incidents[:MAX_VALUE]} if incidents else {}


def model_facts(
    grant: Grant, grant_digest: str, model: ModelRecord, taint: str = "", withdrawn: str = "", frozen: str = ""
) -> dict[str, str]:
    """The run's facts, and which sealed bytes the model is."""
    return {
        **governance(grant, grant_digest, taint),
        **withdrawal(withdrawn),
        **freeze(frozen),
        "gov.model": model.id,
        "gov.artifact": model.path,
        "gov.artifact_sha256": model.sha256,
        "gov.statement": model.statement or "none",
    }


def params(grant: Grant, grant_digest: str) -> dict[str, str]:
    """Write-once: the run's own parameters, then the facts again (a tag can be overwritten, a param cannot)."""
    facts = {key: value for key, value in governance(grant, grant_digest).items() if key not in CHANGING}
    return {**{name: str(value) for name, value in grant.parameters.items()}, **facts}


CHANGING = frozenset({"gov.taint", "gov.release", WITHDRAWN, FROZEN})


def profile(grant: Grant, grant_digest: str) -> str:
    """What the dataset's drawer shows: it shows no source and no tags."""
    facts = governance(grant, grant_digest)
    shown = (
        "gov.classification",
        "gov.party",
        "gov.agreement",
        "gov.subjects",
        "gov.purpose",
        "gov.manifest_digest",
    )
    return json.dumps({name: facts[name] for name in shown})


def digest(found: Mapping[str, str] | Sequence[str]) -> str:
    """A short name for a set of facts, for MLflow's 36-character dataset digest."""
    return sha256(canonical_json(found))[:32]
