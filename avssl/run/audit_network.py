"""A trained network beside the probes: the same question, the same samples, the same measure.

A network that has learned what a task is for knows more than any cheap number tells. One that does
not beat the probe may know no more than the cheat.
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.config import TrainConfig, read_config
from avssl.errors import InputError
from avssl.progress import Bar
from avssl.run.audit_error import interval, macro_auc, true_parts
from avssl.run.audit_probes import Asked, Judged
from avssl.run.audit_samples import Drawn, Maker
from avssl.run.trained import trained_learner

_BATCH = 64
_CANNOT = "the network answers another question"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The network against the better probe of one shortcut."""

    network_auc: float | None
    """None where the two cannot be compared."""
    low: float = 0.0
    """Of the difference to the probe: lower end of its 95 % interval, over groups of clips."""
    high: float = 0.0
    """Upper end."""
    why_not: str = ""
    """Why they cannot be compared."""

    @property
    def beats(self) -> bool:
        """Whether the network is better, beyond the interval."""
        return self.network_auc is not None and self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the probe is better, beyond the interval."""
        return self.network_auc is not None and self.high < 0

    @property
    def words(self) -> str:
        """For the table."""
        if self.network_auc is None:
            return self.why_not
        end = "beats the probe" if self.beats else "**does not beat the probe**"
        return f"{self.network_auc:.3f} ({self.low:+.3f} to {self.high:+.3f}): {end}"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the network says of N samples; M questions each (M is 1 for most tasks)."""

    sure: NDArray[np.float64]
    """float64 [N, M, C]: shares of its C classes."""
    label: NDArray[np.float64]
    """[N, M]: the answers that it was trained to give."""


def read_run(run: str | os.PathLike[str], *, task_name: str) -> TrainConfig:
    """Reads a run's configuration, with its folder as it lies now.

    Raises:
        InputError: it holds no run, or one of another task.
    """
    config = dataclasses.replace(read_config(run), out=str(Path(run)))
    if config.task.name != task_name:
        raise InputError(f"{run}: a run of {config.task.name}; `avssl audit {config.task.name}`")
    return config


@torch.no_grad()
def network_answers(
    config: TrainConfig, catalog: Catalog, *, num_fit: int, num_samples: int, bar: Bar | None = None
) -> Answers | str:
    """Asks the newest checkpoint of a run about the samples that the probes are judged on.

    Args:
        config: of the run.
        catalog: the clips that the probes are judged on.
        num_fit: number of the first sample: those before it, the probes were fitted to.
        num_samples: that are judged.
        bar: is moved on by one a sample.

    Returns:
        Its answers, or the reason why it has none that can be compared.

    Raises:
        InputError: the run has no checkpoint.
    """
    learner, _ = trained_learner(config)
    sure, labels = [], []
    made = Maker(config.task, catalog, num_samples=num_samples, first=num_fit)
    with torch.random.fork_rng(), made as maker:
        torch.manual_seed(0)  # what a task draws on the device
        for start in range(num_fit, num_fit + num_samples, _BATCH):
            numbers = range(start, min(start + _BATCH, num_fit + num_samples))
            arrays = [maker.example(number)[1].arrays for number in numbers]
            batch = {
                name: torch.from_numpy(np.stack([one[name] for one in arrays]))
                for name in arrays[0]
            }
            out = learner.outputs(batch)
            found = _shares(config.task, out, batch, len(arrays))
            if isinstance(found, str):
                return found
            sure.append(found[0])
            labels.append(found[1])
            if bar is not None:
                bar.advance(len(arrays))
    return Answers(sure=np.concatenate(sure), label=np.concatenate(labels))


def _shares(
    task: Any, out: Any, batch: Any, num: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | str:
    """Gives shares [B, M, C] and the labels [B, M], or why there are none."""
    metrics = task.metrics(out, batch)
    label = metrics.get("label", batch.get("label", batch.get("labels")))
    if label is None or ("score" not in metrics and "logits" not in out):
        return "no answer in classes to compare"
    if "score" in metrics:
        score = metrics["score"].double().reshape(num, -1)
        sure = torch.stack([torch.sigmoid(-score), torch.sigmoid(score)], dim=-1)
    else:
        logits = out["logits"].double()
        sure = logits.softmax(dim=-1).reshape(num, -1, logits.shape[-1])
    label = label.double().reshape(num, -1)
    if label.shape[1] != sure.shape[1]:
        return "no answer in classes to compare"
    return sure.numpy(), label.numpy()


def compare(
    answers: Answers | str,
    *,
    drawn: Drawn,
    asked: Asked,
    judged: Judged,
    num_fit: int,
    units: NDArray[np.int64],
) -> Beside:
    """Compares a network with the better probe of a shortcut.

    Args:
        answers: of the samples from number `num_fit` on.
        drawn: what the probe was given.
        asked: the answers as classes.
        judged: what the probes made of it.
        num_fit: samples that the probes were fitted to.
        units: int64 [N], see `against`.
    """
    if isinstance(answers, str):
        return Beside(network_auc=None, why_not=answers)
    places = judged.places - num_fit
    question = drawn.asked[judged.places]
    if not asked.is_classes or question.max() >= answers.sure.shape[1]:
        return Beside(network_auc=None, why_not=_CANNOT)
    shares = answers.sure[places, question]
    label = answers.label[places, question].astype(np.int64)
    # A class of the probes may hold several of the network's: each of 1000 permutations has one
    # first tile. Where one of the network's goes with two of the probes', it is another question.
    pairs = np.unique(np.stack([label, judged.label]), axis=1)
    if len(np.unique(pairs[0])) < pairs.shape[1] or not 0 <= label.min() <= label.max() < len(
        shares[0]
    ):
        return Beside(network_auc=None, why_not=_CANNOT)
    sure = np.stack(
        [shares[:, pairs[0, pairs[1] == k]].sum(axis=1) for k in range(len(judged.names))], axis=1
    )
    return against(sure, judged=judged, units=units)


def against(sure: NDArray[np.float64], *, judged: Judged, units: NDArray[np.int64]) -> Beside:
    """Gives the network's figure and the interval of its difference to the better probe's.

    Args:
        sure: float64 [N, K], the network's, for the samples and classes of `judged`.
        judged: the probes.
        units: int64 [N], what is independent among the samples: the group of each.
    """
    network = macro_auc(judged.label, sure)
    parts = true_parts(judged.label, sure) - true_parts(judged.label, judged.sure)
    low, high = interval(network - judged.best, parts, units)
    return Beside(network_auc=network, low=low, high=high)
