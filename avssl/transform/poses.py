"""Views of a person: which part of a picture is shown, turned and mirrored, and where joints go.

Pixels count from 0 and a whole number is the centre of a pixel. A view is one affine map from the
pixels of the picture to those of the crop, so that joints move exactly as the pixels do:

    crop px = matrix · (x, y, 1)          picture px = inverse · (u, v, 1)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class View:
    """A part of the picture, shown as `size_px` × `size_px` pixels."""

    centre_px: tuple[float, float]
    """Its middle in the picture."""
    sides_px: tuple[float, float]
    """Its width and height in the picture (before turning); unequal ones are squeezed."""
    size_px: int
    """Side of the crop."""
    angle_deg: float = 0.0
    """Turn of the content, clockwise as seen."""
    flip: bool = False
    """Mirrored left and right, after the turn."""

    def matrix(self) -> Floats:
        """Gives picture px → crop px, float64 [2, 3]."""
        angle = np.deg2rad(self.angle_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = turn * (self.size_px / np.asarray(self.sides_px, dtype=np.float64)[:, None])
        if self.flip:
            turn[0] = -turn[0]
        middle = (self.size_px - 1) / 2
        shift = middle - turn @ np.asarray(self.centre_px, dtype=np.float64)
        return np.column_stack([turn, shift]).astype(np.float64)


def inverse(matrix: Floats) -> Floats:
    """Gives the map back, float64 [2, 3]."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]]).astype(np.float64)


def move(points: Floats, matrix: Floats) -> Floats:
    """Moves [..., 2] points; NaN stays NaN."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float64)


def swapped(values: NDArray, pairs: Sequence[tuple[int, int]]) -> NDArray:
    """Gives [K, ...] with the rows of each pair exchanged: what a mirror does to left and right."""
    order = np.arange(len(values))
    for one, other in pairs:
        order[[one, other]] = order[[other, one]]
    return values[order]


def show(frame: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Gives the view of a picture, uint8 [3, size_px, size_px]; grey where the picture ends.

    A picture that is shrunk to less than half is first averaged by whole numbers of pixels: the map
    itself only mixes four neighbours, and fine patterns would turn into others.

    Args:
        frame: uint8 [3, H, W].
        view: what to show.
    """
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    matrix = view.matrix()
    factor = int(min(view.sides_px) / view.size_px)
    if factor >= 2:
        height, width = picture.shape[0] // factor, picture.shape[1] // factor
        if height and width:
            whole = picture[: height * factor, : width * factor]
            picture = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            # pixel i of the smaller picture is centred on factor · i + (factor − 1) / 2
            grow = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]])
            matrix = np.column_stack(
                [matrix[:, :2] @ grow[:, :2], matrix[:, :2] @ grow[:, 2] + matrix[:, 2]]
            )
    out = cv2.warpAffine(
        picture,
        matrix,
        (view.size_px, view.size_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(114, 114, 114),
    )
    return np.ascontiguousarray(np.asarray(out, dtype=np.uint8).transpose(2, 0, 1))


def box_around(joints: Floats) -> tuple[float, float, float, float] | None:
    """Gives x0, y0, x1, y1 around the labelled joints, or None where there are none."""
    known = joints[np.isfinite(joints).all(axis=-1)]
    if not len(known):
        return None
    (x0, y0), (x1, y1) = known.min(0), known.max(0)
    return float(x0), float(y0), float(x1), float(y1)
