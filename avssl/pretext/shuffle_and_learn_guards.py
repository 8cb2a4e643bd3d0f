"""How a network could cheat on triplets of frames, what stops it, and numbers that show it.

A probe takes (plan, example) to float64 [k]. A linear model on it must not tell the classes
apart where the guard is on ("bookkeeping"), or shows how much the pixels give away ("content").
"""

import math

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, FrameSpan, Plan, Shortcut
from avssl.transform import measure


def probe_ends(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Times of the first and the last frame shown, and between them, seconds."""
    times_s = _triplet_times_s(plan)
    return np.array([min(times_s[0], times_s[2]), abs(times_s[2] - times_s[0])])


def probe_gop_phase(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Sine and cosine of the middle frame's place between key frames, and against the ends'."""
    phases = plan.target["gop_phases"]
    assert isinstance(phases, tuple)
    first, middle, last = (2 * math.pi * phase for phase in phases)
    angles = (middle, middle - first, middle - last)
    return np.array([turn(angle) for angle in angles for turn in (math.sin, math.cos)])


def probe_differences(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Differences of standardised pictures, in a form that ignores reversal in time."""
    ends, near, far = _differences(example)
    return np.array([ends, near, far, near - ends, far - ends])


def probe_same_picture(plan: Plan, example: Example) -> NDArray[np.float64]:
    """1 if the middle picture is one of the ends again."""
    return np.array([float(_differences(example)[1] < 0.02)])


def probe_brightness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the middle's brightness lies outside that of the ends, and from their mean."""
    first, middle, last = measure.brightness(_stills(example))
    outside = max(0.0, middle - max(first, last), min(first, last) - middle)
    return np.array([outside, abs(middle - (first + last) / 2), abs(first - last)])


def probe_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """As `probe_brightness`, for a sixth of the side in each corner of the picture: 4 x 3."""
    stills = _stills(example)
    px = max(1, stills.shape[-1] // 6)
    found = []
    for rows in (slice(px), slice(-px, None)):
        for columns in (slice(px), slice(-px, None)):
            first, middle, last = measure.brightness(stills[:, :, rows, columns])
            outside = max(0.0, middle - max(first, last), min(first, last) - middle)
            found += [outside, abs(middle - (first + last) / 2), abs(first - last)]
    return np.array(found)


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


SHORTCUTS = (
    Shortcut(
        name="end frames",
        kind="bookkeeping",
        leak="If the ends of negatives were closer together, they alone would tell.",
        guard="b and d are drawn before the label: one distribution for both classes.",
        probe=probe_ends,
        off={"shared_ends": False},
    ),
    Shortcut(
        name="GOP phase",
        kind="bookkeeping",
        leak="Frames after a key frame are sharper; c, a and e could differ in their place.",
        guard="The middle frame's place between key frames is drawn before the label.",
        probe=probe_gop_phase,
        off={"match_gop_phase": False},
    ),
    Shortcut(
        name="repeated pictures",
        kind="content",
        leak="Where frames are repeated or stand still, a negative's middle equals an end.",
        guard="All five frames show different pictures, by the catalogue's repeats and stills.",
        probe=probe_same_picture,
        off={"distinct_pictures": False},
    ),
    Shortcut(
        name="shot cut",
        kind="content",
        leak="Across a cut the odd picture out is seen without looking at motion.",
        guard="All five frames are of one shot.",
        probe=probe_differences,
        off={"within_shot": False},
    ),
    Shortcut(
        name="frame difference",
        kind="content",
        leak="The middle of a steady motion is closer to both ends than a frame from outside.",
        guard="None by default; `crop_jitter` gives each frame its own crop, which is harder.",
        probe=probe_differences,
        off={"crop_jitter": 0.0},
        closes={"crop_jitter": 0.1},
        cut_share=0.75,  # measured: 94 % (88 to 100), 85 % (74 to 95), docs/audit.md
    ),
    Shortcut(
        name="brightness ramp",
        kind="content",
        leak="While the light rises or falls, the order of brightness is the order of time.",
        guard="Own brightness for each frame (`brightness` with `color_per_frame`).",
        probe=probe_brightness,
        off={"brightness": 0.0, "color_per_frame": False},
        closes={"color_per_frame": True},
        cut_share=0.9,  # measured: 100 % (97 to 100), docs/audit.md
    ),
    Shortcut(
        name="overlay",
        kind="content",
        leak="A clock or counter written into a corner tells the order of frames.",
        guard="None by default; `margin` leaves the edges of every picture out.",
        probe=probe_corners,
        off={"margin": 0.0},
        closes={"margin": 0.2},
    ),
)
