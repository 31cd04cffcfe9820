"""`sandbox doctor`: what is missing or broken on this machine, and what mends it. Looks only; changes nothing."""

# ruff: noqa: ARG001 - every check has the same signature
from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.deployment import (
    board,
    containers,
    health,
    layout,
    requirements,
    storage_keys,
    users,
    vault_login,
)
from sandbox.deployment.backup import keys
from sandbox.deployment.files import read_json
from sandbox.deployment.locks import holder
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings, taken
from sandbox.errors import SandboxError
from sandbox.policy.registers import IMAGES
from sandbox.policy.second_factor import totp_required
from sandbox.runs import utc

#: Below this, sealing or Vault's audit may stop: Vault answers nothing when its audit file cannot be written.
DISK_FREE_MIN = 5 << 30


@dataclass(frozen=True)
class Finding:
    """One check: ``level`` is ok, note (worth knowing) or bad (mend it)."""

    check: str
    level: str
    says: str
    mend: str = ""


Check = Callable[[Places, Settings], Iterator[Finding]]


def examine(places: Places) -> list[Finding]:
    """Every check, each on its own: one that fails itself is a finding, not an end."""
    settings = Settings.read(places)
    found: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            found += check(places, settings)
        except (SandboxError, OSError, subprocess.SubprocessError) as fault:
            found.append(Finding(name, "bad", f"could not be checked: {_said(fault)}"))
    return found


def _said(fault: Exception) -> str:
    """What a program that failed said itself; its whole command line helps nobody."""
    if not isinstance(fault, subprocess.CalledProcessError):
        return str(fault)
    told = str(fault.stderr or fault.stdout or "").strip().splitlines()
    return f"{' '.join(map(str, fault.cmd[:2]))} ended with {fault.returncode}: {told[-1][:160] if told else 'no word'}"


def _machine(places: Places, settings: Settings) -> Iterator[Finding]:
    lacking = requirements.missing(settings.engine)
    for need in lacking:
        says = f"{need.purpose} is missing: no {need.program}"
        yield Finding("machine", "bad", says, f"apt-get install {need.package}")
    if not lacking:
        yield Finding("machine", "ok", f"{settings.engine} and its programs are here")
    if os.getuid() != 0:
        yield Finding("machine", "note", users.ALONE, "run it as root")
    yield from _swap(places)


def _engine(places: Places, settings: Settings) -> Iterator[Finding]:
    if not shutil.which(settings.engine):
        return
    done = _ask([settings.engine, "info"])
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1][:160]
        yield Finding(
            "engine", "bad", f"{settings.engine} does not answer: {said}", f"{settings.engine} info"
        )
        return
    yield Finding("engine", "ok", f"{settings.engine} answers")
    if image := str(read_json(places.public).get("image_id", "")):
        present = _ask([settings.engine, "image", "inspect", image]).returncode == 0
        if present:
            yield Finding("image", "ok", f"runner image {image[:19]} is here")
        else:
            yield Finding(
                "image", "bad", f"runner image {image[:19]} is gone", "sandbox down, then sandbox up"
            )
    yield from _orphans(places, settings)


def _orphans(places: Places, settings: Settings) -> Iterator[Finding]:
    """Containers with our label while no gate runs: nobody watches them. Before the first ``up`` there is none."""
    if not places.app.is_dir():
        return
    names = [entry.run for entry in containers.live(places, settings)]
    if names and not health.answers_http(places.gate_socket):
        mend = "sandbox up settles them, sandbox down ends them"
        yield Finding("containers", "bad", f"{len(names)} run without a gate: {', '.join(names[:5])}", mend)
    else:
        yield Finding("containers", "ok", f"{len(names)} live, watched by the gate" if names else "no orphan")


def _permissions(places: Places, settings: Settings) -> Iterator[Finding]:
    if not places.run.is_dir():
        yield Finding("state", "note", f"nothing is set up at {places.state}", "sandbox up")
        return
    if places.run.stat().st_uid != os.getuid():
        yield Finding("state", "note", "owned by another Unix user: only they can check its permissions")
        return
    wrong = layout.wrong(layout.rooms(places, users.present()))
    for says in wrong:
        yield Finding("permissions", "bad", says, "sandbox down, then sandbox up")
    if not wrong:
        yield Finding("permissions", "ok", "every directory has its owner and mode")
    if places.first_login.exists():
        says = f"the first person's password still lies in {places.first_login}"
        yield Finding(
            "first login", "note", says, "sandbox login NAME --new-password --enrol, then delete the file"
        )


def _services(places: Places, settings: Settings) -> Iterator[Finding]:
    if not holder(places.supervisor_lock):
        yield Finding("services", "note", "nothing runs", "sandbox up")
        yield from _ports(settings)
        return
    for name, found in board.read(places).get("services", {}).items():
        if found["state"] == "ready":
            again = f", restarted {found['restarts']} times" if found["restarts"] else ""
            yield Finding(name, "ok", f"ready as {found['user']}, pid {found['pid']}{again}")
        else:
            yield Finding(
                name, "bad", f"{found['state']}: {found['fault'] or 'not ready yet'}", f"read {found['log']}"
            )


def _ports(settings: Settings) -> Iterator[Finding]:
    for what, port, option in (
        ("Vault", settings.vault_port, "--vault-port"),
        ("web", settings.web_port, "--web-port"),
    ):
        if taken(port):
            yield Finding(
                "ports", "bad", f"port {port} ({what}) is taken by another program", f"sandbox up {option} 0"
            )


