"""Figures of neighbours: a query on the left, what each network finds for it on the right."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.files import replacing
from avssl.run.probe_tables import COLORS

_RIGHT, _WRONG, _PLAIN = "#1a8f3c", "#c8372d", "#9a9a9a"
_WIDE = 16
"""Letters of a label in one line."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One picture of a figure."""

    picture: NDArray[np.uint8]
    """uint8 [3, S, S]."""
    label: str = ""
    right: bool | None = None
    """Same class as the query; None: no classes."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a figure."""

    query: Shown
    blocks: Sequence[Sequence[Shown]]
    """Neighbours found by each network, the nearest first."""


def draw_neighbours(
    path: str | Path, lines: Sequence[Line], *, titles: Sequence[str], title: str
) -> None:
    """Draws the papers' figure: queries in the first column, then a block of neighbours a network.

    Frames are green where the class is the query's, red where not, grey without classes.

    Args:
        path: .png.
        lines: one or more, all with as many blocks.
        titles: one a block.
        title: above all.
    """
    import matplotlib.pyplot as plt

    widths = [max(len(line.blocks[k]) for line in lines) for k in range(len(titles))]
    ratios = [1.0]
    for width in widths:
        ratios += [0.18, *([1.0] * width)]
    named = any(one.label for line in lines for one in _all(line))
    height = 1.0 + (0.24 if named else 0.06)
    inch = 1.0
    size = (inch * sum(ratios) + 0.2, inch * height * len(lines) + 0.75)
    figure, axes = plt.subplots(
        len(lines), len(ratios), figsize=size, squeeze=False, width_ratios=ratios
    )
    top = 1 - 0.68 / size[1]
    figure.subplots_adjust(
        left=0.1 / size[0], right=1 - 0.1 / size[0], bottom=0.22 / size[1] if named else 0.02,
        top=top, wspace=0.06, hspace=0.3 if named else 0.06,
    )  # fmt: skip
    for one in axes.ravel():
        one.axis("off")
    for row, line in zip(axes, lines, strict=True):
        _place(row[0], line.query)
        at = 1
        for block, width in zip(line.blocks, widths, strict=True):
            for k, shown in enumerate(block):
                _place(row[at + 1 + k], shown)
            at += 1 + width
    _head(figure, axes[0][:1], "query", top)
    at = 1
    for name, width in zip(titles, widths, strict=True):
        _head(figure, axes[0][at + 1 : at + 1 + width], name, top)
        at += 1 + width
    figure.text(0.1 / size[0], 1 - 0.2 / size[1], title, fontsize=10, va="center")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def _all(line: Line) -> list[Shown]:
    return [line.query, *(one for block in line.blocks for one in block)]


def _head(figure: Any, axes: Any, text: str, top: float) -> None:
    left, right = axes[0].get_position().x0, axes[-1].get_position().x1
    where = top + 0.12 / figure.get_figheight()
    figure.text((left + right) / 2, where, text, ha="center", fontsize=9, fontweight="bold")


def _place(axes: Any, shown: Shown) -> None:
    axes.axis("on")
    axes.imshow(shown.picture.transpose(1, 2, 0), interpolation="bilinear")
    axes.set_xticks([])
    axes.set_yticks([])
    color = _PLAIN if shown.right is None else _RIGHT if shown.right else _WRONG
    for spine in axes.spines.values():
        spine.set_color(color)
        spine.set_linewidth(2.0 if shown.right is not None else 0.8)
    if shown.label:
        # a dollar sign would begin a formula
        text = textwrap.shorten(shown.label.replace("$", r"\$"), _WIDE, placeholder="…")
        axes.set_xlabel(text, fontsize=7, labelpad=1.5)


def draw_hue(
    path: str | Path, rows: dict[str, Sequence[float]], degrees: Sequence[float], *, top: int
) -> None:
    """Draws how much of a neighbour list stays when the query's hue is turned, a line a row."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for mark, (row, values) in zip("osD^vPX" * 3, rows.items(), strict=False):
        look: dict[str, Any] = {"color": COLORS.get(row), "markersize": 4, "label": row}
        if row.startswith("trivial"):
            look |= {"color": "0.35", "linestyle": ":"}
        axes.plot([0, *degrees], [1.0, *values], marker=mark, **look)
    axes.set_xticks([0, *degrees])
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("the query's hue is turned by, degrees")
    axes.set_ylabel(f"same among the {top} nearest")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
