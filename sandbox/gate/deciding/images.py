"""The runner image under review: which one is installed, from which inputs, and who approved it (3.2 a, e).

``sandbox up`` builds it and publishes its id and the digest of every file that it was made from. A rebuilt image has
another id and needs another approval. What was reviewed once is kept, so that the next one can be compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, NotPermitted
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import images
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.gate.ledger import log
from sandbox.gate.settings import Settings
from sandbox.policy import review_entries
from sandbox.policy.history import image_history
from sandbox.policy.registers import IMAGES, Registers
from sandbox.policy.review_entries import ImageEntry
from sandbox.records import check_id
from sandbox.runs import utc
from sandbox.statements import canonical_json, sha256


class Images:
    """Every runner image that was installed here and looked at."""

    def __init__(
        self,
        store: Store,
        registers: RegisterReader,
        settings: Callable[[], Settings],
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._registers, self._settings, self._clock = store, registers, settings, clock

    def listing(self) -> list[dict[str, Any]]:
        """The installed one and all that were looked at, oldest first."""
        self._remember()
        known, installed = self._registers.now(), self._settings().image_id
        rows = self._store.read(
            lambda c: c.execute(sa.select(images).order_by(images.c.at, images.c.id)).mappings().all()
        )
        return [self._described(dict(row), known, installed) for row in rows]

    def review(self, image: str) -> dict[str, Any]:
        """What it was made from, what differs from the one approved last, and who said what when. Raises NotFound."""
        self._remember()
        row, known = self._row(image), self._registers.now()
        chain = self._registers.reviews(IMAGES)
        before = next(
            (
                posting.entry.image
                for posting in reversed(chain)
                if isinstance(posting.entry, ImageEntry)
                and posting.entry.image != row["id"]
                and known.image_approved_by(posting.entry.image)
                and not known.image_revoked_by(posting.entry.image)
            ),
            "",
        )
        old = self._row(before)["inputs"] if before else {}
        return {
            **self._described(row, known, self._settings().image_id),
            "inputs": row["inputs"],
            "before": before,
            "changed": sorted(
                name for name in {*old, *row["inputs"]} if old.get(name) != row["inputs"].get(name)
            )
            if before
            else [],
            "history": image_history(chain, row["id"]),
        }

    def approve(self, image: str, by: str) -> dict[str, Any]:
        """A reviewer's approval of one image: its id and its inputs.

        Raises:
            NotPermitted: who approves holds no reviewing role, is an operator, or installed it.
        """
        self._remember()
        row, known = self._row(image), self._registers.read()
        self._require(known, by)
        if by == row["installed_by"]:
            raise NotPermitted("who installed an image cannot approve it", code="image.own")
        entry = ImageEntry(image=row["id"], inputs=row["digest"], reviewer=by)
        if known.images.get(entry.key) != entry:
            self._registers.approve(entry, by)
        return self.review(row["id"])

    def revoke(self, image: str, reason: str, by: str) -> dict[str, Any]:
        """A reviewer takes an image out of use. Raises NotPermitted, Usage."""
        row, known = self._row(image), self._registers.read()
        why = review_entries.reason(reason)
        self._require(known, by)
        if by not in known.image_revoked_by(row["id"]):
            entry = ImageEntry(
                image=row["id"], inputs=row["digest"], reviewer=by, status="revoked", reason=why
            )
            self._registers.approve(entry, by)
        return self.review(row["id"])

    @staticmethod
    def _require(known: Registers, by: str) -> None:
        if not known.may_review_image(by):
            raise NotPermitted(
                f"{by} reviews no images",
                mend="a privacy reviewer or an approver of Party A does, who is no operator: operators install them",
            )

    def _remember(self) -> None:
        """Keep what the installed image was made from; the same image again changes nothing."""
        settings, now = self._settings(), self._clock()
        if not settings.image_id:
            return
        inputs = dict(sorted(settings.image_inputs.items()))
        values = {
            "id": settings.image_id,
            "inputs": inputs,
            "digest": inputs_digest(inputs),
            "installed_by": settings.image_installed_by,
            "at": utc(now),
        }

        def keep(connection: Connection) -> None:
            known = connection.execute(sa.select(images.c.id).where(images.c.id == settings.image_id))
            if known.first() is None:
                connection.execute(images.insert().values(**values))
                log.append(connection, "image", now, "gate", image=settings.image_id, inputs=values["digest"])

        if self._find(settings.image_id) is None:
            self._store.transact(keep)

    def _find(self, image: str) -> Mapping[str, Any] | None:
        asked = sa.select(images).where(images.c.id == image)
        row = self._store.read(lambda c: c.execute(asked).mappings().first())
        return None if row is None else dict(row)

    def _row(self, image: str) -> Mapping[str, Any]:
        found = self._find(check_id("sha256", image))
        if found is None:
            raise NotFound(
                f"no image {image[:12]}… was installed here", code="image.unknown", mend="sandbox image list"
            )
        return found

    @staticmethod
    def _described(row: Mapping[str, Any], known: Registers, installed: str) -> dict[str, Any]:
        return {
            "id": row["id"],
            "digest": row["digest"],
            "installed_by": row["installed_by"],
            "at": row["at"],
            "installed": row["id"] == installed,
            "approved_by": list(known.image_approved_by(row["id"])),
            "revoked_by": list(known.image_revoked_by(row["id"])),
        }


def inputs_digest(inputs: Mapping[str, str]) -> str:
    """sha256 of canonical JSON ``[[name, sha256], ...]``, sorted: what a reviewer's entry names besides the id."""
    return sha256(canonical_json(sorted([name, digest] for name, digest in inputs.items())))
