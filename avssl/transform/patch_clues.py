"""Cheap numbers about patches: what tells where one was without knowing what it shows.

For the probes of relative position, jigsaw and rotation. Shapes: patches uint8 [3, h, w] →
float64 [k].
"""

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""(down, right) of the eight places around one, row by row: Doersch's labels 0 to 7."""
SIDES = (1, 3, 4, 6)
"""Of `NEIGHBOURS`, those that share a side: above, left, right, below."""
# A bar is black, or nearly so after a change of brightness and contrast, and next to even. Wider
# limits (48 and 3) took the red of blue skies for one, in 24 of 700 pictures of the world.
_DARK_LEVELS, _FLAT_LEVELS = 24.0, 1.5
_FARTHEST_PX = 3.0
# Scaling may leave one line half bar, half picture; a picture begins well above black.
_BEHIND_LINES, _STEP_LEVELS = 2, 24.0
_CORNER_SHARE = 1 / 6


def across(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives how badly `other` goes on where `one` ends, for each of its eight places: [8].

    The mean difference of the lines that would face each other (of the corners, in diagonal
    places), both patches grey and of deviation 1.
    """
    first, second = _even(one), _even(other)
    found = []
    for down, right in NEIGHBOURS:
        lines = first[_edge(down, right)] - second[_edge(-down, -right)]
        found.append(float(np.abs(lines).mean()))
    return np.array(found)


def _edge(down: int, right: int) -> tuple[slice, slice]:
    """Gives the outermost pixels of a patch towards a place."""
    ends = {-1: slice(0, 1), 0: slice(None), 1: slice(-1, None)}
    return ends[down], ends[right]


def _even(patch: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = patch.mean(axis=0, dtype=np.float64)
    return (grey - grey.mean()) / max(float(grey.std()), 0.5)


def color_shifts(patch: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives how far red and blue lie beside green, px: red down, red right, blue down, right.

    Lenses bend colours apart, the more the farther from the middle, and always outwards or always
    inwards. Least squares on the slopes of green, with each channel at mean 0 and deviation 1.
    """
    values = patch.astype(np.float64)
    values = values - values.mean(axis=(1, 2), keepdims=True)
    values /= np.maximum(values.std(axis=(1, 2), keepdims=True), 0.5)
    red, green, blue = values
    down, right = np.gradient(green)
    slopes = np.stack([down.ravel(), right.ravel()])
    square = slopes @ slopes.T + 1e-3 * green.size * np.eye(2)
    found = [np.linalg.solve(square, slopes @ (green - other).ravel()) for other in (red, blue)]
    return np.clip(np.concatenate(found), -_FARTHEST_PX, _FARTHEST_PX)


def light(patch: NDArray[np.uint8], *, standardised: bool = False) -> NDArray[np.float64]:
    """Gives mean, deviation, and rise of grey from top to bottom and from left to right, [4].

    Args:
        patch: uint8 [3, h, w].
        standardised: of the patch brought to mean 0 and deviation 1, as some tasks do on the device
            (`avssl.model.patches.standardised`).
    """
    values = patch.astype(np.float64) / 255
    if standardised:
        deviation = max(float(values.std()), 0.5 / 255)
        values = (values - values.mean()) / deviation
    grey = values.mean(axis=0)
    rises = []
    for axis in (0, 1):
        line = grey.mean(axis=1 - axis)
        at = np.linspace(-0.5, 0.5, len(line))
        rises.append(float(at @ line / (at @ at)))
    return np.array([values.mean(), values.std(), *rises])


def bars(patch: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives the share of lines that belong to a dark even bar at the left, top, right, bottom.

    A line counts if one of its colours is dark and even: guards of colour fill the others.
    """
    values = patch.astype(np.float32)
    found = []
    for axis in (1, 2):  # along columns, then along rows
        flat = (values.std(axis=axis) < _FLAT_LEVELS) & (values.mean(axis=axis) < _DARK_LEVELS)
        lines = flat.any(axis=0)
        ends = [int(np.argmin(run)) if not run.all() else len(run) for run in (lines, lines[::-1])]
        found.append([end / len(lines) for end in ends])
    (left, right), (top, bottom) = found
    return np.array([left, top, right, bottom])


def letterbox(
    picture: NDArray[np.uint8],
    *,
    seen: NDArray[np.bool_] | None = None,
    dark_levels: float = _DARK_LEVELS,
) -> NDArray[np.float64]:
    """Gives the share of lines that belong to a bar at the left, top, right, bottom, [4].

    Stricter than `bars`: dark and even in all colours, less than half of the side, and the picture
    begins at once behind it. What is dark and fades in is a dark scene, and would tell what it
    shows.

    Args:
        picture: uint8 [C, h, w].
        seen: bool [h, w], what counts; lines of which less than an eighth is seen are no bar's.
            None: all.
        dark_levels: what is below may be a bar; more where contrast is changed more.
    """
    level = picture.max(axis=0).astype(np.float64)
    counted = np.ones(level.shape, dtype=bool) if seen is None else seen
    found = []
    for turned, kept in ((level.transpose(), counted.transpose()), (level, counted)):
        num = kept.sum(axis=1)
        mean = (turned * kept).sum(axis=1) / np.maximum(num, 1)
        spread = np.sqrt(
            (np.square(turned - mean[:, None]) * kept).sum(axis=1) / np.maximum(num, 1)
        )
        dark = (8 * num >= kept.shape[-1]) & (mean < dark_levels) & (spread < _FLAT_LEVELS)
        ends = []
        for order in (slice(None), slice(None, None, -1)):
            lines, far = dark[order], (mean + spread)[order]
            width = len(lines) if lines.all() else int(np.argmin(lines))
            behind = far[width : width + _BEHIND_LINES]
            black = mean[order][width - 1] if width else np.inf
            begins = 2 * width < len(lines) and behind.max() > black + _STEP_LEVELS
            ends.append(width / len(lines) if begins else 0.0)
        found.append(ends)
    (left, right), (top, bottom) = found
    return np.array([left, top, right, bottom])


def corner_marks(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives how far each corner's mean colour is from the picture's, and how much it varies, [8].

    Corners have a sixth of the side; upper left, upper right, lower left, lower right.
    """
    values = picture.astype(np.float64) / 255
    px = max(1, round(_CORNER_SHARE * values.shape[-1]))
    ends, mean = (slice(px), slice(-px, None)), values.mean(axis=(1, 2))
    parts = [values[:, rows, columns] for rows in ends for columns in ends]
    away = [float(np.abs(part.mean(axis=(1, 2)) - mean).max()) for part in parts]
    return np.array([*away, *(float(part.std()) for part in parts)])


def seams(picture: NDArray[np.uint8], *, period_px: int = 8) -> NDArray[np.float64]:
    """Gives how sharp columns, then rows are at each phase of a codec's grid, [2 · period_px].

    The mean size of second differences at the lines of each phase, in shares of their mean over all
    phases of that direction, less 1: 0 everywhere where there is no grid.
    """
    grey = picture.mean(axis=0, dtype=np.float64)
    found = []
    for axis in (1, 0):
        bend = np.abs(np.diff(grey, n=2, axis=axis)).mean(axis=1 - axis)
        at = np.arange(1, len(bend) + 1) % period_px
        number = np.bincount(at, minlength=period_px)
        mean = np.bincount(at, weights=bend, minlength=period_px) / np.maximum(number, 1)
        found.append(mean / max(float(mean.mean()), 1e-6) - 1)
    return np.concatenate(found)
