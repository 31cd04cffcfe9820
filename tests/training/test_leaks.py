"""From the ``go`` on, training opens no file for writing, no socket and no program, and quotes nobody.

The trainer runs as a program of its own, watched twice: by a Python audit hook, and by strace, which sees native code
too. Transcript and samples are canaries: they must be in nothing but the pipe that brought them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import small_bases
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Metric, Privacy
from tests.training.fake_keeper import RATE, FakeKeeper
from tests.training.test_evaluate import packed
from tests.training.trainer_program import MARK
from tests.training.watching import Trainer, breaches, strace

MODELS = ["fastpitch", "glowtts", "sentences", "tacotron2-ddc", "vits", "vocoder"]
SPEAKING = ["evaluate", "membership", "synthesise"]
TUNED = {"xtts": small_bases.xtts_base, "yourtts": small_bases.yourtts_base}
CANARY = "zanzibar heliotrope"
SPOKEN = "hˈɛlɪˌɑːtɹoʊp"  # as espeak-ng says it
NOISE = np.random.default_rng(77).uniform(-0.5, 0.5, RATE).astype("<f4")

METRICS = [
    Metric(name, -1, 1e9, 3, 1)
    for name in (
        "said", "left_out", "mcd_db", "f0_rmse_cents", "f0_rmse_hz", "gross_pitch_error", "voicing_error",
        "f0_frame_error", "duration_error", "symbol_error_ms", "speaker_similarity",
        "speaker_similarity_recorded", "word_accuracy", "word_accuracy_recorded",
    )
]  # fmt: skip
MODEL = {"model": packed("fastpitch")}
PRIVATE = {"voices-dp": {}, "voices-dp-adapter": {"base": packed("fastpitch")}}


def keeper(recipe: str, torch: bool = True) -> FakeKeeper:
    subjects = ("spk_0001", "spk_0002", "spk_0003")
    heard = [
        {"record": f"r{n}", "subject": subject, "language": "en", "text": CANARY, "sample_rate": RATE}
        | {"audio": NOISE.tobytes()}
        for n, subject in enumerate(subjects)
    ]
    loss = Metric("loss", 0, 1e6, 3, 1)
    model = Artifact("model-3.safetensors", (3,), SAFETENSORS, 1 << 24)
    settings: dict[str, Any]
    if recipe in PRIVATE:
        settings = {"steps": 3, "people_per_step": 2.0, "utterances_per_person": 1, "learning_rate": 0.001}
        settings |= {"rank": 2, "text": "phonemes"} if PRIVATE[recipe] else {}
        target = Privacy("speaker", 50.0, 1e-5, 1.0, 1.0, 3, 2.0, accept_noise=True)
        epsilon = Metric("epsilon", 0, 1e6, 3, 1)
        return FakeKeeper(settings, [epsilon], [model], heard, PRIVATE[recipe], privacy=target)
    if recipe in MODELS:
        settings = {
            "size": "tiny",
            "text": "phonemes",
            "voices": 1,
            "batch_size": 2,
            "accumulate": 1,
            "mixed": False,
            "deterministic": False,
        }
        settings |= {"steps": 3, "learning_rate": 0.0001, "warmup_steps": 10, "seed": 1, "speak": ""}
        model = Artifact("model-3.safetensors", (3,), SAFETENSORS, 1 << 27)
        return FakeKeeper(settings, [Metric("loss", -100, 1e6, 3, 1)], [model], heard)
    if recipe in TUNED:
        settings = {"size": "tiny", "batch_size": 2, "accumulate": 1, "mixed": False, "steps": 3, "seed": 1}
        settings |= {"learning_rate": 0.0001, "speak": ""}
        model = Artifact("model-3.safetensors", (3,), SAFETENSORS, 1 << 27)
        metrics = [Metric("loss", -100, 1e6, 3, 1), Metric("left_out", 0, 1e6, 0, 1)]
        return FakeKeeper(settings, metrics, [model], heard, {"base": TUNED[recipe]()})
    if recipe == "evaluate":
        settings = {"text": "phonemes", "held_out": 0, "most": 3, "voice": -1, "seed": 1}
        return FakeKeeper(settings, METRICS, [Artifact("report.json", (), JSON, 1 << 13)], heard, MODEL)
    if recipe == "membership":
        scores = [Metric(name, -1e3, 1e6, 4, 1) for name in ("person_duration_loss", "person_loss", "people")]
        return FakeKeeper({"text": "phonemes", "records": 2}, scores, [], heard, MODEL)
    if recipe == "synthesise":
        settings = {"sentences": f"{CANARY}|{CANARY}", "text": "phonemes", "language": "en", "voice": 0, "seed": 1}
        sounds = [Artifact(f"audio/0{n}.flac", (), FLAC, 1 << 22) for n in (1, 2)]
        return FakeKeeper(settings, [Metric("seconds", 0, 1e6, 3, 1)], sounds, [], MODEL)
    digits = {"steps": 3, "batch_size": 2, "seed": 1, "learning_rate": 0.001, "speak": ""}
    return FakeKeeper(digits, [loss], [model], heard, torch=torch)


def quoted(data: bytes) -> bool:
    """Whether transcript or samples stand in ``data``."""
    return any(word.encode() in data.lower() for word in (*CANARY.split(), SPOKEN)) or any(
        NOISE[n : n + 8].tobytes() in data for n in range(0, len(NOISE) - 8, 50)
    )


def files(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def check(found: Trainer, home: Path) -> None:
    """It trained or spoke, and the canaries are in nothing that left the process."""
    assert found.ended, found.keeper.of("failed")
    trained = found.keeper.of("want") and len(found.keeper.of("tensor")) > 20
    assert trained or (found.keeper.of("ask") and any(map(found.keeper.of, ("report", "sound", "metric"))))
    assert found.printed == b""
    assert not any(quoted(data) for data in files(home))
    assert not any(quoted(_bytes(frame.body)) for frame in found.keeper.heard)


def _bytes(value: Any) -> bytes:
    """Everything in a message, in one piece."""
    if isinstance(value, Mapping):
        return b"".join(_bytes(k) + _bytes(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return b"".join(map(_bytes, value))
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.mark.parametrize("recipe", ["digits", *PRIVATE, *MODELS, *SPEAKING, *TUNED])
def test_python_opens_nothing_while_it_trains(recipes: Path, tmp_path: Path, recipe: str) -> None:
    found = Trainer(keeper(recipe), recipes / recipe, tmp_path / "home")
    check(found, tmp_path / "home")
    assert found.audited == []


@pytest.mark.parametrize("recipe", ["digits", *PRIVATE, *MODELS, *SPEAKING, *TUNED])
def test_nothing_native_opens_anything_while_it_trains(recipes: Path, tmp_path: Path, recipe: str) -> None:
    trace = tmp_path / "trace"
    found = Trainer(keeper(recipe), recipes / recipe, tmp_path / "home", under=strace(trace))
    check(found, tmp_path / "home")
    lines = trace.read_text(errors="replace").splitlines()
    assert sum(MARK in line for line in lines) == 1
    assert breaches(lines) == []
    assert not quoted(trace.read_bytes())


LEAKY = """
import ctypes, os, socket, subprocess, sys, tempfile

