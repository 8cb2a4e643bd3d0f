"""Pictures set side by side with a line of words above each, for evaluators' PNGs."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.files import write_bytes

Tile = NDArray[np.uint8]
_GAP_PX, _LINE_PX = 4, 22


def tiled(rows: Sequence[Sequence[Tile]], titles: Sequence[str], *, grow: int = 1) -> Tile:
    """Gives one picture, uint8 [H, W, 3], on white.

    Args:
        rows: pictures uint8 [h, w, 3], all of one size, as many in each row as there are titles.
        titles: of the columns; cut off where they are too long.
        grow: pixels are repeated so many times.
    """
    height, width = (grow * side for side in rows[0][0].shape[:2])
    whole_height = _LINE_PX + len(rows) * (height + _GAP_PX)
    page = np.full((whole_height, len(titles) * (width + _GAP_PX), 3), 255, dtype=np.uint8)
    for column, title in enumerate(titles):
        left = column * (width + _GAP_PX)
        words = title[: max(3, width // 9)]
        cv2.putText(
            page, words, (left + 2, _LINE_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1,
            cv2.LINE_AA,
        )  # fmt: skip
        for number, row in enumerate(rows):
            top = _LINE_PX + number * (height + _GAP_PX)
            large = row[column].repeat(grow, axis=0).repeat(grow, axis=1)
            page[top : top + height, left : left + width] = large
    return page


def write_png(path: Path, picture: Tile) -> None:
    """Writes RGB uint8 [H, W, 3], all or nothing."""
    whole = np.ascontiguousarray(picture[..., ::-1])
    write_bytes(path, cv2.imencode(".png", whole)[1].tobytes())
