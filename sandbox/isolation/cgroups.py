"""Limits as the control groups hold them, version 1 (one tree a controller) or 2 (one tree)."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # version 1 writes a huge number where there is no limit


def read(text: str, root: Path = ROOT) -> dict[str, object]:
    """``/proc/PID/cgroup`` -> memory, swap, process and processor limits; None where there is none."""
    places = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            places[controller] = path.lstrip("/")
    if "memory" in places:
        return _version1(places, root)
    return _version2(root / places.get("", ""))


def _version1(places: dict[str, str], root: Path) -> dict[str, object]:
    memory = root / "memory" / places["memory"]
    cpu = root / "cpu" / places.get("cpu", "")
    quota, period = _number(cpu / "cpu.cfs_quota_us"), _number(cpu / "cpu.cfs_period_us")
    limit = _number(memory / "memory.limit_in_bytes")
    # Where the kernel counts no swap there is none to limit; memory alone is the bound.
    with_swap = memory / "memory.memsw.limit_in_bytes"
    return {
        "memory bytes": limit,
        "memory and swap bytes": _number(with_swap) if with_swap.exists() else _no_swap(limit),
        "processes": _number(root / "pids" / places.get("pids", "") / "pids.max"),
        "processors": quota / period if quota and period and quota > 0 else None,
    }


def _version2(group: Path) -> dict[str, object]:
    limit, swap = _number(group / "memory.max"), _number(group / "memory.swap.max")
    quota, _, period = _text(group / "cpu.max").partition(" ")
    return {
        "memory bytes": limit,
        "memory and swap bytes": limit + swap if limit is not None and swap is not None else _no_swap(limit),
        "processes": _number(group / "pids.max"),
        "processors": int(quota) / int(period) if quota.isdigit() and period.isdigit() else None,
    }


def _no_swap(limit: int | None) -> int | None:
    """The memory limit, if this machine has no swap at all."""
    return limit if len(_text(Path("/proc/swaps")).splitlines()) <= 1 else None


def _number(path: Path) -> int | None:
    text = _text(path)
    value = int(text) if text.lstrip("-").isdigit() else None
    return None if value is None or value >= UNLIMITED else value


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
