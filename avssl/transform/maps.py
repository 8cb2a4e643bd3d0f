"""Pictures and the maps of labels on them, cut and scaled as one: whole pixels, one rectangle.

Shapes: frame uint8 [3, H, W], coded normals uint8 [3, H, W] (`avssl.labels.surfaces`: 128 is zero,
(0, 0, 0) unknown). Boxes are (left, top, width, height) in px.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]


def standing_box(*, picture_px: tuple[int, int], shown_px: tuple[int, int]) -> Rectangle:
    """Gives the largest rectangle of the form of `shown_px`, in the middle."""
    return drawn_box(picture_px=picture_px, shown_px=shown_px, share=1.0, place=(0.5, 0.5))


def drawn_box(
    *,
    picture_px: tuple[int, int],
    shown_px: tuple[int, int],
    share: float,
    place: tuple[float, float],
) -> Rectangle:
    """Gives a rectangle of the form of `shown_px` inside the picture.

    Args:
        picture_px: (width, height).
        shown_px: (width, height) that it is scaled to.
        share: its sides, as a share of the largest that fits.
        place: 0 to 1 from the left and from the top, within what is left over.
    """
    scale = share * min(picture_px[0] / shown_px[0], picture_px[1] / shown_px[1])
    width, height = (
        max(1, min(round(scale * shown), whole))
        for shown, whole in zip(shown_px, picture_px, strict=True)
    )
    left = round(place[0] * (picture_px[0] - width))
    top = round(place[1] * (picture_px[1] - height))
    return left, top, width, height


def cut(
    picture: Picture, box: Rectangle, *, shown_px: tuple[int, int], nearest: bool = False
) -> Picture:
    """Cuts the rectangle out and scales it, uint8 [3, height, width].

    Args:
        picture: uint8 [3, H, W].
        box: inside the picture.
        shown_px: (width, height) of the result.
        nearest: take the nearest pixel, as labels want it; else shrinking averages over areas.
    """
    left, top, width, height = box
    part = picture[:, top : top + height, left : left + width]
    if (width, height) == shown_px:
        return np.ascontiguousarray(part)
    method = cv2.INTER_AREA if shown_px[0] < width else cv2.INTER_LINEAR
    method = cv2.INTER_NEAREST_EXACT if nearest else method
    whole = np.ascontiguousarray(part.transpose(1, 2, 0))
    out = np.asarray(cv2.resize(whole, shown_px, interpolation=method), dtype=np.uint8)
    return np.ascontiguousarray(out.transpose(2, 0, 1))


def mirrored(picture: Picture) -> Picture:
    """Gives a picture mirrored left and right."""
    return np.ascontiguousarray(picture[..., ::-1])


def mirrored_normals(coded: Picture) -> Picture:
    """Gives coded normals mirrored left and right: their x changes sign, what is unknown stays."""
    out = mirrored(coded)
    known = out.any(axis=0)
    out[0] = np.where(known, 256 - out[0].astype(np.int16), 0).astype(np.uint8)
    return out
