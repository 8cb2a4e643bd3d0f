"""Permutations far apart: the published figures, and a slow greedy search of small cases."""

import itertools

import numpy as np
import pytest

from avssl.errors import InputError
from avssl.sample.permutations import far_apart


def distances(permutations: np.ndarray) -> np.ndarray:
    """Of every two, by comparing them one by one."""
    return np.array(
        [
            sum(a != b for a, b in zip(one, two, strict=True))
            for one, two in itertools.combinations(permutations.tolist(), 2)
        ]
    )


def test_a_hundred_have_the_published_distances() -> None:
    found = far_apart(100)
    apart = distances(found)
    assert apart.mean() == pytest.approx(8.03, abs=0.005) and apart.min() == 6
    assert np.array_equal(np.sort(found, axis=1), np.tile(np.arange(9), (100, 1)))
    assert np.array_equal(far_apart(10), found[:10])


@pytest.mark.slow
def test_a_thousand_have_the_published_distances() -> None:
    found = far_apart(1000)
    apart = (found[:, None] != found[None]).sum(axis=2)[np.triu_indices(1000, 1)]
    assert apart.mean() == pytest.approx(7.91, abs=0.005) and apart.min() == 5


@pytest.mark.parametrize("num_tiles", [2, 3, 4, 5])
def test_each_is_the_farthest_from_those_before(num_tiles: int) -> None:
    every = list(itertools.permutations(range(num_tiles)))
    found = [tuple(row) for row in far_apart(len(every), num_tiles=num_tiles).tolist()]
    assert sorted(found) == every
    for number in range(1, min(len(found), 30)):
        before = found[:number]

        def nearest(one: tuple[int, ...], before: list[tuple[int, ...]] = before) -> int:
            return min(sum(a != b for a, b in zip(one, two, strict=True)) for two in before)

        assert nearest(found[number]) == max(nearest(one) for one in every)


def test_four_tiles_have_four_that_agree_nowhere() -> None:
    assert (distances(far_apart(4, num_tiles=4)) == 4).all()  # a Latin square: no five can
    assert distances(far_apart(5, num_tiles=4)).min() < 4


def test_a_set_is_kept_and_cannot_be_changed() -> None:
    assert far_apart(10) is far_apart(10)
    with pytest.raises(ValueError, match="read-only"):
        far_apart(10)[0, 0] = 3


@pytest.mark.parametrize(("num", "num_tiles"), [(0, 9), (25, 4), (1, 16)])
def test_what_there_is_not_is_refused(num: int, num_tiles: int) -> None:
    with pytest.raises(InputError):
        far_apart(num, num_tiles=num_tiles)
