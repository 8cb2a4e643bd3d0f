"""Rotations, easing curves and two-bone limbs, for whole clips at once.

Shapes: T frames. World: x to the right, y up, z towards the viewer, metres. Seconds for time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def unit(vectors: Floats) -> Floats:
    """Scales vectors [..., 3] to length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def rotation(axis: str, angle_rad: ArrayLike) -> Floats:
    """Gives rotation matrices [..., 3, 3] about "x", "y" or "z" for angles [...]."""
    angle = np.asarray(angle_rad, dtype=np.float64)
    cos, sin, one, zero = np.cos(angle), np.sin(angle), np.ones_like(angle), np.zeros_like(angle)
    if axis == "x":
        rows = [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]]
    elif axis == "y":
        rows = [[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]]
    else:
        rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def apply(matrices: Floats, vectors: ArrayLike) -> Floats:
    """Multiplies matrices [..., 3, 3] with vectors [..., 3]."""
    return np.einsum("...ij,...j->...i", matrices, np.asarray(vectors, dtype=np.float64))


def bone_frames(start: Floats, end: Floats, side: Floats) -> Floats:
    """Gives frames [T, 3, 3] whose y axis runs from `start` to `end`, x axis close to `side`."""
    along = unit(end - start)
    across = unit(side - along * np.sum(side * along, axis=-1, keepdims=True))
    return np.stack([across, along, np.cross(across, along)], axis=-1)


def ease(position: ArrayLike) -> Floats:
    """Goes from 0 to 1 with no speed and no acceleration at the ends (minimum jerk)."""
    u = np.clip(np.asarray(position, dtype=np.float64), 0.0, 1.0)
    return u * u * u * (10.0 + u * (6.0 * u - 15.0))


def bump(position: ArrayLike, *, lean: float) -> Floats:
    """Goes 0 → 1 → 0 over [0, 1], at rest at both ends; `lean` > 1 puts the peak late.

    The way up then takes longer than the way down, as with a drummer's stick.
    """
    u = np.clip(np.asarray(position, dtype=np.float64), 0.0, 1.0)
    peak = 0.5 ** (1.0 / lean)
    return np.where(u < peak, ease(u / peak), ease((1.0 - u) / (1.0 - peak)))


def wander(rng: np.random.Generator, times_s: Floats, *, period_s: float, size: float) -> Floats:
    """Gives a smooth random curve [T]: four sines around `period_s`, standard deviation `size`."""
    periods = period_s * rng.uniform(0.6, 1.8, 4)
    phases = rng.uniform(0, 2 * np.pi, 4)
    weights = rng.uniform(0.5, 1.0, 4)
    weights *= size * np.sqrt(2.0) / np.linalg.norm(weights)
    angle = 2 * np.pi * times_s[:, None] / periods + phases
    return np.sin(angle) @ weights


def phase_of(
    rng: np.random.Generator, times_s: Floats, *, rate_hz: float, unsteady: float
) -> Floats:
    """Gives cycles done [T] of a rhythm whose rate drifts smoothly by `unsteady` (a share)."""
    start = rng.uniform(0.0, 1.0)
    period_s = rng.uniform(2.0, 5.0)
    offset = rng.uniform(0, 2 * np.pi)
    swing = unsteady * period_s / (2 * np.pi)
    drift = swing * (np.sin(2 * np.pi * times_s / period_s + offset) - np.sin(offset))
    return start + rate_hz * (times_s + drift)


def keyed(times_s: Floats, keys_s: Sequence[float] | Floats, values: ArrayLike) -> Floats:
    """Moves from key to key with minimum jerk: values [K, ...] at keys [K] → [T, ...]."""
    keys = np.asarray(keys_s, dtype=np.float64)
    points = np.asarray(values, dtype=np.float64)
    left = np.clip(np.searchsorted(keys, times_s, side="right") - 1, 0, len(keys) - 2)
    share = ease((times_s - keys[left]) / np.maximum(keys[left + 1] - keys[left], 1e-9))
    share = share.reshape(share.shape + (1,) * (points.ndim - 1))
    return points[left] * (1.0 - share) + points[left + 1] * share


def soft_limit(value: Floats, low: float, high: float, *, margin: float) -> Floats:
    """Keeps values inside [low, high], bending smoothly within `margin` of either end."""
    over = value - (high - margin)
    value = np.where(over > 0, high - margin * np.exp(-np.maximum(over, 0) / margin), value)
    under = (low + margin) - value
    return np.where(under > 0, low + margin * np.exp(-np.maximum(under, 0) / margin), value)


def two_bones(
    root: Floats, target: Floats, pole: Floats, *, first_m: float, second_m: float
) -> tuple[Floats, Floats]:
    """Bends a limb of two bones from `root` towards `target`: joints (middle, end), each [T, 3].

    Lengths are kept exactly. The limb never stretches fully nor folds beyond 150 degrees, so an
    end out of reach stops short of its target. The middle joint lies on the side of `pole` [T, 3].
    """
    gap = target - root
    distance = np.linalg.norm(gap, axis=-1, keepdims=True)
    along = gap / np.maximum(distance, 1e-9)
    longest = 0.9985 * (first_m + second_m)
    folded = np.cos(np.deg2rad(31.0))
    shortest = np.sqrt(first_m**2 + second_m**2 - 2 * first_m * second_m * folded)
    reach = soft_limit(distance, shortest, longest, margin=0.05 * longest)
    inward = (first_m**2 - second_m**2 + reach**2) / (2 * reach)
    outward = np.sqrt(np.maximum(first_m**2 - inward**2, 0.0))
    side = unit(pole - along * np.sum(pole * along, axis=-1, keepdims=True))
    return root + along * inward + side * outward, root + along * reach
