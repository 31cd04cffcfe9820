"""Party A at the terminal, against the real routes: from a folder to ciphertext, people, access, consents, erasure."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox import client
from sandbox.custodian.desk import Desk
from sandbox.statements import Ed25519Signer
from tests.cli.conftest import Sandbox
from tests.fakes.agreement import PARTY_A
from tests.fakes.custody import FakeCustody
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, make_desk, open_desk, wave

PERSON = (
    *("eng.li", "--party", "B", "--role", "ml_engineer", "--nda-until", "2029-01-10"),
    *("--training", "voice-data-security-2026", "--training-until", "2027-01-12"),
)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A custodian behind its socket; the command line speaks to it as the first person."""
    desk = open_desk(make_desk(tmp_path / "c", FakeCustody()))
    monkeypatch.chdir(tmp_path)
    with served(desk, tmp_path / "api.sock") as socket:
        monkeypatch.setattr(client, "custodian", lambda state: speak(socket, STEWARD))
        yield desk


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Three good recordings of two people, and a listing."""
    folder = tmp_path / "studio"
    folder.mkdir()
    rows = [(f"{n}.wav", f"word {n}", ("spk_anna", "spk_ben0")[n % 2], "en") for n in range(3)]
    for n in range(3):
        (folder / f"{n}.wav").write_bytes(wave(n))
    listing(folder, rows)
    return folder


def listing(folder: Path, rows: list[tuple[str, ...]]) -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "text", "subject", "language"), *rows])


def seal(sandbox: Sandbox, folder: Path, *more: str) -> object:
    return sandbox("data", "seal", str(folder), "--dataset", "digits", "--agreement", "dsa-2026-0001", *more)


def test_a_folder_is_sealed_listed_shown_and_verified(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    said = seal(sandbox, studio, "--records", "records.csv")
    assert said.code == 0, said.err
    assert "sealed     3 records, 2 keys, 1 shard," in said.out and "manifest v1 signed" in said.out
    assert "train: barred until they consent: spk_anna spk_ben0" in said.out
    assert "digits" in sandbox("data", "list").out
    listed = list(csv.DictReader(Path("records.csv").read_text().splitlines()))
    assert [one["file"] for one in listed] == ["0.wav", "1.wav", "2.wav"]
    held = [json.loads(line) for line in sandbox("data", "records", "digits", "--json").out.splitlines()]
    assert {one["record"] for one in listed} == {one["record"] for one in held}
    shown = json.loads(sandbox("data", "show", "digits", "--json").out)
    assert shown["subjects"] == ["spk_anna", "spk_ben0"]
    assert "are what was signed" in sandbox("data", "verify", "digits").out


def test_only_the_voices_that_were_sealed_count_as_keys(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    (studio / "1.wav").write_bytes(b"")  # the only recording of spk_ben0
    said = seal(sandbox, studio, "--set-aside")
    assert "2 records, 1 key, 1 shard" in said.out and "1 file set aside" in said.out


def test_a_list_that_cannot_be_written_is_said_and_the_sealing_stands(
    desk: Desk, sandbox: Sandbox, studio: Path
) -> None:
    said = seal(sandbox, studio, "--records", "nowhere/records.csv")
    assert said.code == 2 and "all is sealed, but nowhere/records.csv cannot be written" in said.err
    assert desk.manifest("digits").manifest.version == 1


def test_a_flipped_bit_is_exit_code_6_and_names_the_shard(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    seal(sandbox, studio)
    shard = next(desk.sealed.glob("digits/shards/*.tar"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    said = sandbox("data", "verify", "digits")
    assert said.code == 6 and shard.stem[:12] in said.err


def test_bad_recordings_stop_the_sealing_and_are_listed(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    (studio / "1.wav").write_bytes(b"")
    said = seal(sandbox, studio)
    assert said.code == 3 and "audio.empty" in said.err
    assert "1.wav,audio.empty" in Path("digits.quarantine.csv").read_text()
    assert desk.datasets() == []
    said = seal(sandbox, studio, "--set-aside")
    assert said.code == 0 and "1 file set aside (list: digits.quarantine.csv)" in said.out
    assert desk.manifest("digits").manifest.records == 2


FAULTS = {
    "audio.missing": ("9.wav", "word", "spk_anna", "en"),
    "transcript.missing": ("0.wav", "", "spk_anna", "en"),
    "subject.missing": ("0.wav", "word", "", "en"),
    "subject.invalid": ("0.wav", "word", "Anna Smith", "en"),
    "language.invalid": ("0.wav", "word", "spk_anna", ""),
}


@pytest.mark.parametrize(("code", "row"), FAULTS.items(), ids=FAULTS)
def test_each_fault_of_a_listing_has_its_name(
    desk: Desk, sandbox: Sandbox, studio: Path, code: str, row: tuple[str, ...]
) -> None:
    listing(studio, [row])
    said = seal(sandbox, studio)
    assert said.code == 3 and code in said.err


def test_a_listing_in_another_encoding_sets_aside_its_lines_alone(
    desk: Desk, sandbox: Sandbox, studio: Path
) -> None:
    with (studio / "metadata.csv").open("ab") as file:
        file.write("0.wav,café,spk_anna,fr\r\n".encode("latin-1"))
    said = seal(sandbox, studio, "--set-aside")
    assert said.code == 0 and "transcript.encoding" in said.out
    assert desk.manifest("digits").manifest.records == 3


def test_a_file_outside_the_folder_is_never_read(
    desk: Desk, sandbox: Sandbox, studio: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.wav").write_bytes(wave(7))
    listing(studio, [("../secret.wav", "word", "spk_anna", "en")])
    said = seal(sandbox, studio)
    assert said.code == 3 and "audio.missing" in said.err


def test_ljspeech_is_read(desk: Desk, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "lj"
    (folder / "wavs").mkdir(parents=True)
    (folder / "wavs" / "LJ001-0001.wav").write_bytes(wave(1))
    (folder / "metadata.csv").write_text("LJ001-0001|Printing, 1|Printing, one\n")
    said = seal(sandbox, folder, "--subject", "spk_lj00", "--language", "en")
    assert said.code == 0, said.err


def test_vctk_is_read_and_its_speakers_translated(desk: Desk, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "vctk"
    for speaker in ("p225", "p226"):
        (folder / "txt" / speaker).mkdir(parents=True)
        (folder / "wav48_silence_trimmed" / speaker).mkdir(parents=True)
        (folder / "txt" / speaker / f"{speaker}_001.txt").write_text("Please call Stella.\n")
        flac = folder / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic1.flac"
        flac.write_bytes(wave(int(speaker[1:]), format="FLAC"))
    (tmp_path / "names.csv").write_text("p225,spk_a225\np226,spk_a226\n")
    said = seal(sandbox, folder, "--subjects", str(tmp_path / "names.csv"), "--language", "en")
    assert said.code == 0, said.err
    assert desk.manifest("digits").manifest.subjects == ("spk_a225", "spk_a226")


@pytest.mark.parametrize("content", [None, "", "a;b;c\n"], ids=["nothing", "empty listing", "other columns"])
def test_an_unknown_folder_is_one_clear_error(
    desk: Desk, sandbox: Sandbox, tmp_path: Path, content: str | None
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    if content is not None:
        (folder / "metadata.csv").write_text(content)
    said = seal(sandbox, folder)
    assert said.code == 2 and "Traceback" not in said.err and "metadata.csv" in said.err


def test_people_come_get_access_and_leave(desk: Desk, sandbox: Sandbox) -> None:
    said = sandbox("people", "add", *PERSON)
    assert said.code == 0 and desk.vault.people["eng.li"] in said.out
    until = ("--until", "2026-12-31T23:59:59+08:00")
    granted = sandbox(
        "access", "grant", "eng.li", "--dataset", "digits", "--purpose", "train", *until, "--json"
    )
    access = json.loads(granted.out)["id"]
    assert access in sandbox("access", "list", "--person", "eng.li").out
    assert sandbox("access", "revoke", access).code == 0
    assert "revoked" in sandbox("access", "list").out
    assert sandbox("people", "leave", "eng.li").code == 0
    assert desk.vault.disabled == {"eng.li"} and "left" in sandbox("people", "list").out


def test_a_password_may_come_on_standard_input(
    desk: Desk, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough one\n"))
    said = sandbox("people", "add", *PERSON, "--password-stdin")
    assert said.code == 0 and "a long enough one" not in said.out
    assert desk.vault.people["eng.li"] == "a long enough one"


def test_access_beyond_the_nda_is_exit_code_3_with_its_reason(desk: Desk, sandbox: Sandbox) -> None:
    sandbox("people", "add", *PERSON)
    said = sandbox(
        "access", "grant", "eng.li", "--dataset", "digits", "--purpose", "train", "--until", "2028-12-31"
    )
    assert said.code == 3 and "access.outlives_training" in said.err


def test_consents_are_given_imported_withdrawn_and_listed(
    desk: Desk, sandbox: Sandbox, studio: Path, tmp_path: Path
) -> None:
    seal(sandbox, studio)
    scopes = ("--scope", "process_voice_biometric", "--scope", "ai_synthesis_of_my_voice")
    expires = ("--expires", "2027-01-31T23:59:59+08:00")
    said = sandbox(
        "consent", "give", "spk_anna", "--dataset", "digits", *scopes, *expires, "--given-at", "2026-01-05"
    )
    assert said.code == 0 and "digits, train: 1 barred spk_ben0" in said.out
    (tmp_path / "consents.yaml").write_text(
        """\
