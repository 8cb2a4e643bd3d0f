"""Several tasks at once: one encoder for each stream, one head for each task.

Complementary tasks can make better features than either alone: Doersch and Zisserman, "Multi-task
Self-Supervised Visual Learning", ICCV 2017 (papers.md §5.5). Theirs ran beside each other on many
machines, each with its own task; here they take turns.

    step      0    1    2    3    4    5   …       one task a step, on all processes
    task      rot  pos  pos  rot  pos  rot         encoder: trained in every step
    batch     "rotation/frames" …                  head of rotation: in steps 0, 3, 5 …

The names of a batch's tensors say whose it is, and the head is chosen by them. A head whose turn it
is not has no gradient: the optimiser passes it by, so that neither momentum nor decay moves it.

Turns are drawn round by round (`avssl.sample.turns`); a task's share of a round, and the factor of
its loss (times its own of `weights`), are what `balance` decides:

    uniform      the same share each; losses as they are
    loss-scale   the same share each; a loss is divided by what it was before the first step
    progress     a task whose loss falls faster has more turns: with g the relative fall of its mean
                 loss from rounds [r - 1 - 2w, r - 1 - w) to [r - 1 - w, r - 1), n tasks, ε the
                 `least_share`, it has ε / n + (1 - ε) g / Σ g of round r

The last is ours, after Graves and others (arXiv 1704.03003), who reward a teacher with the fall of
the loss. The round before is never looked at: its batches are under way when round r is planned.

What it trains stands in `tasks`; the other knobs are those of the tasks, by their names, as in
`--task.rotation.size-px 96`.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.records import Shortcut
from avssl.task import Batch, Outputs, task_of


@dataclass(frozen=True, kw_only=True)
class MultiKnobs:
    """How several tasks share one training."""

    name: ClassVar[str] = "multi"

    balance: Literal["uniform", "loss-scale", "progress"] = "uniform"
    """What each task has: as many steps and its loss as it is ("uniform"), its loss divided by what
    it was before the first step ("loss-scale"), or more steps while its loss falls faster than
    the others' ("progress")."""
    weights: tuple[float, ...] = ()
    """Factor of each task's loss beside what `balance` makes of it, in the order of the tasks;
    empty: 1 each. Adam knows one size of the encoder's gradients for all tasks, so a task of weight
    0.03 moves the encoder that much less in its turn; its own head learns as fast as before."""
    round_steps: int = 50
    """Steps for which turns are drawn at once."""
    least_share: float = 0.5
    """Of "progress": share of an equal part of the steps that no task falls below."""
    compare_rounds: int = 2
    """Of "progress": rounds whose mean loss is compared with that of as many before."""
    own_statistics: bool = True
    """Running statistics of BatchNorm for each task: grey patches and frames do not mix. Off: those
    of all batches as they come."""
    statistics_of: str = ""
    """Task whose running statistics go on with the encoder; empty: the first. Of no effect where
    they are not apart."""

    def __post_init__(self) -> None:
        if self.balance not in ("uniform", "loss-scale", "progress"):
            raise InputError(f"balance {self.balance!r}: must be uniform, loss-scale or progress")
        if self.round_steps < 1 or self.compare_rounds < 1:
            raise InputError("round_steps and compare_rounds: must be 1 or more")
        if not 0 < self.least_share <= 1:
            raise InputError(f"least_share {self.least_share}: must be above 0, 1 at most")
        if not all(0 < one < math.inf for one in self.weights):
            raise InputError(
                f"weights {' '.join(f'{one:g}' for one in self.weights)}: must be above 0; leave a "
                "task out to train without it"
            )


