"""Cheap numbers about a triplet that would show a way to cheat: plan, example → float64 [k].

A linear model on them must not tell the classes apart where the guard is on ("bookkeeping"), or
shows how much the pixels give away ("content").
"""

import math

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, FrameSpan, Plan
from avssl.transform import measure


def ends(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Times of the first and the last frame shown, and between them, seconds."""
    times_s = _triplet_times_s(plan)
    return np.array([min(times_s[0], times_s[2]), abs(times_s[2] - times_s[0])])


def gop_phase(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Sine and cosine of the middle frame's place between key frames, and against the ends'."""
    phases = plan.target["gop_phases"]
    assert isinstance(phases, tuple)
    first, middle, last = (2 * math.pi * phase for phase in phases)
    angles = (middle, middle - first, middle - last)
    return np.array([turn(angle) for angle in angles for turn in (math.sin, math.cos)])


def differences(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Differences of standardised pictures, in a form that ignores reversal in time."""
    ends, near, far = _differences(example)
    return np.array([ends, near, far, near - ends, far - ends])


def same_picture(plan: Plan, example: Example) -> NDArray[np.float64]:
    """1 if the middle picture is one of the ends again."""
    return np.array([float(_differences(example)[1] < 0.02)])


def brightness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the middle's brightness lies outside that of the ends, and from their mean."""
    first, middle, last = measure.brightness(_stills(example))
    outside = max(0.0, middle - max(first, last), min(first, last) - middle)
    return np.array([outside, abs(middle - (first + last) / 2), abs(first - last)])


def _triplet_times_s(plan: Plan) -> NDArray[np.float64]:
    span = plan.spans[0]
    assert isinstance(span, FrameSpan)
    num_clip_frames = int(plan.target["clip_frames"])  # type: ignore[arg-type]
    return np.array(span.times_s[: 3 * num_clip_frames : num_clip_frames])


def _stills(example: Example) -> NDArray[np.uint8]:
    frames = example.arrays["frames"]
    return frames if frames.ndim == 4 else frames[:, :, 0]


def _differences(example: Example) -> tuple[float, float, float]:
    first_middle, ends, middle_last = measure.standardised_differences(_stills(example))
    return ends, min(first_middle, middle_last), max(first_middle, middle_last)
