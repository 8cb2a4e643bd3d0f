"""How a network could cheat on pairs of patches, what stops it, and numbers that show it.

A probe takes (plan, example) to float64 [k]; the label is that of the task, one of eight.

Measured on clips of the synthetic world, which has no lens, no letterbox and no vignette (1800
samples of the small recipe, mean AUC of eight places, the better of logistic regression and trees;
guard on, off): letterbox 0.50, 0.50; lines 0.58, 0.68; colours 0.51, 0.52; light 0.56, 0.60. What
is left of light are the slopes inside the patches, which mean and deviation leave as they are.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import patch_clues


def probe_lines(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How badly the second patch goes on where the first ends, for each of the eight places."""
    first, second = example.arrays["frames"]
    apart = patch_clues.across(first, second)
    return apart - apart.mean()


def probe_colors(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far red and blue lie beside green in each patch, px."""
    return np.concatenate([patch_clues.color_shifts(patch) for patch in example.arrays["frames"]])


def probe_light(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean, deviation and rises of light of each patch as the network meets it, and the step."""
    even = bool(plan.target["standardised"])
    first, second = (
        patch_clues.light(patch, standardised=even) for patch in example.arrays["frames"]
    )
    return np.concatenate([first, second, second[:2] - first[:2]])


def probe_place(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Where the first patch of a pair lies in the picture, px; of cells always the middle."""
    first = plan.target.get("first_px", (0, 0))
    return np.array(first, dtype=np.float64)


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides of each patch, as shares of it."""
    return np.concatenate([patch_clues.bars(patch) for patch in example.arrays["frames"]])


SHORTCUTS = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="A black bar at one side of a patch says that it is from that side of the picture.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
    ),
    Shortcut(
        name="place in the picture",
        kind="bookkeeping",
        leak="A first patch near the left edge has its neighbour to the right more often.",
        guard="The first patch is the middle one, or lies where all eight neighbours would fit.",
        probe=probe_place,
        off={"layout": "pairs", "room_for_all": False},
    ),
    Shortcut(
        name="lines across the border",
        kind="content",
        leak="A line that goes on from one patch to the next tells on which side it lies.",
        guard="A gap between the patches, and an own shift of each.",
        probe=probe_lines,
        off={"gap_px": 0, "jitter_px": 0},
        cut_share=0.6,  # measured: 66 % (60 to 71), docs/audit.md
    ),
    Shortcut(
        name="colours bent by the lens",
        kind="content",
        leak="Lenses shift red and blue against green outwards: that tells where a patch was.",
        guard="Each patch keeps one channel only, or green against magenta is taken out.",
        probe=probe_colors,
        off={"color": "keep"},
    ),
    Shortcut(
        name="light that falls off",
        kind="content",
        leak="Pictures are darker towards their corners, and lit from above.",
        guard="Each patch is brought to one mean and deviation; its slopes are left.",
        probe=probe_light,
        off={"standardise": False},
        cut_share=0.15,  # measured: 25 % (18 to 32), docs/audit.md
    ),
)
