"""Whole pictures on a canvas of fixed size, and boxes that move with them.

Boxes are measured from the picture's corner (x0, y0, x1, y1), so scaling is a factor and no more.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 114
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where on a canvas a picture stands."""

    picture_px: tuple[int, int]
    """Width and height of the picture."""
    canvas_px: tuple[int, int]
    shown_px: tuple[int, int]
    """Width and height of the picture on the canvas."""
    left: int = 0
    top: int = 0
    flip: bool = False
    """The canvas is mirrored left and right at the end."""

    def boxes(self, boxes: Floats) -> Floats:
        """Moves boxes [n, 4] from the picture to the canvas."""
        scale = np.array(self.shown_px) / np.array(self.picture_px)
        out = boxes.reshape(-1, 2, 2) * scale + np.array([self.left, self.top])
        if self.flip:
            out[..., 0] = self.canvas_px[0] - out[:, ::-1, 0]
        return out.reshape(-1, 4)

    def picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Gives the canvas with the picture uint8 [3, H, W] on it; grey around it."""
        width, height = self.shown_px
        method = cv2.INTER_AREA if width < self.picture_px[0] else cv2.INTER_LINEAR
        whole = np.ascontiguousarray(picture.transpose(1, 2, 0))
        if self.shown_px != self.picture_px:
            whole = np.asarray(cv2.resize(whole, self.shown_px, interpolation=method))
        out = np.full((3, self.canvas_px[1], self.canvas_px[0]), GREY, dtype=np.uint8)
        down, right = slice(self.top, self.top + height), slice(self.left, self.left + width)
        out[:, down, right] = whole.transpose(2, 0, 1)
        return np.ascontiguousarray(out[..., ::-1]) if self.flip else out


def placed(
    *,
    picture_px: tuple[int, int],
    canvas_px: tuple[int, int],
    share: float = 1.0,
    where: tuple[float, float] = (0.0, 0.0),
    flip: bool = False,
) -> Place:
    """Fits a picture into a canvas; both are (width, height).

    Args:
        picture_px: its size.
        canvas_px: the canvas's.
        share: the picture's size, of the largest that fits.
        where: 0 to 1 of what is left over, to its left and above it.
        flip: mirrored.
    """
    scale = share * min(canvas_px[0] / picture_px[0], canvas_px[1] / picture_px[1])
    width, height = (
        max(1, min(round(scale * own), whole))
        for own, whole in zip(picture_px, canvas_px, strict=True)
    )
    return Place(
        picture_px=picture_px,
        canvas_px=canvas_px,
        shown_px=(width, height),
        left=round(where[0] * (canvas_px[0] - width)),
        top=round(where[1] * (canvas_px[1] - height)),
        flip=flip,
    )
