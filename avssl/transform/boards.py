"""Boards of patches for people: what a network was shown, what it said, and what is true.

Shapes: pictures uint8 [H, W, 3]; patches uint8 [3, h, w].
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
RIGHT: Color = (60, 210, 90)
WRONG: Color = (240, 70, 60)
TRUTH: Color = (255, 255, 255)
EMPTY: Color = (48, 48, 48)


def enlarged(patch: NDArray[np.uint8], *, side_px: int) -> Picture:
    """Gives a patch as uint8 [side_px, side_px, 3], in whole pixels where it grows."""
    larger = side_px >= patch.shape[1]
    how = cv2.INTER_NEAREST if larger else cv2.INTER_AREA
    picture = cv2.resize(patch.transpose(1, 2, 0), (side_px, side_px), interpolation=how)
    return np.ascontiguousarray(picture, dtype=np.uint8)


def framed(picture: Picture, color: Color, *, width_px: int = 3, inset_px: int = 0) -> Picture:
    """Gives the picture with a frame drawn inside it."""
    out = np.ascontiguousarray(picture).copy()
    low, high = inset_px, out.shape[0] - 1 - inset_px
    for k in range(width_px):
        cv2.rectangle(out, (low + k, low + k), (high - k, high - k), color, 1)
    return out


def board(cells: Sequence[Picture | None], *, num_columns: int, gap_px: int = 3) -> Picture:
    """Lays cells of one size out row by row; None is left empty."""
    side_px = next(cell.shape[0] for cell in cells if cell is not None)
    empty = np.full((side_px, side_px, 3), EMPTY, np.uint8)
    shown = [empty if cell is None else cell for cell in cells]
    num_rows = -(-len(shown) // num_columns)
    step = side_px + gap_px
    size = (num_rows * step - gap_px, num_columns * step - gap_px, 3)
    out = np.full(size, 16, np.uint8)
    for number, cell in enumerate(shown):
        top, left = step * (number // num_columns), step * (number % num_columns)
        out[top : top + side_px, left : left + side_px] = cell
    return out


def headed(picture: Picture, words: str, *, color: Color = TRUTH, height_px: int = 14) -> Picture:
    """Puts a line of words above a picture."""
    line = np.full((height_px, picture.shape[1], 3), 16, np.uint8)
    at = (2, height_px - 4)
    cv2.putText(line, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, color, 1, cv2.LINE_AA)
    return np.concatenate([line, picture])


def beside(pictures: Sequence[Picture], *, gap_px: int = 8) -> Picture:
    """Puts pictures of one height side by side."""
    gap = np.full((pictures[0].shape[0], gap_px, 3), 16, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


def arrow(picture: Picture, direction: tuple[int, int], color: Color, *, width_px: int) -> Picture:
    """Draws an arrow from the middle towards (down, right), on a dark rim."""
    out = np.ascontiguousarray(picture).copy()
    height, width = out.shape[:2]
    middle = (width // 2, height // 2)
    end = (middle[0] + direction[1] * width * 3 // 8, middle[1] + direction[0] * height * 3 // 8)
    for ink, wide in (((0, 0, 0), width_px + 2), (color, width_px)):
        cv2.arrowedLine(out, middle, end, ink, wide, cv2.LINE_AA, tipLength=0.3)
    return out
