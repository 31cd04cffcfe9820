"""Every recording at one loudness, where that was asked for: one gain for all of it, measured by ITU-R BS.1770."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

BLOCK_S = 0.4  # BS.1770's gating block; a shorter recording is one block
HIGHEST = 10 ** (-1 / 20)  # of any sample: -1 dBFS. A gain that would go beyond it is made smaller, never clipped


def method() -> str:
    """What the manifest says of how it was done."""
    return f"ITU-R BS.1770-4 integrated, pyloudnorm {version('pyloudnorm')}; gain limited to a peak of -1 dBFS"


def measured(mono: NDArray[np.float32], rate: int) -> float:
    """Loudness of ``[T]`` in LUFS; -inf where no block is louder than -70 LUFS."""
    from pyloudnorm import Meter

    block_s = min(BLOCK_S, len(mono) / rate)
    return float(Meter(rate, block_size=block_s).integrated_loudness(mono.astype(np.float64)))


def brought_to(wanted: float, mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """``[T]`` at ``wanted`` LUFS, or as near to it as its peak allows. What has no loudness stays as it is."""
    found = measured(mono, rate)
    if not np.isfinite(found):
        return mono
    peak = float(np.abs(mono).max())
    gain = min(10 ** ((wanted - found) / 20), max(1.0, HIGHEST / peak) if wanted > found else np.inf)
    return (mono * gain).astype(np.float32)
