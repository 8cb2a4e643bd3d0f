"""`--engine ray`: the same per-file function on a Ray cluster that shares the file system."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from avssl.errors import MissingPartError
from avssl.prepare.pool import Finished


def run_jobs_on_ray(
    jobs: Sequence[dict[str, Any]], *, limit_s: float, on_end: Callable[[Finished], None]
) -> None:
    """Works through `jobs` on the cluster that `ray.init()` finds (else on this machine).

    Source and destination must be visible to every node under the same path. A task's signs of
    progress are not seen from here, so `limit_s` limits the whole of a file.

    Raises:
        MissingPartError: ray is not installed.
    """
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingPartError(
            "--engine ray: ray is not installed; pip install 'avssl[ray]', or --engine local"
        ) from error
    from avssl.prepare.worker import run_job

    if not ray.is_initialized():
        ray.init(log_to_driver=False)

    @ray.remote(num_cpus=1, max_retries=0)
    def work(job: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        return time.time(), run_job(job, report=lambda seconds: None)

    waiting = list(reversed(jobs))
    running: dict[Any, tuple[dict[str, Any], float]] = {}
    num_cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    while waiting or running:
        while waiting and len(running) < num_cores:
            job = waiting.pop()
            running[work.remote(job)] = (job, time.monotonic())
        ready, _ = ray.wait(list(running), timeout=0.5)
        for task in ready:
            job, _ = running.pop(task)
            try:
                _, done = ray.get(task)
                on_end(Finished(job=job, killed=False, **done))
            except ray.exceptions.RayError as error:
                on_end(_killed(job, f"the process that read it died ({type(error).__name__})"))
        for task, (job, since_s) in list(running.items()):
            if time.monotonic() - since_s > limit_s:
                ray.cancel(task, force=True)
                del running[task]
                on_end(_killed(job, f"took longer than {limit_s:g} s"))


def _killed(job: dict[str, Any], reason: str) -> Finished:
    return Finished(
        job=job, status="quarantined", video_s=0.0, stage="decode", reason=reason, killed=True
    )
