"""The order, checked against what the image and the mounts say.

Nothing in an order can replace a trust anchor; nothing that is mounted counts until its digest is the grant's.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

from sandbox.errors import CredentialError, RecipeError, StatementError
from sandbox.runs import Grant, Kind, Order, Trust, from_utc, recipe_digest
from sandbox.statements import open_statement, sha256

MAX_RECIPE_BYTES = 4 << 20


def check_order(order: Order, trust: Trust, now: datetime) -> tuple[Grant, str]:
    """The grant of this order and its digest, once gate key, time and credentials fit.

    Raises:
        StatementError: not signed by the gate of this image, or not a grant.
        CredentialError: outside its time, or it brings credentials that its kind must not have, or lacks some.
    """
    statement = open_statement(order.grant, "grant", trust.gate)
    grant = Grant.from_predicate(statement.predicate)
    if not from_utc(grant.not_before) <= now < from_utc(grant.expires):
        raise CredentialError("the grant is not valid at this time", code="grant.expired")
    if grant.kind is Kind.DRY:
        if order.unlock or order.artifacts or order.inputs or grant.inputs:
            raise CredentialError("a dry run takes no credential and no sealed input", code="grant.dry_run")
        return grant, statement.digest
    if (order.unlock is None) != (grant.dataset is None):
        raise CredentialError("the order's credentials do not fit its grant", code="grant.credentials")
    if set(order.artifacts) != {a.path for a in grant.artifacts} or set(order.inputs) != {
        i.path for i in grant.inputs if not i.public
    }:
        raise CredentialError("the order's artifact keys do not fit its grant", code="grant.credentials")
    if any(i.public for i in grant.inputs) and (grant.dataset is not None or order.inputs):
        raise CredentialError("a public file lies beside what is sealed", code="grant.public_file")
    return grant, statement.digest


def check_recipe(grant: Grant, folder: str | Path) -> None:
    """Recompute the digest of the mounted recipe.

    Raises:
        RecipeError: one byte, name or file differs from what was approved.
    """
    if recipe_digest(read_folder(Path(folder), MAX_RECIPE_BYTES)) != grant.recipe_digest:
        raise RecipeError("the mounted recipe is not the granted one", code="recipe.digest")


def check_public_set(grant: Grant, folder: str | Path) -> None:
    """A dry run's data is the public set whose digest the grant names, and nothing else."""
    if recipe_digest(read_folder(Path(folder), 1 << 30)) != grant.manifest_digest:
        raise RecipeError("the mounted public set is not the one of the grant", code="dataset.digest")


def check_input(sealed: bytes, digest: str) -> None:
    """Raises StatementError when an input's bytes, sealed or public, are not the granted ones."""
    if sha256(sealed) != digest:
        raise StatementError("an input is not the granted one", code="input.digest")


def read_folder(folder: Path, limit_bytes: int) -> dict[str, bytes]:
    """Relative path -> bytes of every regular file below ``folder``; anything but files and folders is refused."""
    files: dict[str, bytes] = {}
    total = 0
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise RecipeError(
                    "a mounted folder holds something that is no regular file", code="recipe.file"
                )
            total += path.lstat().st_size
            if total > limit_bytes:
                raise RecipeError("a mounted folder is larger than allowed", code="recipe.size")
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files
