"""Pictures of walks and of tracks, for people."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avssl.transform.drawing import color_of

Picture = NDArray[np.uint8]
_GAP_PX = 24
_SIDE_PX = 200
_NUM_WALKS = 7
_HOME, _ASTRAY = (60, 220, 60), (235, 60, 60)


def _scaled(picture: Picture, side_px: int) -> Picture:
    """Takes [3, h, w] to [side, side, 3]."""
    whole = np.ascontiguousarray(picture.transpose(1, 2, 0))
    return cv2.resize(whole, (side_px, side_px), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _panel(shown: Picture, grid: int) -> Picture:
    """Draws a frame: uint8 [3, S, S] as it is, patches [N, 3, p, p] side by side."""
    if shown.ndim == 3:
        return _scaled(shown, _SIDE_PX)
    cell = _SIDE_PX // grid
    panel = np.full((_SIDE_PX, _SIDE_PX, 3), 32, dtype=np.uint8)
    for number, patch in enumerate(shown):
        row, column = divmod(number, grid)
        tile = _scaled(patch, cell - 2)
        panel[row * cell : row * cell + cell - 2, column * cell : column * cell + cell - 2] = tile
    return panel


def draw_walks(shown: Tensor, there: Tensor, ends: Tensor, *, grid: int) -> list[Picture]:
    """Draws first frame, last frame and first frame again, and a few walks over them.

    Args:
        shown: uint8 [B, T, N, 3, p, p] or [B, T, 3, S, S].
        there: [B, N, N], chances to be at a node of the last frame.
        ends: [B, N, N], chances to be back at a node of the first.
        grid: nodes along each side.
    """
    drawn = []
    for number in range(len(shown)):
        first, last = (shown[number, at].cpu().numpy() for at in (0, -1))
        panels = [_panel(first, grid), _panel(last, grid), _panel(first, grid)]
        gap = np.full((_SIDE_PX, _GAP_PX, 3), 255, dtype=np.uint8)
        picture = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
        picture = np.ascontiguousarray(picture)
        middle = there[number].argmax(dim=1).tolist()
        end = ends[number].argmax(dim=1).tolist()
        chosen = np.linspace(0, grid * grid - 1, min(_NUM_WALKS, grid * grid)).round().astype(int)
        for count, node in enumerate(chosen.tolist()):
            places = [node, middle[node], end[node]]
            # A few pixels up or down for each walk: those of one row would lie on one another.
            shift = round((count - len(chosen) / 2) * _SIDE_PX / grid / (2 * len(chosen)))
            points = [_centre(at, panel, grid, shift) for panel, at in enumerate(places)]
            way = color_of(count, len(chosen))
            for one, two in itertools.pairwise(points):
                cv2.arrowedLine(picture, one, two, (0, 0, 0), 4, cv2.LINE_AA, tipLength=0.04)
                cv2.arrowedLine(picture, one, two, way, 2, cv2.LINE_AA, tipLength=0.04)
            cv2.circle(picture, _centre(node, 2, grid, shift), 8, (255, 255, 255), 2, cv2.LINE_AA)
            cv2.circle(picture, points[0], 5, way, -1, cv2.LINE_AA)
            home = _HOME if end[node] == node else _ASTRAY
            cv2.circle(picture, points[2], 5, home, -1, cv2.LINE_AA)
        drawn.append(picture)
    return drawn


def _centre(node: int, panel: int, grid: int, shift_px: int) -> tuple[int, int]:
    row, column = divmod(node, grid)
    cell = _SIDE_PX / grid
    left = panel * (_SIDE_PX + _GAP_PX)
    return round(left + (column + 0.5) * cell), round((row + 0.5) * cell) + shift_px


def draw_ranking(patches: Tensor, first: Tensor, last: Tensor) -> list[Picture]:
    """Draws a track's first patch, its last, and the three of the batch that are taken for it.

    The right one is framed in green, wrong ones in red, in the order of the network's choice.

    Args:
        patches: uint8 [B, 2, 3, p, p].
        first: [B, D], vectors of the first patches.
        last: [B, D], vectors of the last.
    """
    near = functional.normalize(first.float(), dim=1) @ functional.normalize(last.float(), dim=1).T
    side, drawn = 112, []
    for number, row in enumerate(near):
        order: Sequence[int] = row.argsort(descending=True)[:3].tolist()
        tiles = [_framed(patches[number, at], side, (255, 255, 255)) for at in (0, 1)]
        tiles.append(np.full((side, _GAP_PX, 3), 255, dtype=np.uint8))
        tiles += [_framed(patches[at, 1], side, _HOME if at == number else _ASTRAY) for at in order]
        drawn.append(np.concatenate(tiles, axis=1))
    return drawn


def _framed(patch: Tensor, side_px: int, color: tuple[int, int, int]) -> Picture:
    tile = np.empty((side_px, side_px, 3), dtype=np.uint8)
    tile[:] = np.array(color, dtype=np.uint8)
    tile[4:-4, 4:-4] = _scaled(patch.cpu().numpy(), side_px - 8)
    return tile
