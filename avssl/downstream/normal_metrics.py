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


_KEYS = ("_count", "_sum", *(f"_{name}" for name in NAMES[2:]))
_BINS = tuple(f"_bin_{k}" for k in range(_NUM_BINS))


def figures_of(columns: Columns) -> dict[str, float]:
    """Gives the five figures from the columns [num_pictures]; {} where nothing is known."""
    return _figures(np.array([columns[name].sum() for name in (*_KEYS, *_BINS)]))


def _figures(sums: NDArray[np.float64]) -> dict[str, float]:
    count, total, *within = sums[: len(_KEYS)].tolist()
    if not count:
        return {}
    bins = sums[len(_KEYS) :]
    below = np.cumsum(bins)
    at = int(np.searchsorted(below, count / 2))
    inside = 1 - (below[at] - count / 2) / max(bins[at], 1e-9)
    shares = [value / count for value in within]
    values = (total / count, float((at + inside) * BIN_DEG), *shares)
    return dict(zip(NAMES, values, strict=True))


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
    each = np.zeros((len(names), len(_KEYS) + len(_BINS)))
    np.add.at(each, place, np.stack([columns[key] for key in (*_KEYS, *_BINS)], axis=1))
    drawn: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(num_resamples):
        chosen = rng.integers(len(names), size=len(names))
        for name, value in _figures(each[chosen].sum(axis=0)).items():
            drawn[name].append(value)
    return {
        name: [float(v) for v in np.percentile(values, [2.5, 97.5])]
        for name, values in drawn.items()
        if values
    }
