"""Finds the videos of a folder: by suffix and by content, each with a reason where left out."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from avssl.errors import InputError

SUFFIXES = frozenset(
    """
    3g2 3gp amv asf avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mk3d
    mkv mov mp4 mpe mpeg mpg mpv mts mxf nut ogm ogv qt rm rmvb ts vob webm wmv wtv y4m
    """.split()  # noqa: SIM905
)
"""Names that promise a video: such a file is tried, and quarantined with the reason if it fails."""

OTHERS = frozenset(
    """
    7z bz2 gz lz4 rar tar tgz xz zip zst
    bmp exr heic jpeg jpg pgm png pnm ppm svg tga tif tiff webp
    aac aif aiff flac m4a mid mp3 oga ogg opus wav wma
    ass bin c cfg conf cpp css csv doc docx gitignore h htm html ini ipynb js json jsonl lock log
    lrc md npy npz onnx parquet pdf pkl pt pth py pyc rst safetensors sh srt sub sup toml torrent
    tsv txt vtt xls xlsx xml yaml yml
    asx ffconcat m3u m3u8 mpd pls sdp
    """.split()  # noqa: SIM905
)
"""Names that promise something else, left out by name: archives, pictures, sound, text and data,
playlists (which only point elsewhere). Video in Ogg goes by .ogv."""

_MAGIC: tuple[tuple[int, bytes], ...] = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (8, b"AVI "),
    (0, b"FLV"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x00\x00\x01\xb3"),  # MPEG video
    (0, b"OggS"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),  # ASF
    (0, b"GIF8"),
    (0, b"DKIF"),
    (0, b"YUV4MPEG2"),
    (0, b".RMF"),
    (0, bytes.fromhex("060e2b3402050101")),  # MXF
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file that will be prepared."""

    relative: str
    """Path below the folder, with "/" between its parts."""
    path: str
    """Where it is."""
    num_bytes: int
    modified_ns: int
    key: str
    """Name for the work on it; unique however equal the stems of two files are."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a folder holds."""

    sources: tuple[Source, ...]
    skipped: tuple[tuple[str, str], ...]
    """(relative path, reason) of everything that was left out."""


def source_key(relative: str) -> str:
    """Gives a short readable name that no other relative path has: slug, then a hash of the path.

    It holds no dot and no slash, so it is a WebDataset key.
    """
    slug = re.sub(r"[^A-Za-z0-9]+", "_", relative).strip("_")[-48:]
    return f"{slug}-{hashlib.sha256(relative.encode()).hexdigest()[:10]}"


def looks_like_video(path: str) -> bool:
    """Says from the first bytes whether a file without a telling name holds a video container."""
    with Path(path).open("rb") as stream:
        head = stream.read(189 * 4)
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return True
    # MPEG transport stream: a sync byte every 188 bytes (192 with time codes, from the fifth)
    return any(
        len(head) > first + 3 * step and all(head[first + k * step] == 0x47 for k in range(4))
        for first, step in ((0, 188), (4, 192))
    )


def scan(folder: str | os.PathLike[str], *, exclude: str | os.PathLike[str] | None = None) -> Scan:
    """Lists the videos below `folder`, sorted by relative path.

    Suffixes are read without regard to case; a file with an unknown or no suffix is taken when its
    first bytes are those of a video container. Links to folders are followed once: a loop ends.
    Archives are not opened.

    Args:
        folder: the folder, or a single video file.
        exclude: a folder that is left out (the data set being written).

    Raises:
        InputError: there is no such folder.
    """
    root = Path(folder)
    if root.is_file():
        return _judge([(root.name, root)])
    if not root.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the videos")
    barred = Path(exclude).resolve() if exclude is not None else None
    found: list[tuple[str, Path]] = []
    refused: list[tuple[str, str]] = []
    seen = {_identity(root)}
    waiting = [root]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            refused.append((_relative(here, root), f"folder not readable: {error.strerror}"))
            continue
        for entry in entries:
            path = Path(entry.path)
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                refused.append((_relative(path, root), f"not readable: {error.strerror}"))
                continue
            if not is_folder:
                found.append((_relative(path, root), path))
                continue
            if path.resolve() == barred:
                continue
            identity = _identity(path)
            if identity in seen:
                refused.append((_relative(path, root), "folder already visited by another path"))
                continue
            seen.add(identity)
            waiting.append(path)
    judged = _judge(found)
    skipped = sorted([*judged.skipped, *refused])
    return Scan(sources=judged.sources, skipped=tuple(skipped))


def _judge(found: list[tuple[str, Path]]) -> Scan:
    sources: list[Source] = []
    skipped: list[tuple[str, str]] = []
    for relative, path in sorted(found):
        reason, status = _reason_to_skip(path)
        if reason is None and status is not None:
            sources.append(
                Source(
                    relative=relative,
                    path=str(path.absolute()),
                    num_bytes=status.st_size,
                    modified_ns=status.st_mtime_ns,
                    key=source_key(relative),
                )
            )
        else:
            skipped.append((_printable(relative), reason or "not readable"))
    return Scan(sources=tuple(sources), skipped=tuple(skipped))


def _reason_to_skip(path: Path) -> tuple[str | None, os.stat_result | None]:
    if _printable(path.name) != path.name or _printable(str(path)) != str(path):
        return "the name is not valid UTF-8; rename the file", None
    suffix = path.suffix.lower().lstrip(".")
    if path.name.startswith("._"):
        return "a resource fork of macOS, not a video", None
    if suffix in OTHERS:
        return f"not a video by its name (.{suffix})", None
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file", None
        if status.st_size == 0:
            return "empty file", None
        with path.open("rb"):
            pass
        if suffix not in SUFFIXES and not looks_like_video(str(path)):
            return "not a video by its name or its first bytes", None
    except OSError as error:
        return f"not readable: {error.strerror}", None
    return None, status


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
