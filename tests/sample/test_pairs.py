"""Pairs of picture and sound: every spot by a slow second look, every distribution by counting."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avssl.catalog import ClipRow
from avssl.sample.pairs import apart, capped, make_pairing, pair_weights, spots

MakeRow = Callable[..., ClipRow]


def slow_spots(
    row: ClipRow, *, duration_s: float, edge_s: float, least_loudness_db: float
) -> list[int]:
    """Frame by frame, window by window, in plain words."""
    found = []
    last_s = float(row.frame_times_s[-1])
    for k in range(row.num_frames):
        time_s = k / 25
        begin, end = time_s - duration_s / 2, time_s + duration_s / 2
        sound_end_s = row.sound_start_s + row.sound_num_samples / row.sound_rate_hz
        if begin < row.sound_start_s - 1e-6 or end > sound_end_s + 1e-6:
            continue
        if time_s - edge_s < -1e-6 or time_s + edge_s > last_s + 1e-6:
            continue
        reach_s = max(duration_s / 2, edge_s)
        if any(time_s - reach_s + 1e-6 < cut < time_s + reach_s - 1e-6 for cut in row.cuts_s):
            continue
        loud = False
        for number, level in enumerate(row.loudness_db):
            overlaps = number * 0.25 < end - 1e-6 and (number + 1) * 0.25 > begin + 1e-6
            loud = loud or (overlaps and level >= least_loudness_db)
        if loud:
            found.append(k)
    return found


@settings(max_examples=60, deadline=None)
@given(
    num_frames=st.integers(5, 120),
    sound_start_s=st.sampled_from([0.0, 0.021, 0.5, -0.1]),
    sound_s=st.floats(0.1, 5.0),
    duration_s=st.sampled_from([0.2, 0.64, 1.0]),
    edge_s=st.sampled_from([0.0, 0.13, 0.6]),
    cuts=st.lists(st.integers(1, 119), max_size=3),
    levels=st.lists(st.sampled_from([-80.0, -49.0]), min_size=20, max_size=20),
)
def test_spots_are_those_of_a_slow_search(
    make_row, num_frames, sound_start_s, sound_s, duration_s, edge_s, cuts, levels
) -> None:
    row = make_row(
        num_frames=num_frames,
        fps=25.0,
        sound_start_s=sound_start_s,
        sound_num_samples=round(48_000 * sound_s),
        cuts_s=np.array(cuts) / 25,
        loudness_db=np.array(levels),
    )
    asked: dict[str, Any] = {"duration_s": duration_s, "edge_s": edge_s}
    found = spots(row, **asked, least_loudness_db=-50.0)
    assert found.tolist() == slow_spots(row, **asked, least_loudness_db=-50.0)


def test_a_clip_without_sound_has_no_spots(make_row: MakeRow) -> None:
    for changes in ({"sound_state": "absent"}, {"sound_state": "silent"}, {"num_frames": 0}):
        assert not len(spots(make_row(**changes), duration_s=1.0))


def test_the_worked_example(make_row: MakeRow) -> None:
    """A clip of 7 s at 25 frames a second: 151 spots from 0.52 s on, as the task's file says."""
    found = spots(make_row(num_frames=175, fps=25.0), duration_s=1.0)
    assert len(found) == 150 and found[0] / 25 == 0.52 and found[-1] / 25 == 6.48


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(2, 40))
def test_the_ring_gives_every_spot_as_often_as_it_is_given(least: int, num_spots: int) -> None:
    assume(num_spots >= 2 * least)
    turns = num_spots - 2 * least + 1
    seconds = []
    for spot in range(num_spots):
        for turn in range(turns):  # draws in the middles of equal parts: all turns, once each
            second = apart(spot, num_spots, least=least, draw=(turn + 0.5) / turns)
            assert abs(second - spot) >= least and 0 <= second < num_spots
            seconds.append(second)
    assert np.bincount(seconds, minlength=num_spots).tolist() == [turns] * num_spots


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=30))
def test_every_group_is_heard_as_often_as_it_is_seen(sizes: list[float]) -> None:
    shares = np.array(sizes) / np.sum(sizes)
    assume(shares.max() <= 0.5)
    weights = pair_weights(shares)
    joint = np.outer(weights, weights)
    np.fill_diagonal(joint, 0.0)
    assert (weights >= 0).all()
    np.testing.assert_allclose(joint.sum(axis=0), shares, atol=1e-7)
    assert np.isclose(joint.sum(), 1.0)


def test_weights_of_equal_groups_in_closed_form() -> None:
    # c (G c - c) = 1 / G
    np.testing.assert_allclose(pair_weights(np.full(4, 0.25)), np.full(4, np.sqrt(1 / 12)))
    # one half and two quarters: only pairs with the first, see the module's example
    first, *rest = pair_weights(np.array([0.5, 0.25, 0.25]))
    assert first * rest[0] == pytest.approx(0.25, abs=1e-6) and rest[0] * rest[1] < 1e-8


def partner_table(pairing: Any, rows: list[int], num: int) -> np.ndarray:
    """Exact by counting: draws on an even lattice instead of at random."""
    table = np.zeros((len(rows), len(rows)))
    lattice = (np.arange(num) + 0.5) / num
    for k, row in enumerate(rows):
        for group_draw in lattice:
            for row_draw in (0.1, 0.3, 0.5, 0.7, 0.9):
                table[k, rows.index(pairing.partner(row, (group_draw, row_draw)))] += 1
    return table / table.sum(axis=1, keepdims=True)


def test_partners_are_of_other_groups_and_sound_as_often_as_they_are_seen() -> None:
    rows, counts = [3, 5, 6, 8, 9], [4, 1, 2, 2, 1]
    groups = ["a", "b", "b", "c", "d"]
    table = partner_table(make_pairing(rows, counts, groups), rows, 4000)
    for k, group in enumerate(groups):
        for other, name in enumerate(groups):
            if name == group:
                assert table[k, other] == 0
    seen = np.array(counts) / sum(counts)
    heard = seen @ table
    by_group = [sum(heard[k] for k in range(5) if groups[k] == name) for name in "abcd"]
    np.testing.assert_allclose(by_group, [0.4, 0.3, 0.2, 0.1], atol=2e-3)
    # the careless way: partners by their share of the others
    careless = seen @ partner_table(make_pairing(rows, counts, groups, balanced=False), rows, 4000)
    assert careless[0] < 0.35


def test_a_group_that_outweighs_the_rest_is_drawn_less_often() -> None:
    counts = np.array([50, 50, 10, 15])
    kept = capped(counts, ["a", "a", "b", "c"])
    assert kept.tolist() == [12, 12, 10, 15] and kept[:2].sum() <= kept[2:].sum()
    assert capped(counts, ["a", "b", "c", "c"]).tolist() == counts.tolist()
    assert capped(counts, ["a"] * 4).tolist() == counts.tolist()
