"""Shards: plain tar files (WebDataset keys), the same bytes for the same sources and settings."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.files import replacing, write_json

_HEADER_NUM_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file that goes into a shard: from disk or from memory."""

    name: str
    num_bytes: int
    path: Path | None = None
    data: bytes = b""
    sha256: str = ""


def place_members(members: Sequence[Member]) -> list[int]:
    """Gives the offset of each member's data in the tar that `write_shard` makes."""
    offsets: list[int] = []
    at = 0
    for member in members:
        offsets.append(at + _HEADER_NUM_BYTES)
        at += _HEADER_NUM_BYTES + -(-member.num_bytes // 512) * 512
    return offsets


def plan_hash(members: Sequence[Member]) -> str:
    """Gives a hash of what a shard is to hold."""
    text = json.dumps([[member.name, member.num_bytes, member.sha256] for member in members])
    return hashlib.sha256(text.encode()).hexdigest()


def write_shard(path: Path, members: Sequence[Member]) -> None:
    """Writes a tar, all or nothing. Times, owners and modes are fixed."""
    offsets = place_members(members)
    with (
        replacing(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for member, offset in zip(members, offsets, strict=True):
            if tar.offset != offset - _HEADER_NUM_BYTES:  # type: ignore[attr-defined]
                raise RuntimeError(f"{member.name}: would not lie where the catalogue says")
            info = tarfile.TarInfo(member.name)
            info.size = member.num_bytes
            info.mode = 0o644
            if member.path is None:
                tar.addfile(info, io.BytesIO(member.data))
            else:
                with member.path.open("rb") as stream:
                    tar.addfile(info, stream)


def seal_path(work: Path, shard: str) -> Path:
    """Gives the file that says what a finished shard holds."""
    return work / "sealed" / f"{shard}.json"


def is_sealed(work: Path, shards: Path, shard: str, members: Sequence[Member]) -> bool:
    """Says whether a shard stands finished with just these members."""
    noted = seal_path(work, shard)
    if not noted.is_file():
        return False
    values = json.loads(noted.read_text())
    path = shards / f"{shard}.tar"
    return values["plan"] == plan_hash(members) and is_whole(path, values["num_bytes"])


def is_whole(path: Path, num_bytes: int) -> bool:
    """Says whether a file is there and as long as it was made; its bytes are not read."""
    return path.is_file() and path.stat().st_size == num_bytes


def drop_damaged(work: Path, shards: Path) -> tuple[list[str], set[str]]:
    """Removes the shards that are not as they were sealed.

    Returns:
        Names of the removed shards, and the names of all members of the others.
    """
    damaged: list[str] = []
    kept: set[str] = set()
    for noted in sorted((work / "sealed").glob("*.json")):
        values = json.loads(noted.read_text())
        path = shards / f"{noted.stem}.tar"
        names = _names_in(path) if is_whole(path, values["num_bytes"]) else None
        if names is None:
            damaged.append(values["name"])
            path.unlink(missing_ok=True)
            noted.unlink()
        else:
            kept |= names
    return damaged, kept


def _names_in(path: Path) -> set[str] | None:
    """Gives the names of a shard's members, from their headers; None where it is no tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            return set(tar.getnames())
    except tarfile.TarError:
        return None


def seal(work: Path, shards: Path, shard: str, members: Sequence[Member]) -> None:
    """Notes that a shard is finished, with its size and hash."""
    path = shards / f"{shard}.tar"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    write_json(
        seal_path(work, shard),
        {
            "name": f"shards/{shard}.tar",
            "num_bytes": path.stat().st_size,
            "sha256": digest,
            "plan": plan_hash(members),
        },
    )


def unpack(path: Path, work: Path, *, keys: Sequence[str]) -> None:
    """Puts the media of a shard back into the work folder, for files that are still wanted."""
    from avssl.files import write_bytes

    wanted = set(keys)
    with tarfile.open(path, "r:") as tar:
        for info in tar:
            clip_id, _, suffix = info.name.partition(".")
            key, _, number = clip_id.rpartition("-")
            if suffix == "json" or key not in wanted or not (work / key).is_dir():
                continue
            target = work / key / f"{number}.{suffix}"
            if target.is_file():  # made again, as another shard with a part of the file is gone
                continue
            stream: Any = tar.extractfile(info)
            write_bytes(target, stream.read())
