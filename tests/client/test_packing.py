"""What leaves Party A: pseudonyms and numbers, treated transcripts, ciphertext; who is who stays with its owner."""

from __future__ import annotations

import csv
import os
import re
import stat

import pytest

from sandbox.client.packing import Pseudonyms, Treatment
from sandbox.client.readers import read_names
from sandbox.consignment.bag import Bag
from sandbox.consignment.chunks import decrypt_file
from sandbox.consignment.envelope import unwrap_key
from sandbox.consignment.findings import treated
from sandbox.consignment.payload import open_recording
from sandbox.errors import Refused, Usage
from tests.fakes.agreement import PARTY_A
from tests.fakes.consignment import INTAKE, TEXTS, order, packed, studio
from tests.fakes.studio import wave

SAID = ("call me on 138 0013 8000", "word one", "我叫王小明", "anna berg said so")


def opened(path):
    bag = Bag([path.read_bytes()], [PARTY_A.public])
    key = unwrap_key(bag.letter.sealed_key, INTAKE, bag.letter.bound_to)
    return bag, [
        open_recording(decrypt_file(key, bag.letter.consignment, n, data))
        for n, data in enumerate(bag.files())
    ]


def test_no_direct_identifier_leaves_party_a(tmp_path):
    """R-3.2c-1: neither in the clear nor under the encryption."""
    folder = studio(tmp_path / "s", SAID)
    packed(folder, tmp_path / "c", treatment=Treatment(redact=True))
    raw = (tmp_path / "c").read_bytes().lower()
    words = b"\n".join(
        re.findall(rb"[\x20-\x7e]{12,}", raw)
    )  # three letters stand somewhere in any ciphertext
    assert not [word for word in (b"anna", b"berg", b"ben", b"138 0013") if word in words]
    assert "王小明".encode() not in raw and words
    bag, found = opened(tmp_path / "c")
    assert [facts["text"] for facts, _ in found] == [
        "call me on [phone]",
        "word one",
        "我叫[name]",
        "[name] said so",
    ]
    for facts, _ in found:
        assert facts["subject"].startswith("spk_") and facts["file"] in {f"00000{n}.wav" for n in range(4)}
    assert [(finding.id, finding.kind, finding.treatment) for finding in bag.findings] == [
        ("000000.1", "phone", "redacted"),
        ("000002.1", "name", "redacted"),
        ("000003.1", "name", "redacted"),
    ]
    assert all(treated(finding) for finding in bag.findings)


