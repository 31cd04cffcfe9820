"""Two versions of an agreement side by side, as people read it: what the new one allows more, and what less."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from sandbox.cli.show import grid, marks
from sandbox.errors import Refused
from sandbox.policy.agreement import Agreement, require_successor
from sandbox.policy.difference import Change, differences
from sandbox.policy.directions import Effect
from sandbox.policy.documents import read
from sandbox.policy.terms import Terms
from sandbox.statements import sha256

if TYPE_CHECKING:
    from rich.console import Console

_GROUPS = (
    (Effect.WIDENS, "allows more"),
    (Effect.NARROWS, "allows less"),
    (Effect.NEITHER, "neither"),
)


@dataclass(frozen=True)
class Versions:
    """Both files, unsigned as they may be, and what they say differently."""

    old: Agreement
    new: Agreement
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, old: bytes, old_name: str, new: bytes, new_name: str) -> Self:
        """Raises Usage with every fault of a file that cannot be read as terms."""
        before = Agreement(read(old, Terms, old_name), sha256(old))
        after = Agreement(read(new, Terms, new_name), sha256(new))
        return cls(before, after, differences(before.terms, after.terms))

    def count(self, effect: Effect) -> int:
        return sum(change.effect is effect for change in self.changes)

    @property
    def follows(self) -> bool:
        """Whether ``new`` names ``old`` as the version before it, as activating it after ``old`` asks for."""
        try:
            require_successor(self.old, self.new)
        except Refused:
            return False
        return True

    def as_json(self) -> dict[str, Any]:
        return {
            **{
                name: {
                    "agreement": found.terms.metadata.id,
                    "version": found.terms.metadata.version,
                    "sha256": found.digest,
                }
                for name, found in (("old", self.old), ("new", self.new))
            },
            "follows": self.follows,
            **{effect.value: self.count(effect) for effect, _ in _GROUPS},
            "changes": [asdict(change) for change in self.changes],
        }

    def show(self, screen: Console) -> None:
        from rich.markup import escape

        mark = marks(screen.file)
        old, new = (f"{a.terms.metadata.id} v{a.terms.metadata.version}" for a in (self.old, self.new))
        if not self.changes:
            screen.print(f"{old} {mark.arrow} {new}: both say the same")
            return
        counts = ", ".join(f"{words} {self.count(effect)}" for effect, words in _GROUPS)
        screen.print(f"{old} {mark.arrow} {new}: {counts}")
        for effect, words in _GROUPS:
            rows = [
                (escape(f"  {change.path}"), escape(change.words))
                for change in self.changes
                if change.effect is effect
            ]
            if rows:
                grid(screen, (words, ""), rows)
        if self.count(Effect.WIDENS):
            screen.print("What allows more needs the signatures of both parties (V24).")
        elif self.count(Effect.NARROWS):
            screen.print("It only narrows: Party A's signature alone will do (V24).")
        if not self.follows:
            number, digest = self.old.terms.metadata.version + 1, self.old.digest
            screen.print(
                f"{mark.warn} it does not follow the old one: metadata takes version {number} and supersedes {digest}",
                soft_wrap=True,
            )
