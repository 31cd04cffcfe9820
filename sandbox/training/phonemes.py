"""Text to phonemes in memory: espeak-ng as a program of its own, over a socket pair; no text in a file or in argv.

Coqui's wrapper writes every transcript to a file under /tmp and starts the program once for each. Here one espeak-ng
for each language is started while no key exists, and takes one text a line: 2 ms each. It is called, never linked.

The symbols are IPA as coqui's models know them: its table is the vocabulary, whatever the language.
"""

from __future__ import annotations

import re
import socket
import subprocess
import unicodedata
from collections.abc import Iterable, Mapping

from sandbox.errors import RecipeError

PROGRAM = "/usr/bin/espeak-ng"
#: ``TTS.tts.utils.text.characters``: vowels, consonants, stress and length, other symbols, diacritics; one string.
IPA = (
    "iyɨʉɯuɪʏʊeøɘəɵɤoɛœɜɞʌɔæɐaɶɑɒᵻʘɓǀɗǃʄǂɠǁʛpbtdʈɖcɟkɡqɢʔɴŋɲɳnɱmʙrʀⱱɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟˈˌːˑ"
    "ʍwɥʜʢʡɕʑɺɧʲ\u0303ɚ˞ɫ"
)
PUNCTUATION = "!'(),-.:;?"
_VOICES: Mapping[str, str] = {
    "en": "en-us",
    "fr": "fr-fr",
}  # else the language's own name, as espeak-ng has it
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_WORDS = re.compile(r"(?:[^!(),.:;?]|(?<=\d)[.,](?=\d))+")  # a clause; the point of a number belongs to it
_SWITCH = re.compile(r"\([a-z-]+\)")  # "(en)": espeak-ng changes its voice for a foreign word
_INSIDE = "'’-.,"  # within words and numbers; all else would be a mark, or a command to espeak-ng
_TEXT_MAX = 2_000  # characters
_ANSWER_S = 20.0

_speaking: dict[str, Espeak] = {}


def start(languages: Iterable[str]) -> None:
    """One espeak-ng for each language, before the first text is there. Raises RecipeError for a language it lacks."""
    for language in sorted(set(languages) - _speaking.keys()):
        _speaking[language] = Espeak(language)


def stop() -> None:
    """End all of them."""
    while _speaking:
        _speaking.popitem()[1].close()


def of(text: str, language: str) -> str:
    """The phonemes of ``text``, its punctuation kept. Raises RecipeError, which never quotes the text."""
    if language not in _speaking:
        raise RecipeError("no phonemes were prepared for this language", code="recipe.phonemes")
    if len(text) > _TEXT_MAX:
        raise RecipeError(f"a text has more than {_TEXT_MAX} characters", code="recipe.text_long")
    espeak = _speaking[language]
    return _WORDS.sub(lambda words: espeak.say(words[0]), text)


class Espeak:
    """A running espeak-ng that answers each line by its phonemes."""

    def __init__(self, language: str) -> None:
        if not _LANGUAGE.fullmatch(language):
            raise RecipeError("espeak-ng knows no such language", code="recipe.language")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [PROGRAM, "-q", "-b", "1", "--ipa=1", "-v", _VOICES.get(language, language)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                cwd="/",
            )
        ours.settimeout(_ANSWER_S)
        self._socket, self._answers = ours, ours.makefile("r", encoding="utf-8", newline="\n")
        try:
            self.say("a")  # a voice that it lacks ends it at once
        except RecipeError:
            self.close()
            raise RecipeError("espeak-ng knows no such language", code="recipe.language") from None

    def say(self, words: str) -> str:
        """Phonemes of one clause; spaces around it are kept, as many as there were."""
        letters = unicodedata.normalize("NFC", words)
        said = " ".join("".join(c if c.isalnum() or c in _INSIDE else " " for c in letters).split())
        if not any(map(str.isalnum, said)):
            return words  # marks and spaces only: nothing is said, and the answer would not be one line
        try:
            self._socket.sendall(f"{said}\n\n".encode())  # the empty line is answered by an empty one
            found: list[str] = []
            while line := self._answers.readline():
                if line == "\n":
                    break
                found.append(line.strip())
            else:
                raise OSError
        except OSError:
            raise RecipeError("espeak-ng gave no answer", code="recipe.phonemes") from None
        spoken = _SWITCH.sub("", " ".join(found)).replace("_", "")
        return words[: len(words) - len(words.lstrip())] + spoken + words[len(words.rstrip()) :]

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()
