"""How a network could fill holes without knowing what is in the picture, and numbers that show it.

A probe sees what the network sees; `answer` is the hole's brightness, or how much varies in it.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import patch_clues
from avssl.transform.holes import grown

_RIM_PX = 2


def _grey(example: Example) -> NDArray[np.float64]:
    return example.arrays["frames"].astype(np.float64).mean(axis=0)


def hole_brightness(plan: Plan, example: Example) -> float:
    """Mean level of the hole's pixels."""
    return float(_grey(example)[example.arrays["asked"][0] == 1].mean())


def hole_deviation(plan: Plan, example: Example) -> float:
    """Standard deviation of the hole's pixels, in levels."""
    return float(_grey(example)[example.arrays["asked"][0] == 1].std())


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides, as far as they are seen, as shares of the side.

    A dark scene that ends as sharply as a bar looks like one: of films by night the guard may be
    blamed for what they show.
    """
    return patch_clues.letterbox(example.arrays["frames"], seen=example.arrays["hidden"][0] == 0)


def probe_rim(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean and deviation of what is seen within 2 px of the hidden places, and of all that is."""
    grey, hidden = _grey(example), example.arrays["hidden"][0]
    rim, seen = (grown(hidden, _RIM_PX) > hidden), hidden == 0
    parts = [grey[part] if part.any() else np.zeros(1) for part in (rim, seen)]
    return np.array([number for part in parts for number in (part.mean(), part.std())])


def probe_place(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Where the hole lies: its centre's row and column, its extent, and how much is hidden."""
    hidden = example.arrays["hidden"][0]
    rows, columns = np.nonzero(hidden)
    return np.array([rows.mean(), columns.mean(), rows.std(), columns.std(), hidden.mean()]) / len(
        hidden
    )


SHORTCUTS = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Black bars of a letterbox are drawn on for nothing and raise every figure.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=hole_deviation,
    ),
    Shortcut(
        name="the same hole",
        kind="content",
        leak="Of a hole that is always in the middle the network learns its rim and what mostly "
        "stands in the middle.",
        guard="Regions of no fixed shape or place; where they lie does not depend on the picture.",
        probe=probe_place,
        off={"mask": "centre"},
        answer=hole_brightness,
    ),
    Shortcut(
        name="texture goes on",
        kind="content",
        leak="Colours, lines and a codec's blocks go on from the rim into the hole: the nearest "
        "pixels tell much without anything being known.",
        guard="None by default, as in the paper, whose seam has to fit (`overlap_px`); `margin_px` "
        "hides a strip around the hole that is not asked for, so the rim is farther away. The "
        "score interpolation_explained says what the rim alone tells.",
        probe=probe_rim,
        off={"margin_px": 0},
        closes={"margin_px": 4, "overlap_px": 0},
        answer=hole_brightness,
    ),
)
