"""Rooms and open places: a lit back wall, a floor, furniture, a lamp, things that move about.

Wall and floor are textured planes drawn through the homography of the camera, with their light
baked in; furniture is made of solids. World axes as in `geometry`; the floor is y = 0.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import rotation, unit, wander
from avssl.world.solids import BOX, ELLIPSOID, Material, SolidBuilder
from avssl.world.textures import PATTERNS, Colour, colour_of, noise, surface_texture

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
WIDE_M, HIGH_M, FRONT_M = 9.0, 4.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A textured rectangle: texture column along `across`, row along `down`."""

    origin: Floats  # [3], the corner of texture pixel (0, 0)
    across: Floats  # [3], unit
    down: Floats  # [3], unit
    texture: Singles  # [h, w, 3], lit, linear
    px_per_m: float


@dataclass(frozen=True, kw_only=True)
class Light:
    """A lamp far away and light from all around; colours linear."""

    towards: Floats  # [3], unit, from the scene to the lamp
    key: Floats  # [3]
    sky: Floats  # [3]
    ground: Floats  # [3]
    rim: float
    """Strength of the outline of light."""


@dataclass(frozen=True, kw_only=True)
class Furniture:
    """One box."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    material: Material


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place: everything that stands still in it."""

    name: str
    kind: str
    back_m: float
    """Distance of the wall behind the origin."""
    wall: Plane
    floor: Plane
    light: Light
    furniture: tuple[Furniture, ...]
    room_s: float
    """Reverberation time."""
    wet: float


def _shade(texture: Singles, light: NDArray[np.floating]) -> Singles:
    return np.clip(texture * light[..., None], 0.0, 1.0).astype(np.float32)


def _lamp_pool(
    rng: np.random.Generator, shape: tuple[int, int], px_per_m: float, *, low: float
) -> Singles:
    """A soft pool of light on a surface."""
    height, width = shape
    v, u = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(px_per_m)
    x, y = rng.uniform(0.25, 0.75) * WIDE_M, rng.uniform(0.1, 0.6) * height / px_per_m
    size = rng.uniform(1.4, 3.2)
    pool = np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * size**2))
    return (low + (1.15 - low) * pool).astype(np.float32)


