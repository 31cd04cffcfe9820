"""The runner image holds the container half, by name, and nothing else of ours."""

from __future__ import annotations

import re

from tests.architecture.house import PACKAGE, ROOT, contract, module_path

DOCKERFILE = ROOT / "docker" / "runner.Dockerfile"
CONTAINER_HALF = contract("container-half")["source_modules"]


def copied() -> set[str]:
    """Sources of the Dockerfile's COPY lines that lie in ``sandbox/``; a folder ends with a slash."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    found = set()
    for line in re.findall(r"^COPY\s+(.*)$", text, flags=re.MULTILINE):
        words = [word for word in line.split() if not word.startswith("--")]
        found |= {word for word in words[:-1] if word.startswith("sandbox")}
    return {f"{name.rstrip('/')}/" if (ROOT / name).is_dir() else name for name in found}


def test_the_image_copies_exactly_the_container_half() -> None:
    expected = {module_path(name) for name in CONTAINER_HALF}
    # A package that is copied file by file, or the product's own root, brings its docstring along.
    roots = {"sandbox/__init__.py"} | {
        f"{path.rsplit('/', 1)[0]}/__init__.py" for path in expected if path.count("/") > 1
    }
    expected |= {
        root for root in roots if root.count("/") == 1 or f"{root.rsplit('/', 1)[0]}/" not in expected
    }
    assert copied() == expected


def test_every_module_is_on_one_side_of_the_line() -> None:
    container = set(CONTAINER_HALF)
    host = set(contract("host-half")["source_modules"])
    assert not container & host
    here = {f"sandbox.{path.stem}" for path in PACKAGE.glob("*.py")} | {
        f"sandbox.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")
    }
    here -= {"sandbox.__init__", "sandbox.vault"}
    here |= {f"sandbox.vault.{path.stem}" for path in (PACKAGE / "vault").glob("*.py")} - {
        "sandbox.vault.__init__"
    }
    assert container | host == here


def test_no_lock_is_in_the_image_context_with_another_torch() -> None:
    assert not re.search(r"^torch==", (ROOT / "docker" / "runner.lock").read_text(), flags=re.MULTILINE)
    accepted = re.findall(r"--hash=sha256:([0-9a-f]{64})", (ROOT / "docker" / "torch.lock").read_text())
    assert accepted
