"""The program itself, on a real Vault: real speech goes in through the socket and comes out of a run's session."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cli.data import _upload
from sandbox.client import Service
from sandbox.client.readers import Defaults, read_folder
from sandbox.demo.speech import gather_digits
from sandbox.errors import KeyBarred, NotFound, NotPermitted, SealError
from sandbox.sealing.audio import decode_flac
from sandbox.sealing.manifest import open_granted
from sandbox.sealing.reader import SealedDataset, count_data_keys
from sandbox.sealing.storage import Folder
from sandbox.vault import people
from sandbox.vault.minting import USES_BESIDES_KEYS
from sandbox.vault.session import Session
from tests.fakes.agreement import AHEAD, agreement_yaml, lasting
from tests.fakes.studio import STEWARD, activation, consent
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault
ANNA = "spk_anna"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Person:
    """Somebody with an identity token of the real Vault."""

    vault: RealVault
    name: str
    password: str

    def token(self) -> str:
        login = people.login(self.vault.addr, self.vault.ca, self.name, self.password)
        return people.identity_token(self.vault.addr, self.vault.ca, login)


@dataclass
class Custodian:
    """A running custodian and its state directory."""

    state: Path
    process: subprocess.Popen[bytes]
    vault: RealVault
    open: contextlib.ExitStack

    def as_(self, name: str, password: str) -> Service:
        socket = self.state / "custodian" / "api.sock"
        return self.open.enter_context(Service("custodian", socket, Person(self.vault, name, password)))


@pytest.fixture(scope="module")
def running(real_vault: RealVault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Custodian]:
    state = tmp_path_factory.mktemp("s")
    for name in (
        "app",
        "custodian/private",
        "custodian/sealed",
        "custodian/registers",
        "custodian/agreements",
    ):
        (state / name).mkdir(parents=True)
    (state / "app" / "configs").mkdir()
    (state / "app" / "configs" / "storage.yaml").write_text("sealed: local\n")
    (state / "app" / "configs" / "backup.yaml").write_text("snapshot_days: 30\n")
    settings = (ROOT / "configs" / "gate.yaml").read_text()
    assert "totp: required" in settings  # nobody enrols here
    settings = settings.replace("totp: required", "totp: enrolled")
    (state / "app" / "configs" / "gate.yaml").write_text(settings)
    (state / "app" / "ca.pem").write_text(real_vault.ca_pem)
    public = {
        "vault_addr": real_vault.addr,
        "oidc_issuer": real_vault.outcome.issuer,
        "oidc_client_id": real_vault.outcome.client_id,
    }
    (state / "app" / "public.json").write_text(json.dumps(public))
    (state / "custodian" / "private" / "login.wrap").write_bytes(
        real_vault.login_file("custodian").read_bytes()
    )
    with open(state / "custodian" / "private" / "custodian.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.custodian", "--state", str(state)],
            stderr=log,
            stdout=log,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    try:
        until = time.monotonic() + 120
        while not (state / "custodian" / "api.sock").exists():
            assert process.poll() is None and time.monotonic() < until, (
                state / "custodian" / "private" / "custodian.log"
            ).read_text()
            time.sleep(0.05)
        with contextlib.ExitStack() as stack:
            yield Custodian(state, process, real_vault, stack)
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_real_speech_goes_through_the_whole_house(
    running: Custodian, real_vault: RealVault, tmp_path: Path
) -> None:
    state = running.state
    first = json.loads((state / "custodian/private/first-login.json").read_text())
    assert (state / "custodian/private/first-login.json").stat().st_mode & 0o777 == 0o600
    assert not (state / "custodian/private/login.wrap").exists()
    approver = running.as_(STEWARD, first["password"])
    approver.post("/v1/agreements", activation(lasting(agreement_yaml())))
    approver.post("/v1/consents", {"consents": [consent(ANNA, expires=AHEAD)]})
    assert gather_digits(tmp_path, ANNA) == 31
    lines = list(
        approver.stream(
            "/v1/seals",
            _upload({"dataset": "digits", "agreement": "dsa-2026-0001"}, read_folder(tmp_path, Defaults())),
        )
    )
    sealed = lines[-1]
    assert (sealed["records"], sealed["subjects"], sealed["barred"]) == (31, 1, {"train": [], "test": []})
    assert sealed["sealed_bytes"] < 1.1 * sealed["plain_bytes"]

    # As the keeper does it: a run's own wrapped token, through a door, for this purpose alone.
    gate = real_vault.gate()
    trusted = gate.public_keys("custodian")
    store = Folder(state / "custodian" / "sealed" / "digits")
    uses = (
        count_data_keys(store, open_granted(store, "digits", sealed["manifest"], trusted).manifest, [ANNA])
        + USES_BESIDES_KEYS
    )

    def opened(session: Session) -> SealedDataset:
        return SealedDataset.open(
            store.root,
            dataset="digits",
            manifest_digest=sealed["manifest"],
            keys=trusted,
            keyring=session,
            subjects=[ANNA],
        )

    wrap, accessor = gate.mint_run("digits", "train", "r-7f3k", "g-91ac", uses=uses, ttl_s=120, wrap_ttl_s=60)
    with real_vault.door() as door:
        session = Session.open(door, real_vault.ca_pem, wrap.token)
        dataset = opened(session)
        session.revoke_self()
        session.close()
    assert gate.is_dead(accessor)
    texts = {}
    for record in dataset.stream():
        audio = decode_flac(record.flac, record.samples, record.sample_rate)
        assert 0.1 < audio.seconds < 5
        texts[record.text.casefold().strip(".")] = audio.seconds
    assert {"seven", "eleven", "thousand"} <= set(texts)

    # An engineer and a stranger are told no; a withdrawal bars; an erasure ends it.
    engineer = {"person": "eng.li", "party": "B", "roles": ["ml_engineer"], "nda": {"expires": AHEAD},
                "training": {"course": "x", "valid_until": AHEAD}}  # fmt: skip
    password = approver.post("/v1/people", engineer)["password"]
    with pytest.raises(NotPermitted):
        running.as_("eng.li", password).post("/v1/consents", {"consents": [consent(ANNA, expires=AHEAD)]})
    approver.post("/v1/consents", {"withdraw": {"dataset": "digits", "subject": ANNA}})
    for error in (KeyBarred, SealError):
        wrap, _ = gate.mint_run("digits", "train", "r-7f3m", "g-91ad", uses=uses, ttl_s=120, wrap_ttl_s=60)
        with real_vault.door() as door:
            session = Session.open(door, real_vault.ca_pem, wrap.token)
            with pytest.raises(error):
                opened(session)
            session.close()
        with contextlib.suppress(NotFound):  # the second time there is nothing left to erase
            _forget(approver)
    gate.close()
    log = (state / "custodian/private/custodian.log").read_text()
    assert first["password"] not in log and password not in log and "seven" not in log
    for path in (state / "custodian").rglob("*"):
        if path.is_file() and path.name != "first-login.json":
            assert password.encode() not in path.read_bytes(), path


def _forget(approver: Service) -> None:
    """Every step of an erasure, as the command line takes them where the gate is gone."""
    approver.post("/v1/erasures", {"subject": ANNA})
    speakers = [["digits", ANNA]]
    body = {"speakers": speakers, "without_receipt": "there is no gate in this test"}
    lines = approver.stream(
        "/v1/erasures/destroy", [json.dumps(body).encode()], media_type="application/json"
    )
    assert [line["event"] for line in lines] == ["destroying", "destroyed"]
    made = approver.post("/v1/erasures/certify", {"speakers": speakers})["certificates"]
    assert approver.get(f"/v1/certificates/{ANNA}")["certificates"] == made
    assert len(approver.get_bytes("/v1/erasure-list").splitlines()) == 4
