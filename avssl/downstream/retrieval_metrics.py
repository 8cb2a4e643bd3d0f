"""Retrieval: are the nearest neighbours of the same kind? nDCG with graded relevance, recall at k.

AVE-Net's protocol (papers.md §2.4): queries and candidates are pictures or sounds; the relevance of
a candidate is C less the distance of both classes in a tree, so even a random order gets a high
figure: read nothing without the random row, which is given in closed form.

A class is a path from the root, such as ("struck", "drum", "train-drum-066"); their distance is the
number of edges between the two leaves, C the largest there can be:

    ("struck", "drum", "a") and ("struck", "drum", "b")      2 edges, relevance 6 - 2 = 4
    ("struck", "drum", "a") and ("struck", "cymbal", "c")    4 edges, relevance 2
    ("struck", "drum", "a") and ("blown", "flute", "d")      6 edges, relevance 0

Flat labels are paths of one step: relevance 2 or 0, which is 1 or 0 in every nDCG. Where paths
have several lengths (AudioSet's tree), C is twice the longest, or what the caller says: the paper
has 20.

Shapes: N queries, M candidates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

Path = Sequence[str]
TOP = 30
"""The papers' cut."""


def relevance(
    queries: Sequence[Path], candidates: Sequence[Path], *, constant: float | None = None
) -> NDArray[np.float64]:
    """Gives the relevance of every candidate for every query, float64 [N, M].

    Args:
        queries: classes.
        candidates: classes.
        constant: C; the largest distance that paths so long could have if None.

    Raises:
        InputError: an empty path, or a constant below the largest distance.
    """
    one, other = (np.array([len(path) for path in paths]) for paths in (queries, candidates))
    longest = int(max(one.max(initial=0), other.max(initial=0)))
    if len(one) and len(other) and min(one.min(), other.min()) < 1:
        raise InputError("a class must be a path of one step or more, got an empty one")
    shared = np.zeros((len(one), len(other)))
    alike = np.ones_like(shared, dtype=bool)
    for step in range(longest):
        here, there = (
            np.array([path[step] if step < len(path) else None for path in paths], dtype=object)
            for paths in (queries, candidates)
        )
        alike &= (here[:, None] == there[None]) & (one > step)[:, None]
        shared += alike
    distance = one[:, None] + other[None] - 2 * shared
    if constant is not None and distance.max(initial=0) > constant:
        raise InputError(
            f"tree constant {constant}: must be {distance.max():.0f}, the largest distance, or more"
        )
    return (2 * longest if constant is None else constant) - distance


def _discounts(top: int, num: int) -> NDArray[np.float64]:
    return 1 / np.log2(np.arange(2, min(top, num) + 2))


def ndcg(
    similarity: NDArray[np.floating],
    relevances: NDArray[np.float64],
    *,
    left_out: NDArray[np.bool_] | None = None,
    top: int = TOP,
) -> NDArray[np.float64]:
    """Gives nDCG@top of every query: Σ rel / log2(1 + place), over the best order's; float64 [N].

    Ties are broken at random on average: tied candidates share the mean of their relevances. A
    query without any relevant candidate is NaN.

    Args:
        similarity: float [N, M], higher is nearer.
        relevances: float64 [N, M], 0 or more.
        left_out: bool [N, M], candidates that do not count, such as the query itself.
        top: places that count.
    """
    found = np.full(len(similarity), np.nan)
    for k in range(len(similarity)):
        keep = slice(None) if left_out is None else ~left_out[k]
        near, worth = np.asarray(similarity[k][keep], dtype=np.float64), relevances[k][keep]
        best = np.sort(worth)[::-1]
        weight = _discounts(top, len(worth))
        ideal = float(best[: len(weight)] @ weight)
        if ideal > 0:
            found[k] = float(_by_nearness(near, worth)[: len(weight)] @ weight) / ideal
    return found


def _by_nearness(near: NDArray[np.float64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(-near, kind="stable")
    ranked, levels = worth[order], near[order]
    edges = np.flatnonzero(np.r_[True, levels[1:] != levels[:-1], True])
    if len(edges) == len(levels) + 1:
        return ranked
    sums = np.add.reduceat(ranked, edges[:-1])
    return np.repeat(sums / np.diff(edges), np.diff(edges))


def random_ndcg(
    relevances: NDArray[np.float64],
    *,
    left_out: NDArray[np.bool_] | None = None,
    top: int = TOP,
) -> NDArray[np.float64]:
    """Gives the expected nDCG@top of a random order, in closed form, float64 [N]."""
    return ndcg(np.zeros_like(relevances), relevances, left_out=left_out, top=top)


def recall_at(
    similarity: NDArray[np.floating], right: NDArray[np.bool_], *, top: int
) -> NDArray[np.float64]:
    """Gives whether a right candidate is among the `top` nearest, float64 [N].

    Among ties at the edge a right one is in by the chance that random places give it (exact where
    each query has one right candidate).
    """
    found = np.zeros(len(similarity))
    for k in range(len(similarity)):
        if not right[k].any():
            found[k] = np.nan
            continue
        best = np.max(similarity[k][right[k]])
        above = int(np.count_nonzero(similarity[k] > best))
        tied = int(np.count_nonzero(similarity[k] == best))
        found[k] = min(1.0, max(0, top - above) / tied)
    return found
