"""Following a patch through a run of frames: where it is at the end, and whether it was lost.

Wang and Gupta 2015 (papers.md §6.1) find moving points (SURF, trajectories), take the window with
most of them, leave out pictures in which too few move or too many (then the camera does), and
follow the window with KCF. Neither is in our OpenCV. Here points of an even lattice go along dense
DIS flow, checked backwards, and the window goes along with their median: the median flow tracker of
Kalal, Mikolajczyk, Matas, "Forward-Backward Error", ICPR 2010.

Shapes: T frames, H x W px.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.prepare.flow import quick_flow

_LATTICE_PX = 4
_MAX_ERROR_PX = 1.0
"""Forwards and backwards a point must come back to within this [ours]."""
_LEAST_KEPT = 0.25
"""Of the window's points must be left at the end [ours]."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A window at the first and at the last frame."""

    first: tuple[float, float]
    """(left, top) px."""
    last: tuple[float, float]
    moving_share: float
    """Share of the picture's points that move from the first frame to the second."""
    lost: bool
    """It left the picture, or too few points were left."""


def follow(grey: NDArray[np.uint8], *, patch_px: int, moving_px: float) -> Followed:
    """Follows the window in which most points move.

    Args:
        grey: uint8 [T, H, W], T at least 2.
        patch_px: side of the window.
        moving_px: a point moves if it goes farther than this from the first frame to the second.
    """
    flow = quick_flow()
    height, width = grey.shape[1:]
    edge = _LATTICE_PX // 2
    columns, rows = np.arange(edge, width, _LATTICE_PX), np.arange(edge, height, _LATTICE_PX)
    lattice = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float64)
    to, error = _step(flow, grey[0], grey[1], lattice.reshape(-1, 2))
    moved = np.linalg.norm(to - lattice.reshape(-1, 2), axis=1) > moving_px
    moving = (moved & (error < _MAX_ERROR_PX)).reshape(lattice.shape[:2])
    left, top = _busiest(moving, patch_px=patch_px, size=(height, width))
    inside = (
        (lattice[..., 0] >= left)
        & (lattice[..., 0] < left + patch_px)
        & (lattice[..., 1] >= top)
        & (lattice[..., 1] < top + patch_px)
    )
    points = lattice[inside & moving] if (inside & moving).any() else lattice[inside]
    num_points, box = len(points), np.array([left, top], dtype=np.float64)
    lost = False
    for one, two in itertools.pairwise(grey):
        to, error = _step(flow, one, two, points)
        kept = error < _MAX_ERROR_PX
        if kept.sum() < max(1.0, _LEAST_KEPT * num_points):
            lost = True
            break
        box += np.median((to - points)[kept], axis=0)
        points = to[kept]
    room = np.array([width - patch_px, height - patch_px], dtype=np.float64)
    lost = lost or bool((box < 0).any() or (box > room).any())
    end = np.clip(box, 0, room)
    return Followed(
        first=(float(left), float(top)),
        last=(float(end[0]), float(end[1])),
        moving_share=float(moving.mean()),
        lost=lost,
    )


def _step(
    flow: object, one: NDArray[np.uint8], two: NDArray[np.uint8], points: Floats
) -> tuple[Floats, Floats]:
    """Gives where points [P, 2] (x, y) go, and how far from home they come back, px."""
    to = points + _at(flow.calc(one, two, None), points)  # type: ignore[attr-defined]
    home = to + _at(flow.calc(two, one, None), to)  # type: ignore[attr-defined]
    return to, np.linalg.norm(home - points, axis=1)


def _at(field: NDArray[np.float32], points: Floats) -> Floats:
    """Reads a field [H, W, 2] between its pixels; beyond its edge it goes on as at the edge."""
    places = points.astype(np.float32).reshape(-1, 1, 2)
    read = cv2.remap(
        field, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return read.reshape(-1, 2).astype(np.float64)


def _busiest(moving: NDArray[np.bool_], *, patch_px: int, size: tuple[int, int]) -> tuple[int, int]:
    """Gives (left, top) of the window with most moving points; the middle where none moves."""
    height, width = size
    if not moving.any():
        return (width - patch_px) // 2, (height - patch_px) // 2
    count = max(1, patch_px // _LATTICE_PX)
    total = np.pad(moving.astype(np.int64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = (
        total[count:, count:] - total[:-count, count:] - total[count:, :-count]
        + total[:-count, :-count]
    )  # fmt: skip
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return (
        int(min(column * _LATTICE_PX, width - patch_px)),
        int(min(row * _LATTICE_PX, height - patch_px)),
    )
