"""Pages about models: all of them, and the card of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from starlette.responses import Response

from sandbox.errors import NotFound
from sandbox.gate.console import model_cards, plots
from sandbox.gate.console.markup import link, page, table, text
from sandbox.gate.database.tables import models
from sandbox.gate.gate import Gate
from sandbox.gate.subjects import withdrawal
from sandbox.policy import membership


def list_page(gate: Gate) -> Response:
    """Every model with what keeps it from being used, newest first."""
    asked = sa.select(models).order_by(models.c.at.desc()).limit(200)
    rows, marks = gate.house.store.read(lambda c: (c.execute(asked).all(), withdrawal.marks(c)))
    body = table(
        ("model", "made by", "at", "state"),
        [
            (
                link(f"/models/{name}", name),
                link(f"/lineage/{row.run}", row.run),
                text(row.at),
                text(_state(row.taint, marks.get(name, ""))),
            )
            for row in rows
            for name in (f"{row.name}@{row.version}",)
        ],
    )
    return page("Models", body)


def card_page(gate: Gate, model: str) -> Response:
    """One model's card."""
    try:
        card = gate.house.store.read(lambda c: model_cards.of(c, model))
    except NotFound as fault:
        return page("No such model", f"<p>{text(fault.message)}</p>", 404)
    made_by = link(f"/lineage/{card['run']}", card["run"])
    body = f'<p class="note">made by {made_by} at {text(card["made_at"])}</p>'
    body += _section("Standing", card["standing"])
    body += _section("Data", [*card["data"], ("voices in its lineage", card["people"])])
    body += _section("Training", card["training"])
    body += f"<h2>Privacy</h2><p>{text(card['privacy'])}</p>"
    body += _tested(card["attacks"])
    body += "<h2>Quality</h2><p class='note'>As the recipes of these runs reported it.</p>" + table(
        ("metric", "last value", "step", "purpose", "run"),
        [
            (
                text(one["metric"]),
                text(f"{one['value']:g}"),
                text(int(one["step"])),
                text(one["purpose"]),
                link(f"/lineage/{one['run']}", one["run"]),
            )
            for one in card["quality"]
        ],
    )
    body += "<h2>Limits</h2><ul>" + "".join(f"<li>{text(line)}</li>" for line in card["limits"]) + "</ul>"
    return page(f"Model {card['model']}", body)


def _tested(attacks: Iterable[dict[str, Any]]) -> str:
    """What attacks on it found, each with its curves."""
    body = ""
    for one in attacks:
        title = f"Tested by attack, {one['run']} at {one['at']}"
        body += _section(title, membership.told(one))
        if "attacks" in one:
            body += plots.roc({each["score"]: each["roc"] for each in one["attacks"]})
    return body or f"<h2>Tested by attack</h2><p>By none that was judged. {text(membership.HONEST)}</p>"


def _section(title: str, rows: Iterable[tuple[str, object]]) -> str:
    return f"<h2>{text(title)}</h2>" + table(("", ""), [(text(name), text(value)) for name, value in rows])


def _state(taint: str | None, withdrawn: str) -> str:
    marks = (("tainted: ", taint), ("consent withdrawn: ", withdrawn))
    return ", ".join(f"{word}{value}" for word, value in marks if value) or "confidential, release denied"
