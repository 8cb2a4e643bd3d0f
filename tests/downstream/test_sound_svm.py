"""The cross-validated SVM against scikit-learn's own search, planted answers, chance, no leaks."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from avssl.downstream import sounds as svm
from avssl.errors import InputError


def blobs(
    num_classes: int, each: int, *, width: int, apart: float, seed: int, num_folds: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives features of very unlike scales, labels and folds, all classes in all folds."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), each)
    centres = apart * rng.standard_normal((num_classes, width))
    x = centres[labels] + rng.standard_normal((len(labels), width))
    folds = np.tile(np.arange(each) % num_folds, num_classes) + 1
    return (x * np.logspace(-3, 3, width) + 7).astype(np.float32), labels, folds


def plain(x: np.ndarray) -> svm.Features:
    return svm.Features(vectors=x, owner=np.arange(len(x)))


@pytest.mark.parametrize("num_classes", [2, 4])
def test_equals_scikit_learns_own_search(num_classes: int) -> None:
    x, labels, folds = blobs(num_classes, 24, width=8, apart=0.5, seed=num_classes, num_folds=3)
    calls = []
    found = svm.cross_validated(plain(x), labels, folds, on_fit=lambda: calls.append(1))
    assert len(calls) == svm.num_fits(folds) == 3 * (2 * len(svm.COSTS) + 1)
    for number, fold in enumerate(np.unique(folds)):
        train = folds != fold
        machine = LinearSVC(dual=False, tol=0.01, random_state=0)
        search = GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("svm", machine)]),
            {"svm__C": list(svm.COSTS)},
            cv=PredefinedSplit(folds[train]),
        ).fit(x[train].astype(np.float64), labels[train])
        assert search.best_params_["svm__C"] == found.costs[number]
        expected = search.predict(x[~train].astype(np.float64))
        assert np.array_equal(found.predicted[~train], expected)
    assert 0.3 < np.mean(found.predicted == labels) < 1.0  # hard enough to tell something


def test_planted_answers() -> None:
    """Features that name the class, but for seven sounds that name another."""
    labels, folds = np.arange(60) % 3, np.arange(60) // 3 % 4
    shown = labels.copy()
    wrong = [2, 11, 20, 31, 33, 40, 59]
    shown[wrong] = (shown[wrong] + 1) % 3
    found = svm.cross_validated(
        plain(np.eye(3, dtype=np.float32)[shown]), labels, folds, costs=(0.1,)
    )
    assert np.array_equal(found.predicted, shown)
    accuracy, balanced = svm.accuracies(found.predicted, labels, folds)
    assert np.mean(accuracy) == pytest.approx(53 / 60)  # folds are equally large
    for place, fold in enumerate(np.unique(folds)):
        own = folds == fold
        assert balanced[place] == pytest.approx(balanced_accuracy_score(labels[own], shown[own]))
    assert np.array_equal(svm.confusion(shown, labels, 3), confusion_matrix(labels, shown))


def test_permuted_labels_are_answered_by_chance() -> None:
    """The same features that get nearly all right get none of it when the labels say nothing."""
    x, labels, folds = blobs(4, 50, width=40, apart=1.0, seed=1, num_folds=3)
    known = svm.cross_validated(plain(x), labels, folds, costs=(1e-3, 1e-1))
    assert np.mean(known.predicted == labels) > 0.95
    shuffled = np.random.default_rng(2).permutation(labels)
    found = svm.cross_validated(plain(x), shuffled, folds, costs=(1e-3, 1e-1))
    low, high = stats.binom.interval(0.999, len(labels), 1 / 4)
    assert low <= (found.predicted == shuffled).sum() <= high


def test_nothing_of_the_test_fold_is_used_for_its_own_answers() -> None:
    x, labels, folds = blobs(3, 20, width=6, apart=0.6, seed=3, num_folds=4)
    costs = (1e-4, 1e-2, 1.0)
    before = svm.cross_validated(plain(x), labels, folds, costs=costs)
    for place, fold in enumerate(np.unique(folds)):
        test = np.flatnonzero(folds == fold)
        # other labels in the fold, and one sound of it far off: it would move mean and deviation
        lied = labels.copy()
        lied[test] = (lied[test] + 1) % 3
        far = x.copy()
        far[test[0]] = 1e9
        after = svm.cross_validated(plain(far), lied, folds, costs=costs)
        assert np.array_equal(before.predicted[test[1:]], after.predicted[test[1:]])
        assert before.costs[place] == after.costs[place]
        # where the fold trains, the same lie is believed
        others = folds != fold
        believed = (after.predicted[others] == lied[others]).mean()
        assert (before.predicted[others] == labels[others]).mean() > believed


def test_windows_scores_are_averaged_before_the_answer() -> None:
    x, labels, folds = blobs(3, 12, width=5, apart=0.7, seed=4, num_folds=3)
    rng = np.random.default_rng(5)
    owner = np.repeat(np.arange(len(x)), rng.integers(1, 5, len(x)))
    windows = (x[owner] * (1 + 0.3 * rng.standard_normal((len(owner), 5)))).astype(np.float32)
    features = svm.Features(vectors=windows, owner=owner)
    found = svm.cross_validated(features, labels, folds, costs=(0.01,))
    for fold in (1, 2, 3):
        train = folds[owner] != fold
        scaler = StandardScaler().fit(windows[train].astype(np.float64))
        machine = LinearSVC(C=0.01, dual=False, tol=0.01, random_state=0)
        machine.fit(scaler.transform(windows[train].astype(np.float64)), labels[owner[train]])
        for sound in np.flatnonzero(folds == fold):
            own = scaler.transform(windows[owner == sound].astype(np.float64))
            assert found.predicted[sound] == machine.decision_function(own).mean(axis=0).argmax()


def test_majority() -> None:
    labels, folds = np.array([0, 0, 1, 1, 1, 0]), np.array([1, 1, 2, 2, 3, 3])
    # without fold 1: 1 1 1 0; without 2: 0 0 1 0; without 3: 0 0 1 1, the first of equals
    assert svm.majority(labels, folds).predicted.tolist() == [1, 1, 0, 0, 0, 0]


def test_folds_keep_groups_whole_and_classes_even() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    each = rng.integers(0, 12, 120)
    groups = [f"{label}-{number}" for label, number in zip(labels, each, strict=True)]
    folds = svm.deal_folds(labels, groups, num_folds=5, seed=0)
    where: dict[str, set[int]] = {}
    for group, fold in zip(groups, folds, strict=True):
        where.setdefault(group, set()).add(int(fold))
    assert all(len(held) == 1 for held in where.values())
    counts = np.array([np.bincount(labels[folds == fold], minlength=4) for fold in range(1, 6)])
    assert counts.min() >= 2 and counts.sum() == 120
    again = svm.deal_folds(labels, groups, num_folds=5, seed=0)
    other = svm.deal_folds(labels, groups, num_folds=5, seed=1)
    assert np.array_equal(folds, again) and not np.array_equal(folds, other)


def test_refusals() -> None:
    two = np.array([0, 0, 0, 1, 1, 1])
    each = [str(number) for number in range(6)]
    for keywords, reason in (
        ({"num_folds": 2}, "at least 3"),
        ({"num_folds": 4}, "no class has 4 sounds"),
    ):
        with pytest.raises(InputError, match=reason):
            svm.deal_folds(two, each, seed=0, **keywords)
    with pytest.raises(InputError, match="2 groups of sounds for 3 folds"):
        svm.deal_folds(two, list("aaabbb"), num_folds=3, seed=0)
    for labels, folds, names, reason in (
        (two * 0, [1, 2, 3] * 2, ["a"], "one class only"),
        (two, [1, 1, 2, 2, 1, 2], ["a", "b"], "2 folds with sounds"),
        (two, [1, 2, 3, 3, 3, 3], ["a", "b"], r"1 classes .* \(b\)"),
        (two, [1, 2, 3, 1, 2, 3], ["a", "b", "gone"], r"1 classes .* \(gone\)"),
    ):
        with pytest.raises(InputError, match=reason):
            svm.check_folds(labels, np.array(folds), names, seeded=True)
