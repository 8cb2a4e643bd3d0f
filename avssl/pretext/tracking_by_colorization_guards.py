"""How a grey frame could be coloured without following anything, and numbers that show it.

A probe takes (plan, example) to float64 [k]; see `avssl.records.Shortcut`. Colours are numbers of
the palette, asked for on a x a places.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import measure, patch_clues

_SAME = 0.02
"""Standardised difference below which two pictures are the same one."""


def middle_color(plan: Plan, example: Example) -> int:
    """The colour that is asked for in the middle of the last frame."""
    colors = example.arrays["colors"]
    middle = colors.shape[1] // 2
    return int(colors[-1, middle, middle])


def edge_colors(plan: Plan, example: Example) -> NDArray[np.int64]:
    """The colours asked for halfway along the last frame's left, top, right and bottom, [4]."""
    last = example.arrays["colors"][-1].astype(np.int64)
    middle = len(last) // 2
    return np.array([last[middle, 0], last[0, middle], last[middle, -1], last[-1, middle]])


def stays(plan: Plan, example: Example) -> int:
    """1 if the middle of the last frame has the colour of the same place in the frame before."""
    colors = example.arrays["colors"]
    middle = colors.shape[1] // 2
    return int(colors[-1, middle, middle] == colors[-2, middle, middle])


def probe_same_place(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Which colour the frame before has at the middle place: one number each for 16 and more."""
    colors = example.arrays["colors"]
    middle = colors.shape[1] // 2
    return (colors[-2, middle, middle] == np.arange(16)).astype(np.float64)


def probe_channels(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How the channels differ in the middle of the last frame: (R - G, B - G), levels."""
    shown = example.arrays["shown"][-1].astype(np.float64)
    at, reach = shown.shape[1] // 2, max(1, shown.shape[1] // 16)
    part = shown[:, at - reach : at + reach, at - reach : at + reach].mean(axis=(1, 2))
    part = np.broadcast_to(part, (3,))
    return np.array([part[0] - part[1], part[2] - part[1]])


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the left, top, right and bottom of the last frame, a line each: [4, 1].

    A dark scene that ends as sharply as a bar looks like one: of films by night the guard may be
    blamed for what they show.
    """
    return patch_clues.letterbox(example.arrays["shown"][-1])[:, None]


def probe_change(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much the picture changes to the last frame, and whether it is the same again."""
    apart = float(measure.standardised_differences(example.arrays["shown"][-2:])[0])
    return np.array([apart, float(apart < _SAME)])


SHORTCUTS = (
    Shortcut(
        name="same place",
        kind="content",
        leak="What stands still has the colour of the same place; zeros around a map tell it.",
        guard="Each frame is cut out a little differently.",
        probe=probe_same_place,
        off={"crop_jitter": 0.0},
        answer=middle_color,
        cut_share=0.25,  # measured: 32 % (29 to 35), docs/audit.md
    ),
    Shortcut(
        name="colour in the input",
        kind="bookkeeping",
        leak="A network that sees the last frame's colour need not look for it.",
        guard="All frames are lightness alone.",
        probe=probe_channels,
        off={"grey": False},
        answer=middle_color,
    ),
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Black bars of a letterbox have one colour, and are coloured without being followed.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=edge_colors,
    ),
    Shortcut(
        name="shot cut",
        kind="content",
        leak="Across a cut there is nothing to point at: what is asked then is luck.",
        guard="All frames are of one shot.",
        probe=probe_change,
        off={"within_shot": False},
        answer=stays,
    ),
    Shortcut(
        name="repeated pictures",
        kind="content",
        leak="Where a picture stands still or is shown again, copying it colours all of it.",
        guard="None that is sure; `motion_power` draws runs in proportion to their motion.",
        probe=probe_change,
        off={"motion_power": 0.0},
        closes={"motion_power": 1.0},
        answer=stays,
    ),
)
