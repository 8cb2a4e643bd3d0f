"""Stopped at any moment, hung, crashed: the same command ends with the same data set."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from avssl.catalog import Catalog
from avssl.prepare import PrepareSettings, pool, prepare

NUM_KILLS = 20


@pytest.fixture(scope="module")
def source(tmp_path_factory, make) -> Path:
    root = tmp_path_factory.mktemp("small")
    for number in range(14):
        make(root / f"v{number:02d}.mp4", 30 + 5 * number, scene_seed=100 + number)
    (root / "bad.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(100))
    return root


SETTINGS = PrepareSettings(short_side_px=48, shard_mb=0.02)
COMMAND = ["--short-side", "48", "--shard-mb", "0.02", "--quiet", "--jobs", "2"]


def start(source: Path, target: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "avssl", "prepare", str(source), str(target), *COMMAND]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def progress(target: Path) -> int:
    """Files and shards that are finished."""
    return len(list(target.glob("work/*/result.json"))) + len(list(target.glob("work/sealed/*")))


def same(one: Path, other: Path) -> None:
    names = sorted(path.name for path in (one / "shards").iterdir())
    assert names == sorted(path.name for path in (other / "shards").iterdir())
    for name in names:
        assert (one / "shards" / name).read_bytes() == (other / "shards" / name).read_bytes(), name
    assert pq.read_table(one / "catalog.parquet").equals(pq.read_table(other / "catalog.parquet"))
    for name in ("catalog.parquet", "quarantine.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("whole") / "set"
    prepare(source, target, settings=SETTINGS, jobs=1, quiet=True)
    return target


@pytest.mark.slow
def test_killed_twenty_times_it_ends_in_the_same_bytes(source, whole, tmp_path) -> None:
    target = tmp_path / "set"
    rng = np.random.default_rng(0)
    num_kills = num_midway = 0
    while num_kills < NUM_KILLS:
        before = progress(target)
        process = start(source, target)
        deadline_s = time.monotonic() + 60
        # some die before they have done anything, most somewhere after the next file or shard
        wait_for = before + int(rng.integers(0, 3))
        while process.poll() is None and progress(target) < wait_for:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0.0, 0.25)))
        num_midway += process.poll() is None
        process.kill()  # signal 9
        process.wait()
        num_kills += 1
        if (target / "prepare.json").exists():  # it was faster: kill a fresh one instead
            same(target, whole)
            target = tmp_path / f"set{num_kills}"
    assert num_midway >= NUM_KILLS * 0.7
    process = start(source, target)
    assert process.wait(timeout=120) == 0
    same(target, whole)
    assert not list(target.glob("work/.*partial"))


def test_ctrl_c_and_a_polite_kill_leave_no_process_behind(source, whole, tmp_path) -> None:
    import psutil

    target = tmp_path / "set"
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(source, target)
        before = progress(target)
        while progress(target) <= before and process.poll() is None:
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(number)
        assert process.wait(timeout=30) == 130
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
    assert start(source, target).wait(timeout=120) == 0
    same(target, whole)


def test_workers_die_with_a_killed_parent(source, tmp_path) -> None:
    import psutil

    process = start(source, tmp_path / "set")
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        time.sleep(0.01)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


WORKER = """
import os, sys, time
from avssl.prepare import worker
real = worker.run_job
def run_job(job, *, report):
    if "v01" in job["path"]:
        time.sleep(3600)  # a decoder that spins
    if "v02" in job["path"]:
        os.kill(os.getpid(), 11)  # a decoder that crashes
    return real(job, report=report)
