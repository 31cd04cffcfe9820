"""A keeper that opens its order, speaks through its real door and seals real artifacts; what it says is a script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sandbox.errors import Unreachable
from sandbox.frames import PIECE_BYTES
from sandbox.runner.door import Door
from sandbox.runner.unlock import NEW_KEY, OPEN_KEY
from sandbox.runs import EVENTS_SOCKET, SAFETENSORS, Grant, Order
from sandbox.sealing.artifacts import ArtifactHeader, open_artifact, seal_artifact
from sandbox.statements import PublicKey, open_statement
from sandbox.vault.session import ArtifactKey
from tests.fakes.engine import Container
from tests.fakes.vault import FakeVault

SLICE_S = 0.05
Script = Callable[["Keeper"], None]


class Keeper:
    """One container's life. Every method raises Gone once the container was killed."""

    def __init__(
        self, container: Container, vault: FakeVault, keys: list[PublicKey], patience_s: float
    ) -> None:
        self._container, self._vault, self._keys, self._patience_s = container, vault, keys, patience_s
        self.grant: Grant
        self.keys: dict[str, ArtifactKey] = {}
        self.inputs: dict[str, bytes] = {}

    def take_order(self) -> None:
        """Verify the grant, knock at the door."""
        self.order = Order.from_bytes(self._container.read_order())
        signed = open_statement(self.order.grant, "grant", self._keys)
        self.grant = Grant.from_predicate(signed.predicate)
        path = str(Path(self._container.spec.doors, EVENTS_SOCKET))
        self.door = Door(path, self.grant.run, signed.digest, self._patience_s)
        self._container.closing = self.door.close
        self.door.open()

    def unlock(self) -> None:
        """Open every wrap, give the credential back, say so."""
        self._container.check()
        order, grant = self.order, self.grant
        with closing(self._vault.session(None if order.unlock is None else order.unlock.token)) as session:
            for path, wrap in order.artifacts.items():
                self.keys[path] = session.unwrap_artifact_key(wrap.token, NEW_KEY + grant.agreement)
            for item in grant.inputs:
                if item.public:
                    self.inputs[item.path] = Path(self._container.spec.inputs or "", item.path).read_bytes()
                    continue
                key = session.unwrap_artifact_key(
                    order.inputs[item.path].token, OPEN_KEY + grant.agreement
                ).key
                sealed = Path(self._container.spec.inputs or "", item.path).read_bytes()
                self.inputs[item.path] = open_artifact(sealed, key)
            if order.unlock is not None:
                session.revoke_self()
        self.say("unlocked", subjects=len(grant.subjects), seconds=0.1)

    def wait_for_go(self) -> None:
        self._patiently(self.door.wait_for_go)

    def say(self, kind: str, **body: Any) -> None:
        self._container.check()
        self.door.send(kind, **body)

    def metric(self, step: int, value: float = 0.5, name: str = "loss") -> None:
        self.say("metric", name=name, step=step, value=value)

    def artifact(self, path: str, step: int, plain: bytes) -> bytes:
        """Seal and send it; the sealed bytes."""
        sealed = self.seal(path, step, plain)
        self.send(path, step, sealed)
        return sealed

    def seal(self, path: str, step: int, plain: bytes, **changes: Any) -> bytes:
        media = next((a.media_type for a in self.grant.artifacts if a.path == path), SAFETENSORS)
        said: dict[str, Any] = {
            "run": self.grant.run,
            "grant": self.grant.grant,
            "agreement": self.grant.agreement,
            "path": path,
            "step": step,
            "media_type": media,
            "wrapped_key": self.keys[path].wrapped,
            "length": len(plain),
            **changes,
        }
        return seal_artifact(ArtifactHeader(**said), self.keys[path].key, plain)

    def send(self, path: str, step: int, sealed: bytes, media_type: str = SAFETENSORS) -> None:
        digest = hashlib.sha256(sealed).hexdigest()
        self.say("artifact", path=path, step=step, media_type=media_type, size=len(sealed), sha256=digest)
        half = min(PIECE_BYTES, max(1, len(sealed) // 2))
        for offset in range(0, len(sealed), half):
            self.say("piece", path=path, offset=offset, data=sealed[offset : offset + half])

    def finish(self) -> None:
        self.say("end")
        self.say("done")
        self._patiently(self.door.flush)
        self.door.close()

    def _patiently(self, wait: Callable[[float], None]) -> None:
        while True:
            self._container.check()
            try:
                return wait(SLICE_S)
            except Unreachable:
                if self.door.lost:
                    raise


def behaving(
    vault: FakeVault, keys: list[PublicKey], script: Script, patience_s: float = 60.0
) -> Callable[[Container], None]:
    """The program of a container whose keeper follows ``script``."""

    def behave(container: Container) -> None:
        script(Keeper(container, vault, keys, patience_s))

    return behave


def trains(keeper: Keeper) -> None:
    """Learns a little and leaves two sealed models."""
    begin(keeper)
    for artifact in keeper.grant.artifacts:
        step = artifact.steps[0] if artifact.steps else 0
        keeper.metric(step)
        keeper.artifact(artifact.path, step, json.dumps([keeper.grant.run, step]).encode())
    keeper.finish()


def begin(keeper: Keeper) -> None:
    """As far as a recipe may run."""
    keeper.take_order()
    keeper.unlock()
    keeper.wait_for_go()


def then(*steps: Script) -> Script:
    """One after the other."""

    def script(keeper: Keeper) -> None:
        for step in steps:
            step(keeper)

    return script
