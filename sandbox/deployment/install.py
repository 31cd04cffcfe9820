"""Puts the product under ``app/``: services run from there, never from somebody's checkout.

Two halves, each with a digest of what it was made from, so that the second time costs a read: the virtual environment
(from ``locks/host.lock``, hashes required, no index asked) and the code. ``installed.json`` names a half only when it
is whole: an install that was cut off is made again.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.deployment.files import read_json, write_json
from sandbox.deployment.places import Places
from sandbox.errors import SandboxError

#: The system's Python: service users can run it wherever the checkout's environment came from.
SYSTEM_PYTHON = Path("/usr/bin/python3")
LOCK = Path("locks") / "host.lock"
FOLDERS = ("sandbox", "configs", "recipes", "docker", "locks")
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where an installation is made from: a checkout (or an installation itself), and its wheelhouse."""

    root: Path
    wheels: Path

    @classmethod
    def running(cls, environ: Mapping[str, str]) -> Source:
        """The one this very code lies in."""
        cache = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/root")) / ".cache")
        wheels = environ.get("VOICE_SANDBOX_WHEELS") or str(Path(cache) / "voice-sandbox" / "wheels")
        return cls(Path(__file__).resolve().parents[2], Path(wheels))


def install(places: Places, source: Source, say: Say) -> bool:
    """Bring ``app/`` up to ``source``; returns whether anything changed. May run twice.

    Raises SandboxError when a wheel is missing or does not fit its hash.
    """
    if source.root == places.app:
        return False
    lock = _digest_file(source.root / LOCK)
    code = code_digest(source.root)
    found = read_json(places.installed)
    changed = False
    if found.get("venv") != lock or not places.python.exists():
        say("installing the services' Python packages")
        write_json(places.installed, {"code": found.get("code", "")})
        _venv(places, source)
        changed = True
    if found.get("code") != code:
        write_json(places.installed, {"venv": lock})
        _code(places, source)
        changed = True
    write_json(places.installed, {"venv": lock, "code": code})
    return changed


def differs(places: Places, source: Source) -> bool:
    """Whether :func:`install` would change something."""
    if source.root == places.app:
        return False
    found = read_json(places.installed)
    return (found.get("venv"), found.get("code")) != (
        _digest_file(source.root / LOCK),
        code_digest(source.root),
    )


def code_digest(root: Path) -> str:
    """One digest of every file that is copied: names and bytes."""
    total = hashlib.sha256()
    for path in _files(root):
        total.update(f"{path.relative_to(root)}\0{_digest_file(path)}\n".encode())
    return total.hexdigest()


def fetch(source: Source, house: str) -> Path:
    """The wheelhouse for ``host`` or ``runner``, fetched by the checkout's own script where it is not whole.

    Raises SandboxError when there is none and nothing here to fetch it with.
    """
    wheels = source.wheels / house
    script = source.root / "setup" / "wheels.sh"
    if script.is_file():  # knows by a stamp when there is nothing to do
        _run(["sh", str(script), house], f"could not fetch the {house}'s wheels")
    if not wheels.is_dir():
        mend = "make, in a checkout, fetches them"
        raise SandboxError(f"no wheels at {wheels}", code="install.no_wheels", mend=mend)
    return wheels


def _files(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for base, names, files in os.walk(root / folder):
            names[:] = sorted(name for name in names if name not in _LEFT_OUT)
            for name in sorted(files):
                path = Path(base) / name
                if path.is_file() and not path.is_symlink() and not name.endswith(".pyc"):
                    yield path


def _code(places: Places, source: Source) -> None:
    """Copy beside, then swap folder by folder: a service that starts meanwhile finds old or new, never half a file."""
    beside = places.app / ".new"
    shutil.rmtree(beside, ignore_errors=True)
    for path in _files(source.root):
        target = beside / path.relative_to(source.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    _readable(beside)
    compileall.compile_dir(beside / "sandbox", quiet=2, stripdir=str(beside), prependdir=str(places.app))
    for folder in FOLDERS:
        shutil.rmtree(places.app / folder, ignore_errors=True)
        if (beside / folder).is_dir():
            (beside / folder).rename(places.app / folder)
    shutil.rmtree(beside)


def _readable(root: Path) -> None:
    for base, _, _ in os.walk(root):
        Path(base).chmod(0o755)


def _venv(places: Places, source: Source) -> None:
    wheels = fetch(source, "host")
    shutil.rmtree(places.venv, ignore_errors=True)
    _run([str(SYSTEM_PYTHON), "-m", "venv", str(places.venv)], "could not make a virtual environment")
    pip = [
        str(places.python),
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "-q",
        "--no-index",
    ]
    pip += ["--no-deps", "--require-hashes", "--find-links", str(wheels), "-r", str(source.root / LOCK)]
    _run(pip, "could not install the services' packages")


def _run(command: list[str], fault: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise SandboxError(f"{fault}: {said[-1][:300] if said else done.returncode}", code="install.failed")


def _digest_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise SandboxError(
            f"{path} is missing", code="install.incomplete", mend="use a whole checkout"
        ) from None
