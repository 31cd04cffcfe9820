"""What must fail, tried for real against the running house. Each attempt says what it saw, never what it hoped for."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from sandbox.client import Address, Login, Public
from sandbox.demo.report import Attempt
from sandbox.demo.thief import Thief
from sandbox.residue import WEIGHTS, Needle, folder, of_corpus, scan

if TYPE_CHECKING:
    from sandbox.demo.story import Stage

ENGINEER, STEWARD, AUDITOR, LAPSED = "eng.li", "stew.zhao", "aud.wang", "eng.old"
PROBED = {
    "opened_socket": "recipe opens an internet socket",
    "resolved_name": "recipe resolves a name",
    "wrote_file": "recipe writes a file",
    "reached_door": "recipe knocks at the gate's door",
    "read_keeper": "recipe reads the keeper's memory",
    "started_program": "recipe starts a program",
    "keys_in_memory": "recipe searches its own memory for keys",
}


def engineer_reads_a_key(stage: Stage) -> list[Attempt]:
    """The engineer's own Vault login asks Vault to open a subject's data key."""
    state = stage.house.state
    login = Login.at(state, {"XDG_RUNTIME_DIR": str(stage.work / "people" / ENGINEER)})
    ca = str(Address.of(state).vault_ca)
    address = f"{Public.read(state).vault_addr}/v1/subjects/decrypt/digits.spk_7f3a"
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as vault:
        answer = vault.post(
            address,
            headers={"X-Vault-Token": login.vault_token()},
            json={"ciphertext": "vault:v1:AAAA", "context": "AA=="},
        )
    return [
        Attempt(
            "engineer reads a subject key",
            "denied (403)",
            f"Vault answered {answer.status_code}",
            answer.status_code == 403,
        )
    ]


def second_unwrap(stage: Stage) -> list[Attempt]:
    """Somebody with root between gate and container opens the wrapped credential first."""
    with Thief(stage.house.state) as thief:
        run = stage.run(ENGINEER, "probe", "a stolen credential", expected="failed")
    incidents = [
        line for line in stage.house.ask(AUDITOR, "incident", "list").lines if line.get("run") == run["id"]
    ]
    observed = f"stolen: {thief.opened}; run {run.get('outcome')} ({run.get('failure')}); incidents: {len(incidents)}"
    holds = thief.opened and run.get("outcome") == "failed" and bool(incidents)
    return [Attempt("second unwrap of a credential", "denied, incident opened", observed, holds)]


def recipe_breaks_out(stage: Stage) -> list[Attempt]:
    """A recipe that tries the network, the disk, the door and its own memory, and reports what it got."""
    run = stage.run(ENGINEER, "probe", "a recipe that tries to break out")
    points = run["metrics"]
    found = []
    for name, what in PROBED.items():
        got = points.get(name) or [{}]
        value = got[-1].get("value")
        observed = "no answer" if value is None else "got through" if value else "denied"
        found.append(Attempt(what, "denied", observed, value == 0))
    return found


def consent_is_withdrawn(stage: Stage) -> list[Attempt]:
    """A data subject withdraws; the next request for that voice is refused, with the reason."""
    stage.house.ask(STEWARD, "consent", "withdraw", "spk_b24e", "--dataset", "voices")
    return [_refused(stage, "withdrawn consent", ENGINEER, "voices-dp", "consent.withdrawn")]


def nda_has_lapsed(stage: Stage) -> list[Attempt]:
    """An engineer whose confidentiality agreement ended asks for the same run."""
    return [_refused(stage, "lapsed NDA", LAPSED, "digits", "person.nda_expired")]


def _refused(stage: Stage, name: str, person: str, config: str, code: str) -> Attempt:
    path = stage.config(config)
    answer = stage.house.ask(
        person, "run", str(path), "--recipes", str(stage.source / "recipes"), "--dry-run"
    )
    reasons = answer.reasons()
    return Attempt(
        name,
        f"refused: {code}",
        f"exit code {answer.code}: {', '.join(dict.fromkeys(reasons))}",
        answer.code == 3 and code in reasons,
    )


def a_bit_flips(stage: Stage) -> list[Attempt]:
    """One bit of one shard changes on disk."""
    shard = next((stage.house.state / "custodian/sealed/voices/shards").glob("*.tar"))
    with _flipped(shard):
        answer = stage.house.ask(STEWARD, "data", "verify", "voices")
    named = shard.stem[:12] in answer.text
    again = stage.house.ask(STEWARD, "data", "verify", "voices")
    return [
        Attempt(
            "flipped bit in a shard",
            "named (exit code 6)",
            f"exit code {answer.code}, shard {'named' if named else 'not named'}; mended: {again.code}",
            answer.code == 6 and named and again.code == 0,
        )
    ]


@contextlib.contextmanager
def _flipped(path: Path) -> Iterator[None]:
    offset = path.stat().st_size // 2
    _flip(path, offset)
    try:
        yield
    finally:
        _flip(path, offset)


def _flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def a_tag_is_removed(stage: Stage) -> list[Attempt]:
    """Somebody with root deletes the confidentiality tag in MLflow's own database."""
    database = stage.house.state / "mlflow" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        gone = connection.execute("DELETE FROM model_version_tags WHERE key = 'gov.classification'").rowcount
    answer = stage.house.ask(AUDITOR, "audit", "verify")
    named = "gov.classification" in answer.text
    stage.house.ask(AUDITOR, "audit", "repair")
    again = stage.house.ask(AUDITOR, "audit", "verify")
    return [
        Attempt(
            "tag removed in MLflow behind the gate's back",
            "named by reconcile (exit code 6)",
            f"{gone} removed; exit code {answer.code}, tag {'named' if named else 'not named'}; repaired: {again.code}",
            gone > 0 and answer.code == 6 and named and again.code == 0,
        )
    ]


def plaintext_is_searched(stage: Stage) -> list[Attempt]:
    """Everything under the state directory, MLflow's store, logs and /tmp is searched for speech, texts and weights."""
    wanted = [
        need for name in ("digits", "voices") for need in of_corpus(stage.work / "speech" / name, every=8)
    ]
    wanted.append(WEIGHTS)
    state = stage.house.state
    roots = [state, Path(tempfile.gettempdir()), Path("/dev/shm")]  # noqa: S108 - searched, not written
    found = scan([folder("here", *roots, skip=[state / "app" / "venv", stage.work])], wanted)
    planted = _planted_is_found(stage, wanted)
    observed = f"{len(found.findings)} found in {found.bytes / 1e6:.0f} MB" + (
        f": {found.findings[0].of}, in {found.findings[0].source}" if found.findings else ""
    )
    return [
        Attempt(
            "search for plaintext speech, text, weights",
            "none",
            observed,
            not found.findings and planted and found.bytes > 0,
        )
    ]


def _planted_is_found(stage: Stage, wanted: list[Needle]) -> bool:
    """The search itself is tried: a planted needle must be found."""
    with tempfile.TemporaryDirectory(dir=stage.work) as place:
        (Path(place) / "planted").write_bytes(os.urandom(4096) + wanted[0].data)
        return bool(scan([folder("here", Path(place))], wanted).findings)


ALL: tuple[Callable[[Stage], list[Attempt]], ...] = (
    engineer_reads_a_key,
    second_unwrap,
    recipe_breaks_out,
    consent_is_withdrawn,
    nda_has_lapsed,
    a_bit_flips,
    a_tag_is_removed,
    plaintext_is_searched,
)
