"""Sealing holds one recording at a time, whatever the folder's size, and an upload that stops leaves nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.custodian.seal import seal_upload
from sandbox.sealing.reader import open_version
from tests.fakes.studio import STEWARD, facts, upload, wave

ROOT = Path(__file__).parents[2]

#: Seals NUMBER recordings of 2 MB each that are made on the way, and says how far its memory grew meanwhile, in MB.
SEAL = """
import io, resource, sys
from pathlib import Path
import numpy as np
import soundfile
from sandbox.custodian.seal import seal_upload
from tests.fakes.custody import FakeCustody
from tests.fakes.studio import STEWARD, facts, make_desk, open_desk, upload

number, home = int(sys.argv[1]), Path(sys.argv[2])
noise = np.random.default_rng(1).integers(-9000, 9000, 1_000_000).astype(np.int16)
sent = 0

def recordings():
    global sent
    for n in range(number):
        target = io.BytesIO()
        soundfile.write(target, np.roll(noise, n), 44_100, format="WAV", subtype="PCM_16")
        sent += len(target.getvalue())
        yield facts(n), target.getvalue()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

desk = open_desk(make_desk(home, FakeCustody()))
list(seal_upload(desk, STEWARD, upload([recording for _, recording in zip(range(4), recordings())])))
before, sent = peak(), 0
done = list(seal_upload(desk, STEWARD, upload(recordings(), add=True)))[-1]
print(done["added"], sent >> 20, peak() - before)
"""


def sealed(number: int, home: Path) -> tuple[int, int, int]:
    done = subprocess.run(
        [sys.executable, "-c", SEAL, str(number), str(home)],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    records, sent, grew = map(int, done.stdout.split())
    return records, sent, grew


def test_memory_does_not_grow_with_the_folder(tmp_path):
    records, sent, grew = sealed(60, tmp_path)
    assert records == 60 and sent > 110
    assert grew < 40, f"{grew} MB more for {sent} MB of recordings"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_line_that_breaks_leaves_the_version_before_as_it_was(desk, share):
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    before = {path: path.read_bytes() for path in desk.sealed.rglob("*") if path.is_file()}
    data = b"".join(upload([(facts(n), wave(n)) for n in range(1, 9)], add=True))

    def broken():
        yield data[: max(2048, int(share * len(data)))]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(seal_upload(desk, STEWARD, broken()))
    assert {path: path.read_bytes() for path in desk.sealed.rglob("*") if path.is_file()} == before
    assert desk.manifest("digits").manifest.version == 1
    assert list(seal_upload(desk, STEWARD, [data]))[-1]["version"] == 2
    assert len(list(open_version(desk.folder("digits"), desk.manifest("digits"), desk.vault).stream())) == 9


def test_no_more_is_taken_from_the_line_than_the_recording_at_hand(desk):
    """What is not sealed yet is not in memory: a piece is asked for when the one before has been used."""
    taken = 0

    def pieces():
        nonlocal taken
        for piece in upload([(facts(n), wave(n, seconds=1.0)) for n in range(20)]):
            taken += 1
            yield piece

    lines = seal_upload(desk, STEWARD, pieces())
    assert taken < 8
    list(lines)
    assert taken > 80
