"""An upload becomes a sealed dataset, or nothing at all."""

import json

import numpy as np
import pytest

from sandbox.custodian.consent import import_consents
from sandbox.custodian.seal import seal_upload, settle
from sandbox.custodian.upkeep import mend
from sandbox.errors import Conflict, NotPermitted, Refused, Usage
from sandbox.sealing.audio import decode_flac
from sandbox.sealing.reader import open_version
from tests.fakes.studio import STEWARD, consent, facts, upload, wave

TWO = [(facts(0), wave(0)), (facts(1, "spk_ben0"), wave(1))]


def seal(desk, recordings=TWO, **request):
    return list(seal_upload(desk, STEWARD, upload(recordings, **request)))


def opened(desk):
    return open_version(desk.folder("digits"), desk.manifest("digits"), desk.vault)


def test_recordings_become_records(desk):
    done = seal(desk)[-1]
    assert (done["event"], done["version"], done["records"], done["subjects"]) == ("sealed", 1, 2, 2)
    first, second = opened(desk).stream()
    assert (first.subject, first.text, first.source["file"]) == ("spk_anna", "word 0", "wavs/0.wav")
    assert second.subject == "spk_ben0"
    audio = decode_flac(first.flac, first.samples, first.sample_rate)
    assert len(audio.samples) == 3200 and np.abs(audio.samples).max() > 0.2


def test_neither_names_nor_words_nor_samples_lie_in_clear(desk, tmp_path):
    seal(desk, [(facts(0, text="CANARY-words"), wave(0))])
    pcm = wave(0)[100:400]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"CANARY" not in data and b"wavs/" not in data and pcm not in data, path


def test_record_ids_say_nothing_of_the_file(desk):
    seal(desk)
    assert all(row.record.startswith("u") and len(row.record) == 13 for row in opened(desk).rows)


def test_the_manifest_carries_the_agreements_terms(desk):
    seal(desk, resample=22_050, downmix=True)
    manifest = desk.manifest("digits").manifest
    assert (manifest.agreement, manifest.region, manifest.purposes) == (
        "dsa-2026-0001",
        "CN-AH",
        ("train", "test"),
    )
    assert manifest.retention_until == "2027-01-31T15:59:59Z"
    assert "resample_poly" in manifest.processing["resampler"]
    assert {row.sample_rate for row in opened(desk).rows} == {22_050}


def test_the_register_names_the_version_and_policies_bar_whoever_did_not_consent(desk):
    import_consents(desk, STEWARD, [consent("spk_anna")])
    done = seal(desk)[-1]
    entry = desk.now("dataset").dataset("digits")
    assert (entry.manifest, entry.subjects) == (done["manifest"], ("spk_anna", "spk_ben0"))
    assert desk.vault.policies == {"digits/train": ["spk_ben0"], "digits/test": ["spk_ben0"]}
    assert done["barred"] == {"train": ["spk_ben0"], "test": ["spk_ben0"]}


BAD = {
    "audio.empty": (facts(9), b""),
    "audio.unreadable": (facts(9), b"this is no audio"),
    "audio.truncated": (facts(9), wave(9)[:-100]),
    "audio.channels": (facts(9), wave(9, channels=2)),
    "audio.coarse": (facts(9), wave(9, subtype="PCM_U8")),
    "audio.too_long": (facts(9), wave(9, seconds=61)),
    "audio.too_short": (facts(9), wave(9, seconds=0.01)),
    "audio.duplicate": (facts(9), wave(0)),
    "audio.missing": (facts(9, fault="audio.missing"), b""),
    "transcript.missing": (facts(9, text="  "), wave(9)),
    "transcript.encoding": (facts(9, text="caf\x82"), wave(9)),
    "subject.missing": (facts(9, subject=""), wave(9)),
    "subject.invalid": (facts(9, subject="Anna Smith"), wave(9)),
    "language.invalid": (facts(9, language="English"), wave(9)),
}


@pytest.mark.parametrize(("code", "bad"), BAD.items(), ids=BAD)
def test_one_bad_recording_and_nothing_is_sealed(desk, code, bad):
    with pytest.raises(Refused) as caught:
        seal(desk, [*TWO, bad])
    assert [reason.code for reason in caught.value.reasons] == [code]
    assert desk.datasets() == []
    assert not [path for path in desk.sealed.rglob("*") if path.is_file()]


