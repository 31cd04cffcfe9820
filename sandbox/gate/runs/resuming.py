"""A run asked for again from its own last checkpoint, by whoever asked for it, for the same people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.errors import NotPermitted, Refused
from sandbox.gate.deciding.admission import Admitted
from sandbox.gate.runs import checkpoints, chronicle
from sandbox.policy.dataset import may_begin_fresh
from sandbox.runs import BASE, RESUME, Request, RunState

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate


def resume(gate: Gate, run: str, person: str, key: str = "") -> Admitted:
    """Ask for ``run`` once more, from its last checkpoint, for the same people; decided upon like every run.

    Raises:
        NotPermitted: it was somebody else's.
        Refused: it goes on, it left no checkpoint, or the rules say no; every reason.
    """
    row = gate.house.store.read(lambda connection: chronicle.find(connection, run))
    if row.person != person:
        raise NotPermitted(f"{run} was asked for by somebody else", mend="ask for a run of your own")
    if RunState(row.state) is not RunState.SETTLED:
        raise Refused(f"{run} goes on", code="run.not_ended", mend=f"sandbox runs stop {run}")
    left = gate.house.store.read(lambda connection: checkpoints.left(connection, run))
    if not left:
        mend = "`sandbox runs kill` leaves none; a recipe leaves one where its card declares a checkpoint"
        raise Refused(f"{run} left no checkpoint", code="run.no_checkpoint", mend=mend)
    before, plan = Request.from_json(row.request), chronicle.granted(row)
    inputs = {**before.inputs, RESUME: f"{run}@{left[-1].step}"}
    if may_begin_fresh(gate.house.recipes.card(before.recipe_digest).purposes):
        inputs.pop(BASE, None)  # the checkpoint came from it
    subjects = plan.subjects or before.subjects
    return gate.admission.ask(replace(before, inputs=inputs, subjects=subjects), person, key=key)
