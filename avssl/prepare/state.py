"""What `prepare` keeps from run to run, so that it can be stopped at any moment."""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avssl.catalog import FILE_NAME
from avssl.errors import InputError
from avssl.files import PARTIAL_SUFFIX
from avssl.prepare.assemble import Item, clear_media, media_missing, take_apart_all
from avssl.prepare.labels import label_path
from avssl.prepare.pool import Finished
from avssl.prepare.scan import Scan, Source
from avssl.prepare.settings import DEALING, PrepareSettings
from avssl.prepare.shards import drop_damaged
from avssl.prepare.timing import sha256_of
from avssl.prepare.worker import store_result


def check_destination(target: Path, settings: PrepareSettings) -> None:
    """Refuses a folder that holds something else, or the same begun with other settings."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{target}: is a file; give a folder for the data set")
    noted = target / "work" / "settings.json"
    if noted.is_file():
        before = PrepareSettings.from_dict(json.loads(noted.read_text()))
        if before.media_fingerprint() != settings.media_fingerprint():
            old, new = before.as_dict(), settings.as_dict()
            changed = [
                f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name]
            ]
            raise InputError(
                f"{target}: was begun with other settings ({', '.join(changed) or 'older rules'}); "
                "give another folder, or remove this one"
            )
    elif any(target.iterdir()):
        raise InputError(f"{target}: holds something else; give an empty or a new folder")


def check_dealing(target: Path, settings: PrepareSettings) -> None:
    """Refuses to deal groups and splits anew where something may have been trained on the set."""
    noted = target / "work" / "settings.json"
    if not noted.is_file() or not (target / FILE_NAME).is_file():
        return
    old, new = json.loads(noted.read_text()), settings.as_dict()
    changed = [
        f"--{name.replace('_', '-')} {_words(old[name])} → {_words(new[name])}"
        for name in DEALING
        if old[name] != new[name]
    ]
    if changed:
        raise InputError(
            f"{target}: is dealt to train, validation and test already ({', '.join(changed)}), and "
            "what was trained on it would be judged by clips that it knows; give a new folder, or "
            "--redeal if nothing was"
        )


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def inputs_hash(found: Scan, settings: PrepareSettings, *, root: Path) -> str:
    """Gives a hash of all that decides the data set: names, sizes, times of files; settings."""
    listing = [
        (item.relative, item.num_bytes, item.modified_ns, _label_stamp(item, root))
        for item in found.sources
    ]
    text = json.dumps([listing, settings.as_dict(), settings.media_fingerprint()])
    return hashlib.sha256(text.encode()).hexdigest()


def _label_stamp(item: Source, root: Path) -> tuple[int, int] | None:
    path = label_path(item, root=root)
    if path is None:
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def stamp(item: Source, settings: PrepareSettings) -> list[Any]:
    """Gives what a stored result must agree with to be used again."""
    return [item.num_bytes, item.modified_ns, settings.media_fingerprint()]


def result_of(item: Source, work: Path, settings: PrepareSettings) -> dict[str, Any] | None:
    """Gives the stored result of a file, or None where there is none of this very file."""
    path = work / item.key / "result.json"
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    return result if result["stamp"] == stamp(item, settings) else None


def recover_media(
    wanted: list[Source], ready: dict[str, Any], *, work: Path, target: Path
) -> list[str]:
    """Sees to it that all media of a stored result stands; what is gone is to be made again.

    Where files were added, changed or removed since, finished shards are taken apart. Where all
    results stand, the last run was stopped while it wrote shards, or one was damaged later: the
    others are kept.

    Returns:
        Names of the damaged shards, which are removed.
    """
    shards = target / "shards"
    damaged, kept = drop_damaged(work, shards)
    if any(result is None for result in ready.values()):
        take_apart_all(work=work, shards=shards, keys=[item.key for item in wanted])
        kept = set()
    for item in wanted:
        result = ready[item.key]
        if result is None or result["status"] != "done":
            continue
        whole = Item(source=item, result=result, group_id="", split="train")
        if media_missing(whole, work=work, kept=kept):
            clear_media(work, item.key)
            ready[item.key] = None
    return damaged


def store_quarantine(work: Path, end: Finished) -> None:
    """Stores the end of a file whose process was killed."""
    folder = work / f".{end.job['key']}.{os.getpid()}{PARTIAL_SUFFIX}"
    folder.mkdir()
    result = {
        "status": "quarantined",
        "stage": end.stage,
        "reason": end.reason,
        "stamp": end.job["stamp"],
    }
    store_result(work, end.job["key"], folder, result)


def exact_copies(sources: tuple[Source, ...]) -> dict[str, str]:
    """Gives {relative path: the first file with the same bytes}. Only equal sizes are read."""
    by_size: dict[int, list[Source]] = {}
    for item in sources:
        by_size.setdefault(item.num_bytes, []).append(item)
    copies: dict[str, str] = {}
    for same in by_size.values():
        if len(same) < 2:
            continue
        first: dict[str, str] = {}
        for item in same:
            with contextlib.suppress(OSError):  # unreadable: its own job says so
                digest = sha256_of(item.path)
                if digest in first:
                    copies[item.relative] = first[digest]
                first.setdefault(digest, item.relative)
    return copies


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """Holds the data set for this process alone; the lock ends with the process."""
    with (work / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{work.parent}: another `avssl prepare` is at work there; wait for it or stop it"
            ) from error
        yield


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets a polite kill (SIGTERM) end the work as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
