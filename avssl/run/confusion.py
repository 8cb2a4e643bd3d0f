"""A confusion matrix as a picture."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.files import replacing

_MAX_NAMED = 80
"""With more classes, names could not be read."""
_MAX_WRITTEN = 12
"""Up to so many classes, counts stand in the cells."""


def draw_confusion(
    counts: NDArray[np.int64], names: Sequence[str], path: str | Path, *, title: str
) -> None:
    """Draws shares of each true class.

    Args:
        counts: int64 [K, K]; row: the truth, column: the answer.
        names: of the K classes.
        path: .png.
        title: above the picture.
    """
    import matplotlib.pyplot as plt

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(14.0, max(4.2, 2.2 + 0.21 * len(names)))
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
    shown = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if len(names) <= _MAX_NAMED:
        # a dollar sign in a folder's name would begin a formula
        plain = [name.replace("_", " ").replace("$", r"\$") for name in names]
        size = 9 if len(names) <= 2 * _MAX_WRITTEN else 7
        axes.set_xticks(range(len(names)), plain, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), plain, fontsize=size)
    if len(names) <= _MAX_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="share of the true class")
    with replacing(path) as temporary, warnings.catch_warnings():
        # names in a script that the font lacks: boxes stand in their place
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
