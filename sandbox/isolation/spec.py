"""The isolation of one run, as data (ISOLATION.md, "The profile, as data"). Pure.

A :class:`Spec` is all that the gate may ask of an engine: there is no field for an argument, an environment variable,
a device or a writable mount, so none can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.runs import DATA, DOORS, INPUTS, RECIPE
from sandbox.statements import canonical_json, sha256

USER = 65532  # uid and gid inside the container
MAPPED_FROM = 200_000  # first host id of the user map, where the engine is rootful
MAPPED = 65_536
TMP = "/tmp"  # noqa: S108 - the container's own, a tmpfs
COMMAND = ("/opt/venv/bin/python", "-m", "sandbox.runner")
LABEL = "voice-sandbox.run"
STATE_LABEL = "voice-sandbox.state"
MIB = 1 << 20


@dataclass(frozen=True)
class Spec:
    """``doors``, ``data``, ``recipe`` and ``inputs`` are absolute host paths, mounted read-only; None: not mounted."""

    run: str
    image_id: str
    doors: str
    recipe: str
    data: str | None = None
    inputs: str | None = None
    engine: str = "podman"
    cpus: float = 2.0
    memory_bytes: int = 8 << 30
    gpus: int = 0
    pids: int = 256
    tmpfs_bytes: int = 256 * MIB
    shm_bytes: int = 64 << 10
    nofile: int = 8192
    nproc: int = 4096

    def __post_init__(self) -> None:
        """Raises Usage for what no engine should be asked."""
        check_id("run", self.run)
        check_id("sha256", self.image_id)
        if self.engine not in ("podman", "docker"):
            raise Usage(f"no engine {self.engine!r}", mend="engine: podman or docker")
        for path in self.mounts.values():
            pure = PurePosixPath(path)
            if not pure.is_absolute() or ".." in pure.parts or any(mark in path for mark in ",:\n"):
                raise Usage(f"a mount's source must be a plain absolute path, not {path!r}")
        if not (0 < self.cpus <= 1024 and 64 * MIB <= self.memory_bytes <= 1 << 44):
            raise Usage("cpus and memory must be positive and possible")
        if not (0 <= self.gpus <= 64 and 8 <= self.pids <= 4096 and MIB <= self.tmpfs_bytes <= 1 << 32):
            raise Usage("gpus, pids or tmpfs size out of range")

    @property
    def mounts(self) -> Mapping[str, str]:
        """Target in the container -> source on the host; all read-only."""
        wanted = {DOORS: self.doors, DATA: self.data, RECIPE: self.recipe, INPUTS: self.inputs}
        return {target: source for target, source in wanted.items() if source is not None}

    @property
    def mapped(self) -> bool:
        """Whether the engine maps ids into a user namespace of the container's own (Docker refuses to)."""
        return self.engine == "podman"

    def digest(self) -> str:
        """sha256 of the canonical spec; stands in the grant."""
        return sha256(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spec:
        """Raises Usage when a field is missing, unknown or of another type."""
        try:
            data = dict(value)
            for name in ("run", "image_id", "doors", "recipe", "engine"):
                if not isinstance(data[name], str):
                    raise TypeError
            return cls(**{**data, "cpus": float(data["cpus"]), "memory_bytes": int(data["memory_bytes"])})
        except (KeyError, TypeError, ValueError):
            raise Usage("not an isolation spec") from None


def expected(spec: Spec) -> dict[str, object]:
    """Property -> value that the kernel must show."""
    mapped = spec.mapped
    host = USER + (MAPPED_FROM if mapped else 0)
    values: dict[str, object] = {
        "uid": (host,) * 4,
        "gid": (host,) * 4,
        "groups": (),
        "capabilities inheritable": 0,
        "capabilities permitted": 0,
        "capabilities effective": 0,
        "capabilities bounding": 0,
        "capabilities ambient": 0,
        "no new privileges": True,
        "seccomp": "filter",
        "own namespaces": ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts") if mapped else
                          ("cgroup", "ipc", "mnt", "net", "pid", "uts"),
        "network interfaces": ("lo",),
        "routes": (),
        "root file system": "read-only",
        "mounts": tuple(sorted(spec.mounts)),
        "writable mounts": ("/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/proc", TMP),  # noqa: S108
        "devices": tuple(f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")),
        "scratch": ("nodev", "noexec", "nosuid", spec.tmpfs_bytes),
        "shared memory bytes": spec.shm_bytes,
        "memory bytes": spec.memory_bytes,
        "memory and swap bytes": spec.memory_bytes,
        "processes": spec.pids,
        "processors": spec.cpus,
        "core dump bytes": 0,
        "open files": spec.nofile,
        "processes of the user": spec.nproc,
        "locked memory bytes": 0,
        "command": COMMAND,
        "environment": ENVIRONMENT,
    }  # fmt: skip
    return values


#: Names in the first process's environment: the image's and the engine's own; a value never carries a secret.
ENVIRONMENT = (
    "HOME", "HOSTNAME", "LANG", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH",
    "PYTHONSAFEPATH", "PYTHONUNBUFFERED",
)  # fmt: skip
