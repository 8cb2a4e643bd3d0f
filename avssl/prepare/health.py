"""`avssl check`: the health of a folder of videos or of a prepared set. Changes nothing there."""

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import FILE_NAME
from avssl.prepare.copies import Prints, near_copies
from avssl.prepare.health_prepared import check_prepared
from avssl.prepare.pool import Finished, run_jobs
from avssl.prepare.scan import Source, scan
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.state import exact_copies
from avssl.progress import progress_bar

MAX_OFFSET_S = 0.1
"""Streams that begin or end further apart than this are reported."""
MAX_DRIFT_S = 0.04
"""Sound whose samples and timestamps part by more than this over the file is reported."""


@dataclass(frozen=True, kw_only=True)
class FileHealth:
    """What was found out about one file, or one clip of a prepared set."""

    name: str
    problems: tuple[str, ...]
    """In words; empty where all is well."""
    readable: bool = True
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Numbers: seconds, frames, rates, offsets."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What `check` found."""

    path: Path
    kind: str
    """"folder" or "prepared"."""
    files: tuple[FileHealth, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    """(file, reason) of what is no video."""

    @property
    def num_bad(self) -> int:
        """Files with a problem."""
        return sum(bool(item.problems) for item in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Gives all of it as JSON values."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "files": [
                {
                    "file": item.name,
                    "readable": item.readable,
                    "problems": list(item.problems),
                    **item.facts,
                }
                for item in self.files
            ],
            "skipped": [{"file": name, "reason": reason} for name, reason in self.skipped],
        }


def check(
    path: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    limit_s: float = 300.0,
    quiet: bool = False,
) -> Health:
    """Reports the health of a folder of videos, of one video, or of a prepared set.

    Every video is decoded whole, in a process of its own that is killed when it makes no progress;
    of a prepared set, every shard is hashed and every packet range decoded.

    Args:
        path: folder, file, or prepared set.
        jobs: processes; as many as there are cores if None.
        limit_s: seconds that a file may take without any progress.
        quiet: no progress bar.

    Raises:
        InputError: there is nothing there, or the catalogue cannot be read.
    """
    if (Path(path) / FILE_NAME).is_file():
        files = [
            FileHealth(name=name, problems=tuple(problems), facts=facts)
            for name, problems, facts in check_prepared(Path(path), quiet=quiet)
        ]
        return Health(path=Path(path), kind="prepared", files=tuple(files))
    found = scan(path)
    results = _results(found.sources, jobs=jobs, limit_s=limit_s, quiet=quiet)
    copies = exact_copies(found.sources)
    alike = _alike({name: results[name] for name in results if name not in copies})
    files = []
    for item in found.sources:
        health = _judge(item.relative, results[item.relative])
        extra = []
        if item.relative in copies:
            extra.append(f"same bytes as {copies[item.relative]}")
        elif item.relative in alike:
            others = alike[item.relative]
            more = f" and {len(others) - 2} more" if len(others) > 2 else ""
            extra.append(f"near-copy of {', '.join(others[:2])}{more}")
        files.append(dataclasses.replace(health, problems=(*health.problems, *extra)))
    return Health(path=Path(path), kind="folder", files=tuple(files), skipped=found.skipped)


def _results(
    sources: tuple[Source, ...], *, jobs: int | None, limit_s: float, quiet: bool
) -> dict[str, dict[str, Any]]:
    """Measures every file as `prepare --in-place` does, in a folder that is thrown away."""
    settings = PrepareSettings(in_place=True, limit_s=limit_s)
    results: dict[str, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="avssl-check-") as work,
        progress_bar("checking", total=len(sources), unit="file", quiet=quiet) as bar,
    ):

        def on_end(end: Finished) -> None:
            stored = Path(work) / end.job["key"] / "result.json"
            results[end.job["relative"]] = (
                {"status": "quarantined", "stage": end.stage, "reason": end.reason}
                if end.killed
                else json.loads(stored.read_text())
            )
            bar.advance()

        descriptions = [
            {
                "path": item.path,
                "relative": item.relative,
                "key": item.key,
                "work": work,
                "stamp": None,
                "check": True,
                "settings": settings.as_dict(),
            }
            for item in sources
        ]
        num_workers = max(1, jobs if jobs is not None else (os.cpu_count() or 1))
        run_jobs(descriptions, num_workers=num_workers, limit_s=limit_s, on_end=on_end)
    return results


