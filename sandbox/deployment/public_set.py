"""The public speech of dry runs: plain files that anybody may hear, copied into the installation, named by digest.

A folder with ``metadata.csv`` (file, text, subject, language) and what it lists. The gate mounts it for a dry run and
for nothing else; grants name its digest, so the keeper refuses any other bytes.
"""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import yaml

from sandbox.deployment.places import Places
from sandbox.deployment.vault_server import replace_file
from sandbox.errors import Usage
from sandbox.runs import recipe_digest

BYTES_MAX = 1 << 30
COLUMNS = {"file", "text", "subject", "language"}


def bring(places: Places, folder: Path) -> str:
    """Copy ``folder`` into the installation in place of what was there; returns its digest. Raises Usage."""
    files = read(folder)
    beside = places.app / ".public.new"
    shutil.rmtree(beside, ignore_errors=True)
    for name, data in files.items():
        target = beside / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o644)
    shutil.rmtree(places.public_set, ignore_errors=True)
    beside.rename(places.public_set)
    return publish(places)


def publish(places: Places) -> str:
    """Write the digest of the present set into ``app/configs/public.yaml``; empty, and nothing written, without one."""
    if not places.public_set.is_dir():
        return ""
    digest = recipe_digest(read(places.public_set))
    told = {"digest": digest, "source": "brought by the operator", "licence": "as the set says"}
    replace_file(places.app / "configs" / "public.yaml", yaml.safe_dump(told).encode(), 0o644)
    return digest


def read(folder: Path) -> dict[str, bytes]:
    """The set's files: ``metadata.csv`` and what it lists, nothing else.

    Raises Usage when a column, a file or all of it is missing, or a path leads out of the folder.
    """
    try:
        listing = (folder / "metadata.csv").read_bytes()
        rows = list(csv.DictReader(io.StringIO(listing.decode("utf-8"))))
    except (OSError, UnicodeDecodeError):
        raise Usage(f"{folder} has no readable metadata.csv", code="public.none") from None
    if not rows or not set(rows[0]) >= COLUMNS:
        raise Usage(
            f"{folder}/metadata.csv needs rows with {', '.join(sorted(COLUMNS))}", code="public.columns"
        )
    files = {"metadata.csv": listing}
    for row in rows:
        path = folder / row["file"]
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise Usage(f"{row['file']} is no regular file in {folder}", code="public.file")
        files[row["file"]] = path.read_bytes()
    if sum(map(len, files.values())) > BYTES_MAX:
        raise Usage(f"{folder} holds more than {BYTES_MAX >> 30} GiB", code="public.too_large")
    return files
