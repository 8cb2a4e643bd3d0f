"""Motion-captured movements as pybullet_data ships them, cut to any length without a jump.

Read from `pybullet_data/data/motions/humanoid3d_<name>.txt` (zlib licence, as pybullet): 15
movements of 0.8 to 4.4 s at some 60 frames a second. Here they are repeated, turned into circles,
mirrored and played at other speeds.

Shapes: T frames, J = 13 turning joints (`TURNS`). World: x forward for the figure, y up, z to its
right, metres. Quaternions are w, x, y, z.
"""

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.world.geometry import apply, ease, rotation

Floats = NDArray[np.float64]

TURNS = (
    "root",
    "chest",
    "neck",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_shoulder",
    "right_elbow",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_shoulder",
    "left_elbow",
)
_HINGES = ("right_knee", "right_elbow", "left_knee", "left_elbow")
MOTIONS = {
    "train": (
        "walk",
        "dance_a",
        "dance_b",
        "getup_facedown",
        "getup_faceup",
        "kick",
        "spinkick",
        "cartwheel",
        "jump",
    ),
    "validation": ("run", "spin", "roll"),
    "test": ("punch", "backflip", "crawl"),
}
"""Split by hand: movements that resemble each other (two dances, two ways to get up, two kicks)
stay together; each split has upright and acrobatic ones."""
_SEAM_RAD_PER_S = 3.0
_LONGEST_SEAM_S = 1.2
_CIRCLE_ABOVE_M = 1.2
"""Movements that carry the figure further than this in a clip go round in a circle."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A movement: keys at any times."""

    times_s: Floats  # [T], from 0
    root: Floats  # [T, 3]
    turns: Floats  # [T, J, 4]
    joining: NDArray[np.bool_]  # [T], between one time and the next: made up, not captured


def multiply(first: Floats, second: Floats) -> Floats:
    """Multiplies quaternions [..., 4]: turns by `second`, then by `first`."""
    a, u = first[..., :1], first[..., 1:]
    b, v = second[..., :1], second[..., 1:]
    scalar = a * b - np.sum(u * v, axis=-1, keepdims=True)
    return np.concatenate([scalar, a * v + b * u + np.cross(u, v)], axis=-1)


