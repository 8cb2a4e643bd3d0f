"""Numbers of a report, each with the file and the place that it comes from.

    run/metrics.jsonl:4 /balanced_accuracy      line 4 of the file, that key (a JSON pointer)
    run/run.json /num_parameters
    sum of run/timings.jsonl /seconds           over all lines
    run/run.json /step × run/config.json /batch_size
    counted in data/catalog.parquet: …          how many rows, how long together

The first name is that of the run's folder, or of the data set's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.run.report_curves import number
from avssl.run.results import Figure, pointer


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A number as it is shown, as it is, and where it comes from."""

    text: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One row of a table of facts: words, or a number with its source."""

    name: str
    text: str
    figure: Sourced | None = None


def sourced(value: float, source: str, *, text: str = "") -> Sourced:
    """Gives a number for the page, with four digits that count where `text` says nothing else."""
    return Sourced(text=text or number(value), value=float(value), source=source)


def fact(name: str, value: Any, source: str, *, text: str = "") -> Fact:
    """Gives a row of a table of facts; numbers get their source."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        figure = sourced(value, source, text=text)
        return Fact(name=name, text=figure.text, figure=figure)
    return Fact(name=name, text=text or str(value))


def shown_path(path: Path) -> str:
    """Gives a file by the name of its folder and its own."""
    return f"{path.resolve().parent.name}/{path.name}"


def of_result(figure: Figure, path: Path) -> Sourced:
    """Gives a figure of an evaluator's file for the page."""
    return sourced(figure.value, f"{shown_path(path)} {figure.pointer}")


def flat_facts(value: Any, path: Path, *above: str | int) -> Iterable[Fact]:
    """Gives a row for everything in nested JSON that a file holds; lists are shown in one."""
    from avssl.run.report_data import flat

    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat_facts(inner, path, *above, str(key))
        return
    name = ".".join(map(str, above))
    source = f"{shown_path(path)} {pointer(*above)}"
    for _, text in flat(value):
        yield fact(name, value, source, text=text)


def line_figure(
    lines: Sequence[Mapping[str, Any]], place: int, name: str, path: Path
) -> Sourced | None:
    """Gives a number of one line of a .jsonl file, None for what is none."""
    value = lines[place].get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return sourced(value, f"{shown_path(path)}:{place + 1} {pointer(name)}")
