"""Figures of probes and their intervals: average precision two ways, top-1, R², groups redrawn.

Everything takes weights, because the bootstrap over groups is nothing but weights: a group that is
drawn twice counts twice. All redraws are counted at once.

    truth   1 0 1 1 0       in order of falling score
    precision at each hit   1/1, 2/3, 3/4  → their mean is the area (0.806)
    VOC07: highest precision at recall ≥ 0, 0.1 … 1, their mean over the eleven (0.818)

The area version is scikit-learn's (and VOC's since 2010, but for the envelope); the 11-point one is
VOC07's own. Papers that say "VOC07 mAP" of a linear SVM mean either: both are given by name.

Shapes: N samples, B redraws, K classes, T numbers to predict.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NUM_DRAWS = 1000
_RECALLS = np.arange(11) / 10
_SLACK = 1e-9


def average_precision(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], weights: Floats | None = None
) -> tuple[Any, Any]:
    """Gives the average precision of one class, as an area and by VOC07's eleven points.

    Equal scores are one step, as scikit-learn has them.

    Args:
        scores: float [N], higher is surer.
        truth: bool [N].
        weights: float64 [..., N], 0 or more; None counts each sample once.

    Returns:
        (area, eleven), each a float64 [...]; NaN where no positive has a weight.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ranked = np.asarray(scores, dtype=np.float64)[order]
    counts = np.ones(len(order)) if weights is None else np.asarray(weights)[..., order]
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True]) if len(ranked) else []
    hits = np.cumsum(counts * truth[order], axis=-1)[..., ends]
    seen = np.cumsum(counts, axis=-1)[..., ends]
    precision = hits / np.where(seen > 0, seen, 1)
    num = hits[..., -1:] if len(ranked) else np.zeros(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / num
        steps = np.diff(hits, axis=-1, prepend=0) / num
        area = (precision * steps).sum(axis=-1)
    # highest precision at this recall or any above it
    best = np.flip(np.maximum.accumulate(np.flip(precision, axis=-1), axis=-1), axis=-1)
    first = [(recall < one - _SLACK).sum(axis=-1) for one in _RECALLS]
    points = [np.take_along_axis(best, np.asarray(k)[..., None], axis=-1)[..., 0] for k in
              np.minimum(first, best.shape[-1] - 1)]  # fmt: skip
    eleven = np.where(num[..., 0] > 0, np.mean(points, axis=0), np.nan)
    return area[()], eleven[()]


def mean_average_precision(
    scores: NDArray[np.floating], marks: NDArray[np.bool_], weights: Floats | None = None
) -> tuple[Any, Any]:
    """Gives the mean over classes of both average precisions; classes without a positive are out.

    Args:
        scores: float [N, K].
        marks: bool [N, K].
        weights: see `average_precision`.
    """
    each = [average_precision(scores[:, k], marks[:, k], weights) for k in range(marks.shape[1])]
    found = []
    for version in range(2):
        values = np.stack([np.asarray(one[version]) for one in each])
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            found.append((np.where(known, values, 0).sum(axis=0) / known.sum(axis=0))[()])
    return found[0], found[1]


def share(right: NDArray[np.bool_], weights: Floats | None = None) -> Any:
    """Gives the share of right answers, bool [N] → float [...]."""
    counts = np.ones(len(right)) if weights is None else weights
    with np.errstate(invalid="ignore"):
        return ((counts * right).sum(axis=-1) / counts.sum(axis=-1))[()]


def determination(found: Floats, truth: Floats, weights: Floats | None = None) -> Any:
    """Gives R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², its mean over T columns.

    ȳ is the mean of the very samples that are judged, so guessing the training mean is at or below
    0. Rows with a NaN in their truth do not count; a column that never varies is out.

    Args:
        found: float64 [N, T].
        truth: float64 [N, T].
        weights: see `average_precision`.
    """
    known = np.isfinite(truth).all(axis=1)
    answers, right = found[known], truth[known]
    counts = np.ones(len(truth)) if weights is None else np.asarray(weights)
    counts = counts[..., known]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = counts.sum(axis=-1)[..., None]
        off = counts @ (right - answers) ** 2
        spread = counts @ right**2 - (counts @ right) ** 2 / total
        scale = np.abs(right).max(axis=0, initial=0) ** 2 * total
        values = np.where(spread > _SLACK * scale, 1 - off / spread, np.nan)
    steady = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (np.where(steady, values, 0).sum(axis=-1) / steady.sum(axis=-1))[()]


def redrawn(groups: Sequence[Any], *, num: int = NUM_DRAWS, seed: int = 0) -> Floats:
    """Draws whole groups with replacement: weights of each sample, float64 [num, N].

    One group alone can only be drawn as it is: there are no redraws then, float64 [0, N], and so
    no `interval`; one of width 0 would look like certainty.

    Args:
        groups: N names; samples of one name come together.
        num: redraws.
        seed: of the draws.
    """
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    count = int(which.max()) + 1
    num = num if count > 1 else 0
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=num)[:, which].astype(np.float64)


def interval(values: Any) -> list[float] | None:
    """Gives the middle 95 % of redraws; None where they are no numbers."""
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size:
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return [float(low), float(high)]
