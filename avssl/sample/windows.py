"""Five frames a < b < c < d < e of one clip: every window in which they can be drawn.

time  ──a─────b────────c───────d─────e──▶
        └─────┘└──── span ────┘└─────┘
      least…most               least…most   "outside": |a - b| and |d - e|
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.sample.clock import (
    frames_after_key,
    key_frame_period,
    key_frames_of,
    motion_path,
    picture_numbers,
    shot_numbers,
)

# Times are sums of steps: equal ones may differ in their last digits.
_TINY = 1e-6
_LOOKED_AT = 64
_GOLDEN = 0.5 * (5**0.5 - 1)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where b can be in a clip, and from where to where the other frames can then be.

    All arrays are int64 [num_windows], indices of frames, bounds inclusive; `motion` is float64.
    """

    b: NDArray[np.int64]
    d: NDArray[np.int64]
    first_a: NDArray[np.int64]
    last_a: NDArray[np.int64]
    first_c: NDArray[np.int64]
    last_c: NDArray[np.int64]
    first_e: NDArray[np.int64]
    last_e: NDArray[np.int64]
    motion: NDArray[np.float64]
    """How far the picture moves in the window, short sides; 0 where it was not measured."""

    def ranges(self, k: int) -> list[tuple[int, int]]:
        """Gives the first and last frame that a, c and e of window `k` can be."""
        bounds = (
            (self.first_a, self.last_a),
            (self.first_c, self.last_c),
            (self.first_e, self.last_e),
        )
        return [(int(first[k]), int(last[k])) for first, last in bounds]

    def one_phase(self, row: ClipRow) -> bool:
        """Whether uneven key frames let a, c and e be equally long after them, in some window.

        Some are looked at, all over the clip. Where key frames are even, True.
        """
        looked_at = np.unique(np.linspace(0, len(self.b) - 1, _LOOKED_AT).astype(int))
        return key_frame_period(row) > 0 or any(self._alike(row, int(k)) for k in looked_at)

    def draw(self, row: ClipRow, *, power: float, value: float, one_phase: bool) -> int:
        """Gives the number of the window that `value`, from [0, 1), picks by motion to a power.

        Of uneven key frames the next that allows one phase, of a few tried all over the clip.
        """
        motion = self.motion if self.motion.any() else np.ones(len(self.b))
        total = np.cumsum(motion**power)

        def pick(value: float) -> int:
            return min(int(np.searchsorted(total, value * total[-1], side="right")), len(total) - 1)

        if one_phase and key_frame_period(row) == 0:
            for turn in range(_LOOKED_AT):
                k = pick((value + turn * _GOLDEN) % 1.0)
                if self._alike(row, k):
                    return k
        return pick(value)

    def _alike(self, row: ClipRow, k: int) -> bool:
        return len(_shared(frames_after_key(row), self.ranges(k))) > 0


def _first_at(line: NDArray, value: NDArray) -> NDArray[np.int64]:
    """Gives the first place of the rising `line` that is at `value` or above."""
    return np.searchsorted(line, value - _TINY, side="left")


def _last_at(line: NDArray, value: NDArray) -> NDArray[np.int64]:
    """Gives the last place of the rising `line` that is at `value` or below (-1: none)."""
    return np.searchsorted(line, value + _TINY, side="right") - 1


