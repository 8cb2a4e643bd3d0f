"""From a time to a frame: the one rule, for every back end.

A frame is shown from its own time up to the next frame's; the last one for its own duration. So
the frame at time t is the last one whose time is ≤ t:

    frames        0        1        2        3
    times_s       1.0      1.5      2.0      3.0    end_s 3.5
    t = 1.49 → 0     t = 1.5 → 1     t = 2.9 → 2     t = 3.49 → 3     t = 3.5 → outside
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

Edge = Literal["raise", "clamp"]

TIME_TOLERANCE_S = 1e-6
"""Times closer than this are one time: k / rate and ticks × time base differ in the last bits."""


def frame_indices(
    times_s: Sequence[float] | NDArray[np.floating],
    *,
    frame_times_s: NDArray[np.float64],
    end_s: float,
    edge: Edge = "raise",
    name: str = "video",
) -> NDArray[np.int64]:
    """Gives for each time the index of the last frame with time ≤ t, as int64 [T].

    Args:
        times_s: times asked for, in any order.
        frame_times_s: float64 [num_frames], ascending.
        end_s: end of the last frame.
        edge: "raise" refuses a time outside [first frame, end_s); "clamp" takes the nearest frame.
        name: what to call the video in the message.

    Raises:
        InputError: a time is outside and `edge` is "raise", or is not a number.
    """
    if edge not in ("raise", "clamp"):
        raise InputError(f"edge {edge!r}: must be 'raise' or 'clamp'")
    wanted = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    if wanted.ndim != 1 or not np.isfinite(wanted).all():
        raise InputError(f"{name}: times must be a list of finite seconds, got {times_s!r}")
    num_frames = len(frame_times_s)
    if num_frames == 0:
        raise InputError(f"{name}: has no frame that decodes")
    if edge == "raise" and len(wanted):
        first_s = float(frame_times_s[0])
        low_s, high_s = first_s - TIME_TOLERANCE_S, end_s - TIME_TOLERANCE_S
        if wanted.min() < low_s or wanted.max() >= high_s:
            outside = (wanted < low_s) | (wanted >= high_s)
            # A last frame shorter than the tolerance still counts as inside at its own time.
            outside &= np.abs(wanted - frame_times_s[-1]) > TIME_TOLERANCE_S
        else:
            outside = None
        if outside is not None and outside.any():
            raise InputError(
                f"{name}: no frame at {wanted[outside][0]:.6f} s; frames cover "
                f"[{first_s:.6f}, {end_s:.6f}) s; ask inside it or with edge='clamp'"
            )
    found = np.searchsorted(frame_times_s, wanted + TIME_TOLERANCE_S, side="right") - 1
    return np.minimum(np.maximum(found, 0), num_frames - 1)


def check_indices(
    indices: Sequence[int] | NDArray[np.integer], *, num_frames: int, name: str = "video"
) -> NDArray[np.int64]:
    """Gives frame indices as int64 [T]; negative ones count from the end.

    Raises:
        InputError: an index is outside [-num_frames, num_frames).
    """
    wanted = np.atleast_1d(np.asarray(indices))
    if wanted.size and not np.issubdtype(wanted.dtype, np.integer):
        raise InputError(f"{name}: frame indices must be whole numbers, got {indices!r}")
    wanted = wanted.astype(np.int64)
    outside = (wanted < -num_frames) | (wanted >= num_frames)
    if outside.any():
        raise InputError(
            f"{name}: no frame {wanted[outside][0]}; it has {num_frames} frames that decode"
        )
    return np.where(wanted < 0, wanted + num_frames, wanted)


def frame_durations(
    frame_times_s: NDArray[np.float64], *, last_frame_s: float
) -> NDArray[np.float64]:
    """Gives how long each frame is shown, float64 [num_frames]."""
    return np.append(np.diff(frame_times_s), [last_frame_s] * min(1, len(frame_times_s)))