worker.run_job = run_job
worker.main()
"""


def test_a_hanging_and_a_crashing_file_are_quarantined(
    source, whole, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(pool, "WORKER_COMMAND", [sys.executable, "-c", WORKER])
    target = tmp_path / "set"
    settings = PrepareSettings(short_side_px=48, shard_mb=0.02, limit_s=4.0)
    started_s = time.monotonic()
    report = prepare(source, target, settings=settings, jobs=2, quiet=True)
    assert time.monotonic() - started_s < 60
    lines = [json.loads(line) for line in (target / "quarantine.jsonl").read_text().splitlines()]
    reasons = {line["file"]: line["reason"] for line in lines}
    assert reasons.keys() == {"bad.mp4", "v01.mp4", "v02.mp4"}
    assert reasons["v01.mp4"].startswith("took longer than 4 s")
    assert "signal 11" in reasons["v02.mp4"]
    assert report.num_clips == Catalog.read(whole).table.num_rows - 2


def test_two_at_once_are_refused(source, tmp_path) -> None:
    import fcntl

    from avssl.errors import InputError

    (tmp_path / "set" / "work").mkdir(parents=True)
    (tmp_path / "set" / "work" / "settings.json").write_text(json.dumps(SETTINGS.as_dict()))
    with (tmp_path / "set" / "work" / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another `avssl prepare`"):
            prepare(source, tmp_path / "set", settings=SETTINGS, quiet=True)


def test_files_added_and_removed_later(source, make, tmp_path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("v03.mp4", "v05.mp4", "v07.mp4"):
        os.link(source / name, folder / name)
    target, fresh = tmp_path / "set", tmp_path / "fresh"
    prepare(folder, target, settings=SETTINGS, jobs=1, quiet=True)
    stamps = {path: path.stat().st_mtime_ns for path in target.glob("work/*/result.json")}
    os.link(source / "v04.mp4", folder / "v04.mp4")
    (folder / "v07.mp4").unlink()
    report = prepare(folder, target, settings=SETTINGS, jobs=1, quiet=True)
    assert report.num_clips == 3 and not report.already_done
    prepare(folder, fresh, settings=SETTINGS, jobs=1, quiet=True)
    same(target, fresh)
    # nothing that stood was encoded again
    kept = [path for path in stamps if "v07" not in str(path)]
    assert all(path.stat().st_mtime_ns == stamps[path] for path in kept)


@pytest.mark.parametrize("damage", ["gone", "cut short", "no tar"])
def test_a_damaged_shard_is_made_again(whole, source, tmp_path, damage: str) -> None:
    import shutil

    target = tmp_path / "set"
    shutil.copytree(whole, target)
    shards = sorted((target / "shards").iterdir())
    assert len(shards) > 2
    kept = {path: path.stat().st_mtime_ns for path in shards if path != shards[1]}
    if damage == "gone":
        shards[1].unlink()
    elif damage == "cut short":
        os.truncate(shards[1], shards[1].stat().st_size // 2)
    else:
        (target / "prepare.json").unlink()  # else its size alone is looked at: see `avssl check`
        shards[1].write_bytes(bytes([7]) * shards[1].stat().st_size)
    report = prepare(source, target, settings=SETTINGS, jobs=1, quiet=True)
    assert not report.already_done
    same(target, whole)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # others stood all the while
    assert not list(target.glob("work/*/*.mp4"))
    assert prepare(source, target, settings=SETTINGS, jobs=1, quiet=True).already_done


def test_groups_and_splits_are_not_dealt_anew_by_accident(whole, source, tmp_path) -> None:
    import dataclasses
    import shutil

    from avssl.errors import InputError

    target = tmp_path / "set"
    shutil.copytree(whole, target)
    other = dataclasses.replace(SETTINGS, split=(0.5, 0.0, 0.5), group_by="(v0)")
    with pytest.raises(InputError, match=r"--group-by none → \(v0\).*--split 0.8 0.1 0.1 → 0.5 0"):
        prepare(source, target, settings=other, jobs=1, quiet=True)
    same(target, whole)
    stamps = {path: path.stat().st_mtime_ns for path in target.glob("work/*/result.json")}
    assert stamps
    prepare(source, target, settings=other, jobs=1, redeal=True, quiet=True)
    groups = dict.fromkeys(Catalog.read(target).column("group_id"))
    assert len(groups) == 1 + 4  # v00 … v09 are one, v10 … v13 each their own
    # and nothing was encoded again
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
