"""`prepare`: scan → one job a file → groups and splits → shards and catalogue. Resumable."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.catalog import FILE_NAME, SCHEMA_VERSION
from avssl.errors import InputError
from avssl.files import PARTIAL_SUFFIX, write_json, write_text
from avssl.prepare.assemble import Item, assemble, clear_media, media_missing, take_apart_all
from avssl.prepare.groups import group_ids, named_groups, splits_of
from avssl.prepare.pool import Finished, run_jobs
from avssl.prepare.scan import Scan, Source, scan
from avssl.prepare.settings import PrepareSettings
from avssl.progress import Bar, progress_bar

REPORT_NAME = "prepare.json"
QUARANTINE_NAME = "quarantine.jsonl"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `prepare` did."""

    destination: Path
    num_files: int
    """Files taken for videos."""
    num_clips: int
    num_quarantined: int
    num_copies: int
    """Files that are byte for byte another one, and left out."""
    num_skipped: int
    num_groups: int
    splits: dict[str, int]
    """Clips in each split."""
    video_s: float
    """Seconds of prepared video."""
    seconds: float
    """Seconds that this call took."""
    already_done: bool = False
    """Nothing had to be done."""


def prepare(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    settings: PrepareSettings | None = None,
    jobs: int | None = None,
    engine: str = "local",
    quiet: bool = False,
) -> Report:
    """Turns a folder of videos into a prepared data set. Stopped at any moment, it goes on there.

    Args:
        source: folder with videos, at any depth; or one video file.
        destination: the data set's folder; made if absent.
        settings: what to make of the files; the defaults if None.
        jobs: processes; as many as there are cores if None.
        engine: "local" or "ray" (the optional part of that name).
        quiet: no progress bar.

    Raises:
        InputError: the folder holds no video, or `destination` belongs to something else.
        AvsslError: the disk is full or the like.
    """
    started_s = time.monotonic()
    settings = settings or PrepareSettings()
    target = Path(destination)
    found = scan(source, exclude=target)
    _check_destination(target, settings)
    if not found.sources:
        raise InputError(
            f"{source}: no video among {len(found.skipped)} files; give a folder that holds some"
        )
    inputs = _inputs_hash(found, settings)
    if (done := _finished(target, inputs)) is not None:
        return dataclasses.replace(done, seconds=time.monotonic() - started_s, already_done=True)
    work = target / "work"
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work), _terminable():
        (target / REPORT_NAME).unlink(missing_ok=True)
        for stale in work.glob(f".*{PARTIAL_SUFFIX}"):
            shutil.rmtree(stale, ignore_errors=True)
        write_json(work / "settings.json", settings.as_dict())
        copies = _exact_copies(found.sources)
        wanted = [item for item in found.sources if item.relative not in copies]
        _process(
            wanted,
            work=work,
            target=target,
            settings=settings,
            jobs=jobs,
            engine=engine,
            quiet=quiet,
        )
        return _finish(
            found,
            wanted,
            copies=copies,
            work=work,
            target=target,
            settings=settings,
            inputs=inputs,
            started_s=started_s,
        )


def _process(
    wanted: list[Source],
    *,
    work: Path,
    target: Path,
    settings: PrepareSettings,
    jobs: int | None,
    engine: str,
    quiet: bool,
) -> None:
    """Sees to it that every file has a result of these settings in the work folder."""
    ready = {item.key: _result_of(item, work, settings) for item in wanted}
    if not settings.in_place and any((target / "shards").glob("*.tar")):
        _recover_media(wanted, ready, work=work, target=target)
    todo = [item for item in wanted if ready[item.key] is None]
    num_jobs = max(1, jobs if jobs is not None else (os.cpu_count() or 1))
    with progress_bar(
        "preparing", total=len(wanted), unit="file", start=len(wanted) - len(todo), quiet=quiet
    ) as bar:
        watch = _Watch(bar)

        def on_end(end: Finished) -> None:
            if end.killed:
                _store_quarantine(work, end)
            if end.status == "quarantined":
                bar.print(f"quarantined {end.job['relative']}: {end.reason}")
            watch.file_done()

        descriptions = [
            {
                "path": item.path,
                "relative": item.relative,
                "key": item.key,
                "work": str(work.absolute()),
                "stamp": _stamp(item, settings),
                "settings": settings.as_dict(),
            }
            for item in todo
        ]
        if engine == "ray":
            from avssl.prepare.on_ray import run_jobs_on_ray

            run_jobs_on_ray(descriptions, on_end=on_end, limit_s=settings.limit_s)
        elif engine == "local":
            run_jobs(
                descriptions,
                num_workers=num_jobs,
                limit_s=settings.limit_s,
                on_end=on_end,
                on_progress=watch.video_done,
            )
        else:
            raise InputError(f"--engine {engine!r}: must be local or ray")


