"""What sounds, drawn: a glow over the picture, and a strip with spectrogram and strength."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
_GLOW = 0.75  # the most that a glow covers
_STRIP = 0.28  # height of the strip, of the picture's
_REACH_S = 2.5  # seconds on either side of now


def glow_over(picture: Picture, values: NDArray[np.floating], *, strength: float) -> Picture:
    """Gives the picture, uint8 [H, W, 3], with a warm glow where `values` are high.

    Args:
        picture: uint8 [H, W, 3].
        values: float [h, w] in 0…1, spread over the whole picture.
        strength: 0…1; at 0 the picture is left as it is.
    """
    height, width = picture.shape[:2]
    smooth = cv2.resize(
        np.asarray(values, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    smooth = np.clip(np.asarray(smooth), 0.0, 1.0)
    cover = (_GLOW * strength * smooth**1.5)[..., None]
    # from deep red through orange to a pale yellow
    warm = np.stack([np.full_like(smooth, 255), 40 + 205 * smooth, 20 + 100 * smooth**3], axis=-1)
    return np.rint(picture * (1 - cover) + warm * cover).astype(np.uint8)


def mark_peak(picture: Picture, x: float, y: float, *, strength: float) -> Picture:
    """Draws a thin ring around the place that sounds most, the brighter the surer."""
    out = picture.copy()
    size = min(picture.shape[:2])
    centre, radius = (round(16 * x), round(16 * y)), round(16 * size / 14)
    ring = out.copy()
    for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.circle(ring, centre, radius, color, max(1, width * size // 300), cv2.LINE_AA, shift=4)
    return cv2.addWeighted(ring, strength, out, 1 - strength, 0).astype(np.uint8)


class SoundStrip:
    """A strip as wide as the picture: the spectrogram runs by, now is in the middle."""

    def __init__(
        self,
        spectrogram: NDArray[np.floating],
        *,
        start_s: float,
        step_s: float,
        times_s: NDArray[np.float64],
        strengths: NDArray[np.floating],
    ) -> None:
        """Takes the whole sound at once.

        Args:
            spectrogram: float [bands, n], logarithmic.
            start_s: time of its first column.
            step_s: time from column to column.
            times_s: float64 [T], of the frames.
            strengths: float [T] in 0…1.
        """
        known = spectrogram[np.isfinite(spectrogram)]
        low, high = np.percentile(known, (20, 99.7)) if known.size else (0.0, 1.0)
        shades = np.clip((spectrogram - low) / max(1e-6, high - low), 0, 1)
        grey = np.rint(255 * np.nan_to_num(shades)).astype(np.uint8)[::-1]
        colored = cv2.applyColorMap(np.ascontiguousarray(grey), cv2.COLORMAP_MAGMA)
        self._colors = np.asarray(colored)[..., ::-1]
        self._start_s, self._step_s = start_s, step_s
        self._times_s, self._strengths = times_s, np.asarray(strengths, dtype=np.float64)

    def draw(self, now_s: float, *, width_px: int, height_px: int) -> Picture:
        """Gives the strip at a time, uint8 [height_px, width_px, 3]."""
        at_s = np.linspace(now_s - _REACH_S, now_s + _REACH_S, width_px)
        columns = (at_s - self._start_s) / self._step_s
        inside = (columns >= 0) & (columns <= self._colors.shape[1] - 1)
        index = np.clip(np.rint(columns), 0, max(0, self._colors.shape[1] - 1)).astype(int)
        strip = cv2.resize(
            np.ascontiguousarray(self._colors[:, index]),
            (width_px, height_px),
            interpolation=cv2.INTER_LINEAR,
        )
        strip = np.where(inside[None, :, None], strip, 0).astype(np.uint8)
        strip[:, inside] = np.rint(strip[:, inside] * 0.75).astype(np.uint8)
        level = np.interp(at_s, self._times_s, self._strengths, left=np.nan, right=np.nan)
        drawn = np.isfinite(level)
        line = np.column_stack([np.arange(width_px), (1 - 0.9 * level - 0.05) * (height_px - 1)])
        points = np.rint(16 * line[drawn]).astype(np.int32)
        for color, width in (((0, 0, 0), 4), ((255, 200, 80), 2)):
            cv2.polylines(
                strip, [points], False, color, max(1, width * height_px // 120), cv2.LINE_AA, 4
            )
        middle = width_px // 2
        cv2.line(strip, (middle, 0), (middle, height_px - 1), (255, 255, 255), 1, cv2.LINE_AA)
        return strip


def strip_height(height_px: int) -> int:
    """Gives the height of the strip under a picture, an even number."""
    return 2 * max(20, round(height_px * _STRIP / 2))
