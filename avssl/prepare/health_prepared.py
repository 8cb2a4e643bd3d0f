"""The health of a prepared set: shards against their hashes, every packet range decoded."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import Catalog, ClipRow
from avssl.decode.fetch import Fetcher
from avssl.errors import AvsslError
from avssl.progress import progress_bar

_CHUNK_FRAMES = 64
_CHUNK_S = 10.0

Finding = tuple[str, list[str], dict[str, Any]]
"""Name of a shard or clip, problems in words, facts."""


def check_prepared(directory: Path, *, quiet: bool) -> list[Finding]:
    """Checks shards, rows and splits; gives a finding for each shard and each clip."""
    catalog = Catalog.read(directory)
    rows = catalog.rows()
    findings = list(_shards(directory, rows))
    missing = {name for name, problems, _ in findings if "missing" in problems}
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.group_id, set()).add(row.split)
    with (
        progress_bar("checking", total=len(rows), unit="clip", quiet=quiet) as bar,
        contextlib.closing(Fetcher(directory)) as fetcher,
    ):
        for row in rows:
            problems: list[str] = []
            if len(splits[row.group_id]) > 1:
                problems.append(f"group {row.group_id!r} lies in more than one split")
            if row.store in missing:
                problems.append("its shard is missing")
            else:
                problems += _row(fetcher, row)
            facts = {
                "seconds": round(row.duration_s, 6),
                "num_frames": row.num_frames,
                "sound": row.sound_state,
                "truncated": row.truncated,
                "split": row.split,
                "group_id": row.group_id,
            }
            findings.append((row.clip_id, problems, facts))
            bar.advance()
    return findings


def _shards(directory: Path, rows: list[ClipRow]) -> Iterator[Finding]:
    report = directory / "prepare.json"
    noted: dict[str, Any] = {}
    if report.is_file():
        noted = {item["name"]: item for item in json.loads(report.read_text())["shards"]}
    else:
        yield "prepare.json", ["missing: the set was not finished"], {}
    for store in sorted({row.store for row in rows} | set(noted)):
        path = directory / store  # an absolute path (in place) stays as it is
        problems: list[str] = []
        if not path.is_file():
            yield store, ["missing"], {}
            continue
        num_bytes = path.stat().st_size
        ends = [row.video_offset + row.video_num_bytes for row in rows if row.store == store]
        if ends and max(ends) > num_bytes:
            problems.append(f"has {num_bytes} bytes, the catalogue points at byte {max(ends)}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if store in noted:
            if num_bytes != noted[store]["num_bytes"]:
                problems.append(f"has {num_bytes} bytes, not {noted[store]['num_bytes']}")
            if digest != noted[store]["sha256"]:
                problems.append("its bytes have changed since it was written (sha256 differs)")
        elif path.is_absolute() and Path(store).is_absolute():
            wanted = {row.source_sha256 for row in rows if row.store == store}
            if digest not in wanted:
                problems.append("the source has changed since it was indexed (sha256 differs)")
        yield store, problems, {"num_bytes": num_bytes}


def _row(fetcher: Fetcher, row: ClipRow) -> list[str]:
    """Decodes a whole clip by its byte ranges, a chunk at a time."""
    problems: list[str] = []
    times_s = row.frame_times_s
    try:
        for at in range(0, row.num_frames, _CHUNK_FRAMES):
            clip = fetcher.frames(row, times_s[at : at + _CHUNK_FRAMES])
            assert clip.frames is not None
            if clip.frames.shape[2:] != (row.height_px, row.width_px):
                problems.append(f"frames are {clip.frames.shape[3]}x{clip.frames.shape[2]} px")
                break
    except (AvsslError, OSError, ValueError) as error:
        problems.append(f"its pictures do not decode: {error}")
    if row.sound_state == "absent":
        return problems
    length_s = row.sound_num_samples / row.sound_rate_hz
    try:
        for at_s in np.arange(0.0, length_s, _CHUNK_S):
            duration_s = min(_CHUNK_S, length_s - at_s)
            sound = fetcher.sound(
                row, row.sound_start_s + at_s, duration_s, row.sound_rate_hz
            ).sound
            assert sound is not None
            padded = sound.padded_before + sound.padded_after
            if padded > row.sound_rate_hz * 0.05:
                problems.append(f"{padded} samples of its sound are missing")
                break
    except (AvsslError, OSError, ValueError) as error:
        problems.append(f"its sound does not decode: {error}")
    return problems
