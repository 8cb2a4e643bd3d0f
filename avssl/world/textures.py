"""Procedural textures: small tileable patterns for clothes and things, large lit walls and floors.

All colours are linear RGB in 0…1, float32.
"""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Colour = tuple[float, float, float]
PATTERNS = ("plain", "stripes", "bands", "checks", "dots", "tartan", "speckle", "zigzag", "weave")
TILE_PX = 64


def colour_of(hue: float, saturation: float, value: float) -> Colour:
    """Gives the linear RGB of a hue (0…1, cyclic), saturation and value as seen on a screen."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (red**2.2, green**2.2, blue**2.2)


@functools.cache
def pattern_tiles() -> Singles:
    """Gives the share of the second colour, float32 [num_patterns, TILE_PX, TILE_PX]."""
    v, u = np.mgrid[0:TILE_PX, 0:TILE_PX] / TILE_PX
    rng = np.random.default_rng(7)
    speckle = cv2.GaussianBlur(
        rng.standard_normal((TILE_PX, TILE_PX)), (0, 0), 1.6, borderType=cv2.BORDER_REFLECT
    )
    wave = np.abs((u * 4) % 1.0 - 0.5) * 2
    tiles = [
        np.zeros_like(u),
        (u * 4) % 1.0 < 0.5,
        (v * 3) % 1.0 < 0.4,
        ((u * 4) % 1.0 < 0.5) ^ ((v * 4) % 1.0 < 0.5),
        ((u * 4) % 1.0 - 0.5) ** 2 + ((v * 4) % 1.0 - 0.5) ** 2 < 0.075,
        0.5 * ((u * 3) % 1.0 < 0.4) + 0.5 * ((v * 3) % 1.0 < 0.4),
        np.clip(0.5 + 3 * speckle / speckle.std() / 4, 0, 1),
        ((v * 3 + 0.5 * wave) % 1.0) < 0.45,
        0.35 * (((u * 16) % 1.0 < 0.5) ^ ((v * 16) % 1.0 < 0.5)),
    ]
    return np.stack([np.asarray(tile, dtype=np.float32) for tile in tiles])


def noise(
    rng: np.random.Generator, *, height_px: int, width_px: int, cell_px: float, octaves: int = 4
) -> Singles:
    """Gives smooth noise [h, w] of mean 0 and standard deviation 1, coarsest cell `cell_px`."""
    total = np.zeros((height_px, width_px), dtype=np.float32)
    for octave in range(octaves):
        size = cell_px / 2**octave
        grid = rng.standard_normal(
            (int(height_px / size) + 3, int(width_px / size) + 3), dtype=np.float32
        )
        large = cv2.resize(grid, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
        total += large * 0.55**octave
    return (total - total.mean()) / (total.std() + 1e-6)


def _mix(first: Colour, second: Colour, share: NDArray[np.floating]) -> Singles:
    weight = np.asarray(share, dtype=np.float32)[..., None]
    start, end = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(start * (1 - weight) + end * weight, np.float32)


def _planks(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    plank = max(int(rng.uniform(0.1, 0.22) * px_per_m), 3)
    grain = noise(rng, height_px=height, width_px=max(width // 8, 4), cell_px=plank / 2)
    grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    rows = np.arange(height) // plank
    tone = rng.normal(0, 0.22, rows.max() + 1)[rows][:, None]
    texture = _mix(a, b, np.clip(0.45 + 0.2 * grain + tone, 0, 1))
    texture[np.arange(height) % plank == 0] *= 0.45
    for row in range(rows.max() + 1):
        for at in np.arange(rng.uniform(0, 1.5), width / px_per_m, rng.uniform(1.2, 2.2)):
            x = int(at * px_per_m)
            texture[row * plank : (row + 1) * plank, x : x + 1] *= 0.5
    return texture


def _bricks(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    tall, wide = max(int(0.09 * px_per_m), 4), max(int(0.26 * px_per_m), 8)
    v, u = np.mgrid[0:height, 0:width]
    row = v // tall
    shifted = u + (row % 2) * (wide // 2)
    column = shifted // wide
    tone = rng.random((row.max() + 1, column.max() + 1), dtype=np.float32)[row, column]
    rough = noise(rng, height_px=height, width_px=width, cell_px=tall)
    texture = _mix(a, b, np.clip(tone + 0.12 * rough, 0, 1))
    gap = (v % tall < max(tall // 7, 1)) | (shifted % wide < max(tall // 7, 1))
    texture[gap] = np.array([0.5, 0.48, 0.45]) * rng.uniform(0.5, 1.0)
    return texture


def _tiles(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    size = max(int(rng.uniform(0.25, 0.6) * px_per_m), 6)
    v, u = np.mgrid[0:height, 0:width]
    chess = ((u // size + v // size) % 2).astype(np.float32)
    rough = noise(rng, height_px=height, width_px=width, cell_px=size)
    texture = _mix(a, b, np.clip(chess * rng.uniform(0.25, 1.0) + 0.06 * rough, 0, 1))
    texture[(u % size == 0) | (v % size == 0)] *= 0.6
    return texture


def _cloth(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    tile = pattern_tiles()[rng.integers(1, len(PATTERNS))]
    size = int(rng.uniform(0.35, 0.8) * px_per_m) + 4
    tile = cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA)
    repeats = (height // size + 1, width // size + 1)
    return _mix(a, b, np.tile(tile, repeats)[:height, :width] * rng.uniform(0.3, 0.9))


def _plaster(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    soft = noise(rng, height_px=height, width_px=width, cell_px=1.5 * px_per_m, octaves=6)
    down = np.linspace(-0.3, 0.3, height)[:, None] * rng.uniform(-1, 1)
    return _mix(a, b, np.clip(0.35 + 0.12 * soft + down, 0, 1))


def _grass(
    rng: np.random.Generator, height: int, width: int, px_per_m: float, a: Colour, b: Colour
) -> Singles:
    patches = noise(rng, height_px=height, width_px=width, cell_px=px_per_m, octaves=3)
    blades = noise(rng, height_px=height, width_px=width, cell_px=0.07 * px_per_m, octaves=2)
    return _mix(a, b, np.clip(0.5 + 0.13 * patches + 0.11 * blades, 0, 1))


_MAKERS = {
    "planks": _planks,
    "bricks": _bricks,
    "tiles": _tiles,
    "cloth": _cloth,
    "plaster": _plaster,
    "grass": _grass,
}


def surface_texture(
    rng: np.random.Generator,
    kind: str,
    *,
    height_m: float,
    width_m: float,
    px_per_m: float,
    first: Colour,
    second: Colour,
) -> Singles:
    """Gives a texture [h, w, 3] of the kind, `px_per_m` pixels to the metre."""
    height, width = round(height_m * px_per_m), round(width_m * px_per_m)
    texture = _MAKERS[kind](rng, height, width, px_per_m, first, second)
    return np.clip(texture, 0.0, 1.0).astype(np.float32)
