"""Time arithmetic on one clip: shots, pictures that really differ, and how much moved between.

Everything here reads one `ClipRow` and gives arrays over its frames; no pixel is touched.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow


def shot_numbers(row: ClipRow) -> NDArray[np.int64]:
    """Gives the number of the shot that each frame is in, int64 [num_frames], counted from 0.

    `cuts_s` are the times of the first frame after each cut; half a frame's tolerance absorbs
    rounding of times.
    """
    times_s = row.frame_times_s
    tolerance_s = 0.5 * (row.step_s if row.step_s > 0 else 1e-3)
    return np.searchsorted(np.sort(row.cuts_s), times_s + tolerance_s, side="right").astype(
        np.int64
    )


def picture_numbers(row: ClipRow) -> NDArray[np.int64]:
    """Gives each frame the number of the picture it shows, int64 [num_frames], never falling.

    A repeated frame has the number of the frame it repeats, and all frames of a still stretch share
    one: two frames show different pictures only if their numbers differ.
    """
    if row.num_frames == 0:
        return np.zeros(0, dtype=np.int64)
    changed = np.ones(row.num_frames, dtype=np.int64)
    changed[row.repeated_frames] = 0
    times_s = row.frame_times_s
    for start_s, end_s in row.still_spans_s:
        first, last = np.searchsorted(times_s, [start_s - 1e-6, end_s + 1e-6])
        changed[first + 1 : last] = 0
    changed[0] = 0
    return np.cumsum(changed)


def motion_path(row: ClipRow) -> NDArray[np.float64]:
    """Gives how far the picture has moved up to each frame, float64 [num_frames], in short sides.

    It is the integral of `row.motion` (mean flow, short sides per second) from the clip's start, so
    the difference of two entries is the motion between two frames. Zeros where none was measured.
    """
    if row.motion.size == 0 or row.window_s <= 0:
        return np.zeros(row.num_frames, dtype=np.float64)
    edges_s = row.start_s + row.window_s * np.arange(row.motion.size + 1)
    moved = np.concatenate([[0.0], np.cumsum(np.nan_to_num(row.motion) * row.window_s)])
    return np.interp(row.frame_times_s, edges_s, moved)


def key_frame_period(row: ClipRow) -> int:
    """Gives the number of frames from key frame to key frame; 1 if all are, or if irregular."""
    if row.key_frames.size < 2:
        return 1
    steps = np.diff(row.key_frames)
    return int(steps[0]) if (steps == steps[0]).all() else 1


def screen_times(row: ClipRow) -> NDArray[np.float64]:
    """Gives the middle of each frame's time on screen, float64 [num_frames], seconds.

    Asking for a frame there, and not at its first moment, no rounding can miss it.
    """
    ends_s = np.append(row.frame_times_s[1:], row.end_s)
    return 0.5 * (row.frame_times_s + ends_s)
