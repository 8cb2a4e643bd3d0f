"""Figures of classification against scikit-learn, scipy and loops."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    top_k_accuracy_score,
)

from avssl.downstream.action_metrics import (
    blind_scores,
    class_means,
    confusion,
    group_intervals,
    in_top,
    video_scores,
)


@settings(max_examples=25, deadline=None)
@given(
    num=st.integers(2, 40),
    num_classes=st.integers(3, 9),
    top=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_scores_are_scikit_learns(num: int, num_classes: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((num, num_classes)), rng.integers(num_classes, size=num)
    known = np.arange(num_classes)
    if top < num_classes:  # with top = K scikit-learn warns that all is right
        expected = top_k_accuracy_score(labels, scores, k=top, labels=known)
        assert in_top(scores, labels, top=top).mean() == pytest.approx(expected)
    answers = scores.argmax(axis=1)
    found = video_scores(scores, labels)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, answers))
    right = (answers == labels).astype(float)
    assert class_means(right, labels) == found["mean_class_accuracy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers of classes that are not in the truth
        balanced = balanced_accuracy_score(labels, answers)
    assert found["mean_class_accuracy"] == pytest.approx(balanced)
    np.testing.assert_array_equal(
        confusion(scores, labels), confusion_matrix(labels, answers, labels=known)
    )
    assert ("top5" in found) == (num_classes > 5)


def test_the_blind_answer_is_the_commonest_class_of_the_training() -> None:
    counts = np.array([3, 9, 1, 9, 0, 5, 2])  # of the training: class 1 before 3, then 5, 0, 6
    labels = np.array([1, 1, 3, 5, 2, 4, 6, 0])
    found = blind_scores(labels, counts)
    assert found["accuracy"] == pytest.approx(2 / 8)
    assert found["top5"] == pytest.approx(6 / 8)  # all but 2 and 4
    assert found["mean_class_accuracy"] == pytest.approx(1 / 7)


def test_intervals_draw_whole_groups() -> None:
    """Groups of k alike videos: the interval is that of the groups, √k as wide as of videos."""
    rng = np.random.default_rng(0)
    of_group = (rng.random(60) < 0.6).astype(float)
    right, groups = np.repeat(of_group, 5), np.repeat(np.arange(60), 5).astype(str)
    labels = np.zeros(len(right), dtype=np.int64)
    torn = [str(k) for k in range(len(right))]
    found = {}
    for name, own in (("groups", groups.tolist()), ("videos", torn)):
        both = group_intervals({"accuracy": right}, labels, own, rng=np.random.default_rng(1))
        assert both["accuracy"] == both["mean_class_accuracy"]  # of one class
        found[name] = both["accuracy"]
        assert found[name][0] < right.mean() < found[name][1]
    share = of_group.mean()
    expected = 2 * 1.96 * np.sqrt(share * (1 - share) / 60)
    assert found["groups"][1] - found["groups"][0] == pytest.approx(expected, rel=0.15)
    wide, narrow = (found[name][1] - found[name][0] for name in ("groups", "videos"))
    assert wide / narrow == pytest.approx(np.sqrt(5), rel=0.2)
    alone = group_intervals({"accuracy": right}, labels, ["a"] * len(right), rng=rng)
    assert alone == {}  # nothing to draw from
