"""How a network could colour pictures without knowing what is in them, and numbers that show it.

A probe looks at the grey picture alone, as the network does; `answer` is what it must not tell.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import patch_clues

_LUMA = np.array([0.299, 0.587, 0.114])
_BLOCK_PX = 8


def _grey(example: Example) -> NDArray[np.float64]:
    return np.tensordot(_LUMA, example.arrays["frames"].astype(np.float64), axes=1)


def colorfulness(plan: Plan, example: Example) -> float:
    """Mean of the largest less the smallest channel, in levels of 255: 0 of a grey picture."""
    frames = example.arrays["frames"].astype(np.int64)
    return float((frames.max(axis=0) - frames.min(axis=0)).mean())


def block_colors(plan: Plan, example: Example) -> float:
    """How much larger the steps of red − blue are on the best grid of 8 px than elsewhere."""
    frames = example.arrays["frames"].astype(np.float64)
    return float(_grid_phases(frames[0] - frames[2]).max())


def fringe_colors(plan: Plan, example: Example) -> float:
    """Red − blue times the grey slope away from the middle: the width of a lens's fringes."""
    frames = example.arrays["frames"].astype(np.float64)
    return float((_outward_slope(frames[0] - frames[2]) * _outward_slope(_grey(example))).mean())


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides, as shares of the side; what lies between is not looked at.

    A dark scene that ends as sharply as a bar looks like one: of films by night the guard may be
    blamed for what they show.
    """
    return patch_clues.letterbox(example.arrays["frames"])


def probe_light(plan: Plan, example: Example) -> NDArray[np.float64]:
    """The grey picture's mean, deviation, darkest and lightest tenth, and grain, in levels."""
    grey = _grey(example)
    grain = np.abs(np.diff(grey, axis=1)).mean()
    return np.array([grey.mean(), grey.std(), *np.quantile(grey, (0.1, 0.9)), grain])


def probe_blocks(plan: Plan, example: Example) -> NDArray[np.float64]:
    """For each phase of a grid of 8 px, how much larger the grey steps on it are, sorted."""
    return np.sort(_grid_phases(_grey(example)))


def probe_fringes(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Size and sign of the grey slope away from the middle, and of the slope along circles."""
    grey = _grey(example)
    outward = _outward_slope(grey)
    return np.array([outward.mean(), np.abs(outward).mean(), np.abs(np.diff(grey, axis=0)).mean()])


def _grid_phases(values: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.abs(np.diff(values, axis=1)).mean(axis=0)
    means = np.array([steps[phase::_BLOCK_PX].mean() for phase in range(_BLOCK_PX)])
    return means / (steps.mean() + 1e-6)


def _outward_slope(values: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = values.shape
    down, across = np.gradient(values)
    y, x = np.mgrid[:height, :width] + 0.5
    y, x = y - height / 2, x - width / 2
    return (down * y + across * x) / np.hypot(y, x)


SHORTCUTS = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Black or tinted bars of a letterbox are coloured for nothing and raise every figure.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=colorfulness,
    ),
    Shortcut(
        name="grey sources",
        kind="content",
        leak="Of black-and-white video nothing can be learned; the film's look says: answer grey.",
        guard="Pictures with next to no colour have weight 0, in the loss and in the figures.",
        probe=probe_light,
        off={"least_color_levels": 0.0},
        answer=colorfulness,
    ),
    Shortcut(
        name="block edges",
        kind="content",
        leak="Codecs store colour in blocks, at half the resolution: edges of blocks in the grey "
        "picture tell where the colour may change.",
        guard="The crop's size is drawn, so blocks have no fixed size or place after scaling, and "
        "the answer is the mean colour of squares of answer_stride px.",
        probe=probe_blocks,
        off={"crop_scale": (1.0, 1.0)},
        answer=block_colors,
    ),
    Shortcut(
        name="colour fringes",
        kind="content",
        leak="Lenses bend colours apart, more so away from the middle: an edge's colour tells "
        "only where it lies.",
        guard="The crop's place is drawn and half of them are mirrored, and fringes are narrower "
        "than the squares of answer_stride px whose mean colour is asked for.",
        probe=probe_fringes,
        off={"crop_scale": (1.0, 1.0), "flip": False},
        answer=fringe_colors,
    ),
)
