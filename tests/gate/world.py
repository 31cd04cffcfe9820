"""A whole house around a gate: custodian, registers, a sealed dataset, approved recipes, and fakes for every hand."""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from sandbox.custodian.desk import Desk
from sandbox.gate.database.tables import runs
from sandbox.gate.gate import Gate, build
from sandbox.gate.places import Places
from sandbox.gate.runs import chronicle
from sandbox.gate.settings import Settings
from sandbox.policy.recipe import read_card
from sandbox.runs import Compute, Request, RunState, recipe_digest
from sandbox.statements import Ed25519Signer, PublicKey
from tests.fakes.engine import FakeEngine
from tests.fakes.hanging import Hanging
from tests.fakes.keeper import Keeper, Script, behaving, trains
from tests.fakes.power import Power, Wired, WiredStore
from tests.fakes.studio import Clock, make_desk
from tests.fakes.tracking import FakeTracking
from tests.fakes.vault import FakeVault

ENGINEER, OTHER, OPERATOR, AUDITOR = "eng.li", "eng.wu", "b.operator", "b.auditor"
REVIEWERS = ("b.privacy.1", "b.privacy.2")
ANNA, BEN = "spk_anna", "spk_ben0"
AGREEMENT, DATASET = "dsa-2026-0001", "digits"

HUM = {
    "recipe.yaml": b"""\
name: hum
summary: Learns to hum.
purposes: [train]
engine: none
dataset: required
parameters:
  steps: {type: int, default: 4, min: 1, max: 100}
metrics:
  loss: {min: 0, max: 10, decimals: 2, every: 1}
artifacts:
  - {path: "model-{step}.safetensors", at: [0.5, 1.0], media_type: application/vnd.safetensors, max_bytes: 4096}
dp: supported
""",
    "recipe.py": b"def main(run): ...\n",
}
LISTEN = {
    "recipe.yaml": b"""\
name: listen
summary: Listens to a model.
purposes: [test]
engine: none
dataset: none
inputs: [model]
metrics:
  heard: {min: 0, max: 21, decimals: 0}
artifacts:
  - {path: report.json, media_type: application/json, max_bytes: 4096}
""",
    "recipe.py": b"def main(run): ...\n",
}
SETTINGS = Settings(
    region="cn-ah",
    web_port=8300,
    run_time_max_s=4 * 3600,
    credential_ttl_s=300,
    wrap_ttl_s=60,
    reconnect_s=5,
    live_runs_max=2,
    public_digest="",
    vault_addr="https://127.0.0.1:9",
    oidc_issuer="",
    oidc_client_id="",
    image_id="3" * 64,
    engine="podman",
)


