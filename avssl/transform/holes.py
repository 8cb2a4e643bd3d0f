"""Holes in pictures: a square in the middle, or regions of no fixed shape or place.

Random regions are those of context encoders (Pathak and others, CVPR 2016; papers.md §5.1): one
large pattern, the same for ever, of which each picture gets a window. Coarse noise is enlarged
smoothly, and where it is lowest is the hole:

    noise, 600 x 600 cells → window of a picture's size → cubic → lowest quarter of its pixels

The released code keeps windows of which 20 to 30 % lie below ¼; here it is a quarter of every
picture, so that no picture is harder by its hole's size.

Shapes: holes uint8 [H, W], 1 inside.
"""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

Hole = NDArray[np.uint8]
CELL_SHARE = 0.06**-1 / 128
"""Side of a cell of the noise as a share of the picture's: 0.06 cells a pixel at 128 px."""
_NUM_CELLS = 600
_PATTERN_SEED = 128


def centre_hole(size_px: int, *, inner_px: int) -> Hole:
    """Gives the square of `inner_px` in the middle of a picture of `size_px`."""
    hole = np.zeros((size_px, size_px), dtype=np.uint8)
    first = (size_px - inner_px) // 2
    hole[first : first + inner_px, first : first + inner_px] = 1
    return hole


def draw_regions(
    size_px: int,
    rng: np.random.Generator,
    *,
    share: float = 0.25,
    cell_share: float = CELL_SHARE,
) -> Hole:
    """Draws a window of the pattern, uint8 [size_px, size_px].

    Args:
        size_px: side of the picture.
        rng: two values are drawn.
        share: of the pixels that lie in the hole, rounded to whole pixels.
        cell_share: side of the noise's cells, as a share of the picture's.
    """
    num_cells = int(np.ceil(1 / cell_share)) + 3
    cell_px = cell_share * size_px
    top, left = rng.random(2) * (_NUM_CELLS - num_cells)
    first_row, first_column = int(top), int(left)
    cells = _pattern()[first_row : first_row + num_cells, first_column : first_column + num_cells]
    # Cell centres around each pixel's, one whole cell in from the window's rim.
    steps = (np.arange(size_px, dtype=np.float32) + 0.5) / cell_px + 0.5
    rows, columns = steps + (top - first_row), steps + (left - first_column)
    noise = cv2.remap(
        cells,
        np.broadcast_to(columns[None], (size_px, size_px)).astype(np.float32),
        np.broadcast_to(rows[:, None], (size_px, size_px)).astype(np.float32),
        interpolation=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    num_inside = round(share * size_px**2)
    hole = np.zeros(size_px**2, dtype=np.uint8)
    hole[np.argsort(noise, axis=None, kind="stable")[:num_inside]] = 1
    return hole.reshape(size_px, size_px)


def grown(hole: Hole, by_px: int) -> Hole:
    """Gives the hole with everything up to `by_px` rows and columns away from it."""
    if not by_px:
        return hole
    return cv2.dilate(hole, np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8))  # type: ignore[return-value]


@functools.lru_cache(maxsize=1)
def _pattern() -> NDArray[np.float32]:
    rng = np.random.default_rng(_PATTERN_SEED)
    return rng.random((_NUM_CELLS, _NUM_CELLS), dtype=np.float32)
