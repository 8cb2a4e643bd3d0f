"""Figures of surface normals: mean and median angle, shares within 11.25, 22.5 and 30 degrees.

All known pixels of all pictures count alike (Fouhey, Gupta, Hebert, ICCV 2013, and since). They are
gathered picture by picture: sums, and a histogram of half degrees, in which the median is found by
a straight line (so it is right to within half a degree, the others are exact).
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

THRESHOLDS_DEG = (11.25, 22.5, 30.0)
NAMES = ("mean_deg", "median_deg", "within_11", "within_22", "within_30")
BIN_DEG = 0.5
_NUM_BINS = round(180 / BIN_DEG)

Columns = Mapping[str, NDArray[np.float64]]


def counts_of(angles_rad: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Gives what `figures_of` needs of each picture, tensors [B].

    Args:
        angles_rad: [B, H, W].
        known: bool [B, H, W].
    """
    degrees = torch.rad2deg(angles_rad.detach().double()).flatten(1)
    counts = known.flatten(1).double()
    found = {"_count": counts.sum(dim=1), "_sum": (degrees * counts).sum(dim=1)}
    for name, most in zip(NAMES[2:], THRESHOLDS_DEG, strict=True):
        found[f"_{name}"] = ((degrees < most) * counts).sum(dim=1)
    place = (degrees / BIN_DEG).long().clamp(0, _NUM_BINS - 1)
    bins = torch.zeros(len(counts), _NUM_BINS, dtype=torch.double, device=counts.device)
    bins.scatter_add_(1, place, counts)
    found |= {f"_bin_{k}": bins[:, k] for k in range(_NUM_BINS)}
    return found


def figures_of(columns: Columns) -> dict[str, float]:
    """Gives the five figures from the columns [num_pictures]; {} where nothing is known."""
    count = float(columns["_count"].sum())
    if not count:
        return {}
    shares = {name: float(columns[f"_{name}"].sum()) / count for name in NAMES[2:]}
    bins = np.array([columns[f"_bin_{k}"].sum() for k in range(_NUM_BINS)])
    below = np.concatenate([[0.0], np.cumsum(bins)])
    at = int(np.searchsorted(below[1:], count / 2))
    inside = (count / 2 - below[at]) / max(bins[at], 1e-9)
    return {
        "mean_deg": float(columns["_sum"].sum()) / count,
        "median_deg": float((at + inside) * BIN_DEG),
        **shares,
    }


def intervals_of(
    columns: Columns, groups: NDArray, *, rng: np.random.Generator, num_resamples: int = 500
) -> dict[str, list[float]]:
    """Gives 95 % intervals of every figure, from draws of whole groups (scenes, videos).

    Args:
        columns: of `counts_of`, [num_pictures].
        groups: [num_pictures].
        rng: of the draws.
        num_resamples: how many.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return {}
    keys = list(columns)
    each = np.zeros((len(names), len(keys)))
    np.add.at(each, place, np.stack([columns[key] for key in keys], axis=1))
    drawn: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(num_resamples):
        chosen = rng.integers(len(names), size=len(names))
        sums = each[chosen].sum(axis=0)
        for name, value in figures_of({k: sums[i : i + 1] for i, k in enumerate(keys)}).items():
            drawn[name].append(value)
    return {
        name: [float(v) for v in np.percentile(values, [2.5, 97.5])]
        for name, values in drawn.items()
        if values
    }
