"""Schemathesis over a service: what its description promises is asked for, and what it forbids; every answer is held
against the description: no 5xx, no status, media type, header, shape or problem code that does not stand there.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.services import PEOPLE, ROLES, Service

load_all_checks()


@schemathesis.serializer("application/x-tar")
def tar(_: Any, value: Any) -> bytes:
    """A stream's body as it is drawn: bytes, mostly no tar at all."""
    return value if isinstance(value, bytes) else bytes(getattr(value, "data", b"") or str(value).encode())


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
QUIET = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[hypothesis.Phase.generate],
    print_blob=False,
)


@dataclass
class Report:
    """What was asked, what came, and what was not as described."""

    service: str
    cases: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "cases": self.cases,
            "seconds": round(self.seconds, 1),
            "statuses": {str(key): value for key, value in sorted(self.statuses.items())},
            "codes": dict(sorted(self.codes.items())),
            "server_errors": sum(n for status, n in self.statuses.items() if status >= 500),
            "undocumented": len(self.failures),
            "failures": self.failures,
        }


def fuzz(service: Service, examples: int, *, seed: int | None = None) -> Report:
    """``examples`` cases of each kind (as described, and not) for every operation; with ``seed`` always the same."""
    logging.getLogger("sandbox").disabled = True
    schema = schemathesis.openapi.from_dict(service.document)
    schema.app = service.app
    report, began = Report(service.name), time.monotonic()
    for found in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _fuzz_operation(service, found.ok(), mode, examples, seed, report)
    report.seconds = time.monotonic() - began
    logging.getLogger("sandbox").disabled = False
    return report


def _fuzz_operation(
    service: Service, operation: Any, mode: GenerationMode, examples: int, seed: int | None, report: Report
) -> None:
    label = operation.label
    try:
        cases = operation.as_strategy(generation_mode=mode)
    except Exception as fault:
        if mode is GenerationMode.POSITIVE:
            raise
        del fault  # nothing of it can be wrong: no parameter, no body
        return

    @settings(QUIET, max_examples=examples, derandomize=seed is not None)
    @given(case=cases, who=_callers(service, operation), pick=st.integers(0, 7))
    def ask(case: Any, who: str, pick: int) -> None:
        for name in case.path_parameters or {}:
            ids = service.known.get(f"{name}@{case.path}") or service.known.get(name)
            if ids and pick:
                case.path_parameters[name] = ids[pick % len(ids)]
        if isinstance(case.body, dict) and case.body.get("scope") == "all":
            case.body["scope"] = "dataset:other"  # a stop of all takes the gate's own credential along
        if pick % 2:
            _put_known(case.body, service.known, pick)
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        answer = case.call(headers=headers)
        report.cases += 1
        report.statuses[answer.status_code] += 1
        if answer.status_code >= 400 and "problem+json" in answer.headers.get("content-type", [""])[0]:
            report.codes[f"{answer.status_code} {answer.json()['code']}"] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except (FailureGroup, AssertionError) as fault:
            said = "; ".join(str(one) for one in getattr(fault, "exceptions", (fault,)))
            what = f"{label} {answer.status_code} {answer.content[:200]!r}"[:300]
            report.failures.setdefault(what, f"{said[:600]} {case.body!r}"[:1500])

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        if mode is GenerationMode.POSITIVE:
            raise


def _put_known(body: Any, known: Mapping[str, list[str]], pick: int) -> None:
    """Ids that exist, where the body has made-up ones: so a request comes further than "unknown"."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for name in value:
                ids = known.get(f"body.{name}")
                if ids and isinstance(value[name], str):
                    value[name] = ids[pick % len(ids)]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _callers(service: Service, operation: Any) -> st.SearchStrategy[str]:
    """Mostly somebody who may; sometimes anybody, a stranger, or nobody."""
    wanted = service.docs[operation.method.upper(), operation.path].who
    may = [name for role, name in ROLES.items() if role in wanted] or [*PEOPLE[:1]]
    return st.one_of(st.sampled_from(may), st.sampled_from(may), st.sampled_from(PEOPLE))
