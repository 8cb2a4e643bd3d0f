"""How a network could come home without following anything, and numbers that show it.

The two modes ask different questions, so each has shortcuts of its own: `WALKS` are asked about two
nodes of one grid in two frames, `RANKING` about the last patch of a track against a patch from
elsewhere in the same picture ("other", which only the audit looks at). Training compares with
patches of other samples, mostly of other clips, whose light and colours tell more: what is found
here is the least that can be told.

What the tracks of "ranking" do across a cut is not asked: they are lost there, and weigh nothing.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import measure, patch_clues

_SAME = 0.02
"""Standardised difference below which two pictures are the same one."""


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
    """1 if the two nodes drawn for the audit are at one place in two frames, or of one track."""
    return _number(plan, "same")


def is_home(plan: Plan, example: Example) -> int:
    """1 if the node of the next frame that is most like the node, pixel by pixel, is at its place.

    The step that a walk takes whose network sees no more than pixels.
    """
    grid, node = _number(plan, "grid"), _number(plan, "node")
    own = _node(plan, example, frame=0, node=node).astype(np.int64)
    others = np.stack([_node(plan, example, frame=1, node=k) for k in range(grid**2)])
    return int(np.abs(others - own).reshape(grid**2, -1).mean(axis=1).argmin() == node)


def _node(plan: Plan, example: Example, *, frame: int, node: int) -> NDArray[np.uint8]:
    """Gives a node's pixels, uint8 [3, h, w]."""
    if "patches" in example.arrays:
        return example.arrays["patches"][frame, node]
    shown = example.arrays["frames"][frame]
    grid = _number(plan, "grid")
    row, column = divmod(node, grid)
    side = shown.shape[-1] // grid
    return shown[:, row * side : (row + 1) * side, column * side : (column + 1) * side]


def _pair(plan: Plan, example: Example) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gives what `is_same` is asked about: two nodes, or a track's first patch and one more."""
    if "other" in example.arrays:
        first, last = example.arrays["patches"]
        return first, last if _number(plan, "same") else example.arrays["other"]
    return (
        _node(plan, example, frame=0, node=_number(plan, "node")),
        _node(plan, example, frame=1, node=_number(plan, "other")),
    )


def probe_padding(plan: Plan, example: Example) -> NDArray[np.float64]:
    """What a wide filter sees at the node's centre, against the mean of what it runs over.

    As the network's filters do, it takes zeros around what it runs over: the first frame, or, where
    each patch is a picture by itself, the node's patch. Its width is that of the picture. Blurred
    along rows, and along columns.
    """
    if "patches" in example.arrays:
        shown, at = _node(plan, example, frame=0, node=_number(plan, "node")), (0.5, 0.5)
    else:
        grid = _number(plan, "grid")
        row, column = divmod(_number(plan, "node"), grid)
        shown, at = example.arrays["frames"][0], ((row + 0.5) / grid, (column + 0.5) / grid)
    light = shown.mean(axis=0) + 1.0
    found = []
    for line, place in zip((light.mean(axis=1), light.mean(axis=0)), at, strict=True):
        width = 2 * (len(line) // 2) + 1
        seen = cv2.blur(line[None], (width, 1), borderType=cv2.BORDER_CONSTANT)[0]
        found.append(float(seen[int(place * len(line))]) / float(line.mean()))
    return np.array(found, dtype=np.float64).round(6)


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the node's left, top, right and bottom, as shares of its side."""
    return patch_clues.bars(_node(plan, example, frame=0, node=_number(plan, "node")))


def probe_both_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Bars of both patches, and how far they are apart: [12]."""
    one, two = (patch_clues.bars(part) for part in _pair(plan, example))
    return np.concatenate([one, two, np.abs(one - two)])


def probe_difference(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Mean difference of the two's pixels, in levels, and of their mean colours."""
    one, two = (part.astype(np.float64) for part in _pair(plan, example))
    means = one.mean(axis=(1, 2)) - two.mean(axis=(1, 2))
    return np.array([np.abs(one - two).mean(), np.abs(means).mean()])


def probe_change(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much the whole picture changes to the next frame, and whether it is the same again."""
    apart = float(measure.standardised_differences(_pictures(plan, example)[:2])[0])
    return np.array([apart, float(apart < _SAME)])


def _pictures(plan: Plan, example: Example) -> NDArray[np.uint8]:
    """Gives the frames, uint8 [T, 3, S, S]; of patches, these side by side."""
    if "frames" in example.arrays:
        return example.arrays["frames"]
    patches, grid = example.arrays["patches"], _number(plan, "grid")
    num_frames, _, channels, height, width = patches.shape
    rows = patches.reshape(num_frames, grid, grid, channels, height, width)
    return rows.transpose(0, 3, 1, 4, 2, 5).reshape(
        num_frames, channels, grid * height, grid * width
    )


def _pixel_difference(leak: str) -> Shortcut:
    return Shortcut(
        name="pixel difference",
        kind="content",
        leak=leak,
        guard="Each patch is cut and coloured a little differently in each frame.",
        probe=probe_difference,
        off={"patch_jitter": 0.0, "color_per_frame": False},
        answer=is_same,
        cut_share=0.15,  # measured: 20 % (17 to 22), docs/audit.md
    )


WALKS = (
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
        kind="bookkeeping",
        leak="A patch that holds a piece of a black bar tells where in the picture it is.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=is_rim,
    ),
    Shortcut(
        name="shot cut",
        kind="content",
        leak="Across a cut nothing can be followed: what is asked then is place, or luck.",
        guard="All frames are of one shot.",
        probe=probe_change,
        off={"within_shot": False},
        answer=is_home,
    ),
    Shortcut(
        name="repeated pictures",
        kind="content",
        leak="Where a picture stands still or is shown again, every walk comes home for nothing.",
        guard="None that is sure; `motion_power` draws runs in proportion to their motion.",
        probe=probe_change,
        off={"motion_power": 0.0},
        closes={"motion_power": 1.0},
        answer=is_home,
    ),
    _pixel_difference("What stands still is the same pixel for pixel, and needs no following."),
)
"""Of the mode "walks"."""

RANKING = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Two patches with a piece of one black bar belong together without being followed.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_both_bars,
        off={"clear_of_borders": False},
        answer=is_same,
    ),
    _pixel_difference("What keeps its pixels and its light belongs together without a look at it."),
)
"""Of the mode "ranking"."""


class ByMode:
    """A task's shortcuts: of the mode that it is set to; of the class, those of "walks"."""

    def __get__(self, task: Any, kind: type | None = None) -> tuple[Shortcut, ...]:
        return RANKING if task is not None and task.mode == "ranking" else WALKS
