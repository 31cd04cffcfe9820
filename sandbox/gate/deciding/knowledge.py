"""Everything a decision looks at, read and verified in one go (GATE.md, "Facts, decision, refusals")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.errors import NotFound, Usage
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import artifacts, models
from sandbox.gate.deciding.bases import Bases
from sandbox.gate.deciding.recipes import Recipes
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.gate.hands import Vault
from sandbox.gate.ledger import budget
from sandbox.gate.runs import checkpoints, chronicle
from sandbox.gate.runs.grants import GivenInput
from sandbox.gate.sealed import Sealed
from sandbox.gate.settings import Settings
from sandbox.gate.subjects import heritage, withdrawal
from sandbox.policy import epsilon
from sandbox.policy.facts import Facts, InputFacts, MachineFacts, ManifestFacts, gather
from sandbox.policy.purpose import REVIEWERS
from sandbox.policy.recipe import Card, Expanded, expand
from sandbox.policy.registers import Registers
from sandbox.policy.reviewed import RecipeChange
from sandbox.records import check_id
from sandbox.runs import Kind, Privacy, Request
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import manifest_name, open_at_head, open_granted
from sandbox.statements import PublicKey

BESIDE = 16  # manifests that are opened at once; more decisions wait their turn


@dataclass(frozen=True)
class Snapshot:
    """The facts of one request, what they make of the recipe's card, and at which state of the ledger."""

    facts: Facts
    card: Card
    expanded: Expanded
    privacy: Privacy | None
    ledger: int
    inputs: Mapping[str, GivenInput] = field(default_factory=dict)


class Knowledge:
    """Reads files, Vault's heads and the database; writes nothing but log entries for new register entries."""

    def __init__(
        self,
        sealed: Sealed,
        store: Store,
        vault: Vault,
        registers: RegisterReader,
        recipes: Recipes,
        bases: Bases,
        settings: Callable[[], Settings],
        trust: Callable[[str], Sequence[PublicKey]],
        clock: Callable[[], datetime],
    ) -> None:
        self._sealed, self._store, self._vault = sealed, store, vault
        self._registers, self._recipes, self._bases, self._settings = registers, recipes, bases, settings
        self._trust, self._clock = trust, clock
        self._beside = ThreadPoolExecutor(BESIDE, thread_name_prefix="manifest")

    def gather(self, request: Request, person: str) -> Snapshot:
        """Raises Usage (the card does not know what was asked), NotFound (no such recipe), Unreachable."""
        card = self._recipes.card(request.recipe_digest)
        if card.name != request.recipe:
            raise Usage(f"these bytes are recipe {card.name}, not {request.recipe}", code="recipe.name")
        expanded = expand(card, request.parameters, request.kind)
        opening = self._beside.submit(self._manifest, request)  # both wait for Vault: they wait together
        known, settings = self._registers.read(), self._settings()
        agreement = self._registers.agreement(known.statuses.get(request.agreement))
        manifest = opening.result()
        dataset = "" if manifest is None else manifest.dataset
        given, ledger, live = self._store.read(
            lambda c: (
                _inputs(c, request, known, self._bases),
                budget.unread(c) if request.privacy is None else budget.ledger(c, dataset),
                len(chronicle.live(c)),
            )
        )
        privacy = None
        if request.privacy is not None:
            privacy = epsilon.resolve(request.privacy, int(expanded.parameters.get("steps", 0)))
        facts = gather(
            request,
            name=person,
            now=self._clock(),
            machine=MachineFacts(
                region=settings.region,
                run_time_max_s=settings.run_time_max_s,
                live_runs=live,
                live_runs_max=settings.live_runs_max,
                public_digest=settings.public_digest,
            ),
            registers=known,
            agreement=agreement,
            recipe=card,
            manifest=manifest,
            inputs={name: facts for name, (_, facts) in given.items()},
            image=settings.image_id,
            change=self._change(request, person, card, known),
            spending=()
            if agreement is None or manifest is None or privacy is None
            else budget.spending(
                ledger,
                manifest.dataset,
                sorted({*manifest.subjects, *(request.subjects or ())}),
                privacy,
                agreement.terms.derivatives.dp.max_delta,
            ),
        )
        return Snapshot(
            facts, card, expanded, privacy, ledger.version, {name: item for name, (item, _) in given.items()}
        )

    def _change(self, request: Request, person: str, card: Card, known: Registers) -> RecipeChange:
        """Of a recipe that is not approved, what nobody has reviewed; of any other nothing is asked."""
        digest = request.recipe_digest
        others = set(known.approved_by(digest, request.purpose)) - {person}
        if request.kind is Kind.DRY or len(others) >= REVIEWERS:
            return RecipeChange()
        return self._recipes.change(digest, card.name, known)

    def _manifest(self, request: Request) -> ManifestFacts | None:
        """The newest version, or the one that was asked for, as the head allows; None when there is none."""
        if request.dataset is None or request.kind is Kind.DRY:
            return None
        name, _, version = request.dataset.partition("@")
        kept = self._vault.dataset_head(check_id("dataset", name)).value
        if not kept:
            return None
        head, source, keys = (
            DatasetHead.from_json(kept),
            self._sealed.source(name),
            self._trust("custodian"),
        )
        if not version or int(version) == head.version:
            opened = open_at_head(source, name, head, keys)
        elif head.min_version <= int(version) <= head.version:
            digest = self._digest_of(name, int(version))
            if digest is None:
                return None
            opened = open_granted(source, name, digest, keys)
        else:
            return None
        return ManifestFacts.of(opened.manifest, opened.digest)

    def _digest_of(self, dataset: str, version: int) -> str | None:
        entry = self._registers.read().dataset(dataset, version)
        name = manifest_name(version).rpartition("/")[2]
        lies = name in self._sealed.source(dataset).names("manifests")
        return None if entry is None or not lies else entry.manifest


def _inputs(
    connection: Connection, request: Request, known: Registers, bases: Bases
) -> dict[str, tuple[GivenInput, InputFacts]]:
    """Each input's sealed artifact, and everybody whose voice is in its lineage. An unknown model stays absent."""
    found = {}
    graph = heritage.graph(connection) if request.inputs else lineage.Lineage()
    marks = withdrawal.marks(connection) if request.inputs else {}
    for name, asked in request.inputs.items():
        if (file := bases.given(asked)) is not None:
            found[name] = file
            continue
        model, _, version = asked.partition("@")
        if not version.isdecimal():
            raise Usage(f"{asked!r} is no MODEL@VERSION")
        if (checkpoint := checkpoints.given(connection, asked, graph, known.withdrawn_at)) is not None:
            found[name] = checkpoint
            continue
        row = connection.execute(
            sa.select(models, artifacts.c.wrapped_key)
            .join(artifacts, sa.and_(artifacts.c.run == models.c.run, artifacts.c.path == models.c.path))
            .where(models.c.name == model, models.c.version == int(version))
        ).first()
        if row is None or row.wrapped_key is None:
            raise NotFound(
                f"there is no model {asked}",
                code="model.unknown",
                mend="sandbox runs list shows what was made",
            )
        model_node = lineage.model(model, int(version))
        agreements = heritage.agreements(connection, row.run)
        voices, taint = graph.speakers(model_node), graph.taint(model_node)
        began = graph.bases(model_node)
        facts = InputFacts(asked, row.sha256, agreements, voices, taint, marks.get(asked, ""), began)
        found[name] = (GivenInput(row.sha256, row.run, row.path, row.wrapped_key), facts)
    return found
