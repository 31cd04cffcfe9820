"""Party A turns keys, corrects and compacts at the terminal, against the real routes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import client
from sandbox.custodian.correct import correct_record
from sandbox.custodian.desk import Desk
from sandbox.custodian.seal import SealRequest, seal_consignment, seal_upload
from sandbox.custodian.upload import UploadReader
from sandbox.custodian.versions import rewrap_dataset
from sandbox.errors import NotPermitted, Refused, Unreachable, Usage
from sandbox.sealing.eraser import erase_subject
from sandbox.sealing.reader import open_version
from sandbox.sealing.version import Terms
from tests.cli.conftest import Sandbox
from tests.fakes.custody import FakeCustody
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, facts, make_desk, open_desk, upload, wave


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A custodian with a sealed dataset; the command line speaks to it as the first person."""
    desk = open_desk(make_desk(tmp_path / "c", FakeCustody()))
    recordings = [(facts(n, ("spk_anna", "spk_ben0")[n % 2]), wave(n)) for n in range(6)]
    list(seal_upload(desk, STEWARD, upload(recordings)))
    monkeypatch.chdir(tmp_path)
    Path("new.wav").write_bytes(wave(77))
    Path("new.txt").write_text("the words as they were said\n")
    with served(desk, tmp_path / "api.sock") as socket:
        monkeypatch.setattr(client, "custodian", lambda state: speak(socket, STEWARD))
        yield desk


def opened(desk: Desk):
    return open_version(desk.folder("digits"), desk.manifest("digits"), desk.vault)


def listed(sandbox: Sandbox, *more: str) -> list[dict[str, object]]:
    return [
        json.loads(line) for line in sandbox("data", "records", "digits", *more, "--json").out.splitlines()
    ]


def test_records_are_listed_and_say_neither_words_nor_files(desk: Desk, sandbox: Sandbox) -> None:
    assert {one["subject"] for one in listed(sandbox)} == {"spk_anna", "spk_ben0"}
    said = sandbox("data", "records", "digits", "--subject", "spk_anna")
    assert said.code == 0 and said.out.count("spk_anna") == 3 and "spk_ben0" not in said.out
    assert "word" not in said.out and "wav" not in said.out


