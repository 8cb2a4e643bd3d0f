"""Few colours: ab of Lab on a coarse grid, and the nearest of a palette fitted to the data.

Lab is that of CIE 1976 under D65: L 0–100, a and b about ± 100.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.transform.frames import crop_resize

Palette = Sequence[tuple[float, float]]


def lab_of(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Takes RGB uint8 [T, 3, H, W] to Lab float32 [T, 3, H, W]."""
    found = [
        cv2.cvtColor(
            np.ascontiguousarray(frame.transpose(1, 2, 0), dtype=np.float32) / np.float32(255),
            cv2.COLOR_RGB2Lab,
        )
        for frame in frames
    ]
    return np.stack(found).transpose(0, 3, 1, 2).astype(np.float32, copy=False)


def light_of(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives L of RGB uint8 [T, 3, H, W] as uint8 [T, 1, H, W], 255 for L = 100."""
    return np.rint(np.clip(lab_of(frames)[:, :1] * 2.55, 0, 255)).astype(np.uint8)


def coarse_ab(frames: NDArray[np.uint8], *, answer_px: int) -> NDArray[np.float32]:
    """Gives ab of squares uint8 [T, 3, S, S] on a grid, means over areas: [T, 2, a, a]."""
    side = float(frames.shape[2])
    return lab_of(crop_resize(frames, (0.0, 0.0, side), size_px=answer_px))[:, 1:]


def nearest(ab: NDArray[np.floating], palette: Palette) -> NDArray[np.uint8]:
    """Takes ab [T, 2, h, w] to the number of the nearest colour, uint8 [T, h, w]."""
    colors = np.asarray(palette, dtype=np.float64)
    squares = ((ab[:, None] - colors[None, :, :, None, None]) ** 2).sum(axis=2)
    return squares.argmin(axis=1).astype(np.uint8)


def even_palette(num_colors: int) -> tuple[tuple[float, float], ...]:
    """Gives colours on a square lattice of a and b, ± 45: where no data has been seen."""
    side = int(np.ceil(np.sqrt(num_colors)))
    steps = np.linspace(-45, 45, side) if side > 1 else np.zeros(1)
    return tuple((float(a), float(b)) for a in steps for b in steps)[:num_colors]


def fit_palette(
    catalog: Catalog, *, num_colors: int, answer_px: int, num_clips: int = 300
) -> tuple[tuple[float, float], ...]:
    """Gives the k-means centres of the data set's colours, in order of a and b.

    One frame each of training clips (all clips where there are none), spread evenly over data set
    and clip; the same data gives the same palette.

    Args:
        catalog: of the data set, with its files.
        num_colors: K.
        answer_px: colours are those of a grid of this side, as in the task.
        num_clips: at most so many are read.
    """
    from sklearn.cluster import KMeans

    from avssl.decode.fetch import Fetcher

    chosen = catalog.select(split="train", keep=lambda row: row.num_frames > 0)
    if not len(chosen):
        chosen = catalog.select(keep=lambda row: row.num_frames > 0)
    if not len(chosen):
        return even_palette(num_colors)
    fetcher, found = Fetcher(catalog.directory), []
    count = min(num_clips, len(chosen))
    for number in range(count):
        row = chosen.row(number * len(chosen) // count)
        at = int((number * 0.618 % 1) * row.num_frames)  # the golden ratio: spread, not in step
        frames = fetcher.frames(row, (float(row.frame_times_s[at]),)).frames
        assert frames is not None
        side = min(frames.shape[2:])
        top, left = ((length - side) // 2 for length in frames.shape[2:])
        square = np.ascontiguousarray(frames[:, :, top : top + side, left : left + side])
        found.append(coarse_ab(square, answer_px=answer_px)[0].reshape(2, -1).T)
    fetcher.close()
    points = np.concatenate(found).astype(np.float64)
    distinct = len(np.unique(np.round(points, 3), axis=0))
    if distinct < num_colors:  # such as grey films
        return even_palette(num_colors)
    settings: dict[str, Any] = {"n_init": 3, "random_state": 0}
    means = KMeans(num_colors, **settings)
    centres = np.round(means.fit(points).cluster_centers_, 1)  # rounded: the same on all machines
    return tuple(sorted((float(a), float(b)) for a, b in centres))


def painted(light: NDArray[np.uint8], ab: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Gives RGB uint8 [H, W, 3] of light uint8 [H, W] and colours [2, h, w], enlarged to it."""
    large = [
        cv2.resize(
            np.ascontiguousarray(plane, dtype=np.float32),
            light.shape[::-1],
            interpolation=cv2.INTER_NEAREST,
        )
        for plane in ab
    ]
    lab = np.stack([light.astype(np.float32) / 2.55, *large], axis=2)
    rgb = cv2.cvtColor(np.ascontiguousarray(lab, dtype=np.float32), cv2.COLOR_Lab2RGB)
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