class _Watch:
    """Tells the progress bar how many seconds of video are done in a second."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._start_s = time.monotonic()
        self._video_s = 0.0

    def video_done(self, seconds: float) -> None:
        self._video_s += seconds
        elapsed_s = max(1e-3, time.monotonic() - self._start_s)
        self._bar.say(f"{self._video_s / elapsed_s:.1f} s of video/s")

    def file_done(self) -> None:
        self._bar.advance(1)


def _finish(
    found: Scan,
    wanted: list[Source],
    *,
    copies: dict[str, str],
    work: Path,
    target: Path,
    settings: PrepareSettings,
    inputs: str,
    started_s: float,
) -> Report:
    results = {item.relative: _result_of(item, work, settings) for item in wanted}
    missing = [name for name, result in results.items() if result is None]
    if missing:
        raise InputError(f"{missing[0]}: changed while it was prepared; run the same command again")
    good = [item for item in wanted if results[item.relative]["status"] == "done"]  # type: ignore[index]
    bad = [item for item in wanted if results[item.relative]["status"] != "done"]  # type: ignore[index]
    relatives = [item.relative for item in good]
    alike = _near_copies({name: results[name] or {} for name in relatives})
    groups = group_ids(
        relatives, named=named_groups(relatives, group_by=settings.group_by), alike=alike
    )
    splits, notes = splits_of(groups, split=settings.split, split_from=settings.split_from)
    items = [
        Item(
            source=item,
            result=results[item.relative] or {},
            group_id=groups[item.relative],
            split=splits[item.relative],
        )
        for item in good
    ]
    quarantine = [
        {
            "file": item.relative,
            "reason": (results[item.relative] or {})["reason"],
            "stage": (results[item.relative] or {})["stage"],
        }
        for item in bad
    ]
    write_text(
        target / QUARANTINE_NAME,
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in quarantine),
    )
    shards = assemble(items, work=work, destination=target, settings=settings)
    clips = [(item, clip) for item in items for clip in item.result["clips"]]
    seconds = time.monotonic() - started_s
    report = {
        "schema_version": SCHEMA_VERSION,
        "inputs": inputs,
        "settings": settings.as_dict(),
        "versions": _versions(),
        "counts": {
            "files": len(found.sources),
            "clips": len(clips),
            "quarantined": len(bad),
            "copies": len(copies),
            "skipped": len(found.skipped),
            "groups": len(set(groups.values())),
            "truncated": sum(bool(clip["truncated"]) for _, clip in clips),
        },
        "splits": {
            name: sum(item.split == name for item, _ in clips)
            for name in ("train", "validation", "test")
        },
        "video_s": sum(clip["num_frames"] * clip["step_s"] for _, clip in clips),
        "seconds": seconds,
        "shards": shards,
        "copies": [{"file": name, "same_as": copies[name]} for name in sorted(copies)],
        "near_copies": [list(pair) for pair in alike],
        "skipped": [{"file": name, "reason": why} for name, why in found.skipped],
        "notes": notes,
    }
    write_json(target / REPORT_NAME, report)
    return _report_of(report, target)


def _near_copies(results: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    return []


def _report_of(values: dict[str, Any], target: Path) -> Report:
    counts = values["counts"]
    return Report(
        destination=target,
        num_files=counts["files"],
        num_clips=counts["clips"],
        num_quarantined=counts["quarantined"],
        num_copies=counts["copies"],
        num_skipped=counts["skipped"],
        num_groups=counts["groups"],
        splits=values["splits"],
        video_s=values["video_s"],
        seconds=values["seconds"],
    )


def _finished(target: Path, inputs: str) -> Report | None:
    """Gives the report of a data set that is already what is asked for."""
    path = target / REPORT_NAME
    if not path.is_file() or not (target / FILE_NAME).is_file():
        return None
    values = json.loads(path.read_text())
    return _report_of(values, target) if values.get("inputs") == inputs else None


def _check_destination(target: Path, settings: PrepareSettings) -> None:
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
                f"{target}: was begun with other settings ({', '.join(changed) or 'version'}); "
                "give another folder, or remove this one"
            )
    elif any(target.iterdir()):
        raise InputError(f"{target}: holds something else; give an empty or a new folder")


def _inputs_hash(found: Scan, settings: PrepareSettings) -> str:
    listing = [(item.relative, item.num_bytes, item.modified_ns) for item in found.sources]
    text = json.dumps([listing, settings.as_dict(), settings.media_fingerprint()])
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(item: Source, settings: PrepareSettings) -> list[Any]:
    return [item.num_bytes, item.modified_ns, settings.media_fingerprint()]


def _result_of(item: Source, work: Path, settings: PrepareSettings) -> dict[str, Any] | None:
    """Gives the stored result of a file, or None where there is none of this very file."""
    path = work / item.key / "result.json"
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    return result if result["stamp"] == _stamp(item, settings) else None


def _recover_media(
    wanted: list[Source], ready: dict[str, Any], *, work: Path, target: Path
) -> None:
    """Takes finished shards apart where files were added, changed or removed since.

    Where all results stand, the last run was stopped while it wrote shards: those are kept.
    """
    keys = [item.key for item in wanted]
    if any(result is None for result in ready.values()):
        take_apart_all(work=work, shards=target / "shards", keys=keys)
        for item in wanted:
            result = ready[item.key]
            if result is None or result["status"] != "done":
                continue
            whole = Item(source=item, result=result, group_id="", split="train")
            if media_missing(whole, work=work):
                clear_media(work, item.key)
                ready[item.key] = None


def _store_quarantine(work: Path, end: Finished) -> None:
    from avssl.prepare.worker import store_result

    folder = work / f".{end.job['key']}.{os.getpid()}{PARTIAL_SUFFIX}"
    folder.mkdir()
    result = {
        "status": "quarantined",
        "stage": end.stage,
        "reason": end.reason,
        "stamp": end.job["stamp"],
    }
    store_result(work, end.job["key"], folder, result)


def _exact_copies(sources: tuple[Source, ...]) -> dict[str, str]:
    """Gives {relative path: the first file with the same bytes}. Only equal sizes are read."""
    from avssl.prepare.one_file import sha256_of

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


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    import av

    from avssl import __version__

    names = ("av", "opencv-python-headless", "librosa", "numpy", "pyarrow")
    return {
        "avssl": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        **{name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
    }


@contextlib.contextmanager
def _locked(work: Path) -> Iterator[None]:
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
def _terminable() -> Iterator[None]:
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
