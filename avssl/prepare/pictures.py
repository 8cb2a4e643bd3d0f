"""Pictures with labels of any kind → shards and rows: one row a picture, one frame a row.

A picture may have maps beside it, PNGs in the same shard; the row's labels say where they lie:

    {"normals": {"offset": 1536, "num_bytes": 20480}}       → `Fetcher.label_map(row, "normals")`
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.files import write_json
from avssl.prepare.shards import Member, place_members, write_shard

SHARD_NUM_BYTES = 256 << 20


def new_folder(destination: str | os.PathLike[str]) -> Path:
    """Gives the folder to write to.

    Raises:
        InputError: it holds something.
    """
    target = Path(destination)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: not empty; name a new folder")
    return target


def checked_side(max_side_px: int) -> int:
    """Gives the longest side that is stored.

    Raises:
        InputError: neither 0 (keep) nor 16 or more.
    """
    if max_side_px < 0 or 0 < max_side_px < 16:
        raise InputError(f"max_side_px {max_side_px}: must be 0 (keep) or 16 or more")
    return max_side_px


class PictureShards:
    """Takes pictures one by one; `finish` writes what waits and the catalogue."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.rows: list[ClipRow] = []
        self._waiting: list[tuple[list[Member], dict[str, Any]]] = []
        self._num_shards = self._num_pictures = self._num_bytes = 0

    def add(
        self,
        jpeg: bytes,
        *,
        width_px: int,
        height_px: int,
        source: str,
        group: str,
        split: str,
        labels: Mapping[str, Any],
        maps: Mapping[str, bytes] | None = None,
    ) -> None:
        """Takes one picture.

        Args:
            jpeg: its bytes.
            width_px: of the picture.
            height_px: of the picture.
            source: what it was made from, for people.
            group: pictures that must stay in one split share it.
            split: "train", "validation" or "test".
            labels: of the row.
            maps: name → PNG of the same size, whose place goes into `labels[name]`.
        """
        name = f"im{self._num_pictures:06d}"
        self._num_pictures += 1
        files = {f"{name}.jpg": jpeg}
        files |= {f"{name}.{kind}.png": data for kind, data in (maps or {}).items()}
        members = [
            Member(
                name=file, num_bytes=len(data), data=data, sha256=hashlib.sha256(data).hexdigest()
            )
            for file, data in files.items()
        ]
        about = {
            "clip_id": name, "width_px": width_px, "height_px": height_px, "source": source,
            "group_id": group, "split": split, "labels": dict(labels), "maps": list(maps or {}),
        }  # fmt: skip
        self._waiting.append((members, about))
        self._num_bytes += sum(one.num_bytes for one in members)
        if self._num_bytes >= SHARD_NUM_BYTES:
            self._close_shard()

    def finish(self, summary: Mapping[str, Any]) -> Path:
        """Writes the last shard, `prepare.json` and the catalogue; gives the folder.

        Raises:
            InputError: there is no picture.
        """
        self._close_shard()
        if not self.rows:
            raise InputError(f"{self.target}: no picture with labels could be read; see the source")
        splits = [row.split for row in self.rows]
        counts = {name: splits.count(name) for name in ("train", "validation", "test")}
        write_json(
            self.target / "prepare.json",
            {"kind": "labelled pictures", **summary, "num_clips": len(splits), "splits": counts},
        )
        Catalog.from_rows(self.rows, directory=self.target).write(self.target)
        return self.target

    def _close_shard(self) -> None:
        if not self._waiting:
            return
        store = f"shards/{self._num_shards:06d}.tar"
        members = [one for own, _ in self._waiting for one in own]
        write_shard(self.target / store, members)
        offsets = iter(place_members(members))
        for own, about in self._waiting:
            places = [{"offset": next(offsets), "num_bytes": one.num_bytes} for one in own]
            self.rows.append(_row(about, own[0].sha256, store, places))
        self._num_shards += 1
        self._num_bytes = 0
        self._waiting.clear()


def _row(about: dict[str, Any], sha256: str, store: str, places: list[dict[str, int]]) -> ClipRow:
    kinds = about.pop("maps")
    about["labels"] |= dict(zip(kinds, places[1:], strict=True))
    offset, num_bytes = places[0]["offset"], places[0]["num_bytes"]
    return ClipRow(
        **about,
        source_sha256=sha256,
        source_start_s=0.0,
        source_end_s=1.0,
        store=store,
        video_offset=offset,
        video_num_bytes=num_bytes,
        video_suffix=".jpg",
        codec="mjpeg",
        start_s=0.0,
        step_s=1.0,
        num_frames=1,
        last_frame_s=1.0,
        packet_offsets=np.array([offset]),
        packet_num_bytes=np.array([num_bytes]),
        key_frames=np.array([0]),
        sound_state="absent",
        window_s=1.0,
        motion=np.zeros(1),
    )
