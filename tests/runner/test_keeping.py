"""What the trainer may say, and what it may not: the keeper's side of the pipe."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sandbox import frames, runs
from sandbox.errors import RecipeError
from sandbox.frames import Decoder, Frame, encode
from sandbox.runner.feed import Utterance
from sandbox.runner.keeping import Keeping, safe_code
from sandbox.runner.pipe import Pipe
from sandbox.runner.unlock import Unlocked
from sandbox.runs import Kind
from sandbox.sealing.artifacts import open_artifact, read_header
from sandbox.vault.session import ArtifactKey
from tests.fakes.grants import grant

KEY = bytes(range(32))
AUDIO = np.array([0.0, 0.5, -0.5], dtype="<f4").tobytes()


class Speech:
    """A source of two utterances."""

    def listing(self) -> list[dict[str, Any]]:
        return [{"record": record, "subject": "spk_a1", "language": "en"} for record in ("one", "two")]

    def open(self, record: str) -> Utterance:
        return Utterance(record, "spk_a1", "en", record, 16000, AUDIO)


class Ear:
    """A door that only remembers."""

    lost = False
    stop_reason: str | None = None

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def send(self, kind: str, **body: Any) -> None:
        self.heard.append((kind, body))


class Trainer:
    """Speaks the trainer's side, frame by frame."""

    def __init__(self, kind: Kind = Kind.AGREEMENT) -> None:
        ours, self.side = socket.socketpair()
        self.door = Ear()
        keys = {} if kind is Kind.DRY else {a.path: ArtifactKey(KEY, "vault:v1:w") for a in grant().artifacts}
        self.keeping = Keeping(grant(kind), Unlocked(Speech(), keys, {}, 1), self.door, Pipe(ours))  # type: ignore[arg-type]
        self.ours = ours
        self.decoder = Decoder(frames.KEEPER_TO_TRAINER)
        self.waiting: list[Frame] = []
        self.say("ready")

    def say(self, kind: str, **body: Any) -> None:
        self.side.sendall(encode(frames.TRAINER_TO_KEEPER, Frame(kind, 1, body)))

    def hear(self) -> Frame:
        while not self.waiting:
            self.waiting = self.decoder.feed(self.side.recv(1 << 16))
        return self.waiting.pop(0)

    def end(self) -> None:
        """Say ``end`` and let the keeper serve everything said before."""
        self.say("end")
        self.keeping.converse()


@pytest.fixture
def trainer(request: pytest.FixtureRequest) -> Iterator[Trainer]:
    speaking = Trainer(getattr(request, "param", Kind.AGREEMENT))
    yield speaking
    speaking.side.close()
    speaking.ours.close()


def test_wanted_records_arrive_in_the_order_asked(trainer: Trainer) -> None:
    serving = threading.Thread(target=trainer.keeping.converse)
    serving.start()
    trainer.say("want", records=["two", "one", "two"])
    assert [trainer.hear().body["record"] for _ in range(3)] == ["two", "one", "two"]
    trainer.say("end")
    serving.join(5)


def test_metrics_leave_bounded_and_rounded(trainer: Trainer) -> None:
    trainer.say("metric", name="loss", step=2, value=1.23456)
    trainer.say("metric", name="loss", step=4, value=99.0)
    trainer.end()
    assert [body["value"] for _, body in trainer.door.heard] == [1.23, 10.0]


def test_a_model_leaves_sealed_with_its_own_key(trainer: Trainer) -> None:
    weights = np.arange(6, dtype="<f4")
    trainer.say(
        "artifact", path="model-4.safetensors", step=4, media_type=runs.SAFETENSORS, metadata={"a": "b"}
    )
    trainer.say(
        "tensor", path="model-4.safetensors", name="w", dtype="float32", shape=[2, 3], data=weights.tobytes()
    )
    trainer.say("close", path="model-4.safetensors")
    trainer.end()
    (first, announced), (second, piece) = trainer.door.heard
    assert (first, second) == ("artifact", "piece")
    sealed = piece["data"]
    assert announced["size"] == len(sealed)
    assert weights.tobytes() not in sealed
    assert weights.tobytes() in open_artifact(sealed, KEY)
    assert read_header(sealed).path == MODEL


