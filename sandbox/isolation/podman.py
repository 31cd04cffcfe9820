"""Podman: the default engine. Rootful it maps the container's ids; rootless the user namespace is its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.profile import INSPECTED, container_name, shared
from sandbox.isolation.spec import LABEL, MAPPED, MAPPED_FROM, STATE_LABEL, Spec

#: Paths of /proc that tell of the host; Podman masks some itself, these are added.
MASKED = "/proc/kallsyms:/proc/modules:/proc/version:/proc/cpuinfo_extra:/proc/diskstats:/proc/swaps"


@dataclass(frozen=True)
class Podman:
    """Command lines of Podman 4 and later."""

    seccomp: Path
    containers_conf: Path
    binary: str = "podman"

    name = "podman"

    @property
    def environment(self) -> dict[str, str]:
        return {"CONTAINERS_CONF": str(self.containers_conf)}

    def run(self, spec: Spec, state: str) -> list[str]:
        options = shared(spec, state, str(self.seccomp), ",notmpcopyup")
        options += [
            "--no-hosts",
            "--image-volume=ignore",
            "--read-only-tmpfs=false",
            f"--security-opt=mask={MASKED}",
        ]
        if os.getuid() == 0:
            options += [f"--uidmap=0:{MAPPED_FROM}:{MAPPED}", f"--gidmap=0:{MAPPED_FROM}:{MAPPED}"]
        for target, source in spec.mounts.items():
            options.append(f"--volume={source}:{target}:ro,nosuid,nodev,noexec,rprivate")
        if spec.gpus:  # --gpus is accepted and ignored by Podman; CDI fails loudly
            options.append("--device=nvidia.com/gpu=all")
        return [self.binary, "run", *options, spec.image_id]

    def inspect(self, run: str) -> list[str]:
        return [self.binary, "container", "inspect", "--format", INSPECTED, container_name(run)]

    def listing(self, state: str) -> list[str]:
        shown = f'{{{{index .Labels "{LABEL}"}}}} {{{{.ID}}}}'
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
        return [self.binary, "rm", "--force", "--time=0", "--ignore", container]

    def forget(self, image_id: str) -> list[str]:
        return [self.binary, "rmi", image_id]
