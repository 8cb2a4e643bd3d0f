"""The data card and the quarantine of a report: what a run learned from, and what was left out."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import SPLITS, Catalog
from avssl.run.log import read_lines
from avssl.run.report_curves import number

MAX_QUARANTINED = 200
"""Rows of the quarantine that are shown; all are counted."""
MAX_ENTRIES = 20
"""Entries of a list that are shown."""


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What is told about a prepared data set."""

    directory: str
    fingerprint: str
    splits: tuple[tuple[str, int, str, int], ...]
    """(split, clips, hours as text, groups)."""
    facts: tuple[tuple[str, str], ...]
    quarantined: tuple[tuple[str, str, str], ...]
    """(file, reason, stage) of the first `MAX_QUARANTINED`."""
    num_quarantined: int
    reasons: tuple[tuple[str, int], ...]
    """Stage and how many files ended there."""


def data_card(directory: str) -> DataCard:
    """Reads the card of a prepared data set.

    Raises:
        InputError: there is no catalogue.
    """
    catalog = Catalog.read(directory)
    durations_s = _durations_s(catalog)
    split_of = np.asarray(catalog.column("split"), dtype=object)
    groups = np.asarray(catalog.column("group_id"), dtype=object)
    splits = tuple(
        (
            split,
            int((split_of == split).sum()),
            hours(float(durations_s[split_of == split].sum())),
            len(set(groups[split_of == split])),
        )
        for split in SPLITS
    )
    quarantine = read_lines(Path(directory) / "quarantine.jsonl")
    rows = [
        (str(row.get("file", "?")), str(row.get("reason", "")), str(row.get("stage", "")))
        for row in quarantine
    ]
    return DataCard(
        directory=str(directory),
        fingerprint=catalog.fingerprint(),
        splits=splits,
        facts=tuple(_facts(catalog, durations_s)),
        quarantined=tuple(rows[:MAX_QUARANTINED]),
        num_quarantined=len(rows),
        reasons=tuple(Counter(stage for _, _, stage in rows).most_common()),
    )


def hours(seconds: float) -> str:
    """Gives a stretch of time for a person: "2.5 h", "3.1 min", "12.0 s"."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def flat(value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    """Gives (dotted name, text) of everything in nested JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        shown = [_entry(item) for item in value[:MAX_ENTRIES]]
        more = [f"and {len(value) - MAX_ENTRIES} more"] if len(value) > MAX_ENTRIES else []
        nested = any(isinstance(item, (dict, list)) for item in value)
        yield prefix, ("; " if nested else ", ").join([*shown, *more]) or "none"
    else:
        yield prefix, "none" if value is None or value == "" else number(value)


def _entry(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {number(value)}" for key, value in item.items())
    return ", ".join(map(number, item)) if isinstance(item, list) else number(item)


def _durations_s(catalog: Catalog) -> np.ndarray:
    """float64 [num_clips], from the columns alone: a row is not built for it."""
    step_s = np.asarray(catalog.column("step_s"), dtype=np.float64)
    num_frames = np.asarray(catalog.column("num_frames"), dtype=np.float64)
    last_s = np.asarray(catalog.column("last_frame_s"), dtype=np.float64)
    durations_s = np.maximum(num_frames - 1, 0) * step_s + last_s
    for index in np.flatnonzero(step_s <= 0):
        durations_s[index] = catalog.row(int(index)).duration_s
    return durations_s


def _facts(catalog: Catalog, durations_s: np.ndarray) -> Iterable[tuple[str, str]]:
    if not len(catalog):
        return
    yield "files", f"{len(set(catalog.column('source_sha256'))):,}"
    yield "frames", f"{sum(catalog.column('num_frames')):,}"
    yield (
        "length of a clip",
        f"{durations_s.min():.1f} to {durations_s.max():.1f} s, half below "
        f"{np.median(durations_s):.1f} s",
    )
    sizes = Counter(zip(catalog.column("width_px"), catalog.column("height_px"), strict=True))
    shown = [f"{width} × {height} ({count})" for (width, height), count in sizes.most_common(4)]
    yield "pictures", ", ".join(shown) + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else "")
    yield "codecs", _counted(catalog.column("codec"))
    yield "sound", _counted(catalog.column("sound_state"))
    yield "shot cuts inside clips", f"{sum(map(len, catalog.column('cuts_s'))):,}"
    motion = np.concatenate([np.asarray(row, dtype=np.float64) for row in catalog.column("motion")])
    if motion.size:
        low, middle, high = np.quantile(motion, [0.1, 0.5, 0.9])
        yield (
            "motion (short sides a second)",
            f"half of all windows above {middle:.3f}; 80 % from {low:.3f} to {high:.3f}",
        )
    num_truncated = sum(catalog.column("truncated"))
    if num_truncated:
        yield "damaged, used up to the damage", f"{num_truncated:,} clips"


def _counted(values: Iterable[Any]) -> str:
    return ", ".join(f"{value} {count:,}" for value, count in Counter(values).most_common())


def preparation(directory: str) -> dict[str, Any]:
    """Gives what prepare.json holds, nothing where there is none."""
    path = Path(directory) / "prepare.json"
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
