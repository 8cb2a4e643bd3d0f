"""What two small classifiers make of a few numbers: can they tell the answer, and how surely?

The measure is the area under the ROC curve: for two classes that of the second, for more the mean
of every class against the others. Answers of any kind become classes first (`classes_of`).

Shapes: N samples, K classes, k numbers of a probe, R resamplings.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

MOST_CLASSES = 16
"""More than these are put together: 60 trees for each of 1000 permutations take minutes, and there
would be four samples of each."""
LEAST_FITTED, LEAST_JUDGED = 4, 8
"""A class with fewer samples is left out."""
NUM_RESAMPLED = 400
_LEAST_CLIPS = 10


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Answers as classes."""

    label: NDArray[np.int64]
    """int64 [N], 0 … K - 1."""
    names: tuple[str, ...]
    """What the classes are, K texts."""
    is_classes: bool
    """Whether the answers named classes; else sizes were split."""


def classes_of(answers: Sequence[Any]) -> Asked:
    """Makes classes of answers.

    Whole numbers name classes; of more than `MOST_CLASSES` the n-th goes with the (n + 16)-th.
    Other numbers are sizes: up to their median, and above it.

    Args:
        answers: one number a sample.

    Raises:
        InputError: they are all the same, or not numbers.
    """
    values = np.asarray(answers)
    if values.dtype.kind not in "biuf" or values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("answers that are not finite numbers, one a sample; see Shortcut.answer")
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) < 2:
        raise InputError(
            f"all answers of these samples are {distinct[0] if len(distinct) else '-'}"
        )
    if values.dtype.kind != "f":
        label = place % MOST_CLASSES
        count = min(len(distinct), MOST_CLASSES)
        names = [
            ", ".join(str(int(value)) for value in distinct[k::count][:3]) for k in range(count)
        ]
        more = len(distinct) > 3 * count
        return Asked(
            label=label.astype(np.int64),
            names=tuple(name + (" …" if more else "") for name in names),
            is_classes=True,
        )
    middle = float(np.median(values))
    above, at_least = values > middle, values >= middle
    # with many equal sizes, whichever splits them more evenly
    label = above if abs(above.mean() - 0.5) <= abs(at_least.mean() - 0.5) else at_least
    middle = float(values[label].min())
    names = (f"below {middle:.3g}", f"{middle:.3g} or more")
    return Asked(label=label.astype(np.int64), names=names, is_classes=False)


def macro_auc(label: NDArray[np.int64], sure: NDArray[np.float64]) -> float:
    """Gives the mean over K classes of the area under the curve of each against the others.

    Args:
        label: int64 [N], 0 … K - 1, each class at least once.
        sure: float64 [N, K], larger where the class is likelier.
    """
    from scipy.stats import rankdata

    ranks, ones = rankdata(sure, axis=0), _one_hot(label, sure.shape[1])
    num = ones.sum(axis=0)
    return float(
        (((ranks * ones).sum(axis=0) - num * (num + 1) / 2) / (num * (len(label) - num))).mean()
    )


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
    from scipy.stats import rankdata

    total, count = sure.shape
    num = _one_hot(label, count).sum(axis=0)
    entry = rankdata(sure, axis=0) / (num * (total - num)) / count
    by_sample = entry @ num / total
    centred = entry - by_sample[:, None] - entry.mean(axis=0) + by_sample.mean()
    return float(np.sqrt((centred**2 @ num).sum() / (total - 1)))


