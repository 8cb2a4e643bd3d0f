"""From the results of single files to the data set: shards, catalogue rows, member JSON."""

import json
import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import Catalog, ClipRow
from avssl.prepare.scan import Source
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.shards import (
    Member,
    is_sealed,
    is_whole,
    place_members,
    seal,
    unpack,
    write_shard,
)

_ARRAYS = {
    "packet_offsets": np.int64,
    "packet_num_bytes": np.int64,
    "key_frames": np.int64,
    "repeated_frames": np.int64,
    "sound_packet_offsets": np.int64,
    "sound_packet_num_bytes": np.int64,
    "irregular_times_s": np.float64,
    "motion": np.float64,
    "loudness_db": np.float64,
    "onsets_s": np.float64,
    "cuts_s": np.float64,
    "still_spans_s": np.float64,
}
_NOT_IN_ROW = ("number", "video_sha256", "sound_sha256")
_IN_MEMBER = (
    "source",
    "source_sha256",
    "source_start_s",
    "source_end_s",
    "group_id",
    "split",
    "width_px",
    "height_px",
    "step_s",
    "num_frames",
    "sound_state",
    "sound_start_s",
    "sound_rate_hz",
    "sound_num_samples",
    "truncated",
    "labels",
)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One source with its finished result and where it belongs."""

    source: Source
    result: Mapping[str, Any]
    group_id: str
    split: str
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A clip on its way into a shard."""

    cells: dict[str, Any]
    members: tuple[Member, ...]
    key: str


def assemble(
    items: Sequence[Item], *, work: Path, destination: Path, settings: PrepareSettings
) -> list[dict[str, Any]]:
    """Writes the shards and `catalog.parquet`; gives {name, num_bytes, sha256} per shard.

    The order is that of the sources. A shard that already stands finished is kept; one that was
    planned otherwise is taken apart again. Media in the work folder is removed once it is sealed.
    """
    entries = [entry for item in items for entry in _entries(item, work=work, settings=settings)]
    if settings.in_place:
        rows = [_row(entry.cells) for entry in entries]
        Catalog.from_rows(rows, directory=destination).write(destination)
        return []
    shards = destination / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    parts = _parts(entries, max_bytes=settings.shard_mb * 1e6)
    plans = {
        f"{number:06d}": [member for entry in part for member in entry.members]
        for number, part in enumerate(parts)
    }
    _take_apart_others(plans, work=work, shards=shards, keys=[item.source.key for item in items])
    rows: list[ClipRow] = []
    seals: list[dict[str, Any]] = []
    for (shard, members), part in zip(plans.items(), parts, strict=True):
        if not is_sealed(work, shards, shard, members):
            write_shard(shards / f"{shard}.tar", members)
            seal(work, shards, shard, members)
        for member in members:
            if member.path is not None:
                member.path.unlink(missing_ok=True)
        seals.append(json.loads((work / "sealed" / f"{shard}.json").read_text()))
        rows.extend(_placed(part, members, store=f"shards/{shard}.tar"))
    Catalog.from_rows(rows, directory=destination).write(destination)
    return [{name: found[name] for name in ("name", "num_bytes", "sha256")} for found in seals]


def media_missing(item: Item, *, work: Path, kept: Set[str]) -> bool:
    """Says whether some of a result's media is neither in the work folder nor in a shard.

    Args:
        item: the source with its result.
        work: the work folder.
        kept: names of the members of the shards.
    """
    return not all(
        member.path is None or member.name in kept or is_whole(member.path, member.num_bytes)
        for entry in _entries(item, work=work, settings=None)
        for member in entry.members
    )


def take_apart_all(*, work: Path, shards: Path, keys: Sequence[str]) -> None:
    """Puts all shards back into the work folder (their order is about to change)."""
    _take_apart_others({}, work=work, shards=shards, keys=keys)


