"""What features of sounds are worth: a linear SVM, cross-validated by whole folds.

Protocol: the other folds train, one tests, each in turn. Features are standardised and the cost C
is chosen inside the training folds: each of them is held out once, and the C under which most of
their sounds are right is taken (the smallest of equals), then all of them train. One-vs-rest, L2
penalty, squared hinge (liblinear, with its own tolerances). Costs as CrissCross': 1e-5 to 1
(papers.md §7).

Shapes: N sounds, K classes, W windows of all sounds together, F features. Where a sound has several
windows, each trains with its label, and the scores of a sound's windows are averaged before the
highest is taken.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

COSTS = tuple(10.0**power for power in range(-5, 1))
MIN_FOLDS = 3
"""One tests, one chooses C, one trains."""
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Features:
    """Vectors of the windows of N sounds."""

    vectors: NDArray[np.float32]
    """float32 [W, F]."""
    owner: NDArray[np.int64]
    """int64 [W]: the sound that each is of, 0 to N - 1; every sound has one or more."""

    def of(self, chosen: NDArray[np.bool_]) -> "Features":
        """Gives those of some sounds, bool [N], which keep their numbers."""
        rows = chosen[self.owner]
        return Features(vectors=self.vectors[rows], owner=self.owner[rows])


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Answers of a cross-validation."""

    predicted: NDArray[np.int64]
    """int64 [N]: the class answered while the sound's fold was the test."""
    costs: tuple[float, ...]
    """C of each fold, in their order; empty where there was nothing to choose."""
    num_unsettled: int = 0
    """Fits that had not settled after `_MAX_ITERATIONS`."""


def accuracies(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], folds: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """Gives accuracy and balanced accuracy (mean recall of the classes in it) of each fold."""
    plain, balanced = [], []
    for fold in np.unique(folds):
        right, own = (predicted == labels)[folds == fold], labels[folds == fold]
        plain.append(float(right.mean()))
        balanced.append(float(np.mean([right[own == label].mean() for label in np.unique(own)])))
    return plain, balanced


def confusion(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Counts answers, int64 [K, K]: row: the truth, column: the answer."""
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def majority(labels: NDArray[np.int64], folds: NDArray[np.int64]) -> Judged:
    """Answers the class that most sounds of the training folds have (the first of equals)."""
    predicted = np.empty_like(labels)
    for fold in np.unique(folds):
        predicted[folds == fold] = np.bincount(labels[folds != fold]).argmax()
    return Judged(predicted=predicted, costs=())


def num_fits(folds: NDArray[np.int64]) -> int:
    """Gives how often `cross_validated` calls `on_fit`, for `COSTS`."""
    num_folds = len(np.unique(folds))
    return num_folds * ((num_folds - 1) * len(COSTS) + 1)


def cross_validated(
    features: Features,
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    costs: Sequence[float] | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> Judged:
    """Answers every sound by an SVM that has seen neither its fold nor its labels.

    Args:
        features: of the N sounds.
        labels: int64 [N], 0 to K - 1.
        folds: int64 [N]; three or more (see `check_folds`).
        costs: rising; None: `COSTS`.
        on_fit: called after each fit.
    """
    costs = COSTS if costs is None else costs
    predicted = np.full(len(labels), -1, dtype=np.int64)
    chosen = []
    counter = _Counter()
    for fold in np.unique(folds):
        test = folds == fold
        right = np.zeros(len(costs), dtype=np.int64)
        for inner in np.unique(folds[~test]):
            held = ~test & (folds == inner)
            train = ~test & ~held
            for place, cost in enumerate(costs):
                if len(np.unique(labels[train])) > 1:
                    model = _fit(features.of(train), labels, cost, counter)
                    right[place] += int(
                        (_answers(model, features.of(held), held) == labels[held]).sum()
                    )
                on_fit()
        cost = costs[int(right.argmax())]
        chosen.append(cost)
        model = _fit(features.of(~test), labels, cost, counter)
        predicted[test] = _answers(model, features.of(test), test)
        on_fit()
    return Judged(predicted=predicted, costs=tuple(chosen), num_unsettled=counter.num)


class _Counter:
    num = 0


_MAX_ITERATIONS = 5000


def _fit(features: Features, labels: NDArray[np.int64], cost: float, unsettled: _Counter) -> Any:
    """Fits scaler and SVM; the tolerances are liblinear's own (sklearn's are far stricter)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    wide = features.vectors.shape[1] > features.vectors.shape[0]
    machine = LinearSVC(
        C=cost, dual=wide, tol=0.1 if wide else 0.01, max_iter=_MAX_ITERATIONS, random_state=0
    )
    model = make_pipeline(StandardScaler(), machine)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features.vectors.astype(np.float64), labels[features.owner])
    unsettled.num += any(issubclass(one.category, ConvergenceWarning) for one in caught)
    return model


