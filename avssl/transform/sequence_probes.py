"""Cheap numbers about pictures in an order, for the probes of the tasks on time.

Each takes (plan, example) to float64 [k] and reads the pictures in the order in which they are
shown: `frames` uint8 [..., 3, S, S] of the example; of clips, [N, 3, T, S, S], the first frame, and
where the plan's target says "as_clip", every frame of [..., 3, N, S, S]. Those named `odd_…` read
questions of several sequences, [Q, K, 3, S, S], and give each sequence's number, also against their
mean.
"""

import itertools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, FrameSpan, Plan
from avssl.transform import measure

CORNER_SHARE = 1 / 6
"""Side of what is looked at in each corner, as a share of the picture's."""
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
    """Mean time of what is shown, and how long it lasts, seconds: nothing of its order.

    Rounded: the last digit of a sum tells in which order it was made.
    """
    times_s = shown_times_s(plan)
    found: NDArray[np.float64] = np.array([times_s.mean(), np.ptp(times_s)], dtype=np.float64)
    return found.round(6)


def differences(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Differences of every pair of standardised pictures, in proportion to their mean."""
    found = measure.standardised_differences(stills(plan, example))
    return np.append(found / max(float(found.mean()), 1e-9), found.mean())


def same_pictures(plan: Plan, example: Example) -> NDArray[np.float64]:
    """For every pair: 1 if it is the same picture twice."""
    return (measure.standardised_differences(stills(plan, example)) < _SAME).astype(np.float64)


def brightness_ramp(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Each picture's mean level less that of the first, and how it rises on average."""
    return _ramp(stills(plan, example))


def sharpness_ramp(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Each picture's fine detail against the first's, and how it rises on average (logarithms)."""
    detail = []
    for picture in stills(plan, example):
        grey = picture.mean(axis=0, dtype=np.float32)
        detail.append(math.log(1e-3 + float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())))
    found = np.array(detail)
    return np.append(found[1:] - found[0], np.diff(found).mean())


def corners(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Gives the corners of pictures [..., S, S]: upper and lower left, upper and lower right."""
    px = max(1, round(CORNER_SHARE * frames.shape[-1]))
    ends = (slice(px), slice(-px, None))
    return [frames[..., rows, columns] for columns in ends for rows in ends]


def corner_ramps(plan: Plan, example: Example) -> NDArray[np.float64]:
    """As `brightness_ramp`, of each corner: clocks and counters are written there."""
    return np.concatenate([_ramp(part) for part in corners(stills(plan, example))])


def odd_differences(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much the ends of each sequence differ, in proportion to all of its pairs."""
    found = []
    for sequence in _sequences(plan, example):
        pairs = measure.standardised_differences(sequence)
        ends = pairs[len(sequence) - 2]  # (0, 1), (0, 2), … (0, K - 1), (1, 2) …
        found.append(float(ends) / max(float(pairs.mean()), 1e-9))
    return _against_mean(np.array(found))


def odd_shared(plan: Plan, example: Example) -> NDArray[np.float64]:
    """For every two places of two sequences: 1 if the same picture is at both."""
    shown = stills(plan, example)
    num = len(shown) // len(example.arrays["frames"])
    pairs = itertools.combinations(range(len(shown)), 2)
    apart = np.array([one // num != other // num for one, other in pairs])
    return same_pictures(plan, example)[apart]


def odd_brightness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the light of each sequence goes there and back again: 0 where it rises or falls."""
    return _against_mean(_returns(_sequences(plan, example)))


def odd_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """As `odd_brightness`, of each corner."""
    found = corners(_sequences(plan, example))
    return np.concatenate([_against_mean(_returns(part)) for part in found])


def _ramp(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    levels = measure.brightness(frames)
    return np.append(levels[1:] - levels[0], np.diff(levels).mean())


def _sequences(plan: Plan, example: Example) -> NDArray[np.uint8]:
    shown = stills(plan, example)
    return shown.reshape(len(example.arrays["frames"]), -1, *shown.shape[1:])


def _returns(sequences: NDArray[np.uint8]) -> NDArray[np.float64]:
    levels = np.stack([measure.brightness(one) for one in sequences])
    return np.abs(np.diff(levels, axis=1)).sum(axis=1) - np.abs(levels[:, -1] - levels[:, 0])


def _against_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values, values - values.mean()])
