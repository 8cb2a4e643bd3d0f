"""The report about one or more runs: one HTML file that needs nothing else.

No network: pictures and videos are inside the file, and the page forbids everything else but one
small script of its own, by its hash; it sorts tables, and the page is whole without it. Every
number in it carries the file and the place that it comes from (`avssl.run.report_numbers`).
"""

import base64
import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl import __version__
from avssl.config import TrainConfig, read_config
from avssl.errors import AvsslError, InputError
from avssl.files import write_text
from avssl.run.log import METRICS_FILE, read_lines
from avssl.run.over_tasks import OverTasks, Value, columns_of, mean_words, over_tasks
from avssl.run.report_curves import Chart, charts
from avssl.run.report_data import DataCard, data_card, preparation
from avssl.run.report_facts import (
    Score,
    configuration_facts,
    file_facts,
    read_notes,
    run_facts,
    score_figures,
    status_words,
    version_facts,
)
from avssl.run.report_media import PICTURE_KINDS, VIDEO_KINDS, Video
from avssl.run.report_numbers import Fact, Sourced, flat_facts, shown_path, sourced
from avssl.run.report_results import (
    Main,
    ResultSection,
    from_files,
    loose_media,
    main_figure,
    result_section,
)
from avssl.run.report_samples import Picture, frame_sheet, sample_sheet
from avssl.run.results import Result, pointer, problems_in, read_results, results_in


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """All that the page tells about one run."""

    name: str
    anchor: str
    task: str
    summary: str
    status: Sequence[Sourced | str]
    facts: tuple[Fact, ...]
    scores: tuple[Score, ...]
    mains: tuple[Main, ...]
    charts: tuple[Chart, ...]
    other_charts: tuple[Chart, ...]
    """Of what is neither the loss nor a score."""
    metrics_file: str
    results: tuple[ResultSection, ...]
    audits: tuple[ResultSection, ...]
    pictures: tuple[Picture, ...]
    videos: tuple[Video, ...]
    media_notes: tuple[str, ...]
    samples: tuple[Picture, ...]
    samples_note: str
    configuration: tuple[Fact, ...]
    versions: tuple[Fact, ...]
    files: tuple[Fact, ...]
    data: str