def _one_hot(label: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    return (label[:, None] == np.arange(count)).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the classifiers made of one shortcut's numbers, on samples they were not fitted to."""

    linear_auc: float
    """Of logistic regression."""
    small_auc: float
    """Of gradient-boosted shallow trees."""
    error: float
    """Standard deviation that a guess's figure has; the larger of the two."""
    num_numbers: int
    """Numbers that the probe gives."""
    names: tuple[str, ...]
    """Of the K classes."""
    label: NDArray[np.int64]
    """int64 [N]: the class of each sample."""
    linear: NDArray[np.float64]
    """float64 [N, K]: how sure logistic regression is."""
    small: NDArray[np.float64]
    """float64 [N, K]: how sure the trees are."""
    places: NDArray[np.int64]
    """int64 [N]: which of the samples drawn each is."""

    @property
    def best(self) -> float:
        """Figure of the better classifier."""
        return max(self.linear_auc, self.small_auc)

    @property
    def sure(self) -> NDArray[np.float64]:
        """float64 [N, K] of the better classifier."""
        return self.linear if self.linear_auc >= self.small_auc else self.small

    def figures(self) -> dict[str, Any]:
        """Gives the figures as JSON values."""
        return {
            "linear_auc": self.linear_auc,
            "small_auc": self.small_auc,
            "error": self.error,
            "num_samples": len(self.label),
            "num_numbers": self.num_numbers,
            "classes": list(self.names),
            "shares": np.bincount(self.label, minlength=len(self.names)).tolist(),
        }


def judge(asked: Asked, numbers: NDArray[np.float64], *, num_fit: int) -> Judged:
    """Fits both classifiers to the first `num_fit` samples and judges them on the others.

    No folds: those are fitted to one another's samples, and the error of their AUC is up to one and
    a half times that of guesses (measured), so that guards would be blamed too often.

    Args:
        asked: the answers of N samples.
        numbers: float64 [N, k], what the probe gave.
        num_fit: of the N.

    Raises:
        InputError: fewer than two classes have enough samples.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    count = len(asked.names)
    fitted = np.bincount(asked.label[:num_fit], minlength=count)
    judged = np.bincount(asked.label[num_fit:], minlength=count)
    kept = np.flatnonzero((fitted >= LEAST_FITTED) & (judged >= LEAST_JUDGED))
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of {count} answers with {LEAST_FITTED} samples to fit and {LEAST_JUDGED} "
            "to judge; use more --samples"
        )
    order = np.full(count, -1)
    order[kept] = np.arange(len(kept))
    label = order[asked.label]
    places = np.flatnonzero(label >= 0)
    first, rest = places[places < num_fit], places[places >= num_fit]
    numbers = np.nan_to_num(np.asarray(numbers, dtype=np.float64), posinf=1e6, neginf=-1e6)
    sure: list[NDArray[np.float64]] = []
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500)),
        HistGradientBoostingClassifier(max_iter=60, max_depth=3, random_state=0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a probe may stop early
            model.fit(numbers[first], label[first])
        sure.append(np.asarray(model.predict_proba(numbers[rest]), dtype=np.float64))
    truth = label[rest].astype(np.int64)
    return Judged(
        linear_auc=macro_auc(truth, sure[0]),
        small_auc=macro_auc(truth, sure[1]),
        error=max(guess_error(truth, one) for one in sure),
        num_numbers=numbers.shape[1],
        names=tuple(asked.names[k] for k in kept),
        label=truth,
        linear=sure[0],
        small=sure[1],
        places=rest,
    )


def resampled(
    units: Sequence[NDArray[np.int64]],
    label: Sequence[NDArray[np.int64]],
    sure: Sequence[NDArray[np.float64]],
    *,
    num: int = NUM_RESAMPLED,
    seed: int = 0,
) -> list[NDArray[np.float64]]:
    """Gives `macro_auc` of several settings, each on the same `num` drawings of clips.

    Samples of one clip are alike: clips are drawn, not samples, where there are ten or more. A pair
    of settings on the same clips is compared on the same drawings.

    Args:
        units: for each setting, the clip of each sample, int64 [N].
        label: for each setting int64 [N].
        sure: for each setting float64 [N, K].
        num: drawings.
        seed: of the drawings.

    Returns:
        For each setting float64 [R]; NaN where a drawing has no sample of any class.
    """
    rng = np.random.default_rng(seed)
    clips = np.unique(np.concatenate(units))
    if len(clips) < _LEAST_CLIPS:
        same = len({len(one) for one in units}) == 1
        drawn = [rng.multinomial(len(one), np.full(len(one), 1 / len(one)), num) for one in units]
        weights = [drawn[0]] * len(drawn) if same else drawn
    else:
        times = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), num)
        weights = [times[:, np.searchsorted(clips, one)] for one in units]
    return [
        _weighted(one, two, weight) for one, two, weight in zip(label, sure, weights, strict=True)
    ]


def _weighted(
    label: NDArray[np.int64], sure: NDArray[np.float64], weight: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Gives the macro AUC with samples counted as often as `weight`, int64 [R, N], says."""
    columns = []
    for k in range(sure.shape[1]):
        order = np.argsort(sure[:, k], kind="stable")
        starts = np.unique(sure[order, k], return_index=True)[1]
        one = np.add.reduceat(weight[:, order] * (label == k)[order], starts, axis=1)
        other = np.add.reduceat(weight[:, order] * (label != k)[order], starts, axis=1)
        below = np.cumsum(other, axis=1) - 0.5 * other
        pairs = one.sum(axis=1) * other.sum(axis=1)
        columns.append(
            np.where(pairs > 0, (below * one).sum(axis=1) / np.maximum(pairs, 1), np.nan)
        )
    found, there = np.array(columns), ~np.isnan(columns)
    total = np.where(there, found, 0).sum(axis=0)
    return np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)
