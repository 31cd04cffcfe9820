"""Exceptions, logs and prints: what of them may leave, with coqui's own loggers and messages."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sandbox import errors
from sandbox.training import redaction
from tests.training.fake_keeper import FakeKeeper, utterance
from tests.training.toys import FakeChannel

CANARY = "zanzibar heliotrope"
HERE = __file__


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - whatever it is, it is looked at
        return caught


class ZanzibarHeliotrope(Exception):
    """An exception named after what it was given."""


class Sly(errors.RecipeError):
    """A child of ours that says more than ours do."""

    code = "recipe.zanzibar"


Impostor = type("ValueError", (Exception,), {})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError(CANARY), "recipe.failed:ValueError:{line}"),
        (KeyError(CANARY), "recipe.failed:KeyError:{line}"),
        (AssertionError(CANARY), "recipe.failed:AssertionError:{line}"),
        (SystemExit(CANARY), "recipe.failed:SystemExit:{line}"),
        (KeyboardInterrupt(CANARY), "recipe.failed:KeyboardInterrupt:{line}"),
        (ExceptionGroup(CANARY, [ValueError(CANARY)]), "recipe.failed:ExceptionGroup:{line}"),
        (ZanzibarHeliotrope(CANARY), "recipe.failed:Exception:{line}"),
        (Impostor(CANARY), "recipe.failed:Exception:{line}"),
        (Sly(CANARY), "recipe.failed:Exception:{line}"),
        (torch.OutOfMemoryError(CANARY), "recipe.failed:Exception:{line}"),
        (errors.RecipeError(CANARY), "recipe.failed"),
        (errors.RecipeError(CANARY, code="recipe.no_main"), "recipe.no_main"),
        (errors.RecipeError(CANARY, code=CANARY), "recipe.failed"),
        (errors.RecipeError(CANARY, code="zanzibar.heliotrope.here"), "recipe.failed"),
        (errors.RecipeError(CANARY, code="recipe.seventy7"), "recipe.failed"),
        (errors.RecipeError(CANARY, code="recipe." + "a" * 40), "recipe.failed"),
        (errors.PrivacyError(CANARY, code="privacy.noise"), "privacy.noise"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, BaseException) else value,
)
def test_a_failure_is_a_class_and_a_line_and_quotes_nothing(error: BaseException, code: str) -> None:
    caught = raised(error)
    assert caught.__traceback__ is not None
    found = redaction.failure_code(caught, HERE)
    assert found == code.format(line=caught.__traceback__.tb_lineno)
    assert "zanzibar" not in found.lower()


def test_a_failure_outside_the_recipe_has_no_line() -> None:
    assert (
        redaction.failure_code(raised(ValueError(CANARY)), "/recipe/recipe.py")
        == "recipe.failed:ValueError:0"
    )


def test_a_line_cannot_count_a_secret_out() -> None:
    source = "\n" * 123_456 + "raise ValueError"
    with pytest.raises(ValueError) as failed:
        exec(compile(source, "recipe.py", "exec"), {})
    assert redaction.failure_code(failed.value, "recipe.py") == "recipe.failed:ValueError:9999"


# Coqui's own ways of saying what it reads


def tokenizer() -> Any:
    from TTS.tts.utils.text.characters import Graphemes
    from TTS.tts.utils.text.tokenizer import TTSTokenizer

    return TTSTokenizer(characters=Graphemes(characters="seven", punctuations=" "))


def test_the_tokenizer_would_log_transcripts(caplog: pytest.LogCaptureFixture) -> None:
    """Why there is a filter: without it both levels quote."""
    caplog.set_level(logging.DEBUG, "TTS")
    tokenizer().text_to_ids(CANARY)
    assert {r.levelname for r in caplog.records if CANARY in r.getMessage()} == {"DEBUG", "WARNING"}


@pytest.mark.parametrize("logger", ["TTS", "TTS.tts.utils.text.tokenizer", "trainer", "torch", "", "recipe"])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL])
def test_hushed_no_logger_says_anything(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], logger: str, level: int
) -> None:
    caplog.set_level(logging.DEBUG)
    redaction.hush()
    logging.getLogger(logger).log(level, CANARY)
    tokenizer().text_to_ids(CANARY)
    print(CANARY)
    sys.stderr.write(CANARY)
    assert caplog.records == []
    assert CANARY not in "".join(capfd.readouterr())


TOKENIZING = """
import logging
from TTS.tts.utils.text.characters import Graphemes
from TTS.tts.utils.text.tokenizer import TTSTokenizer

def main(run):
    logging.getLogger("TTS").setLevel(logging.DEBUG)
    tokenizer = TTSTokenizer(characters=Graphemes(characters="seven", punctuations=" "))
    for heard in run.utterances():
        tokenizer.text_to_ids(heard.text)
        assert not heard.text, f"could not read {heard.text!r}"
"""


def test_a_recipe_that_quotes_tells_the_keeper_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.py").write_text(TOKENIZING)
    keeper = FakeKeeper({}, utterances=[utterance("r1", text=CANARY)])
    assert not keeper.run(tmp_path)
    assert [f.kind for f in keeper.heard] == ["ready", "want", "failed"]
    assert keeper.of("failed") == [{"code": "recipe.failed:AssertionError:11"}]
    assert CANARY not in "".join(capfd.readouterr())


def test_a_dry_run_on_public_speech_tells_it_all(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(TOKENIZING)
    keeper = FakeKeeper({}, utterances=[utterance("r1", text=CANARY)], kind="dry-run")
    assert not keeper.run(tmp_path)
    lines = [body["line"] for body in keeper.of("text")]
    assert any("WARNING" in line and CANARY in line for line in lines)
    assert f"AssertionError: could not read '{CANARY}'" in lines


# Lines


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (["one\ntwo\n"], ["one", "two"]),
        (["o", "ne", "\n"], ["one"]),
        (["\n"], [""]),
        (["x" * 2500 + "\n"], ["x" * 2000]),
        (["x" * 2500], ["x" * 2000]),
        (["rest"], []),
    ],
    ids=["two", "in pieces", "empty", "long", "endless", "unfinished"],
)
def test_text_is_told_line_by_line(written: list[str], lines: list[str]) -> None:
    channel = FakeChannel()
    redaction.speak_up(lambda line: channel.send("text", line=line))
    for text in written:
        sys.stdout.write(text)
    assert [body["line"] for body in channel.of("text")] == lines


def test_a_traceback_is_told_in_lines_that_fit() -> None:
    lines = redaction.full_text(raised(ValueError("x" * 5000)))
    assert lines[0].startswith("Traceback") and max(map(len, lines)) == 2000
