"""What an evaluator wrote, in one form: rows of figures, each with its place in its file.

Every `avssl eval …` writes NAME_SPLIT.json beside a table NAME_SPLIT.md. The common form:

    {"kind": "probe", "title": "…", "data": "…", "split": "test", "num_clips": 40,
     "rows": {"network": {"mAP": 0.41}, "untrained": {"mAP": 0.22}, "imagenet": {"not run": "why"}},
     "intervals": {"network": {"mAP": [0.35, 0.47]}},
     "metric": "mAP", "better": "higher", "pictures": ["probe_test.png"], "alts": {…}, "note": "…"}

Those that came before it have forms of their own: see `avssl.run.results_older`. The place of a
figure is a JSON pointer (RFC 6901), so that whoever reads 0.41 can look it up:

    probe_test.json  /rows/network/mAP
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.run.eval_command import EVALUATORS

NOT_RUN = "not run"
_NAMES = (*EVALUATORS, "audit")
"""What the files of results begin with."""
NOT_RESULTS = ("config.json", "run.json", "curve_setting.json")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number and where it stands."""

    value: float
    pointer: str
    """JSON pointer into the result's file."""
    interval: tuple[float, float] | None = None
    """95 %."""
    interval_pointer: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One table of an evaluator."""

    path: Path
    kind: str
    title: str
    data: str = ""
    split: str = ""
    rows: Mapping[str, Mapping[str, Figure]]
    """Row → metric → figure; a row that could not be run has none."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Row → why it could not be run."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """Row → words that stand behind its figures."""
    metric: str = ""
    """The main one."""
    better: str = "higher"
    chance: Figure | None = None
    counts: Mapping[str, Figure] = field(default_factory=dict)
    """Numbers of the whole table: how many clips, how many classes."""
    pictures: Sequence[str] = ()
    """Names of files beside `path`."""
    videos: Sequence[str] = ()
    alts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def metrics(self) -> list[str]:
        """All metrics, the main one first."""
        names = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        return sorted(names, key=lambda name: name != self.metric)


_TRIVIAL = (
    "random", "majority", "random order", "all ones", "centred disc", "log-mel statistics",
    "identity (copy the first)", "HOG", "log-mel",
)  # fmt: skip
"""Rows that need no training and do not begin with "trivial: "."""


def row_kind(name: str) -> str:
    """Gives "network", "untrained", "imagenet", "supervised", "trivial", or "other" (an oracle)."""
    first = name.partition(":")[0].strip().lower()
    if name in _TRIVIAL or first == "trivial":
        return "trivial"
    known = ("network", "untrained", "imagenet", "supervised")
    return first if first in known else "other"


def pointer(*parts: str | int) -> str:
    """Gives the JSON pointer of nested keys (RFC 6901): "/" between, "~" and "/" escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def at_pointer(value: Any, place: str) -> Any:
    """Gives what stands at a JSON pointer.

    Raises:
        KeyError: nothing does.
    """
    for part in place.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (IndexError, ValueError, TypeError) as error:
            raise KeyError(place) from error
    return value


def figure_at(whole: Any, *parts: str | int) -> Figure | None:
    """Gives the finite number that stands there, None for anything else."""
    place = pointer(*parts)
    try:
        value = at_pointer(whole, place)
    except KeyError:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return Figure(value=float(value), pointer=place)


def with_interval(figure: Figure | None, whole: Any, *parts: str | int) -> Figure | None:
    """Gives the figure with the interval [low, high] that stands there, if one does."""
    ends = (figure_at(whole, *parts, 0), figure_at(whole, *parts, 1))
    if figure is None or ends[0] is None or ends[1] is None:
        return figure
    return Figure(
        value=figure.value,
        pointer=figure.pointer,
        interval=(ends[0].value, ends[1].value),
        interval_pointer=pointer(*parts),
    )


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Reads the tables of one result file.

    Raises:
        InputError: no such file, no JSON, or no result of an evaluator.
    """
    from avssl.run import results_older

    file = Path(path)
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not a readable JSON file ({error})") from error
    found: list[Result] = []
    try:
        older = results_older.reader_of(file, whole) if isinstance(whole, dict) else None
        if older is not None:
            found = older(file, whole)
        elif isinstance(whole, dict) and isinstance(whole.get("rows"), dict):
            found = [_common(file, whole)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not in the form of a result ({error!r})") from error
    if not found:
        raise InputError(f'{file}: not the result of an evaluator (no "rows" in it)')
    return found


def results_in(directory: str | os.PathLike[str]) -> list[Result]:
    """Gives the tables of all result files that lie in a run's folder, in order of their names."""
    return _read_all(directory)[0]


def problems_in(directory: str | os.PathLike[str]) -> list[str]:
    """Gives a line for each file in a run's folder that should be a result and cannot be read.

    That is what is no JSON, and what has an evaluator's name; any other JSON is somebody else's.
    """
    return _read_all(directory)[1]


def _read_all(directory: str | os.PathLike[str]) -> tuple[list[Result], list[str]]:
    found: list[Result] = []
    problems: list[str] = []
    for path in sorted(Path(directory).glob("*.json")):
        if path.name in NOT_RESULTS or path.name.endswith("_encoder.json") or path.is_dir():
            continue
        try:
            found += read_results(path)
        except InputError as error:
            if path.stem.partition("_")[0] in _NAMES or not _is_json(path):
                problems.append(str(error))
    return found, problems


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def rows_of(
    whole: Mapping[str, Any], *above: str, skip: Sequence[str] = ()
) -> dict[str, dict[str, Figure]]:
    """Gives the numbers of the rows below `above`, with the intervals of the common form."""
    rows = at_pointer(whole, pointer(*above, "rows"))
    found: dict[str, dict[str, Figure]] = {}
    for row, cells in rows.items():
        if not isinstance(cells, dict) or NOT_RUN in cells:
            continue
        found[row] = {}
        for name in cells:
            figure = None if name in skip else figure_at(whole, *above, "rows", row, name)
            figure = with_interval(figure, whole, *above, "intervals", row, name)
            if figure is not None:
                found[row][name] = figure
    return found


def counts_of(whole: Mapping[str, Any]) -> dict[str, Figure]:
    """Gives the numbers that stand at the top of a file."""
    found = {name: figure_at(whole, name) for name in whole if name not in ("chance", "seconds")}
    return {name: figure for name, figure in found.items() if figure is not None}


def _common(path: Path, whole: Mapping[str, Any]) -> Result:
    rows = rows_of(whole)
    first = next(iter(rows.values()), {})
    kind = str(whole.get("kind") or path.stem)
    return Result(
        path=path,
        kind=kind,
        title=str(whole.get("title") or kind),
        data=str(whole.get("data") or ""),
        split=str(whole.get("split") or ""),
        rows=rows,
        not_run={
            str(row): str(cells[NOT_RUN])
            for row, cells in whole["rows"].items()
            if isinstance(cells, dict) and NOT_RUN in cells
        },
        metric=str(whole.get("metric") or next(iter(first), "")),
        better="lower" if whole.get("better") == "lower" else "higher",
        chance=figure_at(whole, "chance"),
        counts=counts_of(whole),
        pictures=_names(whole.get("pictures")),
        videos=_names(whole.get("videos")),
        alts={str(k): str(v) for k, v in (whole.get("alts") or {}).items()},
        note=str(whole.get("note") or ""),
    )


def _names(value: Any) -> tuple[str, ...]:
    """Gives file names that lie beside the result: a result never points elsewhere."""
    listed = value if isinstance(value, list) else []
    return tuple(name for name in map(str, listed) if Path(name).name == name)
