"""Balls that drop or are thrown in, bounce lower each time, roll and rest: movement with an arrow.

Played backwards, balls that lie still begin to roll and hop higher and higher, until they fly off.
`arrow-of-time` asks for that.

Worked example: dropped from 1.23 m, with g = 9.81 m/s² the ball hits the floor after
√(2 · 1.23 / 9.81) = 0.5 s at 4.91 m/s. With a bounce of 0.7 it leaves at 3.43 m/s, is in the air
for 2 · 3.43 / 9.81 = 0.70 s and rises to 0.60 m, then 0.49 s and 0.29 m, …
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import rotation
from avssl.world.solids import Material, SolidBuilder
from avssl.world.textures import PATTERNS, colour_of

Floats = NDArray[np.float64]
GRAVITY_M_S2 = 9.81
_LEAST_BOUNCE_M_S = 0.35  # slower, it rolls
_AWAY_M = 60.0  # along the way, far out of view: not thrown yet


@dataclass(frozen=True, kw_only=True)
class Throw:
    """How a ball comes in."""

    start_s: float
    from_m: tuple[float, float]
    """Place (along the way, height of its lowest point) at the start."""
    speed_m_s: tuple[float, float]
    """Along the way, and upwards."""
    bounce: float
    """Share of the upward speed that is left after a bounce."""
    drag: float
    """Share of the speed along the way that is left after a bounce."""
    brake_m_s2: float
    """How fast rolling slows down."""


def path_of(throw: Throw, times_s: Floats) -> tuple[Floats, Floats]:
    """Gives the way and the height of the lowest point, [T] each, m; NaN before the start."""
    way, height = np.full((2, len(times_s)), np.nan)
    at_s, (x, y) = throw.start_s, throw.from_m
    along, up = throw.speed_m_s
    while True:
        root = np.sqrt(up**2 + 2 * GRAVITY_M_S2 * y)
        flight_s = (up + root) / GRAVITY_M_S2
        since = times_s - at_s
        part = (since >= 0) & (since < flight_s)
        way[part] = x + along * since[part]
        height[part] = y + up * since[part] - 0.5 * GRAVITY_M_S2 * since[part] ** 2
        at_s, x, y = at_s + flight_s, x + along * flight_s, 0.0
        along, up = along * throw.drag, root * throw.bounce
        if up < _LEAST_BOUNCE_M_S:
            break
    rolling_s = np.clip(times_s - at_s, 0, abs(along) / throw.brake_m_s2)
    part = times_s >= at_s
    way[part] = (x + along * rolling_s - np.sign(along) * 0.5 * throw.brake_m_s2 * rolling_s**2)[
        part
    ]
    height[part] = 0.0
    return way, np.where(np.isnan(height), np.nan, np.maximum(height, 0.0))


def draw_throw(rng: np.random.Generator, *, start_s: float, middle_x: float) -> Throw:
    """Draws how a ball comes: in four of five cases it drops from above and hardly bounces.

    The others come from a side. One of them comes to rest in view, one leaves it hopping: were all
    to stay, more balls in view would be later.
    """
    side = float(rng.choice([-1.0, 1.0]))
    way = str(rng.choice(["drops", "stays", "leaves"], p=[0.8, 0.1, 0.1]))
    if way == "drops":
        return Throw(
            start_s=start_s,
            from_m=(middle_x + side * rng.uniform(0.1, 1.0), rng.uniform(2.0, 2.6)),
            speed_m_s=(rng.uniform(-0.4, 0.4), 0.0),
            bounce=rng.uniform(0.1, 0.4),
            drag=rng.uniform(0.3, 0.7),
            brake_m_s2=rng.uniform(0.5, 1.2),
        )
    fast, drag = ((1.4, 2.6), (0.6, 0.85)) if way == "stays" else ((2.4, 3.6), (0.9, 1.0))
    return Throw(
        start_s=start_s,
        from_m=(middle_x + side * rng.uniform(1.8, 2.4), rng.uniform(0.6, 1.4)),
        speed_m_s=(-side * rng.uniform(*fast), rng.uniform(0, 2)),
        bounce=rng.uniform(0.55, 0.8),
        drag=rng.uniform(*drag),
        brake_m_s2=rng.uniform(0.5, 1.2),
    )


def throw_balls(
    rng: np.random.Generator,
    builder: SolidBuilder,
    times_s: Floats,
    *,
    count: int,
    middle_x: float,
) -> None:
    """Adds `count` balls under the builder's present owner, thrown all over the clip.

    Some lie there already when it begins.
    """
    length_s = float(times_s[-1])
    starts_s = np.sort(rng.uniform(-1.5, max(length_s - 0.8, 0.0), count))
    for start_s in starts_s.tolist():
        throw = draw_throw(rng, start_s=start_s, middle_x=middle_x)
        radius_m = rng.uniform(0.09, 0.17)
        look = Material(
            colour=colour_of(rng.random(), rng.uniform(0.4, 0.95), rng.uniform(0.5, 1.0)),
            second=colour_of(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.2, 1.0)),
            pattern=int(rng.integers(1, len(PATTERNS))),
            repeats_per_m=rng.uniform(1.5, 3.0),
            shine=rng.uniform(0.0, 0.5),
        )
        way, height = path_of(throw, times_s)
        x = np.where(np.isnan(way), _AWAY_M, way)
        y = np.where(np.isnan(way), 0.0, height) + radius_m
        depth = np.full(len(times_s), rng.uniform(-0.5, 0.7))
        turn = rotation("z", -(x - throw.from_m[0]) / radius_m)
        builder.ball(radius_m, np.stack([x, y, depth], axis=-1), turn, look)
