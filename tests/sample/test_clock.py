"""Shots, pictures and motion of a clip against loops that spell out their definitions."""

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import (
    commonest_gap,
    frames_after_key,
    key_frame_period,
    key_frame_phases,
    key_frames_of,
    leave_out,
    motion_path,
    picture_numbers,
    screen_times,
    shot_numbers,
    uneven_remark,
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
    assert key_frame_period(make_row(key_frames=np.zeros(0, dtype=np.int64))) == 1
    for irregular in ([0, 8, 20], [0], [0, 8, 16], [9, 17, 25]):  # the third ends in 104 frames
        assert key_frame_period(make_row(key_frames=np.array(irregular))) == 0
    assert key_frame_period(make_row(num_frames=1, key_frames=np.array([0]))) == 1
    assert key_frame_period(make_row(num_frames=22, key_frames=np.array([4, 12, 20]))) == 8


@given(keys=st.sets(st.integers(0, 39), min_size=1), num_frames=st.integers(40, 60))
@settings(max_examples=80, deadline=None)
def test_frames_are_counted_from_the_last_key_frame(
    make_row: MakeRow, keys: set[int], num_frames: int
) -> None:
    row = make_row(num_frames=num_frames, key_frames=np.array(sorted(keys)))
    period, after = key_frame_period(row), frames_after_key(row)
    for frame in range(min(keys), num_frames):
        assert after[frame] == frame - max(key for key in keys if key <= frame)
    first = min(keys)
    for frame in range(first):
        assert after[frame] == ((frame - first) % period if period else frame)
    phases = key_frame_phases(row)
    assert ((phases >= 0) & (phases < 1)).all()
    order = np.argsort(after, kind="stable")  # the later, the larger; equal where it is equal
    assert np.array_equal(np.diff(phases[order]) > 0, np.diff(after[order]) > 0)
    if period:
        assert phases == pytest.approx(after / period)
    else:
        assert phases == pytest.approx(after / (after + 25))
        gaps = [b - a for a, b in itertools.pairwise(sorted(keys))]
        gap = commonest_gap(row)
        assert gap == min(gaps, key=lambda one: (-gaps.count(one), one)) if gaps else gap == 1


def test_clips_that_allow_no_single_phase_are_left_out_where_they_are_few() -> None:
    rows = [0, 0, 1, 2, 2, 2, 3]
    assert leave_out(rows, set()) == rows and uneven_remark(rows, set()) == ""
    assert leave_out(rows, {2, 3}) == [0, 0, 1]
    assert uneven_remark(rows, {2, 3}) == (
        "key frames of 2 of 4 clips lie so that pictures cannot be shown at one place between "
        "them: these clips are left out; prepare with --gop 1 to use them"
    )
    assert leave_out(rows, {0, 2, 3}) == rows
    assert "compression may tell their order" in uneven_remark(rows, {0, 2, 3})


def test_key_frames_of_a_file_in_place_stand_in_its_index(
    make_row: MakeRow, tmp_path: Path
) -> None:
    """With B-frames no packets are listed; x264 as it comes makes one key frame of a calm clip."""
    from avssl.decode.index import build_index

    path = tmp_path / "calm.mp4"
    with av.open(str(path), mode="w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        soft = np.random.default_rng(0).integers(90, 160, (64, 64, 3), dtype=np.uint8)
        for shift in range(40):
            frame = av.VideoFrame.from_ndarray(np.roll(soft, shift, axis=1), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    index = build_index(path)
    none = np.zeros(0, dtype=np.int64)
    row = make_row(num_frames=40, key_frames=none, video_index=index.to_bytes())
    assert key_frames_of(row).tolist() == index.key_frames.tolist() == [0]
    assert key_frame_period(row) == 0 and frames_after_key(row).tolist() == list(range(40))


def test_frames_are_asked_for_in_the_middle_of_their_time(make_row: MakeRow) -> None:
    row = make_row(
        num_frames=3,
        step_s=0.0,
        start_s=1.0,
        irregular_times_s=np.array([1.0, 1.5, 1.6]),
        last_frame_s=0.2,
    )
    assert screen_times(row) == pytest.approx([1.25, 1.55, 1.7])
