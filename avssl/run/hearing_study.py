"""The rows of the study of pictures and sound, and what each is judged by.

`tools/run_tables.py hearing` runs them; docs/hearing_study.md shows and reads the tables.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import Catalog
from avssl.config import config_from_recipe, read_config, replaced
from avssl.downstream.localization import PARTS
from avssl.errors import InputError
from avssl.files import write_json
from avssl.labels.sounding import has_truth
from avssl.model.storage import encoder_file_name
from avssl.progress import progress_bar
from avssl.run.jobs import each

_CORRESPONDENCE, _CONTRAST = "audio-visual-correspondence", "audio-visual-contrast"
ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "L3-Net": (_CORRESPONDENCE, {"task.fusion": "l3"}),
    "AVE-Net": (_CORRESPONDENCE, {"task.fusion": "ave"}),
    "AVOL-Net": (_CORRESPONDENCE, {"task.fusion": "avol"}),
    "L3-Net, all pairs": (_CORRESPONDENCE, {"task.fusion": "l3", "task.negatives": "batch"}),
    "AVE-Net, all pairs": (_CORRESPONDENCE, {"task.fusion": "ave", "task.negatives": "batch"}),
    "AVOL-Net, all pairs": (_CORRESPONDENCE, {"task.fusion": "avol", "task.negatives": "batch"}),
    "AVE-Net, off the grid": (_CORRESPONDENCE, {"task.fusion": "ave", "task.on_grid": False}),
    "contrast": (_CONTRAST, {}),
    "contrast, random labels": (_CONTRAST, {"task.random_labels": True}),
    "sync": ("audio-visual-sync", {}),
}
"""Row → the task and what differs from its small recipe."""
TRIVIAL = ("all ones", "centred disc", "image prior", "untrained")


@dataclass(frozen=True, kw_only=True)
class Training:
    """What all rows share."""

    data: str
    """A prepared data set; places are judged if its clips say what sounds."""
    steps: int = 1000
    lr: float = 2e-3
    split: str = "test"
    num_samples: int = 2048
    workers: int = 0
    changes: Mapping[str, Any] | None = None
    """Further fields of every run."""


def run_study(
    names: Sequence[str],
    training: Training,
    out: Path,
    *,
    seeds: Sequence[int],
    num_processes: int = 1,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Trains and judges every row with every seed; what is done is not done again.

    Args:
        names: of `ROWS`.
        training: what they share.
        out: gets OUT/runs/ROW_SEED and OUT/results/ROW_SEED.json.
        seeds: of weights and samples.
        num_processes: runs beside each other.
        quiet: no progress bar.

    Returns:
        The results of this and of earlier calls.

    Raises:
        InputError: no such row; the folder has results of other settings.
    """
    for name in names:
        if name not in ROWS:
            raise InputError(f"row {name!r}: must be one of {', '.join(ROWS)}")
    cells = [(name, seed) for seed in seeds for name in names]
    run = functools.partial(_cell, training=training, out=out)
    with progress_bar("hearing", total=len(cells), unit="run", quiet=quiet) as bar:
        for (name, seed), _ in each(run, cells, num_processes=num_processes):
            bar.say(f"{name} {seed}")
            bar.advance()
    return [json.loads(path.read_text()) for path in sorted((out / "results").glob("*.json"))]


def _cell(item: tuple[str, int], *, training: Training, out: Path) -> None:
    name, seed = item
    label = f"{name.replace(', ', '-').replace(' ', '-')}_{seed}"
    folder, path = out / "runs" / label, out / "results" / f"{label}.json"
    task, changes = ROWS[name]
    config = config_from_recipe(task, "small", data=training.data, out=str(folder))
    settings = {
        "steps": training.steps,
        "optim.lr": training.lr,
        "workers": training.workers,
        "tensorboard": False,
        "seed": seed,
    }
    config = replaced(config, {**settings, **(training.changes or {}), **changes})
    if path.is_file():
        if read_config(folder) != config:
            raise InputError(f"{path}: of other settings; choose another folder or delete it")
        return
    from avssl.run.localization_eval import evaluate_localization
    from avssl.run.pretext_eval import evaluate_pretext
    from avssl.run.train import train

    done = (folder / encoder_file_name("sound")).is_file()
    if not done or read_config(folder) != config:  # then `train` says what differs
        train(config, quiet=True)
    result: dict[str, Any] = {
        "row": name,
        "seed": seed,
        "steps": training.steps,
        "lr": training.lr,
        "split": training.split,
        "pretext": evaluate_pretext(
            folder, training.data, split=training.split, num_samples=training.num_samples
        ),
    }
    clips = Catalog.read(training.data).select(split=training.split, keep=has_truth)
    if hasattr(config.task, "locate") and len(clips):
        result["localization"] = evaluate_localization(folder, training.data, split=training.split)
    write_json(path, result)


def tables(results: Sequence[Mapping[str, Any]]) -> str:
    """Gives the study's tables as a page: pairs, places with their guesses, other sounds put in."""
    parts = [_pairs(results)]
    places = [one for one in results if "localization" in one]
    if places:
        parts += [_places(places), _swaps(places)]
    return "\n".join(parts)


def _values(values: Sequence[float], digits: int = 3) -> str:
    each_one = " ".join(f"{value:.{digits}f}" for value in values)
    return f"**{np.mean(values):.{digits}f}** ({each_one})"


def _by_row(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(results, key=lambda one: one["seed"]):
        found.setdefault(one["row"], []).append(one)
    return {name: found[name] for name in ROWS if name in found}


def _pairs(results: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| row | steps | balanced accuracy, mean (seeds) | AUC |", "|---|---|---|---|"]
    for name, own in _by_row(results).items():
        scores = [one["pretext"]["scores"] for one in own]
        accuracy, auc = ([one[key] for one in scores] for key in ("balanced_accuracy", "auc"))
        steps = ", ".join(sorted({str(one["steps"]) for one in own}))
        lines.append(f"| {name} | {steps} | {_values(accuracy)} | {_values(auc)} |")
    return "\n".join(lines) + "\n"


def _places(results: Sequence[Mapping[str, Any]]) -> str:
    """Clips with two or more candidates in view: hit rate and cIoU, beside the best guess."""
    part = PARTS[0]
    lines = [
        f"| {part} | hit rate | best guess's | adaptive cIoU | centred disc's | cIoU | "
        "centred disc's |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, own in _by_row(results).items():
        rows = [one["localization"][part]["rows"] for one in own if part in one["localization"]]
        if not rows:
            continue
        best = [max((row[guess]["hit_rate"], guess) for guess in TRIVIAL) for row in rows]
        guesses = ", ".join(dict.fromkeys(guess for _, guess in best))
        cells = [
            _values([row["network"]["hit_rate"] for row in rows]),
            f"{_values([value for value, _ in best])} {guesses}",
        ]
        for figure in ("mean_adaptive_ciou", "mean_ciou"):
            cells += [
                _values([row["network"][figure] for row in rows]),
                f"{np.mean([row['centred disc'][figure] for row in rows]):.3f}",
            ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _swaps(results: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| row | another thing's sound moves the maximum onto it | strength | of silence | "
        "off centre |",
        "|---|---|---|---|---|",
    ]
    for name, own in _by_row(results).items():
        found = [one["localization"] for one in own]
        moved = [one["swapped"]["onto_the_other"] for one in found if "swapped" in one]
        cells = [
            _values(moved) if moved else "",
            _values([one["strength"] for one in found], 2),
            _values([one["silent_strength"] for one in found], 2),
            f"{np.mean([one['off_centre_share'] for one in found]):.2f}",
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
