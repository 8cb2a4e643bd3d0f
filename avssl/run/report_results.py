"""What evaluators left in a run's folder, for the page: tables, pictures, videos, the summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.run.report_media import Video, media_files, picture_of, video_of
from avssl.run.report_numbers import Sourced, of_result, shown_path, sourced
from avssl.run.report_samples import Picture
from avssl.run.results import Figure, Result, row_kind

NO_MEDIA = "Pictures and videos were left out (--no-media)."


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of a table with the ends of its interval."""

    figure: Sourced
    low: Sourced | None = None
    high: Sourced | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: its name, a cell a column (None where it was not measured), words behind them."""

    name: str
    kind: str
    cells: tuple[Cell | None, ...]
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class ResultSection:
    """One table of an evaluator."""

    title: str
    anchor: str
    about: str
    columns: tuple[str, ...]
    metric: str
    better: str
    rows: tuple[Row, ...]
    not_run: tuple[tuple[str, str], ...]
    has_remarks: bool
    counts: tuple[tuple[str, Sourced], ...]
    note: str
    source: str
    pictures: tuple[Picture, ...]
    videos: tuple[Video, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Main:
    """The main figure of a result, beside the rows that say whether it is worth anything."""

    column: str
    figure: Sourced
    beside: tuple[tuple[str, Sourced], ...]


def result_section(result: Result, *, anchor: str, media: bool) -> ResultSection:
    """Gives one table for the page."""
    columns = tuple(result.metrics)
    pictures, videos, problems = [], [], []
    for name in result.pictures if media else ():
        alt = result.alts.get(name, "") or f"{result.title}: {Path(name).stem.replace('_', ' ')}"
        picture, problem = picture_of(result.path.parent / name, alt=alt)
        pictures += [picture] if picture else []
        problems += [problem] if problem else []
    for name in result.videos if media else ():
        video, problem = video_of(result.path.parent / name, alt=result.alts.get(name, ""))
        videos += [video] if video else []
        problems += [problem] if problem else []
    if not media and (result.pictures or result.videos):
        problems.append(NO_MEDIA)
    about = ", ".join(filter(None, (Path(result.data).name if result.data else "", result.split)))
    return ResultSection(
        title=result.title,
        anchor=anchor,
        about=about,
        columns=columns,
        metric=result.metric,
        better=result.better,
        rows=tuple(_row(result, name, columns) for name in result.rows),
        not_run=tuple(result.not_run.items()),
        has_remarks=bool(result.remarks),
        counts=tuple(
            (name.removeprefix("num_").replace("_", " "), of_result(figure, result.path))
            for name, figure in result.counts.items()
        ),
        note=result.note,
        source=shown_path(result.path),
        pictures=tuple(pictures),
        videos=tuple(videos),
        problems=tuple(problems),
    )


def _row(result: Result, name: str, columns: Sequence[str]) -> Row:
    cells = [result.rows[name].get(column) for column in columns]
    return Row(
        name=name,
        kind=row_kind(name),
        cells=tuple(None if one is None else _cell(one, result.path) for one in cells),
        remark=result.remarks.get(name, ""),
    )


def _cell(figure: Figure, path: Path) -> Cell:
    if figure.interval is None:
        return Cell(figure=of_result(figure, path))
    place = f"{shown_path(path)} {figure.interval_pointer}"
    low, high = figure.interval
    return Cell(
        figure=of_result(figure, path),
        low=sourced(low, f"{place}/0"),
        high=sourced(high, f"{place}/1"),
    )


def main_figure(result: Result) -> Main | None:
    """Gives the network's main figure beside the untrained, the best trivial and ImageNet's row."""
    own = result.rows.get("network", {}).get(result.metric)
    if own is None or result.kind == "audit":
        return None
    of_data = f", {Path(result.data).name}" if result.data else ""
    beside: dict[str, tuple[str, Figure]] = {}
    sign = -1 if result.better == "lower" else 1
    for name, figures in result.rows.items():
        kind, figure = row_kind(name), figures.get(result.metric)
        if figure is None or kind not in ("untrained", "trivial", "imagenet", "supervised"):
            continue
        if kind not in beside or sign * figure.value > sign * beside[kind][1].value:
            beside[kind] = (name, figure)
    return Main(
        column=f"{result.kind}{of_data}: {result.metric}",
        figure=of_result(own, result.path),
        beside=tuple((name, of_result(one, result.path)) for name, one in beside.values()),
    )


def loose_media(
    folder: Path, results: Sequence[Result], *, media: bool
) -> tuple[list[Picture], list[Video], list[str]]:
    """Gives the pictures and videos of a run's folder that no result names, and what is missing."""
    taken = [name for one in results for name in (*one.pictures, *one.videos)]
    found, played = media_files(folder, taken=taken)
    return from_files(found, played, media=media)


def from_files(
    found: Sequence[Path], played: Sequence[Path], *, media: bool
) -> tuple[list[Picture], list[Video], list[str]]:
    """Gives pictures and videos for the page, and one line for each that is not there."""
    if not media:
        return [], [], [NO_MEDIA] if found or played else []
    pictures = [picture_of(path) for path in found]
    videos = [video_of(path) for path in played]
    return (
        [one for one, _ in pictures if one],
        [one for one, _ in videos if one],
        [problem for _, problem in (*pictures, *videos) if problem],
    )
