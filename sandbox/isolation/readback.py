"""What the kernel shows of a container, read from ``/proc`` by somebody who may: the only description that counts.

``inspect`` repeats what was asked; an engine may ignore an option with a warning, or without (ISOLATION.md). So the
launcher reads the first process's own state and the gate compares it with the spec, property by property.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import EngineError
from sandbox.isolation import cgroups
from sandbox.isolation.spec import Spec, expected

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
SECCOMP = {0: "off", 1: "strict", 2: "filter"}
_LIMITS = {
    "Max core file size": "core dump bytes",
    "Max open files": "open files",
    "Max processes": "processes of the user",
    "Max locked memory": "locked memory bytes",
}
#: Mounts that every container has; what they are is fixed by the engine, what they may hold by the kernel.
_SYSTEM = ("/proc", "/sys", "/dev")
#: Small files that an engine binds over the image's own; read-only like everything else, or they are "writable mounts".
_ENGINE_FILES = (
    "/etc/group",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/run/.containerenv",
)
#: What engines add to the first process's environment.
_ENGINE_NAMES = {"TERM", "container"}


@dataclass(frozen=True)
class Mismatch:
    """A property that is not what the spec asks for."""

    name: str
    expected: object
    seen: object

    def __str__(self) -> str:
        return f"{self.name}: {self.seen!r}, expected {self.expected!r}"


def compare(spec: Spec, seen: Mapping[str, Any]) -> list[Mismatch]:
    """Every difference; a property that is missing or that nobody asked for is one too."""
    wanted = expected(spec)
    plain = {name: _plain(value) for name, value in seen.items()}
    names = [*wanted, *(name for name in plain if name not in wanted)]
    return [
        Mismatch(name, wanted.get(name), plain.get(name))
        for name in names
        if name not in wanted or name not in plain or _plain(wanted[name]) != plain[name]
    ]


def _plain(value: Any) -> Any:
    """Lists as tuples: the values cross a socket as JSON."""
    return tuple(_plain(item) for item in value) if isinstance(value, list | tuple) else value


def read(pid: int, proc: Path = Path("/proc")) -> dict[str, object]:
    """Property -> value of the container whose first process is ``pid`` on the host.

    Raises:
        EngineError: the process is gone or not ours to read.
    """
    try:
        own = proc / str(pid)
        mounts = parse_mounts((own / "mountinfo").read_text())
        return {
            **parse_status((own / "status").read_text()),
            "own namespaces": _own_namespaces(own, proc / "self"),
            "network interfaces": parse_interfaces((own / "net/dev").read_text()),
            "routes": parse_routes((own / "net/route").read_text()),
            **describe_mounts(mounts),
            **cgroups.read((own / "cgroup").read_text()),
            **parse_limits((own / "limits").read_text()),
            "command": _words((own / "cmdline").read_bytes()),
            "environment": environment_names((own / "environ").read_bytes()),
        }
    except OSError:
        raise EngineError("the container's first process cannot be read: it is gone, or not ours") from None


def parse_status(text: str) -> dict[str, object]:
    """Identity, capabilities and filters from ``/proc/PID/status``."""
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}
    capabilities = {
        "inheritable": "CapInh",
        "permitted": "CapPrm",
        "effective": "CapEff",
        "bounding": "CapBnd",
        "ambient": "CapAmb",
    }
    return {
        "uid": tuple(int(value) for value in fields["Uid"]),
        "gid": tuple(int(value) for value in fields["Gid"]),
        "groups": tuple(int(value) for value in fields["Groups"] if value != fields["Gid"][0]),
        **{f"capabilities {name}": int(fields[key][0], 16) for name, key in capabilities.items()},
        "no new privileges": fields["NoNewPrivs"] == ["1"],
        "seccomp": SECCOMP.get(int(fields["Seccomp"][0]), "unknown"),
    }


def parse_interfaces(text: str) -> tuple[str, ...]:
    """Names in ``/proc/PID/net/dev``, after its two lines of heading."""
    return tuple(sorted(line.partition(":")[0].strip() for line in text.splitlines()[2:] if ":" in line))


def parse_routes(text: str) -> tuple[str, ...]:
    """Destinations in ``/proc/PID/net/route``."""
    return tuple(line.split()[1] for line in text.splitlines()[1:] if line.split())


@dataclass(frozen=True)
class MountEntry:
    """One line of mountinfo: where, how (flags of mount and of file system), what kind."""

    target: str
    flags: frozenset[str]
    kind: str
    super_options: Mapping[str, str]

    @property
    def writable(self) -> bool:
        return "ro" not in self.flags and "ro" not in self.super_options


def parse_mounts(text: str) -> list[MountEntry]:
    """``/proc/PID/mountinfo`` (proc(5))."""
    entries = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, more = left.split(" "), right.split(" ")
        options = {name: value for name, _, value in (item.partition("=") for item in more[2].split(","))}
        entries.append(MountEntry(fields[4], frozenset(fields[5].split(",")), more[0], options))
    return entries


def describe_mounts(entries: list[MountEntry]) -> dict[str, object]:
    """Root, what was bound in, what can be written, and the two scratch file systems."""
    last = {entry.target: entry for entry in entries}
    bound = tuple(sorted(t for t in last if t not in ("/", "/tmp", *_ENGINE_FILES) and not _system(t)))  # noqa: S108
    devices = tuple(
        sorted(t for t, entry in last.items() if t.startswith("/dev/") and entry.kind == "devtmpfs")
    )
    writable = tuple(
        sorted(t for t, entry in last.items() if entry.writable and not _masked(entry) and t not in devices)
    )
    tmp, shm = last.get("/tmp"), last.get("/dev/shm")  # noqa: S108
    return {
        "root file system": "writable" if "/" not in last or last["/"].writable else "read-only",
        "mounts": bound
        if all(not last[t].writable for t in bound)
        else ("a bound mount is writable", *bound),
        "writable mounts": writable,
        "devices": devices,
        "scratch": _scratch(tmp),
        "shared memory bytes": _size(shm),
    }


def _system(target: str) -> bool:
    return any(target == place or target.startswith(f"{place}/") for place in _SYSTEM)


def _masked(entry: MountEntry) -> bool:
    """An engine hides a path of /proc under an empty device or an empty tmpfs of its own."""
    return entry.target.startswith(("/proc/", "/sys/")) and entry.kind in ("devtmpfs", "tmpfs")


def _scratch(entry: MountEntry | None) -> tuple[object, ...]:
    if entry is None or entry.kind != "tmpfs":
        return ()
    return (*sorted(entry.flags & {"noexec", "nosuid", "nodev"}), _size(entry))


def _size(entry: MountEntry | None) -> int | None:
    """Bytes that a tmpfs may hold; the kernel writes ``size=64k``."""
    text = entry.super_options.get("size", "") if entry is not None else ""
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    if not text:
        return None
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def parse_limits(text: str) -> dict[str, object]:
    """Soft and hard limit of ``/proc/PID/limits`` as one number; a tuple where they differ."""
    found: dict[str, object] = {}
    for line in text.splitlines():
        for title, name in _LIMITS.items():
            if line.startswith(title):
                soft, hard = line[len(title) :].split()[:2]
                values = tuple(int(v) if v.isdigit() else v for v in (soft, hard))
                found[name] = values[0] if values[0] == values[1] else values
    return found


def _own_namespaces(own: Path, host: Path) -> tuple[str, ...]:
    return tuple(n for n in NAMESPACES if (own / "ns" / n).readlink() != (host / "ns" / n).readlink())


def environment_names(data: bytes) -> tuple[str, ...]:
    """Sorted names in ``/proc/PID/environ``, without the engine's own."""
    return tuple(sorted({word.split("=", 1)[0] for word in _words(data)} - _ENGINE_NAMES))


def _words(data: bytes) -> tuple[str, ...]:
    return tuple(word.decode("utf-8", "replace") for word in data.split(b"\0") if word)
