"""Plain HTML out of values: a page, a table, a link. Everything is escaped here, scripts there are none."""

from __future__ import annotations

import html
from collections.abc import Iterable

from starlette.responses import HTMLResponse

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
    "td:first-child{min-width:9rem}.bad{color:#a40000}.note{color:#666}"
)


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    written = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{text(title)}</title><style>{STYLE}</style>'
        f"<h1>{text(title)}</h1>{body}"
    )
    return HTMLResponse(written, status, HEADERS)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{text(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def link(to: str, words: str) -> str:
    return f'<a href="{text(to)}">{text(words)}</a>'


def text(value: object) -> str:
    return html.escape(str(value))
