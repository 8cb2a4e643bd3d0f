"""Runs against a slow second implementation: every start tried, every rule read off."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import key_frame_period, motion_path, picture_numbers, shot_numbers
from avssl.sample.sequences import find_runs, frames_in

MakeRow = Callable[..., ClipRow]


@pytest.mark.parametrize(
    ("fps", "duration_s", "whole_periods", "expected"),
    [
        (25.0, 0.3, True, 8),  # 7.5 frames: one period of 8
        (25.0, 0.3, False, 8),
        (30.0, 0.3, True, 8),
        (30.0, 0.3, False, 9),
        (30.0, 0.01, True, 8),  # never less than one
        (30.0, 0.01, False, 1),
        (50.0, 0.5, True, 24),
    ],
)
def test_a_step_in_frames(
    make_row: MakeRow, fps: float, duration_s: float, whole_periods: bool, expected: int
) -> None:
    assert frames_in(make_row(fps=fps), duration_s, whole_periods=whole_periods) == expected


@settings(max_examples=60, deadline=None)
@given(
    num_clips=st.integers(1, 5),
    step_s=st.floats(0.05, 0.8),
    clip_frames=st.integers(1, 3),
    match=st.booleans(),
    within=st.booleans(),
    distinct=st.booleans(),
    least=st.sampled_from([0.0, 0.1]),
)
def test_runs_are_all_those_that_the_rules_allow(
    make_row: MakeRow,
    num_clips: int,
    step_s: float,
    clip_frames: int,
    match: bool,
    within: bool,
    distinct: bool,
    least: float,
) -> None:
    row = make_row(
        num_frames=90,
        cuts_s=np.array([1.2]),
        repeated_frames=np.arange(40, 70, 2),
        still_spans_s=np.array([[2.4, 2.6]]),
    )
    found = find_runs(
        row,
        num_clips=num_clips,
        step_s=step_s,
        clip_frames=clip_frames,
        clip_step_s=1 / 30,
        match_gop_phase=match,
        least_motion=least,
        within_shot=within,
        distinct_pictures=distinct,
    )
    step = frames_in(row, step_s, whole_periods=match)
    shot, picture, path = shot_numbers(row), picture_numbers(row), motion_path(row)
    expected = []
    for first in range(90):
        clips = [[first + k * step + t for t in range(clip_frames)] for k in range(num_clips)]
        every = [frame for clip in clips for frame in clip]
        if max(every) >= 90:
            continue
        if within and shot[first] != shot[max(every)]:
            continue
        pairs = list(itertools.pairwise(clips))
        if distinct and any(picture[b[0]] <= picture[a[-1]] for a, b in pairs):
            continue
        if least and any(path[b[0]] - path[a[0]] < least for a, b in pairs):
            continue
        expected.append(first)
        number = len(expected) - 1
        assert found.frames(number).tolist() == clips
        assert found.motion[number] == pytest.approx(path[max(every)] - path[first])
    assert found.first.tolist() == expected


@settings(max_examples=40, deadline=None)
@given(
    keys=st.sets(st.integers(0, 89), min_size=1, max_size=14),
    num_clips=st.integers(2, 4),
    step_s=st.floats(0.05, 0.5),
)
def test_where_key_frames_come_as_they_like_runs_are_at_one_distance_from_them(
    make_row: MakeRow, keys: set[int], num_clips: int, step_s: float
) -> None:
    row = make_row(num_frames=90, key_frames=np.array(sorted({0, *keys})))
    if key_frame_period(row):
        return

    def runs(step: int) -> list[list[int]]:
        every = [[first + k * step for k in range(num_clips)] for first in range(90)]
        return [run for run in every if run[-1] < 90]

    def after(frame: int) -> int:
        return frame - max(key for key in {0, *keys} if key <= frame)

    found = find_runs(row, num_clips=num_clips, step_s=step_s)
    alike = [
        run
        for run in runs(frames_in(row, step_s, whole_periods=True))
        if len({after(frame) for frame in run}) == 1
    ]
    expected = alike or runs(frames_in(row, step_s, whole_periods=False))
    assert [found.frames(n)[:, 0].tolist() for n in range(len(found.first))] == expected
    assert found.one_phase == bool(alike)


def test_a_cut_with_a_key_frame_of_its_own_leaves_runs_on_both_sides(make_row: MakeRow) -> None:
    """As a preparation writes long clips: every 8 frames, and at each cut."""
    keys = np.r_[np.arange(0, 43, 8), np.arange(43, 120, 8)]
    row = make_row(key_frames=keys, cuts_s=np.array([43 / 30]))
    found = find_runs(row, num_clips=4, step_s=0.2)
    assert found.one_phase and found.offsets[:, 0].tolist() == [0, 8, 16, 24]
    assert found.first.tolist() == [*range(43 - 24), *range(43, 120 - 24)]


def test_motion_weighs_and_a_clip_without_any_has_even_shares(make_row: MakeRow) -> None:
    motion = np.zeros(8)
    motion[4:] = 1.0
    row = make_row(num_frames=60, motion=motion)
    runs = find_runs(row, num_clips=2, step_s=0.25)
    shares = runs.shares(1.0)
    assert shares == pytest.approx(runs.motion / runs.motion.sum(), abs=1e-6)
    still = find_runs(make_row(num_frames=60, motion=np.zeros(8)), num_clips=2, step_s=0.25)
    assert still.shares(1.0) == pytest.approx(1 / len(still.first))
    drawn = [runs.draw(power=1.0, value=(k + 0.5) / 5000) for k in range(5000)]
    counts = np.bincount(drawn, minlength=len(shares)) / 5000
    assert counts == pytest.approx(shares, abs=2 / 5000)
