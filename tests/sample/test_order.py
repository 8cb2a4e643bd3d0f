"""The order of training is a pure function; streams never meet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.errors import InputError
from avssl.sample import Order, evaluation_item, evaluation_rng, sample_rng


@given(num_items=st.integers(1, 200), seed=st.integers(0, 2**32), epoch=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_every_epoch_holds_every_item_once(num_items: int, seed: int, epoch: int) -> None:
    order = Order(num_items, seed)
    start = epoch * num_items
    found = [order.at(position) for position in range(start, start + num_items)]
    assert {found_epoch for found_epoch, _ in found} == {epoch}
    assert sorted(item for _, item in found) == list(range(num_items))


def test_positions_can_be_asked_in_any_order_and_by_other_objects() -> None:
    forward = [Order(37, 5).at(position) for position in range(300)]
    order = Order(37, 5)
    assert [order.at(position) for position in reversed(range(300))] == forward[::-1]


def test_epochs_and_seeds_are_shuffled_differently() -> None:
    orders = {
        tuple(Order(50, seed).at(50 * epoch + place)[1] for place in range(50))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_every_item_is_at_every_place_equally_often() -> None:
    """χ² of the place of item 0 over 4000 epochs: 9 degrees of freedom, 99.9 % below 27.9."""
    order = Order(10, 3)
    places = [
        next(place for place in range(10) if order.at(10 * epoch + place)[1] == 0)
        for epoch in range(4000)
    ]
    counts = np.bincount(places, minlength=10)
    assert ((counts - 400) ** 2 / 400).sum() < 27.9


def test_what_cannot_be_ordered_is_refused() -> None:
    with pytest.raises(InputError, match="at least one item"):
        Order(0, 1)
    with pytest.raises(InputError, match="seed -1"):
        Order(3, -1)
    with pytest.raises(IndexError):
        Order(3, 1).at(-1)


def test_streams_of_random_numbers_are_pure_and_never_meet() -> None:
    def first(rng: np.random.Generator) -> float:
        return rng.random()

    keys = [(seed, epoch, n) for seed in range(4) for epoch in range(4) for n in range(50)]
    training = [first(sample_rng(*key)) for key in keys]
    assert training == [first(sample_rng(*key)) for key in keys]
    evaluation = [first(evaluation_rng(seed, n)) for seed in range(4) for n in range(200)]
    assert len(set(training) | set(evaluation)) == len(training) + len(evaluation)


@given(num_items=st.integers(1, 300), num_samples=st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_evaluation_is_spread_evenly(num_items: int, num_samples: int) -> None:
    items = [
        evaluation_item(num_items, position, num_samples=num_samples)
        for position in range(num_samples)
    ]
    counts = np.bincount(items, minlength=num_items)
    assert len(counts) == num_items
    assert counts.max() - counts.min() <= 1
    if num_samples < num_items:
        gaps = np.diff(items)
        assert gaps.min(initial=num_items) >= num_items // num_samples
    with pytest.raises(IndexError):
        evaluation_item(num_items, num_samples, num_samples=num_samples)