@dataclass
class World:
    """One installation. ``gate()`` builds a gate on it, as a restart does."""

    state: Path
    vault: FakeVault
    clock: Clock
    script: Script = trains
    settings: Settings = SETTINGS
    tracking: FakeTracking = field(default_factory=FakeTracking)
    gates: list[Gate] = field(default_factory=list)
    sealed: Callable[[Any], Any] | None = None  # None: datasets lie in the custodian's folder
    database: str = ""  # empty: SQLite in the state directory
    hangs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # hand -> calls that hang
    hanging: dict[str, Hanging] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = Places(self.state)
        self.engine = FakeEngine(behaving(self.vault, self.keys("gate"), self._act))
        self._desk: Desk | None = None

    @property
    def desk(self) -> Desk:
        """The custodian's."""
        if self._desk is None:
            signer = Ed25519Signer(self.vault.signing["custodian"])
            home = self.state / "custodian"
            self._desk = replace(
                make_desk(home, self.vault.custodian(), signer, self.keys("custodian")), clock=self.clock
            )
        return self._desk

    def keys(self, hand: str) -> list[PublicKey]:
        return [Ed25519Signer(self.vault.signing[hand]).public]

    def gate(self, cut_at: str = "", *, alone: bool = True) -> Gate:
        """A new gate process; with ``cut_at`` it dies at that point."""
        power = Power(cut_at)
        hands = {"vault": self.vault.gate(), "launcher": self.engine, "tracking": self.tracking}
        self.hanging = {name: Hanging(hand, *self.hangs.get(name, ())) for name, hand in hands.items()}
        self.places.make()
        self.gates.append(
            build(
                self.places,
                **{name: Wired(hand, name, power) for name, hand in self.hanging.items()},
                settings=lambda: self.settings,
                trust=self.keys,
                clock=self.clock,
                store=WiredStore(self.database or self.places.database, power),
                alone=alone,
                sealed=self.sealed,
            )
        )
        self.power = power
        return self.gates[-1]

    def _act(self, keeper: Keeper) -> None:
        """The script as it stands when a container begins."""
        self.script(keeper)

    def close(self) -> None:
        """Nothing of this world goes on."""
        for hand in self.hanging.values():
            hand.release()
        for gate in self.gates:
            gate.supervision._closing.set()
        for container in self.engine.containers.values():
            container.closing()
            container.ended.set()
        for gate in self.gates:
            gate.supervision.close()
        for thread in threading.enumerate():  # who waited for a container wakes now, may be in a dead gate,
            kind, _, run = thread.name.partition("-")  # and must be done before power cuts are faults again
            if kind in ("exit", "tell", "kill") and run in self.engine.containers:
                thread.join(30)
        for gate in self.gates:
            gate.house.store.close()

    def pass_time(self, **span: float) -> None:
        self.clock.now += timedelta(**span)


def request(recipe: dict[str, bytes] = HUM, **changes: Any) -> Request:
    card = read_card(recipe)
    found = Request(
        recipe=card.name,
        recipe_digest=recipe_digest(recipe),
        agreement=AGREEMENT,
        purpose="train",
        dataset=DATASET,
        subjects=None,
        inputs={},
        privacy=None,
        compute=Compute(),
        parameters={},
    )
    return replace(found, **changes)


def listening(model: str = "hum@1") -> Request:
    """A run without a dataset, on a model."""
    return request(LISTEN, purpose="test", dataset=None, inputs={"model": model})


def admit(gate: Gate, asked: Request | None = None, person: str = ENGINEER) -> str:
    """The id of an admitted run."""
    return gate.admission.ask(asked or request(), person).run


def run_of(gate: Gate, asked: Request | None = None) -> Row[Any]:
    """A run from admission to its end."""
    run = admit(gate, asked)
    gate.supervision.begin(run)
    return ended(gate, run)


def ended(gate: Gate, run: str, timeout_s: float = 60.0) -> Row[Any]:
    """The run's row once its supervisor is done."""
    assert gate.supervision.join(run, timeout_s), f"{run} goes on: {row(gate, run).state}"
    return row(gate, run)


def row(gate: Gate, run: str) -> Row[Any]:
    with gate.house.store.engine.connect() as connection:
        return chronicle.find(connection, run)


def states(gate: Gate, run: str) -> list[str]:
    """Every state that the run went through."""
    with gate.house.store.engine.connect() as connection:
        return [r.data["state"] for r in chronicle.since(connection, run, 0) if r.kind == "state"]


def reaches(gate: Gate, run: str, state: RunState, timeout_s: float = 60.0) -> None:
    """Wait until the run is in ``state``."""
    until(lambda: row(gate, run).state == state, timeout_s)


def until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def only_run(gate: Gate) -> str:
    with gate.house.store.engine.connect() as connection:
        return str(connection.execute(sa.select(runs.c.id)).scalar_one())


def sent(recipe: dict[str, bytes]) -> dict[str, Any]:
    """A recipe as it is submitted."""
    return {"files": {path: base64.b64encode(data).decode() for path, data in recipe.items()}}


@contextmanager
def short_folder() -> Iterator[Path]:
    """In memory where that is possible, for nothing here must survive; short, because a socket's path must be."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="vs", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@contextmanager
def muted_power_cuts() -> Iterator[None]:
    """A thread that dies of a power cut is what a test wants; everything else is a fault of the test."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_type.__name__ != "PowerCut":
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
