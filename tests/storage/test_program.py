"""The custodian itself, on a real Vault and a real S3 server: speech is sealed into the bucket, and no key shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.client import Service
from sandbox.sealing.manifest import open_granted
from sandbox.sealing.verify import verify_version
from sandbox.storage.credential import NAME
from tests.custodian.test_program import Person
from tests.fakes.agreement import AHEAD, agreement_yaml, lasting
from tests.fakes.s3 import BUCKET, HOST, REGION, S3
from tests.fakes.studio import STEWARD, activation, consent, facts, upload, wave
from tests.vault.plugin import RealVault, started

pytestmark = pytest.mark.needs_vault
ANNA = "spk_anna"


@pytest.fixture(scope="module")
def real_vault() -> Iterator[RealVault]:
    """A new one: the registers' heads in a shared Vault are another custodian's."""
    with started() as vault:
        yield vault


@contextmanager
def custodian(vault: RealVault, state: Path, storage: str, key: bytes) -> Iterator[subprocess.Popen[bytes]]:
    private = state / "custodian" / "private"
    for name in (
        "app/configs",
        "custodian/private",
        "custodian/sealed",
        "custodian/registers",
        "custodian/agreements",
    ):
        (state / name).mkdir(parents=True, exist_ok=True)
    for config in (Path(__file__).parents[2] / "configs").glob("*.yaml"):
        (state / "app" / "configs" / config.name).write_bytes(config.read_bytes())
    (state / "app" / "configs" / "storage.yaml").write_text(storage)
    (state / "app" / "ca.pem").write_text(vault.ca_pem)
    public = {
        "vault_addr": vault.addr,
        "oidc_issuer": vault.outcome.issuer,
        "oidc_client_id": vault.outcome.client_id,
    }
    (state / "app" / "public.json").write_text(json.dumps(public))
    (private / "login.wrap").write_bytes(vault.login_file("custodian").read_bytes())
    (private / NAME).touch(0o600)
    (private / NAME).write_bytes(key)
    with open(private / "custodian.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.custodian", "--state", str(state)],
            stderr=log,
            stdout=log,
            env={"PATH": os.environ["PATH"], "HOME": str(private), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    try:
        until = time.monotonic() + 120
        while not (state / "custodian" / "api.sock").exists() and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_speech_is_sealed_into_the_bucket(
    real_vault: RealVault, objects: S3, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("s")
    storage = (
        f"sealed: s3://{BUCKET}/{prefix}\nregion: {REGION}\nendpoint: http://{HOST}:{objects.relay.port}\n"
    )
    with custodian(real_vault, state, storage, objects.custodian.to_bytes()) as process:
        private = state / "custodian" / "private"
        log = private / "custodian.log"
        assert process.poll() is None, log.read_text()
        first = json.loads((private / "first-login.json").read_text())
        person = Person(real_vault, STEWARD, first["password"])
        with Service("custodian", state / "custodian" / "api.sock", person) as approver:
            approver.post("/v1/agreements", activation(lasting(agreement_yaml())))
            approver.post("/v1/consents", {"consents": [consent(ANNA, expires=AHEAD)]})
            sent = upload([(facts(0, ANNA), wave(0)), (facts(1, ANNA), wave(1))])
            sealed = list(approver.stream("/v1/seals", sent))[-1]
        assert sealed["records"] == 2
        assert [path for path in (state / "custodian" / "sealed").rglob("*") if path.is_file()] == []
        assert [path for path in (private / "spool").rglob("*") if path.is_file()] == []
        store = objects.root(prefix, objects.gate).store("digits")  # the gate's key reads it
        trusted = real_vault.gate().public_keys("custodian")
        opened = open_granted(store, "digits", sealed["manifest"], trusted)
        assert verify_version(store, opened).shards == 1
        for place in ("cmdline", "environ"):
            assert objects.custodian.secret.encode() not in Path(f"/proc/{process.pid}/{place}").read_bytes()
        assert objects.custodian.secret not in log.read_text()


def test_without_a_key_it_does_not_start_and_says_why(
    real_vault: RealVault, objects: S3, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("s")
    storage = (
        f"sealed: s3://{BUCKET}/{prefix}\nregion: {REGION}\nendpoint: http://{HOST}:{objects.relay.port}\n"
    )
    with custodian(real_vault, state, storage, b"") as process:
        assert process.wait(60) != 0
    log = (state / "custodian" / "private" / "custodian.log").read_text()
    assert "storage.no_key" in log and "Traceback" not in log
