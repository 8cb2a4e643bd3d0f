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


def rectangle(
    shape: tuple[int, int], *, top: int, left: int, height: int, width: int
) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = True
    return mask


@given(
    height=st.integers(1, 30), width=st.integers(1, 40), down=st.integers(-12, 12),
    right=st.integers(-12, 12),
)  # fmt: skip
def test_j_of_a_rectangle_that_is_shifted(height: int, width: int, down: int, right: int) -> None:
    """Both share (h - |down|) (w - |right|) pixels, and cover 2 h w less those."""
    size = {"height": height, "width": width}
    one = rectangle((60, 80), top=14, left=18, **size)
    two = rectangle((60, 80), top=14 + down, left=18 + right, **size)
    shared = max(0, height - abs(down)) * max(0, width - abs(right))
    wanted = shared / (2 * height * width - shared)
    assert metrics.region_similarity(one, two) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("shape", "near_px"),
    [((60, 80), 1), ((300, 400), 4), ((480, 854), 8)],  # 0.008 x diagonal: 0.8, 4, 7.84
)
@pytest.mark.parametrize("turned", [False, True])
def test_f_of_a_rectangle_that_is_shifted(
    shape: tuple[int, int], near_px: int, turned: bool
) -> None:
    """By arithmetic, with h, w the sides, s the shift along w, and r the distance that matches.

    An outline is a frame of 2 (h + w) pixels. Up to s = r all of it matches. Beyond, of the two
    long sides what lies on the other's, and r more: w + r - s + 1 pixels each; of the upright side
    within the other r pixels below the upper side, and r above the lower. So both shares, and
    therefore F, are (w + 2 r - s + 1) / (h + w).
    """
    height, width = 3 * near_px + 5, 6 * near_px + 7
    for shift in range(3 * near_px):
        one = rectangle(shape, top=9, left=5, height=height, width=width)
        two = rectangle(shape, top=9, left=5 + shift, height=height, width=width)
        wanted = 1.0
        if shift > near_px:
            wanted = (width + 2 * near_px - shift + 1) / (height + width)
        masks = (one.T, two.T) if turned else (one, two)
        assert np.count_nonzero(metrics.outline(masks[0])) == 2 * (height + width)
        assert metrics.boundary_measure(*masks) == pytest.approx(wanted), shift
        assert metrics.boundary_measure(*masks[::-1]) == pytest.approx(wanted), shift


def test_precision_and_recall_of_outlines_that_lie_apart() -> None:
    """A second rectangle far away: all of the truth is found, half of what is found is true."""
    truth = rectangle((60, 80), top=5, left=5, height=10, width=12)
    both = truth | rectangle((60, 80), top=40, left=50, height=10, width=12)
    assert metrics.boundary_measure(both, truth) == pytest.approx(2 * 0.5 / 1.5)
    assert metrics.boundary_measure(truth, both) == pytest.approx(2 * 0.5 / 1.5)
    elsewhere = both & ~truth
    assert metrics.boundary_measure(elsewhere, truth) == 0  # and not a division by 0
    assert metrics.region_similarity(both, truth) == 1 / 2


def test_a_square_that_walks_away_from_its_copy() -> None:
    """Ten pixels a side, one a frame: J of frame k is (10 - k) / (10 + k)."""
    truth = [
        rectangle((40, 60), top=8, left=8 + k, height=10, width=10).astype(np.uint8)
        for k in range(10)
    ]
    j, f = metrics.sequence_values([truth[0]] * 10, truth, num_objects=1)
    assert j == pytest.approx(np.array([[(10 - k) / (10 + k) for k in range(1, 9)]]))
    # 0.008 of the diagonal, 0.58, matches within 1 px: (10 + 2 - k + 1) / 20 from k = 2 on
    assert f == pytest.approx(np.array([[1.0, *((13 - k) / 20 for k in range(2, 9))]]))
    figures = metrics.davis_figures({"walk": (j, f)})
    # above one half: 9/11, 8/12, 7/13, and not 6/14; of F 1, 11/20, and not 10/20
    assert figures["J recall"] == 3 / 8 and figures["F recall"] == 2 / 8
    # eight frames in quarters that share borders: 0-2, 2-4, 4-5, 5-7
    first, last = (9 / 11 + 8 / 12 + 7 / 13) / 3, (4 / 16 + 3 / 17 + 2 / 18) / 3
    assert figures["J decay"] == pytest.approx(first - last)
    assert figures["F decay"] == pytest.approx((1 + 11 / 20 + 10 / 20) / 3 - (7 + 6 + 5) / 60)
    assert figures["J&F mean"] == pytest.approx((j.mean() + f.mean()) / 2)


@pytest.mark.parametrize(
    ("num", "first", "last"),
    [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 2, 2), (7, 3, 2), (8, 3, 3), (9, 3, 3)],
)
def test_borders_of_quarters_by_hand(num: int, first: int, last: int) -> None:
    """1 + (n - 1) k / 4, halves up: of 7 frames 1, 2.5, 4, 5.5, 7, so 1 to 3 and 6 to 7."""
    values = np.array([0.9**k for k in range(num)])
    decay = metrics.statistics(values)[2]
    assert decay == pytest.approx(values[:first].mean() - values[num - last :].mean())


def test_half_is_not_above_half() -> None:
    assert metrics.statistics(np.array([0.5, 0.5, 0.5001, 0.0]))[1] == 1 / 4


def test_an_object_that_is_gone_or_never_found() -> None:
    """Empty on both sides is right, on one side wrong, frame by frame."""
    seen = rectangle((20, 20), top=5, left=5, height=6, width=6).astype(np.uint8)
    gone = np.zeros_like(seen)
    j, f = metrics.sequence_values(
        [seen, gone, seen, gone, seen, seen], [seen, gone, gone, seen, seen, seen], num_objects=1
    )
    assert j.tolist() == f.tolist() == [[1.0, 0.0, 0.0, 1.0]]
    assert all(math.isnan(v) for v in metrics.davis_figures({}).values())


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
