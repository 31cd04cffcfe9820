"""What a run leaves behind: signed artifacts, a registered model, the run's own statement; or a quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import EvidenceMismatch
from sandbox.gate.database.tables import artifacts, credentials, events, models
from sandbox.gate.house import House
from sandbox.gate.ledger import evidence
from sandbox.lineage import public_base
from sandbox.runs import CLASSIFICATION, SAFETENSORS, Grant, Outcome, RunState, is_checkpoint, utc
from sandbox.tracking.tags import ModelRecord

MAKES_MODELS = ("train", "optimise")
#: What a run may fail for and still leave its checkpoints: it stopped, or died, before anything was wrong with them.
KEEPS_CHECKPOINTS = (
    "recipe.loss_not_finite",
    "recipe.out_of_memory",
    "keeper.gone",  # the container died: killed from outside, by the kernel's memory, or with its machine
    "trainer.gone",
    "run.time_limit",
    "run.stop_unheard",
)


class Results:
    """One run's results. Every method may be called again."""

    def __init__(self, house: House, plan: Grant) -> None:
        self._house, self._plan = house, plan

    def sign_artifacts(self) -> dict[str, Any]:
        """A statement for each artifact. Raises EvidenceMismatch when stored bytes are gone."""
        return self._sign(self._rows("stored"))

    def keep_checkpoints(self, failure: str) -> dict[str, Any]:
        """A statement for each whole checkpoint of a training that failed for what does not touch them; else none."""
        kept = [row for row in self._rows("stored") if is_checkpoint(row.path)]
        return self._sign(kept if failure in KEEPS_CHECKPOINTS else [])

    def _sign(self, rows: list[Row[Any]]) -> dict[str, Any]:
        for row in rows:
            if not self._house.places.artifact(row.sha256).exists():
                raise EvidenceMismatch(f"artifact {row.sha256[:12]}… is gone", code="artifact.missing")
            name = f"{self._plan.run}-{row.sha256[:16]}"
            predicate = {**_described(row), **self._labels()}
            signed = evidence.sign(
                self._house, self._plan.run, "artifact", name, [(row.path, row.sha256)], predicate
            )
            self._mark(row.path, "signed", signed.digest)
        return {"artifacts": len(self._rows("signed"))}

    def register(self) -> dict[str, Any]:
        """The last weights of a training run become the next version of the recipe's model."""
        made = [
            row
            for row in self._rows("signed")
            if row.media_type == SAFETENSORS and not is_checkpoint(row.path)
        ]
        if self._plan.purpose not in MAKES_MODELS or not made:
            return {"model": None}
        last = max(made, key=lambda row: (row.step, row.path))
        name, version = self._plan.recipe, self._house.store.transact(lambda c: self._version(c, last))
        predicate = {
            **self._labels(),
            "model": name,
            "version": version,
            "artifact": last.statement,
            "inputs": [
                {"run": item.run or None, "sha256": item.digest} for item in self._plan.inputs
            ],  # a public file came from no run
        }
        subject = (f"{name}@{version}", last.sha256)
        signed = evidence.sign(
            self._house, self._plan.run, "model", f"{name}-{version}", [subject], predicate
        )
        record = ModelRecord(name, version, last.path, last.step, last.size, last.sha256, signed.digest)
        return {"model": f"{name} v{version}", "record": asdict(record)}

    def quarantine(self, failure: str = "") -> dict[str, Any]:
        """What an unfinished run sent stays sealed, apart, and is no result; but for checkpoints that were kept."""
        moved = 0
        for row in self._rows("stored", "signed", "arriving"):
            if failure in KEEPS_CHECKPOINTS and row.state == "signed" and is_checkpoint(row.path):
                continue
            source = self._house.places.artifact(row.sha256)
            if source.exists() and not self._shared(row.sha256):
                source.replace(self._house.places.quarantined(row.sha256))
                moved += 1
            self._mark(row.path, "quarantined", row.statement)
        self._house.store.transact(lambda c: c.execute(models.delete().where(models.c.run == self._plan.run)))
        return {"quarantined": moved}

    def sign_run(self, row: Row[Any], how: Outcome, attack: Mapping[str, Any]) -> dict[str, Any]:
        """The run's statement: who, what, why, from whose voice, at what epsilon, how it ended, what it made."""
        plan = self._plan
        made = self._rows("signed")
        subjects = [(item.path, item.sha256) for item in made] or [(plan.run, str(row.grant_digest))]
        predicate = {
            **self._labels(),
            "run": plan.run,
            "grant": plan.grant,
            "grant_digest": row.grant_digest,
            "decision": row.decision,
            "person": plan.person,
            "outcome": how.value,
            "failure": row.failure,
            "exit": row.exit,
            "killed_by": row.killed_by,
            "began": self._began(),
            "container": row.container,
            "isolation": row.isolation,
            "unlocked": row.unlocked,
            "epsilon": row.epsilon,
            "privacy": plan.to_predicate()["privacy"],
            "parameters": dict(plan.parameters),
            "metric_points": {"used": row.points, "granted": plan.channels.get("metric_points", 0)},
            "artifacts": [{**_described(item), "statement": item.statement} for item in made],
            "model": row.model,
            "credentials": self._house.store.read(lambda c: _credentials(c, plan.run)),
            **({"attack": _without_curves(attack)} if attack else {}),
        }
        signed = evidence.sign(self._house, plan.run, "run", plan.run, subjects, predicate)
        return {"statement": signed.digest}

    def _labels(self) -> dict[str, Any]:
        """What every statement about a derivative says (LINEAGE, "Tags")."""
        plan = self._plan
        return {
            "classification": CLASSIFICATION,
            "run": plan.run,
            "grant": plan.grant,
            "agreement": plan.agreement,
            "agreement_digest": plan.agreement_digest,
            "purpose": plan.purpose,
            "dataset": plan.dataset,
            "manifest_digest": plan.manifest_digest,
            "subjects": list(plan.subjects),
            "recipe": plan.recipe,
            "recipe_digest": plan.recipe_digest,
            "image_id": plan.image_id,
            "release": "denied",
            **({} if (brought := public_base(plan)) is None else {"public_base": asdict(brought)}),
        }

    def _began(self) -> bool:
        """Whether recipe code may have run."""
        asked = sa.select(events.c.data).where(events.c.run == self._plan.run, events.c.kind == "state")
        found = self._house.store.read(lambda c: list(c.execute(asked).scalars()))
        return any(data["state"] == RunState.TRAINING.value for data in found)

    def _version(self, connection: Connection, last: Row[Any]) -> int:
        """The model's version; the one that this run has, if it has one."""
        name = self._plan.recipe
        known = connection.execute(sa.select(models.c.version).where(models.c.run == self._plan.run)).scalar()
        if known is not None:
            return int(known)
        newest = connection.execute(
            sa.select(sa.func.max(models.c.version)).where(models.c.name == name)
        ).scalar()
        version = int(newest or 0) + 1
        connection.execute(
            models.insert().values(
                name=name,
                version=version,
                run=self._plan.run,
                path=last.path,
                sha256=last.sha256,
                at=utc(self._house.clock()),
            )
        )
        return version

    def _rows(self, *states: str) -> list[Row[Any]]:
        asked = sa.select(artifacts).where(artifacts.c.run == self._plan.run, artifacts.c.state.in_(states))
        ordered = asked.order_by(artifacts.c.step, artifacts.c.path)
        return self._house.store.read(lambda c: list(c.execute(ordered)))

    def _shared(self, digest: str) -> bool:
        asked = sa.select(artifacts.c.run).where(
            artifacts.c.sha256 == digest, artifacts.c.run != self._plan.run
        )
        return self._house.store.read(lambda c: c.execute(asked).first()) is not None

    def _mark(self, path: str, state: str, statement: str | None) -> None:
        row = sa.and_(artifacts.c.run == self._plan.run, artifacts.c.path == path)
        self._house.store.transact(
            lambda c: c.execute(artifacts.update().where(row).values(state=state, statement=statement))
        )


def _described(row: Row[Any]) -> dict[str, Any]:
    return {
        "path": row.path,
        "step": row.step,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256,
    }


def _without_curves(attack: Mapping[str, Any]) -> dict[str, Any]:
    """What was judged; the points of its curves stand in the settlement."""
    each = [{k: v for k, v in one.items() if k != "roc"} for one in attack.get("attacks", [])]
    return {**attack, **({"attacks": each} if each else {})}


def _credentials(connection: Connection, run: str) -> list[dict[str, Any]]:
    """Each credential as Vault's audit file shows it, with the moment that its death was proved."""
    asked = sa.select(credentials).where(credentials.c.run == run).order_by(credentials.c.accessor)
    return [
        {"kind": row.kind, "path": row.path, "audit_hash": row.audit_hash, "dead_at": row.dead_at}
        for row in connection.execute(asked)
    ]
