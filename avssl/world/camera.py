"""A pinhole camera that moves: tripod, hand-held, panning, zooming.

Camera axes: x to the right, y down, z forward. A point at camera coordinates (x, y, z) falls on
column focal * x / z + width / 2 and row focal * y / z + height / 2, where a pixel's centre has
column and row number + 0.5. The focal length is in short sides of the picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import apply, ease, rotation, unit, wander

Floats = NDArray[np.float64]
MOVES = ("tripod", "hand-held", "pan", "zoom", "sway")


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera's path: T frames."""

    position: Floats  # [T, 3]
    rotation: Floats  # [T, 3, 3], world → camera
    focal: Floats  # [T], in short sides

    def to_camera(self, points: Floats) -> Floats:
        """World points [T, ..., 3] → camera coordinates [T, ..., 3]."""
        extra = points.ndim - 2
        shape = (len(self.focal),) + (1,) * extra
        return apply(self.rotation.reshape(*shape, 3, 3), points - self.position.reshape(*shape, 3))

    def project(self, points: Floats, *, width_px: int, height_px: int) -> Floats:
        """World points [T, ..., 3] → columns, rows (pixels) and depth (metres) [T, ..., 3]."""
        seen = self.to_camera(points)
        depth = np.maximum(seen[..., 2], 1e-3)
        focal_px = self.focal.reshape((-1,) + (1,) * (points.ndim - 2)) * min(width_px, height_px)
        return np.stack(
            [
                focal_px * seen[..., 0] / depth + width_px / 2,
                focal_px * seen[..., 1] / depth + height_px / 2,
                seen[..., 2],
            ],
            axis=-1,
        )


def look_at(position: Floats, target: Floats, roll_rad: Floats) -> Floats:
    """Gives the rotations [T, 3, 3] of cameras at `position` looking at `target` (both [T, 3])."""
    forward = unit(target - position)
    right = unit(np.cross(forward, np.broadcast_to([0.0, 1.0, 0.0], forward.shape)))
    axes = np.stack([right, np.cross(forward, right), forward], axis=-2)
    return rotation("z", roll_rad) @ axes


def plan_camera(
    rng: np.random.Generator,
    times_s: Floats,
    *,
    move: str,
    target: Floats,
    distance_m: float,
    tall_m: float,
    share: float,
) -> Camera:
    """Places a camera before `target` [3] so that `tall_m` metres fill `share` of the short side.

    Args:
        rng: draws height, angle and the path.
        times_s: [T].
        move: one of `MOVES`.
        target: the middle of what matters, in the world.
        distance_m: from the camera to the target along z.
        tall_m: height of what matters.
        share: share of the picture's short side that it fills.
    """
    length_s = float(times_s[-1] + times_s[1]) if len(times_s) > 1 else 1.0
    count = len(times_s)
    side_m = rng.uniform(-0.9, 0.9)
    position = np.tile(
        np.array([target[0] + side_m, rng.uniform(1.15, 1.9), target[2] + distance_m]), (count, 1)
    )
    aim = np.tile(target + rng.normal(0, [0.12, 0.04, 0.0]), (count, 1))
    focal = np.full(count, share * distance_m / tall_m)
    roll = np.full(count, rng.normal(0, 0.01))
    if move == "hand-held":
        for axis in range(3):
            position[:, axis] += wander(rng, times_s, period_s=2.2, size=0.035)
        aim[:, 0] += wander(rng, times_s, period_s=1.6, size=0.035)
        aim[:, 1] += wander(rng, times_s, period_s=1.3, size=0.025)
        roll += wander(rng, times_s, period_s=2.0, size=0.008)
    elif move == "pan":
        swing = rng.choice([-1, 1]) * rng.uniform(0.25, 0.55)
        aim[:, 0] += swing * (ease(times_s / length_s) - 0.5)
        position[:, 0] -= 0.5 * swing * (ease(times_s / length_s) - 0.5)
    elif move == "zoom":
        start_s = rng.uniform(0.0, 0.5) * length_s
        grow = rng.choice([0.82, 0.88, 1.14, 1.22])
        focal *= 1.0 + (grow - 1.0) * ease((times_s - start_s) / (0.5 * length_s))
    elif move == "sway":
        aim[:, 0] += wander(rng, times_s, period_s=4.0, size=0.13)
        position[:, 0] += wander(rng, times_s, period_s=5.0, size=0.2)
    return Camera(position=position, rotation=look_at(position, aim, roll), focal=focal)
