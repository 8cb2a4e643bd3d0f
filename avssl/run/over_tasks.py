"""One table over tasks: what an encoder is worth beside fresh weights and beside ImageNet.

A task is a result of an evaluator (`avssl.run.results`), in its main metric. Its share of the way
from fresh weights to ImageNet's is

    share = (network − untrained) / (imagenet − untrained)          0: fresh weights, 1: ImageNet

and the mean over tasks is over the shares that are defined. Turning the sign of a metric that is
better when lower changes no share; it decides whether the gap below the line is one at all: where

    sign · (imagenet − untrained) < 2 · sqrt(se(imagenet)² + se(untrained)²)

the share is undefined, and the table says so: dividing by a gap that may be nothing gives any
number. Standard errors come from intervals (half their width over 1.96), of several seeds from the
spread of their figures over the root of their number; where both are known the larger counts.

Worked example, mAP: untrained 0.20 ± 0.02 (95 %), network 0.35, imagenet 0.50 ± 0.02. The gap 0.30
is over 2 · sqrt(2) · 0.02 / 1.96 = 0.029, so the share is 0.15 / 0.30 = 0.5.

Results of runs that differ in nothing but their seed are seeds of one network; results of what was
fine-tuned from a run are tasks of that run's network (`avssl.run.lineage`).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avssl.run.lineage import lineage_of
from avssl.run.report_numbers import shown_path
from avssl.run.results import Figure, Result, row_kind

COLUMNS = ("untrained", "trivial", "imagenet", "supervised", "network")
MODERN = "modern self-supervised"
NO_TASKS = ("pretext", "audit", "pose curve")
"""Kinds of results that are no task for features."""
MIN_ERRORS = 2.0


@dataclass(frozen=True, kw_only=True)
class Value:
    """A figure of one row: of several seeds their mean."""

    value: float
    error: float | None
    """Standard error; None where nothing tells it."""
    sources: tuple[str, ...]
    spans: tuple[str, ...]
    """Where their intervals stand."""
    name: str
    """Of the row: there may be several trivial ones."""

    @property
    def source(self) -> str:
        """The place of the figure, of several seeds "mean of" theirs."""
        return ("mean of " if len(self.sources) > 1 else "") + "; ".join(self.sources)

    @property
    def error_source(self) -> str:
        """The place of the interval; of several seeds, theirs and the figures themselves."""
        if len(self.sources) == 1:
            return "half width over 1.96 of " + "; ".join(self.spans)
        return "standard error over seeds of " + "; ".join((*self.sources, *self.spans))


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task of one network."""

    title: str
    metric: str
    better: str
    num_seeds: int
    values: Mapping[str, Value]
    """Column → figure."""
    share: float | None
    why: str
    """Why the share is undefined; "" where it is not."""
    not_run: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OverTasks:
    """All tasks of one network."""

    name: str
    lines: tuple[Line, ...]

    @property
    def shares(self) -> list[float]:
        """Those that are defined."""
        return [line.share for line in self.lines if line.share is not None]

    @property
    def mean(self) -> float | None:
        """Mean of the shares; None where none is defined."""
        return statistics.fmean(self.shares) if self.shares else None


def over_tasks(
    results: Sequence[Result],
    *,
    others: Mapping[str, Sequence[Result]] | None = None,
    missing: str = "",
) -> list[OverTasks]:
    """Gives a table for each network among the results.

    Args:
        results: of one or more runs.
        others: name → results of another encoder; its network's figures become a row of that name.
        missing: why there is no modern self-supervised row, where there is none.
    """
    networks: dict[str, dict[tuple[tuple[str, ...], str, str], list[Result]]] = {}
    names: dict[str, str] = {}
    words: dict[str, str] = {}
    for result in _tasks(results):
        line = lineage_of(result.path.resolve().parent)
        names.setdefault(line.network, line.name)
        words[line.way] = line.words
        task = (_task_of(result), result.path.name, line.way)  # two files of one folder: no seeds
        networks.setdefault(line.network, {}).setdefault(task, []).append(result)
    found = []
    for who, tasks in networks.items():
        lines = [
            _line(seeds, _same_task(task, others or {}), missing, words=words[way])
            for (task, _, way), seeds in tasks.items()
        ]
        found.append(OverTasks(name=names[who], lines=tuple(lines)))
    return found


