"""Tables from the results of a grid of keypoint runs (see `avssl.run.pose_grid`)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    seeds: tuple[int, ...]

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


Group = tuple[str, int, str, str]
"""Row, number of labels, tune, layer."""


def _groups(
    results: Iterable[Mapping[str, Any]],
) -> dict[Group, dict[float, dict[int, Mapping[str, Any]]]]:
    groups: dict[Group, dict[float, dict[int, Mapping[str, Any]]]] = {}
    for result in results:
        key = (result["row"], result["num_labels"], result["tune"], result["layer"])
        groups.setdefault(key, {}).setdefault(result["lr"], {})[result["seed"]] = result
    return groups


def best_rates(
    results: Iterable[Mapping[str, Any]],
    *,
    metric: str = "pck_mean",
    search_seeds: Collection[int] | None = None,
    choose_layer: bool = False,
) -> dict[Group, float]:
    """Chooses each group's learning rate by the mean over seeds on validation.

    Args:
        results: of `avssl.run.pose_grid.run_grid`.
        metric: what is compared.
        search_seeds: these seeds judge; None: those that every rate of the group has. A group in
            which a rate lacks one of them is left out.
        choose_layer: keep of each row the one layer that is best by the same mean.
    """
    found: dict[Group, tuple[float, float]] = {}
    for key, rates in _groups(results).items():
        seeds = sorted(set.intersection(*(set(of_rate) for of_rate in rates.values())))
        judges = seeds if search_seeds is None else sorted(search_seeds)
        if judges and set(judges) <= set(seeds):
            means = {
                lr: float(np.mean([of_rate[seed]["validation"][metric] for seed in judges]))
                for lr, of_rate in rates.items()
            }
            best = max(means, key=lambda lr: means[lr])
            found[key] = (best, means[best])
    if choose_layer:
        tops: dict[Group, tuple[float, float]] = {}
        for (row, num_labels, tune, layer), (lr, mean) in found.items():
            known = [key for key in tops if key[:3] == (row, num_labels, tune)]
            if known and tops[known[0]][1] >= mean:
                continue
            for key in known:
                del tops[key]
            tops[row, num_labels, tune, layer] = (lr, mean)
        found = tops
    return {key: lr for key, (lr, _) in found.items()}


def summarise(
    results: Iterable[Mapping[str, Any]],
    *,
    metric: str = "pck_mean",
    search_seeds: Collection[int] | None = None,
    choose_layer: bool = False,
) -> list[Line]:
    """Gives each group's test figures at its chosen learning rate, of all seeds that have it.

    See `best_rates` for what is chosen, and how.
    """
    listed = list(results)
    groups = _groups(listed)
    chosen = best_rates(listed, metric=metric, search_seeds=search_seeds, choose_layer=choose_layer)
    lines = []
    for key, lr in chosen.items():
        row, num_labels, tune, layer = key
        of_rate = groups[key][lr]
        seeds = tuple(sorted(of_rate))
        values = tuple(float(of_rate[seed]["test"][metric]) for seed in seeds)
        lines.append(
            Line(
                row=row,
                num_labels=num_labels,
                tune=tune,
                layer=layer,
                lr=lr,
                values=values,
                seeds=seeds,
            )
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


def paired_as_markdown(
    lines: Sequence[Line], *, against: str = "random", choose_layer: bool = False
) -> str:
    """Gives every row less the row `against`, seed by seed, as a table.

    Runs of one seed have the same labelled pictures in the same order, so their differences say
    more than two means do. Only seeds that both have count. With `choose_layer` each row stands at
    a layer of its own, and so does the one that is taken away; else at the same one.
    """

    def place(line: Line) -> tuple[int, str, str]:
        return line.num_labels, line.tune, "" if choose_layer else line.layer

    where = {place(line): line for line in lines if line.row == against}
    rows = [f"| less {against} | labels | encoder | layer | mean [95 %] | seeds |"]
    rows.append("|---|---|---|---|---|---|")
    for line in lines:
        base = where.get(place(line))
        if base is None or line is base or not set(line.seeds) & set(base.seeds):
            continue
        known = dict(zip(base.seeds, base.values, strict=True))
        gains = tuple(
            value - known[seed]
            for seed, value in zip(line.seeds, line.values, strict=True)
            if seed in known
        )
        low, high = t_interval(gains)
        rows.append(
            f"| {line.row} | {line.num_labels or 'all'} | {line.tune} | {line.layer or 'last'} | "
            f"{np.mean(gains):+.3f} [{low:+.3f}, {high:+.3f}] | "
            f"{' '.join(f'{value:+.3f}' for value in gains)} |"
        )
    return "\n".join(rows) + "\n"