def test_pages_follow_each_other(desk: Desk, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.custodian.listing.PAGE", 2)
    assert len({one["record"] for one in listed(sandbox)}) == 6


def test_keys_are_rotated_and_the_register_knows(desk: Desk, sandbox: Sandbox) -> None:
    said = sandbox("data", "rewrap", "digits")
    assert said.code == 0, said.err
    assert "rotated    2 keys, 2 wraps; the old ones are dead · manifest v2 signed" in said.out
    assert desk.now("dataset").dataset("digits").version == 2
    one = json.loads(
        sandbox("data", "rewrap", "digits", "--subject", "spk_anna", "--json").out.splitlines()[-1]
    )
    assert (one["event"], one["subjects"], one["version"]) == ("rewrapped", 1, 3)
    assert len(list(opened(desk).stream())) == 6


def test_a_vault_that_fails_while_old_wraps_are_retired_leaves_a_version_that_is_registered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every run of the dataset would be refused until somebody thinks of asking again."""

    def gone(*_: object) -> None:
        raise Unreachable("Vault does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.vault, "retire_wraps", gone)
        with pytest.raises(Unreachable):
            list(rewrap_dataset(desk, STEWARD, "digits"))
    assert desk.manifest("digits").manifest.version == desk.now("dataset").dataset("digits").version == 2
    assert list(rewrap_dataset(desk, STEWARD, "digits"))[-1]["version"] == 3


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_record_is_corrected(
    desk: Desk, sandbox: Sandbox, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = listed(sandbox, "--subject", "spk_ben0")[0]["record"]
    if how == "stdin":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path("new.txt").read_bytes())))
    text = "new.txt" if how == "file" else "-"
    said = sandbox("data", "correct", "digits", record, "--audio", "new.wav", "--text-file", text)
    assert said.code == 0, said.err
    assert f"corrected  {record} of digits: revision 2" in said.out
    found = opened(desk).read(str(record))
    assert (found.subject, found.text) == ("spk_ben0", "the words as they were said")
    assert {one["record"]: one["revision"] for one in listed(sandbox)}[record] == 2
    assert desk.now("dataset").dataset("digits").version == 2
    for path in desk.sealed.rglob("*"):
        assert not path.is_file() or b"as they were said" not in path.read_bytes()


def test_half_a_correction_is_refused_before_anything_is_sent(desk: Desk, sandbox: Sandbox) -> None:
    for given in (["--audio", "new.wav"], ["--text-file", "new.txt"]):
        said = sandbox("data", "correct", "digits", "u0", *given)
        assert said.code == 2 and "needs the recording and its transcript" in said.err


BAD = {
    "an unknown record": ("u999", wave(1), "words", "record.unknown"),
    "no audio": (None, b"no audio at all", "words", "audio.unreadable"),
    "no words": (None, wave(1), "  ", "transcript.missing"),
    "no record at all": ("../x", wave(1), "words", "input.invalid"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_correction_changes_nothing(desk: Desk, sandbox: Sandbox, what: str) -> None:
    record, audio, text, code = BAD[what]
    Path("bad.wav").write_bytes(audio)
    Path("bad.txt").write_text(text)
    name = record or str(listed(sandbox)[0]["record"])
    said = sandbox("data", "correct", "digits", name, "--audio", "bad.wav", "--text-file", "bad.txt")
    assert said.code != 0 and code in said.err and "Traceback" not in said.err
    assert desk.manifest("digits").manifest.version == 1


def test_a_correction_does_not_keep_recordings_without_end(desk: Desk, sandbox: Sandbox) -> None:
    record, taken = str(listed(sandbox)[0]["record"]), []

    def endless() -> Iterator[bytes]:
        whole = b"".join(upload([(facts(n), wave(n)) for n in range(9)], record=record))
        for at in range(0, len(whole), 512):
            taken.append(at)
            yield whole[at : at + 512]

    with pytest.raises(Usage, match="one recording"):
        correct_record(desk, STEWARD, "digits", endless())
    size = len(b"".join(upload([(facts(n), wave(n)) for n in range(9)], record=record)))
    assert taken[-1] < size / 2


def test_a_dataset_of_reviewed_consignments_takes_no_unreviewed_correction(tmp_path: Path) -> None:
    desk = open_desk(make_desk(tmp_path / "reviewed", FakeCustody()), intake="consignment")
    asked = SealRequest(dataset="digits", agreement="dsa-2026-0001")
    sent = UploadReader(upload([(facts(0), wave(0))]))
    list(seal_consignment(desk, STEWARD, asked, sent.uploads(), "cs-abc234"))
    record = opened(desk).rows[0].record
    with pytest.raises(Refused) as caught:
        correct_record(desk, STEWARD, "digits", upload([(facts(1), wave(5))], record=record))
    assert caught.value.code == "dataset.intake_required"
    assert desk.manifest("digits").manifest.version == 1


def test_a_correction_says_nothing_of_who_is_speaking(desk: Desk) -> None:
    """Whatever the sender claims, subject and language are the index's."""
    row = opened(desk).rows[0]
    sent = [(facts(1, "spk_mallory", language="de"), wave(5))]
    line = next(correct_record(desk, STEWARD, "digits", upload(sent, record=row.record)))
    assert line["revision"] == 2
    assert {(one.subject, one.language) for one in opened(desk).stream()} == {
        ("spk_anna", "en"),
        ("spk_ben0", "en"),
    }


def test_what_is_dead_is_left_out_and_what_waits_is_told(desk: Desk, sandbox: Sandbox) -> None:
    def terms(before):
        return Terms.kept(before, "c" * 64, before.created_at)

    folder, hands = desk.folder("digits"), desk.hands("digits")
    erase_subject(folder, "digits", "spk_anna", terms(desk.manifest("digits").manifest), hands)
    said = sandbox("data", "compact", "digits")
    assert said.code == 0, said.err
    assert "compacted  1 shard to 1, " in said.out and "manifest v3 signed" in said.out
    assert "removed    0 objects, 0 bytes freed" in said.out
    assert "more can go after" in said.out
    said = sandbox("data", "compact", "digits", "--remove-after", "0")
    assert "compacted  nothing: no shard is that dead" in said.out
    assert "removed    5 objects" in said.out and "more can go" not in said.out
    assert {one.subject for one in opened(desk).stream()} == {"spk_ben0"}
    done = json.loads(sandbox("data", "compact", "digits", "--json").out.splitlines()[-1])
    assert (done["event"], done["removed_objects"], done["waiting_until"]) == ("compacted", 0, None)


@pytest.mark.parametrize("command", [["rewrap"], ["compact"], ["records"]])
def test_a_dataset_that_is_not_there_is_said(desk: Desk, sandbox: Sandbox, command: list[str]) -> None:
    said = sandbox("data", *command, "nothing")
    assert said.code != 0 and "there is no dataset nothing" in said.err


@pytest.mark.parametrize("verb", ["rewrap", "compact", "correct"])
def test_an_engineer_changes_nothing(desk: Desk, tmp_path: Path, verb: str) -> None:
    with speak(tmp_path / "api.sock", "eng.li") as service, pytest.raises(NotPermitted):
        list(
            service.stream(
                f"/v1/datasets/digits/{verb}", upload([], record="u0") if verb == "correct" else iter(())
            )
        )
    assert desk.manifest("digits").manifest.version == 1


@pytest.mark.parametrize(
    "body", [{"above": "x"}, {"above": -1}, {"remove_after_hours": True}, {"above": 1e9}]
)
def test_impossible_numbers_are_refused(desk: Desk, tmp_path: Path, body: dict[str, object]) -> None:
    with speak(tmp_path / "api.sock", STEWARD) as service, pytest.raises(Usage):
        service.post("/v1/datasets/digits/compact", body)
