"""A run that lost a voice, asked for again without it: where the agreement says ``on_withdrawal: replan``.

The gate stops the run, and keeps no promise in anybody's name: who asked for it asks again, by one command, and is
decided upon like everybody else. What the lost run was charged of privacy stays charged.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.errors import NotPermitted, Refused, Usage
from sandbox.gate.deciding.admission import Admitted
from sandbox.gate.runs import chronicle
from sandbox.policy.registers import Registers
from sandbox.runs import Grant, Request

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate

WITHDRAWN = "a voice was withdrawn"
ENDED = "a consent ended"


def without(request: Request, plan: Grant, barred: Set[tuple[str, str]]) -> Request:
    """The same request for those of the run's subjects who are not barred. Pure.

    Raises Refused: nobody is left, or the run heard the voice through an input, which no request can leave out.
    """
    dataset = str(plan.dataset)
    left = tuple(subject for subject in plan.subjects if (dataset, subject) not in barred)
    if not left:
        raise Refused("nobody is left whom the run could hear", code="subjects.empty")
    if left == plan.subjects:
        mend = "train the input anew without that voice"
        raise Refused("the voice is in an input of the run", code="input.withdrawn", mend=mend)
    return replace(request, subjects=left)


def replans(gate: Gate, known: Registers, agreement: str) -> bool:
    """Whether the agreement lets a run that lost a voice be asked for again."""
    found = gate.registers.agreement(known.statuses.get(agreement))
    return found is not None and found.terms.derivatives.on_withdrawal == "replan"


def again(
    gate: Gate,
    run: str,
    person: str,
    barred: Set[tuple[str, str]],
    key: str = "",
    besides: Collection[str] = (),
) -> Admitted:
    """Ask for ``run`` once more without the voices it lost, for the person who asked for it first.

    ``besides`` are others to leave out: whose privacy budget the rules found exhausted, say.

    Raises:
        NotPermitted: it was somebody else's.
        Usage: somebody to leave out was not in the run.
        Refused: it was not stopped for a lost voice, the agreement says stop, or the rules say no; every reason.
    """
    row = gate.house.store.read(lambda connection: chronicle.find(connection, run))
    if row.person != person:
        raise NotPermitted(f"{run} was asked for by somebody else", mend="ask for a run of your own")
    if row.killed_by != chronicle.BY_GATE or row.kill not in (WITHDRAWN, ENDED):
        raise Refused(f"{run} lost no voice", code="run.not_withdrawn", mend="sandbox run FILE")
    if not replans(gate, gate.registers.read(), row.agreement):
        mend = "sandbox run FILE, naming the subjects that are left"
        raise Refused(f"{row.agreement} says stop, not replan", code="run.not_replanned", mend=mend)
    plan = chronicle.granted(row)
    if strangers := sorted(set(besides) - set(plan.subjects)):
        raise Usage(f"{', '.join(strangers)} was not in {run}", mend=f"sandbox runs show {run}")
    request = without(
        Request.from_json(row.request), plan, {*barred, *((str(plan.dataset), s) for s in besides)}
    )
    return gate.admission.ask(request, person, key=key)
