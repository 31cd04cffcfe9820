"""OpenAPI 3.1 of a service, from its routes and a table that says what each is for, who may, and how it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.service.http import JSON, TAR, Call, Route
from sandbox.service.problems import MEDIA_TYPE

VERSION = "1"
PATH = "/v1/openapi.json"
Schema = Mapping[str, Any]

# Schemas in few words.
TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
ANY: Schema = {}


@dataclass(frozen=True)
class Doc:
    """One route, described. ``who``: the roles of which one is wanted; none: whoever has an identity.

    ``answer`` describes the JSON; ``media`` names another media type, whose bytes are not described.
    ``takes`` is the media type of a streamed body.
    ``problems``: codes by status, besides those that every route may answer with.
    """

    summary: str
    who: Sequence[str] = ()
    answer: Schema | None = None
    media: str = JSON
    note: str = ""
    params: Mapping[str, Schema] = field(default_factory=dict)
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    takes: str = TAR
    problems: Mapping[int, Sequence[str]] = field(default_factory=dict)


Docs = Mapping[tuple[str, str], Doc]

_OPEN = {400: ("input.invalid",), 431: ("headers.too_large",)}
_KNOWN = {
    401: ("identity.none", "identity.invalid", "identity.expired"),
    403: ("person.not_permitted",),
    429: ("request.too_many",),
    503: (),
}
_BODY = {408: ("request.timeout",), 413: ("input.too_large",), 415: ("media_type.unknown",)}
_POST = {
    400: ("idempotency.reused",),
    409: ("idempotency.open", "idempotency.answered", "state.conflict"),
}
_STREAM = {408: ("request.timeout",)}
_FRESH = {
    403: (
        "totp.missing",
        "totp.not_enrolled",
        "totp.wrong",
        "totp.used",
        "totp.locked",
        "totp.unchecked",
    )
}


def one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def like(pattern: str) -> Schema:
    """A text of that pattern, whole."""
    return {"type": "string", "pattern": f"^{pattern}$"}


#: Ids that both services take and give.
NAME, SUBJECT, SHA256 = like("[a-z][a-z0-9-]{0,47}"), like("spk_[a-z0-9]{2,32}"), like("[0-9a-f]{64}")
PERSON = like(r"[a-z][a-z0-9]*(\.[a-z0-9]+){0,3}")


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def maybe(schema: Schema) -> Schema:
    """``schema``, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def thing(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with at least the ``required`` names."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": sorted(required),
    }