def slerp(first: Floats, second: Floats, share: Floats) -> Floats:
    """Goes the short way from one quaternion [..., 4] to another by `share` [...] in 0…1."""
    dot = np.sum(first * second, axis=-1, keepdims=True)
    second = np.where(dot < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    part = share[..., None]
    small = sine < 1e-6
    safe = np.where(small, 1.0, sine)
    start = np.where(small, 1 - part, np.sin((1 - part) * angle) / safe)
    end = np.where(small, part, np.sin(part * angle) / safe)
    mixed = start * first + end * second
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def matrices(turns: Floats) -> Floats:
    """Gives the rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    w, x, y, z = np.moveaxis(turns, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _about_y(angle_rad: Floats) -> Floats:
    zero = np.zeros_like(angle_rad)
    return np.stack([np.cos(angle_rad / 2), zero, np.sin(angle_rad / 2), zero], axis=-1)


@functools.cache
def read_motion(name: str) -> Motion:
    """Reads a movement.

    Raises:
        InputError: pybullet is not installed, or has no such movement.
    """
    try:
        import pybullet_data  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError(
            "pybullet is not installed: pip install 'avssl[mocap]' for motion-captured people"
        ) from error
    folder = Path(pybullet_data.getDataPath()) / "data" / "motions"
    path = folder / f"humanoid3d_{name}.txt"
    if not path.is_file():
        raise InputError(f"movement {name!r}: not among those in {folder}")
    rows = np.array(json.loads(path.read_text(encoding="utf-8"))["Frames"], dtype=np.float64)
    turns = np.zeros((len(rows), len(TURNS), 4))
    column = 4
    for number, joint in enumerate(TURNS):
        if joint in _HINGES:
            turns[:, number, 0] = np.cos(rows[:, column] / 2)
            turns[:, number, 3] = np.sin(rows[:, column] / 2)
            column += 1
        else:
            turns[:, number] = rows[:, column : column + 4]
            column += 4
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    times_s = np.concatenate([[0.0], np.cumsum(rows[:-1, 0])])
    never = np.zeros(len(rows), dtype=bool)
    return Motion(times_s=times_s, root=rows[:, 1:4], turns=turns, joining=never)


def at_times(motion: Motion, times_s: Floats) -> Motion:
    """Gives the movement at other times, between its keys by slerp."""
    right = np.clip(np.searchsorted(motion.times_s, times_s), 1, len(motion.times_s) - 1)
    left = right - 1
    gap = np.maximum(motion.times_s[right] - motion.times_s[left], 1e-9)
    share = np.clip((times_s - motion.times_s[left]) / gap, 0.0, 1.0)
    root = motion.root[left] + (motion.root[right] - motion.root[left]) * share[:, None]
    each = np.broadcast_to(share[:, None], (len(times_s), motion.turns.shape[1]))
    turns = slerp(motion.turns[left], motion.turns[right], each)
    joining = motion.joining[left] | motion.joining[right]
    return Motion(times_s=times_s, root=root, turns=turns, joining=joining)


def _moved(motion: Motion, *, yaw_rad: float, shift: Floats, start_s: float) -> Motion:
    turns = motion.turns.copy()
    turns[:, 0] = multiply(_about_y(np.full(len(turns), yaw_rad)), turns[:, 0])
    root = apply(rotation("y", yaw_rad), motion.root) + shift
    return replace(motion, times_s=motion.times_s + start_s, root=root, turns=turns)


def repeat(motion: Motion, length_s: float) -> Motion:
    """Plays a movement over and over for at least `length_s`.

    Each time starts where the last ended and faces where it faced. What still differs (much for
    movements that are no cycles: lying → standing → lying) is gone through at some 3 rad/s at
    the most, within 1.2 s.
    """
    whole = motion
    while whole.times_s[-1] < length_s:
        last, first = whole.turns[-1], motion.turns[0]
        between = matrices(last[0]) @ matrices(first[0]).T
        yaw = float(np.arctan2(between[0, 2] - between[2, 0], between[0, 0] + between[2, 2]))
        shift = whole.root[-1] - apply(rotation("y", yaw), motion.root[0])
        shift[1] = 0.0
        following = _moved(motion, yaw_rad=yaw, shift=shift, start_s=0.0)
        cosine = np.abs(np.sum(last * following.turns[0], axis=-1))
        furthest = 2 * np.arccos(np.clip(cosine, 0.0, 1.0)).max()
        seam_s = float(np.clip(furthest / _SEAM_RAD_PER_S, 1 / 60, _LONGEST_SEAM_S))
        count = max(round(seam_s * 60), 1)
        share = ease(np.arange(1, count) / count)
        each = np.broadcast_to(share[:, None], (len(share), len(TURNS)))
        begin = whole.times_s[-1]
        whole = Motion(
            times_s=np.concatenate(
                [
                    whole.times_s,
                    begin + seam_s * np.arange(1, count) / count,
                    begin + seam_s + motion.times_s,
                ]
            ),
            root=np.concatenate(
                [
                    whole.root,
                    whole.root[-1] + (following.root[0] - whole.root[-1]) * share[:, None],
                    following.root,
                ]
            ),
            turns=np.concatenate(
                [whole.turns, slerp(last[None], following.turns[:1], each), following.turns]
            ),
            joining=np.concatenate(
                [whole.joining, np.ones(len(share), dtype=bool), following.joining]
            ),
        )
    return whole


def mirrored(motion: Motion) -> Motion:
    """Swaps left and right."""
    other = {"left": "right", "right": "left"}
    swap = []
    for name in TURNS:
        side, _, rest = name.partition("_")
        swap.append(TURNS.index(f"{other[side]}_{rest}" if side in other else name))
    return replace(
        motion,
        root=motion.root * [1.0, 1.0, -1.0],
        turns=motion.turns[:, swap] * [1.0, -1.0, -1.0, 1.0],
    )


def in_circle(motion: Motion, *, yaw_per_s: float) -> Motion:
    """Bends the way: everything turns about the vertical by `yaw_per_s` (rad/s) on its way."""
    angle = yaw_per_s * motion.times_s
    steps = np.diff(motion.root, axis=0)
    middle = (angle[1:] + angle[:-1]) / 2
    bent = apply(rotation("y", middle), steps)
    root = np.concatenate([motion.root[:1], motion.root[:1] + np.cumsum(bent, axis=0)])
    turns = motion.turns.copy()
    turns[:, 0] = multiply(_about_y(angle), turns[:, 0])
    return replace(motion, root=root, turns=turns)


def perform(rng: np.random.Generator, name: str, times_s: Floats) -> Motion:
    """Plays a movement at `times_s` [T] as nobody has before.

    Drawn: speed (0.8 to 1.25 times), where in the movement it starts, mirrored or not, direction,
    and the radius (1 to 1.9 m) of the circle where it would leave the picture otherwise. The way's
    middle is over the origin.
    """
    motion = read_motion(name)
    speed = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    start_s = rng.uniform(0.0, motion.times_s[-1])
    if rng.random() < 0.5:
        motion = mirrored(motion)
    yaw, side, radius_m = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0]), rng.uniform(1.0, 1.9)
    length_s = start_s + speed * float(times_s[-1]) + 0.1
    played = at_times(repeat(motion, length_s), start_s + speed * times_s)
    played = replace(played, times_s=times_s)
    way = float(np.linalg.norm(np.ptp(played.root[:, [0, 2]], axis=0)))
    if way > _CIRCLE_ABOVE_M:
        played = in_circle(played, yaw_per_s=side * way / max(float(times_s[-1]), 1e-9) / radius_m)
    played = _moved(played, yaw_rad=float(yaw), shift=np.zeros(3), start_s=0.0)
    middle = (played.root.max(axis=0) + played.root.min(axis=0)) / 2
    return replace(played, root=played.root - middle * [1.0, 0.0, 1.0])
