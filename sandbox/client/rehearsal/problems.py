"""Every reason to set a recording aside, in words, and what mends it."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """Why a recording is no good, and what to do."""

    why: str
    mend: str


PROBLEMS = {
    "audio.missing": Problem("the file is not in the folder", "put it there, or strike it from the listing"),
    "audio.unreadable": Problem(
        "not audio that can be decoded, or closed to you", "play it; export it again"
    ),
    "audio.empty": Problem("no sample in it", "record it again, or leave it out"),
    "audio.truncated": Problem("ends before its header says", "copy it again"),
    "audio.format": Problem("no format that is taken", "wav, flac, mp3, ogg, g722, aiff or sph"),
    "audio.coarse": Problem(
        "8 bits a sample are too few for synthesis", "export the original in 16 bits or more"
    ),
    "audio.channels": Problem("more than one channel", "--downmix makes mono of stereo"),
    "audio.rate": Problem("its rate is outside 8000 to 96000 Hz", "export it at a rate between"),
    "audio.too_long": Problem("longer than is taken", "cut it into utterances, or --max-seconds"),
    "audio.too_short": Problem("shorter than 0.05 s", "leave it out"),
    "audio.silent": Problem("every sample is zero", "record it again, or leave it out"),
    "audio.duplicate": Problem("the same bytes came before", "strike one of them from the listing"),
    "transcript.missing": Problem("no transcript", "write what is said"),
    "transcript.too_long": Problem("a transcript of more than 2000 characters", "cut it into utterances"),
    "transcript.encoding": Problem(
        "a transcript in another encoding than UTF-8", "save the listing as UTF-8"
    ),
    "subject.missing": Problem("no speaker is named", "--subject spk_…, or a column"),
    "subject.invalid": Problem(
        "no pseudonym: spk_ and 2 to 32 small letters or digits",
        "--subjects names.csv, with lines of NAME,spk_…",
    ),
    "language.invalid": Problem("no language, or no tag such as en or pt-BR", "--language en, or a column"),
}
