"""How hidden patches could be drawn without knowing what is in the picture, and what shows it.

What helps for nothing is that pictures are smooth (content), and that bars are even (bookkeeping).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import patch_clues

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
    patches, side = _grey_patches(example)
    numbers = example.arrays["hidden"]
    row, column = np.divmod(numbers, side)
    spread = patches.std(axis=(1, 2))[numbers]
    rim = np.isin(row, (0, side - 1)) | np.isin(column, (0, side - 1))
    return float(spread[rim].mean() if rim.any() else spread.mean())


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides, as far as visible patches show them, as shares of the side.

    A dark scene that ends as sharply as a bar looks like one: of films by night the guard may be
    blamed for what they show.
    """
    frames, visible = example.arrays["frames"], example.arrays["visible"]
    side = round((len(visible) + len(example.arrays["hidden"])) ** 0.5)
    seen = np.isin(np.arange(side**2), visible).reshape(side, side)
    patch_px = frames.shape[-1] // side
    return patch_clues.letterbox(frames, seen=seen.repeat(patch_px, 0).repeat(patch_px, 1))


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
        cut_share=0.7,  # measured: 77 % (71 to 83), docs/audit.md
    ),
    Shortcut(
        name="near neighbours",
        kind="content",
        leak="Where most patches are visible, edges go on straight from one to the next.",
        guard="Three quarters are hidden, at random: few patches have a visible one on both sides.",
        probe=probe_smoothness,
        answer=upper_half,
        off={"mask_share": 0.25},
        cut_share=0.25,  # measured: 41 % (25 to 56), docs/audit.md
    ),
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Black bars of a letterbox are drawn for nothing and raise every figure.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        answer=rim_variation,
        off={"clear_of_borders": False},
    ),
)
