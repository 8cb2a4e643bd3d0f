"""What a report tells of a run in figures: state, scores, cost, settings, each with its source."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.catalog import Catalog
from avssl.config import FILE_NAME, TrainConfig, config_to_json
from avssl.errors import AvsslError, InputError
from avssl.run.log import METRICS_FILE, TIMINGS_FILE, read_lines
from avssl.run.report_data import hours
from avssl.run.report_numbers import (
    Fact,
    Sourced,
    fact,
    flat_facts,
    line_figure,
    shown_path,
    sourced,
)
from avssl.run.results import at_pointer, pointer

RUN_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of a run beside what a blind guess gets."""

    name: str
    figure: Sourced
    blind: Sourced | None
    step: int


def read_notes(directory: Path) -> dict[str, Any]:
    """Gives run.json, empty for a run that was stopped before its first line."""
    from avssl.run.folder import read_run

    try:
        return read_run(directory)
    except InputError:
        return {}


def status_words(
    directory: Path,
    notes: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    config: TrainConfig,
) -> list[Sourced | str]:
    """Gives "done, 100 of 100 steps" in parts, numbers with their sources."""
    last = max(range(len(lines)), key=lambda k: lines[k].get("step", 0), default=None)
    step: Sourced | str = "0"
    if notes.get("step"):
        step = sourced(notes["step"], f"{shown_path(directory / RUN_FILE)} /step")
    elif last is not None:
        step = line_figure(lines, last, "step", directory / METRICS_FILE) or step
    total = sourced(config.steps, f"{shown_path(directory / FILE_NAME)} /steps")
    return [f"{notes.get('status', 'stopped')}, ", step, " of ", total, " steps"]


def run_facts(notes: Mapping[str, Any], directory: Path, config: TrainConfig) -> list[Fact]:
    """Gives what it is, what it saw and what it took."""
    run, own = (shown_path(directory / name) for name in (RUN_FILE, FILE_NAME))
    encoders = ", ".join(str(getattr(config, stream)) for stream in config.task.streams)
    found = [fact("encoder", config.init or encoders, "")]
    if "num_parameters" in notes:
        found.append(fact("weights", notes["num_parameters"], f"{run} /num_parameters"))
    seen = int(notes.get("step", 0)) * config.batch_size
    found.append(fact("samples seen", seen, f"{run} /step × {own} /batch_size"))
    seconds = [line.get("seconds") for line in read_lines(directory / TIMINGS_FILE)]
    known = [value for value in seconds if isinstance(value, (int, float))]
    if known:
        place = f"sum of {shown_path(directory / TIMINGS_FILE)} /seconds"
        found.append(fact("training time", sum(known), place, text=hours(sum(known))))
    for name, value in (
        ("machine", notes.get("device")), ("data", config.data), ("remark", _remark(config)),
    ):  # fmt: skip
        if value:
            found.append(fact(name, str(value), ""))
    return found


def _remark(config: TrainConfig) -> str:
    """Gives what the task says of its samples from these clips; "" where the data is gone."""
    if not hasattr(config.task, "remark"):
        return ""
    try:
        return config.task.remark(Catalog.read(config.data).select(split="train"))
    except AvsslError:
        return ""


def score_figures(
    lines: Sequence[Mapping[str, Any]], trivial: Mapping[str, float], directory: Path
) -> list[Score]:
    """Takes the last line of the evaluation; none of training, which is scored on what it knows."""
    places = [place for place, line in enumerate(lines) if line.get("split") == "validation"]
    if not places:
        return []
    place = places[-1]
    names = [name for name in lines[place] if name not in ("step", "split", "learning_rate")]
    names.sort(key=lambda name: name not in trivial)  # stable: what has a zero line comes first
    found = []
    for name in names:
        figure = line_figure(lines, place, name, directory / METRICS_FILE)
        if figure is None:
            continue
        at = f"{shown_path(directory / RUN_FILE)} {pointer('trivial', name)}"
        blind = sourced(trivial[name], at) if name in trivial else None
        step = int(lines[place].get("step", 0))
        found.append(Score(name=name, figure=figure, blind=blind, step=step))
    return found


def configuration_facts(config: TrainConfig, directory: Path) -> Iterable[Fact]:
    """Gives config.json, a row a value."""
    path = directory / FILE_NAME
    try:
        written = json.loads(path.read_text())
    except (OSError, ValueError):
        written = {}
    for one in flat_facts(config_to_json(config), path):
        place = "" if one.figure is None else one.figure.source.partition(" ")[2]
        try:
            at_pointer(written, place)
        except KeyError:  # a default that is younger than the file
            one = dataclasses.replace(one, figure=None)
        yield one


def version_facts(notes: Mapping[str, Any], directory: Path) -> Iterable[Fact]:
    """Gives the versions that run.json tells."""
    found = flat_facts(notes.get("versions") or {}, directory / RUN_FILE, "versions")
    return (dataclasses.replace(one, name=one.name.removeprefix("versions.")) for one in found)


def file_facts(directory: Path) -> list[Fact]:
    """Gives the files of a run and their sizes."""
    names = [FILE_NAME, METRICS_FILE, *sorted(p.name for p in directory.glob("*_encoder.*"))]
    return [
        fact(name, f"{(directory / name).stat().st_size / 1e6:.2f} MB", "")
        for name in names
        if (directory / name).is_file()
    ]
