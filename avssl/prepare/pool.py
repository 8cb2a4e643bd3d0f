"""Many files at once, each in a process that is killed when it stops making progress."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avssl.errors import AvsslError

WORKER_COMMAND = [sys.executable, "-m", "avssl.prepare.worker"]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A job's end."""

    job: dict[str, Any]
    status: str
    """"done" or "quarantined"."""
    video_s: float
    stage: str
    reason: str
    killed: bool
    """The worker did not end it by itself: nothing was stored."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    job: dict[str, Any] | None = None
    alive_s: float = 0.0
    done_s: float = 0.0
    text: bytes = b""
    lines: deque[dict[str, Any]] = field(default_factory=deque)


def run_jobs(
    jobs: Iterable[dict[str, Any]],
    *,
    num_workers: int,
    limit_s: float,
    on_end: Callable[[Finished], None],
    on_progress: Callable[[float], None] = lambda seconds: None,
) -> None:
    """Works through `jobs` in `num_workers` processes; processes live on from job to job.

    Args:
        jobs: what `avssl.prepare.worker.run_job` takes.
        num_workers: processes.
        limit_s: seconds without a sign of progress after which a process is killed.
        on_end: called with each job's end, in the order of ending.
        on_progress: called with the seconds of video newly done.

    Raises:
        AvsslError: a worker cannot go on for a reason that is not the file's (a full disk).
    """
    waiting = deque(jobs)
    selector = selectors.DefaultSelector()
    workers: list[_Worker] = []
    try:
        for _ in range(min(num_workers, len(waiting))):
            workers.append(_start(selector))
        for worker in workers:
            _give(worker, waiting)
        while any(worker.job is not None for worker in workers):
            for key, _ in selector.select(timeout=min(0.5, limit_s / 4)):
                _hear(key.data, on_progress)
            for number, worker in enumerate(workers):
                if worker.job is None:
                    continue
                end = _end_of(worker, limit_s=limit_s)
                if end is None:
                    continue
                on_progress(max(0.0, end.video_s - worker.done_s))
                worker.job = None
                on_end(end)
                if end.killed:
                    _stop(worker, selector)
                    if not waiting:
                        continue
                    worker = workers[number] = _start(selector)
                _give(worker, waiting)
    finally:
        for worker in workers:
            _stop(worker, selector)
        selector.close()


def _start(selector: selectors.BaseSelector) -> _Worker:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        **{name: "1" for name in _ONE_THREAD},
    }
    process = subprocess.Popen(
        WORKER_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    worker = _Worker(process=process)
    selector.register(process.stdout, selectors.EVENT_READ, worker)
    return worker


def _give(worker: _Worker, waiting: deque[dict[str, Any]]) -> None:
    if not waiting:
        return
    worker.job = waiting.popleft()
    worker.alive_s, worker.done_s = time.monotonic(), 0.0
    assert worker.process.stdin is not None
    with contextlib.suppress(OSError):  # it has died: found out when listening
        worker.process.stdin.write((json.dumps(worker.job) + "\n").encode())
        worker.process.stdin.flush()


def _hear(worker: _Worker, on_progress: Callable[[float], None]) -> None:
    assert worker.process.stdout is not None
    block = worker.process.stdout.read(1 << 16)
    if not block:
        return
    worker.alive_s = time.monotonic()
    *lines, worker.text = (worker.text + block).split(b"\n")
    for line in lines:
        message = json.loads(line)
        if "progress" in message:
            on_progress(max(0.0, message["progress"] - worker.done_s))
            worker.done_s = max(worker.done_s, message["progress"])
        else:
            worker.lines.append(message)


def _end_of(worker: _Worker, *, limit_s: float) -> Finished | None:
    """Gives how the worker's job ended, or None while it goes on."""
    assert worker.job is not None
    dead = worker.process.poll() is not None
    if dead:
        _hear(worker, lambda seconds: None)
    if worker.lines:
        message = worker.lines.popleft()
        if "fatal" in message:
            raise AvsslError(f"{worker.job['path']}: stopped, {message['fatal']}")
        return Finished(job=worker.job, killed=False, **message["done"])
    if dead:
        code = worker.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        reason = f"the process that read it died ({how})"
    elif time.monotonic() - worker.alive_s > limit_s:
        reason = f"took longer than {limit_s:g} s without any progress"
    else:
        return None
    return Finished(
        job=worker.job,
        status="quarantined",
        video_s=worker.done_s,
        stage="decode",
        reason=reason,
        killed=True,
    )


def _stop(worker: _Worker, selector: selectors.BaseSelector) -> None:
    process = worker.process
    if process.stdout is None or process.stdout.closed:
        return
    selector.unregister(process.stdout)
    process.kill()
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    process.stdout.close()
    process.wait()
