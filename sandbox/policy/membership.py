"""What an attack on a model tells of it: who was in it, guessed by losses, and the epsilon that the guesses rule out.

A recipe scores each person and is not told who was in (``recipes/membership``); the gate knows, and judges. Pure.

A person's losses are lower where the model learned from that person (Yeom et al. 2018, "Privacy Risk in Machine
Learning"); what such guesses are worth is :mod:`sandbox.policy.guessing`.

The threshold is chosen on one half of the people and counted on the other, so that the best of many is not taken for
the only one; of several scores each gets its share of what may go wrong (Bonferroni). The bound takes people who are
in and people who are not for alike: where they differ by more than chance, it tells of that difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.policy.guessing import CONFIDENCE, auc, epsilon_at_least, roc, threshold, tpr_at
from sandbox.runs import Grant

#: The metrics by which a run is such an attack: a loss for each person, by place among the pseudonyms in order.
SCORES = ("person_duration_loss", "person_loss")
PEOPLE = "people"  # how many the recipe met, so that places are known to fit
HONEST = "An attack that fails proves nothing: a better one may succeed."
LOW, HIGH = 0.01, 0.10  # false positive rates at which a true positive rate is told


@dataclass(frozen=True)
class Claim:
    """What differential privacy promises one person, over every run that heard them."""

    epsilon: float
    delta: float


@dataclass(frozen=True)
class Attack:
    """One score's attack. ``roc`` is (false positive rate, true positive rate) from (0, 0) to (1, 1)."""

    score: str
    auc: float
    tpr_low: float
    tpr_high: float
    lower_bound: float
    roc: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Report:
    """All attacks of a run. ``claim`` is None where nothing bounds what the model tells of a person."""

    members: int
    others: int
    claim: Claim | None
    attacks: tuple[Attack, ...]
    confidence: float = CONFIDENCE

    @property
    def lower_bound(self) -> float:
        return max(attack.lower_bound for attack in self.attacks)

    @property
    def refutes(self) -> bool:
        return self.claim is not None and refutes(self.claim.epsilon, self.lower_bound)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "lower_bound": self.lower_bound, "refutes": self.refutes}


def refutes(claim: float, lower_bound: float) -> bool:
    """Whether a bound proves a claim false, with its confidence. That it does not proves nothing."""
    return lower_bound > claim


def claims(line: Iterable[Grant], dataset: str | None) -> dict[str, Claim | None]:
    """What each person of ``dataset`` who was heard is promised, by a model's own grant and those of all it came from.

    Losses add up (basic composition, never too little). One run without privacy, or with one per recording, and
    nothing is promised. A pseudonym is of one dataset: in another one it is somebody else.
    """
    found: dict[str, Claim | None] = {}
    for grant in (one for one in line if one.dataset == dataset):
        for person in grant.subjects:
            before, given = found.get(person, Claim(0.0, 0.0)), grant.privacy
            if before is None or given is None or given.unit != "speaker":
                found[person] = None
            else:
                found[person] = Claim(before.epsilon + given.epsilon, before.delta + given.delta)
    return found


def judge(losses: Mapping[str, Mapping[str, float]], promised: Mapping[str, Claim | None]) -> Report | None:
    """What ``losses`` (score -> person -> loss) tell of those in ``promised`` and of everybody else.

    Where some are promised something, only they are taken for members: who was heard without a bound would prove
    nothing about it. None where nobody, or everybody, was in.
    """
    kept = {person for person, claim in promised.items() if claim is not None}
    inside = kept or set(promised)
    known = [promised[person] for person in sorted(kept)]
    claim = max((one for one in known if one is not None), key=lambda one: one.epsilon, default=None)
    delta = max((one.delta for one in known if one is not None), default=0.0)
    attacks, sizes = list[Attack](), (0, 0)
    for score, given in sorted(losses.items()):
        members = [-given[person] for person in sorted(given) if person in inside]
        others = [-given[person] for person in sorted(given) if person not in promised]
        if not members or not others:
            return None
        sizes = (len(members), len(others))
        attacks.append(_attack(score, members, others, delta, (1 - CONFIDENCE) / len(losses)))
    if not attacks:
        return None
    return Report(*sizes, None if claim is None else Claim(claim.epsilon, delta), tuple(attacks))


def told(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A kept report in words, without its curves; ``why`` where nothing was judged."""
    if "why" in found:
        return [("not judged", str(found["why"]))]
    claim = "nothing, it has no bound" if found["claim"] is None else f"epsilon {found['claim']['epsilon']:g}"
    rows = [("people", f"{found['members']} in it, {found['others']} not")]
    for one in found["attacks"]:
        caught = f"{one['tpr_low']:.0%} caught at 1 % mistakes, {one['tpr_high']:.0%} at 10 %"
        rows.append(
            (one["score"].removeprefix("person_").replace("_", " "), f"AUC {one['auc']:.2f}, {caught}")
        )
    rows += [
        ("claimed", claim),
        ("proved at least", f"epsilon {found['lower_bound']:.2f} ({found['confidence']:.0%} confidence)"),
    ]
    return [*rows, ("so", "THE CLAIM IS FALSE" if found["refutes"] else HONEST)]


def _attack(
    score: str, members: Sequence[float], others: Sequence[float], delta: float, alpha: float
) -> Attack:
    curve = roc(members, others)
    level = threshold(members[::2], others[::2])
    held_in, held_out = members[1::2], others[1::2]
    bound = epsilon_at_least(
        sum(s >= level for s in held_in), len(held_in), sum(s >= level for s in held_out), len(held_out),
        delta, alpha,
    )  # fmt: skip
    return Attack(score, auc(curve), tpr_at(curve, LOW), tpr_at(curve, HIGH), bound, curve)
