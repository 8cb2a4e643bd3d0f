"""Time arithmetic on one clip: shots, key frames, pictures that really differ, how much moved.

Everything here reads one `ClipRow` and gives arrays over its frames; no pixel is touched.
"""

import functools
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow

_HALF_WAY = 25.0
"""Frames after an irregular key frame that count as half of the way to the next [ours]."""


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


@functools.lru_cache(maxsize=4096)  # to read an index of an hour takes a while
def key_frames_of(row: ClipRow) -> NDArray[np.int64]:
    """Gives the frames from which decoding can start, int64 [k], rising; none where nobody knows.

    The row lists them where it lists packets; of other files that lie in place the index knows.
    """
    if row.key_frames.size or not row.video_index:
        return np.sort(row.key_frames)
    from avssl.decode.index import VideoIndex

    return VideoIndex.from_bytes(row.video_index).key_frames


@functools.lru_cache(maxsize=4096)
def key_frame_period(row: ClipRow) -> int:
    """Gives the number of frames from key frame to key frame; 1 if all are, 0 if irregular.

    The last stretch may be shorter. One key frame with others after it is irregular: of a clip that
    is one stretch nobody knows when the next would come. Where none is known, 1.
    """
    keys = key_frames_of(row)
    if not keys.size:
        return 1
    steps = np.diff(keys)
    rest = row.num_frames - int(keys[-1])
    if not steps.size:
        return 1 if rest == 1 else 0
    period = int(steps[0])
    regular = (steps == period).all() and rest <= period and int(keys[0]) < period
    return period if regular else 0


def commonest_gap(row: ClipRow) -> int:
    """Gives the period, or the gap that most key frames have to the next (the smallest such)."""
    if period := key_frame_period(row):
        return period
    gaps, counts = np.unique(np.diff(key_frames_of(row)), return_counts=True)
    return int(gaps[counts.argmax()]) if gaps.size else 1


@functools.lru_cache(maxsize=256)
def frames_after_key(row: ClipRow) -> NDArray[np.int64]:
    """Gives how many frames each is after its key frame, int64 [num_frames].

    Frames before the first key frame are counted as if the period went on to the left, or, where it
    is irregular, as if the first frame were one. Zeros where no key frame is known.
    """
    frame = np.arange(row.num_frames)
    keys, period = key_frames_of(row), key_frame_period(row)
    if period:
        return (frame - int(keys[0])) % period if keys.size else np.zeros_like(frame)
    keys = np.union1d(keys, [0])
    return frame - keys[np.searchsorted(keys, frame, side="right") - 1]


@functools.lru_cache(maxsize=256)
def key_frame_phases(row: ClipRow) -> NDArray[np.float64]:
    """Gives how far each frame is after its key frame, float64 [num_frames], 0 to below 1.

    As a share of the period. Where that is irregular, n frames are n / (n + 25): the first few,
    where sharpness changes most, are far apart, and clips can be compared.
    """
    after = frames_after_key(row).astype(np.float64)
    return after / (key_frame_period(row) or after + _HALF_WAY)


def leave_out(rows: Sequence[int], uneven: Collection[int]) -> list[int]:
    """Gives the rows without those whose pictures cannot be shown at one phase.

    Where these are more than half of all clips, all stay: `uneven_remark` and the audit say what
    that means.

    Args:
        rows: of the catalogue, each as often as it is drawn.
        uneven: those of them whose key frames do not allow it.
    """
    if 2 * len(uneven) > len(set(rows)):
        return list(rows)
    return [row for row in rows if row not in uneven]


def uneven_remark(rows: Sequence[int], uneven: Collection[int]) -> str:
    """Gives what a report must say of clips such as `leave_out` leaves out; "" if there is none."""
    num, total = len(uneven), len(set(rows))
    if not num:
        return ""
    what = (
        f"key frames of {num} of {total} clips lie so that pictures cannot be shown at one place "
        "between them: "
    )
    if 2 * num > total:
        return what + "compression may tell their order; prepare with --gop 1"
    return what + "these clips are left out; prepare with --gop 1 to use them"


def screen_times(row: ClipRow) -> NDArray[np.float64]:
    """Gives the middle of each frame's time on screen, float64 [num_frames], seconds.

    Asking for a frame there, and not at its first moment, no rounding can miss it.
    """
    ends_s = np.append(row.frame_times_s[1:], row.end_s)
    return 0.5 * (row.frame_times_s + ends_s)