def strictly(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with these names and no other."""
    return {**thing(required, **optional), "additionalProperties": False}


def pages(item: Schema) -> Schema:
    """A page of a list."""
    return thing({"items": listed(item), "next": TEXT, "limit": WHOLE})


def paging(after: Schema, most: int) -> dict[str, Schema]:
    """The query parameters of a list; ``after`` is the ``next`` of the page before."""
    return {"after": after, "limit": {"type": "integer", "minimum": 1, "maximum": most}}


def openapi_route(title: str, routes: Sequence[Route], docs: Docs) -> Route:
    """Serves the description of ``routes``, and of itself, to whoever has an identity."""
    made: list[dict[str, Any]] = []

    def handler(_: Call) -> dict[str, Any]:
        if not made:
            made.append(document(title, [*routes, route], docs))
        return made[0]

    route = Route("GET", PATH, handler)
    return route


def written(title: str, routes: Sequence[Route], docs: Docs) -> str:
    """The description as ``docs/api`` keeps it."""
    return json.dumps(document(title, routes, docs), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def undescribed(routes: Iterable[Route], docs: Docs) -> set[tuple[str, str]]:
    """Routes without a description, and descriptions without a route."""
    return {(route.method, route.path) for route in routes} ^ set(docs)


def document(title: str, routes: Sequence[Route], docs: Docs) -> dict[str, Any]:
    """The whole description. Raises KeyError for a route that is not in the table."""
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda one: (one.path, one.method)):
        told = _operation(route, docs[route.method, route.path])
        paths.setdefault(route.path, {})[route.method.lower()] = told
    shared = _share([told for methods in paths.values() for told in methods.values()])
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{"identity": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "identity": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An identity token (JWT, EdDSA) that the house's Vault signed: sandbox login.",
                }
            },
            "schemas": {"Problem": _PROBLEM},
            "responses": shared,
        },
    }


def _share(operations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The problems that several operations answer with alike, by name; they are named there instead of repeated."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for told in operations:
        for status, answer in told["responses"].items():
            if status != "200":
                alike.setdefault((status, json.dumps(answer)), []).append(told["responses"])
    found: dict[str, Any] = {}
    for (status, answer), places in alike.items():
        if len(places) > 1:
            name = f"Problem{status}{chr(97 + sum(known.startswith(f'Problem{status}') for known in found))}"
            found[name] = json.loads(answer)
            for responses in places:
                responses[status] = {"$ref": f"#/components/responses/{name}"}
    return found


def _operation(route: Route, doc: Doc) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": _name(route),
        "summary": doc.summary,
        "parameters": [*_parameters(route, doc)],
        "responses": {"200": _success(doc), **_problems(route, doc)},
    }
    if doc.note:
        told["description"] = doc.note
    if route.open:
        told["security"] = []
    else:
        told["x-roles"] = list(doc.who) or ["anybody with an identity"]
    if route.method == "POST":
        told["requestBody"] = _body(route, doc)
    return told


def _parameters(route: Route, doc: Doc) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        schema = doc.params.get(name, {"type": "string", "minLength": 1})
        yield {"name": name, "in": "path", "required": True, "schema": dict(schema)}
    for name, schema in doc.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": dict(schema)}
    if route.method == "POST":
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key by the same person asks for the same thing, never twice for it; kept a day.",
            "schema": like(r"[A-Za-z0-9._:-]{1,128}"),
        }
    if route.fresh:
        yield {
            "name": "Totp-Code",
            "in": "header",
            "required": False,
            "description": "A fresh code of the second factor (RFC 6238).",
            "schema": like("[0-9]{6}"),
        }


def _body(route: Route, doc: Doc) -> dict[str, Any]:
    if route.stream:
        return {"required": True, "content": {doc.takes: {"schema": {"type": "string", "format": "binary"}}}}
    schema = doc.body or strictly({})
    return {
        "required": bool(schema.get("required")),
        "description": f"At most {route.body_bytes} bytes.",
        "content": {JSON: {"schema": dict(schema)}},
    }


def _success(doc: Doc) -> dict[str, Any]:
    schema: Schema = doc.answer if doc.answer is not None and doc.media == JSON else {}
    return {"description": "Done.", "content": {doc.media: {"schema": dict(schema)}}}


def _problems(route: Route, doc: Doc) -> dict[str, Any]:
    found: dict[int, list[str]] = {}
    groups: list[Mapping[int, Sequence[str]]] = [_OPEN]
    groups += [] if route.open else [_KNOWN]
    groups += [_POST] if route.method == "POST" else []
    groups += [_BODY] if route.method == "POST" and not route.stream else []
    groups += [_STREAM] if route.stream else []
    groups += [_FRESH] if route.fresh else []
    for group in (*groups, doc.problems):
        for status, codes in group.items():
            known = found.setdefault(status, [])
            known += [code for code in codes if code not in known]
    return {str(status): _problem(status, codes) for status, codes in sorted(found.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
    if codes:
        schema = {"allOf": [schema, {"type": "object", "properties": {"code": {"enum": sorted(codes)}}}]}
    told: dict[str, Any] = {"description": _WORDS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    if status == 429:
        told["headers"] = {
            "Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer"}}
        }
    return told


def _name(route: Route) -> str:
    words = re.sub(r"[{}]", "", route.path).removeprefix("/v1").strip("/")
    return route.method.lower() + "-" + re.sub(r"[^a-z0-9]+", "-", words)


_WORDS = {
    400: "It cannot be understood.",
    401: "Nobody is identified.",
    403: "The rules say no, or the caller holds no role for this.",
    404: "There is no such thing, or none that the caller may see.",
    408: "The body did not come in time.",
    409: "Somebody was first, or this very request was made before.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    422: "A signed statement in the body is not what it must be.",
    429: "Too much was asked.",
    431: "The head is too large.",
    503: "A service that is needed does not answer, or something is not there; the reason stands in the code.",
}

_PROBLEM = {
    "description": "RFC 9457. Nothing in it is content: ids, codes and what mends it.",
    "type": "object",
    "required": ["type", "code", "kind", "title", "detail", "mend", "status", "reasons"],
    "properties": {
        "type": TEXT,
        "code": like(r"[a-z0-9_]+(\.[a-z0-9_]+)*"),
        "kind": TEXT,
        "title": TEXT,
        "detail": TEXT,
        "mend": TEXT,
        "status": WHOLE,
        "decision": TEXT,
        "reasons": listed(strictly({"code": TEXT, "about": TEXT, "why": TEXT, "mend": TEXT, "clause": TEXT})),
    },
    "additionalProperties": False,
}
