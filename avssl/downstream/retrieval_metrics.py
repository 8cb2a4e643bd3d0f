"""Retrieval: are the nearest neighbours of the same kind? nDCG with graded relevance, recall at k.

AVE-Net's protocol (papers.md §2.4): queries and candidates are pictures or sounds; the relevance of
a candidate is C less the distance of both classes in a tree, so even a random order gets a high
figure: read nothing without the random row, which is given in closed form.

A class is a path from the root, such as ("struck", "drum", "train-drum-066"); their distance is the
number of edges between the two leaves, C the largest there can be:

    ("struck", "drum", "a") and ("struck", "drum", "b")      2 edges, relevance 6 - 2 = 4
    ("struck", "drum", "a") and ("struck", "cymbal", "c")    4 edges, relevance 2
    ("struck", "drum", "a") and ("blown", "flute", "d")      6 edges, relevance 0

Flat labels are paths of one step: relevance 2 or 0, which is 1 or 0 in every nDCG.

Shapes: N queries, M candidates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

Path = Sequence[str]
TOP = 30
"""The papers' cut."""


def relevance(queries: Sequence[Path], candidates: Sequence[Path]) -> NDArray[np.float64]:
    """Gives the relevance of every candidate for every query, float64 [N, M].

    Raises:
        InputError: paths of different lengths.
    """
    lengths = {len(path) for path in (*queries, *candidates)}
    if len(lengths) > 1 or 0 in lengths:
        raise InputError(f"classes must be paths of one length, got {sorted(lengths)}")
    shared = np.zeros((len(queries), len(candidates)))
    alike = np.ones_like(shared, dtype=bool)
    for step in range(lengths.pop() if lengths else 0):
        one = np.array([path[step] for path in queries], dtype=object)
        other = np.array([path[step] for path in candidates], dtype=object)
        alike &= one[:, None] == other[None]
        shared += alike
    return 2 * shared


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
