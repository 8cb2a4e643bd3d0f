"""Files that are never half written: write to a temporary name beside the target, then rename."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avssl.errors import InputError

PARTIAL_SUFFIX = ".partial"
_seen: dict[Path, bool] | None = None
"""Target → whether it was there before, while `watching_targets` is active."""


def check_target(path: str | os.PathLike[str]) -> Path:
    """Gives the path of a file to be written; for use before the work begins.

    Raises:
        InputError: a folder has that name, or no file can be made there.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target}: is a folder; name a file, as in {target / 'NAME'}")
    parent = next(one for one in target.absolute().parents if one.exists())
    if not parent.is_dir():
        raise InputError(f"{target}: {parent} is a file and holds no others; name another folder")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{target}: {parent} must not be written to; name another folder")
    return target


@contextlib.contextmanager
def watching_targets() -> Iterator[dict[Path, bool]]:
    """Yields a table that fills with the files written in the block → whether they were there."""
    global _seen
    before, _seen = _seen, {}
    try:
        yield _seen
    finally:
        _seen = before


def note_target(target: Path) -> None:
    """Tells `watching_targets` that a file is about to be put in its place."""
    if _seen is not None:
        _seen.setdefault(target, target.exists())


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`; it takes the place of `path` when the block ends well.

    The temporary name keeps the suffix of the target (media libraries choose the container by it)
    and holds the process number, so two writers never share it. The rename is atomic; the data is
    flushed to disk first, so a power cut leaves either the old file or the new one.

    Raises:
        InputError: see `check_target`.
    """
    target = check_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{PARTIAL_SUFFIX}{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        note_target(target)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path`, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` as UTF-8 to `path`, all or nothing."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON to `path`, all or nothing."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