def _alike(results: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    pairs = near_copies({name: Prints.of(result) for name, result in results.items()})
    alike: dict[str, list[str]] = {}
    for one, other in pairs:
        alike.setdefault(one, []).append(other)
        alike.setdefault(other, []).append(one)
    return alike


def _judge(name: str, result: Mapping[str, Any]) -> FileHealth:
    """Turns the measures of a file into words."""
    if result["status"] != "done":
        return FileHealth(name=name, problems=(f"unreadable: {result['reason']}",), readable=False)
    clip = result["clips"][0]
    problems: list[str] = []
    claimed = result["num_frames_claimed"]
    if clip["truncated"]:
        problems.append(f"damaged: {result['damage']}")
    if claimed and claimed != result["num_decoded"]:
        problems.append(f"claims {claimed} frames, {result['num_decoded']} decode")
    if not result["regular"]:
        problems.append("variable frame rate")
    seconds = clip["source_end_s"] - clip["source_start_s"]
    facts: dict[str, Any] = {
        "seconds": round(seconds, 6),
        "num_frames": result["num_decoded"],
        "num_frames_claimed": claimed,
        "fps": round(result["num_decoded"] / seconds, 4) if seconds > 0 else 0.0,
        "variable_rate": not result["regular"],
        "width_px": clip["width_px"],
        "height_px": clip["height_px"],
        "codec": clip["codec"],
        "truncated": clip["truncated"],
        "sound": clip["sound_state"],
        "borders_px": clip["borders_px"],
        "num_cuts": len(clip["cuts_s"]),
        "mean_motion": round(float(np.mean(clip["motion"])), 6),
    }
    still_s = float(np.diff(np.asarray(clip["still_spans_s"]).reshape(-1, 2), axis=1).sum())
    facts["still_s"] = round(still_s, 3)
    if seconds > 0 and still_s > 0.5 * seconds:
        problems.append(f"still for {still_s:.1f} of {seconds:.1f} s")
    if any(clip["borders_px"]):
        left, top, right, bottom = clip["borders_px"]
        problems.append(f"black borders: left {left}, top {top}, right {right}, bottom {bottom} px")
    if clip["sound_state"] == "absent":
        problems.append("no sound")
        return FileHealth(name=name, problems=tuple(problems), facts=facts)
    if clip["sound_state"] == "silent":
        problems.append("silent sound track")
    start_s = clip["sound_start_s"]
    end_s = start_s + clip["sound_num_samples"] / clip["sound_rate_hz"]
    clock = result.get("sound_clock") or {"start_s": start_s, "end_s": end_s, "drift_s": 0.0}
    facts["sound_offset_s"] = round(clock["start_s"] - clip["source_start_s"], 6)
    facts["sound_end_gap_s"] = round(clock["end_s"] - clip["source_end_s"], 6)
    facts["sound_drift_s"] = round(clock["drift_s"], 6)
    if abs(facts["sound_offset_s"]) > MAX_OFFSET_S:
        when = "after" if facts["sound_offset_s"] > 0 else "before"
        problems.append(f"sound starts {abs(facts['sound_offset_s']):.3f} s {when} the picture")
    if abs(facts["sound_end_gap_s"]) > MAX_OFFSET_S:
        when = "after" if facts["sound_end_gap_s"] > 0 else "before"
        problems.append(f"sound ends {abs(facts['sound_end_gap_s']):.3f} s {when} the picture")
    if abs(facts["sound_drift_s"]) > MAX_DRIFT_S:
        problems.append(f"sound drifts by {facts['sound_drift_s']:+.3f} s against its timestamps")
    return FileHealth(name=name, problems=tuple(problems), facts=facts)
