"""Linear readers of frozen features: SVM, softmax regression, ridge; all that is chosen is chosen
on the training split, by cross-validation over whole groups.

The SVM is that of FAIR-bench and vissl (papers.md §5.4): one class against the rest, squared hinge,
positives count twice, features of length one, the cost of each class by 3-fold cross-validation.
That folds keep groups (videos) whole, the mean over training samples being taken off, and the
costs are ours.

    features [N, F] → length one → less their mean → over their mean length → turned

The last step is exact, not an approximation: every solution with an L2 penalty lies in the span of
the training samples, so N numbers in an orthonormal basis of that span tell all that F did.

Shapes: N training samples, M others, F features, D ≤ min(N, F) of them after turning, K classes,
T numbers to predict.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.downstream.probe_metrics import average_precision
from avssl.errors import InputError

COSTS = tuple(10.0**power for power in range(-2, 3))
"""Of SVM and softmax regression."""
PENALTIES = tuple(10.0**power for power in range(-3, 5))
"""Of the ridge; features have a mean length of one."""
NUM_FOLDS = 3
FIXED_COST = 1.0
"""Taken where labels are too few to choose: a class in fewer groups than there are folds."""
_WEIGHT = {1: 2.0, -1: 1.0}
_ITERATIONS = 2000
_NO_RANK = 1e-7

Floats = NDArray[np.float64]


class Turned:
    """The span of the training features: takes features [·, F] to [·, D]; see the file's head."""

    def __init__(self, train: NDArray[np.floating]) -> None:
        unit = _unit(train)
        self._middle = unit.mean(axis=0)
        centred = unit - self._middle
        self._length = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
        centred /= self._length
        if len(centred) <= centred.shape[1]:
            values, vectors = np.linalg.eigh(centred @ centred.T)
            kept = values > _NO_RANK * max(values[-1], _NO_RANK)
            self._basis = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
        else:
            self._basis = np.eye(centred.shape[1])

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        """Gives float64 [M, D] of features [M, F]."""
        return ((_unit(features) - self._middle) / self._length) @ self._basis


def _unit(features: NDArray[np.floating]) -> Floats:
    wide = np.asarray(features, dtype=np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True).clip(1e-12)


