"""Joints drawn into pictures, smoothly, on a dark rim."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray


def color_of(number: int, count: int) -> tuple[int, int, int]:
    """Gives RGB: colours spread evenly around the wheel."""
    red, green, blue = colorsys.hsv_to_rgb(number / max(count, 1), 0.85, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw_pose(
    frame: NDArray[np.uint8],
    joints: NDArray[np.floating],
    *,
    edges: Sequence[tuple[int, int]],
    min_confidence: float,
    white: bool = False,
) -> NDArray[np.uint8]:
    """Gives the frame, uint8 [H, W, 3], with lines and joints [K, 3] drawn in (x, y, confidence).

    Lines and dots are drawn smoothly, at a sixteenth of a pixel, on a dark rim, so that they stand
    out on any ground; colours tell joints apart, unless all are to be white and larger.
    """
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    size = min(picture.shape[:2])
    thick, radius = max(1, round(size / 160)), max(2, round(size / 110)) + 2 * white
    drawn = (joints[:, 2] >= min_confidence) & np.isfinite(joints[:, :2]).all(axis=1)
    # far outside of the picture cv2 overflows
    places = np.clip(joints[:, :2], -4 * size, 4 * max(picture.shape[:2]))
    fixed = np.rint(np.nan_to_num(places) * 16).astype(int)

    def line(one: int, other: int, color: tuple[int, int, int], width: int) -> None:
        ends = tuple(fixed[one].tolist()), tuple(fixed[other].tolist())
        cv2.line(picture, *ends, color, width, cv2.LINE_AA, shift=4)

    for rim in (True, False):
        for number, (one, other) in enumerate(edges):
            if drawn[one] and drawn[other]:
                color = (0, 0, 0) if rim else color_of(number, len(edges))
                line(one, other, color, thick + 2 * rim)
        for joint in np.flatnonzero(drawn):
            bright = (255, 255, 255) if white else color_of(int(joint), len(joints))
            color = (0, 0, 0) if rim else bright
            centre = tuple(fixed[joint].tolist())
            cv2.circle(picture, centre, (radius + rim) * 16, color, -1, cv2.LINE_AA, shift=4)
    return picture
