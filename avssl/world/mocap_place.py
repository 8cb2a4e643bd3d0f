"""Places for motion-captured figures, what they wear, and cameras that film them.

Rooms with four walls, or open ground under a sky; textures drawn from noise; boxes that stand about
and sometimes before the camera, a ball that rolls through. World: y up, the floor at y = 0, metres.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.world.camera import Camera, look_at
from avssl.world.geometry import ease, rotation, wander
from avssl.world.mocap_body import Floats
from avssl.world.textures import PATTERNS, colour_of, noise, pattern_tiles, surface_texture

_PX_PER_M = 48.0
_WALLS = ("plaster", "bricks", "cloth", "planks", "tiles")
_FLOORS = ("planks", "tiles", "cloth", "plaster", "grass")


@dataclass(frozen=True, kw_only=True, eq=False)
class Slab:
    """A textured rectangle: `corner`, and its two sides (the texture's columns, its rows)."""

    corner: Floats
    across: Floats
    down: Floats
    texture: NDArray[np.uint8]  # [h, w, 3]
    repeats: float = 1.0
    floor: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A box, or a ball where `radius_m` is given."""

    centre: Floats
    half: Floats
    yaw_rad: float
    texture: NDArray[np.uint8]
    radius_m: float = 0.0
    path: Floats | None = None  # [T, 3]


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Everything around the figure."""

    name: str
    kind: str
    slabs: tuple[Slab, ...]
    sky: NDArray[np.uint8]  # [h, w, 3], the whole horizon across, 0 to 90 degrees up
    light: dict[str, Any]
    reach_m: float
    """How far from the middle the camera may stand."""


def _screen(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    return (255 * np.clip(linear, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)


def _surface(
    rng: np.random.Generator, kinds: tuple[str, ...], height_m: float, width_m: float
) -> NDArray[np.uint8]:
    hue = rng.random()
    first = colour_of(hue, rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.95))
    second = colour_of(hue + rng.normal(0, 0.08), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.8))
    kind = str(rng.choice(kinds))
    if kind == "grass":
        first, second = colour_of(0.27, 0.55, 0.55), colour_of(0.22, 0.5, 0.4)
    texture = surface_texture(
        rng,
        kind,
        height_m=height_m,
        width_m=width_m,
        px_per_m=_PX_PER_M,
        first=first,
        second=second,
    )
    return _screen(texture)


def cloth(rng: np.random.Generator, *, dull: bool = False) -> NDArray[np.uint8]:
    """Draws a small repeating cloth [64, 64, 3]."""
    tile = pattern_tiles()[0 if dull else rng.integers(len(PATTERNS))][..., None]
    hue = rng.random()
    first = np.array(colour_of(hue, rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.95)))
    other = rng.choice([0.0, 0.15, 0.5])
    second = np.array(colour_of(hue + other, rng.uniform(0, 0.8), rng.uniform(0.1, 1.0)))
    rough = 1 + 0.06 * noise(rng, height_px=64, width_px=64, cell_px=6)[..., None]
    return _screen((first * (1 - tile) + second * tile) * rough)


def clothes(rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Draws what somebody looks like: a texture for each of a piece's cloths."""
    skin = np.array(colour_of(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.3, 1)))
    hair = np.array(colour_of(rng.uniform(0.02, 0.12), rng.uniform(0, 0.7), rng.uniform(0.05, 0.8)))
    rough = 1 + 0.05 * noise(rng, height_px=64, width_px=64, cell_px=10)[..., None]
    strands = 1 + 0.2 * noise(rng, height_px=64, width_px=64, cell_px=3)[..., None]
    return {
        "shirt": cloth(rng),
        "trousers": cloth(rng, dull=bool(rng.random() < 0.6)),
        "shoes": cloth(rng, dull=True),
        "skin": _screen(skin * rough),
        "hair": _screen(hair * strands),
    }


