"""Every commit of the gate and every call of its hands passes here, is counted, and can be made to go wrong.

A site is the ``nth`` passing of one call. Vault's sites are its requests, below the gate's own hand, so that what a
request half done leaves is seen; the store's are transactions, named after the function that wants one.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from sandbox.errors import SandboxError, Unreachable, VaultUnreachable
from sandbox.gate.database.store import Store
from tests.fakes import power
from tests.fakes.power import PowerCut
from tests.fakes.vault import Conversation, FakeVault

T = TypeVar("T")
STORE, VAULT, LAUNCHER, TRACKING = "store", "vault", "launcher", "tracking"


@dataclass(frozen=True)
class Site:
    """The ``nth`` (from 1) passing of ``call`` at ``hand``."""

    hand: str
    call: str
    nth: int


@dataclass(frozen=True)
class Step:
    """What is about to happen at a site. ``undone`` does everything of it that leaves nothing behind."""

    site: Site
    effect: Callable[[], Any]
    undone: Callable[[], None]


Act = Callable[["Wires", Step], Any]


class Wires:
    """One gate's. At the site ``at`` stands ``act`` instead of the step; elsewhere everything goes its way."""

    def __init__(self, at: Site | None = None, act: Act | None = None) -> None:
        self._at, self._act = at, act
        self._counts, self._lock = Counter[tuple[str, str]](), threading.Lock()
        self.labels: dict[Site, str] | None = None  # what each commit did; filled where somebody records
        self.seen: Callable[[Site], None] = lambda _: None
        self.away = ""  # the hand that does not answer
        self.off, self.reached = threading.Event(), threading.Event()
        self.told = threading.Event()  # MLflow was told of metrics, or the attempt was made
        self.hanging, self.released = threading.Event(), threading.Event()
        self.kill: Callable[[], None] = lambda: None  # somebody asks for the run's end
        self.end_container: Callable[[], None] = lambda: None

    def check(self) -> None:
        """A dead gate does nothing more."""
        if self.off.is_set():
            raise PowerCut

    def passes(
        self,
        hand: str,
        call: str,
        effect: Callable[[], T],
        undone: Callable[[], None] = lambda: None,
        label: Callable[[], str] | None = None,
    ) -> T:
        """Do ``effect``, or what stands at this site."""
        self.check()
        with self._lock:
            self._counts[hand, call] += 1
            site = Site(hand, call, self._counts[hand, call])
        self.seen(site)
        if call == "log_metrics":
            self.told.set()
        if site == self._at and self._act is not None:
            self.reached.set()
            found: T = self._act(self, Step(site, effect, undone))
            return found
        if hand == self.away:
            raise silence(hand)
        result = effect()
        if self.labels is not None and label is not None:
            self.labels[site] = label()
        self.check()
        return result


def silence(hand: str) -> SandboxError:
    """What the gate's hand says of a service that is not there."""
    if hand == VAULT:
        return VaultUnreachable("Vault does not answer")
    return Unreachable(f"{hand} does not answer", code=f"{hand}.unreachable")


def timeout(hand: str) -> Exception:
    """What it says of one that did not answer in time."""
    return TimeoutError("the launcher did not answer in time") if hand == LAUNCHER else silence(hand)


class WiredHand:
    """A hand of the gate, wired."""

    def __init__(self, hand: Any, name: str, wires: Wires) -> None:
        self._hand, self._name, self._wires = hand, name, wires

    def __getattr__(self, call: str) -> Any:
        effect = getattr(self._hand, call)
        return lambda *given, **named: self._wires.passes(self._name, call, lambda: effect(*given, **named))


class WiredConversation(Conversation):
    """The gate's requests to Vault, wired. A wrap is made in the same request as what it holds."""

    def __init__(self, vault: FakeVault, wires: Wires) -> None:
        super().__init__(vault, vault._service("gate"))
        self._wires = wires

    def read(self, path: str) -> dict[str, Any]:
        return self._wires.passes(VAULT, _request("read", path), lambda: Conversation.read(self, path))

    def delete(self, path: str) -> None:
        return self._wires.passes(VAULT, _request("delete", path), lambda: Conversation.delete(self, path))

    def write(self, path: str, body: Any = None, wrap_ttl_s: int | None = None) -> dict[str, Any]:
        return self._wires.passes(
            VAULT, _request("write", path), lambda: Conversation.write(self, path, body, wrap_ttl_s)
        )


def _request(verb: str, path: str) -> str:
    return f"{verb} {re.sub(r'run-[^/]+', 'run-…', path)}"


class WiredStore(Store):
    """The real store, wired. ``undone`` does a transaction's work and is cut off before it commits."""

    def __init__(self, url: str, wires: Wires) -> None:
        super().__init__(url)
        power._compile_once(self.engine)
        self._wires = wires
        self._known = super().read(power._marks)

    def transact(self, work: Callable[[Connection], T]) -> T:
        return self._wires.passes(
            STORE,
            _function(work),
            lambda: Store.transact(self, work),
            lambda: Store.transact(self, lambda connection: _cut(work, connection)),
            self._fresh,
        )

    def read(self, work: Callable[[Connection], T]) -> T:
        self._wires.check()
        return super().read(work)

    def _fresh(self) -> str:
        """The states, proofs and frames that stand since the last commit."""
        now = super().read(power._marks)
        fresh, self._known = sorted(now - self._known), now
        return ", ".join(fresh)


def _cut(work: Callable[[Connection], object], connection: Connection) -> None:
    work(connection)
    raise PowerCut


def _function(work: Callable[..., object]) -> str:
    """``module.function`` of whoever wants the transaction."""
    function = work.__qualname__.split(".<locals>")[0].rpartition(".")[2]
    return f"{work.__module__.rpartition('.')[2]}.{function.lstrip('_')}"
