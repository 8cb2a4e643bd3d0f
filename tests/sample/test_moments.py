"""Two moments of a clip and the like moment of another, against loops over all frames."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import key_frame_period, key_frame_phases, picture_numbers, shot_numbers
from avssl.sample.moments import find_moments, like_moment

MakeRow = Callable[..., ClipRow]


@settings(max_examples=40, deadline=None)
@given(
    fps=st.sampled_from([5.0, 10.0, 29.97]),
    cuts=st.sets(st.integers(1, 29), max_size=3),
    repeated=st.sets(st.integers(1, 29), max_size=6),
    least=st.integers(0, 4),
    more=st.integers(0, 8),
)
def test_all_pairs_are_found_and_no_others(
    make_row: MakeRow, fps: float, cuts: set[int], repeated: set[int], least: int, more: int
) -> None:
    most = max(1, least + more)
    row = make_row(
        num_frames=30,
        fps=fps,
        cuts_s=np.array(sorted(cuts)) / fps,
        repeated_frames=np.array(sorted(repeated), dtype=np.int64),
    )
    found = find_moments(row, min_gap_s=least / fps, max_gap_s=most / fps)
    shots, shown = shot_numbers(row), picture_numbers(row)
    pairs = set()
    for k, first in enumerate(found.first):
        for start, end in (found.before[k], found.after[k]):
            pairs |= {(int(first), second) for second in range(start, end + 1)}
    wanted = {
        (a, b)
        for a in range(30)
        for b in range(30)
        if least <= abs(a - b) <= most and shots[a] == shots[b] and shown[a] != shown[b]
    }
    assert pairs == wanted
    assert set(found.first.tolist()) == {a for a, _ in wanted}


def test_every_pair_of_a_frame_is_as_likely(make_row: MakeRow) -> None:
    row = make_row(num_frames=20, fps=10.0)
    found = find_moments(row, min_gap_s=0.2, max_gap_s=0.4)
    grid = (np.arange(600) + 0.5) / 600
    drawn = [found.draw((10.5 / 20, float(value))) for value in grid]
    assert {first for first, _ in drawn} == {10}
    seconds, counts = np.unique([second for _, second in drawn], return_counts=True)
    assert seconds.tolist() == [6, 7, 8, 12, 13, 14] and counts.tolist() == [100] * 6


def test_no_gap_is_the_same_frame(make_row: MakeRow) -> None:
    row = make_row(num_frames=9, cuts_s=np.array([0.1]))
    found = find_moments(row, min_gap_s=0.0, max_gap_s=0.0)
    assert [found.draw((k / 9 + 0.01, 0.7)) for k in range(9)] == [(k, k) for k in range(9)]


@pytest.mark.parametrize("frame", [0, 13, 57, 119])
def test_the_like_moment_is_as_late_and_as_far_from_its_key_frame(
    make_row: MakeRow, frame: int
) -> None:
    row = make_row(num_frames=120)  # a key frame every 8
    other = make_row(num_frames=300, key_frames=np.arange(4, 300, 8))
    found = like_moment(row, frame, other)
    assert key_frame_phases(row)[frame] == frame % 8 / 8 == key_frame_phases(other)[found]
    assert abs((found + 0.5) / 300 - (frame + 0.5) / 120) <= 8 / 300
    # where every frame is a key frame, the place alone counts
    plain = make_row(num_frames=60, key_frames=np.arange(60))
    assert like_moment(plain, min(frame, 59), plain) == min(frame, 59)


@settings(max_examples=60, deadline=None)
@given(
    keys=st.sets(st.integers(1, 79), max_size=6),
    others=st.sets(st.integers(1, 79), max_size=6),
    frame=st.integers(0, 79),
)
def test_without_a_period_frames_since_the_key_frame_count(
    make_row: MakeRow, keys: set[int], others: set[int], frame: int
) -> None:
    row = make_row(num_frames=80, key_frames=np.array([0, *sorted(keys)]))
    other = make_row(num_frames=80, key_frames=np.array([0, *sorted(others)]))
    if key_frame_period(row) and key_frame_period(other):
        return
    found = like_moment(row, frame, other)

    def after(frame: int, keys: set[int]) -> int:
        return frame - max(key for key in {0, *keys} if key <= frame)

    off = [abs(after(k, others) - after(frame, keys)) for k in range(80)]
    best = [k for k in range(80) if off[k] == min(off)]
    assert found in best and abs(found - frame) == min(abs(k - frame) for k in best)
