"""J, F and PCK against slow programs of their own, on random masks and on edge cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avssl.downstream import propagation_metrics as metrics

MASKS = arrays(np.bool_, (14, 19))


def slow_outline(mask: np.ndarray) -> set[tuple[int, int]]:
    """Pixels unlike the one to the right, below or across; at the edges only those there are."""
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0), (1, 1)):
                # official: the last row looks right only, the last column down only
                if y == height - 1:
                    dy = 0
                if x == width - 1:
                    dx = 0
                if mask[y, x] != mask[y + dy, x + dx]:
                    found.add((y, x))
    return found


def slow_f(found: np.ndarray, truth: np.ndarray, tolerance: float) -> float:
    one, two = slow_outline(found), slow_outline(truth)
    reach = math.ceil(tolerance * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))

    def near(point: tuple[int, int], others: set[tuple[int, int]]) -> bool:
        return any((point[0] - y) ** 2 + (point[1] - x) ** 2 <= reach**2 for y, x in others)

    if not one and not two:
        return 1.0
    if not one:  # official: precision 1, recall 0
        return 0.0
    if not two:
        return 0.0
    precision = sum(near(p, two) for p in one) / len(one)
    recall = sum(near(p, one) for p in two) / len(two)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


@settings(max_examples=25, deadline=None)
@given(found=MASKS, truth=MASKS, tolerance=st.sampled_from([0.008, 0.08, 0.15]))
def test_against_a_slow_program(found: np.ndarray, truth: np.ndarray, tolerance: float) -> None:
    assert {tuple(p) for p in np.argwhere(metrics.outline(found))} == slow_outline(found)
    f = metrics.boundary_measure(found, truth, tolerance=tolerance)
    assert f == pytest.approx(slow_f(found, truth, tolerance))
    both, either = 0, 0
    for one, two in zip(found.flat, truth.flat, strict=True):
        both, either = both + (one and two), either + (one or two)
    assert metrics.region_similarity(found, truth) == pytest.approx(both / either if either else 1)


def test_empty_masks_as_the_official_program_counts_them() -> None:
    empty, full = np.zeros((9, 9), bool), np.ones((9, 9), bool)
    some = empty.copy()
    some[3:6, 3:6] = True
    assert metrics.region_similarity(empty, empty) == 1
    assert metrics.region_similarity(some, empty) == metrics.region_similarity(empty, some) == 0
    assert metrics.boundary_measure(empty, empty) == 1
    assert metrics.boundary_measure(full, empty) == 1  # neither has an outline
    assert metrics.boundary_measure(some, empty) == metrics.boundary_measure(empty, some) == 0
    assert metrics.boundary_measure(some, some) == 1


def test_the_tolerance_is_that_of_480p() -> None:
    """0.008 of the diagonal of 854 x 480 is 7.84: eight pixels off still match, nine do not."""
    truth = np.zeros((480, 854), bool)
    truth[100:300, 200:500] = True
    for shift, expected in ((8, 1.0), (9, None)):
        moved = np.roll(truth, shift, axis=1)
        f = metrics.boundary_measure(moved, truth)
        assert f == 1.0 if expected else f < 1.0


def test_ends_are_left_out_and_objects_are_averaged() -> None:
    truth = [np.zeros((20, 20), np.uint8) for _ in range(5)]
    for mask in truth:
        mask[2:8, 2:8], mask[12:18, 12:18] = 1, 2
    found = [mask.copy() for mask in truth]
    found[0][:] = found[4][:] = 0  # the ends: must not count
    found[2][found[2] == 2] = 0
    j, f = metrics.sequence_values(found, truth, num_objects=2)
    assert j.tolist() == [[1, 1, 1], [1, 0, 1]] and f.tolist() == [[1, 1, 1], [1, 0, 1]]
    figures = metrics.davis_figures({"one": (j, f), "two": (np.ones((1, 3)), np.zeros((1, 3)))})
    # three objects: 1, 2/3, 1 and 1, 2/3, 0
    assert figures["J mean"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert figures["F mean"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert figures["J&F mean"] == pytest.approx((figures["J mean"] + figures["F mean"]) / 2)
    assert figures["J recall"] == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_decay_is_the_first_quarter_less_the_last() -> None:
    values = np.linspace(1, 0, 9)  # quarters of three frames that share their borders
    mean, recall, decay = metrics.statistics(values)
    assert mean == pytest.approx(0.5) and recall == pytest.approx(4 / 9)
    assert decay == pytest.approx((1 + 0.875 + 0.75) / 3 - (0.25 + 0.125 + 0) / 3)


def test_shares_of_points() -> None:
    truth = np.array([[[0.0, 0.0], [10.0, 0.0]], [[0.0, 0.0], [np.nan, np.nan]]])
    found = np.array([[[3.0, 4.0], [10.0, 0.0]], [[np.nan, np.nan], [1.0, 1.0]]])
    errors = metrics.point_errors(found, truth, np.array([50.0, 50.0]))
    assert errors[0].tolist() == pytest.approx([0.1, 0.0])
    assert errors[1, 0] == np.inf and np.isnan(errors[1, 1])
    assert metrics.pck_of([errors], (0.05, 0.1)) == pytest.approx(
        {"PCK@0.05": 1 / 3, "PCK@0.1": 2 / 3}
    )
    unknown = metrics.point_errors(found, truth, np.zeros(2))
    assert np.isnan(unknown).all() and np.isnan(metrics.pck_of([unknown], (0.1,))["PCK@0.1"])
