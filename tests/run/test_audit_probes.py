"""Classes of answers, the measure, its error and its false alarms: against slow second ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from avssl.errors import InputError
from avssl.run.audit_error import guess_error, macro_auc
from avssl.run.audit_probes import MOST_CLASSES, Asked, classes_of, judge


def asked_of(label: np.ndarray) -> Asked:
    return classes_of(label.tolist())


def test_whole_numbers_are_classes_and_sizes_are_split_at_the_median() -> None:
    few = classes_of([7, 3, 3, 7, 5])
    assert few.label.tolist() == [2, 0, 0, 2, 1] and few.names == ("3", "5", "7")
    assert few.is_classes
    many = classes_of(list(range(100)))
    assert len(many.names) == MOST_CLASSES and many.label[17] == 1 and many.label[99] == 3
    sizes = classes_of([0.5, 2.0, 1.0, 3.0])
    assert (
        sizes.label.tolist() == [0, 1, 0, 1]
        and sizes.names == ("below 2", "2 or more")
        and not sizes.is_classes
    )
    # three in four are 0: the one that is not stands alone, whatever the median is
    assert classes_of([0.0, 0.0, 0.0, 0.7]).label.tolist() == [0, 0, 0, 1]
    assert classes_of([True, False]).label.tolist() == [1, 0]
    for wrong in ([1, 1], [0.5, 0.5], ["a", "b"], [1.0, float("nan")], [[1], [2]]):
        with pytest.raises(InputError):
            classes_of(wrong)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_the_measure_and_its_error_are_those_of_all_orders(
    seed: int, count: int, tied: bool
) -> None:
    """The mean of sklearn's curves; the error, of labels put in many orders."""
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(count), rng.integers(0, count, 40)])
    sure = rng.random((len(label), count))
    if tied:
        sure = np.round(2 * sure)
    expected = np.mean([roc_auc_score(label == k, sure[:, k]) for k in range(count)])
    assert macro_auc(label, sure) == pytest.approx(expected)
    orders = [macro_auc(rng.permutation(label), sure) for _ in range(200)]
    assert guess_error(label, sure) == pytest.approx(np.std(orders), rel=0.3)
    assert np.mean(orders) == pytest.approx(0.5, abs=5 * np.std(orders) / 14)


@given(st.integers(2, 60), st.integers(2, 60))
def test_for_two_classes_the_error_is_mann_and_whitneys(ones: int, zeros: int) -> None:
    label = np.r_[np.ones(ones, int), np.zeros(zeros, int)]
    score = np.random.default_rng(ones).permutation(len(label)).astype(float)
    closed = np.sqrt((ones + zeros + 1) / (12 * ones * zeros))
    assert guess_error(label, np.stack([-score, score], axis=1)) == pytest.approx(closed)


@pytest.mark.parametrize(("count", "tries"), [(2, 24), (5, 6)])
def test_false_alarms_are_as_rare_as_said(count: int, tries: int) -> None:
    """Answers that nothing tells: the classifiers stay within the margin in nearly all tries."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(tries):
        label = rng.integers(0, count, 300)
        one = judge(asked_of(label), 2.0 * rng.integers(0, 2, (300, 8)) - 1, num_fit=100)
        found += [(one.linear_auc - 0.5) / one.error, (one.small_auc - 0.5) / one.error]
        assert len(one.label) == 200
    deviations = np.array(found)
    assert np.mean(deviations) == pytest.approx(0, abs=3.5 / np.sqrt(tries))
    assert np.std(deviations) == pytest.approx(1, rel=0.4)
    assert deviations.max() < stats.norm.isf(0.05 / len(deviations)) + 0.5
    assert (deviations > stats.norm.isf(0.05)).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / tries)


def test_an_eight_way_leak_is_found_and_rare_classes_are_left_out() -> None:
    rng = np.random.default_rng(2)
    label = np.r_[rng.integers(0, 8, 900), [8, 9, 9]]
    rng.shuffle(label)
    numbers = np.stack([np.cos(label), np.sin(label)], axis=1) + rng.normal(0, 0.8, (903, 2))
    one = judge(asked_of(label), numbers, num_fit=300)
    assert one.names == tuple("01234567") and len(one.label) == len(one.places)
    assert one.best - 0.5 > 10 * one.error and one.linear.shape == (len(one.label), 8)
    assert np.array_equal(label[one.places], one.label)
    with pytest.raises(InputError, match="use more --samples"):
        judge(asked_of(np.arange(12)), rng.normal(size=(12, 2)), num_fit=4)