def test_a_trainer_may_leave_before_its_last_artifact_is_sealed(trainer: Trainer) -> None:
    body = {"name": "w", "dtype": "uint8", "shape": [1], "data": b"w"}
    trainer.say("artifact", path=MODEL, step=4, media_type=runs.SAFETENSORS, metadata={})
    trainer.say("tensor", path=MODEL, **body)
    trainer.say("close", path=MODEL)
    trainer.say("end")
    trainer.side.close()
    trainer.keeping.converse()
    assert [kind for kind, _ in trainer.door.heard] == ["artifact", "piece"]


def test_a_trainer_that_fails_before_it_took_what_it_asked_for_is_told_by_its_own_code(
    trainer: Trainer,
) -> None:
    trainer.say("want", records=["one", "two"] * 40)
    trainer.say("failed", code="record.symbols:two")
    trainer.side.close()  # every delivery from here on finds nobody
    with pytest.raises(RecipeError) as said:
        trainer.keeping.converse()
    assert said.value.code == "record.symbols:two"


def test_a_trainer_that_fails_before_it_was_let_go_is_told_by_its_own_code(trainer: Trainer) -> None:
    trainer.say("failed", code="recipe.language")
    trainer.side.close()
    trainer.keeping.begin()
    with pytest.raises(RecipeError) as said:
        trainer.keeping.converse()
    assert said.value.code == "recipe.language"


def opening(path: str, media_type: str, step: int = 4, **more: Any) -> tuple[str, dict[str, Any]]:
    return "artifact", {"path": path, "step": step, "media_type": media_type, "metadata": {}, **more}