def test_who_is_who_stays_with_its_owner(tmp_path):
    folder = studio(tmp_path / "s")
    packed(folder, tmp_path / "c")
    names = read_names(folder / "names.csv")
    assert set(names) == {"Anna Berg", "Ben Ode"}
    assert set(names.values()) == set(opened(tmp_path / "c")[0].letter.subjects)
    files = list(csv.reader((tmp_path / "c.files.csv").read_text().splitlines()))
    assert files[0] == ["000000", "anna-0.wav"] and len(files) == 4
    for path in (folder / "names.csv", tmp_path / "c.files.csv", tmp_path / "c"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_speaker_keeps_the_pseudonym(tmp_path):
    folder = studio(tmp_path / "s")
    packed(folder, tmp_path / "c1")
    again = packed(studio(folder, speakers=("Anna Berg", "Cleo Dee")), tmp_path / "c2", order(number=2))
    first, second = (set(opened(tmp_path / name)[0].letter.subjects) for name in ("c1", "c2"))
    assert len(first & second) == 1 and again.drawn == 1
    assert read_names(folder / "names.csv")["Anna Berg"] in first & second


def test_a_list_of_names_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("Anna,spk_aa\n")
    path.chmod(0o644)
    with pytest.raises(Usage) as caught:
        Pseudonyms.at(path)
    assert caught.value.code == "names.exposed"


def test_two_speakers_share_no_pseudonym(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("Anna,spk_aa\nBen,spk_aa\n")
    path.chmod(0o600)
    with pytest.raises(Usage) as caught:
        Pseudonyms.at(path)
    assert caught.value.code == "names.ambiguous"


def test_untreated_findings_stop_the_packing_and_leave_nothing(tmp_path):
    folder = studio(tmp_path / "s", SAID)
    with pytest.raises(Refused) as caught:
        packed(folder, tmp_path / "c")
    assert caught.value.code == "consignment.findings_untreated"
    assert {reason.about for reason in caught.value.reasons} == {"phone", "name"}
    assert "138" not in str(caught.value.reasons) and "王小明" not in str(caught.value.reasons)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    assert not (folder / "names.csv").exists()


def test_a_finding_is_accepted_by_its_kind_with_a_reason(tmp_path):
    folder = studio(tmp_path / "s", SAID)
    treatment = Treatment(redact=True, accept={"phone": "a number of the studio's own"})
    packed(folder, tmp_path / "c", treatment=treatment)
    bag, found = opened(tmp_path / "c")
    assert found[0][0]["text"] == SAID[0]
    assert (
        bag.findings[0].treatment == "accepted" and bag.findings[0].reason == "a number of the studio's own"
    )


def test_an_acceptance_without_a_reason_is_none(tmp_path):
    folder = studio(tmp_path / "s", SAID)
    with pytest.raises(Refused):
        packed(folder, tmp_path / "c", treatment=Treatment(accept={"phone": " ", "name": "known"}))


def test_a_bad_recording_stops_the_packing_and_is_named(tmp_path):
    folder = studio(tmp_path / "s")
    (folder / "ben-1.wav").write_bytes(wave(1)[:-100])
    (folder / "anna-2.wav").write_bytes((folder / "anna-0.wav").read_bytes())
    with pytest.raises(Refused) as caught:
        packed(folder, tmp_path / "c")
    assert [(reason.code, reason.about) for reason in caught.value.reasons] == [
        ("audio.truncated", "ben-1.wav"),
        ("audio.duplicate", "anna-2.wav"),
    ]
    assert not (tmp_path / "c").exists()
    done = packed(folder, tmp_path / "c", order(set_aside=True))
    assert (done.letter.files, done.aside) == (2, 2)
    assert [facts["text"] for facts, _ in opened(tmp_path / "c")[1]] == [TEXTS[0], TEXTS[3]]


def test_nothing_is_overwritten(tmp_path):
    folder = studio(tmp_path / "s")
    (tmp_path / "c").write_bytes(b"older")
    with pytest.raises(Usage) as caught:
        packed(folder, tmp_path / "c")
    assert caught.value.code == "file.exists" and (tmp_path / "c").read_bytes() == b"older"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    folder = studio(tmp_path / "s")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(Usage):
        packed(folder, tmp_path / "shut" / "c")


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(Usage) as caught:
        packed(studio(tmp_path / "s"), tmp_path / "nowhere" / "c")
    assert caught.value.code == "file.unwritable"


def test_two_packings_at_once_lose_no_pseudonym(tmp_path):
    """The list is read at the start and written at the end: whoever is second packs again."""
    path = tmp_path / "names.csv"
    first, second = Pseudonyms.at(path), Pseudonyms.at(path)
    anna = first.of("Anna Berg")
    second.of("Ben Ode")
    first.save()
    with pytest.raises(Usage) as caught:
        second.save()
    assert caught.value.code == "names.changed" and read_names(path) == {"Anna Berg": anna}
    third = Pseudonyms.at(path)
    third.of("Ben Ode")
    third.save()
    third.save()
    assert list(read_names(path)) == ["Anna Berg", "Ben Ode"]


def test_a_list_that_was_written_and_never_sent_is_not_lost(tmp_path):
    """The consignment went away with its carrier; what its numbers mean stays."""
    home = studio(tmp_path / "a")
    target = tmp_path / "1.consignment"
    packed(home, target)
    before = (tmp_path / "1.consignment.files.csv").read_bytes()
    target.unlink()
    with pytest.raises(Usage) as caught:
        packed(home, target, order(number=2))
    assert caught.value.code == "file.exists"
    assert (tmp_path / "1.consignment.files.csv").read_bytes() == before
