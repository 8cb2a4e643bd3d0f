"""Many small keypoint runs, one JSON each: the label-efficiency curve and the study stand on it.

A cell is one run: which initial encoder, how many labels, which seed, learning rate, layer, frozen
or not. Its result is written when it is whole, so a grid is stopped and resumed at any moment.
Every initialisation gets the same learning rates, steps and network; the rate is chosen by the mean
over seeds on validation, and only the chosen one's test figures are shown.
"""

import dataclasses
import functools
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.config import TrainConfig, config_from_recipe, replaced
from avssl.errors import InputError
from avssl.files import write_json
from avssl.progress import progress_bar
from avssl.run.jobs import each

_PLAIN = re.compile(r"[^A-Za-z0-9_.=-]+")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a grid."""

    row: str
    """Name of the initialisation."""
    init: str
    """REF, or "" for fresh weights of the run's own seed."""
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
                "init": cell.init,
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
        InputError: the folder holds results of another setting.
    """
    home, listed = Path(directory), list(cells)
    _claim(home, setting)
    paths = [home / "results" / f"{cell.name}.json" for cell in listed]
    missing = [cell for cell, path in zip(listed, paths, strict=True) if not path.is_file()]
    start = len(listed) - len(missing)
    with progress_bar("grid", total=len(listed), unit="run", start=start, quiet=quiet) as bar:
        run = functools.partial(_run, setting=setting, home=home)
        for cell, _ in each(run, missing, num_processes=num_processes):
            bar.say(cell.name)
            bar.advance()
    return [json.loads(path.read_text()) for path in paths]


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


def _run(cell: Cell, *, setting: Setting, home: Path) -> None:
    import torch

    from avssl.run.parallel import Processes, threads_beside_loaders
    from avssl.run.pose import load_pose
    from avssl.run.pose_eval import evaluate_pose
    from avssl.run.train import train

    out = home / "runs" / cell.name
    train(setting.config(cell, str(out)), quiet=True)
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


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table: the seeds' test figures at the learning rate that validation chose."""

    row: str
    num_labels: int
    tune: str
    layer: str
    lr: float
    values: tuple[float, ...]
    """Test figure of each seed, in the order of the seeds."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean, by Student's t; (nan, nan) for one seed."""
        return t_interval(self.values)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Gives the 95 % interval of the mean of few values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    from scipy import stats

    spread = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * spread
    mean = float(np.mean(values))
    return mean - reach, mean + reach


def summarise(results: Iterable[Mapping[str, Any]], *, metric: str = "pck_mean") -> list[Line]:
    """Chooses each group's learning rate on validation and gives its test figures."""
    groups: dict[tuple[str, int, str, str], dict[float, dict[int, Mapping[str, Any]]]] = {}
    for result in results:
        key = (result["row"], result["num_labels"], result["tune"], result["layer"])
        groups.setdefault(key, {}).setdefault(result["lr"], {})[result["seed"]] = result
    lines = []
    for (row, num_labels, tune, layer), rates in groups.items():
        seeds = sorted(set.intersection(*(set(found) for found in rates.values())))
        if not seeds:
            continue

        def judged(lr: float, rates: Any = rates, seeds: Any = seeds) -> float:
            return float(np.mean([rates[lr][seed]["validation"][metric] for seed in seeds]))

        best = max(rates, key=judged)
        values = tuple(float(rates[best][seed]["test"][metric]) for seed in seeds)
        lines.append(
            Line(row=row, num_labels=num_labels, tune=tune, layer=layer, lr=best, values=values)
        )
    return lines


def as_markdown(lines: Sequence[Line]) -> str:
    """Gives the lines as a table for a page."""
    head = "| initial weights | labels | encoder | layer | lr | mean [95 %] | seeds |\n"
    body = [
        f"| {line.row} | {line.num_labels or 'all'} | {line.tune} | {line.layer or 'last'} | "
        f"{line.lr:g} | {line.mean:.3f} [{line.interval[0]:.3f}, {line.interval[1]:.3f}] | "
        f"{' '.join(f'{value:.3f}' for value in line.values)} |"
        for line in lines
    ]
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(body) + "\n"


def paired_as_markdown(lines: Sequence[Line], *, against: str = "random") -> str:
    """Gives every row less the row `against`, seed by seed, as a table.

    Runs of one seed have the same labelled pictures in the same order, so their differences say
    more than two means do. Lines of other seeds than the reference's are left out.
    """
    where = {
        (line.num_labels, line.tune, line.layer): line for line in lines if line.row == against
    }
    rows = [f"| less {against} | labels | encoder | layer | mean [95 %] | seeds |"]
    rows.append("|---|---|---|---|---|---|")
    for line in lines:
        base = where.get((line.num_labels, line.tune, line.layer))
        if base is None or line is base or len(base.values) != len(line.values):
            continue
        gains = tuple(np.subtract(line.values, base.values).tolist())
        low, high = t_interval(gains)
        rows.append(
            f"| {line.row} | {line.num_labels or 'all'} | {line.tune} | {line.layer or 'last'} | "
            f"{np.mean(gains):+.3f} [{low:+.3f}, {high:+.3f}] | "
            f"{' '.join(f'{value:+.3f}' for value in gains)} |"
        )
    return "\n".join(rows) + "\n"
