"""The runner image, built once and keyed by its inputs; pinned by image ID, the digest that stands in every grant.

Three steps, each found again by a tag that names the digest of what it was made from:

1. base       Debian's packages (``docker/base.sh``), or the image that ``BASE_IMAGE`` names
2. libraries  every wheel of the lock, slimmed and stripped: minutes, rarely
3. runner     the container half of the code and this installation's trust anchors: seconds

No build has a network. Same inputs, same image ID, as far as the engine allows (Podman does).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.deployment.places import Places
    from sandbox.deployment.settings import Settings

LOCKS = ("torch.lock", "runner.lock")
LIBRARIES = (*LOCKS, "slim.sh", "strip.py", "libraries.Dockerfile")
NAME = "voice-sandbox"


@dataclass(frozen=True)
class Built:
    """The runner image: its id, and the sha256 of every file that it was made from."""

    id: str
    inputs: Mapping[str, str]


def ensure(places: Places, settings: Settings, note: Callable[[str], None]) -> Built:
    """The runner image of this installation; its id is hex sha256.

    Raises:
        EngineError: no engine, no wheels, or a build failed; the message says which.
    """
    builder = Builder(settings.engine, places.app, Path(settings.wheels) / "runner", note)
    trust, base = places.trust.read_bytes(), os.environ.get("BASE_IMAGE", "")
    return Built(builder.runner(trust, base), builder.inputs(trust, base))


class Builder:
    """Builds with one engine from one source folder (``docker/`` and ``sandbox/`` below it)."""

    def __init__(self, engine: str, source: Path, wheels: Path, note: Callable[[str], None]) -> None:
        self._engine, self._source, self._wheels, self._note = engine, source, wheels, note
        self._docker = source / "docker"
        self._environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        if engine == "podman":
            self._environment["CONTAINERS_CONF"] = str(self._docker / "containers.conf")

    def runner(self, trust: bytes, base_image: str = "") -> str:
        """Image ID of the whole."""
        libraries = self.libraries(base_image)
        sources = container_half((self._docker / "runner.Dockerfile").read_text())
        files = {path: self._source / path for path in _below(self._source, sources)}
        digest = _digest(
            libraries.encode(), trust, *_named(files), (self._docker / "runner.Dockerfile").read_bytes()
        )
        tag = f"{NAME}/runner:{digest[:16]}"
        if found := self._id(tag):
            return found
        self._note("adding the runner to the image")
        with _context(files) as context:
            (context / "trust.json").write_bytes(trust)
            (context / "trust.json").chmod(0o644)
            self._build(
                context, self._docker / "runner.Dockerfile", tag, {"LIBRARIES": self._reference(libraries)}
            )
        return self._built(tag)

    def inputs(self, trust: bytes, base_image: str = "") -> dict[str, str]:
        """sha256 of every file that the image is made from, by its name in the sources: what a reviewer approves.

        ``BASE_IMAGE`` is an image's id; without it the base is made by ``docker/base.sh``.
        """
        names = [f"docker/{name}" for name in (*LIBRARIES, "runner.Dockerfile", "containers.conf")]
        names += _below(self._source, container_half((self._docker / "runner.Dockerfile").read_text()))
        names += [] if base_image else ["docker/base.sh"]
        found = {name: hashlib.sha256((self._source / name).read_bytes()).hexdigest() for name in names}
        found["trust.json"] = hashlib.sha256(trust).hexdigest()
        return {**found, "BASE_IMAGE": self._id(base_image)} if base_image else found

    def libraries(self, base_image: str = "") -> str:
        """Image ID of base and libraries."""
        base = self._id(base_image) if base_image else self.base()
        if not base:
            raise EngineError(
                f"BASE_IMAGE {base_image} is not on this machine", mend=f"{self._engine} pull {base_image}"
            )
        names = LIBRARIES
        tag = f"{NAME}/libraries:{_digest(base.encode(), *((self._docker / n).read_bytes() for n in names))[:16]}"
        if found := self._id(tag):
            return found
        if not (self._wheels / ".complete").exists():
            raise EngineError(f"no wheels in {self._wheels}", mend="sh setup/wheels.sh runner")
        self._note("building the image's libraries (some minutes, once)")
        with _context({name: self._docker / name for name in names}) as context:
            _link_all(self._wheels, context / "wheels")
            self._build(
                context, self._docker / "libraries.Dockerfile", tag, {"BASE_IMAGE": self._reference(base)}
            )
        return self._built(tag)

    def base(self) -> str:
        """Image ID of a Debian base, bootstrapped here."""
        script = self._docker / "base.sh"
        tag = f"{NAME}/base:{_digest(script.read_bytes())[:16]}"
        if found := self._id(tag):
            return found
        self._note("bootstrapping the image's Debian base")
        with tempfile.TemporaryDirectory() as folder:
            tar = Path(folder, "base.tar")
            with open(tar, "wb") as out:
                self._run(["sh", str(script)], stdout=out)
            self._run([self._engine, "import", str(tar), tag])
        return self._built(tag)

    def _build(self, context: Path, dockerfile: Path, tag: str, arguments: Mapping[str, str]) -> None:
        argv = [self._engine, "build", "--network=none", "--file", str(dockerfile), "--tag", tag]
        if self._engine == "podman":
            # no layers: each stage is written once, not after each of its lines (half the time, and no litter)
            argv += ["--timestamp=0", "--pull=never", "--layers=false"]
        for name, value in arguments.items():
            argv.append(f"--build-arg={name}={value}")
        self._run([*argv, str(context)])

    def _reference(self, image: str) -> str:
        return image if self._engine == "podman" else f"sha256:{image}"

    def _id(self, tag: str) -> str:
        argv = [self._engine, "image", "inspect", "--format", "{{.Id}}", tag]
        try:
            done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise EngineError(
                f"{self._engine} is not on this machine", mend=f"install {self._engine}"
            ) from None
        return done.stdout.strip().removeprefix("sha256:") if done.returncode == 0 else ""

    def _built(self, tag: str) -> str:
        found = self._id(tag)
        if not found:
            raise EngineError(f"the build made no image {tag}")
        return found

    def _run(self, argv: list[str], stdout: object = subprocess.PIPE) -> None:
        try:
            done = subprocess.run(
                argv, env=self._environment, stdout=stdout, stderr=subprocess.PIPE, check=False
            )  # type: ignore[call-overload]
        except FileNotFoundError:
            raise EngineError(f"{argv[0]} is not on this machine", mend=f"install {argv[0]}") from None
        if done.returncode != 0:
            said = bytes(done.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-3:]
            raise EngineError(f"{' '.join(argv[:2])} failed: {' | '.join(said)[-400:]}")


def container_half(dockerfile: str) -> list[str]:
    """Sources of the COPY lines that lie in ``sandbox/``."""
    words = [
        word for line in re.findall(r"^COPY (.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]
    ]
    return [word.rstrip("/") for word in words if word.startswith("sandbox")]


def _below(root: Path, names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        path = root / name
        files = path.rglob("*.py") if path.is_dir() else [path]
        found += [str(file.relative_to(root)) for file in files]
    return sorted(found)


def _named(files: Mapping[str, Path]) -> list[bytes]:
    return [part for name, path in sorted(files.items()) for part in (name.encode(), path.read_bytes())]


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


@contextmanager
def _context(files: Mapping[str, Path]) -> Iterator[Path]:
    """A build context that holds these files, readable by all, with one time."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, path in files.items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for path in root.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield root


def _link_all(source: Path, target: Path) -> None:
    """The wheels, linked where the file system allows, else copied."""
    target.mkdir()
    for path in source.glob("*.whl"):
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
