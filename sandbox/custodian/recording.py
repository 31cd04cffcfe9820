"""What was asked to be done to recordings, and is: nothing unless asked, and what was done stands in the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.custodian.loudness import brought_to, method
from sandbox.sealing.audio import MAX_SECONDS, PCM_24, Audio
from sandbox.sealing.recording import Decoded


@dataclass(frozen=True)
class Wishes:
    """What may be done to the samples: another rate in Hz, mono, one loudness in LUFS. Nothing, unless asked."""

    resample: int | None = None
    downmix: bool = False
    max_seconds: float = MAX_SECONDS
    loudness: float | None = None

    def to_json(self) -> dict[str, Any]:
        done = asdict(self)
        if self.resample:
            done["resampler"] = f"scipy {version('scipy')} signal.resample_poly, Kaiser window 5.0"
        if self.loudness is not None:
            done["loudness_method"] = method()
        return done


def prepared(decoded: Decoded, resample: int | None, loudness: float | None = None) -> Decoded:
    """At the rate and at the loudness that were asked for, if any were, and within [-1, 1]."""
    mono, rate = decoded.audio.samples, decoded.audio.sample_rate
    changed = (bool(resample) and resample != rate) or loudness is not None
    if resample and resample != rate:
        mono, rate = _resampled(mono, rate, resample), resample
    if loudness is not None:
        mono = brought_to(loudness, mono, rate)
    clipped = np.clip(mono, -1.0, 1.0).astype(np.float32)
    return replace(decoded, audio=Audio(clipped, rate), subtype=PCM_24 if changed else decoded.subtype)


def _resampled(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """``[T]`` at ``rate`` Hz to ``[T * wanted / rate]``, low-passed: polyphase FIR of scipy, which loads only here."""
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return np.asarray(resample_poly(mono, wanted // common, rate // common), dtype=np.float32)