def _tasks(results: Sequence[Result]) -> list[Result]:
    """Leaves out what is no task, and all but the first table of a file."""
    seen: set[Path] = set()
    kept = []
    for result in results:
        path = result.path.resolve()
        if result.kind in NO_TASKS or path in seen or not result.metric:
            continue
        seen.add(path)
        kept.append(result)
    return kept


def _task_of(result: Result) -> tuple[str, ...]:
    return (result.kind, result.data, result.split, result.metric)


def _same_task(
    key: tuple[str, ...], others: Mapping[str, Sequence[Result]]
) -> dict[str, list[Result]]:
    found = {name: [one for one in own if _task_of(one) == key] for name, own in others.items()}
    return {name: own for name, own in found.items() if own}


def standard_error(figures: Sequence[Figure]) -> float | None:
    """Gives the standard error of the mean of some seeds' figures; None where nothing tells it."""
    each = [(f.interval[1] - f.interval[0]) / 2 / 1.96 for f in figures if f.interval is not None]
    known = []
    if len(each) == len(figures):
        known.append(math.sqrt(sum(one**2 for one in each)) / len(figures))
    if len(figures) > 1:
        spread = statistics.stdev(figure.value for figure in figures)
        known.append(spread / math.sqrt(len(figures)))
    return max(known) if known else None


def _value(seeds: Sequence[Result], rows: Sequence[str]) -> Value | None:
    """Gives the mean of a row over the seeds that have it; `rows` holds its name for each seed."""
    named = [
        (row, result, figure)
        for result, row in zip(seeds, rows, strict=True)
        if (figure := result.rows.get(row, {}).get(result.metric)) is not None
    ]
    pairs = [(result, figure) for _, result, figure in named]
    if not pairs:
        return None
    return Value(
        value=statistics.fmean(figure.value for _, figure in pairs),
        error=standard_error([figure for _, figure in pairs]),
        sources=tuple(f"{shown_path(result.path)} {figure.pointer}" for result, figure in pairs),
        spans=tuple(
            f"{shown_path(result.path)} {figure.interval_pointer}"
            for result, figure in pairs
            if figure.interval is not None
        ),
        name=" or ".join(dict.fromkeys(row for row, _, _ in named)),
    )


def _best_row(result: Result, kind: str) -> str:
    """Gives the best row of a kind, "" where there is none."""
    sign = -1 if result.better == "lower" else 1
    rows = {
        name: sign * figures[result.metric].value
        for name, figures in result.rows.items()
        if row_kind(name) == kind and result.metric in figures
    }
    return max(rows, key=lambda name: rows[name]) if rows else ""


def is_modern(row: str) -> bool:
    """Whether a row's name is one of DINO or of masked autoencoding."""
    return any(word in row.lower() for word in ("dino", "mae"))


def _line(
    seeds: Sequence[Result], others: Mapping[str, Sequence[Result]], missing: str, *, words: str
) -> Line:
    first = seeds[0]
    values: dict[str, Value] = {}
    for column in COLUMNS:
        found = _value(seeds, [_best_row(result, column) for result in seeds])
        if found is not None:
            values[column] = found
    for name, own in others.items():
        found = _value(own, ["network"] * len(own))
        if found is not None:
            values[name] = found
    for name in first.rows:
        found = _value(seeds, [name] * len(seeds)) if is_modern(name) else None
        if found is not None and row_kind(name) == "other":
            values[name] = found
    not_run = {
        name: why
        for result in seeds
        for name, why in result.not_run.items()
        if row_kind(name) not in values  # another seed's file may have it
    }
    if missing and not any(is_modern(name) for name in (*values, *not_run)):
        not_run[MODERN] = missing
    share, why = share_of(values, better=first.better)
    return Line(
        title=first.title + words,
        metric=first.metric,
        better=first.better,
        num_seeds=len(seeds),
        values=values,
        share=share,
        why=why,
        not_run=not_run,
    )


