"""Runs of frames: every one that fits, none across a cut, drawn in proportion to motion."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import shot_numbers
from avssl.sample.runs import Runs, draw_run, find_runs, run_times


@settings(max_examples=40, deadline=None)
@given(
    num_frames=st.integers(1, 60),
    fps=st.sampled_from([8.0, 25.0, 30.0]),
    num_asked=st.integers(2, 6),
    rate_hz=st.sampled_from([2.0, 6.0, 8.0, 25.0]),
    cut=st.integers(0, 60),
)
def test_runs_against_brute_force(
    make_row: Callable[..., ClipRow],
    num_frames: int,
    fps: float,
    num_asked: int,
    rate_hz: float,
    cut: int,
) -> None:
    cuts_s = np.array([cut / fps]) if 0 < cut < num_frames else np.zeros(0)
    row = make_row(num_frames=num_frames, fps=fps, cuts_s=cuts_s)
    span_s = (num_asked - 1) / rate_hz
    found = find_runs(row, span_s=span_s)
    # in whole numbers: frame k is on screen from k / fps, and asked for in its middle
    expected = []
    for first in range(num_frames):
        asked = [first + 0.5 + k * fps / rate_hz for k in range(num_asked)]
        if asked[-1] > num_frames - 0.5 + 1e-4:
            continue
        inside = {int(at >= cut) for at in asked} if len(cuts_s) else {0}
        if len(inside) == 1:
            expected.append(first)
    assert found.first.tolist() == expected
    shots = shot_numbers(row)
    for first in expected:
        times_s = run_times(row, first, num_frames=num_asked, rate_hz=rate_hz)
        assert np.allclose(np.diff(times_s), 1 / rate_hz, atol=2e-4)
        assert row.start_s <= times_s[0] and times_s[-1] < row.end_s
        frames = np.searchsorted(row.frame_times_s, np.array(times_s) + 1e-9, side="right") - 1
        assert frames[0] == first and len(set(shots[frames])) == 1


def test_runs_are_drawn_by_their_motion() -> None:
    runs = Runs(first=np.array([3, 4, 9]), motion=np.array([1.0, 0.0, 3.0]))
    draws = (np.arange(400) + 0.5) / 400
    by_motion = [draw_run(runs, motion_power=1.0, draw=d) for d in draws]
    assert [by_motion.count(k) for k in (3, 4, 9)] == [100, 0, 300]
    alike = [draw_run(runs, motion_power=0.0, draw=d) for d in draws]
    assert [alike.count(k) for k in (3, 4, 9)] == pytest.approx([133, 133, 134], abs=1)
    still = Runs(first=np.array([0, 1]), motion=np.zeros(2))
    assert {draw_run(still, motion_power=2.0, draw=d) for d in draws} == {0, 1}
