"""Boxes drawn into pictures, with a word above each."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.transform.drawing import color_of


def draw_boxes(
    picture: NDArray[np.uint8],
    boxes: NDArray[np.floating],
    *,
    classes: Sequence[int],
    words: Sequence[str],
    num_classes: int,
    grow: int = 3,
) -> NDArray[np.uint8]:
    """Gives a picture uint8 [3, H, W] as [grow · H, grow · W, 3] with boxes [n, 4] drawn in.

    Args:
        picture: as the network sees it.
        boxes: in its px.
        classes: of each box, for its colour.
        words: above each box.
        num_classes: how many colours there are.
        grow: how much larger the result is.
    """
    large = picture.transpose(1, 2, 0).repeat(grow, axis=0).repeat(grow, axis=1)
    large = np.ascontiguousarray(large)
    for box, number, word in zip(boxes, classes, words, strict=True):
        color = color_of(int(number), num_classes)
        x0, y0, x1, y1 = (round(float(value) * grow) for value in box)
        for shade, thick in (((0, 0, 0), 4), (color, 2)):
            cv2.rectangle(large, (x0, y0), (x1 - 1, y1 - 1), shade, thick)
        foot = (x0 + 3, y0 - 5 if y0 > 16 else y0 + 14)
        for shade, thick in (((0, 0, 0), 3), (color, 1)):
            cv2.putText(
                large, word, foot, cv2.FONT_HERSHEY_SIMPLEX, 0.42, shade, thick, cv2.LINE_AA
            )
    return large
