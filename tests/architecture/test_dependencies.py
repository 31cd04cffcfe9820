"""What the code imports is what it declares: the host in ``pyproject.toml``, the container in ``docker/runner.in``."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

from tests.architecture.house import ROOT, contract, modules_of

# Import names that differ from their distribution's.
DISTRIBUTION = {
    "dp_accounting": "dp-accounting",
    "jwt": "pyjwt",
    "ruamel": "ruamel-yaml",
    "stdnum": "python-stdnum",
    "trainer": "coqui-tts-trainer",
    "TTS": "coqui-tts",
    "yaml": "pyyaml",
}


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found.group(0).lower().replace("_", "-").replace(".", "-")


def imported(packages: list[str]) -> dict[str, str]:
    """Distribution -> one module that imports it, for everything that is neither Python's nor ours."""
    found: dict[str, str] = {}
    for module in (name for package in packages for name in modules_of(package)):
        path = ROOT / file_of(module)
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in (
                {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"sandbox"}
            ):
                found[name_of(DISTRIBUTION.get(name, name))] = module
    return found


def file_of(module: str) -> str:
    base = module.replace(".", "/")
    return f"{base}/__init__.py" if (ROOT / base).is_dir() else f"{base}.py"


def test_the_host_declares_what_it_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {name_of(entry) for entry in project["dependencies"]}
    found = imported(contract("host-half")["source_modules"])
    assert {name: module for name, module in found.items() if name not in declared} == {}


def test_the_container_declares_what_it_imports() -> None:
    lines = (ROOT / "docker" / "runner.in").read_text().splitlines()
    declared = {name_of(line) for line in lines if line and not line.startswith("#")} | {"torch"}
    found = imported(contract("container-half")["source_modules"])
    assert {name: module for name, module in found.items() if name not in declared} == {}


def test_the_recipes_use_what_the_container_has() -> None:
    lock = (ROOT / "docker" / "runner.lock").read_text()
    there = {name_of(line) for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)} | {"torch"}
    for path in sorted((ROOT / "recipes").glob("*/recipe.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                name = node.module.partition(".")[0]
                if name not in sys.stdlib_module_names and name != "sandbox":
                    assert DISTRIBUTION.get(name, name).lower() in there, f"{path.parent.name} imports {name}"
