"""Many small keypoint runs, one JSON each: the label-efficiency curve and the study stand on it.

A cell is one run: which initial encoder, how many labels, which seed, learning rate, layer, frozen
or not. Its result is written when it is whole, so a grid is stopped and resumed at any moment.
Every initialisation gets the same learning rates, steps and network; the rate is chosen by the mean
over the first seeds on validation, and only the chosen one's test figures are shown
(`avssl.run.pose_tables`).
"""

import dataclasses
import functools
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.config import TrainConfig, config_from_recipe, replaced
from avssl.errors import InputError
from avssl.files import write_json
from avssl.progress import progress_bar
from avssl.run.jobs import each
from avssl.run.pose_tables import best_rates

_MOST_KEPT_BYTES = 256 << 20  # of the drawn batches of one seed
_FRESH = "fresh:"
_PLAIN = re.compile(r"[^A-Za-z0-9_.=-]+")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a grid."""

    row: str
    """Name of the initialisation."""
    init: str
    """REF, or "" for fresh weights of the run's own seed; "fresh:NAME" for those of a network that
    is not the setting's."""
    num_labels: int
    seed: int
    lr: float
    tune: str = "full"
    layer: str = ""

    @property
    def name(self) -> str:
        """A file's name, different for every cell."""
        where = self.layer or "last"
        text = f"{self.row}_n{self.num_labels}_{self.tune}_{where}_lr{self.lr:g}_seed{self.seed}"
        return _PLAIN.sub("-", text)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all cells of a grid share."""

    data: str
    recipe: str = "small"
    steps: int = 800
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further fields of the run, such as {"vision": "timm:resnet18", "task.size_px": 96}."""

    def config(self, cell: Cell, out: str) -> TrainConfig:
        """Gives the run of a cell; seeds also choose which labels are used."""
        base = config_from_recipe("keypoints", self.recipe, data=self.data, out=out)
        fresh = cell.init.removeprefix(_FRESH) if cell.init.startswith(_FRESH) else ""
        return replaced(
            base,
            {
                "steps": self.steps,
                "evaluate_every": 0,
                "num_evaluation_samples": 0,
                "save_every": 0,
                "tensorboard": False,
                "workers": 0,
                **self.changes,
                **({"vision": fresh} if fresh else {}),
                "init": "" if fresh else cell.init,
                "seed": cell.seed,
                "optim.lr": cell.lr,
                "task.num_labels": cell.num_labels,
                "task.label_seed": cell.seed,
                "task.tune": cell.tune,
                "task.layer": cell.layer,
            },
        )


def grid(
    rows: Mapping[str, Sequence[str]],
    *,
    labels: Sequence[int],
    seeds: Sequence[int],
    rates: Sequence[float],
    tunes: Sequence[str] = ("full",),
    layers: Sequence[str] = ("",),
) -> list[Cell]:
    """Gives all cells, the first seeds of everything first, so that early results mean something.

    Args:
        rows: name → REFs, one for all seeds or one for each (an encoder trained with that seed).
        labels: numbers of labelled pictures; 0 is all.
        seeds: of the runs.
        rates: learning rates, the same for every row.
        tunes: "full", "frozen".
        layers: layers of the encoder.
    """
    return [
        Cell(
            row=row,
            init=refs[number % len(refs)] if refs else "",
            num_labels=count,
            seed=seed,
            lr=lr,
            tune=tune,
            layer=layer,
        )
        for number, seed in enumerate(seeds)
        for count in labels
        for tune in tunes
        for layer in layers
        for lr in rates
        for row, refs in rows.items()
    ]


def search(
    rows: Mapping[str, Sequence[str]],
    setting: Setting,
    directory: str | Path,
    *,
    seeds: Sequence[int],
    rates: Sequence[float],
    num_search_seeds: int = 0,
    choose_layer: bool = False,
    num_processes: int = 1,
    quiet: bool = False,
    **grid_settings: Any,
) -> list[dict[str, Any]]:
    """Runs every rate on the first seeds, then the best one (on validation) on the others.

    Args:
        rows: see `grid`.
        setting: see `run_grid`.
        directory: see `run_grid`.
        seeds: of the runs.
        rates: learning rates, the same for every row.
        num_search_seeds: how many of the seeds have every rate; 0: all of them.
        choose_layer: the others have the best layer alone, too (each row its own).
        num_processes: see `run_grid`.
        quiet: no progress bar.
        grid_settings: "labels", "tunes", "layers" of `grid`.

    Returns:
        The results of all cells.
    """
    first = list(seeds)[: num_search_seeds or None]
    run = functools.partial(
        run_grid, setting=setting, directory=directory, num_processes=num_processes, quiet=quiet
    )
    cells = grid(rows, seeds=seeds, rates=rates, **grid_settings)
    results = run([cell for cell in cells if cell.seed in first])
    best = best_rates(results, search_seeds=first, choose_layer=choose_layer)
    rest = [
        cell
        for cell in cells
        if cell.seed not in first
        and best.get((cell.row, cell.num_labels, cell.tune, cell.layer)) == cell.lr
    ]
    return results + (run(rest) if rest else [])