MODEL = "model-4.safetensors"
REFUSED: list[Any] = [
    pytest.param("metric.undeclared", [("metric", {"name": "x", "step": 1, "value": 0.0})], id="undeclared metric"),
    pytest.param("metric.rate", [("metric", {"name": "loss", "step": s, "value": 0}) for s in (1, 2)], id="too often"),
    pytest.param("record.unknown", [("want", {"records": ["three"]})], id="a record outside the grant"),
    pytest.param("input.unknown", [("ask", {"path": "model"})], id="an input outside the grant"),
    pytest.param("artifact.undeclared", [opening("other.safetensors", runs.SAFETENSORS)], id="undeclared artifact"),
    pytest.param("artifact.undeclared", [opening(MODEL, runs.JSON)], id="another media type"),
    pytest.param("artifact.schedule", [opening(MODEL, runs.SAFETENSORS, step=3)], id="outside its schedule"),
    pytest.param("artifact.undeclared", [("close", {"path": MODEL})], id="closed, never opened"),
    pytest.param(
        "artifact.tensor",
        [
            opening(MODEL, runs.SAFETENSORS),
            ("tensor", {"path": MODEL, "name": "w", "dtype": "float32", "shape": [3], "data": b"\0" * 8}),
        ],
        id="bytes that do not fit the shape",
    ),
    pytest.param(
        "artifact.size",
        [
            opening(MODEL, runs.SAFETENSORS),
            ("tensor", {"path": MODEL, "name": "w", "dtype": "uint8", "shape": [9000], "data": b"\0" * 9000}),
        ],
        id="too large",
    ),
    pytest.param(
        "artifact.report",
        [opening("report.json", runs.JSON), ("report", {"path": "report.json", "data": b"\x80\x04pickle"})],
        id="a report that is no JSON",
    ),
    pytest.param(
        "artifact.undeclared",
        [opening("report.json", runs.JSON), ("report", {"path": "report.json", "data": b"1"}),
         ("close", {"path": "report.json"}), opening("report.json", runs.JSON)],
        id="sent twice: a key seals once",
    ),
    pytest.param("text.undeclared", [("text", {"line": "hello"})], id="text outside a dry run"),
    pytest.param("recipe.ValueError:12", [("failed", {"code": "recipe.ValueError:12"})], id="the recipe raised"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said"), REFUSED)
def test_what_the_grant_does_not_allow_ends_the_run(
    trainer: Trainer, code: str, said: list[tuple[str, dict[str, Any]]]
) -> None:
    for kind, body in said:
        trainer.say(kind, **body)
    with pytest.raises(RecipeError) as fault:
        trainer.end()
    assert fault.value.code == code
    assert not [kind for kind, _ in trainer.door.heard if kind == "text"]


def test_bytes_outside_the_grammar_end_the_run(trainer: Trainer) -> None:
    trainer.side.sendall(b"\0\0\0\1\xff")
    with pytest.raises(RecipeError, match="grammar"):
        trainer.keeping.converse()


def test_a_trainer_that_hangs_up_has_failed(trainer: Trainer) -> None:
    trainer.side.shutdown(socket.SHUT_RDWR)
    with pytest.raises(RecipeError, match="without a word"):
        trainer.keeping.converse()


@pytest.mark.parametrize("trainer", [Kind.DRY], indirect=True)
def test_a_dry_run_shows_sound_and_text_but_never_weights(trainer: Trainer) -> None:
    trainer.say("text", line="epoch 1")
    trainer.say("artifact", path=MODEL, step=4, media_type=runs.SAFETENSORS, metadata={})
    trainer.say("tensor", path=MODEL, name="w", dtype="uint8", shape=[1], data=b"\1")
    trainer.say("close", path=MODEL)
    trainer.say("artifact", path="seven.flac", step=0, media_type=runs.FLAC, metadata={})
    trainer.say("sound", path="seven.flac", sample_rate=16000, audio=AUDIO)
    trainer.say("close", path="seven.flac")
    trainer.end()
    kinds = [kind for kind, _ in trainer.door.heard]
    assert kinds == ["text", "text"]
    word, path, piece = trainer.door.heard[1][1]["line"].split(" ")
    assert (word, path) == ("::file", "seven.flac")
    assert b'AIGC={"Label": "1"' in base64.b64decode(piece)  # sound says that a program made it (GB 45438)


def test_a_code_leaves_as_a_word_only() -> None:
    assert safe_code("recipe.ValueError:12") == "recipe.ValueError:12"
    assert safe_code("he said: 'seven'\n" + "x" * 100) == safe_code("he said: 'seven'\n" + "x" * 100)[:64]
    assert " " not in safe_code("a b") and safe_code("\n") == "recipe.failed"


def test_what_the_trainer_is_told_opens_nothing(trainer: Trainer) -> None:
    trainer.keeping.begin()
    told = trainer.hear()
    assert told.kind == "job" and trainer.hear().kind == "go"
    assert "wrapped" not in json.dumps(told.body) and set(told.body) == set(
        frames.KEEPER_TO_TRAINER.word("job").fields
    )
    trainer.side.shutdown(socket.SHUT_RDWR)
    with pytest.raises(RecipeError):
        trainer.keeping.converse()


def test_the_trainer_says_ready_once_and_before_anything_else(trainer: Trainer) -> None:
    trainer.say("ready")
    with pytest.raises(RecipeError) as twice:
        trainer.end()
    assert twice.value.code == "trainer.grammar"


def test_nothing_is_heard_of_a_trainer_that_did_not_say_ready(trainer: Trainer) -> None:
    trainer.ours.recv(1 << 16)  # its "ready" is lost
    trainer.say("metric", name="loss", step=2, value=1.0)
    with pytest.raises(RecipeError):
        trainer.end()
    assert trainer.door.heard == []
