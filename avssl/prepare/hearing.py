"""What is measured on the sound of a clip: loudness, onsets, silence, a fingerprint."""

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.compiled import load_librosa

FLOOR_DB = -120.0
SILENCE_DB = -60.0
"""A track whose every window stays below this is "silent": 16-bit room noise lies near -60 dB and
digital silence, dithered and coded, at -91 dB."""
_FINGERPRINT_RATE_HZ = 6000
_FINGERPRINT_WINDOW = 2048  # 0.34 s
FINGERPRINT_HZ = 15.625
_FINGERPRINT_HOP = 384


def loudness_db(
    samples: NDArray[np.float32],
    *,
    rate_hz: int,
    start_s: float,
    duration_s: float,
    window_s: float,
) -> NDArray[np.float64]:
    """Gives the root mean square of the sound in each window, dB below full scale.

    Args:
        samples: float32 [n], full scale ±1.
        rate_hz: of the samples.
        start_s: time of the first sample on the clip's clock.
        duration_s: of the clip: windows cover [0, duration).
        window_s: length of a window. Where the sound covers only a part of one, the part counts;
            where it covers none, the value is -120.
    """
    num_windows = max(1, int(np.ceil(duration_s / window_s - 1e-9)))
    edges = np.rint((np.arange(num_windows + 1) * window_s - start_s) * rate_hz).astype(np.int64)
    edges = np.clip(edges, 0, len(samples))
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    counts = np.diff(edges)
    mean = np.diff(power[edges]) / np.maximum(counts, 1)
    return np.maximum(10 * np.log10(np.maximum(mean, 1e-12)), FLOOR_DB)


def onsets_s(samples: NDArray[np.float32], *, rate_hz: int, start_s: float) -> NDArray[np.float64]:
    """Gives the times at which notes, hits and words begin (librosa's spectral flux).

    Quiet stretches have none: peaks are sought only where the sound is above the silence level.
    """
    if len(samples) < rate_hz // 10 or not np.any(samples):
        return np.zeros(0)
    librosa = load_librosa()
    half = samples[: len(samples) // 2 * 2].reshape(-1, 2).mean(1) if rate_hz == 48000 else samples
    rate = rate_hz // 2 if rate_hz == 48000 else rate_hz
    hop = 256
    envelope = librosa.onset.onset_strength(y=half, sr=rate, hop_length=hop, n_fft=1024)
    found = librosa.onset.onset_detect(
        onset_envelope=envelope, sr=rate, hop_length=hop, units="frames"
    )
    times_s = np.asarray(found) * hop / rate
    # a hop or two early: a short click may be over where its onset is put
    around = (half[max(0, int((t - 0.03) * rate)) : int((t + 0.1) * rate)] for t in times_s)
    loud = [len(part) > 0 and np.mean(part**2) > 10 ** (SILENCE_DB / 10) for part in around]
    return times_s[np.asarray(loud, dtype=bool)] + start_s


_warm = threading.Event()


def warm_up(report: Callable[[float], None]) -> None:
    """Loads librosa, which may compile or wait for another process that does.

    Nothing of that is the file's fault, so signs of life go out meanwhile, for ten minutes at most.

    Args:
        report: called with 0.0 once a second, from another thread.
    """
    if _warm.is_set():
        return
    done = threading.Event()

    def signs() -> None:
        for _ in range(600):
            if done.wait(1.0):
                return
            report(0.0)

    thread = threading.Thread(target=signs, daemon=True)
    thread.start()
    try:
        load_librosa()
    finally:
        done.set()
        thread.join()
    _warm.set()


def state_of(loudness: NDArray[np.float64]) -> str:
    """Gives "present" or "silent"."""
    return "present" if loudness.max(initial=FLOOR_DB) >= SILENCE_DB else "silent"


@functools.cache
def _bands() -> Any:
    """Gives the bins at the edges of 33 bands from 200 to 2000 Hz, evenly spaced in pitch."""
    edges_hz = np.geomspace(200, 2000, 34)
    return np.rint(edges_hz / _FINGERPRINT_RATE_HZ * _FINGERPRINT_WINDOW).astype(np.int64)


def fingerprint(samples: NDArray[np.float32], *, rate_hz: int) -> NDArray[np.uint32]:
    """Gives 32 bits every 64 ms that survive coding: signs of energy differences.

    After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (2002), with a longer
    hop. Frames of silence give 0, which matches nothing.
    """
    step = rate_hz // _FINGERPRINT_RATE_HZ
    short = samples[: len(samples) // step * step].reshape(-1, step).mean(1)
    num = (len(short) - _FINGERPRINT_WINDOW) // _FINGERPRINT_HOP + 1
    if num < 2:
        return np.zeros(0, dtype=np.uint32)
    at = np.arange(num)[:, None] * _FINGERPRINT_HOP + np.arange(_FINGERPRINT_WINDOW)[None, :]
    spectrum = np.abs(np.fft.rfft(short[at] * np.hanning(_FINGERPRINT_WINDOW), axis=1)) ** 2
    bands = _bands()
    energy = np.add.reduceat(spectrum, bands, axis=1)[:, :33]
    slope = energy[:, :-1] - energy[:, 1:]
    bits = (slope[1:] - slope[:-1]) > 0
    packed = np.packbits(bits, axis=1).view(">u4").reshape(-1).astype(np.uint32)
    power = np.sqrt(np.mean(short[at[1:]] ** 2, axis=1))
    packed[power < 10 ** (SILENCE_DB / 20)] = 0
    return packed
