"""A recipe's card: what it is for, what it may be told, what may leave. ``expand`` makes it concrete for one grant.

Nothing that the card does not name leaves a container: metrics have bounds and decimals, artifacts have paths, steps
and a largest size, all fixed before the first key is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sandbox.errors import Usage
from sandbox.policy.documents import Model, read
from sandbox.policy.entries import Purpose
from sandbox.policy.fields import Flag, Number, Text, Whole
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Kind, Metric, is_checkpoint

Value = int | float | str | bool
CARD, CODE = "recipe.yaml", "recipe.py"
MAX_ARTIFACTS = 256
MAX_POINTS = 20_000  # numbers that may leave a run; a longer one says fewer of each
TEXT, MAX_TEXT = 200, 2000  # characters of a parameter where the card says nothing, and where it says `max`
SPOKEN = "speech.flac"  # what a dry run may say aloud, when the recipe knows a parameter `speak`
_NAME = r"^[a-z][a-z0-9_-]{0,47}$"
_PATH = re.compile(r"[a-z0-9][a-z0-9_.{}-]*(/[a-z0-9][a-z0-9_.{}-]*)*")

Name = Annotated[str, Field(pattern=_NAME)]


def _scalar(value: object) -> Any:
    if isinstance(value, str | int | float):
        return value
    raise ValueError("write one value")


Scalar = Annotated[Any, BeforeValidator(_scalar)]


class Parameter(Model):
    """One thing an engineer may set: its type, what it is when nothing is said, its bounds or choices.

    ``max`` of a text is how many characters it may have.
    """

    type: Literal["int", "float", "str", "bool"]
    default: Scalar
    min: Number | None = None
    max: Number | None = None
    choices: tuple[str, ...] = ()
    about: str = ""

    def convert(self, value: object) -> Value:
        """``value`` (text, or already of the type) as the parameter's type, within its bounds. Raises ValueError."""
        found: Value = _CONVERT[self.type](value)
        if isinstance(found, int | float) and not isinstance(found, bool):
            if self.min is not None and found < self.min:
                raise ValueError(f"at least {self.min:g}")
            if self.max is not None and found > self.max:
                raise ValueError(f"at most {self.max:g}")
        most = TEXT if self.max is None else self.max
        if isinstance(found, str) and len(found) > most:
            raise ValueError(f"at most {most:g} characters")
        if self.choices and found not in self.choices:
            raise ValueError(f"one of {', '.join(self.choices)}")
        return found

    @model_validator(mode="after")
    def _default_fits(self) -> Parameter:
        if self.type == "str" and self.max is not None and not 1 <= self.max <= MAX_TEXT:
            raise ValueError(f"max of a text is 1 to {MAX_TEXT} characters")
        self.convert(self.default)
        return self