def share_of(values: Mapping[str, Value], *, better: str) -> tuple[float | None, str]:
    """Gives the share of the way to ImageNet, or None and why; see the file's head."""
    for column in ("network", "untrained", "imagenet"):
        if column not in values:
            return None, f"no {column} row"
    sign = -1 if better == "lower" else 1
    base, top = values["untrained"], values["imagenet"]
    gap = top.value - base.value
    if base.error is None or top.error is None:
        return None, "nothing tells the error of the gap (no intervals, one seed)"
    error = math.hypot(base.error, top.error)
    if not sign * gap >= MIN_ERRORS * error or gap == 0:
        return None, f"ImageNet's gap {sign * gap:+.3g} is under 2 standard errors of {error:.2g}"
    return (values["network"].value - base.value) / gap, ""


def as_json(tables: Sequence[OverTasks]) -> dict[str, Any]:
    """Gives everything as JSON values."""
    return {
        "kind": "over tasks",
        "networks": [
            {
                "name": table.name,
                "mean_share": table.mean,
                "num_defined": len(table.shares),
                "tasks": [
                    {
                        "title": line.title, "metric": line.metric, "better": line.better,
                        "num_seeds": line.num_seeds, "share": line.share, "why": line.why,
                        "values": {
                            name: {"value": value.value, "standard_error": value.error,
                                   "row": value.name, "sources": list(value.sources)}
                            for name, value in line.values.items()
                        },
                        "not_run": dict(line.not_run),
                    }
                    for line in table.lines
                ],
            }
            for table in tables
        ],
    }  # fmt: skip


def columns_of(table: OverTasks) -> list[str]:
    """Gives the columns: the fixed ones, then other encoders."""
    more = [name for line in table.lines for name in line.values if name not in COLUMNS]
    return [*COLUMNS, *dict.fromkeys(more)]


def mean_words(table: OverTasks) -> str:
    """Gives one sentence about the mean."""
    if table.mean is None:
        return f"Mean share undefined: no share of the {len(table.lines)} tasks is defined."
    return (
        f"Mean share over {len(table.shares)} of {len(table.lines)} tasks: {table.mean:.3f} "
        "(0: fresh weights, 1: ImageNet's)."
    )


def as_markdown(tables: Sequence[OverTasks]) -> str:
    """Gives the tables for a page."""
    parts = []
    for table in tables:
        columns = columns_of(table)
        lines = [
            f"**{table.name}**",
            "",
            "| task | metric | " + " | ".join(columns) + " | share |",
            "|---" * (len(columns) + 3) + "|",
        ]
        notes = []
        for line in table.lines:
            cells = [_shown(line.values.get(column)) for column in columns]
            share = "undefined" if line.share is None else f"{line.share:.3f}"
            sign = "lower is better" if line.better == "lower" else "higher is better"
            lines.append(
                f"| {line.title} | {line.metric} ({sign}) | " + " | ".join(cells) + f" | {share} |"
            )
            notes += [f"- {line.title}: share undefined: {line.why}"] if line.why else []
            notes += [f"- {line.title}: {row}: not run: {why}" for row, why in line.not_run.items()]
        parts.append("\n".join([*lines, "", mean_words(table), "", *notes]).rstrip())
    return "\n\n".join(parts) + "\n"


def _shown(value: Value | None) -> str:
    if value is None:
        return "–"
    error = "" if value.error is None else f" ± {value.error:.2g}"
    return f"{value.value:.3f}{error}" + (f" ({value.name})" if _needs_name(value.name) else "")


def _needs_name(name: str) -> bool:
    return name not in COLUMNS and not is_modern(name)