consents:
  - record_id: cr-000017
    subject: spk_ben0
    dataset: digits
    status: ConsentGiven
    given_at: 2026-01-05T10:12:00+08:00
    expires: 2027-01-31T23:59:59+08:00
    age_band: adult
    evidence: {sha256: 8888888888888888888888888888888888888888888888888888888888888888}
    notice_sha256: 4444444444444444444444444444444444444444444444444444444444444444
    scope: {process_voice_biometric: true, ai_synthesis_of_my_voice: true}
"""
    )
    file = str(tmp_path / "consents.yaml")
    unsigned = sandbox("consent", "import", file)
    assert unsigned.code == 2 and "nobody has signed" in unsigned.err
    key = tmp_path / "party-a.key"
    key.write_bytes(pem(PARTY_A))
    key.chmod(0o600)
    assert "signed     1 consent" in sandbox("consent", "sign", file, "--key", str(key)).out
    assert "imported   1 consent from consents.yaml" in sandbox("consent", "import", file).out
    assert "imported   0 consents" in sandbox("consent", "import", file).out
    assert desk.vault.policies["digits/train"] == []
    assert sandbox("consent", "withdraw", "spk_anna", "--dataset", "digits").code == 0
    assert desk.vault.policies["digits/train"] == ["spk_anna"]
    assert "Withdrawn" in sandbox("consent", "list", "--subject", "spk_anna").out
    shown = sandbox("consent", "show", "spk_anna").out
    assert shown.count(STEWARD) == 2 and "digits: Withdrawn" in shown
    assert "(consent cr-000017 of spk_ben0)" in sandbox("consent", "show", "spk_ben0").out
    assert sandbox("consent", "show", "spk_nobody").code == 3


def pem(signer: Ed25519Signer) -> bytes:
    return signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_person_is_forgotten(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    seal(sandbox, studio)
    said = sandbox("erase", "spk_anna", "--yes", "--without-receipt", "no gate in this test")
    assert said.code == 0 and "every stored wrap fails" in said.out
    assert Path("erasure-spk_anna-digits.dsse.json").exists()
    assert "spk_anna" in json.loads(sandbox("data", "show", "digits", "--json").out)["tombstones"]
    assert sandbox("erase", "spk_nobody", "--yes").code == 3
