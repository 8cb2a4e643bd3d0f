"""The contract of a task, and the one module that is trained.

A task is a frozen, keyword-only dataclass: its fields are its knobs (a string under each, units in
the name), its methods are its science. It holds no tensors, so it pickles to loader workers, prints
as the run's configuration and compares with `==`.

Adding a task is one file in `pretext/` and one line in the registry: flags, help, contract tests,
audit and the table in the docs follow from the object.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.statistics import OwnStatistics
from avssl.records import Clip, Example, Plan, Shortcut, Step

Batch = Mapping[str, Tensor]
"""name → tensor [batch, ...]: the stacked arrays of examples, on the device, uint8 where uint8."""
Outputs = Mapping[str, Tensor]
_LONGEST = 32


@runtime_checkable
class Task(Protocol):
    """What every task provides.

    A task of classes may also have `label_names: ClassVar[tuple[str, ...]]`, the words of its
    labels for the report, and a metric "score", the log odds of label 1 in an even mix.

    Other things that a task may have: `completed(catalog)`, which gives the task with what the data
    set knows filled in, before a run begins; `freeze(encoders)`, which takes the gradients of
    encoders away and says whether it did; `keeps_head = True`, where the head is what is wanted;
    `drawn(out, batch)`, pictures uint8 [H, W, 3] with the answers drawn in, for the report;
    `compares = True`, where the loss compares the samples of a batch with each other.
    Metrics whose names begin with "_" go to `scores` alone.

    Several tasks at once (`avssl.pretext.multi`) are one object too, with `parts`, name → task. A
    batch is of one of them: the names of its tensors are "TASK/NAME", and so are those of metrics
    and scores. It plans nothing itself.
    """

    name: ClassVar[str]
    """Name on the command line, such as "shuffle-and-learn"."""
    summary: ClassVar[str]
    """One line for `avssl tasks`."""
    streams: ClassVar[tuple[str, ...]]
    """Encoders that are trained: ("vision",) or ("vision", "sound")."""
    shortcuts: ClassVar[tuple[Shortcut, ...]]
    """The known ways to cheat, with guards and probes."""

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows to sample from; a row stands in it once for every share of its length.

        Raises:
            InputError: no row can be used; says what the task needs.
        """
        ...

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one sample of row `index`: times, never pixels. Pure in its arguments."""
        ...

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Makes what the network may see of the decoded `clips` (one per span of the plan)."""
        ...

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds what is thrown away after training.

        `widths`: stream → length of its vector, and for each of its layers from the picture's side
        on "stream.layer.channels" and "stream.layer.stride" (px).
        """
        ...

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Runs the networks on the device."""
        ...

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the loss, tensor []."""
        ...

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives numbers per sample, tensors [batch] (never averaged here)."""
        ...

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the figures of an evaluation from the metrics of all its samples.

        `columns` maps each name that `metrics` gives to float64 [num_samples]; balanced accuracy or
        AUC, which are no means over samples, are made here.
        """
        ...

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives {score: value} of the best blind guess, for the names that `scores` gives."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named, complete setting of a task: its knobs, and the run's settings that differ."""

    task: Any
    """The task object."""
    settings: Mapping[str, Any]
    """Dotted field of `avssl.config.TrainConfig` → value, such as {"optim.lr": 1e-3}."""
    about: str
    """What it is, its source, how long it takes on what, and the number to expect."""


def parts_of(task: Any) -> dict[str, Any]:
    """Gives name → task of the tasks that are trained in turns; {"": task} where it is one."""
    return getattr(task, "parts", None) or {"": task}


def task_of(batch: Mapping[str, Any]) -> str:
    """Gives the name of the task that a batch is of; "" where there is one task alone."""
    return next(iter(batch)).rpartition("/")[0]


