"""Scores on the fixed samples of the validation split."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.config import TrainConfig
from avssl.run.feed import num_evaluation_batches, to_device
from avssl.run.parallel import Processes, gather_rows
from avssl.task import Learner


def autocast(config: TrainConfig, device: torch.device) -> Any:
    """Gives the context of the run's arithmetic."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


@torch.no_grad()
def evaluate(
    learner: Learner, stream: Iterator[dict[str, Tensor]], config: TrainConfig, here: Processes
) -> dict[str, float]:
    """Evaluates on the samples that come next in `stream`, in evaluation mode.

    Returns:
        The mean loss, and the task's scores from the metrics of all samples of all processes.
    """
    was_training = learner.training
    learner.eval()
    columns: dict[str, list[np.ndarray]] = {}
    losses = []
    for _ in range(num_evaluation_batches(config)):
        batch = to_device(next(stream), here.device)
        with autocast(config, here.device):
            out = learner.outputs(batch)
            loss = config.task.loss(out, batch)
        losses.append(gather_rows(loss.reshape(1)).mean())
        for name, value in config.task.metrics(out, batch).items():
            columns.setdefault(name, []).append(gather_rows(value))
    learner.train(was_training)
    # The last batch wraps round, so that every process has as much to do; the surplus goes.
    num = config.num_evaluation_samples
    scores = config.task.scores({k: np.concatenate(v)[:num] for k, v in columns.items()})
    return {"loss": float(np.mean(losses)), **{k: float(v) for k, v in scores.items()}}
