"""Sealed checkpoints as inputs: ``r-7f3k9w@120`` names one, wherever a request names a model.

It is an input like every other: what it came from is inherited, so consent, agreement and erasure are asked about
everybody in its lineage. Only what was signed for counts: a killed run leaves none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox import lineage
from sandbox.gate.database.tables import artifacts
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.grants import GivenInput
from sandbox.gate.subjects import heritage
from sandbox.lineage import Lineage
from sandbox.policy.facts import InputFacts
from sandbox.runs import SAFETENSORS, from_utc, is_checkpoint

NAMED = re.compile(r"(r-[2-9a-z]{6})@([1-9][0-9]{0,8})")


def left(connection: Connection, run: str) -> list[Row[Any]]:
    """The run's checkpoints that were signed for, oldest first."""
    asked = sa.select(artifacts).where(artifacts.c.run == run, artifacts.c.state == "signed")
    rows = connection.execute(asked.order_by(artifacts.c.step, artifacts.c.path))
    return [
        row for row in rows if is_checkpoint(row.path) and row.media_type == SAFETENSORS and row.wrapped_key
    ]


def given(
    connection: Connection, asked: str, graph: Lineage, withdrawn: Mapping[tuple[str, str], datetime]
) -> tuple[GivenInput, InputFacts] | None:
    """The checkpoint that ``asked`` names, and everybody whose voice is in it; None where it names none."""
    named = NAMED.fullmatch(asked)
    found = [row for row in left(connection, named[1]) if row.step == int(named[2])] if named else []
    if not named or not found:
        return None
    row, run = found[-1], named[1]
    made_from = graph.speakers(lineage.run(run))
    left_by = chronicle.find(connection, run)
    since, purpose = from_utc(left_by.asked_at), chronicle.granted(left_by).purpose
    gone = " ".join("/".join(who) for who in made_from if who in withdrawn and since <= withdrawn[who])
    agreements, taint = heritage.agreements(connection, run), graph.taint(lineage.run(run))
    began = graph.bases(lineage.run(run))
    digest = str(row.sha256)
    facts = InputFacts(asked, digest, agreements, made_from, taint, gone, began, purpose=purpose)
    return GivenInput(digest, run, str(row.path), str(row.wrapped_key)), facts
