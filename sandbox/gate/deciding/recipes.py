"""Recipes: exact bytes by digest, submitted by one person, approved by another, staged read-only for one run."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, NotPermitted, Refused, SandboxError, TooMany, Usage
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import recipes
from sandbox.gate.deciding.recipe_changes import changed_files
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.gate.files import write_whole
from sandbox.gate.ledger import log
from sandbox.gate.places import Places
from sandbox.policy import review_entries
from sandbox.policy.entries import ApprovalEntry
from sandbox.policy.history import approved_before, recipe_history
from sandbox.policy.recipe import Card, read_card
from sandbox.policy.registers import APPROVALS, Registers
from sandbox.policy.reviewed import FileChange, RecipeChange
from sandbox.records import check_id
from sandbox.runs import recipe_digest, utc

TOTAL_MAX = 4 << 20
FILES_MAX = 200
A_DAY = 200  # new recipes of one person, dry runs included
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,63}){0,3}")


class Recipes:
    """The gate's shelf of recipes, ``recipes/<digest>/``; what lies there never changes."""

    def __init__(
        self, places: Places, store: Store, registers: RegisterReader, clock: Callable[[], datetime]
    ) -> None:
        self._places, self._store, self._registers, self._clock = places, store, registers, clock
        self._cards: dict[
            str, Card
        ] = {}  # by digest: reading one takes long, and its bytes are checked anyway
        self._changes: dict[tuple[str, str], tuple[FileChange, ...]] = {}  # digests name exact bytes

    def submit(self, body: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Keep the files of a recipe; the same bytes again change nothing. Raises Usage for what is no recipe."""
        files = decode(body)
        card, digest = read_card(files), recipe_digest(files)
        self._require_room(digest, by)
        for path, data in files.items():
            write_whole(self._places.recipes / digest / path, data, 0o644)
        now = self._clock()

        def keep(connection: Connection) -> None:
            if connection.execute(sa.select(recipes).where(recipes.c.digest == digest)).first() is None:
                values = {"digest": digest, "name": card.name, "submitted_by": by, "at": utc(now)}
                connection.execute(recipes.insert().values(**values))
                log.append(connection, "recipe", now, by, recipe=card.name, digest=digest)

        self._store.transact(keep)
        return self.describe(digest)

    def approve(
        self, digest: str, name: str, by: str, purposes: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """A reviewer's approval of exact bytes for ``purposes``; without them for all that stand on the card.

        A second approval replaces the first: it may name more purposes, or fewer.

        Raises:
            NotPermitted: who approves holds no reviewing role, or submitted it.
            Usage: the card does not know a purpose.
        """
        found = self._row(digest)
        if name and name != found["name"]:
            raise Usage(f"{digest[:12]}… is recipe {found['name']}, not {name}", code="recipe.name")
        known = self._registers.read()
        if not known.may_review(by):
            raise NotPermitted(
                f"{by} reviews no recipes", mend="a privacy reviewer or an approver of Party A does"
            )
        if found["submitted_by"] == by:
            raise NotPermitted(
                "who submitted a recipe cannot approve it", code="recipe.own", mend="ask another reviewer"
            )
        card = self.card(digest)
        wanted = tuple(dict.fromkeys(card.purposes if purposes is None else purposes))
        if not wanted or not set(wanted) <= set(card.purposes):
            raise Usage(
                f"recipe {card.name} was made for {', '.join(card.purposes)}",
                code="recipe.purpose",
                mend="approve it for purposes that stand on its card",
            )
        entry = ApprovalEntry(recipe=found["name"], digest=digest, reviewer=by, purposes=wanted)  # type: ignore[arg-type]  # the card's
        if known.approvals.get(entry.key) != entry:
            self._registers.approve(entry, by)
        return self.describe(digest)

    def revoke(self, digest: str, reason: str, by: str) -> dict[str, Any]:
        """A reviewer takes these bytes out of use, whoever approved them; new runs are refused from here on.

        Raises:
            NotPermitted: who revokes holds no reviewing role.
            Refused: nobody ever approved it, so there is nothing to revoke.
        """
        found = self._row(digest)
        why = review_entries.reason(reason)
        known = self._registers.read()
        if not known.may_review(by):
            raise NotPermitted(
                f"{by} reviews no recipes", mend="a privacy reviewer or an approver of Party A does"
            )
        if not any(entry.digest == digest for entry in known.approvals.values()):
            raise Refused(f"nobody approved {digest[:12]}…", code="recipe.never_approved")
        if by not in known.revoked_by(digest):
            entry = ApprovalEntry(
                recipe=found["name"], digest=digest, reviewer=by, status="revoked", reason=why
            )
            self._registers.approve(entry, by)
        return self.describe(digest)

    def change(self, digest: str, name: str, known: Registers) -> RecipeChange:
        """What nobody has reviewed: the difference from the version of this name that was approved last."""

        def standing(other: str) -> tuple[str, ...]:
            return () if known.revoked_by(other) else known.approved_by(other)

        before = approved_before(self._registers.reviews(APPROVALS), name, digest, standing)
        if not before:
            return RecipeChange()
        if (before, digest) not in self._changes:
            try:
                old = self.files(before)
            except SandboxError:  # lost or altered on disk: the refusal stands without them
                return RecipeChange(before)
            self._changes[before, digest] = changed_files(old, self.files(digest))
        return RecipeChange(before, self._changes[before, digest])

    def review(self, digest: str) -> dict[str, Any]:
        """What a reviewer looks at besides the files: what stands, what it differs from, who said what when."""
        row, known = self.describe(digest), self._registers.now()
        change = self.change(digest, row["name"], known)
        return {
            **row,
            "purposes": list(self.card(digest).purposes),
            "before": change.before,
            "changed": [asdict(file) for file in change.files],
            "history": recipe_history(self._registers.reviews(APPROVALS), digest),
        }

    def describe(self, digest: str) -> dict[str, Any]:
        """Raises NotFound."""
        return _standing(self._row(digest), self._registers.now())

    def listing(self) -> list[dict[str, Any]]:
        known = self._registers.now()
        rows = self._store.read(
            lambda connection: connection.execute(sa.select(recipes).order_by(recipes.c.at)).mappings().all()
        )
        return [_standing(dict(row), known) for row in rows]

    def files(self, digest: str) -> dict[str, bytes]:
        """The exact bytes; checked against the digest on every reading. Raises NotFound, Usage."""
        folder = self._places.recipes / check_id("sha256", digest)
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
        if not found:
            raise NotFound(
                f"no recipe has the digest {digest[:12]}…",
                code="recipe.unknown",
                mend="sandbox recipe submit FOLDER",
            )
        if recipe_digest(found) != digest:
            raise Usage(f"the kept bytes of recipe {digest[:12]}… changed", code="recipe.changed")
        return found

    def card(self, digest: str) -> Card:
        """What the recipe says of itself. Raises as :meth:`files`."""
        files = self.files(digest)
        if digest not in self._cards:
            self._cards[digest] = read_card(files)
        return self._cards[digest]

    def stage(self, digest: str, folder: Path) -> None:
        """Copy the checked bytes to ``folder``, for the container to mount; may run twice."""
        files = self.files(digest)
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in files.items():
            write_whole(folder / path, data, 0o444)

    def _require_room(self, digest: str, by: str) -> None:
        """One login does not fill the disk that the database lies on. Raises TooMany."""
        since = utc(self._clock() - timedelta(days=1))

        def new(connection: Connection) -> int:
            mine = sa.select(recipes.c.digest).where(recipes.c.submitted_by == by, recipes.c.at > since)
            found = set(connection.execute(mine).scalars())
            known = connection.execute(sa.select(recipes.c.digest).where(recipes.c.digest == digest)).first()
            return 0 if known else len(found)

        if self._store.read(new) >= A_DAY:
            raise TooMany(
                f"{by} submitted {A_DAY} recipes within a day",
                code="recipe.too_many",
                mend="ask again tomorrow",
                retry_s=3600,
            )

    def _row(self, digest: str) -> dict[str, Any]:
        check_id("sha256", digest)
        row = self._store.read(
            lambda c: c.execute(sa.select(recipes).where(recipes.c.digest == digest)).mappings().first()
        )
        if row is None:
            raise NotFound(
                f"no recipe has the digest {digest[:12]}…",
                code="recipe.unknown",
                mend="sandbox recipe submit FOLDER",
            )
        return dict(row)


def _standing(row: Mapping[str, Any], known: Registers) -> dict[str, Any]:
    """A recipe and whose word on it stands: who approved it, for which purposes, who revoked it."""
    digest = row["digest"]
    return {
        **row,
        "approved_by": list(known.approved_by(digest)),
        "approved_for": {
            name: list(known.approvals[digest, name].purposes) for name in known.approved_by(digest)
        },
        "revoked_by": list(known.revoked_by(digest)),
    }


def decode(body: Mapping[str, Any]) -> dict[str, bytes]:
    """``{"files": {path: base64}}`` as bytes. Raises Usage for odd names, sizes or encodings."""
    said = body.get("files")
    if not isinstance(said, dict) or not 0 < len(said) <= FILES_MAX:
        raise Usage(f"a recipe is 1 to {FILES_MAX} files", code="recipe.files")
    files: dict[str, bytes] = {}
    for path, text in said.items():
        if not _PATH.fullmatch(path) or ".." in path:
            raise Usage("a recipe's paths are plain and relative", code="recipe.odd_file")
        try:
            files[path] = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):
            raise Usage(f"{path} is not base64", code="recipe.files") from None
    if sum(map(len, files.values())) > TOTAL_MAX:
        raise Usage(f"a recipe has at most {TOTAL_MAX >> 20} MiB", code="recipe.too_large")
    return files
