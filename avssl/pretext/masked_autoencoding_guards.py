"""How hidden patches could be drawn without knowing what is in the picture, and what shows it.

Nothing can tell a patch that it does not see what is in it, so there is no bookkeeping here: what
helps for nothing is that pictures are smooth, and that bars are even.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut

_REACH = 1.0
"""Distance, in patches, at which a visible patch counts e^-½ as much as one right there."""
_FLAT = 1e-3


def _grey_patches(example: Example) -> tuple[NDArray[np.float64], int]:
    """Gives grey levels 0–1 of all patches, [N, p, p], and the patches along a side."""
    grey = example.arrays["frames"].mean(axis=0, dtype=np.float64) / 255
    side = round((len(example.arrays["visible"]) + len(example.arrays["hidden"])) ** 0.5)
    patch_px = len(grey) // side
    cut = grey.reshape(side, patch_px, side, patch_px).transpose(0, 2, 1, 3)
    return cut.reshape(side**2, patch_px, patch_px), side


def asked_patch(example: Example) -> int:
    """Gives the number of the patch that the probes ask for: the middle one of the hidden."""
    hidden = example.arrays["hidden"]
    return int(hidden[len(hidden) // 2])


def upper_half(plan: Plan, example: Example) -> float:
    """Gives how bright the upper half of a hidden patch is, in the units that are asked for."""
    patch = _grey_patches(example)[0][asked_patch(example)]
    bright = float(patch[: max(1, len(patch) // 2)].mean())
    if not plan.target["normalise_patches"]:
        return bright
    return (bright - float(patch.mean())) / (float(patch.std()) + _FLAT)


def probe_smoothness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """What the visible patches around say by distance: brightness there, and how it falls."""
    patches, side = _grey_patches(example)
    visible: Any = example.arrays["visible"]
    bright = patches.mean(axis=(1, 2))[visible]
    row, column = np.divmod(visible, side)
    at_row, at_column = divmod(asked_patch(example), side)
    found = []
    for above in (-0.25, 0.25):  # middles of the patch's halves
        far = (row - at_row - above) ** 2 + (column - at_column) ** 2
        weight = np.exp(-(far - far.min()) / (2 * _REACH**2))
        found.append(float(weight @ bright / weight.sum()))
    return np.array([found[0], found[0] - found[1]])


def rim_variation(plan: Plan, example: Example) -> float:
    """Gives how much the hidden patches at the picture's rim vary, levels 0–1."""
    return _at_rim(example, "hidden", [slice(None)])[0]


def probe_rim(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much the visible patches at the rim vary: left, top, right, bottom."""
    return np.array(_at_rim(example, "visible", [0, 1, 2, 3]))


def _at_rim(example: Example, kind: str, sides: list[Any]) -> list[float]:
    patches, side = _grey_patches(example)
    numbers = example.arrays[kind]
    row, column = np.divmod(numbers, side)
    edges = np.stack([column == 0, row == 0, column == side - 1, row == side - 1])
    spread = patches.std(axis=(1, 2))[numbers]
    found = []
    for which in sides:
        there = np.atleast_2d(edges[which]).any(axis=0)
        found.append(float(spread[there].mean() if there.any() else spread.mean()))
    return found


SHORTCUTS = (
    Shortcut(
        name="smooth filling",
        kind="content",
        leak="A patch is about as bright as those around it: filling in smoothly explains most of "
        "the squared error, and needs no idea of what is shown.",
        guard="Patches are asked for less their own mean, over their own deviation.",
        probe=probe_smoothness,
        answer=upper_half,
        off={"normalise_patches": False},
    ),
    Shortcut(
        name="near neighbours",
        kind="content",
        leak="Where most patches are visible, edges go on straight from one to the next.",
        guard="Three quarters are hidden, at random: few patches have a visible one on both sides.",
        probe=probe_smoothness,
        answer=upper_half,
        off={"mask_share": 0.25},
    ),
    Shortcut(
        name="still bars",
        kind="content",
        leak="Black bars of a letterbox are drawn for nothing and raise every figure.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_rim,
        answer=rim_variation,
        off={"clear_of_borders": False},
    ),
)
