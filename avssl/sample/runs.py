"""Runs: a few frames at even steps inside one shot, for tasks that follow things through time.

shot  ├────────────────────────────┤
run      0───1───2───3                 num_frames 4, at rate_hz; span (4 - 1) / rate_hz
next      0───1───2───3                one for every frame that can be the first
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.sample.clock import motion_path, screen_times, shot_numbers


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Every run of a clip."""

    first: NDArray[np.int64]
    """int64 [num_runs]: index of the first frame, rising."""
    motion: NDArray[np.float64]
    """float64 [num_runs]: how far the picture moves, short sides; 0 where it was not measured."""


def find_runs(row: ClipRow, *, span_s: float, within_shot: bool = True) -> Runs:
    """Gives every run of a clip whose last frame is `span_s` after its first.

    Args:
        row: the clip.
        span_s: from the first time to the last, seconds.
        within_shot: both ends are of one shot.
    """
    if row.num_frames == 0:
        return Runs(first=np.zeros(0, dtype=np.int64), motion=np.zeros(0))
    times_s = screen_times(row)
    wanted_s = times_s + span_s
    first = np.flatnonzero(wanted_s <= times_s[-1] + 1e-6)
    last = np.searchsorted(row.frame_times_s, wanted_s[first] + 1e-6, side="right") - 1
    if within_shot:
        shot = shot_numbers(row)
        kept = shot[first] == shot[last]
        first, last = first[kept], last[kept]
    path = motion_path(row)
    return Runs(first=first.astype(np.int64), motion=path[last] - path[first])


def draw_run(runs: Runs, *, motion_power: float, draw: float) -> int:
    """Draws the first frame of a run, in proportion to its motion to a power (0: all alike).

    Args:
        runs: at least one.
        motion_power: runs without motion are drawn only where none has any.
        draw: one random value, from 0 to below 1.
    """
    motion = runs.motion if runs.motion.any() else np.ones(len(runs.first))
    total = np.cumsum(motion**motion_power)
    place = np.searchsorted(total, draw * total[-1], side="right")
    return int(runs.first[min(int(place), len(total) - 1)])


def run_times(row: ClipRow, first: int, *, num_frames: int, rate_hz: float) -> tuple[float, ...]:
    """Gives the times to ask for, seconds: from the first frame on, never beyond the last."""
    times_s = screen_times(row)
    asked = times_s[first] + np.arange(num_frames) / rate_hz
    return tuple(np.minimum(asked, times_s[-1]).tolist())