def find_windows(
    row: ClipRow,
    *,
    span: float,
    least_outside: float,
    most_outside: float,
    middle_margin: float,
    least_motion: float,
    edge_s: float,
    in_frames: bool,
    within_shot: bool,
    distinct_pictures: bool,
) -> Windows:
    """Gives every window of a clip in which all five frames can be drawn.

    Args:
        row: the clip.
        span: |b - d|; the frame d is the last one at b + span or before.
        least_outside: least |a - b| and |d - e|.
        most_outside: most |a - b| and |d - e|.
        middle_margin: least distance of c from b and from d, as a share of |b - d|.
        least_motion: least motion from a to b and from d to e, in short sides of the picture.
        edge_s: seconds that a and e stay away from the ends of the shot.
        in_frames: span and distances are numbers of frames; else seconds.
        within_shot: all five are of one shot.
        distinct_pictures: all five show different pictures.
    """
    num_frames, times_s = row.num_frames, row.frame_times_s
    frame = np.arange(num_frames)
    clock = frame.astype(np.float64) if in_frames else times_s
    shot = shot_numbers(row) if within_shot else np.zeros(num_frames, dtype=np.int64)
    picture = picture_numbers(row) if distinct_pictures else frame
    path = motion_path(row)

    # Where a clip ends before b + span, the last frame found would be too close: such b are out.
    b = frame[_first_at(clock, clock + span) < num_frames]
    d = _last_at(clock, clock[b] + span)
    b, d = b[d > b], d[d > b]
    shot_start_s = times_s[np.searchsorted(shot, shot[b], side="left")]
    shot_end_s = times_s[np.searchsorted(shot, shot[b], side="right") - 1]
    margin = middle_margin * (clock[d] - clock[b])
    bounds = {
        "b": b,
        "d": d,
        "first_a": np.maximum(
            _first_at(clock, clock[b] - most_outside), _first_at(times_s, shot_start_s + edge_s)
        ),
        "last_a": np.minimum.reduce(
            [
                _last_at(clock, clock[b] - least_outside),
                np.searchsorted(picture, picture[b], side="left") - 1,
                _last_at(path, path[b] - least_motion) if least_motion > 0 else b,
            ]
        ),
        "first_c": np.maximum(
            _first_at(clock, clock[b] + margin),
            np.searchsorted(picture, picture[b], side="right"),
        ),
        "last_c": np.minimum(
            _last_at(clock, clock[d] - margin),
            np.searchsorted(picture, picture[d], side="left") - 1,
        ),
        "first_e": np.maximum.reduce(
            [
                _first_at(clock, clock[d] + least_outside),
                np.searchsorted(picture, picture[d], side="right"),
                _first_at(path, path[d] + least_motion) if least_motion > 0 else d,
            ]
        ),
        "last_e": np.minimum(
            _last_at(clock, clock[d] + most_outside), _last_at(times_s, shot_end_s - edge_s)
        ),
    }
    valid = shot[b] == shot[d]
    for name in "ace":
        valid &= bounds[f"first_{name}"] <= bounds[f"last_{name}"]
    kept = {name: array[valid] for name, array in bounds.items()}
    return Windows(**kept, motion=path[kept["last_e"]] - path[kept["first_a"]])


def draw_alike(
    ranges: Sequence[tuple[int, int]],
    *,
    period: int,
    origin: int,
    draw: NDArray[np.float64],
) -> list[int]:
    """Draws a frame from each range (inclusive), all at one place between key frames.

    The place is drawn first, evenly from those that every range has: whichever frame is then shown,
    its place has the same distribution. Where the ranges share none, each is drawn by itself.

    Args:
        ranges: (first, last) frame of each range.
        period: frames from key frame to key frame.
        origin: a key frame.
        draw: one random value for the place, and one for each range.
    """
    places = np.arange(period)
    firsts = [first + (places + origin - first) % period for first, _ in ranges]
    shared = places[
        functools.reduce(
            np.logical_and,
            [begin <= last for begin, (_, last) in zip(firsts, ranges, strict=True)],
        )
    ]
    if len(shared):
        place = shared[int(draw[0] * len(shared))]
        firsts = [int(begin[place]) for begin in firsts]
    else:
        period, firsts = 1, [first for first, _ in ranges]
    return [
        begin + period * int(value * ((last - begin) // period + 1))
        for begin, (_, last), value in zip(firsts, ranges, draw[1:], strict=True)
    ]


def draw_at_one_phase(
    row: ClipRow, ranges: Sequence[tuple[int, int]], *, draw: NDArray[np.float64]
) -> list[int]:
    """Draws a frame from each range, all equally long after their key frames; see `draw_alike`.

    Args:
        row: the clip; its key frames may come as they like.
        ranges: (first, last) frame of each range.
        draw: one random value for the place, and one for each range.
    """
    period = key_frame_period(row)
    if period:
        keys = key_frames_of(row)
        return draw_alike(ranges, period=period, origin=int(keys[0]) if keys.size else 0, draw=draw)
    after = frames_after_key(row)
    shared = _shared(after, ranges)
    if not len(shared):
        return draw_alike(ranges, period=1, origin=0, draw=draw)
    place, found = shared[int(draw[0] * len(shared))], []
    for (first, last), value in zip(ranges, draw[1:], strict=True):
        there = first + np.flatnonzero(after[first : last + 1] == place)
        found.append(int(there[int(value * len(there))]))
    return found


def _shared(after: NDArray[np.int64], ranges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    parts = [np.unique(after[first : last + 1]) for first, last in ranges]
    return functools.reduce(np.intersect1d, parts)
