"""J and F of masks as DAVIS counts them, and PCK of points.

J: intersection over union. F: harmonic mean of the precision and recall of the outline, where two
outlines match within 0.008 of the picture's diagonal, rounded up to pixels. Both empty: 1. The
rules are those of the official davis2017-evaluation (described in Perazzi 2016 and Pont-Tuset
2017), in code of our own.

Masks are bool [H, W]; shares are 0 to 1.
"""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
TOLERANCE = 0.008
"""Of the diagonal."""
_QUARTERS = 4


def region_similarity(found: Mask, truth: Mask) -> float:
    """Gives J, intersection over union; 1 where both are empty."""
    union = int(np.count_nonzero(found | truth))
    return int(np.count_nonzero(found & truth)) / union if union else 1.0


def outline(mask: Mask) -> Mask:
    """Gives the pixels that differ from their neighbour to the right, below, or both."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    # At the right and lower edge the neighbour that is missing is like the pixel itself.
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ across)


def disc(radius_px: int) -> NDArray[np.uint8]:
    """Gives the pixels within a radius of the middle, uint8 [2 r + 1, 2 r + 1]."""
    reach = np.arange(-radius_px, radius_px + 1)
    return (reach[:, None] ** 2 + reach[None] ** 2 <= radius_px**2).astype(np.uint8)


def boundary_measure(found: Mask, truth: Mask, *, tolerance: float = TOLERANCE) -> float:
    """Gives F of two masks; 1 where neither has an outline, 0 where only one has."""
    near_px = math.ceil(tolerance * math.hypot(*truth.shape))
    one, two = outline(found), outline(truth)
    num_found, num_truth = int(np.count_nonzero(one)), int(np.count_nonzero(two))
    if not num_found or not num_truth:
        return float(num_found == num_truth)
    around = disc(near_px)
    near_truth = cv2.dilate(two.astype(np.uint8), around, borderValue=0) > 0
    near_found = cv2.dilate(one.astype(np.uint8), around, borderValue=0) > 0
    precision = np.count_nonzero(one & near_truth) / num_found
    recall = np.count_nonzero(two & near_found) / num_truth
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def sequence_values(
    found: Sequence[NDArray[np.uint8]], truth: Sequence[NDArray[np.uint8]], *, num_objects: int
) -> tuple[Floats, Floats]:
    """Gives J and F of every object in every frame but the first and the last, [objects, frames].

    The official program leaves both ends out of the semi-supervised task.
    """
    pairs = list(zip(found, truth, strict=True))[1:-1]
    objects = range(1, num_objects + 1)
    regions = [[region_similarity(f == k, t == k) for f, t in pairs] for k in objects]
    outlines = [[boundary_measure(f == k, t == k) for f, t in pairs] for k in objects]
    return np.array(regions, dtype=np.float64), np.array(outlines, dtype=np.float64)


def statistics(values: Floats) -> tuple[float, float, float]:
    """Gives mean, recall (share above ½) and decay (first quarter less last) of an object's frames.

    Quarters share their border frames, as in the official program.
    """
    borders = np.rint(np.linspace(1, len(values), _QUARTERS + 1) + 1e-10).astype(int) - 1
    quarters = [values[borders[k] : borders[k + 1] + 1] for k in range(_QUARTERS)]
    decay = float(np.mean(quarters[0]) - np.mean(quarters[-1]))
    return float(values.mean()), float((values > 0.5).mean()), decay


def davis_figures(values: Mapping[str, tuple[Floats, Floats]]) -> dict[str, float]:
    """Gives the official table from each sequence's J and F: means over all objects.

    Args:
        values: sequence → see `sequence_values`; those without frames or objects do not count.
    """
    figures: dict[str, float] = {}
    for number, letter in enumerate("JF"):
        each = [statistics(row) for both in values.values() for row in both[number] if len(row)]
        means = np.array(each).mean(axis=0) if each else np.full(3, np.nan)
        for name, value in zip(("mean", "recall", "decay"), means, strict=True):
            figures[f"{letter} {name}"] = float(value)
    both = (figures["J mean"] + figures["F mean"]) / 2
    return {"J&F mean": both, **figures}


def point_errors(found: Floats, truth: Floats, lengths: Floats) -> Floats:
    """Gives distances in lengths, [T, K]: NaN where the truth is, infinite where nothing was found.

    Args:
        found: [T, K, 2] px.
        truth: [T, K, 2] px, NaN where it does not count.
        lengths: [T] px, such as the longer side of the person's box.
    """
    known = lengths > 0
    distance = np.linalg.norm(found - truth, axis=2) / np.where(known, lengths, 1.0)[:, None]
    distance[~np.isfinite(found).all(axis=2)] = np.inf
    distance[~np.isfinite(truth).all(axis=2) | ~known[:, None]] = np.nan
    return distance


def pck_of(errors: Sequence[Floats], thresholds: Sequence[float]) -> dict[str, float]:
    """Gives the share of points within each threshold, of all clips' points together."""
    known = np.concatenate([one[np.isfinite(one) | np.isposinf(one)] for one in errors])
    return {
        f"PCK@{at:g}": float((known <= at).mean()) if len(known) else math.nan for at in thresholds
    }
