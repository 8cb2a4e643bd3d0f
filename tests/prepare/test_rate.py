"""The constant rate against the rule it stands for."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.prepare.rate import MAX_GAP_S, choose_grid, place


def placed(times_s, grid, *, last_s):
    return list(place(((t, k) for k, t in enumerate(times_s)), grid, last_s=last_s))


@pytest.mark.parametrize(
    ("rate", "cap", "step"),
    [
        (Fraction(25), 30, Fraction(1, 25)),
        (Fraction(30000, 1001), 30, Fraction(1001, 30000)),
        (Fraction(60), 30, Fraction(1, 30)),
        (Fraction(60000, 1001), 30, Fraction(1001, 30000)),
        (Fraction(50), 30, Fraction(1, 25)),
        (Fraction(250), 30, Fraction(9, 250)),
        (Fraction(30), 10, Fraction(1, 10)),
    ],
)
@pytest.mark.parametrize("clock_s", [0.0, 0.001, 1 / 90000])
def test_even_sources(rate: Fraction, cap: float, step: Fraction, clock_s: float) -> None:
    times_s = 3.7 + np.arange(90) / float(rate)
    if clock_s:
        times_s = np.round(times_s / clock_s) * clock_s
    grid = choose_grid(times_s, claimed_rate=rate, max_rate=cap)
    assert grid.regular and grid.step == step
    found = placed(times_s, grid, last_s=1 / float(rate))
    nth = round(float(step * rate))
    assert [item.frame for item in found] == list(range(0, 90, nth))
    assert not any(item.repeated for item in found)


def test_a_frame_missing_from_an_even_grid_is_filled_and_marked() -> None:
    times_s = np.delete(np.arange(60) / 30, [2, 9, 16])  # every seventh, as in the docs
    grid = choose_grid(times_s, claimed_rate=Fraction(30), max_rate=30)
    assert not grid.regular and grid.step == Fraction(1, 30)
    found = placed(times_s, grid, last_s=1 / 30)
    assert [item.index for item in found if item.repeated] == [2, 9, 16]
    assert len(found) == 60


@settings(max_examples=200, deadline=None)
@given(
    gaps_ms=st.lists(st.integers(5, 400), min_size=2, max_size=60),
    cap=st.sampled_from([10.0, 25.0, 30.0]),
)
def test_variable_rate_shows_the_last_frame_that_is_not_later(gaps_ms, cap) -> None:
    times_s = np.cumsum([1470, *gaps_ms]) / 1000
    grid = choose_grid(times_s, claimed_rate=None, max_rate=cap)
    assert 1 / grid.step <= cap + 1e-9
    found = placed(times_s, grid, last_s=float(grid.step))
    if grid.regular:
        return  # an even source, by chance: tested above
    for item in found:
        due_s = times_s[0] + float(item.index * grid.step)
        # slow second implementation of the rule, with the millisecond that a clock may round
        expected = max(k for k, t in enumerate(times_s) if t <= due_s + grid.tolerance_s + 1e-12)
        near_edge = np.abs(times_s - due_s - grid.tolerance_s).min() < 1e-9
        assert item.frame == expected or near_edge
    shown = [item.frame for item in found]
    assert [item.repeated for item in found] == [
        k > 0 and shown[k] == shown[k - 1] for k in range(len(shown))
    ]


def test_a_long_hole_begins_anew_and_is_not_filled() -> None:
    times_s = np.concatenate([np.arange(30) / 25, 36000 + np.arange(30) / 25])
    grid = choose_grid(times_s, claimed_rate=Fraction(25), max_rate=30)
    found = placed(times_s, grid, last_s=0.04)
    assert len(found) == 60
    assert [item.index for item in found if item.restart] == [0, 30]
    assert max(np.diff(times_s)) > MAX_GAP_S


def test_one_frame_and_frames_that_go_back_in_time() -> None:
    grid = choose_grid(np.asarray([0.5]), claimed_rate=None, max_rate=30)
    assert len(placed([0.5], grid, last_s=0.0)) == 1
    grid = choose_grid(np.arange(4) / 25, claimed_rate=None, max_rate=30)
    found = placed([0.0, 0.04, 0.02, 0.08, 0.12], grid, last_s=0.04)
    assert [item.frame for item in found] == [0, 1, 3, 4]
