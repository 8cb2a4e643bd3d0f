"""How a network could cheat on puzzles, what stops it, and numbers that show it.

The label is one of many; a probe asks the part of it that can be asked of one tile: where the tile
that is shown first comes from (`answer_first`), one of nine places.

Measured on clips of the synthetic world, which has no lens, no letterbox and no vignette (1800
samples, mean AUC of nine places, the better of logistic regression and trees; guard on, off):
letterbox 0.50, 0.50; lines 0.56, 0.59; colours 0.51, 0.53; light 0.58, 0.63. A gap of 6 px in cells
of 32 takes away a third of what lines tell, and slopes of light are left inside the tiles.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import patch_clues


def answer_first(plan: Plan, example: Example) -> int:
    """The cell that the first tile comes from."""
    order = plan.target["permutation"]
    assert isinstance(order, tuple)
    return int(order[0])


def probe_lines(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How well the best other tile goes on above, left, right and below of the first."""
    first, *others = example.arrays["frames"]
    apart = np.array([patch_clues.across(first, other) for other in others])
    best = apart[:, patch_clues.SIDES].min(axis=0)
    return np.concatenate([best, best - best.mean()])


def probe_colors(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far red and blue lie beside green in the first tile, px."""
    return patch_clues.color_shifts(example.arrays["frames"][0])


def probe_light(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean, deviation and rises of light of the first tile, and against the mean of all."""
    even = bool(plan.target["standardised"])
    numbers = np.array(
        [patch_clues.light(tile, standardised=even) for tile in example.arrays["frames"]]
    )
    return np.concatenate([numbers[0], numbers[0] - numbers.mean(axis=0)])


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides of the first tile, as shares of it."""
    return patch_clues.bars(example.arrays["frames"][0])


def probe_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far each corner of the first tile is from its colour, and how much it varies: [8].

    Against the mean of all tiles.
    """
    found = np.stack([patch_clues.corner_marks(tile) for tile in example.arrays["frames"]])
    return found[0] - found.mean(axis=0)


SHORTCUTS = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="A black bar at one side of a tile says that it is from that side of the picture.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=answer_first,
    ),
    Shortcut(
        name="lines across the border",
        kind="content",
        leak="Lines that go on from one tile to the next put them together without their content.",
        guard="Each tile lies anywhere in its cell, with a gap to its neighbours.",
        probe=probe_lines,
        off={"gap_px": 0},
        answer=answer_first,
        cut_share=0.25,  # measured: 39 % (25 to 52), docs/audit.md
    ),
    Shortcut(
        name="colours bent by the lens",
        kind="content",
        leak="Lenses shift red and blue against green outwards: that tells where a tile was.",
        guard="Part of the pictures lose their colour; each tile's colours are moved a little.",
        probe=probe_colors,
        off={"grey_probability": 0.0, "channel_jitter_px": 0},
        answer=answer_first,
    ),
    Shortcut(
        name="light that falls off",
        kind="content",
        leak="Pictures are darker towards their corners, and lit from above.",
        guard="Each tile is brought to one mean and deviation; its slopes are left.",
        probe=probe_light,
        off={"standardise": False},
        answer=answer_first,
        cut_share=0.25,  # measured: 35 % (29 to 42), docs/audit.md
    ),
    Shortcut(
        name="overlay",
        kind="content",
        leak="A clock or a logo has its corner: the tile that shows it is from there.",
        guard="None by default; `margin` leaves the edges of every picture out.",
        probe=probe_corners,
        off={"margin": 0.0},
        closes={"margin": 0.2},
        answer=answer_first,
        cut_share=0.4,  # measured: 50 % (41 to 58), docs/audit.md
    ),
)
