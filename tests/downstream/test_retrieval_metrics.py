"""nDCG and recall against scikit-learn, by hand, and by really breaking ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from avssl.downstream import retrieval_metrics as rm
from avssl.errors import InputError


def test_relevance_is_six_less_the_edges_between() -> None:
    paths = [("s", "drum", "a"), ("s", "drum", "b"), ("s", "cymbal", "c"), ("b", "flute", "d")]
    assert rm.relevance(paths[:1], paths).tolist() == [[6, 4, 2, 0]]
    # a kind of one name in two families is two kinds
    assert rm.relevance([("x", "drum", "a")], [("y", "drum", "a")]).tolist() == [[0]]
    assert rm.relevance([("dog",)], [("dog",), ("cat",)]).tolist() == [[2, 0]]
    with pytest.raises(InputError, match="empty"):
        rm.relevance([("a",)], [()])


def test_relevance_in_a_tree_of_several_depths_is_what_is_left_of_the_way_between() -> None:
    tree = {
        "dog": "animal",
        "bark": "dog",
        "howl": "dog",
        "cat": "animal",
        "animal": "",
        "wind": "",
    }

    def ancestors(name: str) -> list[str]:
        return [name, *ancestors(tree[name])] if name else [""]

    def edges(one: str, other: str) -> int:  # by walking up from both, not by comparing paths
        above = ancestors(other)
        return min(ancestors(one).index(k) + above.index(k) for k in ancestors(one) if k in above)

    names = list(tree)
    paths = [tuple(reversed(ancestors(name)[:-1])) for name in names]
    expected = np.array([[20 - edges(one, other) for other in names] for one in names])
    np.testing.assert_array_equal(rm.relevance(paths, paths, constant=20), expected)
    np.testing.assert_array_equal(rm.relevance(paths, paths), expected - 20 + 2 * 3)
    with pytest.raises(InputError, match="must be 4"):
        rm.relevance(paths, paths, constant=3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 35), st.booleans())
def test_equals_scikit_learn(seed: int, num: int, top: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    worth = rng.integers(0, 4, (3, num)).astype(float)
    worth[:, 0] = 3  # something is relevant
    near = rng.integers(0, 4, (3, num)).astype(float) if tied else rng.standard_normal((3, num))
    found = rm.ndcg(near, worth, top=top)
    for k in range(3):  # scikit-learn averages over ties too
        assert found[k] == pytest.approx(ndcg_score(worth[k : k + 1], near[k : k + 1], k=top))


def test_the_random_row_is_the_mean_over_random_orders() -> None:
    rng = np.random.default_rng(0)
    worth = rng.choice([0.0, 2.0, 4.0, 6.0], (1, 60), p=[0.6, 0.2, 0.15, 0.05])
    orders = [rm.ndcg(rng.standard_normal((1, 60)), worth)[0] for _ in range(3000)]
    assert rm.random_ndcg(worth)[0] == pytest.approx(np.mean(orders), abs=0.005)


def test_what_is_left_out_does_not_count() -> None:
    worth = np.array([[6.0, 0.0, 4.0, 0.0]])
    near = np.array([[9.0, 2.0, 1.0, 0.0]])
    itself = np.array([[True, False, False, False]])
    # the query itself apart, the relevant one comes second
    assert rm.ndcg(near, worth, left_out=itself)[0] == pytest.approx(1 / np.log2(3))
    assert np.isnan(rm.ndcg(near, 0 * worth)[0])


def test_recall_counts_ties_by_their_chance() -> None:
    right = np.eye(4, dtype=bool)
    near = np.array([[3.0, 2, 1, 0], [3, 2, 1, 0], [1, 1, 1, 1], [0, 0, 0, np.nextafter(0, -1)]])
    assert rm.recall_at(near, right, top=1).tolist() == [1.0, 0.0, 0.25, 0.0]
    assert rm.recall_at(near, right, top=2).tolist() == [1.0, 1.0, 0.5, 0.0]
    assert np.isnan(rm.recall_at(near[:1], np.zeros((1, 4), bool), top=1)[0])
