"""Every file that a person edits goes through one strict reader: bombs, twins, references, tags are one clear line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import Usage
from sandbox.gate.alarms import channels
from sandbox.gate.settings import GateFile, PublicFile
from sandbox.policy import backup, cases, consent_file, detection, documents, request, second_factor, serving
from sandbox.policy.documents import MAX_DEPTH, MAX_VALUES
from sandbox.policy.recipe import read_card
from sandbox.policy.terms import Terms
from sandbox.storage import settings as storage

ROOT = Path(__file__).parents[2]
Reader = Callable[[bytes, Path], Any]


def _file(read: Callable[[Path], Any]) -> Reader:
    """A reader that takes a path."""

    def reader(data: bytes, folder: Path) -> Any:
        path = folder / "file.yaml"
        path.write_bytes(data)
        return read(path)

    return reader


READERS: dict[str, Reader] = {
    "agreement": lambda data, _: documents.read(data, Terms, "agreement.yaml"),
    "run file": lambda data, _: request.read_request(data, "run.yaml", "0" * 64),
    "name in a run file": lambda data, _: request.recipe_named(data, "run.yaml"),
    "consents": lambda data, _: consent_file.read_consents(data, "consents.yaml"),
    "policy tests": lambda data, _: cases.try_cases(data, "cases.yaml", None),  # type: ignore[arg-type]
    "recipe card": lambda data, _: read_card({"recipe.yaml": data, "recipe.py": b""}),
    "gate.yaml": lambda data, _: documents.read(data, GateFile, "gate.yaml"),
    "gate.yaml, how it listens": _file(lambda path: serving.serving(path, "gate")),
    "gate.yaml, second factors": _file(second_factor.totp_required),
    "public.yaml": lambda data, _: documents.read(data, PublicFile, "public.yaml"),
    "storage.yaml": lambda data, _: storage.parse(data),
    "backup.yaml": _file(backup.snapshot_days),
    "detection.yaml": lambda data, _: detection.read_rules(data),
    "alerts.yaml": lambda data, _: channels.channels(data),
}

LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("j"))
)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "billion laughs": (LAUGHS, "anchors and aliases"),
    "an anchor": (b"a: &x 1\n", "anchors and aliases"),
    "an alias": (b"a: *x\n", "anchors and aliases"),
    "an alias for a name": (b"? *x\n: 1\n", "anchors and aliases"),
    "a merge": (b"<<: {a: 1}\n", "merges"),
    "a merge inside": (b"a: {<<: {b: 1}}\n", "merges"),
    "a name twice": (b"a: 1\na: 2\n", "'a' stands twice"),
    "a name twice inside": (b"a: {b: 1, 'b': 2}\n", "'b' stands twice"),
    "a Python object": (b"a: !!python/object/apply:os.system [id]\n", "tags"),
    "a tag of YAML's own": (b"a: !!str 1\n", "tags"),
    "a tag of one's own": (b"a: !mine 1\n", "tags"),
    "the tag of nothing": (b"a: ! 1\n", "tags"),
    "10 MB": (b"a: " + b"x" * (10 << 20), "larger than 1 MiB"),
    "deep lists": (b"a: " + b"[" * 100_000, "deep"),
    "deep lists in lines": (b"a:\n" + b"- " * 100_000, "deep"),
    "deep mappings": (b"{a: " * 100_000, "deep"),
    "deep and closed": (b"a: " + b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deep"),
    "very many values": (b"a: [" + b"1," * (MAX_VALUES + 1) + b"]", "values"),
    "very many names": (b"".join(b"%x: 1\n" % n for n in range(MAX_VALUES)), "values"),
    "NUL": (b"a: \x00\n", "does not allow"),
    "an escape": (b"a: \x1b[2J\n", "does not allow"),
    "NUL, written out": (b'a: "\\0"\n', "control characters"),
    "a bell in a name": (b'"\\a": 1\n', "control characters"),
    "half a character": (b'a: "\\ud800"\n', "control characters"),
    "a byte order mark": (b"\xef\xbb\xbfa: 1\n", "byte order mark"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "not UTF-8"),
    "UTF-16 without a mark": ("a: 1\n".encode("utf-16-le"), "does not allow"),
    "UTF-32": ("a: 1\n".encode("utf-32-be"), "does not allow"),
    "Latin-1": (b"a: caf\xe9\n", "not UTF-8"),
    "two documents": (b"a: 1\n---\nb: 2\n", "not readable"),
    "a list for a name": (b"? [a]\n: 1\n", "a name must be plain text"),
    "no end": (b"a: [1, 2\n", "not readable"),
    "a tabulator": (b"a:\n\t- 1\n", "not readable"),
    "one word": (b"a", "not a mapping"),
    "nothing": (b"", "not a mapping"),
    "null": (b"~", "not a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_it_is_refused_with_one_clear_line(hostile: str, tmp_path: Path) -> None:
    data, why = HOSTILE[hostile]
    with pytest.raises(Usage) as caught:
        READERS["agreement"](data, tmp_path)
    assert why in caught.value.message and "\n" not in caught.value.message
    assert caught.value.message.partition(":")[2][:1].isdigit(), "it names the line"
    assert len(caught.value.message) < 300


CHEAP = ("billion laughs", "a merge", "a name twice", "a Python object", "10 MB", "deep lists", "UTF-16")


@pytest.mark.parametrize("hostile", CHEAP)
@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses(name: str, hostile: str, tmp_path: Path) -> None:
    data, why = HOSTILE[hostile]
    with pytest.raises(Usage) as caught:
        READERS[name](data, tmp_path)
    assert why in caught.value.message and "\n" not in caught.value.message


def test_what_is_plain_is_read() -> None:
    said = documents.parse("%YAML 1.1\n---\na: [ä, 'b', \"c\\n\"]\nd: {e: no, f: 12:30}\n".encode(), "x")
    assert said.value == {"a": ["ä", "b", "c\n"], "d": {"e": "no", "f": "12:30"}}
    deepest = b"a: " + b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1)
    assert documents.parse(deepest, "x").value["a"]


def test_many_faults_are_told_in_few_lines() -> None:
    with pytest.raises(Usage) as caught:
        documents.read(b"".join(b"k%d: 1\n" % n for n in range(5000)), PublicFile, "public.yaml")
    assert len(caught.value.message.splitlines()) == documents.MAX_FAULTS + 1
    assert "and 4950 more" in caught.value.message


BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
sys.path.insert(0, sys.argv[1])
from tests.policy.test_yaml import HOSTILE
from sandbox.errors import Usage
from sandbox.policy import documents
for name, (data, _) in HOSTILE.items():
    try:
        documents.parse(data, "x")
    except Usage:
        continue
    sys.exit(f"{name} was read")
"""


def test_all_of_it_costs_bounded_memory_and_time() -> None:
    """One process with 1 GiB of address space and two minutes of a processor reads every hostile file."""
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(ROOT)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-500:]


#: They read what the product itself wrote, or only write.
ELSEWHERE = {"policy/documents.py", "demo/story.py", "bench/ground.py", "deployment/public_set.py"}


def test_nothing_else_reads_yaml() -> None:
    found = set()
    for path in (ROOT / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.partition(".")[0] in ("yaml", "ruamel") for name in names):
                found.add(path.relative_to(ROOT / "sandbox").as_posix())
    assert found <= ELSEWHERE, "read it by sandbox.policy.documents"
