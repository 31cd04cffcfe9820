"""An agreement from two desks to one register: keys made, terms checked, both signatures, activation, status."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox import client
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import first_person
from sandbox.statements import AGREEMENT, PublicKey, open_envelope, sha256
from tests.cli.conftest import Gate, Said, Sandbox
from tests.fakes.agreement import agreement_yaml
from tests.fakes.custody import FakeCustody
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, make_desk

YAML = "dsa-2026-0001.yaml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the terms in it."""
    monkeypatch.chdir(tmp_path)
    Path(YAML).write_bytes(agreement_yaml())
    return tmp_path


@pytest.fixture
def desk(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A custodian behind its socket, without any agreement yet."""
    desk = make_desk(here / "c", FakeCustody())
    first_person(desk, STEWARD, lambda password: None)
    with served(desk, here / "api.sock") as socket:
        monkeypatch.setattr(client, "custodian", lambda state: speak(socket, STEWARD))
        yield desk


@pytest.fixture
def keys(sandbox: Sandbox) -> None:
    for party in ("party-a", "party-b", "stranger"):
        assert sandbox("agreement", "keygen", party).code == 0


def sign(sandbox: Sandbox, *parties: str, file: str = YAML) -> None:
    for party in parties:
        said = sandbox("agreement", "sign", file, "--key", f"{party}.key")
        assert said.code == 0, said.err


def activate(sandbox: Sandbox, a: str = "party-a", b: str = "party-b", file: str = YAML) -> Said:
    return sandbox("agreement", "activate", file, "--party-a-key", f"{a}.pub", "--party-b-key", f"{b}.pub")


def public(party: str) -> PublicKey:
    return PublicKey.from_text(Path(f"{party}.pub").read_text())


# Keys


@pytest.fixture(params=[0o000, 0o077], ids=["open umask", "narrow umask"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_a_key_is_made_for_its_owner_alone(sandbox: Sandbox, umask: None) -> None:
    said = sandbox("agreement", "keygen", "party-a", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    assert told == {"private": "party-a.key", "public": "party-a.pub", "key": public("party-a").text}
    assert stat.S_IMODE(Path("party-a.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("party-a.pub").stat().st_mode) == 0o644
    assert "PRIVATE" not in said.out


@pytest.mark.parametrize("there", ["party-a.key", "party-a.pub"])
@pytest.mark.parametrize("name", ["party-a", "party-a.key", "party-a.pub"])
def test_a_key_is_never_written_over(sandbox: Sandbox, there: str, name: str) -> None:
    Path(there).write_text("mine")
    said = sandbox("agreement", "keygen", name)
    assert said.code == 2 and f"{there} is already there" in said.err
    assert Path(there).read_text() == "mine"
    assert not Path({"party-a.key": "party-a.pub", "party-a.pub": "party-a.key"}[there]).exists()


@pytest.mark.parametrize("there", ["party-a.key", "party-a.pub"])
def test_a_key_that_comes_in_between_is_not_written_over_either(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    Path(there).write_text("mine")
    with monkeypatch.context() as blind:
        blind.setattr(Path, "exists", lambda path: False)
        said = sandbox("agreement", "keygen", "party-a")
    assert said.code == 2 and Path(there).read_text() == "mine"


def test_a_link_in_the_place_of_a_key_is_not_followed(sandbox: Sandbox, here: Path) -> None:
    Path("party-a.key").symlink_to(here / "elsewhere")
    said = sandbox("agreement", "keygen", "party-a")
    assert said.code == 2 and "Traceback" not in said.err
    assert Path("party-a.key").is_symlink()
    assert not Path("elsewhere").exists() and not Path("party-a.pub").exists()


def test_a_private_key_without_its_public_half_does_not_stay(sandbox: Sandbox, here: Path) -> None:
    Path("party-a.pub").symlink_to(here / "elsewhere")
    assert sandbox("agreement", "keygen", "party-a").code == 2
    assert not Path("party-a.key").exists() and not Path("elsewhere").exists()


def test_a_folder_that_is_not_there_is_one_clear_error(sandbox: Sandbox) -> None:
    said = sandbox("agreement", "keygen", "nowhere/party-a")
    assert said.code == 2 and "key.unwritable" in said.err


# Terms


def test_sound_terms_are_told_with_their_digest(gate: Gate, sandbox: Sandbox) -> None:
    said = sandbox("agreement", "check", YAML)
    assert said.code == 0 and "✔ sound      dsa-2026-0001 v1, 1 dataset\n" in said.out
    assert sha256(agreement_yaml()) in said.out
    assert json.loads(sandbox("agreement", "check", YAML, "--json").out) == {
        "agreement": "dsa-2026-0001",
        "version": 1,
        "sha256": sha256(agreement_yaml()),
    }
    assert gate.asked == []  # needs no service


def test_unsound_terms_are_refused_with_every_reason(sandbox: Sandbox) -> None:
    text = agreement_yaml(complete="false").replace(b"under_14: 0", b"under_14: 1")
    Path(YAML).write_bytes(
        text.replace(
            b"until: 2027-01-31T23:59:59+08:00}\nparties", b"until: 2026-01-01T00:00:00+08:00}\nparties"
        )
    )
    said = sandbox("agreement", "check", YAML)
    assert said.code == 3
    found = json.loads(sandbox("agreement", "check", YAML, "--json").out)["error"]
    assert found["code"] == "agreement.unsound" and len(found["reasons"]) >= 3
    assert all(reason["code"] in said.err and reason["mend"] for reason in found["reasons"])
    assert "cannot be activated   (agreement.unsound)" in said.err


def put(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(old, new)


LINE = agreement_yaml().splitlines().index(b"datasets:") + 1
ONE, PURPOSES = b"version: 1", b"purposes: [train, test]"
UNREADABLE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an unknown name": (
        put(b"datasets:\n", b"colour: red\ndatasets:\n"),
        f"{YAML}:{LINE}: colour: no such key",
    ),
    "a name that stands twice": (lambda text: text + b"audit: {}\n", "'audit' stands twice"),
    "a value of another kind": (put(ONE, b"version: one"), f"{YAML}:6: metadata.version"),
    "an anchor": (put(PURPOSES, b"purposes: &a [train, test]"), "anchors and aliases are not read"),
    "no text": (lambda text: b"\xff", f"{YAML}:1: not UTF-8"),
    "nothing": (lambda text: b"", f"{YAML}:1: empty"),
}


@pytest.mark.parametrize(("change", "says"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("verb", ["check", "sign"])
def test_what_cannot_be_read_is_named_with_its_line(
    sandbox: Sandbox, keys: None, change: Callable[[bytes], bytes], says: str, verb: str
) -> None:
    Path(YAML).write_bytes(change(agreement_yaml()))
    more = ("--key", "party-a.key") if verb == "sign" else ()
    said = sandbox("agreement", verb, YAML, *more)
    assert said.code == 2 and says in said.err, said.err
    assert not Path("dsa-2026-0001.dsse.json").exists()


# Signatures


def test_both_parties_sign_the_exact_bytes_each_at_its_own_desk(sandbox: Sandbox, keys: None) -> None:
    sign(sandbox, "party-a", "party-b")
    envelope = Path("dsa-2026-0001.dsse.json").read_bytes()
    both = [public("party-a"), public("party-b")]
    assert open_envelope(envelope, AGREEMENT, both, threshold=2) == agreement_yaml()
    assert not list(Path().glob(".dsa*"))


def test_signing_twice_leaves_one_signature_of_each(sandbox: Sandbox, keys: None) -> None:
    sign(sandbox, "party-a", "party-b", "party-a")
    found = json.loads(Path("dsa-2026-0001.dsse.json").read_bytes())
    assert sorted(one["keyid"] for one in found["signatures"]) == sorted(
        public(party).keyid for party in ("party-a", "party-b")
    )


def test_a_signature_is_not_added_to_other_bytes(sandbox: Sandbox, keys: None) -> None:
    sign(sandbox, "party-a")
    before = Path("dsa-2026-0001.dsse.json").read_bytes()
    Path(YAML).write_bytes(agreement_yaml() + b"# one byte more\n")
    said = sandbox("agreement", "sign", YAML, "--key", "party-b.key")
    assert said.code == 6 and "agreement.changed" in said.err
    assert Path("dsa-2026-0001.dsse.json").read_bytes() == before


def test_a_signature_file_that_is_none_is_left_as_it_is(sandbox: Sandbox, keys: None) -> None:
    Path("dsa-2026-0001.dsse.json").write_text("{}")
    said = sandbox("agreement", "sign", YAML, "--key", "party-a.key")
    assert said.code == 6 and "no DSSE envelope" in said.err
    assert Path("dsa-2026-0001.dsse.json").read_text() == "{}"


def _expose(path: Path) -> None:
    path.chmod(0o640)


def _another_kind(path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)


def _encrypt(path: Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))


BAD_KEYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "readable by others": (_expose, "key.exposed"),
    "of another kind": (_another_kind, "key.invalid"),
    "encrypted": (_encrypt, "key.invalid"),
    "the public half": (lambda path: path.write_text(public("party-a").text), "key.invalid"),
    "empty": (lambda path: path.write_text(""), "key.invalid"),
    "no file": (lambda path: path.unlink(), "does not exist"),
}


@pytest.mark.parametrize(("change", "code"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_signs_nothing(
    sandbox: Sandbox, keys: None, change: Callable[[Path], object], code: str
) -> None:
    change(Path("party-a.key"))
    said = sandbox("agreement", "sign", YAML, "--key", "party-a.key")
    assert said.code == 2 and code in said.err and "PRIVATE" not in said.err
    assert not Path("dsa-2026-0001.dsse.json").exists()


# Activation


def test_an_agreement_of_both_parties_is_activated_and_listed(
    desk: Desk, sandbox: Sandbox, keys: None
) -> None:
    sign(sandbox, "party-a", "party-b")
    said = activate(sandbox)
    assert said.code == 0, said.err
    assert (
        f"✔ active     dsa-2026-0001 v1, signed by both parties, sha256 {sha256(agreement_yaml())[:12]}…"
        in said.out
    )
    assert (desk.agreements / f"{sha256(agreement_yaml())}.yaml").read_bytes() == agreement_yaml()
    (row,) = sandbox("agreement", "status").out.splitlines()[1:]
    assert row.split()[:3] == ["dsa-2026-0001", "v1", "active"]


def test_nothing_is_activated_that_nobody_signed(gate: Gate, sandbox: Sandbox, keys: None) -> None:
    said = activate(sandbox)
    assert said.code == 2 and "agreement.unsigned" in said.err and "sandbox agreement sign" in said.err
    assert gate.asked == []


def _one_signs(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a")
    return activate(sandbox)


def _one_key_for_both(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a")
    return activate(sandbox, "party-a", "party-a")


def _a_stranger_signs(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a", "stranger")
    return activate(sandbox)


def _changed_after_signing(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a", "party-b")
    Path(YAML).write_bytes(agreement_yaml().replace(b"longest: P1Y", b"longest: P9Y"))
    return activate(sandbox)


def _unsound(sandbox: Sandbox) -> Said:
    Path(YAML).write_bytes(agreement_yaml(complete="false"))
    sign(sandbox, "party-a", "party-b")
    return activate(sandbox)


def _no_public_key(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a", "party-b")
    Path("party-b.pub").write_text("ed25519:short")
    return activate(sandbox)


def _no_text_for_a_key(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a", "party-b")
    Path("party-b.pub").write_bytes(b"\xff")
    return activate(sandbox)


def _private_for_public(sandbox: Sandbox) -> Said:
    sign(sandbox, "party-a", "party-b")
    Path("party-b.key").rename("party-b.pub")
    return activate(sandbox)


NOT_ACTIVATED: dict[str, tuple[Callable[[Sandbox], Said], int, str]] = {
    "one signature": (_one_signs, 6, "1 of 2 required signatures verify"),
    "one key for both parties": (_one_key_for_both, 6, "fewer trusted keys than signatures are required"),
    "a stranger's signature": (_a_stranger_signs, 6, "1 of 2 required signatures verify"),
    "changed after it was signed": (_changed_after_signing, 6, "agreement.changed"),
    "unsound terms": (_unsound, 3, "agreement.incomplete"),
    "a broken public key": (_no_public_key, 6, "ed25519:BASE64"),
    "a public key that is no text": (_no_text_for_a_key, 2, "key.unreadable"),
    "a private key for a public one": (_private_for_public, 6, "ed25519:BASE64"),
}


@pytest.mark.parametrize(("act", "code", "says"), NOT_ACTIVATED.values(), ids=NOT_ACTIVATED)
def test_what_both_parties_did_not_sign_is_not_activated(
    desk: Desk, sandbox: Sandbox, keys: None, act: Callable[[Sandbox], Said], code: int, says: str
) -> None:
    said = act(sandbox)
    assert said.code == code and says in said.err, said.err
    assert sandbox("agreement", "status", "--json").out == ""


def test_a_second_version_with_other_keys_is_refused(desk: Desk, sandbox: Sandbox, keys: None) -> None:
    sign(sandbox, "party-a", "party-b")
    activate(sandbox)
    second = agreement_yaml(version=2, supersedes=sha256(agreement_yaml()))
    Path("v2.yaml").write_bytes(second)
    sign(sandbox, "party-a", "stranger", "party-b", file="v2.yaml")
    refused = activate(sandbox, b="stranger", file="v2.yaml")
    assert refused.code == 3 and "other keys are pinned for dsa-2026-0001" in refused.err
    assert activate(sandbox, file="v2.yaml").code == 0
    assert "v2" in sandbox("agreement", "status", "dsa-2026-0001").out


# Status


def test_party_a_suspends_and_ends_and_what_has_ended_stays_ended(
    desk: Desk, sandbox: Sandbox, keys: None
) -> None:
    sign(sandbox, "party-a", "party-b")
    activate(sandbox)
    for status in ("suspended", "active", "terminated"):
        said = sandbox("agreement", "status", "dsa-2026-0001", "--set", status, "--json")
        assert said.code == 0 and json.loads(said.out)["status"] == status
    said = sandbox("agreement", "status", "dsa-2026-0001", "--set", "active")
    assert said.code == 3 and "cannot be taken up again" in said.err


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("--set", "suspended"), 2, "which agreement?"),
        (("dsa-2026-0001", "--set", "paused"), 2, "paused"),
        (("dsa-none", "--set", "suspended"), 3, "there is no such agreement"),
    ],
    ids=["which", "no status", "no such agreement"],
)
def test_a_status_that_cannot_be_set_is_one_clear_error(
    desk: Desk, sandbox: Sandbox, asked: tuple[str, ...], code: int, says: str
) -> None:
    said = sandbox("agreement", "status", *asked)
    assert said.code == code and says in said.err


def test_who_is_no_steward_activates_nothing(
    desk: Desk, sandbox: Sandbox, keys: None, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "custodian", lambda state: speak(here / "api.sock", "eng.li"))
    sign(sandbox, "party-a", "party-b")
    said = activate(sandbox)
    assert said.code == 3 and "person." in said.err
    monkeypatch.setattr(client, "custodian", lambda state: speak(here / "api.sock", STEWARD))
    assert sandbox("agreement", "status", "--json").out == ""