def test_all_bad_recordings_are_named_and_the_good_sealed_when_that_was_allowed(desk):
    lines = seal(desk, [TWO[0], *BAD.values(), TWO[1]], set_aside=True)
    aside = [line for line in lines if line["event"] == "set_aside"]
    assert [line["code"] for line in aside] == list(BAD)
    assert lines[-1]["records"] == 2 and lines[-1]["set_aside"] == len(BAD)


def test_only_bad_recordings_are_nothing_to_seal(desk):
    with pytest.raises(Usage):
        seal(desk, [BAD["audio.empty"]], set_aside=True)
    assert desk.datasets() == []


def test_stereo_is_mixed_down_only_when_asked(desk):
    assert seal(desk, [(facts(0), wave(0, channels=2))], downmix=True)[-1]["records"] == 1


def test_a_dataset_grows_only_when_asked(desk):
    seal(desk)
    with pytest.raises(Conflict):
        seal(desk, [(facts(5), wave(5))])
    assert seal(desk, [(facts(5), wave(5))], add=True)[-1]["version"] == 2


REQUESTS = {
    "unknown agreement": ({"agreement": "dsa-2026-0002"}, Refused),
    "dataset not agreed": ({"dataset": "others"}, Refused),
    "region not agreed": ({"region": "US"}, Refused),
    "unknown field": ({"purposes": ["train"]}, Usage),
    "dataset is no id": ({"dataset": "../x"}, Usage),
    "rate out of bounds": ({"resample": 100}, Usage),
}


@pytest.mark.parametrize(("request_", "error"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_outside_the_agreement_is_refused_before_anything_is_read(desk, request_, error):
    with pytest.raises(error):
        seal_upload(desk, STEWARD, upload(TWO, **request_))


def test_only_a_steward_seals(desk):
    with pytest.raises(NotPermitted):
        seal_upload(desk, "eng.li", upload(TWO))


def test_nothing_is_sealed_after_the_agreement_ended(desk):
    desk.clock.now = desk.clock.now.replace(year=2028)
    with pytest.raises(Refused):
        seal(desk)


CUTS = {
    "before the end mark": lambda data: data[:-1024],
    "inside a recording": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "no tar": lambda data: b"x" * 4096,
    "members out of order": lambda data: data[1024:],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_an_upload_that_is_not_whole_seals_nothing(desk, cut):
    data = cut(b"".join(upload(TWO)))
    with pytest.raises(Usage):
        list(seal_upload(desk, STEWARD, [data]))
    assert desk.datasets() == [] and not [path for path in desk.sealed.rglob("*") if path.is_file()]


def test_an_enormous_member_is_refused_before_it_is_read(desk):
    import tarfile

    info = tarfile.TarInfo("request.json")
    info.size = 1 << 33
    with pytest.raises(Usage, match="another kind or size"):
        seal_upload(desk, STEWARD, [info.tobuf(tarfile.GNU_FORMAT)])


@pytest.mark.parametrize("kind", [b"2", b"x", b"L", b"5"], ids=["link", "pax header", "long name", "folder"])
def test_only_plain_members_are_read(desk, kind):
    import tarfile

    info = tarfile.TarInfo("request.json")
    info.type = kind
    with pytest.raises(Usage):
        seal_upload(desk, STEWARD, [info.tobuf(tarfile.USTAR_FORMAT)])


def test_a_client_that_goes_away_leaves_nothing(desk):
    lines = seal_upload(desk, STEWARD, upload([BAD["audio.empty"], *TWO], set_aside=True))
    next(lines)
    lines.close()
    assert desk.datasets() == [] and not [path for path in desk.sealed.rglob("*") if path.is_file()]


def test_a_crash_after_the_head_moved_is_mended_at_the_next_start(desk, monkeypatch):
    monkeypatch.setattr("sandbox.custodian.seal.settle", lambda *_: {})
    seal(desk)
    assert desk.datasets() == [] and desk.vault.policies == {}
    mend(desk)
    assert desk.datasets() == ["digits"] and set(desk.vault.policies) == {"digits/train", "digits/test"}
    before = len(desk.registers.entries("dataset"))
    settle(desk, "digits", STEWARD)
    assert len(desk.registers.entries("dataset")) == before


def test_lines_are_json(desk):
    assert all(json.dumps(line) for line in seal(desk))
