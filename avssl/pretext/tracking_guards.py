"""How a network could come home without following anything, and numbers that show it."""

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut

_BLUR = 0.5
"""Share of a picture's side that the blur of `probe_padding` reaches to each side."""


def _number(plan: Plan, name: str) -> int:
    value = plan.target[name]
    assert isinstance(value, int)
    return value


def is_rim(plan: Plan, example: Example) -> int:
    """1 if the node that was drawn for the audit lies at the rim of the grid."""
    grid = _number(plan, "grid")
    row, column = divmod(_number(plan, "node"), grid)
    return int(min(row, column) == 0 or max(row, column) == grid - 1)


def is_same(plan: Plan, example: Example) -> int:
    """1 if the two nodes that were drawn for the audit are at one place in two frames."""
    return _number(plan, "same")


def _node(plan: Plan, example: Example, *, frame: int, node: int) -> NDArray[np.uint8]:
    """Gives a node's pixels, uint8 [3, h, w]."""
    grid = _number(plan, "grid")
    if "patches" in example.arrays:
        shown = example.arrays["patches"]
        return shown[frame, node] if shown.ndim == 5 else shown[frame]  # ranking: one a frame
    shown = example.arrays["frames"][frame]
    row, column = divmod(node, grid)
    side = shown.shape[-1] // grid
    return shown[:, row * side : (row + 1) * side, column * side : (column + 1) * side]


def probe_padding(plan: Plan, example: Example) -> NDArray[np.float64]:
    """What a wide filter over an even picture, with zeros around it, gives at the node's centre.

    It knows the picture's size and the node's place in it, and nothing of its content: where each
    patch is a picture by itself, all nodes are its centre.
    """
    if "patches" in example.arrays:
        places = (0.5, 0.5)
    else:
        grid = _number(plan, "grid")
        row, column = divmod(_number(plan, "node"), grid)
        places = ((row + 0.5) / grid, (column + 0.5) / grid)
    return np.array([min(at, _BLUR) + min(1 - at, _BLUR) for at in places])


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Rows and columns at each side of the node that are black and even, as shares."""
    shown = _node(plan, example, frame=0, node=_number(plan, "node")).astype(np.float64)
    found = []
    for lines in (shown.transpose(1, 0, 2), shown.transpose(2, 0, 1)):
        flat = lines.reshape(len(lines), -1)
        still = (flat.mean(axis=1) < 24) & (flat.std(axis=1) < 3)
        for ordered in (still, still[::-1]):
            bright = np.flatnonzero(~ordered)
            found.append((bright[0] if len(bright) else len(ordered)) / len(ordered))
    return np.array(found)


def probe_difference(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean difference of two nodes' pixels, in two frames, in levels; and of their mean colours."""
    one = _node(plan, example, frame=0, node=_number(plan, "node")).astype(np.float64)
    two = _node(plan, example, frame=1, node=_number(plan, "other")).astype(np.float64)
    means = one.mean(axis=(1, 2)) - two.mean(axis=(1, 2))
    return np.array([np.abs(one - two).mean(), np.abs(means).mean()])


SHORTCUTS = (
    Shortcut(
        name="padding",
        kind="bookkeeping",
        leak="Zeros around a map tell where a cell is: the walk comes home by place.",
        guard="Each patch passes through the network by itself.",
        probe=probe_padding,
        off={"nodes": "map"},
        answer=is_rim,
    ),
    Shortcut(
        name="letterbox",
        kind="content",
        leak="A patch that holds a piece of a black bar tells where in the picture it is.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=is_rim,
    ),
    Shortcut(
        name="pixel difference",
        kind="content",
        leak="What stands still is the same pixel for pixel, and needs no following.",
        guard="Each patch is cut and coloured a little differently in each frame.",
        probe=probe_difference,
        off={"patch_jitter": 0.0, "color_per_frame": False},
        answer=is_same,
    ),
)
