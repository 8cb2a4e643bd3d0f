"""Two moments of one clip, and the like moment of another.

    time   ──────●──────▶         first: any frame that has a second
           ├──┤  ·  ├──┤          second: min_gap to max_gap away, of the same shot, another picture
    other  ─────────○───▶         as late in its file, as long after its key frame: so that neither
                                  tells a moment of another clip from one of the same

All is arithmetic on catalogue rows; frames are numbers, gaps are seconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.sample.clock import (
    frames_after_key,
    key_frame_period,
    key_frame_phases,
    picture_numbers,
    shot_numbers,
)

_TINY_S = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Where the pairs of a clip are."""

    first: NDArray[np.int64]
    """int64 [n], frames that have a second, rising."""
    before: NDArray[np.int64]
    """int64 [n, 2], the earliest and the latest second before it; latest < earliest: there is none.
    """
    after: NDArray[np.int64]
    """int64 [n, 2], the same after it."""

    def draw(self, draws: tuple[float, float]) -> tuple[int, int]:
        """Gives first and second, any first and then any of its seconds as likely as another.

        Args:
            draws: two values in [0, 1).
        """
        k = min(int(draws[0] * len(self.first)), len(self.first) - 1)
        num_before = max(0, int(self.before[k, 1] - self.before[k, 0]) + 1)
        num_after = max(0, int(self.after[k, 1] - self.after[k, 0]) + 1)
        place = min(int(draws[1] * (num_before + num_after)), num_before + num_after - 1)
        if place < num_before:
            return int(self.first[k]), int(self.before[k, 0]) + place
        return int(self.first[k]), int(self.after[k, 0]) + place - num_before


def find_moments(row: ClipRow, *, min_gap_s: float, max_gap_s: float) -> Moments:
    """Finds all pairs of frames of one shot that are so far apart and show different pictures.

    Args:
        row: the clip.
        min_gap_s: 0 or more.
        max_gap_s: at least `min_gap_s`; 0 pairs each frame with itself.
    """
    times_s, count = row.frame_times_s, row.num_frames
    own = np.arange(count, dtype=np.int64)
    if max_gap_s == 0:
        none = np.stack([own, own - 1], axis=1)
        return Moments(first=own, before=none, after=np.stack([own, own], axis=1))
    shots, shown = shot_numbers(row), picture_numbers(row)
    after = np.stack(
        [
            np.maximum(
                np.searchsorted(times_s, times_s + min_gap_s - _TINY_S),
                np.searchsorted(shown, shown, side="right"),
            ),
            np.minimum(
                np.searchsorted(times_s, times_s + max_gap_s + _TINY_S) - 1,
                np.searchsorted(shots, shots, side="right") - 1,
            ),
        ],
        axis=1,
    )
    before = np.stack(
        [
            np.maximum(
                np.searchsorted(times_s, times_s - max_gap_s - _TINY_S),
                np.searchsorted(shots, shots),
            ),
            np.minimum(
                np.searchsorted(times_s, times_s - min_gap_s + _TINY_S) - 1,
                np.searchsorted(shown, shown) - 1,
            ),
        ],
        axis=1,
    )
    usable = (after[:, 1] >= after[:, 0]) | (before[:, 1] >= before[:, 0])
    return Moments(first=own[usable], before=before[usable], after=after[usable])


def like_moment(row: ClipRow, frame: int, other: ClipRow) -> int:
    """Gives the frame of `other` that is as late in it as `frame` is in `row`.

    Of those that are as far after their key frame (or nearest to it), the one whose place, as a
    share of all frames, is nearest.
    """
    if key_frame_period(row) and key_frame_period(other):
        off = np.abs(key_frame_phases(other) - key_frame_phases(row)[frame])
        off = np.minimum(off, 1 - off)
    else:  # without a period there is no turn: frames count
        off = np.abs(frames_after_key(other) - frames_after_key(row)[frame]).astype(np.float64)
    place = (np.arange(other.num_frames) + 0.5) / other.num_frames - (frame + 0.5) / row.num_frames
    return int(np.lexsort((np.abs(place), np.round(off, 6)))[0])
