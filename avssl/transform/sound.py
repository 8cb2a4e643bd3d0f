"""Stretches of sound, made equally loud and changed at random.

Shapes: samples float32 [n], full scale ±1. Random functions take `rng` and draw the same number of
values whatever their strength.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
SILENCE_RMS = 1e-5
"""Below it (-100 dB) a stretch counts as silent: it is not made louder."""


def rms(samples: Samples) -> float:
    """Gives the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0


def equal_loudness(samples: Samples, *, target_db: float = -20.0) -> Samples:
    """Gives the sound with its mean removed and its RMS brought to `target_db` below full scale.

    How loud a recording is says which recording it is, and its offset which device made it. Silence
    stays silence; peaks may pass full scale.
    """
    centred = (samples - samples.mean(dtype=np.float64)).astype(np.float32)
    level = rms(centred)
    if level < SILENCE_RMS:
        return centred
    return (centred * (10 ** (target_db / 20) / level)).astype(np.float32)


def mix(samples: Samples, behind: Samples, *, level_db: float) -> Samples:
    """Gives the sound with another one behind it, whose RMS is `level_db` against its own.

    Where either is silent the sound stays as it is.
    """
    own, other = rms(samples), rms(behind)
    if min(own, other) < SILENCE_RMS:
        return samples
    return (samples + behind * np.float32(10 ** (level_db / 20) * own / other)).astype(np.float32)


def change_volume(samples: Samples, *, jitter: float, rng: np.random.Generator) -> Samples:
    """Gives the sound times a factor drawn evenly from 1 ± jitter (L3-Net: 0.1)."""
    factor = 1 + jitter * (2 * rng.random() - 1)
    return (samples * np.float32(factor)).astype(np.float32)
