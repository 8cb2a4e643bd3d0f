"""From a file of sound to vectors: windows that an encoder hears, and log-mel statistics.

A sound is cut into windows as long as the encoder hears, evenly spaced from its first to its last
sample, at most `hop_s` apart. One shorter than a window is repeated until it fills it (silence
behind it would tell its length). Windows of digital silence are left out where there are others:
no training hears them. In training every stretch is brought to one loudness
(`avssl.transform.audio_visual`), so here every window is, unless `loudness_db` is None.

Shapes: n samples of a sound, W windows, F features.
"""

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from av.error import FFmpegError
from numpy.typing import NDArray
from torch.nn import functional

from avssl.decode.info import reason_of
from avssl.decode.sound import SoundTrack
from avssl.errors import InputError, MediaError
from avssl.model.spectrogram import mel_filters
from avssl.transform.sound import SILENCE_RMS, equal_loudness, rms

MAX_HEARD_S = 60.0
"""Of a longer sound the first minute is heard."""
LAYER_GRID = (4, 3)
"""Places of a layer's maps after taking the highest value: L3-Net's conv4_2 becomes 4 x 3 x 512 =
6144 features (papers.md §2.4)."""
NUM_MELS = 64
_WINDOW_S, _HOP_S, _FLOOR, _DELTA_WIDTH = 0.025, 0.01, 1e-8, 9
_BATCH = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Listening:
    """How sounds are cut."""

    rate_hz: int
    window_s: float
    hop_s: float
    loudness_db: float | None = -20.0
    """RMS of what is heard, dB below full scale; None: as recorded."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.window_s <= MAX_HEARD_S:
            raise InputError(f"--window-s {self.window_s}: must be 0.1 to {MAX_HEARD_S:g}")
        if not 0.01 <= self.hop_s <= MAX_HEARD_S:
            raise InputError(f"--hop-s {self.hop_s}: must be 0.01 to {MAX_HEARD_S:g}")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A sound in windows."""

    windows: Floats
    """float32 [W, window], as the encoder hears them."""
    samples: Floats
    """float32 [n]: the whole sound, repeated where it was short, at one loudness."""
    audible: NDArray[np.bool_]
    """bool [n]: samples that lie in one of the windows."""
    num_silent: int
    """Windows of digital silence that were left out."""
    silent: bool
    """All of it is digital silence; then all windows are kept."""


def read_samples(path: str | Path, *, rate_hz: int) -> tuple[Floats, bool]:
    """Gives a file's sound, mono, float32 [n], and whether it was longer than `MAX_HEARD_S`.

    Raises:
        MediaError: no sound in it, or none that can be used.
    """
    track = SoundTrack(path)
    blocks, num_samples, most = [], 0, round(MAX_HEARD_S * rate_hz)
    try:
        with contextlib.closing(track.blocks(rate_hz=rate_hz)) as stream:  # type: ignore[type-var]
            for block in stream:
                blocks.append(block.samples[0])
                num_samples += blocks[-1].size
                if num_samples > most:
                    break
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path}: its sound cannot be decoded ({reason_of(error)})") from error
    finally:
        track.close()
    if not num_samples:
        raise MediaError(f"{path}: no sample of its sound decodes")
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise MediaError(f"{path}: holds samples that are no numbers")
    return samples[:most], num_samples > most