class Learner(nn.Module):
    """Encoders, head and loss in one forward pass.

    Everything that has a gradient is inside, so that data-parallel wrappers and compilers wrap one
    object and no task can bypass the synchronisation of gradients.
    """

    statistics: OwnStatistics | None
    """Running statistics of each of several tasks, where they are kept apart."""

    def __init__(
        self, *, task: Task, encoders: Mapping[str, nn.Module], widths: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.task = task
        self.encoders = nn.ModuleDict(dict(encoders))
        self.head = task.head(widths)
        self.frozen = bool(hasattr(task, "freeze") and task.freeze(encoders))  # type: ignore[attr-defined]
        names = task.apart if hasattr(task, "apart") else ()  # type: ignore[attr-defined]
        self.statistics = OwnStatistics(encoders, names) if names else None
        self._compiled: dict[str, Callable[[Batch], Step]] = {}

    def train(self, mode: bool = True) -> "Learner":
        """Sets training mode; frozen encoders stay in evaluation mode (BatchNorm, dropout)."""
        super().train(mode)
        if self.frozen:
            self.encoders.eval()
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles the step of each task by itself; takes what `torch.compile` takes."""
        import torch._dynamo.config as limits

        names = parts_of(self.task)
        # they share their code, which torch compiles so many times before it gives up
        limits.recompile_limit = max(limits.recompile_limit, 4 * len(names))
        self._compiled = {name: torch.compile(self._step, *args, **kwargs) for name in names}

    def outputs(self, batch: Batch) -> Outputs:
        """Runs the networks without the loss."""
        with self._statistics_of(batch):
            return self._outputs(batch)

    def forward(self, batch: Batch) -> Step:
        """Gives the loss and the sums to report: the mean of `loss` and of every metric.

        Of several tasks "loss" has the batch's own, and "TASK/loss" the same again.
        """
        with self._statistics_of(batch):
            return self._compiled.get(task_of(batch), self._step)(batch)

    def _statistics_of(self, batch: Batch) -> contextlib.AbstractContextManager[None]:
        """Outside of what is compiled: layers are given other tensors for a while."""
        name = task_of(batch)
        return self.statistics.of(name) if self.statistics else contextlib.nullcontext()

    def _outputs(self, batch: Batch) -> Outputs:
        return self.task.predict(dict(self.encoders.items()), self.head, batch)

    def _step(self, batch: Batch) -> Step:
        out = self._outputs(batch)
        loss = self.task.loss(out, batch)
        num_samples = next(iter(batch.values())).shape[0]
        count = torch.tensor(num_samples, dtype=torch.float64, device=loss.device)
        sums = {"loss": torch.stack([loss.detach().double() * count, count])}
        if name := task_of(batch):
            sums[f"{name}/loss"] = sums["loss"]
        for name, value in self.task.metrics(out, batch).items():
            if name.rpartition("/")[2].startswith("_"):
                continue
            sums[name] = torch.stack([value.detach().double().sum(), count])
        return Step(loss=loss, sums=sums)


def widths_of(encoders: Mapping[str, Any]) -> dict[str, int]:
    """Gives what `Task.head` is told of the encoders."""
    widths: dict[str, int] = {}
    for stream, encoder in encoders.items():
        widths[stream] = encoder.width
        for layer, (channels, stride) in encoder.layers.items():
            widths[f"{stream}.{layer}.channels"] = channels
            widths[f"{stream}.{layer}.stride"] = stride
    return widths


def layer_sizes(
    widths: Mapping[str, int], layer: str, *, stream: str = "vision"
) -> tuple[int, int]:
    """Gives (channels, stride) of a layer; "" is the last.

    Args:
        widths: see `widths_of`.
        layer: its name.
        stream: whose layer.

    Raises:
        InputError: the encoder has no such layer.
    """
    found = [name.split(".")[1] for name in widths if name.startswith(f"{stream}.")]
    names = list(dict.fromkeys(found))
    name = layer or (names[-1] if names else "")
    if name not in names:
        raise InputError(f"layer {layer!r}: the {stream} encoder has {', '.join(names)}")
    return widths[f"{stream}.{name}.channels"], widths[f"{stream}.{name}.stride"]


def two_class_metrics(score: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Gives label, score and accuracy sample by sample, each [B], from the log odds of label 1."""
    score = score.detach().float()
    right = (score > 0) == (label == 1)
    return {"accuracy": right.float(), "score": score, "label": label.float()}


def two_class_scores(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Gives balanced accuracy and AUC of the columns "label" (0, 1) and "score" (log odds of 1).

    {} where only one class was seen.
    """
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    label, score = columns["label"] > 0.5, columns["score"]
    if len(np.unique(label)) < 2:
        return {}
    return {
        "balanced_accuracy": float(balanced_accuracy_score(label, score > 0)),
        "auc": float(roc_auc_score(label, score)),
    }


def describe(task: Any) -> str:
    """Gives one line: the task's name and the knobs that differ from their defaults."""
    parts = getattr(task, "parts", {})
    changed = [
        f"{item.name}={_in_short(getattr(task, item.name))}"
        for item in dataclasses.fields(task)
        if getattr(task, item.name) != item.default and not (parts and item.name == "tasks")
    ]
    return f"{task.name}({', '.join([*map(describe, parts.values()), *changed])})"


def _in_short(value: Any) -> str:
    """Statistics that `completed` fills in can be hundreds of numbers."""
    if isinstance(value, tuple) and len(value) > _LONGEST:
        return f"({len(value)} values)"
    return repr(value)