def _disk(places: Places, settings: Settings) -> Iterator[Finding]:
    at = next(path for path in (places.state, *places.state.parents) if path.exists())
    for what, path in (("state", at), ("Vault's audit", places.audit if places.audit.exists() else at)):
        free = shutil.disk_usage(path).free
        level = "ok" if free >= DISK_FREE_MIN else "bad"
        mend = (
            ""
            if level == "ok"
            else "make room: with a full audit disk Vault answers nothing, revocation included"
        )
        yield Finding("disk", level, f"{free / 1e9:.1f} GB free for {what}", mend)


def _vault(places: Places, settings: Settings) -> Iterator[Finding]:
    if not holder(places.supervisor_lock):
        return
    seen = health.vault(settings.vault_port, places.ca)
    if not seen:
        yield Finding("vault", "bad", "does not answer", f"read {places.vault}/vault.log")
    elif seen.get("sealed"):
        yield Finding("vault", "bad", "is sealed", "sandbox down, then sandbox up: it unseals itself")
    else:
        yield Finding("vault", "ok", f"unsealed, version {seen.get('version', 'unknown')}")
    for name, days in health.expiries(places).items():
        level = "bad" if days < 3 else "note" if days < 30 else "ok"
        yield Finding(
            "expiry",
            level,
            f"{name} ends in {days:.0f} days",
            "sandbox up renews it" if level != "ok" else "",
        )


def _logins(places: Places, settings: Settings) -> Iterator[Finding]:
    """When gate and custodian log in again. A service whose login ended restarts."""
    if not holder(places.supervisor_lock):
        return
    if vault_login.held(places.gate_private):
        yield Finding(
            "login", "note", "the gate has none since everything was stopped", "sandbox incident resume ID"
        )
    for name, hours in health.logins(places).items():
        if hours > 0:
            yield Finding("login", "ok", f"the {name}'s at Vault ends in {hours:.1f} h unless it is renewed")
        elif name != "gate" or not vault_login.held(places.gate_private):
            says = f"the {name}'s at Vault ended {-hours:.1f} h ago"
            yield Finding("login", "bad", says, "sandbox down, then sandbox up")


def _approved(places: Places, settings: Settings) -> Iterator[Finding]:
    """Whether a reviewer ever said a word of the runner image: until then no run starts. Its rules are the gate's."""
    image = str(read_json(places.public).get("image_id", ""))
    said = (
        envelope.read_bytes() for envelope in (places.gate_private / "registers" / IMAGES).glob("*.dsse.json")
    )
    if image and not any(image.encode() in b64decode(json.loads(data)["payload"]) for data in said):
        says = f"no reviewer approved the runner image {image[:19]}: no run starts"
        yield Finding("image", "note", says, "a reviewer who is no operator: sandbox image review")


def _backups(places: Places, settings: Settings) -> Iterator[Finding]:
    """Whether the seal key has a copy elsewhere, and whether a backup outlived what certificates say of it."""
    if (
        not places.run.is_dir()
        or places.run.stat().st_uid != os.getuid()
        or not (places.vault / "raft").is_dir()
    ):
        return
    try:
        now = keys.present(places).digest
    except SandboxError as fault:
        yield Finding("seal key", "bad", fault.message, "restore it from its copy: without it all is lost")
        return
    copies = keys.noted(places, "keys")
    present = [copy for copy in copies if copy.get("digest") == now and Path(str(copy["path"])).exists()]
    for copy in copies:
        if copy not in present:
            yield Finding("seal key", "note", f"its copy is not at {copy['path']} now, or is another's")
    if present:
        yield Finding("seal key", "ok", f"a copy lies at {present[-1]['path']}")
    else:
        says = "it has no copy here: where this disk is lost, everything sealed is lost"
        yield Finding("seal key", "note", says, "sandbox backup key FILE, then keep the file elsewhere")
    for made in keys.noted(places, "backups"):
        if Path(str(made["path"])).exists() and str(made["expires_at"]) <= utc(datetime.now(UTC)):
            says = f"{made['path']} should be gone since {made['expires_at']}: certificates of erasure say so"
            yield Finding("backup", "bad", says, f"rm -r {made['path']}")


def _storage(places: Places, settings: Settings) -> Iterator[Finding]:
    for level, says, mend in storage_keys.look(places):
        yield Finding("storage", level, says, mend)


def _identity(places: Places, settings: Settings) -> Iterator[Finding]:
    """Whether whoever does what cannot be taken back must hold a second factor."""
    file = places.app / "configs" / "gate.yaml"
    if file.exists() and not totp_required(file):
        says = "codes are asked only of those who enrolled a second factor: anybody else kills and erases without"
        yield Finding("identity", "note", says, f"totp: required in {file}")


CHECKS: dict[str, Check] = {
    "machine": _machine,
    "engine": _engine,
    "permissions": _permissions,
    "services": _services,
    "vault": _vault,
    "logins": _logins,
    "approved": _approved,
    "backups": _backups,
    "disk": _disk,
    "storage": _storage,
    "identity": _identity,
}


def _ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def _swap(places: Places, listing: Path = Path("/proc/swaps")) -> Iterator[Finding]:
    """A run's container has no swap; the custodian, which opens recordings, is out of it while its memory is locked."""
    try:
        lines = [line.split()[0] for line in listing.read_text().splitlines()[1:] if line.strip()]
    except OSError:
        return
    on_disk = [name for name in lines if not name.startswith("/dev/zram")]  # that is memory, compressed
    pid = board.read(places).get("services", {}).get("custodian", {}).get("pid", 0)
    if on_disk and not _locked(pid):
        says = f"swap is on ({', '.join(on_disk)}): memory of the custodian may reach the disk"
        yield Finding("machine", "note", says, "swapoff -a, or sandbox up as root, which locks that memory")


def _locked(pid: int) -> bool:
    """Whether a process has memory locked; VmLck of ``/proc/PID/status``."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[1] != "0" for line in lines if line.startswith("VmLck:"))
