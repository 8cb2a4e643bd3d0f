"""Arithmetic of sound: mixing down, counting samples, cutting on a grid of exact times."""

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.records import Sound

MAX_SOUND_S = 3600.0
"""Longest stretch given at once (0.7 GB at 48 kHz); longer ones are read with `iter_sound`."""
_CENTRE = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071, "LFE": 0.0, "LFE2": 0.0}
_SCALES = {"u8": 1 / 128, "s16": 1 / 32768, "s32": 1 / 2147483648, "flt": 1.0, "dbl": 1.0}


def mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Gives the mean of two channels, or an ITU-R BS.775 mix of more, float32 [n], ±1."""
    name = frame.format.name.removesuffix("p")
    raw = frame.to_ndarray()
    num_channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        raw = raw.reshape(-1, num_channels).T
    samples = raw.astype(np.float32)
    if name == "u8":
        samples -= 128
    if num_channels == 1:
        mixed = samples[0]
    elif num_channels == 2:
        mixed = (samples[0] + samples[1]) * 0.5
    else:
        names = [channel.name for channel in frame.layout.channels]
        weights = np.asarray([_CENTRE.get(item, 0.5) for item in names], dtype=np.float32)
        mixed = (weights / weights.sum()) @ samples
    return np.asarray(mixed * np.float32(_SCALES[name]), dtype=np.float32)


def num_samples_of(*, duration_s: float, rate_hz: int, name: str) -> int:
    """Gives the number of samples of a stretch.

    Raises:
        InputError: the length or the rate is nonsense or too big.
    """
    if not 0 < duration_s <= MAX_SOUND_S:
        raise InputError(f"{name}: a stretch of {duration_s!r} s; more than 0, at most an hour")
    if not 1000 <= rate_hz <= 384000 or int(rate_hz) != rate_hz:
        raise InputError(f"{name}: rate_hz {rate_hz!r}; a whole number, 1000 to 384000")
    return max(1, round(duration_s * rate_hz))


def cut(
    native: NDArray[np.float32],
    *,
    native_hz: int,
    margin: int,
    begin: int | None,
    end: int | None,
    start_s: float,
    num_samples: int,
    rate_hz: int,
) -> Sound:
    """Resamples a stretch and counts its padding.

    Args:
        native: float32 [n]; sample 0 is `margin` output samples before `start_s`, within half a
            native sample.
        native_hz: its rate.
        margin: output samples in front that are thrown away.
        begin: native position (counted from time 0) of the track's first sample, None where it
            lies before the stretch.
        end: native position after the track's last sample, None where it lies after the stretch.
        start_s: time of the first sample to give.
        num_samples: how many to give.
        rate_hz: rate to give.
    """
    if rate_hz != native_hz:
        import soxr

        native = soxr.resample(native, native_hz, rate_hz)
    samples = native[margin : margin + num_samples].astype(np.float32)
    half = 0.5 / native_hz
    before = after = 0
    if begin is not None:
        before = int(np.ceil((begin / native_hz - half - start_s) * rate_hz))
        before = min(max(before, 0), num_samples)
    if end is not None:
        after = num_samples - int(np.ceil((end / native_hz - half - start_s) * rate_hz))
        after = min(max(after, 0), num_samples - before)
    samples[:before] = 0
    samples[num_samples - after :] = 0
    return Sound(
        samples=samples[None], rate_hz=rate_hz, start_s=float(start_s),
        padded_before=before, padded_after=after,
    )  # fmt: skip
