"""What two small classifiers make of a few numbers: can they tell the answer, and how surely?

The measure is the area under the ROC curve: for two classes that of the second, for more the mean
of every class against the others. Answers of any kind become classes first (`classes_of`).

Shapes: N samples, K classes, k numbers of a probe.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.run import audit_error
from avssl.run.audit_error import group_error, guess_error, guess_parts, macro_auc

MOST_CLASSES = 16
"""More than these are put together: 60 trees for each of 1000 permutations take minutes, and there
would be four samples of each."""
LEAST_FITTED, LEAST_JUDGED = 4, 8
"""A class with fewer samples is left out."""


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


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the classifiers made of one shortcut's numbers, on samples they were not fitted to."""

    linear_auc: float
    """Of logistic regression."""
    small_auc: float
    """Of gradient-boosted shallow trees."""
    error: float
    """Standard deviation of a guess's figure where answers are drawn anew for every sample; the
    larger of the two classifiers'."""
    grouped: float = 0.0
    """The same of the better classifier, where samples of one group are alike; 0: not asked."""
    freedom: float = 0.0
    """Degrees of freedom of `grouped`."""
    num_groups: int = 0
    """Groups of the samples that were judged."""
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

    def guess(self, chance: float) -> float:
        """Gives the same as `margin`, were answers drawn anew for every sample."""
        return audit_error.margin(chance, error=self.error, grouped=0.0, freedom=0.0)

    def margin(self, chance: float) -> float:
        """Gives how far above ½ a guess's figure comes with a chance; see `audit_error.margin`."""
        return audit_error.margin(
            chance, error=self.error, grouped=self.grouped, freedom=self.freedom
        )

    def found_from(self, chance: float) -> float:
        """Gives the figure from which on it is above `margin` in four of five audits."""
        return 0.5 + audit_error.found_from(
            chance, error=self.error, grouped=self.grouped, freedom=self.freedom
        )

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
            "error_over_groups": self.grouped if np.isfinite(self.grouped) else None,
            "degrees_of_freedom": self.freedom,
            "num_groups": self.num_groups,
            "num_samples": len(self.label),
            "num_numbers": self.num_numbers,
            "classes": list(self.names),
            "shares": np.bincount(self.label, minlength=len(self.names)).tolist(),
        }


def judge(
    asked: Asked,
    numbers: NDArray[np.float64],
    *,
    num_fit: int,
    groups: NDArray[np.int64] | None = None,
) -> Judged:
    """Fits both classifiers to the first `num_fit` samples and judges them on the others.

    No folds: those are fitted to one another's samples, and the error of their AUC is up to one and
    a half times that of guesses (measured), so that guards would be blamed too often.

    Args:
        asked: the answers of N samples.
        numbers: float64 [N, k], what the probe gave.
        num_fit: of the N.
        groups: int64 [N], the group of each sample's clip; samples of one group are taken to be
            alike, and none should be on both sides. None: every answer is drawn anew.

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
            "to judge; use more --samples, or more videos"
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
    figures = [macro_auc(truth, one) for one in sure]
    errors = [guess_error(truth, one) for one in sure]
    # trees that were given too little say the same of all: no spread to be learned from them
    better = sure[max((0, 1), key=lambda k: (errors[k] > 0, figures[k]))]
    grouped, freedom, num_groups = 0.0, 0.0, 0
    if groups is not None:
        grouped, freedom = group_error(guess_parts(truth, better), groups[rest])
        num_groups = len(np.unique(groups[rest]))
    return Judged(
        linear_auc=figures[0],
        small_auc=figures[1],
        error=max(errors),
        grouped=grouped,
        freedom=freedom,
        num_groups=num_groups,
        num_numbers=numbers.shape[1],
        names=tuple(asked.names[k] for k in kept),
        label=truth,
        linear=sure[0],
        small=sure[1],
        places=rest,
    )
