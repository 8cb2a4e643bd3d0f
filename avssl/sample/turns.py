"""Whose turn it is, where several tasks are trained in turns.

A run is cut into rounds of R steps. How many of a round's steps each task has follows from the
tasks' shares; their order is drawn. Counts never stray from what is due by a whole step, so a task
with share w has between floor(R w) and ceil(R w) of them, and R w on average.

    R = 8, shares ½ ¼ ¼, offset 0.6:   points 0.6 1.6 2.6 3.6 | 4.6 5.6 | 6.6 7.6  of 8
                                       task     0               1         2
    shuffled:                          1 0 2 0 0 2 0 1
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.sample.order import turns_rng


def draw_turns(
    shares: Sequence[float] | NDArray[np.float64], num_steps: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draws the turns of one round: int64 [num_steps], numbers of tasks.

    Systematic sampling: one offset for evenly spaced points, then a shuffle.

    Args:
        shares: float [tasks], not negative, with a sum above 0.
        num_steps: length of the round.
        rng: one value and one permutation are drawn.
    """
    due = np.cumsum(np.asarray(shares, dtype=np.float64))
    points = (np.arange(num_steps) + rng.random()) * (due[-1] / num_steps)
    turns = np.minimum(np.searchsorted(due, points, side="right"), len(due) - 1)
    return rng.permutation(turns).astype(np.int64)


@functools.lru_cache(maxsize=8)
def turns_of_round(
    seed: int, number: int, shares: tuple[float, ...], num_steps: int
) -> NDArray[np.int64]:
    """Gives the turns of round `number`: int64 [num_steps]. Pure in its arguments; read only."""
    turns = draw_turns(shares, num_steps, turns_rng(seed, number))
    turns.setflags(write=False)
    return turns
