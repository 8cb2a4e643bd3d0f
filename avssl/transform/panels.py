"""Pictures side by side with a word over each, for what a task shows of its samples."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_GAP_PX = 4
_HEAD_PX = 18
_PAPER, _INK = 255, (20, 20, 20)


def enlarged(picture: NDArray[np.uint8], *, height_px: int) -> NDArray[np.uint8]:
    """Gives [3, H, W] as [H', W', 3], enlarged by a whole number to `height_px` or more."""
    times = max(1, -(-height_px // picture.shape[1]))
    turned = np.ascontiguousarray(picture.transpose(1, 2, 0))
    return turned.repeat(times, axis=0).repeat(times, axis=1)


def framed(picture: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Gives [H, W, 3] with its outermost 3 px in one colour."""
    out = picture.copy()
    cv2.rectangle(out, (1, 1), (out.shape[1] - 2, out.shape[0] - 2), color, 3)
    return out


def panel(pictures: Sequence[NDArray[np.uint8]], words: Sequence[str]) -> NDArray[np.uint8]:
    """Puts pictures [H, W, 3] of one height side by side, each under its word: [H', W', 3]."""
    columns: list[NDArray[np.uint8]] = []
    for picture, word in zip(pictures, words, strict=True):
        head = np.full((_HEAD_PX, picture.shape[1], 3), _PAPER, dtype=np.uint8)
        cv2.putText(
            head, word, (2, _HEAD_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA
        )
        whole = np.concatenate([head, picture])
        gap = np.full((len(whole), _GAP_PX, 3), _PAPER, dtype=np.uint8)
        columns += [whole, gap]
    return np.concatenate(columns[:-1], axis=1)
