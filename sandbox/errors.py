"""Every error that the product raises on purpose.

A class exists where a caller does something different. A message carries ids and places, never a record,
a transcript, a token or a key. ``code`` is stable (``noun.fault``); ``mend`` tells the reader what to do next;
``exit_code`` is what the command line answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """One reason of a refusal: a stable code, whom or what it is about, why, and what would mend it."""

    code: str
    about: str
    why: str
    mend: str
    clause: str = ""


class SandboxError(Exception):
    """Something is wrong inside the product. Report it."""

    code = "internal.error"
    exit_code = 1

    def __init__(self, message: str, *, code: str | None = None, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        if code is not None:
            self.code = code


class Usage(SandboxError):
    """What was asked cannot be understood: a bad file, option or value. Mend the input and ask again."""

    code = "input.invalid"
    exit_code = 2


class Refused(SandboxError):
    """The rules say no. ``reasons`` holds all of them, never only the first."""

    code = "request.refused"
    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        reasons: Sequence[Reason] = (),
        code: str | None = None,
        mend: str = "",
        decision: str = "",
    ) -> None:
        super().__init__(message, code=code, mend=mend)
        self.reasons = tuple(reasons)
        self.decision = decision


class NotPermitted(Refused):
    """The caller is known but holds no role for this."""

    code = "person.not_permitted"


class IdentityInvalid(Refused):
    """The identity token is missing, expired, for another audience or not signed by our Vault. Log in again."""

    code = "identity.invalid"


class Conflict(Refused):
    """Somebody else was first: the head moved, or the name is taken. Read again, then decide."""

    code = "state.conflict"


class NotFound(Refused):
    """No such thing, or none that the caller may see."""

    code = "name.unknown"


class TooMany(Refused):
    """More was asked than is allowed in a minute, or more streams are open; wait ``retry_s`` seconds."""

    code = "request.too_many"
    retry_s = 1

    def __init__(self, message: str, *, retry_s: int = 1, **told: Any) -> None:
        """``told``: as :class:`Refused` takes it."""
        super().__init__(message, **told)
        self.retry_s = retry_s


class RunFailed(SandboxError):
    """A run ended without its result. Nothing is retried; ask for a new run."""

    code = "run.failed"
    exit_code = 4


class Unreachable(SandboxError):
    """A service does not answer. ``sandbox doctor`` tells which and why."""

    code = "service.unreachable"
    exit_code = 5


class EvidenceMismatch(SandboxError):
    """Two records that must agree do not. Treat it as an incident until it is explained."""

    code = "evidence.mismatch"
    exit_code = 6


# Statements and signatures


class StatementError(EvidenceMismatch):
    """A signature, payload type or statement is not what it must be. Nothing of it was used."""

    code = "statement.invalid"


# Consignments


class ConsignmentError(EvidenceMismatch):
    """A consignment is not what Party A signed, or cannot be read. Nothing of it was kept."""

    code = "consignment.invalid"


# Sealed data


class SealError(EvidenceMismatch):
    """Sealed bytes are not what was signed. Nothing of them was used."""

    code = "seal.broken"


class SealBroken(SealError):
    """A byte, place or digest differs from what the manifest or index pins."""


class RollbackDetected(SealError):
    """A manifest that was once valid stands where a newer one belongs."""

    code = "seal.rollback"


class SubjectErased(SealError):
    """The data subject's key was destroyed on request; the records can never be opened again."""

    code = "subject.erased"


class KeyBarred(Refused):
    """The subject's key exists, but this purpose may not use it (withdrawn, expired or never consented)."""

    code = "subject.barred"


# Vault


class CredentialError(Refused):
    """A credential is dead, for something else, or was refused by Vault."""

    code = "credential.refused"


class CredentialUsed(CredentialError):
    """A wrapped credential had already been opened by somebody: stop, and open an incident."""

    code = "credential.used"


class VaultUnreachable(Unreachable):
    """Vault does not answer, is sealed, or answered something that is no answer."""

    code = "vault.unreachable"


# Doors


class FrameError(SandboxError):
    """A message at a door is malformed, too large, out of order or unknown. The door closes; it is an incident."""

    code = "door.frame_invalid"


class ForeignPeer(FrameError):
    """Somebody else than the container's first process knocked at a door."""

    code = "door.foreign_peer"


# Isolation


class EngineError(Unreachable):
    """The container engine is missing or failed."""

    code = "engine.failed"


class IsolationMismatch(Refused):
    """What the kernel shows of a container is not what its spec asks for. The container was killed."""

    code = "isolation.mismatch"


# Training


class RecipeError(RunFailed):
    """The recipe did what its card does not allow, or raised. Only its class and line leave the container."""

    code = "recipe.failed"


class RecordError(RecipeError):
    """A recording cannot be learned from. Its id may leave the container beside the code, its content never does."""

    code = "record.unusable"

    record = ""

    @classmethod
    def of(cls, record: str, code: str) -> RecordError:
        """The fault ``code`` of ``record``."""
        fault = cls(f"record {record} cannot be learned from", code=code)
        fault.record = record
        return fault


class PrivacyError(RunFailed):
    """Training with differential privacy cannot keep its promise with this model or setting, so it does not start."""

    code = "privacy.unsound"
