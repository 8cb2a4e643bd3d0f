"""Rows of a probe: networks judged layer by layer, with few labels, and after each checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.downstream import probe_metrics as metrics
from avssl.downstream.features import Pool
from avssl.downstream.probe import Judged, Problem, Side, best_layers, draw_labels
from avssl.downstream.probe_truth import class_truth, geometric_truth
from avssl.errors import InputError
from avssl.progress import Bar, progress_bar
from avssl.run.checkpoint import list_checkpoints
from avssl.run.probe_samples import NETWORK, Network, Samples
from avssl.run.trained import trained_learner

Features = dict[str, NDArray[np.float32]]


def sides_of(
    train: Samples, other: Samples, *, kind: str, level: int | None, numbers: bool
) -> tuple[Side, Side]:
    """Gives what is true of both splits' samples."""
    rows, times_s = [*train.rows, *other.rows], [*train.times_s, *other.times_s]
    classes = class_truth(rows, times_s, kind=kind, level=level)
    found = geometric_truth(rows, times_s) if numbers else {}
    # rows of a catalogue's splits are numbered apart: the clip numbers of both are their own
    whole = Side(
        clips=np.concatenate([train.clips, other.clips]),
        groups=np.concatenate([train.groups, other.groups]),
        classes=classes,
        numbers=found,
    )
    first = np.arange(len(rows)) < len(train.rows)
    return whole.of(first), whole.of(~first)


def merged(each: Sequence[Judged]) -> Judged:
    """Gives several seeds as one: means of figures, all redraws together.

    A figure that one of them lacks (labels in too few groups) is left out.
    """
    first = each[0]
    names = [name for name in first.figures if all(name in one.figures for one in each)]
    return Judged(
        figures={name: float(np.mean([one.figures[name] for one in each])) for name in names},
        draws={name: np.concatenate([one.draws[name] for one in each]) for name in names},
        held={name: float(np.mean([one.held[name] for one in each])) for name in names},
        chosen=first.chosen,
        num_features=first.num_features,
    )


class Rows:
    """Judges row after row, and keeps what labels and steps ask for later."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.judged: dict[str, dict[str, Judged]] = {}
        self.kept: dict[str, list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = {}

    def add(self, row: str, seeds: Sequence[tuple[Features, Features]] | Any, bar: Bar) -> None:
        """Judges a row: for each seed (train, other), name of the layer → features."""
        each: list[dict[str, Judged]] = []
        for train, other in seeds:
            own = {}
            for layer in train:
                bar.say(f"{row} {layer}")
                own[layer] = self.problem.judge(train[layer], other[layer])
                bar.advance()
            each.append(own)
            at = best_layers(own)[main_metric(own)]
            self.kept.setdefault(row, []).append((train[at], other[at]))
        self.judged[row] = {
            layer: merged([own[layer] for own in each]) for layer in each[0]
        }  # fmt: skip


def main_metric(judged: Mapping[str, Judged]) -> str:
    """Gives the name of the figure that a row is known by: mAP, else the first R²."""
    return next(iter(next(iter(judged.values())).figures))


def spans_of(judged: Judged) -> dict[str, Any]:
    """Gives the interval of every figure."""
    return {name: metrics.interval(draws) for name, draws in judged.draws.items()}


def label_rows(
    problem: Problem,
    kept: Mapping[str, Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]],
    wanted: Sequence[str],
    *,
    num_draws: int,
    quiet: bool = True,
) -> dict[str, Any]:
    """Judges rows after fitting on few labels: the same draws of clips for every row.

    The layer is the row's own, chosen on all of the training split.

    Args:
        problem: what is asked.
        kept: row → for each seed its layer's features of the training samples and of the others.
        wanted: see `draw_labels`.
        num_draws: draws of each; of everything there is one.
        quiet: no progress bar.

    Returns:
        "labels": row → wanted → figures, means over draws and seeds; "labels_intervals": over
        draws, seeds and redrawn groups; "labels_clips": wanted → clips that train;
        "labels_lack": wanted → figures that so few labels do not give.
    """
    found: dict[str, dict[str, Judged]] = {row: {} for row in kept}
    clips: dict[str, int] = {}
    lack: dict[str, list[str]] = {}
    total = sum(map(len, kept.values())) * sum(1 if _all(one) else num_draws for one in wanted)
    with progress_bar("labels", total=total, unit="fit", quiet=quiet) as bar:
        for place, one in enumerate(wanted):
            masks = [
                draw_labels(problem.train, one, rng=np.random.default_rng((place, number)))
                for number in range(1 if _all(one) else num_draws)
            ]
            clips[one] = len(set(problem.train.clips[masks[0]].tolist()))
            for row, seeds in kept.items():
                bar.say(f"{row}, {one}")
                judged = []
                for train, other in seeds:
                    for mask in masks:
                        judged.append(problem.judge_some(train, other, mask))
                        bar.advance()
                own = merged(judged)
                lack[one] = [name for name in problem.figures if name not in own.figures]
                if own.figures:
                    found[row][one] = own
    return {
        "labels": {row: {one: j.figures for one, j in each.items()} for row, each in found.items()},
        "labels_intervals": {
            row: {one: spans_of(j) for one, j in each.items()} for row, each in found.items()
        },
        "labels_clips": clips,
        "labels_lack": {one: names for one, names in lack.items() if names},
    }


def _all(wanted: str) -> bool:
    return wanted.endswith("%") and float(wanted[:-1]) == 100


def step_rows(
    ref: str,
    stream: str,
    problem: Problem,
    network: Network,
    layer: str,
    train: Samples,
    other: Samples,
    *,
    pool: Pool,
    start: Judged | None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Judges every checkpoint of a run at one layer; `start` is the untrained network there.

    Returns:
        "steps": "network" → step → figures; "steps_intervals"; "steps_layer".

    Raises:
        InputError: `ref` is no run folder, or has no checkpoints.
    """
    from avssl.config import FILE_NAME, read_config

    if not (Path(ref) / FILE_NAME).is_file():
        raise InputError(f"--all-checkpoints: {ref} is not a run's folder")
    config = read_config(ref)
    saved = list_checkpoints(ref)
    if not saved:
        raise InputError(f"{ref}: no checkpoints; train with --keep-checkpoints 0 to keep all")
    found: dict[str, Judged] = {} if start is None else {"0": start}
    with progress_bar("checkpoints", total=len(saved), unit="checkpoint", quiet=quiet) as bar:
        for path in saved:
            learner, step = trained_learner(config, path)
            one = Network(encoder=learner.encoders[stream].eval(), size_px=network.size_px)
            one.encoder.to(next(network.encoder.parameters()).device)
            own, others = (
                one.vectors(samples, pool=pool, layers=[layer])[layer] for samples in (train, other)
            )
            found[str(step)] = problem.judge(own, others)
            bar.advance()
    return {
        "steps": {NETWORK: {step: judged.figures for step, judged in found.items()}},
        "steps_intervals": {NETWORK: {step: spans_of(judged) for step, judged in found.items()}},
        "steps_layer": layer,
    }
