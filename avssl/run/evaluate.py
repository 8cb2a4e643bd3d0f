"""Scores on the fixed samples of the validation split.

    asked   0 1 2 3 4 5 6 7 8 9          ten samples, batches of four
    batch   0 1 2 3 | 4 5 6 7 | 8 9 0 1  the last wraps round, for every process has as much to do

Nothing counts twice: of the last batch, scores and loss are those of 8 and 9. So the loss does not
depend on the size of a batch or the number of processes where a task's loss is a mean over samples.
Two kinds are none, and do depend on it:

- losses that compare the samples of a batch with each other (a task says so: `compares`): the whole
  last batch is compared, as the others are, and counts as many samples as are asked in it;
- means over what is labelled (joints, pixels, boxes, kept tracks): each batch has its own mean, and
  counts by its samples.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.config import TrainConfig
from avssl.run.feed import evaluation_keys, to_device
from avssl.run.parallel import Processes, autocast, gather_rows
from avssl.task import Learner, parts_of


@torch.no_grad()
def evaluate(
    learner: Learner,
    stream: Iterator[dict[str, Tensor]],
    config: TrainConfig,
    here: Processes,
    *,
    evaluated: Sequence[str],
) -> dict[str, float]:
    """Evaluates on the samples that come next in `stream`, in evaluation mode.

    Args:
        learner: the networks.
        stream: gives the batches of `evaluation_keys`.
        config: the run.
        here: the processes.
        evaluated: see `avssl.data.Batches.evaluated`.

    Returns:
        The mean loss, and the task's scores from the metrics of all samples of all processes. Of
        several tasks "loss" is the mean of theirs, each of which is "TASK/loss".
    """
    was_training = learner.training
    learner.eval()
    num, size = config.num_evaluation_samples, config.batch_size
    columns: dict[str, list[NDArray[np.float64]]] = {}
    sums: dict[str, float] = {}
    for key in evaluation_keys(config, evaluated):
        batch = to_device(next(stream), here.device)
        with autocast(config, here.device):
            out = learner.outputs(batch)
            loss = config.task.loss(out, batch)
        for name, value in config.task.metrics(out, batch).items():
            columns.setdefault(name, []).append(gather_rows(value))
        asked = min(size, num - key.number * size)
        counts = _rows_asked(size if _compares(config, key.task) else asked, config, here)
        if counts.min() < size // here.num:
            loss = _loss_of(learner, batch, int(counts[here.rank]), config, here)
        losses = gather_rows(loss.reshape(1))
        mean = np.average(losses[counts > 0], weights=counts[counts > 0])
        sums[key.task] = sums.get(key.task, 0.0) + float(mean) * asked
    learner.train(was_training)
    scores = config.task.scores({k: np.concatenate(v)[:num] for k, v in columns.items()})
    means = {name: total / num for name, total in sums.items()}
    found = {"loss": float(np.mean(list(means.values())))}
    found |= {f"{name}/loss": value for name, value in means.items() if name}
    return {**found, **{name: float(value) for name, value in scores.items()}}


def _compares(config: TrainConfig, name: str) -> bool:
    return getattr(parts_of(config.task)[name], "compares", False)


def _rows_asked(asked: int, config: TrainConfig, here: Processes) -> NDArray[np.int64]:
    """Gives how many rows of each process's part of a batch are asked, int64 [processes]."""
    share = config.batch_size // here.num
    return np.clip(asked - share * np.arange(here.num), 0, share)


def _loss_of(
    learner: Learner, batch: dict[str, Tensor], count: int, config: TrainConfig, here: Processes
) -> Tensor:
    """Gives the loss of the first `count` rows, tensor []: what a loss is made of has no rows that
    could be cut afterwards. Without any, of one: weights in shards are gathered by all together."""
    part = {name: value[: max(count, 1)] for name, value in batch.items()}
    with autocast(config, here.device):
        return config.task.loss(learner.outputs(part), part)
