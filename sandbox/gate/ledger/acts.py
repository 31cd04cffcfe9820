"""The ledger's acts (a run's reservation, its charge or release), one chain for each dataset.

An act's digest is over its rows, and its link over the link before: whoever knows how many acts there were and the last
link knows whether a database holds them all, and no others. That is what the mark in Vault keeps
(:mod:`sandbox.gate.ledger.high_water`); it stays as small for ten thousand data subjects as for one.

    digest = sha256(canonical JSON [[subject, sigma, sample_rate, steps, epsilon, delta], ...], sorted)
    chain  = sha256(canonical JSON [chain before or "", dataset, seq, run, kind, digest])
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import budget, ledger
from sandbox.statements import canonical_json, sha256

NOISE = ("sigma", "sample_rate", "steps", "epsilon", "delta")


@dataclass(frozen=True)
class Head:
    """How many acts a dataset's ledger holds, and the last link; none and empty for a young one."""

    acts: int = 0
    chain: str = ""


def newest(connection: Connection, dataset: str) -> Head:
    return _head(connection, ledger.c.dataset == dataset)


def at(connection: Connection, dataset: str, acts: int) -> Head:
    """The ledger as it was with ``acts`` acts; with fewer, when it never had so many."""
    return _head(connection, ledger.c.dataset == dataset, ledger.c.seq <= acts)


def datasets(connection: Connection) -> list[str]:
    asked = sa.select(ledger.c.dataset).union(sa.select(budget.c.dataset))
    return sorted(connection.execute(asked).scalars())


def enter(
    connection: Connection, dataset: str, run: str, kind: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Bind the rows of one act to the chain; in the transaction that writes them."""
    before, digest = newest(connection, dataset), digest_of(rows)
    seq = before.acts + 1
    chain = link(before.chain, dataset, seq, run, kind, digest)
    values = {"dataset": dataset, "seq": seq, "run": run, "kind": kind, "digest": digest, "chain": chain}
    connection.execute(ledger.insert().values(**values))


def digest_of(rows: Iterable[Mapping[str, Any]]) -> str:
    return sha256(canonical_json(sorted(_line(row) for row in rows)))


def link(before: str, dataset: str, seq: int, run: str, kind: str, digest: str) -> str:
    return sha256(canonical_json([before, dataset, seq, run, kind, digest]))


def faults(links: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Where acts and rows differ, in words. Both as stored: acts by dataset and number, rows in any order."""
    held: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        held[row["dataset"], row["run"], row["kind"]].append(row)
    heads: dict[str, Head] = {}
    for act in links:
        dataset, run, kind = act["dataset"], act["run"], act["kind"]
        before = heads.get(dataset, Head())
        digest = digest_of(held.pop((dataset, run, kind), ()))
        chain = link(before.chain, dataset, before.acts + 1, run, kind, digest)
        if (act["seq"], act["digest"], act["chain"]) != (before.acts + 1, digest, chain):
            yield f"act {act['seq']} of {dataset}'s ledger ({run}, {kind}) is not what was entered"
        heads[dataset] = Head(int(act["seq"]), act["chain"])
    for dataset, run, kind in held:
        yield f"rows of {dataset}'s ledger ({run}, {kind}) belong to no act"


def altered(connection: Connection) -> list[str]:
    """Every fault of this database's ledger."""
    links = connection.execute(sa.select(ledger).order_by(ledger.c.dataset, ledger.c.seq)).mappings()
    rows = connection.execute(sa.select(budget)).mappings()
    return list(faults(map(dict, links), map(dict, rows)))


def _line(row: Mapping[str, Any]) -> list[Any]:
    return [row["subject"], *(None if row[name] is None else float(row[name]) for name in NOISE)]


def _head(connection: Connection, *where: Any) -> Head:
    asked = sa.select(ledger.c.seq, ledger.c.chain).where(*where).order_by(ledger.c.seq.desc()).limit(1)
    row = connection.execute(asked).first()
    return Head() if row is None else Head(int(row.seq), str(row.chain))
