"""A run file (``configs/runs/NAME.yaml``) as a :class:`sandbox.runs.Request`; whether it may run is not asked here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sandbox.policy.documents import Model, read
from sandbox.policy.entries import Purpose
from sandbox.policy.fields import AgreementName, Flag, Nothing, Number, Size, Span, SubjectName, Whole
from sandbox.runs import Compute, Kind, Privacy, Request

_NONE = BeforeValidator(lambda value: None if value == "none" else value)


def _dataset(value: object) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[a-z][a-z0-9-]{0,47}(@[1-9][0-9]{0,8})?", value):
        raise ValueError("write NAME or NAME@VERSION")
    return value


def _model(value: object) -> Any:
    if not (isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,47}@[1-9][0-9]{0,8}", value)):
        raise ValueError("write MODEL@VERSION")
    return value


def _subjects(value: object) -> Any:
    if value == "all":
        return None
    if isinstance(value, list):
        return value
    raise ValueError("write all, or a list of subjects")


def _text(value: object) -> Any:
    if not isinstance(value, str):
        raise ValueError("write one value")
    return value


class PrivacyFile(Model):
    """The target; sigma is derived, never asked for."""

    unit: Literal["speaker", "utterance"]
    epsilon: Annotated[Number, Field(gt=0, le=100)]
    delta: Annotated[Number, Field(gt=0, lt=1)]
    clip: Annotated[Number, Field(gt=0, le=1000)]
    sample_rate: Annotated[Number, Field(gt=0, le=1)]
    accept_noise: Flag = False


class ComputeFile(Model):
    """What the run may use of a machine."""

    cpus: Annotated[Number, Field(gt=0, le=1024)] = 2.0
    memory: Size = 8 << 30
    gpus: Annotated[Whole, Field(ge=0, le=64)] = 0
    time_limit: Span = 1800


class RunFile(Model):
    """The keys of a run file."""

    recipe: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
    agreement: AgreementName
    purpose: Purpose
    dataset: Annotated[str | None, BeforeValidator(_dataset), Nothing] = None
    subjects: Annotated[tuple[SubjectName, ...] | None, BeforeValidator(_subjects)] = None
    inputs: dict[str, Annotated[str, BeforeValidator(_model)]] = Field(default_factory=dict)
    privacy: Annotated[PrivacyFile | None, _NONE] = None
    compute: ComputeFile = ComputeFile()
    parameters: dict[str, Annotated[str, BeforeValidator(_text)]] = Field(default_factory=dict)


def recipe_named(data: bytes, name: str) -> str:
    """Which recipe a run file names, so that its digest can be taken. Raises Usage."""
    return read(data, RunFile, name).recipe


def read_request(data: bytes, name: str, recipe_digest: str, kind: Kind = Kind.AGREEMENT) -> Request:
    """The request that a run file makes. Parameters stay text; the recipe's card gives them their types.

    Raises:
        Usage: every fault of the file, with its line.
    """
    file = read(data, RunFile, name)
    return Request(
        recipe=file.recipe,
        recipe_digest=recipe_digest,
        agreement=file.agreement,
        purpose=file.purpose,
        dataset=file.dataset,
        subjects=file.subjects,
        inputs=file.inputs,
        privacy=None if file.privacy is None else Privacy(**file.privacy.model_dump()),
        compute=Compute(
            cpus=file.compute.cpus,
            memory_bytes=file.compute.memory,
            gpus=file.compute.gpus,
            time_limit_s=file.compute.time_limit,
        ),
        parameters=dict(file.parameters),
        kind=kind,
    )