def run_grid(
    cells: Iterable[Cell],
    setting: Setting,
    directory: str | Path,
    *,
    num_processes: int = 1,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Runs what is missing and gives all results.

    Args:
        cells: the runs.
        setting: what they share.
        directory: holds "results", one JSON a cell; what stands there is not run again.
        num_processes: runs beside each other, each on one core.
        quiet: no progress bar.

    Returns:
        One dict a cell: its fields, "validation" and "test" (see `evaluate_pose`), "steps".

    Raises:
        InputError: the folder holds results of another setting, or a cell's of another REF.
    """
    home, listed = Path(directory), list(cells)
    _claim(home, setting)
    paths = [home / "results" / f"{cell.name}.json" for cell in listed]
    missing = [c for c, path in zip(listed, paths, strict=True) if not _is_done(c, path)]
    start = len(listed) - len(missing)
    with (
        tempfile.TemporaryDirectory(prefix="drawn_", dir=home) as drawn,
        progress_bar("grid", total=len(listed), unit="run", start=start, quiet=quiet) as bar,
    ):
        run = functools.partial(_run, setting=setting, home=home, drawn=Path(drawn))
        for cell, _ in each(run, missing, num_processes=num_processes):
            bar.say(cell.name)
            bar.advance()
    return [json.loads(path.read_text()) for path in paths]


def _is_done(cell: Cell, path: Path) -> bool:
    """Whether the cell's result is there; one that began with another encoder is not its own."""
    if not path.is_file():
        return False
    init = json.loads(path.read_text())["init"]
    if init != cell.init:
        raise InputError(
            f"{path}: began with {init or 'fresh weights'}, not with "
            f"{cell.init or 'fresh weights'}; give the row another name, or choose another folder"
        )
    return True


def _claim(home: Path, setting: Setting) -> None:
    """Notes the setting beside the results; those of another must not be taken for its own."""
    path = home / "setting.json"
    wanted = json.loads(json.dumps(dataclasses.asdict(setting)))
    found = json.loads(path.read_text()) if path.is_file() else wanted
    for name in wanted:
        if name != "data" and found.get(name) != wanted[name]:
            raise InputError(
                f"{home}: holds results with {name} {found.get(name)!r}, not {wanted[name]!r}; "
                "choose another folder"
            )
    if not path.is_file():
        write_json(path, wanted)


def _run(cell: Cell, *, setting: Setting, home: Path, drawn: Path) -> None:
    import torch

    from avssl.run.parallel import Processes, threads_beside_loaders
    from avssl.run.pose import load_pose
    from avssl.run.pose_eval import evaluate_pose
    from avssl.run.train import train

    out = home / "runs" / cell.name
    config = setting.config(cell, str(out))
    task: Any = config.task
    size = setting.steps * config.batch_size * 3 * task.size_px**2
    # cells differ in networks and rates alone: those of one seed see the same batches
    kept = drawn / f"n{cell.num_labels}_seed{cell.seed}"
    train(config, quiet=True, kept_batches=kept if size <= _MOST_KEPT_BYTES else None)
    pose = load_pose(out)
    result: dict[str, Any] = {**dataclasses.asdict(cell), "steps": setting.steps}
    for split in ("validation", "test"):
        with threads_beside_loaders(Processes(device=torch.device("cpu"))):
            # no intervals over images: those of the tables are over seeds
            scores, _ = evaluate_pose(pose, setting.data, split=split, num_resamples=1)
        result[split] = {
            name: scores.as_dict()[name]
            for name in ("pck_mean", "pck_mean_of_joints", "auc", "error_px", "median_error_px")
        }
    write_json(home / "results" / f"{cell.name}.json", result)
    shutil.rmtree(out)
