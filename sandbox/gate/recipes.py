"""Recipes: exact bytes by digest, submitted by one person, approved by another, staged read-only for one run."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, NotPermitted, Usage
from sandbox.gate import log
from sandbox.gate.files import write_whole
from sandbox.gate.places import Places
from sandbox.gate.registers import RegisterReader
from sandbox.gate.store import Store
from sandbox.gate.tables import recipes
from sandbox.policy.entries import ApprovalEntry
from sandbox.policy.recipe import Card, read_card
from sandbox.records import check_id
from sandbox.runs import recipe_digest, utc

TOTAL_MAX = 4 << 20
FILES_MAX = 200
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

    def submit(self, body: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Keep the files of a recipe; the same bytes again change nothing. Raises Usage for what is no recipe."""
        files = decode(body)
        card, digest = read_card(files), recipe_digest(files)
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

    def approve(self, digest: str, name: str, by: str) -> dict[str, Any]:
        """A reviewer's approval of exact bytes.

        Raises:
            NotPermitted: who approves holds no reviewing role, or submitted it.
        """
        found = self._row(digest)
        if name and name != found["name"]:
            raise Usage(f"{digest[:12]}… is recipe {found['name']}, not {name}", code="recipe.name")
        known = self._registers.read()
        if not known.may_review(by):
            raise NotPermitted(f"{by} reviews no recipes", mend="a privacy reviewer approves")
        if found["submitted_by"] == by:
            raise NotPermitted(
                "who submitted a recipe cannot approve it", code="recipe.own", mend="ask another reviewer"
            )
        if by not in known.approved_by(digest):
            self._registers.approve(ApprovalEntry(recipe=found["name"], digest=digest, reviewer=by), by)
        return self.describe(digest)

    def describe(self, digest: str) -> dict[str, Any]:
        """Raises NotFound."""
        return {**self._row(digest), "approved_by": list(self._registers.read().approved_by(digest))}

    def listing(self) -> list[dict[str, Any]]:
        known = self._registers.read()
        rows = self._store.read(
            lambda connection: connection.execute(sa.select(recipes).order_by(recipes.c.at)).mappings().all()
        )
        return [{**row, "approved_by": list(known.approved_by(row["digest"]))} for row in rows]

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
