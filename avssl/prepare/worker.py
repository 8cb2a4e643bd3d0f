"""The process that prepares files, one after another, and can be killed at any moment.

It reads one JSON object a line from its standard input (a job) and writes one a line to its
standard output: {"progress": seconds of video done} as signs of life, then {"done": summary} or
{"fatal": reason}. It ends when its input ends, even in the middle of a file: whoever started it
is gone.
"""

import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from avssl.prepare.settings import PrepareSettings

_PROGRESS_EVERY_S = 0.2


def run_job(job: dict[str, Any], *, report: Callable[[float], None]) -> dict[str, Any]:
    """Prepares one file; its folder appears in the work folder at once and whole.

    Args:
        job: {"path", "key", "work", "stamp", "settings"}.
        report: called often with the seconds of video done.

    Returns:
        {"status", "video_s", "stage", "reason"} for the progress bar and the quarantine.
    """
    from avssl.prepare.one_file import prepare_file

    work = Path(job["work"])
    folder = work / f".{job['key']}.{os.getpid()}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        settings = PrepareSettings.from_dict(job["settings"])
        result = prepare_file(job["path"], folder, settings=settings, report=report)
        result["stamp"] = job["stamp"]
        if job.get("check") and result["status"] == "done":
            from avssl.prepare.sound_clock import sound_clock

            result["sound_clock"] = sound_clock(job["path"])
        store_result(work, job["key"], folder, result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    video_s = sum(clip["num_frames"] * clip["step_s"] for clip in result.get("clips", []))
    return {
        "status": result["status"],
        "video_s": video_s,
        "stage": result.get("stage", ""),
        "reason": result.get("reason", ""),
    }


def store_result(work: Path, key: str, folder: Path, result: dict[str, Any]) -> None:
    """Puts a finished folder in its place, all or nothing."""
    if result["status"] != "done":
        for path in folder.iterdir():
            path.unlink()
    (folder / "result.json").write_text(json.dumps(result, allow_nan=False))
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    target = work / key
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Works through the jobs that arrive, until there are no more."""
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    busy = threading.Event()

    def listen() -> None:
        for line in jobs:
            waiting.put(line)
        if busy.is_set():
            os._exit(1)  # the parent is gone: nobody wants this file any more
        waiting.put(None)

    threading.Thread(target=listen, daemon=True).start()
    last_s = 0.0
    writing = threading.Lock()  # signs of life may come from a thread of their own

    def answer(message: dict[str, Any]) -> None:
        try:
            with writing:
                answers.write(json.dumps(message) + "\n")
                answers.flush()
        except OSError:
            os._exit(1)

    def report(done_s: float) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _PROGRESS_EVERY_S:
            last_s = time.monotonic()
            answer({"progress": done_s})

    while (line := waiting.get()) is not None:
        busy.set()
        try:
            answer({"done": run_job(json.loads(line), report=report)})
        except OSError as error:
            answer({"fatal": f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")})
        busy.clear()


def main() -> None:
    """Serves on standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    # libraries may print: their words go to standard error, the answers alone to standard output
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import cv2
    from av import logging

    logging.set_level(None)
    cv2.setNumThreads(1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
