"""Every pretext task on held-out clips: its score beside the blind guess, time, and a picture.

`tools/run_tables.py tasks` runs it and writes docs/tasks.md.
"""

import functools
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_recipe, read_config, replaced
from avssl.data import EVALUATION_SEED, make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.files import write_bytes, write_json
from avssl.pretext import TASKS
from avssl.progress import progress_bar
from avssl.run.jobs import each
from avssl.run.pretext_eval import evaluate_pretext
from avssl.run.trained import trained_learner
from avssl.sample.order import evaluation_item, evaluation_rng

NUM_SHOWN = 4
_GAP_PX = 6


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all rows share; the rest is each task's small recipe."""

    data: str
    """A prepared data set."""
    split: str = "test"
    num_samples: int = 2048
    changes: Mapping[str, Any] | None = None
    """Fields of every run that differ from the recipes."""


def run_tasks(
    names: Sequence[str],
    setting: Setting,
    out: Path,
    *,
    seeds: Sequence[int],
    num_processes: int = 1,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Trains every task by its small recipe, judges it on held-out clips, draws what it answers.

    Args:
        names: tasks of the registry.
        setting: what they share.
        out: gets OUT/runs/TASK_SEED, OUT/results/TASK_SEED.json and OUT/pictures/TASK.png.
        seeds: of weights and samples; the first one's answers are drawn.
        num_processes: runs beside each other.
        quiet: no progress bar.

    Returns:
        The results of this and of earlier calls, in the order of the registry and the seeds.

    Raises:
        InputError: no such task; results of other settings are there.
    """
    for name in names:
        if name not in TASKS:
            raise InputError(f"task {name!r}: must be one of {', '.join(TASKS)}")
    cells = [(name, seed) for seed in seeds for name in names]
    run = functools.partial(_cell, setting=setting, out=out, first_seed=seeds[0])
    with progress_bar("tasks", total=len(cells), unit="run", quiet=quiet) as bar:
        for (name, seed), _ in each(run, cells, num_processes=num_processes):
            bar.say(f"{name} {seed}")
            bar.advance()
    return results_in(out)


def results_in(out: Path) -> list[dict[str, Any]]:
    """Gives the results that lie in a folder of `run_tasks`, by the registry's order and the seeds.

    Raises:
        InputError: there are none.
    """
    found = [json.loads(path.read_text()) for path in (out / "results").glob("*.json")]
    if not found:
        raise InputError(f"{out}: no results/*.json there; give a folder of `run_tables.py tasks`")
    return sorted(found, key=lambda one: (list(TASKS).index(one["task"]), one["seed"]))


def _cell(item: tuple[str, int], *, setting: Setting, out: Path, first_seed: int) -> None:
    name, seed = item
    label = f"{name}_{seed}"
    folder, path = out / "runs" / label, out / "results" / f"{label}.json"
    config = config_from_recipe(name, "small", data=setting.data, out=str(folder))
    own = {"workers": 0, "tensorboard": False, "seed": seed}
    config = replaced(config, {**own, **(setting.changes or {})})
    if path.is_file():
        known = read_config(folder)  # `completed` may have filled knobs in
        if _without_task(known) != _without_task(config):
            raise InputError(f"{path}: of other settings; choose another folder or delete it")
        return
    from avssl.run.train import train

    begin, begin_cpu = time.perf_counter(), time.process_time()
    train(config, quiet=True)
    spent = {
        "train_s": time.perf_counter() - begin,
        "train_core_s": time.process_time() - begin_cpu,
    }
    judged = evaluate_pretext(
        folder, setting.data, split=setting.split, num_samples=setting.num_samples
    )
    if seed == first_seed:
        shown = picture_of(read_config(folder), split=setting.split)
        if shown is not None:
            write_picture(out / "pictures" / f"{name}.png", shown)
    settings = {"steps": config.steps, "batch_size": config.batch_size, "vision": config.vision}
    write_json(path, {**judged, "task": name, "seed": seed, **settings, **spent})


def _without_task(config: TrainConfig) -> dict[str, Any]:
    return {key: value for key, value in vars(config).items() if key != "task"}


def picture_of(
    config: TrainConfig, *, split: str, num_shown: int = NUM_SHOWN
) -> NDArray[np.uint8] | None:
    """Gives what the network is shown and answers, uint8 [H, W, 3]; None if the task draws nothing.

    The samples are spread evenly over the split, so nobody chose them.
    """
    learner, _ = trained_learner(config)
    task = learner.task
    if not hasattr(task, "drawn"):
        return None
    catalog = Catalog.read(config.data).select(split=split)
    items, fetcher = task.items(catalog), Fetcher(catalog.directory)
    examples = []
    for number in range(num_shown):
        index = int(items[evaluation_item(len(items), number, num_samples=num_shown)])
        rng = evaluation_rng(EVALUATION_SEED, number)
        examples.append(make_example(task, catalog, lambda: fetcher, index=index, rng=rng)[1])
    fetcher.close()
    batch = {
        name: torch.from_numpy(np.stack([example.arrays[name] for example in examples]))
        for name in examples[0].arrays
    }
    with torch.no_grad():
        drawn = task.drawn(learner.outputs(batch), batch)  # type: ignore[attr-defined]
    return stacked(drawn)


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Puts pictures uint8 [h, w, 3] under each other, or in two columns where they are narrow."""
    width = max(one.shape[1] for one in pictures)
    num_columns = 2 if width <= 420 and len(pictures) > 1 else 1
    rows = []
    for start in range(0, len(pictures), num_columns):
        part = pictures[start : start + num_columns]
        height = max(one.shape[0] for one in part)
        row = np.full((height, num_columns * (width + _GAP_PX) - _GAP_PX, 3), 255, np.uint8)
        for column, one in enumerate(part):
            left = column * (width + _GAP_PX)
            row[: one.shape[0], left : left + one.shape[1]] = one
        rows += [row, np.full((_GAP_PX, row.shape[1], 3), 255, np.uint8)]
    return np.concatenate(rows[:-1])


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Writes a PNG, whole or not at all."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", optimize=True)
    write_bytes(path, stream.getvalue())
