"""A run: what is asked, what is granted, what is ordered, where it stands.

``Request`` is what an engineer asks; ``Grant`` is one run's signed permission; ``Order`` is the grant with its wrapped
credentials, written once to the keeper's stdin. Shapes: CONTRACTS, "Grant, order, frames".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

from sandbox.errors import StatementError
from sandbox.statements import PublicKey, canonical_json, sha256

# Places inside the container.
DOORS = "/run/gate"
EVENTS_SOCKET = "events.sock"
VAULT_SOCKET = "vault.sock"
DATA = "/data"
RECIPE = "/recipe"
INPUTS = "/inputs"
TRUST = "/app/trust.json"

PURPOSES = ("train", "optimise", "test", "evaluate", "serve_custom_tts")
CLASSIFICATION = "party_a_confidential_derivative"
SAFETENSORS = "application/vnd.safetensors"
FLAC = "audio/flac"
JSON = "application/json"
MEDIA_TYPES = (SAFETENSORS, FLAC, JSON)
PYTORCH = "application/x-pytorch"  # a published checkpoint; it enters a run, and none leaves one
RECONNECT_S = 60
RESUME = "resume"  # the name of the input that a run goes on from, where a recipe's card takes one
VOCODER = "vocoder"  # the name of the input that makes a model's spectra sound, instead of Griffin-Lim
BASE = "base"  # the name of the input that a training starts from instead of fresh weights
FILE, CONFIG = "file", "config"
#: Names of inputs that are public files by their sha256 (``sha256:…``), and what the trainer is told that they are.
PUBLIC_FILES: Mapping[str, str] = {FILE: PYTORCH, CONFIG: JSON}

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is misheard or misread


def new_id(prefix: str) -> str:
    """``r-7f3k9w``: short, random, safe to say aloud."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(6))


def is_checkpoint(path: str) -> bool:
    """Whether an artifact holds a training to go on from, by its name: such a one is no model."""
    return path.startswith("checkpoint")


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, to the second; the one spelling of times in statements."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_utc(text: str) -> datetime:
    """The inverse of :func:`utc`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


class RunState(StrEnum):
    """GATE.md's states, in their order."""

    ASKED = "asked"
    REFUSED = "refused"
    ADMITTED = "admitted"
    PREPARED = "prepared"
    MINTED = "minted"
    STARTED = "started"
    ORDERED = "ordered"
    UNLOCKED = "unlocked"
    TRAINING = "training"
    ENDED = "ended"
    SETTLED = "settled"