class MetricRule(Model):
    """Bounds of a number that may leave."""

    min: Number
    max: Number
    decimals: Annotated[Whole, Field(ge=0, le=6)]
    every: Annotated[Whole, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> MetricRule:
        if self.min >= self.max:
            raise ValueError("min must lie below max")
        return self


class ArtifactRule(Model):
    """A file that may leave: one for each fraction of the steps in ``at``, or one for each of ``items``, or one."""

    path: Text
    media_type: Literal["application/vnd.safetensors", "audio/flac", "application/json"]
    max_bytes: Annotated[Whole, Field(ge=1, le=1 << 34)]
    at: tuple[Annotated[Number, Field(gt=0, le=1)], ...] = ()
    items: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")], ...] = ()

    @model_validator(mode="after")
    def _path_fits(self) -> ArtifactRule:
        bare = self.path.replace("{step}", "0").replace("{item}", "x")
        if not _PATH.fullmatch(bare) or "{" in bare or "}" in bare or ".." in bare:
            raise ValueError("a path is lower case, relative, and may hold {step} or {item}")
        if ("{step}" in self.path) != (len(self.at) > 1) and len(self.at) != 1:
            raise ValueError("several steps need {step} in the path, and {step} needs `at`")
        if ("{item}" in self.path) != bool(self.items):
            raise ValueError("{item} and `items` go together")
        return self


class Card(Model):
    """``recipe.yaml``."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
    summary: Text
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    engine: Literal["torch", "none"]
    clones: Flag = False
    dataset: Literal["required", "none"]
    inputs: tuple[Name, ...] = ()
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    metrics: dict[Name, MetricRule] = Field(default_factory=dict)
    artifacts: tuple[ArtifactRule, ...] = ()
    dp: Literal["supported", "none"] = "none"

    @model_validator(mode="after")
    def _steps_known(self) -> Card:
        if any(rule.at for rule in self.artifacts):
            steps = self.parameters.get("steps")
            if steps is None or steps.type != "int" or steps.min is None or steps.min < 1:
                raise ValueError(
                    "`at` is a fraction of parameters.steps, an int of at least 1, which is missing"
                )
        if self.dataset == "none" and not self.inputs and self.dp == "supported":
            raise ValueError("differential privacy needs a dataset")
        return self


@dataclass(frozen=True)
class Expanded:
    """What a grant says of its recipe."""

    parameters: Mapping[str, Value]
    metrics: tuple[Metric, ...]
    artifacts: tuple[Artifact, ...]


def read_card(files: Mapping[str, bytes]) -> Card:
    """The card of a recipe's folder (path -> bytes). Raises Usage when it or ``recipe.py`` is missing or wrong."""
    for needed in (CARD, CODE):
        if needed not in files:
            raise Usage(f"a recipe has a {needed}; this one has none", code="recipe.incomplete")
    return read(files[CARD], Card, CARD)


def expand(card: Card, asked: Mapping[str, object], kind: Kind = Kind.AGREEMENT) -> Expanded:
    """Parameters of a request checked against the card, and what they make of its metrics and artifacts.

    Raises:
        Usage: a parameter is unknown or out of bounds, or too many files would leave; every fault is named.
    """
    parameters = settle(card, asked)
    thinner = _thinner(card, parameters)
    metrics = tuple(
        Metric(name, rule.min, rule.max, rule.decimals, rule.every * thinner)
        for name, rule in card.metrics.items()
    )
    artifacts = [found for rule in card.artifacts for found in _files(rule, parameters)]
    if kind is Kind.DRY and "speak" in card.parameters:
        artifacts.append(Artifact(SPOKEN, (), FLAC, 16 << 20))
    paths = [artifact.path for artifact in artifacts]
    if len(paths) > MAX_ARTIFACTS or len(set(paths)) != len(paths):
        raise Usage(
            f"recipe {card.name} would make {len(paths)} files; at most {MAX_ARTIFACTS}, each with its own path",
            code="recipe.artifacts",
        )
    return Expanded(parameters, metrics, tuple(artifacts))


def points(every: Iterable[int], steps: int) -> int:
    """How many numbers metrics of this density say in ``steps`` steps, at most."""
    return sum(steps // each + 2 for each in every)


def _thinner(card: Card, parameters: Mapping[str, Value]) -> int:
    """1, 2, 5, 10, 20, … times as many steps between two points as the card says, so that a long run may end too."""
    steps, every = int(parameters.get("steps", 0)), [rule.every for rule in card.metrics.values()]
    series = (step * int(10**power) for power in count() for step in (1, 2, 5))
    return next(by for by in series if by > steps or points((e * by for e in every), steps) <= MAX_POINTS)


def settle(card: Card, asked: Mapping[str, object]) -> dict[str, Value]:
    """Every parameter of the card with its value: asked for, or the default. Raises Usage naming every fault."""
    faults = [
        f"{name}: recipe {card.name} has no such parameter" for name in asked if name not in card.parameters
    ]
    found: dict[str, Value] = {}
    for name, parameter in card.parameters.items():
        try:
            found[name] = parameter.convert(asked.get(name, parameter.default))
        except ValueError as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        known = ", ".join(card.parameters) or "none"
        raise Usage("\n".join(faults), code="recipe.parameter", mend=f"parameters of {card.name}: {known}")
    return found


def _files(rule: ArtifactRule, parameters: Mapping[str, Value]) -> list[Artifact]:
    if rule.items:
        return [
            Artifact(rule.path.replace("{item}", item), (), rule.media_type, rule.max_bytes)
            for item in rule.items
        ]
    if not rule.at:
        return [Artifact(rule.path, (), rule.media_type, rule.max_bytes)]
    total = int(parameters["steps"])
    steps = {math.ceil(round(fraction * total, 9)) for fraction in rule.at}
    if is_checkpoint(rule.path):
        steps -= {total}  # nothing goes on from the last step
    return [
        Artifact(rule.path.replace("{step}", str(step)), (step,), rule.media_type, rule.max_bytes)
        for step in sorted(steps)
    ]


def _int(value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,15}", str(value)):
        raise ValueError("write a whole number")
    return int(str(value))


def _float(value: object) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?", str(value)):
        raise ValueError("write a number")
    return float(str(value))


def _str(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("write one line of text")
    return value


def _bool(value: object) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError("write true or false")


_CONVERT: Mapping[str, Any] = {"int": _int, "float": _float, "str": _str, "bool": _bool}
assert {SAFETENSORS, FLAC, JSON} == set(  # noqa: S101 - the closed list, spelled twice for pydantic
    ArtifactRule.model_fields["media_type"].annotation.__args__  # type: ignore[union-attr]
)
