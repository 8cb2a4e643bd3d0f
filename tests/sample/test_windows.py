"""Windows of five frames against a loop over all frames, and the draw at one GOP phase."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.clock import frames_after_key, motion_path, picture_numbers, shot_numbers
from avssl.sample.windows import draw_alike, draw_at_one_phase, find_windows

MakeRow = Callable[..., ClipRow]


def _allowed(row: ClipRow, rule: dict[str, Any], b: int, d: int) -> dict[str, list[int]]:
    """Spells out which frames a, c and e may be."""
    times_s = row.frame_times_s
    clock = np.arange(row.num_frames) if rule["in_frames"] else times_s
    shot, picture, path = shot_numbers(row), picture_numbers(row), motion_path(row)
    of_shot = [k for k in range(row.num_frames) if shot[k] == shot[b]]
    margin = rule["middle_margin"] * (clock[d] - clock[b])
    allowed: dict[str, list[int]] = {"a": [], "c": [], "e": []}
    for k in range(row.num_frames):
        inside = (
            times_s[k] >= times_s[of_shot[0]] + rule["edge_s"] - 1e-6
            and times_s[k] <= times_s[of_shot[-1]] - rule["edge_s"] + 1e-6
        )
        if shot[k] != shot[b] and (k < b or k > d):
            continue
        before, after = clock[b] - clock[k], clock[k] - clock[d]
        least, most = rule["least_outside"] - 1e-6, rule["most_outside"] + 1e-6
        far = rule["least_motion"] - 1e-6
        if least <= before <= most and picture[k] < picture[b] and path[b] - path[k] >= far:
            allowed["a"] += [k] if inside else []
        if least <= after <= most and picture[k] > picture[d] and path[k] - path[d] >= far:
            allowed["e"] += [k] if inside else []
        near = min(clock[k] - clock[b], clock[d] - clock[k])
        if near >= margin - 1e-6 and picture[b] < picture[k] < picture[d]:
            allowed["c"].append(k)
    return allowed


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_windows_are_those_of_a_loop_over_all_frames(
    make_row: MakeRow, data: st.DataObject
) -> None:
    num_frames = data.draw(st.integers(5, 45))
    cuts = data.draw(st.sets(st.integers(1, num_frames - 1), max_size=2))
    repeated = data.draw(st.sets(st.integers(1, num_frames - 1), max_size=num_frames // 3))
    irregular = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    steps_s = 0.1 * rng.integers(1, 4, size=num_frames) if irregular else np.full(num_frames, 0.1)
    times_s = 2.0 + np.cumsum(steps_s)
    row = make_row(
        num_frames=num_frames,
        start_s=float(times_s[0]),
        step_s=0.0 if irregular else 0.1,
        irregular_times_s=times_s if irregular else np.zeros(0),
        last_frame_s=0.1,
        cuts_s=times_s[sorted(cuts)],
        repeated_frames=np.array(sorted(repeated), dtype=np.int64),
        motion=rng.random(60),
        window_s=0.25,
    )
    in_frames = data.draw(st.booleans())
    unit = 1.0 if in_frames else 0.1
    least = unit * data.draw(st.integers(1, 3))
    rule: dict[str, Any] = {
        "least_outside": least,
        "most_outside": 2 * least,
        "middle_margin": data.draw(st.sampled_from([0.0, 0.125, 0.3])),
        "least_motion": data.draw(st.sampled_from([0.0, 0.1])),
        "edge_s": data.draw(st.sampled_from([0.0, 0.1])),
        "in_frames": in_frames,
    }
    span = unit * data.draw(st.integers(2, 8))
    windows = find_windows(row, span=span, within_shot=True, distinct_pictures=True, **rule)

    clock = np.arange(num_frames) if in_frames else row.frame_times_s
    shot = shot_numbers(row)
    expected = {}
    for b in range(num_frames):
        later = [k for k in range(num_frames) if clock[k] <= clock[b] + span + 1e-6]
        d = later[-1]
        reaches = any(clock[k] >= clock[b] + span - 1e-6 for k in range(num_frames))
        if d <= b or not reaches or shot[b] != shot[d]:
            continue
        allowed = _allowed(row, rule, b, d)
        if all(allowed.values()):
            expected[b] = (d, *((min(allowed[x]), max(allowed[x])) for x in "ace"))
    found = {
        int(windows.b[k]): (
            int(windows.d[k]),
            (int(windows.first_a[k]), int(windows.last_a[k])),
            (int(windows.first_c[k]), int(windows.last_c[k])),
            (int(windows.first_e[k]), int(windows.last_e[k])),
        )
        for k in range(len(windows.b))
    }
    assert found == expected


def test_motion_of_a_window_reaches_from_the_first_a_to_the_last_e(make_row: MakeRow) -> None:
    row = make_row(num_frames=40, fps=10.0, motion=np.ones(16))
    windows = find_windows(
        row,
        span=1.0,
        least_outside=0.2,
        most_outside=0.5,
        middle_margin=0.1,
        least_motion=0.0,
        edge_s=0.0,
        in_frames=False,
        within_shot=True,
        distinct_pictures=True,
    )
    middle = windows.b == 15
    assert windows.motion[middle] == pytest.approx([2.0])  # 0.5 + 1 + 0.5 s at 1 short side/s


def test_a_clip_that_is_too_short_has_no_window(make_row: MakeRow) -> None:
    row = make_row(num_frames=3)
    windows = find_windows(
        row,
        span=1.0,
        least_outside=0.2,
        most_outside=0.5,
        middle_margin=0.1,
        least_motion=0.0,
        edge_s=0.0,
        in_frames=False,
        within_shot=True,
        distinct_pictures=True,
    )
    assert len(windows.b) == len(windows.motion) == 0


@given(
    period=st.integers(1, 12),
    origin=st.integers(0, 11),
    firsts=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
    lengths=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=200, deadline=None)
def test_frames_are_drawn_in_their_ranges_and_at_one_phase(
    period: int, origin: int, firsts: tuple[int, ...], lengths: tuple[int, ...], seed: int
) -> None:
    ranges = [(first, first + more) for first, more in zip(firsts, lengths, strict=True)]
    draw = np.random.default_rng(seed).random(4)
    found = draw_alike(ranges, period=period, origin=origin, draw=draw)
    for frame, (first, last) in zip(found, ranges, strict=True):
        assert first <= frame <= last
    phases = [{frame % period for frame in range(first, last + 1)} for first, last in ranges]
    if set.intersection(*phases):
        assert len({frame % period for frame in found}) == 1


@given(
    keys=st.sets(st.integers(0, 59), min_size=1, max_size=12),
    firsts=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
    lengths=st.tuples(st.integers(0, 19), st.integers(0, 19), st.integers(0, 19)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=200, deadline=None)
def test_frames_are_drawn_equally_long_after_key_frames_that_come_as_they_like(
    make_row: MakeRow,
    keys: set[int],
    firsts: tuple[int, ...],
    lengths: tuple[int, ...],
    seed: int,
) -> None:
    row = make_row(num_frames=60, key_frames=np.array(sorted({0, *keys})))
    ranges = [(first, first + more) for first, more in zip(firsts, lengths, strict=True)]
    draw = np.random.default_rng(seed).random(4)
    found = draw_at_one_phase(row, ranges, draw=draw)
    after = [frame - max(key for key in {0, *keys} if key <= frame) for frame in range(60)]
    for frame, (first, last) in zip(found, ranges, strict=True):
        assert first <= frame <= last
    every = [{after[frame] for frame in range(first, last + 1)} for first, last in ranges]
    if set.intersection(*every):
        assert len({after[frame] for frame in found}) == 1


RULE: dict[str, Any] = {
    "span": 1.0, "least_outside": 0.3, "most_outside": 0.6, "middle_margin": 0.125,
    "least_motion": 0.0, "edge_s": 0.0, "in_frames": False, "within_shot": True,
    "distinct_pictures": True,
}  # fmt: skip


def test_windows_know_whether_their_middles_can_be_alike(make_row: MakeRow) -> None:
    """a and e have 10 frames each: of gaps of 7 to 9 they meet, of one key frame they do not."""
    for keys, alike in (
        (np.cumsum([0, *[7, 8, 9] * 5]), True), (np.array([0]), False),
        (np.array([0, 50]), False), (np.arange(0, 120, 40), True), (np.arange(120), True),
    ):  # fmt: skip
        row = make_row(key_frames=keys[keys < 120])
        assert find_windows(row, **RULE).one_phase(row) == alike


def test_windows_are_drawn_by_motion_and_of_uneven_key_frames_those_that_can_be_alike(
    make_row: MakeRow,
) -> None:
    values = (np.arange(2000) + 0.5) / 2000
    even = make_row()
    windows = find_windows(even, **RULE)
    for power in (0.0, 1.0, 2.0):
        numbers = [windows.draw(even, power=power, value=v, one_phase=True) for v in values]
        share = windows.motion**power / (windows.motion**power).sum()
        assert np.bincount(numbers, minlength=len(share)) / 2000 == pytest.approx(share, abs=1e-3)
    # the first second has key frames every 8 frames; after that there is none
    uneven = make_row(num_frames=240, key_frames=np.arange(0, 80, 8))
    windows = find_windows(uneven, **RULE)
    after = frames_after_key(uneven)

    def alike(k: int) -> bool:
        parts = [set(after[first : last + 1].tolist()) for first, last in windows.ranges(k)]
        return bool(set.intersection(*parts))

    how: dict[str, Any] = {"power": 1.0}
    free = [windows.draw(uneven, **how, value=v, one_phase=False) for v in values]
    bound = [windows.draw(uneven, **how, value=v, one_phase=True) for v in values]
    assert not all(map(alike, free)) and all(map(alike, bound))
    same = [one == other for one, other in zip(free, bound, strict=True)]
    assert same == [alike(k) for k in free]  # what can be alike is left as it was drawn


def test_every_frame_can_be_drawn() -> None:
    grid = (np.arange(16) + 0.5) / 16
    ranges = [(3, 14), (20, 31), (40, 55)]
    found = [
        draw_alike(ranges, period=4, origin=1, draw=np.array(values))
        for values in itertools.product(grid[::4], grid[::4], grid[::4], grid[::4])
    ]
    for which, (first, last) in enumerate(ranges):
        assert {frames[which] for frames in found} == set(range(first, last + 1))