def _sky(rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = 128, 1024
    up = np.linspace(1, 0, height)[:, None, None]  # the first row is overhead
    zenith = np.array(colour_of(rng.uniform(0.55, 0.65), rng.uniform(0.1, 0.6), 0.9))
    rim = np.array(colour_of(rng.uniform(0.05, 0.6), rng.uniform(0.0, 0.3), 0.95))
    sky = zenith * up + rim * (1 - up)
    clouds = noise(rng, height_px=height, width_px=width, cell_px=rng.uniform(30, 80), octaves=5)
    share = np.clip(0.5 * clouds + rng.uniform(-0.4, 0.3), 0, 0.9)[..., None]
    sky = sky * (1 - share) + rng.uniform(0.6, 1.0) * share
    line = noise(rng, height_px=1, width_px=width, cell_px=rng.uniform(30, 120))[0]
    closing = np.abs(np.linspace(-1, 1, width)) ** 8  # meets itself where the circle closes
    hills = 10 + 5 * (line * (1 - closing))
    share = np.clip(np.arange(height)[:, None] - (height - hills), 0, 1)[..., None]
    sky = sky * (1 - share) + np.array(colour_of(rng.uniform(0.2, 0.4), 0.4, 0.45)) * share
    return _screen(sky)


def _hang_pictures(rng: np.random.Generator, wall: NDArray[np.uint8]) -> None:
    height, width = wall.shape[:2]
    for _ in range(rng.integers(0, 5)):
        h, w = int(rng.uniform(0.12, 0.4) * height), int(rng.uniform(0.4, 1.5) * _PX_PER_M)
        y, x = int(rng.uniform(0.1, 0.5) * height), int(rng.uniform(0, max(width - w, 1)))
        picture = cv2.resize(cloth(rng), (w, h), interpolation=cv2.INTER_LINEAR)
        cell = rng.uniform(4, 20)
        blot = noise(rng, height_px=h, width_px=w, cell_px=cell)[..., None]
        part = np.clip(picture * (1 + 0.4 * blot), 0, 255).astype(np.uint8)
        wall[y : y + h, x : x + w] = part[: height - y, : width - x]
        frame = tuple(int(v) for v in rng.integers(20, 230, 3))
        cv2.rectangle(wall, (x, y), (x + w, y + h), frame, 2)


def draw_place(rng: np.random.Generator, name: str) -> Place:
    """Draws a room (two of three) or open ground, with its light."""
    light = {
        "lightDirection": (rotation("y", rng.uniform(0, 2 * np.pi)) @ [0.5, 1.0, 0.0]).tolist(),
        "lightColor": (1 - rng.uniform(0, 0.25, 3)).tolist(),
        "lightAmbientCoeff": float(rng.uniform(0.5, 0.75)),
        "lightDiffuseCoeff": float(rng.uniform(0.45, 0.8)),
        "lightSpecularCoeff": float(rng.uniform(0.0, 0.15)),
    }
    slabs = []
    if rng.random() < 2 / 3:
        kind = "room"
        wide, long, high = rng.uniform(8.0, 12.0), rng.uniform(8.0, 12.0), rng.uniform(2.8, 4.5)
        floor = _surface(rng, _FLOORS[:4], long, wide)
        start = np.array([-wide / 2, 0.0, -long / 2])
        x, y, z = np.diag([wide, high, long])
        slabs.append(Slab(corner=start, across=x, down=z, texture=floor, floor=True))
        ceiling = _surface(rng, ("plaster",), long, wide)
        slabs.append(Slab(corner=start + y, across=x, down=z, texture=ceiling))
        walls = [(start + y, x), (start + y + z, x), (start + y, z), (start + y + x, z)]
        for corner, across in walls:
            texture = _surface(rng, _WALLS, high, float(np.linalg.norm(across)))
            _hang_pictures(rng, texture)
            slabs.append(Slab(corner=corner, across=across, down=-y, texture=texture))
        reach_m = min(wide, long) / 2 - 0.4
    else:
        kind = "open"
        texture = _surface(rng, _FLOORS[1:], 10.0, 10.0)
        both = np.concatenate([texture, texture[::-1]])  # no seam where it repeats
        both = np.concatenate([both, both[:, ::-1]], axis=1)
        start, side = np.array([-50.0, 0.0, -50.0]), 100.0
        x, _, z = np.diag([side] * 3)
        slabs.append(Slab(corner=start, across=x, down=z, texture=both, repeats=5.0, floor=True))
        reach_m = 6.0
    return Place(
        name=name, kind=kind, slabs=tuple(slabs), sky=_sky(rng), light=light, reach_m=reach_m
    )


def plan_camera(
    rng: np.random.Generator, times_s: Floats, *, middle: Floats, around_m: float, reach_m: float
) -> Camera:
    """Places a camera that keeps the figure in view.

    Args:
        rng: draws where it stands, its height, its lens, how it moves and how well it follows.
        times_s: [T].
        middle: the figure's middle [T, 3].
        around_m: how far the middle goes from the origin.
        reach_m: how far from the origin the camera may stand.
    """
    distance_m = min(rng.uniform(2.8, 4.5) + around_m, reach_m)
    bearing = rng.uniform(0, 2 * np.pi)
    place = distance_m * np.array([np.sin(bearing), 0.0, np.cos(bearing)])
    place[1] = rng.uniform(0.5, 2.3)
    position = np.tile(place, (len(times_s), 1))
    smooth = cv2.GaussianBlur(middle, (0, 0), sigmaX=1e-6, sigmaY=len(times_s) / 12 + 1e-3)
    follow = rng.uniform(0.55, 1.0)
    still = np.array([0.0, 0.85, 0.0])
    aim = still + follow * (smooth.reshape(-1, 3) - still) + rng.normal(0, [0.1, 0.04, 0.1])
    gap_m = np.median(np.linalg.norm(middle - position, axis=1))
    focal = np.full(len(times_s), rng.uniform(0.55, 0.85) * gap_m / 1.75)
    roll = np.full(len(times_s), rng.normal(0, 0.015))
    moves = rng.random()
    if moves < 0.4:  # held in the hand
        for axis in range(3):
            position[:, axis] += wander(rng, times_s, period_s=2.5, size=0.03)
            aim[:, axis] += wander(rng, times_s, period_s=1.8, size=0.03)
    elif moves < 0.6:  # on rails around the figure
        sweep = rng.uniform(-0.5, 0.5) * ease(times_s / max(float(times_s[-1]), 1e-9))
        position = np.einsum("tij,tj->ti", rotation("y", sweep), position)
    return Camera(position=position, rotation=look_at(position, aim, roll), focal=focal)


def draw_blocks(
    rng: np.random.Generator,
    times_s: Floats,
    *,
    around_m: float,
    reach_m: float,
    camera: Camera,
) -> list[Block]:
    """Draws up to four boxes around, in one of four clips one before the figure, and balls."""
    blocks = []

    def stand(at: Floats, half: Floats) -> None:
        place = np.array([at[0], half[1], at[1]])
        texture = _surface(rng, _WALLS, 1.0, 1.0)
        yaw = float(rng.uniform(0, np.pi))
        blocks.append(Block(centre=place, half=half, yaw_rad=yaw, texture=texture))

    eye = camera.position[0, [0, 2]]
    for _ in range(rng.integers(0, 5)):
        bearing = rng.uniform(0, 2 * np.pi)
        far = rng.uniform(around_m + 1.2, max(reach_m, around_m + 1.3))
        at = far * np.array([np.sin(bearing), np.cos(bearing)])
        along = at @ eye / np.linalg.norm(eye)
        if along > 0 and abs(np.cross(np.append(eye, 0), np.append(at, 0))[2]) < 1.3 * np.hypot(
            *eye
        ):
            continue  # between the camera and the figure
        stand(at, rng.uniform([0.15, 0.15, 0.15], [0.5, 1.0, 0.5]))
    if rng.random() < 0.25:
        between = eye * (1 - rng.uniform(0.35, 0.5))
        across = np.array([eye[1], -eye[0]]) / np.hypot(*eye)
        stand(
            between + across * rng.uniform(-0.35, 0.35),
            rng.uniform([0.06, 0.2, 0.06], [0.13, 0.6, 0.13]),
        )
    if rng.random() < 0.5:
        radius = rng.uniform(0.1, 0.3)
        bearing = rng.uniform(0, 2 * np.pi)
        forward = np.array([np.sin(bearing), 0.0, np.cos(bearing)])
        side = np.array([forward[2], 0.0, -forward[0]]) * (around_m + rng.uniform(0.7, 1.5))
        speed = rng.uniform(0.4, 1.2)
        way = np.clip(speed * (times_s - times_s[-1] / 2), -reach_m, reach_m)
        bounce = rng.choice([0.0, rng.uniform(0.2, 0.8)])
        path = side + forward * way[:, None]
        path[:, 1] = radius + bounce * np.abs(np.sin(3.0 * times_s + rng.uniform(0, 3)))
        blocks.append(
            Block(
                centre=path[0],
                half=np.full(3, radius),
                yaw_rad=0.0,
                texture=cloth(rng),
                radius_m=float(radius),
                path=path,
            )
        )
    return blocks
