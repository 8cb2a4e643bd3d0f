"""How a network could cheat on pictures in an order, what stops it, and numbers that show it.

Of arrow of time, odd one out, clip order and frame fill-in, which share their knobs
(`avssl.transform.sequences.SequenceKnobs`) and most of their probes
(`avssl.transform.sequence_probes`). A probe takes (plan, example) to float64 [k].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import measure
from avssl.transform import sequence_probes as probes


def probe_candidates(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Each candidate's time against the candidates' mean, and how far from it, seconds."""
    times_s = probes.shown_times_s(plan)[2:]
    away_s = times_s - times_s.mean()
    return np.concatenate([away_s, np.abs(away_s)])


def probe_trios(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far each candidate's pixels are from both ends, in proportion to all of them."""
    found = probes.stills(plan, example)
    away = np.array(
        [sum(measure.standardised_differences(found[[k, 0, 1]])[:2]) for k in range(2, len(found))]
    )
    return away / max(float(away.mean()), 1e-9)


def probe_lightness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far each candidate's brightness is from the mean of the ends'."""
    return _from_the_ends(probes.stills(plan, example))


def probe_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """As `probe_lightness`, of each corner of the picture: 4 k numbers."""
    found = probes.corners(probes.stills(plan, example))
    return np.concatenate([_from_the_ends(part) for part in found])


def _from_the_ends(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    levels = measure.brightness(frames)
    return np.abs(levels[2:] - levels[:2].mean())


def _gop_phase(leak: str) -> Shortcut:
    return Shortcut(
        name="GOP phase",
        kind="bookkeeping",
        leak=leak,
        guard="All are equally long after their key frames, in clips whose key frames allow it; in "
        "sets prepared with --gop 1 all do.",
        probe=probes.gop_phases,
        off={"match_gop_phase": False},
    )


def _repeated(leak: str) -> Shortcut:
    return Shortcut(
        name="repeated pictures",
        kind="content",
        leak=leak,
        guard="Every step shows a new picture, by the catalogue's repeats and stills.",
        probe=probes.same_pictures,
        off={"distinct_pictures": False},
    )


def _cut(leak: str, probe: Any = probes.differences) -> Shortcut:
    return Shortcut(
        name="shot cut",
        kind="content",
        leak=leak,
        guard="All pictures are of one shot.",
        probe=probe,
        off={"within_shot": False},
    )


def _difference(leak: str, probe: Any = probes.differences) -> Shortcut:
    return Shortcut(
        name="frame difference",
        kind="content",
        leak=leak,
        guard="None by default; `crop_jitter` gives each picture its own crop, which is harder.",
        probe=probe,
        off={"crop_jitter": 0.0},
        closes={"crop_jitter": 0.1},
        cut_share=0.85,  # measured: 97, 93, 89 % (86 to 100), docs/audit.md
    )


def _ramp(leak: str, probe: Any = probes.brightness_ramp) -> Shortcut:
    return Shortcut(
        name="brightness ramp",
        kind="content",
        leak=leak,
        guard="None by default; `color_per_frame` gives each picture its own `brightness`.",
        probe=probe,
        off={"brightness": 0.0, "color_per_frame": False},
        closes={"color_per_frame": True},
        cut_share=0.9,  # measured: 98, 100, 98 % (92 to 100), docs/audit.md
    )


def _overlay(leak: str, probe: Any = probes.corner_ramps) -> Shortcut:
    return Shortcut(
        name="overlay",
        kind="content",
        leak=leak,
        guard="None by default; `margin` leaves the edges of every picture out.",
        probe=probe,
        off={"margin": 0.0},
        closes={"margin": 0.2},
    )


_ORDER_OF_LIGHT = "While the light rises or falls, the order of brightness is the order of time."
_CLOCK = "A clock or counter written into a corner tells the order of pictures."

ARROW = (
    _gop_phase("Frames lose or gain sharpness from key frame to key frame: compression's arrow."),
    Shortcut(
        name="place in the file",
        kind="bookkeeping",
        leak="Were clips played backwards from elsewhere, fades and titles at the ends would tell.",
        guard="The frames are drawn before the label.",
        probe=probes.place_in_file,
        off={"drawn_before_label": False},
    ),
    Shortcut(
        name="sharpness ramp",
        kind="content",
        leak="Fine detail that rises or falls is the direction of compression, or of focusing.",
        guard="`match_gop_phase`, as far as the prepared copy's own compression goes.",
        probe=probes.sharpness_ramp,
        off={"match_gop_phase": False},
    ),
    _repeated("Frames repeated to reach a rate come in a rhythm, and rhythms have a direction."),
    _cut("What comes before a cut is longer, or calmer, than what comes after it."),
    _difference("What slows down, or speeds up, changes the picture less and less, or more."),
    _ramp("Films fade in slowly and out slowly, cameras adapt: a ramp has a usual direction."),
    _overlay("A clock or counter written into a corner runs forwards."),
)
"""Of arrow of time. Braking and acceleration themselves are what the task is about."""

ODD = (
    _gop_phase("Sharpness changes in step from key frame to key frame, but not in the odd order."),
    _repeated("Sequences that stand still, or repeat a frame, cannot be the odd one."),
    Shortcut(
        name="shared pictures",
        kind="content",
        leak="A picture that is in two sequences gives away the order of both: one does not fit.",
        guard="None by default; with `disjoint` sequences have no picture in common.",
        probe=probes.odd_shared,
        off={"disjoint": False},
        closes={"disjoint": True},
        cut_share=0.5,  # measured: 90 % (55 to 100), docs/audit.md
    ),
    _cut(
        "Where a cut is crossed and crossed back, the order is wrong: nothing has to move.",
        probes.odd_differences,
    ),
    _difference(
        "In order, the ends of a steady motion differ most; in the odd order two others do.",
        probes.odd_differences,
    ),
    _ramp(_ORDER_OF_LIGHT, probes.odd_brightness),
    _overlay(_CLOCK, probes.odd_corners),
)
"""Of odd one out."""

ORDER = (
    _gop_phase("Clips that begin ever later after a key frame can be sorted by their sharpness."),
    _repeated("Where pictures repeat, which clips are neighbours is seen without motion."),
    _cut("Clips before and after a cut fall into two groups."),
    _difference("Neighbours in time differ least: pixels give the order up to its direction."),
    _ramp(_ORDER_OF_LIGHT),
    _overlay(_CLOCK),
)
"""Of clip order."""

FILL_IN = (
    Shortcut(
        name="candidates alone",
        kind="bookkeeping",
        leak="Wrong candidates on both sides make the answer the middle one of them all.",
        guard="Candidates are drawn before the answer, each with ends of its own.",
        probe=probe_candidates,
        off={"candidates_before_label": False},
    ),
    _gop_phase("The candidate whose place between key frames fits that of the ends is the answer."),
    _repeated("A frame that is shown again tells who its neighbours are."),
    _cut("Ends before a cut and candidates behind it fall into two groups.", probe_trios),
    _difference(
        "The middle is the candidate that differs least from both ends, pixel by pixel.",
        probe_trios,
    ),
    _ramp(
        "While the light rises or falls, the answer is as bright as the ends on average.",
        probe_lightness,
    ),
    _overlay("A clock in a corner says which candidate is between the ends.", probe_corners),
)
"""Of frame fill-in."""
