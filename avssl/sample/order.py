"""Which item a position of training is, and the randomness that belongs to it.

Sample N of a run is a pure function of (seed, N): there is no loader state, so a run resumes
exactly and any number of workers or processes gives the same batches.

    position    0 1 2 3 4 5 6 7 8 …
    epoch       0 0 0 0 1 1 1 1 2 …     num_items = 4
    item        2 0 3 1 0 3 2 1 …       each epoch a new permutation of the items

Evaluation has its own order and its own random streams: training never meets their numbers.
"""

import functools
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

# First number of every key: streams with different purposes never share random numbers.
_SHUFFLE, _TRAINING, _EVALUATION, _TURNS, _TASKS = 0, 1, 2, 3, 4


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@functools.lru_cache(maxsize=16)  # several tasks, an epoch's end and the next one's start, in turns
def _permutation(num_items: int, seed: int, epoch: int) -> NDArray[np.int64]:
    order = _generator(seed, _SHUFFLE, epoch).permutation(num_items)
    order.setflags(write=False)
    return order


def sample_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """Gives the generator of one training sample: a pure function of its arguments.

    Args:
        seed: the run's seed, ≥ 0.
        epoch: ≥ 0.
        position: number of the sample in the run (or in the epoch), ≥ 0.
    """
    return _generator(seed, _TRAINING, epoch, position)


def turns_rng(seed: int, number: int) -> np.random.Generator:
    """Gives the generator of round `number` of several tasks' turns."""
    return _generator(seed, _TURNS, number)


def seed_of_task(seed: int, name: str) -> int:
    """Gives the seed of the samples of one of several tasks, so that they do not see the same
    moments in step; "" (a task alone) has the run's own."""
    if not name:
        return seed
    return int(_generator(seed, _TASKS, zlib.crc32(name.encode())).integers(2**63))


def evaluation_rng(seed: int, position: int) -> np.random.Generator:
    """Gives the generator of one evaluation sample, apart from every training stream."""
    return _generator(seed, _EVALUATION, position)


def evaluation_item(num_items: int, position: int, *, num_samples: int) -> int:
    """Gives the item of evaluation sample `position`: evenly spread over all items.

    With fewer samples than items every n-th item is taken; with more, each in turns.

    Raises:
        IndexError: position not in [0, num_samples).
    """
    if not 0 <= position < num_samples:
        raise IndexError(f"evaluation sample {position} of {num_samples}")
    if num_samples >= num_items:
        return position % num_items
    return position * num_items // num_samples


@dataclass(frozen=True)
class Order:
    """The order of training: position → (epoch, item)."""

    num_items: int
    """Length of what `Task.items` gives."""
    seed: int

    def __post_init__(self) -> None:
        if self.num_items < 1:
            raise InputError(f"num_items {self.num_items}: an order needs at least one item")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: must be 0 or more")

    def at(self, position: int) -> tuple[int, int]:
        """Gives (epoch, item) of the sample at `position` ≥ 0; every epoch holds every item once.

        Raises:
            IndexError: position < 0.
        """
        if position < 0:
            raise IndexError(f"position {position}: must be 0 or more")
        epoch, place = divmod(position, self.num_items)
        return epoch, int(_permutation(self.num_items, self.seed, epoch)[place])
