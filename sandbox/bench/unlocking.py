"""What keys in Vault cost, on a real server with its policies and its audit file: unlocking people, forgetting one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sandbox.bench import million, vault
from sandbox.bench.figures import median, spread
from sandbox.bench.memory import DATASET, TERMS
from sandbox.bench.rows import Row, at_most
from sandbox.bench.sealed import emptied
from sandbox.custodian.desk import VaultHead
from sandbox.records import INDEX_KEY
from sandbox.sealing.eraser import erase_subject, subject_wraps
from sandbox.sealing.records import draw_key
from sandbox.sealing.storage import Folder
from sandbox.sealing.version import Hands
from sandbox.vault.answers import text
from sandbox.vault.keys import context, data_key_of, key_name
from sandbox.vault.minting import USES_BESIDES_KEYS

COUNTS = (1, 100, 1_000, 10_000)
ERASE_GOAL_S = 1.0
FAR = 100_000  # people, for the cost model
_ERASED = 5
_AT_ONCE = 8


def measure(
    work: Path, templates: Path, counts: Sequence[int] = COUNTS, rows: int = million.ROWS
) -> list[Row]:
    with emptied(work / "unlock") as folder, vault.running(folder / "v", templates) as hands:
        wraps = prepared(hands, million.people())
        seconds = {count: unlocked_s(hands, wraps, count) for count in counts}
        return [*unlock_rows(seconds), erasing(hands, folder / "million", wraps, rows)]


def prepared(hands: vault.Hands, people: Sequence[str]) -> dict[str, str]:
    """A key in Vault and one wrapped data key for each, and a policy under which a run may open them."""

    def make(subject: str) -> str:
        hands.custodian.create_subject_key(DATASET, subject)
        return hands.custodian.wrap_data_key(DATASET, subject, draw_key())

    with ThreadPoolExecutor(_AT_ONCE, "keys") as pool:
        wraps = dict(zip(people, pool.map(make, people), strict=True))
    make(INDEX_KEY)
    hands.custodian.write_run_policy(DATASET, "train")
    return wraps


def unlocked_s(hands: vault.Hands, wraps: dict[str, str], count: int) -> float:
    """As a keeper does it: one after the other over one connection, under a run's own token."""
    uses = count + USES_BESIDES_KEYS
    minted = hands.gate.mint_run(DATASET, "train", "r-bench", "g-bench", uses=uses, ttl_s=900, wrap_ttl_s=60)
    line = hands.speak(minted.wrap.token)
    line.use(text(line.write("sys/wrapping/unwrap"), "auth", "client_token"))
    started = time.perf_counter()
    for subject, wrapped in list(wraps.items())[:count]:
        body = {"ciphertext": wrapped, "context": context(DATASET)}
        data_key_of(line.write(f"subjects/decrypt/{key_name(DATASET, subject)}", body))
    seconds = time.perf_counter() - started
    line.write("auth/token/revoke-self")
    line.close()
    return seconds


def unlock_rows(seconds: dict[int, float]) -> list[Row]:
    rows = [Row(f"unlock {_count(n)}", s, "s", f"{1000 * s / n:.2f} ms each") for n, s in seconds.items()]
    if len(seconds) > 1:
        fixed, each = cost_model(seconds)
        far = f"{fixed:.2g} s + {1000 * each:.2f} ms x people; {_count(FAR)}: {fixed + each * FAR:.0f} s"
        rows.append(Row("unlocking, cost model", 1000 * each, "ms a person", far))
    return rows


def cost_model(seconds: dict[int, float]) -> tuple[float, float]:
    """Seconds once and seconds a person: a line through what was measured, each point weighted by its own size."""
    people, took = (np.array(list(values), float) for values in (seconds, seconds.values()))
    each, fixed = np.polyfit(people, took, 1, w=1 / took)
    return max(0.0, float(fixed)), float(each)


def erasing(hands: vault.Hands, folder: Path, wraps: dict[str, str], rows: int) -> Row:
    """Key destroyed, its destruction proved, tombstone written, head moved: of one person after the other."""
    custodian = hands.custodian
    keys = custodian.public_keys("custodian")
    sealing = Hands(custodian, custodian.signer(), VaultHead(custodian, DATASET), keys)
    million.write(folder, sealing, rows, {subject: [wrapped] for subject, wrapped in wraps.items()})
    source, took = Folder(folder), []
    for subject in list(wraps)[:_ERASED]:
        started = time.perf_counter()
        held = subject_wraps(source, DATASET, subject, sealing)
        custodian.destroy_key(DATASET, subject)
        for wrapped in held:
            custodian.prove_destroyed(DATASET, subject, wrapped)
        erase_subject(source, DATASET, subject, TERMS, sealing)
        took.append(time.perf_counter() - started)
    name = f"erase one of {_count(len(wraps))}, {_thousands(rows)} rows"
    return at_most(name, median(took), "s", ERASE_GOAL_S, spread(took))


def _count(people: int) -> str:
    return _thousands(people) + (" person" if people == 1 else " people")


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")
