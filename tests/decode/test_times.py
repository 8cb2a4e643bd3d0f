import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.decode.times import TIME_TOLERANCE_S, check_indices, frame_durations, frame_indices
from avssl.errors import InputError

steps = st.lists(st.integers(1, 400), min_size=1, max_size=40)


@given(steps, st.integers(-1000, 1000), st.lists(st.integers(-3000, 20000), max_size=20))
def test_against_a_slow_loop(durations, start, wanted):
    # Times are whole milliseconds here, so that the loop needs no tolerance.
    times = start + np.concatenate([[0], np.cumsum(durations)])[:-1]
    end = start + sum(durations)
    expected = []
    for t in wanted:
        inside = [k for k, time in enumerate(times) if time <= t]
        expected.append(None if not inside or t >= end else inside[-1])
    arguments = {"frame_times_s": times / 1000, "end_s": end / 1000}
    if None in expected:
        with pytest.raises(InputError, match="no frame at"):
            frame_indices(np.asarray(wanted) / 1000, **arguments)
    else:
        assert frame_indices(np.asarray(wanted) / 1000, **arguments).tolist() == expected
    clamped = [min(max(t, start), end - 1) for t in wanted]
    slow = [max(k for k, time in enumerate(times) if time <= t) for t in clamped]
    assert frame_indices(np.asarray(wanted) / 1000, edge="clamp", **arguments).tolist() == slow


@given(
    st.integers(1, 300),
    st.sampled_from([(24000, 1001), (30000, 1001), (25, 1), (60000, 1001), (10, 3)]),
    st.integers(0, 10000),
)
def test_own_times_come_back_whatever_the_arithmetic(num_frames, rate, start):
    top, bottom = rate
    times = np.asarray([start / 7 + k * bottom / top for k in range(num_frames)])
    other = start / 7 + (bottom / top) * np.arange(num_frames)  # differs in the last bits
    found = frame_indices(other, frame_times_s=times, end_s=times[-1] + bottom / top)
    assert found.tolist() == list(range(num_frames))


def test_just_before_a_frame_is_the_one_before():
    times = np.asarray([0.0, 0.04, 0.08])
    early = 0.04 - 10 * TIME_TOLERANCE_S
    assert frame_indices([early], frame_times_s=times, end_s=0.12).tolist() == [0]


def test_durations_and_indices():
    times = np.asarray([1.0, 1.5, 3.0])
    assert frame_durations(times, last_frame_s=0.25).tolist() == [0.5, 1.5, 0.25]
    assert check_indices([0, -1, 2], num_frames=3).tolist() == [0, 2, 2]
    for wrong in ([3], [-4], [0.5]):
        with pytest.raises(InputError):
            check_indices(wrong, num_frames=3)
    for wrong in ([float("nan")], [[1.0]]):
        with pytest.raises(InputError):
            frame_indices(wrong, frame_times_s=times, end_s=3.25)
