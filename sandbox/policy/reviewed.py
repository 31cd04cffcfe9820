"""What a decision knows of the recipe and the image that a run would use: whose word on them stands (3.2 a, 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.policy.recipe import Card
from sandbox.policy.registers import Registers


@dataclass(frozen=True)
class FileChange:
    """One file of a recipe that is not as it was approved; lines added and removed."""

    path: str
    added: int
    removed: int


@dataclass(frozen=True)
class RecipeChange:
    """What differs from the version of this name that was approved last; ``before`` is empty where none was."""

    before: str = ""
    files: tuple[FileChange, ...] = ()


UNCHANGED = RecipeChange()


@dataclass(frozen=True)
class RecipeFacts:
    """A recipe's card, as far as rules look, and the reviewers whose approval for the purpose stands.

    ``approved_otherwise`` approved it for other purposes; ``revoked_by`` said that it may not run any more.
    """

    name: str
    digest: str
    purposes: tuple[str, ...]
    clones: bool
    dataset: str
    inputs: tuple[str, ...]
    dp: str
    approved_by: tuple[str, ...]
    approved_otherwise: tuple[str, ...] = ()
    revoked_by: tuple[str, ...] = ()
    change: RecipeChange = UNCHANGED

    @classmethod
    def of(
        cls, card: Card, digest: str, purpose: str, registers: Registers, change: RecipeChange
    ) -> RecipeFacts:
        approved = registers.approved_by(digest, purpose)
        return cls(
            name=card.name,
            digest=digest,
            purposes=card.purposes,
            clones=card.clones,
            dataset=card.dataset,
            inputs=card.inputs,
            dp=card.dp,
            approved_by=approved,
            approved_otherwise=tuple(name for name in registers.approved_by(digest) if name not in approved),
            revoked_by=registers.revoked_by(digest),
            change=change,
        )


@dataclass(frozen=True)
class ImageFacts:
    """The runner image that is installed, and who approved or revoked it."""

    id: str
    approved_by: tuple[str, ...] = ()
    revoked_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: str, registers: Registers) -> ImageFacts:
        return cls(image, registers.image_approved_by(image), registers.image_revoked_by(image))