class Outcome(StrEnum):
    """How a settled run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


class ExitClass(StrEnum):
    """All that is kept of an exit code (the code itself is a byte of output)."""

    ZERO = "zero"
    NONZERO = "nonzero"
    KILLED = "killed"
    GONE = "gone"


class Kind(Enum):
    """A run under an agreement, or a dry run on public speech outside any agreement."""

    AGREEMENT = "run"
    DRY = "dry-run"


@dataclass(frozen=True)
class Privacy:
    """The differential privacy target of a run. ``clip`` is C, ``sample_rate`` is q; ``sigma`` is derived by the gate.

    The unit is the data subject ("speaker"), always: per-example epsilon is not a person's protection.
    """

    unit: str
    epsilon: float
    delta: float
    clip: float
    sample_rate: float
    steps: int = 0
    sigma: float = 0.0
    accept_noise: bool = False


@dataclass(frozen=True)
class Compute:
    """What a run may use of a machine."""

    cpus: float = 2.0
    memory_bytes: int = 8 << 30
    gpus: int = 0
    time_limit_s: int = 1800


@dataclass(frozen=True)
class Request:
    """What is asked of the gate. ``subjects`` is ``None`` for all that the manifest lists.

    ``inputs`` maps a name of the recipe's card to ``model@version``, ``run@step`` or ``sha256:…`` of a public file;
    ``dataset`` may carry ``@version``.
    """

    recipe: str
    recipe_digest: str
    agreement: str
    purpose: str
    dataset: str | None
    subjects: tuple[str, ...] | None
    inputs: Mapping[str, str]
    privacy: Privacy | None
    compute: Compute
    parameters: Mapping[str, int | float | str | bool]
    kind: Kind = Kind.AGREEMENT

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["kind"] = self.kind.value
        value["subjects"] = None if self.subjects is None else list(self.subjects)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Request:
        """Raises StatementError when fields are missing, unknown or of another type."""
        try:
            data = dict(value)
            data["privacy"] = None if data["privacy"] is None else Privacy(**data["privacy"])
            data["compute"] = Compute(**data["compute"])
            data["kind"] = Kind(data.get("kind", "run"))
            data["subjects"] = None if data["subjects"] is None else tuple(map(str, data["subjects"]))
            data["inputs"] = dict(data["inputs"])
            data["parameters"] = dict(data["parameters"])
            return cls(**data)
        except (KeyError, TypeError, ValueError):
            raise StatementError(
                "not a run request: a field is missing, unknown or of another type"
            ) from None


@dataclass(frozen=True)
class Metric:
    """A number that may leave: its bounds, its decimals, and at most one point in ``every`` steps."""

    name: str
    min: float
    max: float
    decimals: int
    every: int = 1


@dataclass(frozen=True)
class Artifact:
    """A file that may leave, sealed: at which steps, of which kind, how large (plain bytes)."""

    path: str
    steps: tuple[int, ...]
    media_type: str
    max_bytes: int


@dataclass(frozen=True)
class Input:
    """A sealed artifact given to the run; ``digest`` is the sha256 of its sealed bytes.

    ``path`` is its name under ``/inputs``; ``run`` and ``origin`` are the run and path that it was sealed under. A
    public file came from no run: both are empty, and ``digest`` is of its own bytes.
    """

    path: str
    digest: str
    run: str
    origin: str

    @property
    def public(self) -> bool:
        return not self.run


@dataclass(frozen=True)
class Grant:
    """One run's permission. Signed by the gate; the keeper does nothing that is not written here."""

    run: str
    grant: str
    kind: Kind
    person: str
    agreement: str
    agreement_digest: str
    purpose: str
    dataset: str | None
    manifest_digest: str | None
    subjects: tuple[str, ...]
    recipe: str
    recipe_digest: str
    engine: str  # "torch", or "none" for recipes that need no model
    parameters: Mapping[str, int | float | str | bool]
    image_id: str
    isolation_digest: str
    inputs: tuple[Input, ...]
    privacy: Privacy | None
    metrics: tuple[Metric, ...]
    artifacts: tuple[Artifact, ...]
    channels: Mapping[str, int | bool]
    not_before: str
    expires: str

    def to_predicate(self) -> dict[str, Any]:
        value = asdict(self)
        value["kind"] = self.kind.value
        return value

    @classmethod
    def from_predicate(cls, predicate: Mapping[str, Any]) -> Grant:
        """Raises StatementError when a field is missing, unknown or of another type."""
        try:
            data = dict(predicate)
            if set(data) != {f.name for f in fields(cls)}:
                raise KeyError
            data["kind"] = Kind(data["kind"])
            data["subjects"] = tuple(str(s) for s in data["subjects"])
            data["inputs"] = tuple(Input(**item) for item in data["inputs"])
            data["privacy"] = None if data["privacy"] is None else Privacy(**data["privacy"])
            data["metrics"] = tuple(Metric(**item) for item in data["metrics"])
            data["artifacts"] = tuple(
                Artifact(**{**item, "steps": tuple(int(s) for s in item["steps"])})
                for item in data["artifacts"]
            )
            return cls(**data)
        except (KeyError, TypeError, ValueError):
            raise StatementError("the grant is signed, but its fields are not those of a grant") from None


@dataclass(frozen=True)
class WrapToken:
    """A wrapping token on its way to the keeper. Never shown."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class Order:
    """What goes down stdin, once: the signed grant and the wrapped credentials that it needs."""

    grant: bytes  # the DSSE envelope's exact bytes
    unlock: WrapToken | None
    artifacts: Mapping[str, WrapToken]
    inputs: Mapping[str, WrapToken]

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "grant": self.grant.decode(),
                "unlock": None if self.unlock is None else self.unlock.token,
                "artifacts": {path: wrap.token for path, wrap in self.artifacts.items()},
                "inputs": {path: wrap.token for path, wrap in self.inputs.items()},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Order:
        """Raises StatementError; the message never quotes the order."""
        try:
            value = json.loads(data)
            if set(value) != {"grant", "unlock", "artifacts", "inputs"}:
                raise ValueError
            return cls(
                grant=value["grant"].encode(),
                unlock=None if value["unlock"] is None else WrapToken(str(value["unlock"])),
                artifacts={str(p): WrapToken(str(t)) for p, t in value["artifacts"].items()},
                inputs={str(p): WrapToken(str(t)) for p, t in value["inputs"].items()},
            )
        except (ValueError, TypeError, AttributeError):
            raise StatementError("not an order") from None


@dataclass(frozen=True)
class Trust:
    """The anchors in the image's top layer; nothing in an order can replace them."""

    vault_ca: str
    gate: tuple[PublicKey, ...]
    custodian: tuple[PublicKey, ...]

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "vault_ca": self.vault_ca,
                "gate": [key.text for key in self.gate],
                "custodian": [key.text for key in self.custodian],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Trust:
        try:
            value = json.loads(data)
            return cls(
                vault_ca=str(value["vault_ca"]),
                gate=tuple(PublicKey.from_text(text) for text in value["gate"]),
                custodian=tuple(PublicKey.from_text(text) for text in value["custodian"]),
            )
        except (ValueError, KeyError, TypeError):
            raise StatementError("the trust anchors of this image are unreadable") from None


def recipe_digest(files: Mapping[str, bytes]) -> str:
    """sha256 of canonical JSON ``[[path, sha256], ...]``, sorted by path (CONTRACTS)."""
    return sha256(canonical_json(sorted([path, sha256(data)] for path, data in files.items())))
