"""Scores on the fixed samples of the validation split."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from avssl.config import TrainConfig
from avssl.run.feed import evaluation_keys, to_device
from avssl.run.parallel import Processes, autocast, gather_rows
from avssl.task import Learner, task_of


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
    columns: dict[str, list[np.ndarray]] = {}
    losses: dict[str, list[float]] = {}
    for _ in evaluation_keys(config, evaluated):
        batch = to_device(next(stream), here.device)
        with autocast(config, here.device):
            out = learner.outputs(batch)
            loss = config.task.loss(out, batch)
        losses.setdefault(task_of(batch), []).append(float(gather_rows(loss.reshape(1)).mean()))
        for name, value in config.task.metrics(out, batch).items():
            columns.setdefault(name, []).append(gather_rows(value))
    learner.train(was_training)
    # The last batch wraps round, so that every process has as much to do; the surplus goes.
    num = config.num_evaluation_samples
    scores = config.task.scores({k: np.concatenate(v)[:num] for k, v in columns.items()})
    means = {f"{name}/loss": float(np.mean(own)) for name, own in losses.items() if name}
    whole = float(np.mean([np.mean(own) for own in losses.values()]))
    return {"loss": whole, **means, **{k: float(v) for k, v in scores.items()}}
