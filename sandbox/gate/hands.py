"""What the gate drives, as it needs it: Vault, the launcher, MLflow. The real ones and the tests' fakes both fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sandbox.isolation.spec import Spec
from sandbox.runs import ExitClass, Grant, Outcome
from sandbox.statements import PublicKey, Signer
from sandbox.tracking.reconcile import Actual, Difference, SignedRun
from sandbox.tracking.tags import ModelRecord
from sandbox.tracking.view import Point
from sandbox.vault.minting import RunWrap, Wrap


class KeptValue(Protocol):
    """A value in Vault's KV and its check-and-set number."""

    @property
    def value(self) -> dict[str, Any]: ...

    @property
    def cas(self) -> int: ...


class Vault(Protocol):
    """The gate's hand at Vault; ``sandbox.vault.minting.Minting`` fits. Every call may hang or raise Unreachable."""

    def mint_run(
        self, dataset: str, purpose: str, run: str, grant: str, *, uses: int, ttl_s: int, wrap_ttl_s: int
    ) -> RunWrap: ...

    def new_artifact_key(self, agreement: str, run: str, path: str, wrap_ttl_s: int) -> Wrap: ...

    def open_artifact_key(
        self, agreement: str, run: str, path: str, wrapped: str, wrap_ttl_s: int
    ) -> Wrap: ...

    def is_dead(self, accessor: str) -> bool: ...

    def revoke_self(self) -> None: ...

    def renew(self) -> int: ...

    def wrap_lives(self, wrap_token: str) -> bool: ...

    def revoke(self, accessor: str) -> None: ...

    def audit_hash(self, text: str) -> str: ...

    def signer(self) -> Signer: ...

    def public_keys(self, hand: str) -> Sequence[PublicKey]: ...

    def dataset_head(self, dataset: str) -> KeptValue: ...

    def register_heads(self) -> KeptValue: ...

    def read_budget(self, name: str) -> KeptValue: ...

    def write_budget(self, name: str, value: Mapping[str, Any], cas: int) -> int: ...


class Started(Protocol):
    """A container that runs."""

    @property
    def container_id(self) -> str: ...

    @property
    def pid(self) -> int: ...


class Found(Protocol):
    """A container of this installation."""

    @property
    def run(self) -> str: ...


class Launcher(Protocol):
    """Drives the engine; ``sandbox.isolation.launcher_client.Launcher`` fits."""

    def start(self, spec: Spec) -> Started: ...

    def stdin(self, run: str, data: bytes) -> None: ...

    def readback(self, run: str) -> Mapping[str, Any]: ...

    def kill(self, run: str) -> None: ...

    def strike(self, runs: Sequence[str]) -> Sequence[str]: ...

    def wait(self, run: str, timeout_s: float | None = None) -> ExitClass: ...

    def list(self) -> Sequence[Found]: ...


class Tracking(Protocol):
    """What MLflow is told; ``sandbox.tracking.view.Tracking`` fits. Calls may repeat, or raise Unreachable."""

    def open_run(self, grant: Grant, grant_digest: str) -> str: ...

    def log_metrics(self, run_id: str, points: Iterable[Point]) -> None: ...

    def register_model(
        self, run_id: str, grant: Grant, grant_digest: str, model: ModelRecord, taint: str = ""
    ) -> None: ...

    def settle_run(self, run_id: str, outcome: Outcome, facts: Mapping[str, str]) -> None: ...

    def taint(self, run: str, model: str | None, why: str) -> None: ...

    def mark_withdrawn(self, run: str, model: str, whose: str) -> None: ...

    def mark_frozen(self, run: str, model: str, incidents: str) -> None: ...

    def survey(self) -> Actual: ...

    def repair(self, expected: Iterable[SignedRun]) -> tuple[Difference, ...]: ...
