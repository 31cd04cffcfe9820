"""The gate's view of the state directory: what it owns, and what others let it read (CONTRACTS, "Programs")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OWN = ("statements", "recipes", "staging", "incoming", "artifacts", "quarantine", "registers", "bases")


@dataclass(frozen=True)
class Places:
    """Paths below one state directory. Everything the gate owns is below ``private``, ``doors`` and ``mlflow``."""

    state: Path

    @property
    def private(self) -> Path:
        return self.state / "gate" / "private"

    @property
    def api_socket(self) -> Path:
        return self.state / "gate" / "api.sock"

    @property
    def login(self) -> Path:
        return self.private / "login.wrap"

    @property
    def held(self) -> Path:
        """The note of a kill of everything: while it lies there, the supervisor hands the gate no login."""
        return self.private / "held.json"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.private / 'gate.db'}"

    @property
    def statements(self) -> Path:
        return self.private / "statements"

    @property
    def recipes(self) -> Path:
        return self.private / "recipes"

    def reviews(self, register: str) -> Path:
        """A register that the gate writes for reviewers."""
        return self.private / "registers" / register

    def staging(self, run: str) -> Path:
        """What a run's container gets mounted, besides data and door: ``recipe/`` and ``inputs/``."""
        return self.private / "staging" / run

    def incoming(self, run: str) -> Path:
        """Sealed bytes that arrive at the door, until they are whole."""
        return self.private / "incoming" / run

    def artifact(self, digest: str) -> Path:
        return self.private / "artifacts" / digest

    def quarantined(self, digest: str) -> Path:
        return self.private / "quarantine" / digest

    def base(self, sha256: str) -> Path:
        """A published file, as it was brought in."""
        return self.private / "bases" / sha256

    def door(self, run: str) -> Path:
        return self.state / "doors" / run

    @property
    def doors(self) -> Path:
        return self.state / "doors"

    @property
    def cache(self) -> Path:
        """Ciphertext brought from an object store, in the layout of sealed/1; mounted read-only."""
        return self.private / "sealed"

    def sealed(self, dataset: str) -> Path:
        return self.state / "custodian" / "sealed" / dataset

    @property
    def registers(self) -> Path:
        return self.state / "custodian" / "registers"

    @property
    def agreements(self) -> Path:
        return self.state / "custodian" / "agreements"

    @property
    def public_set(self) -> Path:
        return self.state / "app" / "public"

    @property
    def app(self) -> Path:
        return self.state / "app"

    @property
    def launcher_socket(self) -> Path:
        return self.state / "run" / "launcher.sock"

    @property
    def mlflow_socket(self) -> Path:
        return self.state / "mlflow" / "ui.sock"

    @property
    def vault_audit(self) -> Path:
        return self.state / "audit" / "vault-audit.log"

    def make(self) -> None:
        """Make what the gate owns; may run twice."""
        for name in OWN:
            (self.private / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        self.doors.mkdir(mode=0o700, parents=True, exist_ok=True)