@dataclass(frozen=True, kw_only=True)
class Multi(MultiKnobs):
    """Tasks that take turns on the same encoders."""

    summary: ClassVar[str] = "several tasks in turns on one encoder: --tasks NAME NAME …"
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()

    tasks: tuple[Any, ...] = ()
    """The tasks, each with its knobs; no two of a kind."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [task.name for task in self.tasks]
        if len(names) == 1 or len(set(names)) < len(names):
            raise InputError(f"tasks {' '.join(names)}: name two or more, each once")
        for task in self.tasks:
            if hasattr(task, "freeze") or hasattr(task, "parts"):
                raise InputError(f"tasks: {task.name} cannot be one of several")
        if not names:  # none is named yet: what is said of them waits
            return
        if self.statistics_of and self.statistics_of not in names:
            raise InputError(
                f"statistics_of {self.statistics_of!r}: must be one of {', '.join(names)}"
            )
        if self.weights and len(self.weights) != len(names):
            raise InputError(
                f"weights {' '.join(f'{one:g}' for one in self.weights)}: give one for each of "
                f"{', '.join(names)}"
            )
        if self.round_steps * self.least_share < len(names):
            raise InputError(
                f"round_steps {self.round_steps}: too few for {len(names)} tasks, each of which "
                f"must have a turn in every round; at least {len(names) / self.least_share:g} "
                f"with least_share {self.least_share:g}"
            )

    @cached_property
    def parts(self) -> dict[str, Any]:
        """Name → task, in the order given."""
        return {task.name: task for task in self.tasks}

    @property
    def streams(self) -> tuple[str, ...]:
        """The encoders that any of the tasks trains."""
        return tuple(
            stream
            for stream in ("vision", "sound")
            if any(stream in task.streams for task in self.tasks)
        )

    @property
    def apart(self) -> tuple[str, ...]:
        """Tasks with running statistics of their own, first the one whose go on with the encoder;
        empty where all share them."""
        if not self.own_statistics:
            return ()
        first = self.statistics_of or next(iter(self.parts), "")
        return tuple(sorted(self.parts, key=lambda name: name != first))

    @property
    def keeps_head(self) -> bool:
        """Whether one of the tasks has a head that is wanted; all are then kept."""
        return any(getattr(task, "keeps_head", False) for task in self.tasks)

    def completed(self, catalog: Catalog) -> "Multi":
        """Gives itself with what the data set knows filled into the tasks."""
        tasks = (t.completed(catalog) if hasattr(t, "completed") else t for t in self.tasks)
        return dataclasses.replace(self, tasks=tuple(tasks))

    def remark(self, catalog: Catalog) -> str:
        """Gives what the tasks say of their samples from these clips."""
        told = {n: t.remark(catalog) for n, t in self.parts.items() if hasattr(t, "remark")}
        return "; ".join(f"{name}: {text}" for name, text in told.items() if text)

    # --- turns ------------------------------------------------------------------------------------

    def shares(self, record: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives each task's share of a round's steps, float64 [tasks], with a sum of 1.

        Args:
            record: of the rounds that count, float64 [rounds, tasks, 2]: the sum of the loss over
                the samples, and their number.
        """
        num, width = len(self.tasks), self.compare_rounds
        equal = np.full(num, 1 / num)
        if self.balance != "progress" or len(record) < 2 * width:
            return equal
        before, after = record[-2 * width : -width].sum(axis=0), record[-width:].sum(axis=0)
        loss_before, loss_after = before[:, 0] / before[:, 1], after[:, 0] / after[:, 1]
        fall = (loss_before - loss_after) / np.maximum(np.abs(loss_before), 1e-12)
        fall = np.maximum(np.nan_to_num(fall, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
        if not fall.any():
            return equal
        return self.least_share * equal + (1 - self.least_share) * fall / fall.sum()

    def weight_of(self, name: str) -> float:
        """Gives the factor of a task's loss that `weights` names."""
        return self.weights[list(self.parts).index(name)] if self.weights else 1.0

    @property
    def measures_first(self) -> bool:
        """Whether each task's loss is measured before the first step."""
        return self.balance == "loss-scale"

    # --- the networks -----------------------------------------------------------------------------

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the head of every task, by name."""
        if not self.tasks:
            raise InputError("multi: name its tasks, as in --tasks rotation relative-position")
        return nn.ModuleDict({name: task.head(widths) for name, task in self.parts.items()})

    def predict(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Outputs:
        """Runs the encoders and the head of the batch's task."""
        name = task_of(batch)
        return self.parts[name].predict(encoders, head[name], plain(batch))

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the loss of the batch's task."""
        return self.parts[task_of(batch)].loss(out, plain(batch))

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives "TASK/NAME" → numbers per sample, of the batch's task."""
        name = task_of(batch)
        found = self.parts[name].metrics(out, plain(batch))
        return {f"{name}/{key}": value for key, value in found.items()}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives "TASK/SCORE" → figure, of every task that has columns: one that finds nothing to
        be evaluated on has none."""
        found: dict[str, float] = {}
        for name, task in self.parts.items():
            own = {
                key.removeprefix(f"{name}/"): column
                for key, column in columns.items()
                if key.startswith(f"{name}/")
            }
            if own:
                found |= {f"{name}/{key}": value for key, value in task.scores(own).items()}
        return found

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives "TASK/SCORE" → what the best blind guess of that task reaches."""
        return {
            f"{name}/{key}": value
            for name, task in self.parts.items()
            for key, value in task.trivial(catalog).items()
        }


def plain(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a batch with the names that its task knows, without "TASK/"."""
    return {name.rpartition("/")[2]: value for name, value in batch.items()}
