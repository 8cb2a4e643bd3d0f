"""Pictures or clips at even steps of one shot: every place where such a run can begin.

    run of 4, step 16 frames:   b         b+16      b+32      b+48
    clips of 3, 2 frames apart: ···       ···       ···       ···

What is compressed differs with its place between key frames (the GOP phase): frames just after one
are sharper. If a run's frames have different phases, their order can be read from that. So a step
is a whole number of key-frame periods where that is asked for: all frames then have one phase.

    25 frames a second, key frame every 8: step_s 0.3 → 7.5 frames → 8, one period.

Where key frames come as they like (files in place, clips with cuts), a step is as many of the
commonest gap, and of its runs those are taken whose frames are equally long after their key frames.
A clip that has none has all runs, and `Runs.one_phase` says so.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.sample.clock import (
    commonest_gap,
    frames_after_key,
    key_frame_period,
    motion_path,
    picture_numbers,
    shot_numbers,
)


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Where runs of one clip can begin."""

    first: NDArray[np.int64]
    """int64 [num_runs]: frame at which a run begins."""
    offsets: NDArray[np.int64]
    """int64 [num_clips, clip_frames]: the frames of a run, counted from its first."""
    motion: NDArray[np.float64]
    """float64 [num_runs]: how far the picture moves in a run, short sides; 0 if not measured."""
    one_phase: bool = True
    """Off: that was asked for, and the clip's key frames do not allow it."""

    def frames(self, number: int) -> NDArray[np.int64]:
        """Gives the frames of one run, int64 [num_clips, clip_frames]."""
        return self.first[number] + self.offsets

    def shares(self, power: float) -> NDArray[np.float64]:
        """Gives how likely each run is to be drawn, float64 [num_runs]: as motion to `power`.

        Where nothing moves, or nothing was measured, all are alike.
        """
        weight = self.motion if self.motion.any() else np.ones(len(self.first))
        weight = np.maximum(weight, 1e-9) ** power  # never 0: several may be asked for
        return weight / weight.sum()

    def draw(self, *, power: float, value: float) -> int:
        """Gives the number of the run that `value`, from [0, 1), picks."""
        total = np.cumsum(self.shares(power))
        return min(int(np.searchsorted(total, value * total[-1], side="right")), len(total) - 1)


def frames_in(row: ClipRow, duration_s: float, *, whole_periods: bool) -> int:
    """Gives a step in frames, at least 1.

    Args:
        row: the clip. Where its frames are not evenly spaced, the median spacing counts.
        duration_s: the step wanted.
        whole_periods: round to whole key-frame periods instead of whole frames; to whole commonest
            gaps where there is no period.
    """
    spacing_s = row.step_s
    if spacing_s <= 0:
        spacing_s = float(np.median(np.diff(row.frame_times_s))) if row.num_frames > 1 else 1.0
    unit = commonest_gap(row) if whole_periods else 1
    return unit * max(1, round(duration_s / spacing_s / unit))


def find_runs(
    row: ClipRow,
    *,
    num_clips: int,
    step_s: float,
    clip_frames: int = 1,
    clip_step_s: float = 0.0,
    match_gop_phase: bool = True,
    least_motion: float = 0.0,
    within_shot: bool = True,
    distinct_pictures: bool = True,
) -> Runs:
    """Gives every run of a clip.

    Args:
        row: the clip.
        num_clips: pictures, or clips, of a run.
        step_s: from the beginning of one to that of the next, rounded as `frames_in` does.
        clip_frames: pictures of each clip.
        clip_step_s: between those.
        match_gop_phase: all clips begin at one place between key frames, where any run does.
        least_motion: least motion from the beginning of one clip to that of the next, short sides.
        within_shot: all frames are of one shot.
        distinct_pictures: no picture is in two clips, by the catalogue's repeats and stills.
    """
    inner = frames_in(row, clip_step_s, whole_periods=False) if clip_frames > 1 else 1
    shot = shot_numbers(row) if within_shot else None
    picture = picture_numbers(row) if distinct_pictures and num_clips > 1 else None
    path = motion_path(row)

    def runs(*, whole_periods: bool, check_phase: bool) -> Runs:
        step = frames_in(row, step_s, whole_periods=whole_periods)
        offsets = np.add.outer(step * np.arange(num_clips), inner * np.arange(clip_frames))
        first = np.arange(max(0, row.num_frames - int(offsets.max())))
        starts, ends = first[:, None] + offsets[:, 0], first[:, None] + offsets[:, -1]
        valid = np.ones(len(first), dtype=bool)
        if shot is not None:
            valid &= shot[first] == shot[ends[:, -1]]
        if picture is not None:
            valid &= (picture[starts[:, 1:]] > picture[ends[:, :-1]]).all(axis=1)
        if least_motion > 0 and num_clips > 1:
            valid &= (np.diff(path[starts], axis=1) >= least_motion).all(axis=1)
        if check_phase:
            after = frames_after_key(row)[starts]
            valid &= (after == after[:, :1]).all(axis=1)
        first, ends = first[valid], ends[valid]
        return Runs(first=first, offsets=offsets, motion=path[ends[:, -1]] - path[first])

    irregular = match_gop_phase and key_frame_period(row) == 0
    found = runs(whole_periods=match_gop_phase, check_phase=irregular)
    if irregular and not len(found.first):
        return replace(runs(whole_periods=False, check_phase=False), one_phase=False)
    return found
