"""Pages for browsers, on 127.0.0.1, GET only: lineage, the audit's view, and MLflow's own pages through a narrow gap.

A session opens by a one-time link (``sandbox open``) and is a cookie: HttpOnly, SameSite=Strict. No page changes
anything; scripts of ours there are none.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio.to_thread
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.errors import NotFound
from sandbox.gate import chronicle, report, withdrawal
from sandbox.gate.gate import Gate
from sandbox.gate.mlflow_proxy import proxy
from sandbox.gate.reads import SHOWN
from sandbox.gate.sessions import Sessions, Visitor
from sandbox.gate.standing import WATCHERS
from sandbox.gate.tables import runs

COOKIE = "sandbox"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c1c1c}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}code{font-size:13px}"
    ".bad{color:#a40000}.note{color:#666}"
)
Page = Callable[[Request, Visitor], Response]


def pages(gate: Gate, sessions: Sessions) -> Starlette:
    """The application for browsers."""

    def guarded(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visitor = sessions.visitor(request.cookies.get(COOKIE, ""))
            if visitor is None:
                return _page("No session", "<p>Ask for a link: <code>sandbox open</code></p>", 401)
            return await anyio.to_thread.run_sync(page, request, visitor)

        return answer

    async def enter(request: Request) -> Response:
        cookie = sessions.enter(request.path_params["ticket"])
        if cookie is None:
            return _page("This link is used up", "<p>Ask for another: <code>sandbox open</code></p>", 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
        return answer

    return Starlette(
        routes=[
            Route("/enter/{ticket}", enter),
            Route("/", guarded(lambda _, visitor: _runs(gate, visitor))),
            Route("/lineage/{run}", guarded(lambda request, _: _run(gate, request.path_params["run"]))),
            Route("/audit", guarded(lambda _, visitor: _audit(gate, visitor))),
            *proxy(
                gate.house.places.mlflow_socket, lambda cookie: sessions.visitor(cookie) is not None, COOKIE
            ),
        ]
    )


def _runs(gate: Gate, visitor: Visitor) -> Response:
    asked = sa.select(*(runs.c[name] for name in (*SHOWN, "outcome", "asked_at")))
    rows = gate.house.store.read(lambda c: c.execute(asked.order_by(runs.c.asked_at.desc()).limit(200)).all())
    body = _table(
        ("run", "recipe", "purpose", "person", "state", "asked"),
        [
            (
                _link(f"/lineage/{row.id}", row.id),
                *map(_e, (row.recipe, row.purpose, row.person, row.outcome or row.state, row.asked_at)),
            )
            for row in rows
        ],
    )
    links = '<p><a href="/mlflow/">MLflow</a> · <a href="/audit">audit</a></p>'
    return _page("Runs", f'<p class="note">{_e(visitor.name)}</p>{links}{body}')


def _run(gate: Gate, run: str) -> Response:
    """One run, forwards and backwards: whose voice, which grant, what it made, and how each claim was checked."""
    try:
        row = gate.house.store.read(lambda c: chronicle.find(c, run))
    except NotFound:
        return _page("No such run", "", 404)
    plan, marks = row.plan, gate.house.store.read(withdrawal.marks)
    facts = [
        ("state", row.outcome or row.state),
        ("failure", row.failure or ""),
        ("person", row.person),
        ("grant", f"{row.grant} sha256:{row.grant_digest or ''}"),
        ("agreement", f"{row.agreement} sha256:{plan['agreement_digest']}"),
        ("purpose", row.purpose),
        ("dataset", f"{row.dataset or 'none'} manifest sha256:{plan['manifest_digest'] or ''}"),
        ("people", ", ".join(plan["subjects"]) or "by its inputs"),
        ("recipe", f"{row.recipe} sha256:{plan['recipe_digest']}"),
        ("image", plan["image_id"]),
        ("epsilon", _epsilon(row.epsilon) or "no bound"),
        ("model", row.model or ""),
        ("consent withdrawn since", marks.get((row.model or "").replace(" v", "@"), "")),
        ("statement", row.statement or ""),
    ]
    made = gate.house.store.read(lambda c: report.artifacts_of(c, run))
    given = gate.house.store.read(lambda c: report.credentials_of(c, run))
    body = _table(("", ""), [(_e(name), _e(value)) for name, value in facts if value])
    body += "<h2>Sealed artifacts</h2>" + _table(
        ("path", "step", "bytes", "sha256", "state"),
        [tuple(_e(item[n]) for n in ("path", "step", "size", "sha256", "state")) for item in made],
    )
    body += "<h2>Credentials</h2>" + _table(
        ("kind", "path", "proved dead"),
        [(_e(item["kind"]), _e(item["path"]), _e(item["dead_at"] or "not yet")) for item in given],
    )
    graph = gate.house.store.read(report.graph)
    links = [link for link in graph["links"] if f"run:{run}" in (link["from"], link["to"])]
    body += "<h2>Lineage</h2>" + _table(
        ("from", "", "to"), [tuple(_e(link[n]) for n in ("from", "how", "to")) for link in links]
    )
    return _page(f"Run {run}", body)


def _epsilon(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _audit(gate: Gate, visitor: Visitor) -> Response:
    if not set(visitor.roles) & set(WATCHERS):
        return _page("Not for this role", "", 403)

    def read(connection: Any) -> tuple[Any, Any, Any]:
        return report.balances(connection), report.windows(connection), report.newest_checkpoint(connection)

    balances, windows, note = gate.house.store.read(read)
    body = f"<h2>Checkpoint</h2><pre><code>{_e(note.decode())}</code></pre><h2>Privacy</h2>"
    body += _table(
        ("dataset", "person", "epsilon", "no bound since"),
        [
            (_e(b["dataset"]), _e(b["subject"]), _e(_epsilon(b.get("epsilon"))), _e(b["no_bound_since"] or ""))
            for b in balances
        ],
    )
    body += "<h2>Windows</h2>" + _table(
        ("run", "minted", "unlocked", "credentials"),
        [
            (
                _link(f"/lineage/{w['run']}", w["run"]),
                _e(w["began"].get("minted", "")),
                _e(w["began"].get("unlocked", "")),
                _e(len(w["credentials"])),
            )
            for w in windows
        ],
    )
    return _page("Audit", body + '<p class="note">Checked offline by <code>sandbox audit verify</code>.</p>')


def _page(title: str, body: str, status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_e(title)}</title><style>{STYLE}</style>'
        f"<h1>{_e(title)}</h1>{body}"
    )
    return HTMLResponse(text, status, HEADERS)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{_e(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _link(to: str, text: str) -> str:
    return f'<a href="{_e(to)}">{_e(text)}</a>'


def _e(value: object) -> str:
    return html.escape(str(value))