def cut_sound(samples: Floats, how: Listening) -> Cut:
    """Cuts a sound, float32 [n] with n of 1 or more; see the file's head."""
    length = round(how.window_s * how.rate_hz)
    if len(samples) < length:
        samples = np.tile(samples, -(-length // len(samples)))[:length]
    hop = max(1, round(how.hop_s * how.rate_hz))
    spare = len(samples) - length
    starts = np.rint(np.linspace(0, spare, -(-spare // hop) + 1)).astype(np.int64)
    windows = np.stack([samples[start : start + length] for start in starts])
    heard = np.asarray([rms(window - window.mean()) >= SILENCE_RMS for window in windows])
    silent = not heard.any()
    kept = ~heard if silent else heard
    audible = np.zeros(len(samples), dtype=bool)
    for start in starts[kept]:
        audible[start : start + length] = True
    windows = windows[kept]
    if how.loudness_db is not None:
        target = how.loudness_db
        windows = np.stack([equal_loudness(window, target_db=target) for window in windows])
        level = rms(samples[audible] - samples[audible].mean())
        if level >= SILENCE_RMS:
            samples = (samples - samples[audible].mean()) * (10 ** (target / 20) / level)
    return Cut(
        windows=windows.astype(np.float32),
        samples=samples.astype(np.float32),
        audible=audible,
        num_silent=0 if silent else int((~heard).sum()),
        silent=silent,
    )


@functools.lru_cache(maxsize=4)
def _mel_parts(rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    window = round(_WINDOW_S * rate_hz)
    num_fft = 1 << (window - 1).bit_length()
    filters = mel_filters(rate_hz=rate_hz, num_fft=num_fft, num_mels=NUM_MELS).double().numpy()
    # as the encoders' front ends: a periodic Hann window
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window), filters


def log_mel(samples: Floats, *, rate_hz: int) -> NDArray[np.float64]:
    """Gives ln of mel power, float64 [64, frames]: windows of 25 ms every 10 ms, without padding.

    Bands as the encoders' front ends (HTK's scale, equal areas, up to half the rate).
    """
    window, filters = _mel_parts(rate_hz)
    hop, num_fft = round(_HOP_S * rate_hz), 2 * (len(filters) - 1)
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(window))[::hop]
    power = np.abs(np.fft.rfft(frames * window, n=num_fft, axis=1)) ** 2
    return np.log(np.maximum(power @ filters, _FLOOR)).T


def log_mel_statistics(
    samples: Floats, *, rate_hz: int, audible: NDArray[np.bool_] | None = None
) -> Floats:
    """Gives a sound's floor, float32 [256]: no network, and not much of an order in time.

    Mean and deviation over time of each of 64 log-mel bands, then of their deltas (the slope of a
    line through nine frames).

    Args:
        samples: float32 [n], 0.12 s or more.
        rate_hz: of the samples.
        audible: bool [n]; frames whose middle is not are left out. None keeps all.
    """
    from scipy.signal import savgol_filter

    bands = log_mel(samples, rate_hz=rate_hz)
    width = min(_DELTA_WIDTH, (bands.shape[1] - 1) // 2 * 2 + 1)
    deltas: Any = savgol_filter(bands, width, polyorder=1, deriv=1, axis=1, mode="interp")
    if audible is not None:
        middles = np.arange(bands.shape[1]) * round(_HOP_S * rate_hz)
        kept = audible[middles + round(_WINDOW_S * rate_hz) // 2]
        bands, deltas = bands[:, kept], deltas[:, kept]
    parts = [bands.mean(axis=1), bands.std(axis=1), deltas.mean(axis=1), deltas.std(axis=1)]
    return np.concatenate(parts).astype(np.float32)


def encode(encoder: Any, windows: Floats, *, layer: str = "") -> Floats:
    """Gives an encoder's features of windows, float32 [W, F].

    Args:
        encoder: see `avssl.model.sound.SoundEncoder`.
        windows: float32 [W, window].
        layer: "" takes the vector; a layer's maps are reduced to `LAYER_GRID` places by their
            highest values, as L3-Net's.
    """
    device = next(encoder.parameters()).device
    found = []
    with torch.inference_mode():
        for start in range(0, len(windows), _BATCH):
            part = torch.from_numpy(windows[start : start + _BATCH]).to(device)
            if layer:
                maps = encoder.features(part)[layer]
                vectors = functional.adaptive_max_pool2d(maps, LAYER_GRID).flatten(1)
            else:
                vectors = encoder(part)
            found.append(vectors.float().cpu().numpy())
    return np.concatenate(found)
