"""The report about one or more runs: one HTML file that needs nothing else.

No network, no script: pictures are inside the file, and the page forbids everything else. Every
figure in it stands in a file of the run or of its data set.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl import __version__
from avssl.catalog import Catalog
from avssl.config import FILE_NAME, TrainConfig, config_to_json, read_config
from avssl.errors import AvsslError, InputError
from avssl.files import write_text
from avssl.run.log import METRICS_FILE, TIMINGS_FILE, read_lines
from avssl.run.report_curves import Chart, charts, number
from avssl.run.report_data import DataCard, data_card, flat, hours
from avssl.run.report_samples import Picture, frame_sheet, sample_sheet


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of a run beside what a blind guess gets."""

    name: str
    value: str
    blind: str
    step: int


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """All that the page tells about one run."""

    name: str
    anchor: str
    task: str
    summary: str
    status: str
    facts: tuple[tuple[str, str], ...]
    scores: tuple[Score, ...]
    charts: tuple[Chart, ...]
    other_charts: tuple[Chart, ...]
    """Of what is neither the loss nor a score."""
    samples: tuple[Picture, ...]
    samples_note: str
    configuration: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    data: str


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """All that the page tells about one data set."""

    directory: str
    card: DataCard | None
    problem: str
    frames: tuple[Picture, ...]
    frames_note: str


def write_report(
    run_directories: Sequence[str | os.PathLike[str]],
    out_path: str | os.PathLike[str],
    *,
    media: bool = True,
) -> Path:
    """Writes one self-contained HTML file about runs and gives its path.

    Args:
        run_directories: folders of runs, finished or not.
        out_path: the file to write, all or nothing.
        media: put pictures of the data in; without, the file holds no frame of it.

    Raises:
        InputError: a folder holds no run.
    """
    if not run_directories:
        raise InputError("no run given; name at least one folder of a run")
    configs = [read_config(directory) for directory in run_directories]
    runs = [
        _run_section(Path(directory), config, media=media, place=place)
        for place, (directory, config) in enumerate(zip(run_directories, configs, strict=True))
    ]
    folders = dict.fromkeys(config.data for config in configs)
    page = _template().render(
        runs=runs,
        data=[_data_section(folder, media=media) for folder in folders],
        media=media,
        version=__version__,
        score_names=list(dict.fromkeys(score.name for run in runs for score in run.scores)),
    )
    write_text(out_path, page)
    return Path(out_path)


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("avssl.run", "."),
        autoescape=True,  # the names in it come from other people's files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _run_section(directory: Path, config: TrainConfig, *, media: bool, place: int) -> RunSection:
    import dataclasses

    from avssl.run.folder import read_run

    try:
        notes = read_run(directory)
    except InputError:  # stopped before its first line
        notes = {}
    lines = read_lines(directory / METRICS_FILE)
    trivial = {k: v for k, v in (notes.get("trivial") or {}).items() if isinstance(v, (int, float))}
    here = dataclasses.replace(config, out=os.fspath(directory))  # it may have been moved
    samples, samples_note = ([], "Pictures were left out (--no-media).")
    if media:
        samples, samples_note = sample_sheet(here)
    drawn = charts(lines, trivial)
    main = [chart for chart in drawn if chart.name == "loss" or chart.name in trivial]
    versions = flat(notes.get("versions") or {})
    return RunSection(
        name=directory.resolve().name,
        anchor=f"run-{place}",
        task=config.task.name,
        summary=getattr(config.task, "summary", ""),
        status=_status(notes, lines, config),
        facts=tuple(_facts(notes, directory, config)),
        scores=tuple(_scores(lines, trivial)),
        charts=tuple(main or drawn),
        other_charts=tuple(chart for chart in drawn if chart not in main) if main else (),
        samples=tuple(samples),
        samples_note=samples_note,
        configuration=tuple(flat(config_to_json(config))),
        versions=tuple(versions),
        files=tuple(_files(directory)),
        data=config.data,
    )


def _data_section(folder: str, *, media: bool) -> DataSection:
    try:
        card, problem = data_card(folder), ""
    except (AvsslError, OSError) as error:
        card, problem = None, str(error)
    frames, note = frame_sheet(folder) if media and card is not None else ([], "")
    return DataSection(
        directory=folder, card=card, problem=problem, frames=tuple(frames), frames_note=note
    )


def _status(notes: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], config: Any) -> str:
    step = notes.get("step") or max((line.get("step", 0) for line in lines), default=0)
    status = notes.get("status", "stopped")
    return f"{status}, {step:,} of {config.steps:,} steps"


def _facts(
    notes: Mapping[str, Any], directory: Path, config: TrainConfig
) -> Sequence[tuple[str, str]]:
    seconds = [line.get("seconds") for line in read_lines(directory / TIMINGS_FILE)]
    known = [value for value in seconds if isinstance(value, (int, float))]
    encoders = ", ".join(str(getattr(config, stream)) for stream in config.task.streams)
    found = [
        ("encoder", config.init or encoders),
        ("weights", number(notes.get("num_parameters", "unknown"))),
        ("samples seen", f"{notes.get('step', 0) * config.batch_size:,}"),
        ("training time", hours(sum(known)) if known else "unknown"),
        ("machine", str(notes.get("device", "unknown"))),
        ("data", config.data),
        ("remark", _remark(config) or "unknown"),
    ]
    return [(name, value) for name, value in found if value != "unknown"]


def _remark(config: TrainConfig) -> str:
    """Gives what the task says of its samples from these clips; "" where the data is gone."""
    if not hasattr(config.task, "remark"):
        return ""
    try:
        return config.task.remark(Catalog.read(config.data).select(split="train"))
    except AvsslError:
        return ""


def _scores(lines: Sequence[Mapping[str, Any]], trivial: Mapping[str, float]) -> Sequence[Score]:
    """Takes the last line of the evaluation, or of training where nothing is held out."""
    splits = [line for line in lines if line.get("split") == "validation"] or list(lines)
    if not splits:
        return []
    last = splits[-1]
    names = [name for name in last if name not in ("step", "split", "learning_rate")]
    names.sort(key=lambda name: name not in trivial)  # stable: what has a zero line comes first
    return [
        Score(
            name=name,
            value=number(last[name]),
            blind=number(trivial[name]) if name in trivial else "",
            step=int(last.get("step", 0)),
        )
        for name in names
    ]


def _files(directory: Path) -> Sequence[tuple[str, str]]:
    names = [FILE_NAME, METRICS_FILE, *sorted(p.name for p in directory.glob("*_encoder.*"))]
    return [
        (name, f"{(directory / name).stat().st_size / 1e6:.2f} MB")
        for name in names
        if (directory / name).is_file()
    ]