def _take_apart_others(
    plans: Mapping[str, Sequence[Member]], *, work: Path, shards: Path, keys: Sequence[str]
) -> None:
    for path in sorted(shards.glob("*.tar")):
        if path.stem in plans and is_sealed(work, shards, path.stem, plans[path.stem]):
            continue
        unpack(path, work, keys=keys)
        (work / "sealed" / f"{path.stem}.json").unlink(missing_ok=True)
        path.unlink()


def _entries(item: Item, *, work: Path, settings: PrepareSettings | None) -> list[_Entry]:
    entries: list[_Entry] = []
    folder = work / item.source.key
    for clip in item.result["clips"]:
        clip_id = f"{item.source.key}-{clip['number']:04d}"
        cells = {name: value for name, value in clip.items() if name not in _NOT_IN_ROW} | {
            "clip_id": clip_id,
            "source": item.source.relative,
            "source_sha256": item.result["source_sha256"],
            "group_id": item.group_id,
            "split": item.split,
            "labels": dict(item.labels),
        }
        if settings is not None and settings.in_place:
            cells["store"] = item.source.path
            entries.append(_Entry(cells=cells, members=(), key=item.source.key))
            continue
        members = [
            Member(
                name=clip_id + clip["video_suffix"],
                num_bytes=clip["video_num_bytes"],
                path=folder / f"{clip['number']:04d}{clip['video_suffix']}",
                sha256=clip["video_sha256"],
            )
        ]
        if clip.get("sound_num_bytes"):
            members.append(
                Member(
                    name=clip_id + clip["sound_suffix"],
                    num_bytes=clip["sound_num_bytes"],
                    path=folder / f"{clip['number']:04d}{clip['sound_suffix']}",
                    sha256=clip["sound_sha256"],
                )
            )
        facts = {name: cells[name] for name in _IN_MEMBER if name in cells}
        text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True).encode()
        members.append(Member(name=f"{clip_id}.json", num_bytes=len(text), data=text))
        entries.append(_Entry(cells=cells, members=tuple(members), key=item.source.key))
    return entries


def _parts(entries: Sequence[_Entry], *, max_bytes: float) -> list[list[_Entry]]:
    """Deals clips to shards in order: a shard is closed when it reaches `max_bytes`."""
    parts: list[list[_Entry]] = []
    size = max_bytes
    for entry in entries:
        if size >= max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += sum(member.num_bytes for member in entry.members)
    return parts


def _placed(part: Sequence[_Entry], members: Sequence[Member], *, store: str) -> list[ClipRow]:
    """Gives the rows of a shard's clips, with every byte range counted from the shard's start."""
    offsets = dict(zip((member.name for member in members), place_members(members), strict=True))
    rows: list[ClipRow] = []
    for entry in part:
        cells = dict(entry.cells)
        video_offset = offsets[entry.members[0].name]
        cells |= {
            "store": store,
            "video_offset": video_offset,
            "packet_offsets": np.asarray(cells["packet_offsets"]) + video_offset,
        }
        if cells.get("sound_num_bytes"):
            sound_offset = offsets[entry.members[1].name]
            cells |= {
                "sound_offset": sound_offset,
                "sound_packet_offsets": np.asarray(cells["sound_packet_offsets"]) + sound_offset,
            }
        rows.append(_row(cells))
    return rows


def _row(cells: Mapping[str, Any]) -> ClipRow:
    values = dict(cells)
    for name, kind in _ARRAYS.items():
        if name in values:
            values[name] = np.asarray(values[name], dtype=kind)
    if "still_spans_s" in values:
        values["still_spans_s"] = values["still_spans_s"].reshape(-1, 2)
    values["borders_px"] = tuple(values["borders_px"])
    for name in ("codec_config", "sound_config", "video_index"):
        values[name] = bytes.fromhex(values.get(name, ""))
    return ClipRow(**values)


def clear_media(work: Path, key: str) -> None:
    """Removes a file's work."""
    shutil.rmtree(work / key, ignore_errors=True)
