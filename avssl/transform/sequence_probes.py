"""Cheap numbers about pictures in an order, for the probes of the tasks on time.

Each takes (plan, example) to float64 [k] and reads the pictures in the order in which they are
shown: `frames` uint8 [..., 3, S, S] of the example; of clips, [N, 3, T, S, S], the first frame, and
where the plan's target says "as_clip", every frame of [..., 3, N, S, S].
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, FrameSpan, Plan
from avssl.transform import measure

# Far below what noise of cameras or rounding makes of two different pictures.
_SAME = 0.02


def stills(plan: Plan, example: Example) -> NDArray[np.uint8]:
    """Gives one picture for each that is shown, uint8 [N, 3, S, S]."""
    frames = example.arrays["frames"]
    if int(plan.target["clip_frames"]) > 1:  # type: ignore[arg-type]
        frames = frames[:, :, 0]
    elif plan.target.get("as_clip"):
        frames = frames.swapaxes(-4, -3)  # [..., 3, N, S, S]
    return frames.reshape(-1, *frames.shape[-3:])


def shown_times_s(plan: Plan) -> NDArray[np.float64]:
    """Gives the time at which each picture or clip that is shown begins, float64 [N]."""
    span = plan.spans[0]
    assert isinstance(span, FrameSpan)
    return np.array(span.times_s[:: int(plan.target["clip_frames"])])  # type: ignore[arg-type]


def gop_phases(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Sine and cosine of each place between key frames, and of each against the one before."""
    phases = plan.target["gop_phases"]
    assert isinstance(phases, tuple)
    turns = 2 * math.pi * np.array(phases)
    angles = np.concatenate([turns, np.diff(turns)])
    return np.concatenate([np.sin(angles), np.cos(angles)])


def place_in_file(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean time of what is shown, and how long it lasts, seconds: nothing of its order."""
    times_s = shown_times_s(plan)
    return np.array([times_s.mean(), np.ptp(times_s)])


def differences(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Differences of every pair of standardised pictures, in proportion to their mean."""
    found = measure.standardised_differences(stills(plan, example))
    return np.append(found / max(float(found.mean()), 1e-9), found.mean())


def same_pictures(plan: Plan, example: Example) -> NDArray[np.float64]:
    """For every pair: 1 if it is the same picture twice."""
    return (measure.standardised_differences(stills(plan, example)) < _SAME).astype(np.float64)


def brightness_ramp(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Each picture's mean level less that of the first, and how it rises on average."""
    levels = measure.brightness(stills(plan, example))
    return np.append(levels[1:] - levels[0], np.diff(levels).mean())


def sharpness_ramp(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Each picture's fine detail against the first's, and how it rises on average (logarithms)."""
    detail = []
    for picture in stills(plan, example):
        grey = picture.mean(axis=0, dtype=np.float32)
        detail.append(math.log(1e-3 + float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())))
    found = np.array(detail)
    return np.append(found[1:] - found[0], np.diff(found).mean())
