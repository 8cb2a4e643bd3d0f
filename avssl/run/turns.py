"""Which task each step belongs to, and what its loss counts: the loop's side of several tasks.

    record  [rounds, tasks, 2]  of each finished round, the sum of the loss and the samples in it
    row     [tasks, 2]          of the round under way; each process adds up its own part
    scales  [tasks]             losses before the first step, where losses are divided by them

These three are in the checkpoint, and all follows from them and the seed. The task decides the
shares of round r from the rounds before r - 1 alone. So two rounds are known at any moment, and
loaders that make less than a round ahead never ask for more.

A task alone has every step; nothing is kept for it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from avssl.config import TrainConfig
from avssl.data import BatchKey
from avssl.run.parallel import Processes, autocast, reduce_sums
from avssl.sample.turns import turns_of_round
from avssl.task import Learner, parts_of


class Turns:
    """Whose turn it is."""

    prefix = "turns/"
    """Of its tensors in a checkpoint."""

    def __init__(self, config: TrainConfig, here: Processes) -> None:
        """Begins at step 0; see `restore`."""
        self._config, self._here = config, here
        self.names = tuple(parts_of(config.task))
        self._task: Any = config.task
        num = len(self.names)
        self.several = num > 1
        self._steps: int = config.task.round_steps if self.several else 1
        self._record = np.zeros((0, num, 2))
        self._row = torch.zeros(num, 2, dtype=torch.float64, device=here.device)
        self._scales = np.ones(num)

    # --- what is due ------------------------------------------------------------------------------

    def at(self, step: int) -> tuple[str, int]:
        """Gives the task of a step, and how many steps it had before: ("", step) of one alone.

        Raises:
            RuntimeError: the step is too far ahead to be known yet.
        """
        if not self.several:
            return "", step
        number, place = divmod(step, self._steps)
        turns = self._round(number)
        task = int(turns[place])
        known = min(number, len(self._record))
        done = round(self._record[:known, task, 1].sum() / self._config.batch_size)
        for between in range(known, number):
            done += int((self._round(between) == task).sum())
        return self.names[task], done + int((turns[:place] == task).sum())

    def _round(self, number: int) -> NDArray[np.int64]:
        if number > len(self._record) + 1:
            raise RuntimeError(f"round {number}: only {len(self._record)} are over")
        shares = self._task.shares(self._record[: max(0, number - 1)])
        return turns_of_round(self._config.seed, number, tuple(shares.tolist()), self._steps)

    def workers_and_prefetch(self, workers: int, prefetch: int = 2) -> tuple[int, int]:
        """Gives as many of both as keep what is made ahead within a round."""
        if self.several and workers:
            workers = min(workers, self._steps)
            prefetch = max(1, min(prefetch, self._steps // workers))
        return workers, prefetch

    def factor(self, name: str) -> float:
        """Gives the factor of a task's loss."""
        weight = self._task.weight_of(name) if self.several else 1.0
        return weight / float(self._scales[self.names.index(name)])

    # --- what was learned -------------------------------------------------------------------------

    def note(self, name: str, sums: Mapping[str, Tensor]) -> None:
        """Adds the loss of one pass, (sum, samples) in `sums`, to the round."""
        if self.several:
            self._row[self.names.index(name)] += sums["loss"]

    def done(self, steps: int) -> None:
        """Ends the round where `steps` done are the last of one; all processes call it."""
        if not self.several or steps % self._steps:
            return
        row = self._row.clone()
        if dist.is_initialized():
            dist.all_reduce(row)
        self._record = np.concatenate([self._record, row.cpu().numpy()[None]])
        self._row.zero_()

    # --- before the first step --------------------------------------------------------------------

    def keys_to_measure(self, start: int) -> Iterator[BatchKey]:
        """Gives the batches that `measure` takes: the first of each task, where it is asked for."""
        if self.several and self._task.measures_first and start == 0:
            yield from (BatchKey(split="train", task=name, number=0) for name in self.names)

    @torch.no_grad()
    def measure(self, learner: Learner, batches: Iterator[Any], *, start: int) -> None:
        """Measures each task's loss with the first weights, in training mode, over all processes.

        Args:
            learner: left as it was.
            batches: gives what `keys_to_measure` names, on the device, in the passes of a step.
            start: the step that the run begins with.
        """
        for place, key in enumerate(self.keys_to_measure(start)):
            kept = [buffer.clone() for buffer in learner.buffers()]
            total = torch.zeros(2, dtype=torch.float64, device=self._here.device)
            for part in next(batches):
                torch.manual_seed(self._config.seed)
                with autocast(self._config, self._here.device):
                    loss = self._task.loss(learner.outputs(part), part)
                total += torch.stack([loss.double(), torch.ones_like(loss, dtype=torch.float64)])
            for buffer, value in zip(learner.buffers(), kept, strict=True):
                buffer.copy_(value)
            if dist.is_initialized():
                dist.all_reduce(total)
            assert key.task == self.names[place]
            self._scales[place] = max(abs(float(total[0] / total[1])), 1e-6)

    # --- checkpoints ------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Gives what a checkpoint has to keep; all processes call it."""
        if not self.several:
            return {}
        self._row = reduce_sums({"": self._row})[""]
        return {
            f"{self.prefix}record": torch.from_numpy(self._record),
            f"{self.prefix}row": self._row,
            f"{self.prefix}scales": torch.from_numpy(self._scales),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` gave."""
        if self.several:
            self._record = state[f"{self.prefix}record"].numpy()
            self._scales = state[f"{self.prefix}scales"].numpy()
            row = state[f"{self.prefix}row"].to(self._here.device)
            self._row = row if self._here.first else torch.zeros_like(row)