def _draw_wall_things(rng: np.random.Generator, wall: Singles, px_per_m: float) -> None:
    """Pictures, windows, a door, a skirting board."""
    height, width = wall.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        wide, tall = (rng.uniform(0.35, 1.1, 2) * px_per_m).astype(int)
        x = int(rng.uniform(0.18, 0.75) * width)
        y = int(rng.uniform(0.30, 0.62) * height)
        frame = colour_of(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.2, 0.9))
        cv2.rectangle(wall, (x - 3, y - 3), (x + wide + 3, y + tall + 3), frame, -1)
        inner = surface_texture(
            rng,
            str(rng.choice(["plaster", "cloth", "grass"])),
            height_m=tall / px_per_m,
            width_m=wide / px_per_m,
            px_per_m=px_per_m,
            first=colour_of(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.9)),
            second=colour_of(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.5, 1.0)),
        )
        area = wall[y : y + inner.shape[0], x : x + inner.shape[1]]
        area[:] = inner[: area.shape[0], : area.shape[1]]
    if rng.random() < 0.4:
        x, wide, tall = int(rng.uniform(0.2, 0.75) * width), int(0.9 * px_per_m), int(2 * px_per_m)
        door = colour_of(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.25, 0.8))
        cv2.rectangle(wall, (x, height - tall), (x + wide, height), door, -1)
        dark = tuple(0.45 * value for value in door)
        for low, high in ((0.08, 0.45), (0.55, 0.92)):
            cv2.rectangle(
                wall,
                (x + wide // 7, height - tall + int(low * tall)),
                (x + wide - wide // 7, height - tall + int(high * tall)),
                dark,
                2,
            )
    if rng.random() < 0.7:
        board = colour_of(rng.random(), rng.uniform(0, 0.4), rng.uniform(0.3, 0.95))
        wall[height - int(0.12 * px_per_m) :] = np.array(board)


def _draw_horizon(rng: np.random.Generator, wall: Singles, px_per_m: float) -> None:
    """Sky, hills and trees instead of a wall."""
    height, width = wall.shape[:2]
    hue = rng.uniform(0.53, 0.62) if rng.random() < 0.7 else rng.uniform(0.02, 0.1)
    top = np.array(colour_of(hue, rng.uniform(0.35, 0.7), 0.95))
    low = np.array(colour_of(hue + rng.uniform(-0.05, 0.05), 0.12, 1.0))
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    wall[:] = top * (1 - share) + low * share
    clouds = noise(rng, height_px=height, width_px=width, cell_px=1.6 * px_per_m, octaves=5)
    wall += 0.25 * np.clip(clouds - 0.4, 0, 1)[..., None]
    columns = np.arange(width)
    hue, haze = rng.choice([0.3, 0.3, 0.08, 0.62]) + rng.normal(0, 0.05), rng.uniform(0.4, 0.75)
    base = rng.uniform(0.68, 0.78)
    for layer in range(3):
        crest = noise(
            rng, height_px=1, width_px=width, cell_px=(2.4 - 0.7 * layer) * px_per_m, octaves=5
        )[0]
        line = height * (base + 0.055 * layer) - crest * px_per_m * (0.34 - 0.1 * layer)
        mask = np.arange(height)[:, None] > line[None, columns]
        far = haze * (1 - 0.4 * layer)  # the farther, the more of the sky's colour
        colour = np.array(
            colour_of(hue + rng.normal(0, 0.03), rng.uniform(0.3, 0.65), rng.uniform(0.35, 0.7))
        )
        wall[mask] = (1 - far) * colour + far * low
    np.clip(wall, 0, 1, out=wall)


def _colours(rng: np.random.Generator, *, dull: float) -> tuple[Colour, Colour]:
    hue = rng.random()
    return (
        colour_of(hue, rng.uniform(0.05, dull), rng.uniform(0.3, 0.9)),
        colour_of(hue + rng.normal(0, 0.08), rng.uniform(0.05, dull), rng.uniform(0.3, 0.95)),
    )


def draw_scene(rng: np.random.Generator, name: str, *, px_per_m: float) -> Scene:
    """Draws a place; `px_per_m` sets how fine its textures are."""
    kind = str(rng.choice(["room", "hall", "open"], p=[0.55, 0.2, 0.25]))
    back_m = {"room": rng.uniform(1.5, 2.4), "hall": rng.uniform(2.6, 4.0)}.get(kind, 4.5)
    grow = 1.0 + back_m / 4.0  # a far wall has to be larger and needs fewer pixels
    wall_px = px_per_m / grow
    floor_kind = (
        "grass" if kind == "open" else str(rng.choice(["planks", "tiles", "cloth", "plaster"]))
    )
    first, second = _colours(rng, dull=0.6)
    if floor_kind == "planks":
        first, second = colour_of(rng.uniform(0.05, 0.1), 0.6, 0.4), colour_of(0.09, 0.5, 0.85)
    if floor_kind == "grass":
        hue = rng.choice([0.25, 0.25, 0.12, 0.08]) + rng.normal(0, 0.02)  # lawn, hay or sand
        first = colour_of(hue, rng.uniform(0.3, 0.6), 0.42)
        second = colour_of(hue - 0.02, rng.uniform(0.25, 0.5), 0.78)
    floor = surface_texture(
        rng, floor_kind, height_m=back_m + FRONT_M, width_m=WIDE_M, px_per_m=0.7 * px_per_m,
        first=first, second=second,
    )  # fmt: skip
    wall_kind = str(rng.choice(["plaster", "bricks", "cloth", "planks", "tiles"],
                               p=[0.35, 0.25, 0.15, 0.15, 0.1]))  # fmt: skip
    first, second = _colours(rng, dull=0.65)
    wall = surface_texture(
        rng, "plaster" if kind == "open" else wall_kind, height_m=HIGH_M * grow,
        width_m=WIDE_M * grow, px_per_m=wall_px, first=first, second=second,
    )  # fmt: skip
    if kind == "open":
        _draw_horizon(rng, wall, wall_px)
    else:
        _draw_wall_things(rng, wall, wall_px)

    side = rng.choice([-1.0, 1.0]) * rng.uniform(0.25, 0.9)
    towards = unit(np.array([side, rng.uniform(0.7, 1.3), rng.uniform(0.35, 0.9)]))
    warm = rng.uniform(-0.12, 0.12)
    power = rng.uniform(0.75, 1.1)
    key = power * np.array([1 + warm, 1.0, 1 - warm])
    sky = rng.uniform(0.7, 1.2) * np.array([0.34 * (1 - warm), 0.36, 0.40 * (1 + warm)])
    ground = 0.45 * sky + 0.25 * floor.mean(axis=(0, 1))
    if kind != "open":
        pool = _lamp_pool(rng, wall.shape[:2], wall_px, low=rng.uniform(0.35, 0.7))
        # The corner between wall and floor gets less light.
        high = np.arange(wall.shape[0], dtype=np.float32)[::-1, None] / np.float32(wall_px)
        wall = _shade(wall, pool * (1 - 0.4 * np.exp(-high / 0.25)))
        pool = _lamp_pool(rng, floor.shape[:2], 0.7 * px_per_m, low=rng.uniform(0.5, 0.8))
        deep = np.arange(floor.shape[0], dtype=np.float32)[:, None] / np.float32(0.7 * px_per_m)
        floor = _shade(floor, pool * (1 - 0.4 * np.exp(-deep / 0.3)))
    wall = np.clip(wall * (0.55 * key + sky), 0, 1)
    floor = np.clip(floor * (0.75 * key + sky), 0, 1)

    pieces = []
    for _ in range(int(rng.integers(1, 5))):
        half = (rng.uniform(0.15, 0.55), rng.uniform(0.15, 0.75), rng.uniform(0.12, 0.3))
        away = rng.choice([-1, 1]) * rng.uniform(0.3, 2.2)
        first, second = _colours(rng, dull=0.8)
        pieces.append(
            Furniture(
                centre=(away, half[1], -back_m + half[2] + rng.uniform(0.05, 0.4)),
                half=half,
                yaw=rng.normal(0, 0.15),
                material=Material(
                    colour=first, second=second,
                    pattern=0 if rng.random() < 0.5 else int(rng.integers(1, len(PATTERNS))),
                    repeats_per_m=rng.uniform(0.8, 2.0), shine=rng.uniform(0, 0.2),
                ),
            )
        )  # fmt: skip
    return Scene(
        name=name,
        kind=kind,
        back_m=back_m,
        wall=Plane(
            origin=np.array([-0.5 * WIDE_M * grow, HIGH_M * grow, -back_m]),
            across=np.array([1.0, 0.0, 0.0]),
            down=np.array([0.0, -1.0, 0.0]),
            texture=wall.astype(np.float32),
            px_per_m=wall_px,
        ),
        floor=Plane(
            origin=np.array([-0.5 * WIDE_M, 0.0, -back_m]),
            across=np.array([1.0, 0.0, 0.0]),
            down=np.array([0.0, 0.0, 1.0]),
            texture=floor.astype(np.float32),
            px_per_m=0.7 * px_per_m,
        ),
        light=Light(towards=towards, key=key, sky=sky, ground=ground,
                    rim=rng.uniform(0.1, 0.5)),
        furniture=tuple(pieces),
        room_s=rng.uniform(0.12, 0.35) if kind != "open" else 0.06,
        wet=rng.uniform(0.05, 0.25) if kind != "open" else 0.02,
    )  # fmt: skip


def add_furniture(builder: SolidBuilder, scene: Scene) -> None:
    """Adds the boxes of the scene under the builder's present owner."""
    for piece in scene.furniture:
        builder.add(BOX, piece.half, piece.centre, rotation("y", piece.yaw), piece.material)


def add_distractor(rng: np.random.Generator, builder: SolidBuilder, times_s: Floats) -> str:
    """Adds something that moves in the background with no regard to anybody; gives its name."""
    first = colour_of(rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.4, 1.0))
    second = colour_of(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.2, 1.0))
    look = Material(
        colour=first, second=second, pattern=int(rng.integers(0, len(PATTERNS))),
        repeats_per_m=rng.uniform(1.5, 3.0), shine=rng.uniform(0, 0.5),
    )  # fmt: skip
    kind = str(rng.choice(["balloon", "cart", "kite", "lamp"]))
    x = wander(rng, times_s, period_s=rng.uniform(3.0, 7.0), size=rng.uniform(0.2, 0.8))
    x += rng.uniform(-0.9, 0.9)
    depth = rng.uniform(-1.3, -0.75)
    flat = np.zeros(len(times_s))
    if kind == "balloon":
        y = rng.uniform(1.2, 2.0) + wander(rng, times_s, period_s=3.0, size=0.12)
        centre = np.stack([x, y, flat + depth], -1)
        builder.add(ELLIPSOID, (0.13, 0.17, 0.13), centre, np.eye(3), look)
        builder.rod(centre - [0, 0.17, 0], centre - [0, 0.62, 0], 0.006, look)
    elif kind == "cart":
        centre = np.stack([x, flat + 0.22, flat + depth], -1)
        builder.add(BOX, (0.22, 0.12, 0.14), centre, np.eye(3), look)
        dark = Material(colour=(0.03, 0.03, 0.03))
        for dx in (-0.13, 0.13):
            turn = rotation("z", -(x - x[0]) / 0.09)
            builder.add(
                ELLIPSOID, (0.09, 0.09, 0.03), centre + np.array([dx, -0.13, 0.14]), turn, dark
            )
    elif kind == "kite":
        y = rng.uniform(1.3, 2.0) + wander(rng, times_s, period_s=2.5, size=0.15)
        turn = rotation("z", np.pi / 4 + wander(rng, times_s, period_s=2.0, size=0.25))
        builder.add(BOX, (0.14, 0.14, 0.015), np.stack([x, y, flat + depth], -1), turn, look)
    else:
        swing = wander(rng, times_s, period_s=2.4, size=0.22)
        hook = np.array([x.mean(), 2.9, depth])
        turn = rotation("z", swing)
        end = hook + np.einsum("tij,j->ti", turn, np.array([0.0, -0.9, 0.0]))
        builder.rod(
            np.broadcast_to(hook, end.shape), end, 0.009, Material(colour=(0.02, 0.02, 0.02))
        )
        builder.can(
            end + np.einsum("tij,j->ti", turn, np.array([0.0, -0.18, 0.0])), turn,
            (0.19, 0.07, 0.2), look,
        )  # fmt: skip
    return kind
