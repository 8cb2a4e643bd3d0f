"""Turns: counts as due to within a step, on average exactly; pure in seed and round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.sample.order import seed_of_task
from avssl.sample.turns import draw_turns, turns_of_round

shares = st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(lambda found: sum(found) > 0.01)


@given(shares=shares, num_steps=st.integers(1, 200), seed=st.integers(0, 1000))
def test_counts_are_as_due_to_within_a_step(shares, num_steps, seed) -> None:
    turns = draw_turns(shares, num_steps, np.random.default_rng(seed))
    assert len(turns) == num_steps and turns.dtype == np.int64
    counts = np.bincount(turns, minlength=len(shares))
    due = np.array(shares) / sum(shares) * num_steps
    assert (np.abs(counts - due) < 1 + 1e-6).all()


def test_counts_are_as_due_on_average_and_every_place_is_as_likely() -> None:
    due, num_steps, num = np.array([0.5, 0.35, 0.15]), 7, 20_000
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_turns(due, num_steps, rng) for _ in range(num)])
    for task, share in enumerate(due):
        # of a place: a Bernoulli draw, so its mean is within five standard errors
        assert np.abs((drawn == task).mean(axis=0) - share).max() < 5 * np.sqrt(0.25 / num)


def test_the_worked_example() -> None:
    class Offset:
        def random(self):
            return 0.6

        def permutation(self, turns):
            return turns

    found = draw_turns([0.5, 0.25, 0.25], 8, Offset())  # type: ignore[arg-type]
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]


def test_a_round_is_a_function_of_seed_and_number() -> None:
    one = turns_of_round(3, 5, (0.5, 0.5), 40).copy()
    turns_of_round.cache_clear()
    assert np.array_equal(one, turns_of_round(3, 5, (0.5, 0.5), 40))
    others = [turns_of_round(4, 5, (0.5, 0.5), 40), turns_of_round(3, 6, (0.5, 0.5), 40)]
    assert not any(np.array_equal(one, other) for other in others)
    with pytest.raises(ValueError, match="read-only"):
        turns_of_round(3, 5, (0.5, 0.5), 40)[0] = 1


def test_tasks_have_seeds_of_their_own_and_one_alone_has_the_runs() -> None:
    assert seed_of_task(7, "") == 7
    seeds = [seed_of_task(seed, name) for seed in (7, 8) for name in ("rotation", "jigsaw")]
    assert len({*seeds, 7, 8}) == 6 and min(seeds) >= 0