def deal(
    groups: Sequence[Any], classes: NDArray[np.int64] | None = None, *, num: int = NUM_FOLDS
) -> NDArray[np.int64]:
    """Deals whole groups to folds 0 to num - 1, classes as even as that allows, int64 [N].

    Raises:
        InputError: fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    names = np.asarray(groups)
    if len(np.unique(names)) < num:
        raise InputError(
            f"{len(np.unique(names))} groups of clips to train on: {num} or more are needed to "
            "choose a cost; prepare more videos"
        )
    blank = np.zeros((len(names), 1))
    if classes is None:
        parts = GroupKFold(n_splits=num).split(blank, groups=names)
    else:
        dealer = StratifiedGroupKFold(n_splits=num, shuffle=True, random_state=0)
        parts = dealer.split(blank, classes, names)
    folds = np.zeros(len(names), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class smaller than the number of folds
        for number, (_, held) in enumerate(parts):
            folds[held] = number
    return folds


def _svm_scores(train: Floats, truth: NDArray[np.bool_], others: Floats, cost: float) -> Floats:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    if truth.all() or not truth.any():
        return np.zeros(len(others))
    how: dict[str, Any] = {"dual": True, "tol": 0.1, "max_iter": _ITERATIONS, "random_state": 0}
    machine: Any = LinearSVC(C=cost, class_weight=_WEIGHT, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(train, np.where(truth, 1, -1))
    return machine.decision_function(others)


def svm(
    train: Floats,
    marks: NDArray[np.bool_],
    others: Floats,
    folds: NDArray[np.int64] | None,
    *,
    costs: Sequence[float] = COSTS,
) -> tuple[Floats, list[float], float]:
    """Fits one SVM a class and scores others.

    Args:
        train: float64 [N, D], turned.
        marks: bool [N, K].
        others: float64 [M, D].
        folds: int64 [N], for the choice of each class's cost; None takes `FIXED_COST`.
        costs: rising; the smallest of equals is taken.

    Returns:
        Scores float64 [M, K], the costs, and the mean over classes of the average precision in the
        folds that were held out (NaN without folds).
    """
    scores, chosen, held = np.zeros((len(others), marks.shape[1])), [], []
    for k in range(marks.shape[1]):
        cost = FIXED_COST
        if folds is not None:
            values = np.full((NUM_FOLDS, len(costs)), np.nan)
            for fold in range(NUM_FOLDS):
                out = folds == fold
                if not marks[out, k].any() or not marks[~out, k].any():
                    continue  # nothing to find there, or nothing to learn from
                for place, one in enumerate(costs):
                    found = _svm_scores(train[~out], marks[~out, k], train[out], one)
                    values[fold, place] = average_precision(found, marks[out, k])[0]
            known = np.isfinite(values[:, 0])
            if known.any():
                means = values[known].mean(axis=0)
                cost = costs[int(means.argmax())]
                held.append(float(means.max()))
        chosen.append(cost)
        scores[:, k] = _svm_scores(train, marks[:, k], others, cost)
    return scores, chosen, float(np.mean(held)) if held else float("nan")


def softmax(
    train: Floats,
    classes: NDArray[np.int64],
    others: Floats,
    folds: NDArray[np.int64] | None,
    *,
    num_classes: int,
    costs: Sequence[float] = COSTS,
) -> tuple[Floats, float, float]:
    """Fits a softmax regression (L2 penalty, L-BFGS) and gives log-probabilities of others.

    Args:
        train: float64 [N, D], turned.
        classes: int64 [N], 0 to num_classes - 1; not every class need occur.
        others: float64 [M, D].
        folds: as `svm`; the cost with the least loss in the folds held out is taken.
        num_classes: K.
        costs: 1 / penalty.

    Returns:
        float64 [M, K] (−inf for a class that never occurred), the cost, and the share of right
        answers in the folds held out (NaN without folds).
    """
    cost, right = FIXED_COST, float("nan")
    if folds is not None:
        losses, rights = np.zeros(len(costs)), np.zeros(len(costs))
        for fold in range(NUM_FOLDS):
            out = folds == fold
            for place, one in enumerate(costs):
                found = _log_odds(train[~out], classes[~out], train[out], num_classes, one)
                own = np.take_along_axis(found, classes[out][:, None], axis=1)
                losses[place] -= np.maximum(own, -20.0).sum()  # an unknown class costs, finitely
                rights[place] += (found.argmax(axis=1) == classes[out]).sum()
        best = int(losses.argmin())
        cost, right = costs[best], float(rights[best] / len(classes))
    return _log_odds(train, classes, others, num_classes, cost), cost, right


def _log_odds(
    train: Floats, classes: NDArray[np.int64], others: Floats, num_classes: int, cost: float
) -> Floats:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.full((len(others), num_classes), -np.inf)
    present = np.unique(classes)
    if len(present) < 2:
        found[:, present] = 0.0
        return found
    model = LogisticRegression(C=cost, max_iter=500, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, classes)
    found[:, model.classes_] = model.predict_log_proba(others)
    return found


def ridge(
    train: Floats,
    truth: Floats,
    others: Floats,
    folds: NDArray[np.int64],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> tuple[Floats, float, float]:
    """Predicts T numbers: least |X w − y|² + penalty · |w|², X and y less their training means.

    Args:
        train: float64 [N, D], turned.
        truth: float64 [N, T]; rows with a NaN are left out.
        others: float64 [M, D].
        folds: int64 [N]; one penalty is chosen for all T by the errors in the folds held out, each
            number over its deviation.
        penalties: to choose from.

    Returns:
        float64 [M, T], the penalty, and R² in the folds held out.
    """
    known = np.isfinite(truth).all(axis=1)
    x, y, dealt = train[known], truth[known], folds[known]
    spread = y.std(axis=0).clip(1e-12)
    errors, middles = np.zeros(len(penalties)), 0.0
    for fold in np.unique(dealt):
        out = dealt == fold
        if out.all():
            continue
        solved = ridge_path(x[~out], y[~out], x[out], penalties=penalties)
        errors += (((solved - y[out]) / spread) ** 2).sum(axis=(1, 2))
        middles += (((y[out] - y.mean(axis=0)) / spread) ** 2).sum()
    best = int(errors.argmin())
    held = 1 - errors[best] / middles if middles else float("nan")
    return ridge_path(x, y, others, penalties=[penalties[best]])[0], penalties[best], float(held)


def ridge_path(x: Floats, y: Floats, others: Floats, *, penalties: Sequence[float]) -> Floats:
    """Gives the ridge's answers for several penalties at once, float64 [P, M, T].

    The smaller of X Xᵀ and XᵀX is taken apart once.
    """
    centre, middle = x.mean(axis=0), y.mean(axis=0)
    x, y, others = x - centre, y - middle, others - centre
    few = x.shape[0] <= x.shape[1]
    values, vectors = np.linalg.eigh(x @ x.T if few else x.T @ x)
    turned = vectors.T @ (y if few else x.T @ y)
    seen = (others @ x.T if few else others) @ vectors
    shrink = 1 / (values.clip(0)[None] + np.asarray(penalties)[:, None])
    return np.einsum("md,pd,dt->pmt", seen, shrink, turned, optimize=True) + middle
