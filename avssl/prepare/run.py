"""`prepare`: scan → one job a file → groups and splits → shards and catalogue. Resumable."""

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path

from avssl.catalog import FILE_NAME, SCHEMA_VERSION
from avssl.errors import InputError
from avssl.files import PARTIAL_SUFFIX, write_json, write_text
from avssl.prepare.assemble import Item, assemble
from avssl.prepare.copies import Prints, near_copies
from avssl.prepare.groups import group_ids, named_groups, splits_of
from avssl.prepare.labels import labels_of
from avssl.prepare.pool import Finished, run_jobs
from avssl.prepare.scan import Scan, Source, scan
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.shards import is_whole
from avssl.prepare.state import (
    check_dealing,
    check_destination,
    exact_copies,
    inputs_hash,
    locked,
    recover_media,
    result_of,
    stamp,
    store_quarantine,
    terminable,
)
from avssl.prepare.summary import Report, report_of, versions
from avssl.progress import Bar, progress_bar

REPORT_NAME = "prepare.json"
QUARANTINE_NAME = "quarantine.jsonl"


def prepare(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    settings: PrepareSettings | None = None,
    jobs: int | None = None,
    engine: str = "local",
    redeal: bool = False,
    quiet: bool = False,
) -> Report:
    """Turns a folder of videos into a prepared data set. Stopped at any moment, it goes on there.

    Args:
        source: folder with videos, at any depth; or one video file.
        destination: the data set's folder; made if absent.
        settings: what to make of the files; the defaults if None.
        jobs: processes; as many as there are cores if None.
        engine: "local" or "ray" (the optional part of that name).
        redeal: groups and splits of a finished set may be dealt anew.
        quiet: no progress bar.

    Raises:
        InputError: the folder holds no video, `destination` belongs to something else, or its
            groups and splits would be dealt anew without `redeal`.
        AvsslError: the disk is full or the like.
    """
    started_s = time.monotonic()
    settings = settings or PrepareSettings()
    target = Path(destination)
    found = scan(source, exclude=target)
    check_destination(target, settings)
    if not redeal:
        check_dealing(target, settings)
    if not found.sources:
        raise InputError(
            f"{source}: no video among {len(found.skipped)} files; give a folder that holds some"
        )
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    inputs = inputs_hash(found, settings, root=root)
    if (done := _finished(target, inputs)) is not None:
        return dataclasses.replace(done, seconds=time.monotonic() - started_s, already_done=True)
    work = target / "work"
    work.mkdir(parents=True, exist_ok=True)
    with locked(work), terminable():
        (target / REPORT_NAME).unlink(missing_ok=True)
        for stale in work.glob(f".*{PARTIAL_SUFFIX}"):
            shutil.rmtree(stale, ignore_errors=True)
        write_json(work / "settings.json", settings.as_dict())
        copies = exact_copies(found.sources)
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
            root,
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
    ready = {item.key: result_of(item, work, settings) for item in wanted}
    damaged = [] if settings.in_place else recover_media(wanted, ready, work=work, target=target)
    todo = [item for item in wanted if ready[item.key] is None]
    num_jobs = max(1, jobs if jobs is not None else (os.cpu_count() or 1))
    with progress_bar(
        "preparing", total=len(wanted), unit="file", start=len(wanted) - len(todo), quiet=quiet
    ) as bar:
        watch = _Watch(bar)
        for name in damaged:
            bar.print(f"shard {name} is damaged or gone: what it held is prepared again")

        def on_end(end: Finished) -> None:
            if end.killed:
                store_quarantine(work, end)
            if end.status == "quarantined":
                bar.print(f"quarantined {end.job['relative']}: {end.reason}")
            watch.file_done()

        descriptions = [
            {
                "path": item.path,
                "relative": item.relative,
                "key": item.key,
                "work": str(work.absolute()),
                "stamp": stamp(item, settings),
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
    root: Path,
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
    results = {item.relative: result_of(item, work, settings) for item in wanted}
    missing = [name for name, result in results.items() if result is None]
    if missing:
        raise InputError(f"{missing[0]}: changed while it was prepared; run the same command again")
    good = [item for item in wanted if results[item.relative]["status"] == "done"]  # type: ignore[index]
    bad = [item for item in wanted if results[item.relative]["status"] != "done"]  # type: ignore[index]
    alike = near_copies({name: Prints.of(result or {}) for name, result in results.items()})
    everything = [item.relative for item in found.sources]
    everyone = group_ids(
        everything,
        named=named_groups(everything, group_by=settings.group_by),
        alike=[*alike, *copies.items()],
    )
    groups = {item.relative: everyone[item.relative] for item in good}
    splits, notes = splits_of(groups, split=settings.split, split_from=settings.split_from)
    items = [
        Item(
            source=item,
            result=results[item.relative] or {},
            group_id=groups[item.relative],
            split=splits[item.relative],
            labels=labels_of(item, root=root),
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
        "versions": versions(),
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
        "groups": _larger_groups(everyone),
        "skipped": [{"file": name, "reason": why} for name, why in found.skipped],
        "notes": notes,
    }
    write_json(target / REPORT_NAME, report)
    return report_of(report, target)


def _larger_groups(groups: dict[str, str]) -> dict[str, list[str]]:
    """Gives the files of each group that has more than one, quarantined ones and copies too."""
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    return {group: names for group, names in sorted(members.items()) if len(names) > 1}


def _finished(target: Path, inputs: str) -> Report | None:
    """Gives the report of a data set that is already what is asked for, all shards standing."""
    path = target / REPORT_NAME
    if not path.is_file() or not (target / FILE_NAME).is_file():
        return None
    values = json.loads(path.read_text())
    whole = all(
        is_whole(target / shard["name"], shard["num_bytes"]) for shard in values.get("shards", [])
    )
    return report_of(values, target) if whole and values.get("inputs") == inputs else None