@dataclass(frozen=True, kw_only=True)
class More:
    """Results, pictures and videos that were named beside the runs."""

    results: tuple[ResultSection, ...]
    pictures: tuple[Picture, ...]
    videos: tuple[Video, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """All that the page tells about one data set."""

    directory: str
    name: str
    card: DataCard | None
    preparation: tuple[Fact, ...]
    """What prepare.json holds, a row a value."""
    problem: str
    frames: tuple[Picture, ...]
    frames_note: str


def write_report(
    run_directories: Sequence[str | os.PathLike[str]],
    out_path: str | os.PathLike[str],
    *,
    media: bool = True,
    more: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Writes one self-contained HTML file about runs and gives its path.

    Args:
        run_directories: folders of runs, finished or not.
        out_path: the file to write, all or nothing.
        media: put pictures and videos in; without, the file holds no frame of the data.
        more: files to show beside the runs: results of evaluators (.json), pictures, videos.

    Raises:
        InputError: a folder holds no run, or a file of `more` is none of those.
    """
    if not run_directories:
        raise InputError("no run given; name at least one folder of a run")
    configs = [read_config(directory) for directory in run_directories]
    beside = [Path(one) for one in more]
    _check(beside)
    known = [results_in(directory) for directory in run_directories]
    runs = [
        _run_section(Path(directory), config, results, media=media, place=place)
        for place, (directory, config, results) in enumerate(
            zip(run_directories, configs, known, strict=True)
        )
    ]
    added = [one for path in beside if path.suffix == ".json" for one in read_results(path)]
    tables = over_tasks([one for own in known for one in own] + added, missing=_MISSING)
    script = _source("report_script.js.j2")
    folders = dict.fromkeys(config.data for config in configs)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            runs=runs,
            data=[_data_section(folder, media=media) for folder in folders],
            more=_more(beside, added, media=media),
            tables=[table_rows(table) for table in tables if _says_something(table)],
            media=media,
            version=__version__,
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            score_names=list(dict.fromkeys(score.name for run in runs for score in run.scores)),
            main_names=list(dict.fromkeys(main.column for run in runs for main in run.mains)),
        )
    )
    write_text(out_path, page)
    return Path(out_path)


_MISSING = "no row of DINOv2 or a masked autoencoder among the results"


def _check(paths: Sequence[Path]) -> None:
    """Refuses what could not be shown before anything is drawn."""
    kinds = (".json", *PICTURE_KINDS, *VIDEO_KINDS)
    for path in paths:
        if path.suffix.lower() not in kinds or not path.is_file():
            raise InputError(f"--add {path}: no such file of a kind {', '.join(kinds)}")


def _says_something(table: OverTasks) -> bool:
    """Whether more than the network itself was measured anywhere."""
    return any(set(line.values) - {"network"} for line in table.lines)


def table_rows(table: OverTasks) -> dict[str, Any]:
    """Gives the table over tasks for the page, with the places that its figures come from."""
    columns = columns_of(table)
    rows = []
    for line in table.lines:
        found = [line.values.get(column) for column in columns]
        cells = [None if value is None else _over_cell(value, columns) for value in found]
        share = None
        if line.share is not None:
            parts = [line.values[name].source for name in ("network", "untrained", "imagenet")]
            share = sourced(line.share, "share of " + " | ".join(parts))
        rows.append((line, cells, share))
    return {"table": table, "columns": columns, "rows": rows, "words": mean_words(table)}


def _over_cell(value: Value, columns: Sequence[str]) -> dict[str, Any]:
    error = None
    if value.error is not None:
        text = f"{value.error:.2g}"
        error = sourced(value.error, value.error_source, text=text)
    name = "" if value.name in columns else value.name
    return {"figure": sourced(value.value, value.source), "error": error, "name": name}


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("avssl.run", "."),
        autoescape=True,  # the names in it come from other people's files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pointer"] = pointer
    return environment


def _source(name: str) -> str:
    """Gives a template as it stands: what is hashed must be what is in the page."""
    loader = _environment().loader
    return loader.get_source(_environment(), name)[0].strip()


def _run_section(
    directory: Path, config: TrainConfig, results: Sequence[Result], *, media: bool, place: int
) -> RunSection:
    notes = read_notes(directory)
    metrics_path = directory / METRICS_FILE
    lines = read_lines(metrics_path)
    trivial = {k: v for k, v in (notes.get("trivial") or {}).items() if isinstance(v, (int, float))}
    here = dataclasses.replace(config, out=os.fspath(directory))  # it may have been moved
    samples, samples_note = ([], "Pictures were left out (--no-media).")
    if media:
        samples, samples_note = sample_sheet(here)
    drawn = charts(lines, trivial)
    main = [chart for chart in drawn if chart.name == "loss" or chart.name in trivial]
    sections = [
        (one, result_section(one, anchor=f"result-{place}-{number}", media=media))
        for number, one in enumerate(results)
    ]
    pictures, videos, problems = loose_media(directory, results, media=media)
    firsts = {one.path: one for one in reversed(results)}  # the first table of each file
    mains = [main_figure(one) for one in results if one is firsts[one.path]]
    return RunSection(
        name=directory.resolve().name,
        anchor=f"run-{place}",
        task=config.task.name,
        summary=getattr(config.task, "summary", ""),
        status=status_words(directory, notes, lines, config),
        facts=tuple(run_facts(notes, directory, config)),
        scores=tuple(score_figures(lines, trivial, directory)),
        mains=tuple(_first_of_each([one for one in mains if one is not None])),
        charts=tuple(main or drawn),
        other_charts=tuple(chart for chart in drawn if chart not in main) if main else (),
        metrics_file=shown_path(metrics_path),
        results=tuple(section for one, section in sections if one.kind != "audit"),
        audits=tuple(section for one, section in sections if one.kind == "audit"),
        pictures=tuple(pictures),
        videos=tuple(videos),
        media_notes=(*(f"Left out: {one}" for one in problems_in(directory)), *problems),
        samples=tuple(samples),
        samples_note=samples_note,
        configuration=tuple(configuration_facts(config, directory)),
        versions=tuple(version_facts(notes, directory)),
        files=tuple(file_facts(directory)),
        data=config.data,
    )


def _first_of_each(mains: Sequence[Main]) -> list[Main]:
    """Keeps the first figure of each column: a second split has a table of its own below."""
    found: dict[str, Main] = {}
    for one in mains:
        found.setdefault(one.column, one)
    return list(found.values())


def _more(paths: Sequence[Path], results: Sequence[Result], *, media: bool) -> More | None:
    if not paths:
        return None
    pictures, videos, problems = from_files(
        [path for path in paths if path.suffix.lower() in PICTURE_KINDS],
        [path for path in paths if path.suffix.lower() in VIDEO_KINDS],
        media=media,
    )
    sections = [
        result_section(one, anchor=f"more-{number}", media=media)
        for number, one in enumerate(results)
    ]
    return More(
        results=tuple(sections),
        pictures=tuple(pictures),
        videos=tuple(videos),
        notes=tuple(problems),
    )


def _data_section(folder: str, *, media: bool) -> DataSection:
    try:
        card, problem = data_card(folder), ""
    except (AvsslError, OSError) as error:
        card, problem = None, str(error)
    frames, note = frame_sheet(folder) if media and card is not None else ([], "")
    prepared = flat_facts(preparation(folder), Path(folder) / "prepare.json")
    return DataSection(
        directory=folder,
        name=Path(folder).resolve().name,
        card=card,
        preparation=tuple(prepared) if card is not None else (),
        problem=problem,
        frames=tuple(frames),
        frames_note=note,
    )
