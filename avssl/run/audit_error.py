"""How surely a figure is above a guess: the area under the ROC curve, its errors, its intervals.

Samples of one recording are alike, in their answers, their numbers or both. So a figure has two
errors, and the larger one counts: that of answers that are drawn anew for every sample, which is
exact, and that of whole recordings, which is estimated from how much they differ.

    samples   ● ○ ● │ ○ ○ │ ● ● ●        three recordings
    parts     each sample's share of AUC - ½; summed over a recording they are independent

Shapes: N samples, K classes, G groups.
"""

import numpy as np
from numpy.typing import NDArray

LEAST_FREEDOM = 0.5
"""Degrees of freedom of one or two recordings that outweigh all others: nothing would count."""


def macro_auc(label: NDArray[np.int64], sure: NDArray[np.float64]) -> float:
    """Gives the mean over K classes of the area under the curve of each against the others.

    Args:
        label: int64 [N], 0 … K - 1, each class at least once.
        sure: float64 [N, K], larger where the class is likelier.
    """
    return 0.5 + float(guess_parts(label, sure).sum())


def guess_parts(label: NDArray[np.int64], sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives each sample's part of `macro_auc` - ½, float64 [N].

    For one class with n of N samples it is (y - n / N) (r - (N + 1) / 2) / (n (N - n)), y being
    whether the sample has it and r its rank; the mean over the classes.
    """
    ones = _one_hot(label, sure.shape[1])
    num, total = ones.sum(axis=0), len(label)
    centred = _ranks(sure) - (total + 1) / 2
    return ((ones - num / total) * centred / (num * (total - num))).mean(axis=1)


def true_parts(label: NDArray[np.int64], sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives how much each sample moves `macro_auc` away from its true value, float64 [N], sum 0.

    A sample of a class is put among those of the others, and they among those of the class
    (DeLong and others, 1988; over groups Obuchowski, 1997).
    """
    ranks, total = _ranks(sure), len(label)
    found = np.zeros(total)
    for k in range(sure.shape[1]):
        own = label == k
        num = int(own.sum())
        placed = np.empty(total)
        placed[own] = (ranks[own, k] - _ranks(sure[own, k])) / (total - num)
        placed[~own] = 1 - (ranks[~own, k] - _ranks(sure[~own, k])) / num
        area = placed[own].mean()
        found += (placed - area) / np.where(own, num, total - num)
    return found / sure.shape[1]


def guess_error(label: NDArray[np.int64], sure: NDArray[np.float64]) -> float:
    """Gives the standard deviation of `macro_auc` over all orders of the labels.

    It is a sum of one entry a sample, W[i, label[i]], so its variance over permutations is that of
    Hoeffding (1951): Σ d² / (N - 1) with d the doubly centred entries. Exact for any number of
    classes, and with ties; for two classes without ties it is Mann and Whitney's
    (n₁ + n₀ + 1) / 12 n₁ n₀.

    Args:
        label: int64 [N], 0 … K - 1, each class at least once.
        sure: float64 [N, K].
    """
    total, count = sure.shape
    num = _one_hot(label, count).sum(axis=0)
    entry = _ranks(sure) / (num * (total - num)) / count
    by_sample = entry @ num / total
    centred = entry - by_sample[:, None] - entry.mean(axis=0) + by_sample.mean()
    return float(np.sqrt((centred**2 @ num).sum() / (total - 1)))


def num_alike(sizes: NDArray[np.integer]) -> float:
    """Gives how many groups of one size tell as much as these (Kish): (Σn)² / Σn²."""
    return float(sizes.sum() ** 2 / (sizes.astype(np.float64) ** 2).sum())


def group_error(parts: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Gives the standard deviation of the sum of all parts, and its degrees of freedom.

    Groups are independent, samples of one need not be. A group's sum is compared with its share of
    the whole, so that groups of different sizes do not differ for that alone. Two degrees of
    freedom are taken away, as for the means of two classes, and groups of different sizes count as
    fewer (`num_alike`). With `guess_parts` the error does not vanish where a few groups are put in
    the right order by luck.

    Args:
        parts: float64 [N].
        groups: int64 [N], of each sample.
    """
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    alike = num_alike(sizes)
    if alike <= 1 + LEAST_FREEDOM:
        return float("inf"), LEAST_FREEDOM
    left = np.bincount(place, weights=parts) - parts.sum() * sizes / len(parts)
    error = float(np.sqrt((left**2).sum() * alike / (alike - 1)))
    return error, max(alike - 2, LEAST_FREEDOM)


def interval(
    value: float, parts: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[float, float]:
    """Gives the 95 % interval of a value that the parts (of sum 0, `true_parts`) move.

    Args:
        value: measured.
        parts: float64 [N].
        groups: int64 [N].
    """
    from scipy.stats import t

    error, freedom = group_error(parts, groups)
    reach = float(t.isf(0.025, freedom)) * error if error else 0.0
    return value - reach, value + reach


def margin(chance: float, *, error: float, grouped: float, freedom: float) -> float:
    """Gives how far above ½ a guess comes with this chance, by the larger of its two errors.

    Args:
        chance: one-sided.
        error: if answers are drawn anew for every sample (`guess_error`).
        grouped: over groups (`group_error`); 0 where there are none.
        freedom: of `grouped`.
    """
    from scipy.stats import norm, t

    over_groups = float(t.isf(chance, freedom)) * grouped if grouped else 0.0
    return max(float(norm.isf(chance)) * error, over_groups)


def found_from(
    chance: float, *, error: float, grouped: float, freedom: float, power: float = 0.8
) -> float:
    """Gives how far above ½ a true figure must be to be above `margin` with the chance `power`.

    See `margin`. Over groups it is the shift of a noncentral t.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, norm, t

    shift = float(norm.isf(chance) + norm.isf(1 - power)) * error
    if not grouped or not np.isfinite(grouped):
        return max(shift, grouped)
    limit = float(t.isf(chance, freedom))
    over_groups = brentq(lambda away: nct.sf(limit, freedom, away) - power, 0, 3 * limit + 10)
    return max(shift, float(over_groups) * grouped)  # type: ignore[arg-type]


def belongs_to_groups(
    label: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    deviations: float = 4.0,
    seed: int = 0,
) -> bool:
    """Whether samples of one group have the same answer more often than labels in any order do.

    Where answers are drawn anew for every sample they do not. Compared with 200 random orders.

    Args:
        label: int64 [N], 0 … K - 1.
        groups: int64 [N].
        deviations: standard deviations that count.
        seed: of the orders.
    """
    rng = np.random.default_rng(seed)
    place = np.unique(groups, return_inverse=True)[1]
    count = int(label.max()) + 1

    def alike(order: NDArray[np.int64]) -> float:
        together = np.bincount(place * count + order, minlength=(int(place.max()) + 1) * count)
        return float((together.astype(np.float64) ** 2).sum())

    orders = np.array([alike(rng.permutation(label)) for _ in range(200)])
    return bool(alike(label) > orders.mean() + deviations * orders.std() + 1e-9)


def _ranks(sure: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(sure, axis=0), dtype=np.float64)


def _one_hot(label: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    return (label[:, None] == np.arange(count)).astype(np.float64)
