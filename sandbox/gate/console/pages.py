"""Pages for browsers, on 127.0.0.1, GET only: lineage, the audit's view, and MLflow's own pages through a narrow gap.

A session opens by a one-time link (``sandbox open``) and is a cookie: HttpOnly, SameSite=Strict. No page changes
anything; scripts of ours there are none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.errors import NotFound
from sandbox.gate.console.curves import curves
from sandbox.gate.console.markup import link, page, table, text
from sandbox.gate.console.mlflow_proxy import proxy
from sandbox.gate.console.model_pages import card_page, list_page
from sandbox.gate.console.sessions import Sessions, Visitor
from sandbox.gate.database.tables import runs
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import balances
from sandbox.gate.routes import report
from sandbox.gate.routes.reads import SHOWN
from sandbox.gate.routes.standing import WATCHERS
from sandbox.gate.runs import chronicle
from sandbox.gate.subjects import withdrawal

COOKIE = "sandbox"
Page = Callable[[Request, Visitor], Response]


def pages(gate: Gate, sessions: Sessions) -> Starlette:
    """The application for browsers."""

    def guarded(show: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            visitor = sessions.visitor(request.cookies.get(COOKIE, ""))
            if visitor is None:
                return page("No session", "<p>Ask for a link: <code>sandbox open</code></p>", 401)
            return await anyio.to_thread.run_sync(show, request, visitor)

        return answer

    async def enter(request: Request) -> Response:
        cookie = sessions.enter(request.path_params["ticket"])
        if cookie is None:
            return page("This link is used up", "<p>Ask for another: <code>sandbox open</code></p>", 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
        return answer

    return Starlette(
        routes=[
            Route("/enter/{ticket}", enter),
            Route("/", guarded(lambda _, visitor: _runs(gate, visitor))),
            Route("/lineage/{run}", guarded(lambda request, _: _run(gate, request.path_params["run"]))),
            Route("/models", guarded(lambda _request, _visitor: list_page(gate))),
            Route(
                "/models/{model}", guarded(lambda request, _: card_page(gate, request.path_params["model"]))
            ),
            Route("/audit", guarded(lambda _, visitor: _audit(gate, visitor))),
            *proxy(
                gate.house.places.mlflow_socket, lambda cookie: sessions.visitor(cookie) is not None, COOKIE
            ),
        ]
    )


def _runs(gate: Gate, visitor: Visitor) -> Response:
    asked = sa.select(*(runs.c[name] for name in (*SHOWN, "outcome", "asked_at")))
    rows = gate.house.store.read(lambda c: c.execute(asked.order_by(runs.c.asked_at.desc()).limit(200)).all())
    body = table(
        ("run", "recipe", "purpose", "person", "state", "asked"),
        [
            (
                link(f"/lineage/{row.id}", row.id),
                *map(text, (row.recipe, row.purpose, row.person, row.outcome or row.state, row.asked_at)),
            )
            for row in rows
        ],
    )
    links = '<p><a href="/mlflow/">MLflow</a> · <a href="/models">models</a> · <a href="/audit">audit</a></p>'
    return page("Runs", f'<p class="note">{text(visitor.name)}</p>{links}{body}')


def _run(gate: Gate, run: str) -> Response:
    """One run, forwards and backwards: whose voice, which grant, what it made, and how each claim was checked."""
    try:
        row = gate.house.store.read(lambda c: chronicle.find(c, run))
    except NotFound:
        return page("No such run", "", 404)
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
    body = table(("", ""), [(text(name), text(value)) for name, value in facts if value])
    if drawn := curves(gate.house.store.read(lambda c: report.metrics_of(c, run))):
        body += f"<h2>Metrics</h2>{drawn}"
    body += "<h2>Sealed artifacts</h2>" + table(
        ("path", "step", "bytes", "sha256", "state"),
        [tuple(text(item[n]) for n in ("path", "step", "size", "sha256", "state")) for item in made],
    )
    body += "<h2>Credentials</h2>" + table(
        ("kind", "path", "proved dead"),
        [(text(item["kind"]), text(item["path"]), text(item["dead_at"] or "not yet")) for item in given],
    )
    graph = gate.house.store.read(report.graph)
    edges = [edge for edge in graph["links"] if f"run:{run}" in (edge["from"], edge["to"])]
    body += "<h2>Lineage</h2>" + table(
        ("from", "", "to"), [tuple(text(edge[n]) for n in ("from", "how", "to")) for edge in edges]
    )
    return page(f"Run {run}", body)


def _epsilon(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _audit(gate: Gate, visitor: Visitor) -> Response:
    if not set(visitor.roles) & set(WATCHERS):
        return page("Not for this role", "", 403)

    def read(connection: Any) -> tuple[Any, Any]:
        return report.windows(connection), report.newest_checkpoint(connection)

    windows, note = gate.house.store.read(read)
    body = f"<h2>Checkpoint</h2><pre><code>{text(note.decode())}</code></pre><h2>Privacy</h2>"
    body += table(
        balances.HEAD,
        [tuple(text(cell) for cell in row) for row in balances.table(balances.told(gate.house.store))],
    )
    body += "<h2>Windows</h2>" + table(
        ("run", "minted", "unlocked", "credentials"),
        [
            (
                link(f"/lineage/{w['run']}", w["run"]),
                text(w["began"].get("minted", "")),
                text(w["began"].get("unlocked", "")),
                text(len(w["credentials"])),
            )
            for w in windows
        ],
    )
    return page("Audit", body + '<p class="note">Checked offline by <code>sandbox audit verify</code>.</p>')
