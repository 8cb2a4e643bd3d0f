"""A picture and the sound it was paired with, drawn: what was asked, and what was answered."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.transform.drawing_strips import draw_sheet, draw_strip, verdict

_WINDOW_S, _HOP_S = 0.025, 0.01
_LEAST_DB, _BANDS = -60.0, 48
_HEIGHT_PX = 96


def spectrogram_picture(
    sound: NDArray[np.float32], *, rate_hz: float, width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """Gives a sound's spectrogram in colours: time to the right, frequency upwards, logarithmic.

    The loudest is brightest, 60 dB below it and less is black; so is silence.

    Args:
        sound: float32 [n].
        rate_hz: of its samples.
        width_px: of the picture.
        height_px: of the picture.

    Returns:
        uint8 [height_px, width_px, 3], RGB.
    """
    size, hop = round(_WINDOW_S * rate_hz), max(1, round(_HOP_S * rate_hz))
    padded = np.pad(sound.astype(np.float64), (0, max(0, size - len(sound))))
    parts = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(parts * np.hanning(size), axis=1)) ** 2  # [columns, bins]
    edges = np.geomspace(1, power.shape[1] - 1, _BANDS + 1)
    at = np.clip(np.rint(edges).astype(int), 1, power.shape[1] - 1)
    bands = np.stack([power[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(at)])
    loudest = bands.max()
    if loudest <= 0:
        return np.zeros((height_px, width_px, 3), np.uint8)
    level = 10 * np.log10(np.maximum(bands / loudest, 1e-12))
    grey = np.rint(255 * np.clip(1 - level / _LEAST_DB, 0, 1)).astype(np.uint8)[::-1]
    colored = np.asarray(cv2.applyColorMap(np.ascontiguousarray(grey), cv2.COLORMAP_MAGMA))
    shown = cv2.resize(colored, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(shown[..., ::-1]).astype(np.uint8)


def draw_pairs(
    frames: NDArray[np.uint8],
    sounds: NDArray[np.float32],
    odds: NDArray[np.floating],
    labels: NDArray[np.integer],
    names: Sequence[str],
    *,
    rate_hz: float,
) -> list[NDArray[np.uint8]]:
    """Gives each pair, the pictures beside the spectrogram, with the answer and what is so.

    Args:
        frames: uint8 [B, 3, S, S], or of clips [B, 3, T, S, S]: four of those are shown.
        sounds: float32 [B, n].
        odds: float [B], log odds of label 1 in an even mix.
        labels: int [B], 0 or 1.
        names: of the two labels.
        rate_hz: samples of a sound in a second.
    """
    sheets = []
    for picture, sound, own, label in zip(frames, sounds, odds, labels, strict=True):
        title, color = verdict(float(own), int(label), names)
        shown = picture[None]
        if picture.ndim == 4:
            shown = picture.swapaxes(0, 1)
            shown = shown[np.linspace(0, len(shown) - 1, min(4, len(shown))).round().astype(int)]
        captions = [""] * (len(shown) - 1) + ["seen"]
        strip = draw_strip(shown, captions, colors=[color] * len(shown))
        heard = spectrogram_picture(
            sound, rate_hz=rate_hz, width_px=2 * _HEIGHT_PX, height_px=_HEIGHT_PX
        )
        side = draw_strip(heard.transpose(2, 0, 1)[None], [f"heard, {len(sound) / rate_hz:.2f} s"])
        height = max(strip.shape[0], side.shape[0])
        both = [
            np.pad(one, ((0, height - one.shape[0]), (0, 0), (0, 0)), constant_values=255)
            for one in (strip, side)
        ]
        sheets.append(draw_sheet([np.hstack(both)], title))
    return sheets
