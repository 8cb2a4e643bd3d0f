"""Shots, pictures and motion of a clip against loops that spell out their definitions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import (
    key_frame_period,
    motion_path,
    picture_numbers,
    screen_times,
    shot_numbers,
)

MakeRow = Callable[..., ClipRow]


def test_a_cut_is_the_first_frame_of_the_next_shot(make_row: MakeRow) -> None:
    row = make_row(num_frames=10, fps=10.0, cuts_s=np.array([0.3, 0.7]))
    assert shot_numbers(row).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]


@given(
    fps=st.sampled_from([23.976, 25.0, 29.97, 250.0]),
    start_s=st.floats(-3, 1000),
    cuts=st.sets(st.integers(1, 59), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_shots_hold_for_any_rate_and_start(
    make_row: MakeRow, fps: float, start_s: float, cuts: set[int]
) -> None:
    times_s = start_s + np.arange(60) / fps
    row = make_row(num_frames=60, fps=fps, start_s=start_s, cuts_s=times_s[sorted(cuts)])
    slow = [sum(cut <= frame for cut in cuts) for frame in range(60)]
    assert shot_numbers(row).tolist() == slow


def _slow_pictures(row: ClipRow) -> list[int]:
    numbers = [0]
    for frame in range(1, row.num_frames):
        before_s, now_s = row.frame_times_s[frame - 1 : frame + 1]
        still = any(
            start_s - 1e-6 <= before_s and now_s <= end_s + 1e-6
            for start_s, end_s in row.still_spans_s
        )
        same = still or frame in row.repeated_frames.tolist()
        numbers.append(numbers[-1] + (not same))
    return numbers


@given(
    repeated=st.sets(st.integers(1, 39), max_size=20),
    spans=st.lists(st.tuples(st.integers(0, 41), st.integers(0, 12)), max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_pictures_are_counted_once(
    make_row: MakeRow, repeated: set[int], spans: list[tuple[int, int]]
) -> None:
    row = make_row(
        num_frames=40,
        fps=10.0,
        repeated_frames=np.array(sorted(repeated), dtype=np.int64),
        still_spans_s=np.array([(a / 10, (a + n) / 10) for a, n in spans]).reshape(-1, 2),
    )
    assert picture_numbers(row).tolist() == _slow_pictures(row)


def test_motion_is_integrated_from_the_start(make_row: MakeRow) -> None:
    motion = np.array([1.0, 3.0, 0.0, 2.0, 2.0])  # short sides a second, in half seconds
    row = make_row(num_frames=9, fps=4.0, start_s=10.0, window_s=0.5, motion=motion)
    assert motion_path(row) == pytest.approx([0, 0.25, 0.5, 1.25, 2, 2, 2, 2.5, 3])


def test_motion_that_was_not_measured_is_none(make_row: MakeRow) -> None:
    assert not motion_path(make_row(motion=np.zeros(0))).any()


def test_key_frame_period(make_row: MakeRow) -> None:
    assert key_frame_period(make_row()) == 8
    assert key_frame_period(make_row(key_frames=np.arange(120))) == 1
    assert key_frame_period(make_row(key_frames=np.array([0, 8, 20]))) == 1
    assert key_frame_period(make_row(key_frames=np.zeros(0, dtype=np.int64))) == 1


def test_frames_are_asked_for_in_the_middle_of_their_time(make_row: MakeRow) -> None:
    row = make_row(
        num_frames=3,
        step_s=0.0,
        start_s=1.0,
        irregular_times_s=np.array([1.0, 1.5, 1.6]),
        last_frame_s=0.2,
    )
    assert screen_times(row) == pytest.approx([1.25, 1.55, 1.7])