def main(run):
    heard = run.utterances()[0]
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(heard.text.encode())
    socket.socket().close()
    subprocess.run(["true"], check=True)
    os.write(2, heard.text.encode())
    libc = ctypes.CDLL(None)
    native = libc.open(b"/dev/shm/voice-sandbox-leak", os.O_CREAT | os.O_WRONLY, 0o600)
    libc.write(native, heard.audio.tobytes(), 64)
    libc.unlink(b"/dev/shm/voice-sandbox-leak")
"""


def test_a_recipe_that_leaks_is_seen_by_both(tmp_path: Path) -> None:
    """What finds nothing must be shown to find something."""
    (tmp_path / "recipe.py").write_text(LEAKY)
    trace, home = tmp_path / "trace", tmp_path / "home"
    seen = Trainer(keeper("digits", torch=False), tmp_path, home)
    assert {line.partition(" ")[0] for line in seen.audited} >= {"open", "socket.__new__", "subprocess.Popen"}
    assert CANARY.encode() in seen.printed
    assert any(quoted(data) for data in files(home))

    Trainer(keeper("digits", torch=False), tmp_path, home, under=strace(trace))
    found = breaches(trace.read_text(errors="replace").splitlines())
    for sign in ("socket(AF_INET", "execve(", "/dev/shm/voice-sandbox-leak", str(home), "write(2<"):
        assert any(sign in line for line in found), sign


LINES = [
    ('7 openat(AT_FDCWD</>, "/tmp/x", O_RDWR|O_CREAT, 0600) = 3</tmp/x>', True),
    ('7 openat(AT_FDCWD</>, "/dev/shm/x", O_WRONLY) = 3</dev/shm/x>', True),
    ('7 openat(AT_FDCWD</>, "/lib/x", O_RDONLY|O_CLOEXEC) = 3</lib/x>', False),
    ("7 socket(AF_UNIX, SOCK_STREAM, 0) = 3<socket:[1]>", True),
    ("7 connect(3<socket:[1]>, {sa_family=AF_UNIX}, 110) = -1 ENOENT", True),
    ('7 memfd_create("x", MFD_CLOEXEC) = 3', True),
    ("7 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0}, 88) = 8", False),
    ("7 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88) = 8", True),
    ("7 vfork( <unfinished ...>", True),
    ('7 write(2</dev/null>, "x", 1) = 1', True),
    ('7 write(2<pipe:[1]>, "x", 1) = 1', True),
    ('7 write(4<socket:[1]>, "x", 1) = 1', False),
    ('7 write(4<anon_inode:[eventfd]>, "x", 8) = 8', False),
    ('7 mkdir("/tmp/x", 0777) = -1 EEXIST', True),
    ('7 newfstatat(AT_FDCWD</>, "/x", 0x7, 0) = -1 ENOENT', False),
]


@pytest.mark.parametrize(("line", "is_one"), LINES, ids=[line[2:30] for line, _ in LINES])
def test_a_breach_is_told_from_what_is_harmless(line: str, is_one: bool) -> None:
    mark = f'7 newfstatat(AT_FDCWD</>, "{MARK}", 0x7, 0) = -1 ENOENT'
    assert breaches([line, mark]) == []
    assert breaches([mark, line]) == ([line] if is_one else [])
