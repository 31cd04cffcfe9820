"""Phonemes from a running espeak-ng: right, whole, in order; it holds no text and outlives no run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from TTS.tts.utils.text.characters import _phonemes

from sandbox.errors import RecipeError
from sandbox.training import phonemes

LANGUAGES = ("en", "es", "fr", "it", "ru")


@pytest.fixture(autouse=True)
def running() -> Iterator[None]:
    phonemes.start(LANGUAGES)
    yield
    phonemes.stop()


def test_the_vocabulary_is_coquis() -> None:
    assert _phonemes == phonemes.IPA and len(set(phonemes.IPA)) == len(phonemes.IPA)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, world! How are you?", "həlˈoʊ, wˈɜːld! hˈaʊ ɑːɹ juː?"),
        ("zanzibar heliotrope", "zˈænzɪbˌɑːɹ hˈɛlɪˌɑːtɹoʊp"),
        ("one\ntwo", "wˈʌn tˈuː"),
        ("   ", "   "),
        ("", ""),
        ("?!", "?!"),
        ("3.5", "θɹˈiː pɔɪnt fˈaɪv"),
    ],
    ids=repr,
)
def test_a_text_is_spoken_and_its_punctuation_kept(text: str, spoken: str) -> None:
    assert phonemes.of(text, "en") == spoken


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("¿dónde está?", "es"),
        ("le week-end", "fr"),
        ("più (forse)", "it"),
        ("привет, мир", "ru"),
        ("größe", "en"),
    ],
)
def test_every_symbol_is_of_the_vocabulary(text: str, language: str) -> None:
    found = phonemes.of(text, language)
    assert set(found) - {"¿", "-"} <= {*phonemes.IPA, *phonemes.PUNCTUATION, " "} and len(found) > 4


def test_answers_stay_in_step_whatever_was_asked() -> None:
    for text in (
        "first. second",
        "[[h@]]",
        "<b>bold</b>",
        "a" * 900,
        "one two " * 200,
        "\u0007\ufeff",
        "…",
        "–",
    ):
        phonemes.of(text, "en")
        assert phonemes.of("seven", "en") == "sˈɛvən"


def test_no_text_is_on_the_command_line_and_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "zanzibar")
    phonemes.start(["de"])
    phonemes.of("zanzibar", "de")
    process = Path("/proc", str(phonemes._speaking["de"]._process.pid))
    assert b"zanzibar" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert len(list((process / "fd").iterdir())) <= 4


def test_stopping_ends_every_program() -> None:
    programs = [espeak._process for espeak in phonemes._speaking.values()]
    phonemes.stop()
    assert len(programs) == len(LANGUAGES) and all(p.returncode is not None for p in programs)


@pytest.mark.parametrize("language", ["xx", "-h", "../en", "en;ls", "", "EN"])
def test_a_language_that_it_lacks_is_refused(language: str) -> None:
    with pytest.raises(RecipeError) as refused:
        phonemes.start([language])
    assert refused.value.code == "recipe.language"


def test_what_cannot_be_spoken_is_refused_without_a_quote() -> None:
    for text, language, code in (
        ("zanzibar", "de", "recipe.phonemes"),
        ("zanzibar" * 400, "en", "recipe.text_long"),
    ):
        with pytest.raises(RecipeError) as refused:
            phonemes.of(text, language)
        assert refused.value.code == code and "zanzibar" not in str(refused.value)


def test_a_program_that_died_is_a_failure_not_silence() -> None:
    phonemes._speaking["en"]._process.kill()
    phonemes._speaking["en"]._process.wait()
    with pytest.raises(RecipeError) as refused:
        phonemes.of("seven", "en")
    assert refused.value.code == "recipe.phonemes"