def _answers(model: Any, features: Features, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Gives the class of each chosen sound, in the order of their numbers."""
    scores = model.decision_function(features.vectors.astype(np.float64))
    if scores.ndim == 1:  # two classes: the score of the second
        scores = np.column_stack([-scores, scores])
    sums = np.zeros((len(chosen), scores.shape[1]))
    np.add.at(sums, features.owner, scores)  # as many windows for each class: the sum decides
    return model.classes_[sums[chosen].argmax(axis=1)]


def deal_folds(
    labels: NDArray[np.int64], groups: Sequence[str], *, num_folds: int, seed: int
) -> NDArray[np.int64]:
    """Deals whole groups to folds 1 to `num_folds`, classes as even as that allows.

    scikit-learn's StratifiedGroupKFold in an order that the seed draws.

    Args:
        labels: int64 [N].
        groups: N names; sounds of one name stay together.
        num_folds: 3 or more.
        seed: another seed, other folds.

    Raises:
        InputError: too few folds or groups, or every class is smaller than the number of folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if num_folds < MIN_FOLDS:
        raise InputError(f"--folds {num_folds}: at least {MIN_FOLDS} (test, choice of C, training)")
    if len(set(groups)) < num_folds:
        raise InputError(
            f"{len(set(groups))} groups of sounds for {num_folds} folds; add sounds, or ask for "
            "fewer --folds"
        )
    if np.bincount(labels).max() < num_folds:
        raise InputError(
            f"no class has {num_folds} sounds for {num_folds} folds; ask for fewer --folds"
        )
    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    dealer = StratifiedGroupKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    folds = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small classes: `check_folds` speaks of them
        parts = dealer.split(np.zeros((len(labels), 1)), labels, order[numbers])
        for number, (_, test) in enumerate(parts, start=1):
            folds[test] = number
    return folds


def check_folds(
    labels: NDArray[np.int64], folds: NDArray[np.int64], names: Sequence[str], *, seeded: bool
) -> None:
    """Refuses what cannot be cross-validated.

    Args:
        labels: int64 [N].
        folds: int64 [N].
        names: of the K classes.
        seeded: whether the folds were dealt here, for the way out.

    Raises:
        InputError: fewer than two classes or three folds, a class without sounds, or one that
            lies in a single fold: no training would know it.
    """
    if len(names) < 2:
        raise InputError(f"one class only ({', '.join(names)}); two or more are needed")
    num_folds = len(np.unique(folds))
    if num_folds < MIN_FOLDS:
        raise InputError(
            f"{num_folds} folds with sounds in them; at least {MIN_FOLDS} (test, choice of C, "
            "training)"
        )
    lone = [name for place, name in enumerate(names) if len(np.unique(folds[labels == place])) < 2]
    if lone:
        shown = ", ".join(lone[:_SHOWN]) + ("…" if len(lone) > _SHOWN else "")
        way = "add sounds of other recordings or move the class away"
        raise InputError(
            f"{len(lone)} classes have readable sounds in fewer than two folds ({shown}); "
            + (way if seeded else "get the missing files again")
        )
