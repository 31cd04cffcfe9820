"""YAML as people write it, read strictly into frozen models: the one reader of every file a person edits.

Every scalar arrives as text and is converted by its field's type: a digest of digits stays a string, ``no`` stays
no boolean, ``12:30`` no number. Duplicate and unknown keys, anchors, aliases, merges, tags, control characters and
second documents are refused, with the file and the line; size, depth and number of values are bounded before they
cost. A thing that is absent, null or unparsable is never a default permission.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.errors import Usage

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_VALUES = 100_000
MAX_FAULTS = 50  # told at once
_BOM = b"\xef\xbb\xbf"
_MERGE = "<<"
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Place = tuple[str | int, ...]
Scalar = str
Tree = Any  # str | list[Tree] | dict[str, Tree]; mypy has no recursive alias that pydantic would take

M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """A frozen model that knows every key it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=False)


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line it says it."""

    name: str
    value: Tree
    lines: Mapping[Place, int]

    def line(self, place: Sequence[str | int]) -> int:
        """The line of ``place``, or of the nearest thing around it."""
        steps = tuple(place)
        while steps not in self.lines and steps:
            steps = steps[:-1]
        return self.lines.get(steps, 1)

    def part(self, value: Tree) -> Document:
        """``value``, taken out of this document, as a document of its own; lines are no longer known."""
        return Document(self.name, value, {})


class _Strict(yaml.SafeLoader):
    """A composer that refuses what could make one text mean two things, and what would take for ever to read."""

    name: str
    depth = values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _fault(self.name, _line(event), "anchors and aliases are not read: write the value out")
        if getattr(event, "tag", None) is not None:
            raise _fault(self.name, _line(event), "tags (!...) are not read: types come from the fields")
        self.depth, self.values = self.depth + 1, self.values + 1
        if self.depth > MAX_DEPTH + 1:
            raise _fault(self.name, _line(event), f"nested more than {MAX_DEPTH} deep")
        if self.values > MAX_VALUES:
            raise _fault(self.name, _line(event), f"holds more than {MAX_VALUES} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse(data: bytes, name: str, *, listed: bool = False) -> Document:
    """The tree of one YAML document, scalars as text; a mapping, or with ``listed`` a list.

    Raises:
        Usage: not UTF-8, not one mapping, too large or deep, or something the reader refuses; with ``name:line``.
    """
    if len(data) > MAX_BYTES:
        raise _fault(name, 1, f"larger than {MAX_BYTES >> 20} MiB")
    if data.startswith(_BOM):
        raise _fault(name, 1, "begins with a byte order mark: save it as plain UTF-8")
    try:
        loader = _Strict(data.decode("utf-8", "strict"))
    except UnicodeDecodeError:
        raise _fault(name, 1, "not UTF-8") from None
    except yaml.YAMLError:
        raise _fault(name, 1, "holds characters that YAML does not allow") from None
    loader.name = name
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise _fault(name, line, f"not readable as YAML: {fault.problem or 'syntax'}") from None
    except (yaml.YAMLError, RecursionError):
        raise _fault(name, 1, "not readable as YAML") from None
    finally:
        loader.dispose()
    if not isinstance(root, yaml.MappingNode) and not (listed and isinstance(root, yaml.SequenceNode)):
        raise _fault(name, 1, "empty, or not a mapping of names to values")
    lines: dict[Place, int] = {}
    return Document(name, _build(root, (), lines, name), lines)


def read(data: bytes, model: type[M], name: str) -> M:
    """The file as a ``model``. Raises Usage listing every fault of the file, each with its line.

    The same bytes are read once: an agreement takes longer to parse than a decision to make, and models are frozen.
    """
    return cast("M", _read(data, model, name))


@lru_cache(maxsize=64)
def _read(data: bytes, model: type[Model], name: str) -> Model:
    return fit(parse(data, name), model)


def fit(document: Document, model: type[M], at: Place = ()) -> M:
    """``document`` (or the part ``at``) as a ``model``; faults as :func:`read`."""
    value = document.value
    for step in at:
        value = value[step]
    try:
        return model.model_validate(value)
    except ValidationError as fault:
        errors = fault.errors(include_url=False, include_input=False, include_context=False)
        found = [_explain(document, at, error) for error in errors[:MAX_FAULTS]]
        if len(errors) > MAX_FAULTS:
            found.append(f"{document.name}: and {len(errors) - MAX_FAULTS} more")
        raise Usage(
            "\n".join(found), code="file.invalid", mend=f"mend {document.name} and try again"
        ) from None


def _build(node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> Tree:
    lines[place] = node.start_mark.line + 1
    if len(place) > MAX_DEPTH:
        raise _fault(name, lines[place], f"nested more than {MAX_DEPTH} deep")
    if isinstance(node, yaml.ScalarNode):
        if _ODD.search(node.value):
            raise _fault(name, lines[place], "a text holds control characters")
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*place, n), lines, name) for n, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        raise _fault(name, lines[place], "neither text, list nor mapping")
    found: dict[str, Tree] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(name, line, "a name must be plain text")
        if key.value == _MERGE:
            raise _fault(name, line, "merges (<<) are not read: write the values out")
        if _ODD.search(key.value):
            raise _fault(name, line, "a name holds control characters")
        if key.value in found:
            raise _fault(name, line, f"{key.value!r} stands twice")
        found[key.value] = _build(child, (*place, key.value), lines, name)
        lines[(*place, key.value)] = line
    return found


_UNKNOWN, _MISSING = "extra_forbidden", "missing"


def _explain(document: Document, at: Place, error: Any) -> str:
    place = (*at, *error["loc"])
    where = f"{document.name}:{document.line(place)}"
    field = ".".join(str(step) for step in place) or "the file"
    if error["type"] == _UNKNOWN:
        return f"{where}: {field}: no such key"
    if error["type"] == _MISSING:
        return f"{where}: {field}: missing"
    return f"{where}: {field}: {re.sub(r'^(Value|Assertion) error, ', '', error['msg'])}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _fault(name: str, line: int, why: str) -> Usage:
    return Usage(f"{name}:{line}: {why}", code="file.invalid", mend=f"mend {name} and try again")
