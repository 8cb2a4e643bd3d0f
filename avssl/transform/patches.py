"""Patches of a picture: where they lie, and what keeps colour from telling where they were.

A picture of 9 patches of 3 x 3 cells, each patch somewhere in its cell:

    ┌──────┬──────┬──────┐   cell 85, patch 64: 21 px of room in each direction, so two neighbours
    │ ┌──┐ │┌──┐  │ ┌──┐ │   are 0 to 42 px apart and no line simply goes on
    │ └──┘ │└──┘  │ └──┘ │
"""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
# Doersch 2015, "color projection": green against magenta, where lenses bend colours apart.
_GREEN_MAGENTA = np.array([-1.0, 2.0, -1.0])


def draw_corners(
    *, size_px: int, num_cells: int, patch_px: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draws the upper left corner of one patch in every cell, int64 [num_cells², 2] (top, left).

    Args:
        size_px: side of the picture; what its cells leave over is spread around them.
        num_cells: along each side.
        patch_px: side of a patch, at most that of a cell.
        rng: 2 · num_cells² values are drawn.
    """
    cell_px = size_px // num_cells
    if not 1 <= patch_px <= cell_px:
        raise ValueError(f"patch_px {patch_px}: must be from 1 to the cell's {cell_px}")
    first = (size_px - num_cells * cell_px) // 2
    corners = first + cell_px * np.indices((num_cells, num_cells)).reshape(2, -1).T
    return corners + rng.integers(0, cell_px - patch_px + 1, size=corners.shape)


def cut(picture: Picture, corners: NDArray[np.int64], *, patch_px: int) -> Picture:
    """Cuts patches out of uint8 [3, H, W]: uint8 [num_corners, 3, patch_px, patch_px]."""
    return np.stack(
        [picture[:, top : top + patch_px, left : left + patch_px] for top, left in corners]
    )


def cut_tiles(
    picture: Picture,
    *,
    num_cells: int,
    patch_px: int,
    rng: np.random.Generator,
    channel_jitter_px: int = 0,
) -> Picture:
    """Cuts one patch out of every cell, row by row: uint8 [num_cells², 3, patch_px, patch_px].

    Args:
        picture: uint8 [3, S, S].
        num_cells: along each side.
        patch_px: side of a patch, at most that of a cell.
        rng: 8 · num_cells² values are drawn.
        channel_jitter_px: each colour of each patch is moved by up to ± this along each axis, as
            far as the picture reaches, so that lenses' colours tell nothing (jigsaw).
    """
    size_px = picture.shape[1]
    corners = draw_corners(size_px=size_px, num_cells=num_cells, patch_px=patch_px, rng=rng)
    moves = rng.integers(-channel_jitter_px, channel_jitter_px + 1, size=(len(corners), 3, 2))
    if not channel_jitter_px:
        return cut(picture, corners, patch_px=patch_px)
    starts = np.clip(corners[:, None] + moves, 0, size_px - patch_px)
    out = np.empty((len(corners), 3, patch_px, patch_px), dtype=np.uint8)
    for tile, channels in zip(out, starts, strict=True):
        for channel, (top, left) in enumerate(channels):
            tile[channel] = picture[channel, top : top + patch_px, left : left + patch_px]
    return out


def keep_one_channel(patches: Picture, rng: np.random.Generator, *, noise: float = 0.5) -> Picture:
    """Leaves each patch one channel, drawn at random; the other two become noise.

    Doersch 2015, "color dropping" (papers.md §5.1), so that nothing is told by where two channels
    differ. Their noise is ± half a level of 255, next to nothing; ours goes with the patch.

    Args:
        patches: uint8 [K, 3, P, P].
        rng: 1 + 3 P² values are drawn for each patch.
        noise: even, ± this share of the kept channel's deviation, around its mean; 0: its mean.
    """
    out = np.empty_like(patches)
    for number, patch in enumerate(patches):
        kept = int(rng.integers(3))
        values = patch[kept].astype(np.float64)
        drawn = 2 * rng.random(patch.shape) - 1
        filled = values.mean() + noise * values.std() * drawn
        filled[kept] = values
        out[number] = np.clip(np.rint(filled), 0, 255)
    return out


def project_color(patches: Picture) -> Picture:
    """Takes the green-magenta part out of every colour: B = I − aᵀa / (a aᵀ), a = [−1, 2, −1].

    Doersch 2015, "projection" (papers.md §5.1).
    """
    a = _GREEN_MAGENTA
    keep = np.eye(3) - np.outer(a, a) / (a @ a)
    mixed = np.einsum("ij,njhw->nihw", keep, patches.astype(np.float64))
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
