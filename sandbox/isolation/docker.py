"""Docker: by setting. Only the launcher's user may have its socket; no engineer is ever in its group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.profile import INSPECTED, container_name, shared
from sandbox.isolation.spec import LABEL, STATE_LABEL, Spec


@dataclass(frozen=True)
class Docker:
    """Command lines of Docker 20.10 and later. It refuses ``--uidmap``, so ids are the host's."""

    seccomp: Path
    binary: str = "docker"

    name = "docker"

    def run(self, spec: Spec, state: str) -> list[str]:
        options = [*shared(spec, state, str(self.seccomp)), "--dns=192.0.2.0"]
        for target, source in spec.mounts.items():
            options.append(f"--mount=type=bind,src={source},dst={target},readonly")
        if spec.gpus:
            options.append(f"--gpus={spec.gpus}")
        return [self.binary, "run", *options, f"sha256:{spec.image_id}"]

    def inspect(self, run: str) -> list[str]:
        return [self.binary, "container", "inspect", "--format", INSPECTED, container_name(run)]

    def listing(self, state: str) -> list[str]:
        shown = f'{{{{.Label "{LABEL}"}}}} {{{{.ID}}}}'
        return [
            self.binary,
            "ps",
            "--all",
            "--no-trunc",
            f"--filter=label={STATE_LABEL}={state}",
            "--format",
            shown,
        ]

    def kill(self, container: str) -> list[str]:
        return [self.binary, "kill", "--signal=KILL", container]

    def remove(self, container: str) -> list[str]:
        return [self.binary, "rm", "--force", container]

    def forget(self, image_id: str) -> list[str]:
        return [self.binary, "rmi", f"sha256:{image_id}"]
