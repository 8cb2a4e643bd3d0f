"""What a run writes down while it goes: metrics, timings, curves.

`metrics.jsonl` holds what was learned and nothing that a clock says, so that a run that was killed
and resumed ends with the same bytes as one that was not. Clocks go into `timings.jsonl`.

    {"step": 50, "split": "train", "loss": 0.69, …, "learning_rate": 0.001}
    {"step": 500, "split": "validation", "balanced_accuracy": 0.81, …}
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from avssl.files import replacing

METRICS_FILE = "metrics.jsonl"
TIMINGS_FILE = "timings.jsonl"


def read_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Reads a file of JSON lines; stops before a line that was cut off by a crash."""
    found = []
    if Path(path).is_file():
        for line in Path(path).read_bytes().split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found


def last_scores(directory: str | os.PathLike[str]) -> dict[str, float]:
    """Gives the scores of the run's last evaluation, empty where there is none."""
    lines = [x for x in read_lines(Path(directory) / METRICS_FILE) if x["split"] == "validation"]
    return {k: v for k, v in lines[-1].items() if k not in ("step", "split")} if lines else {}


def cut_back(path: str | os.PathLike[str], *, step: int) -> None:
    """Takes away the lines of later steps, and one that a crash cut off."""
    if not Path(path).is_file():
        return
    kept = []
    for line in Path(path).read_bytes().splitlines(keepends=True):
        try:
            late = not line.endswith(b"\n") or json.loads(line)["step"] > step
        except (ValueError, KeyError, TypeError):
            late = True
        if late:
            break
        kept.append(line)
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(kept))


class RunLog:
    """The files of one run; silent in all processes but the first."""

    def __init__(
        self, directory: str | os.PathLike[str], *, step: int, tensorboard: bool, enabled: bool
    ) -> None:
        """Cuts the files back to `step` and goes on from there."""
        self._files: dict[str, Any] = {}
        self._writer: Any = None
        if not enabled:
            return
        for name in (METRICS_FILE, TIMINGS_FILE):
            path = Path(directory) / name
            cut_back(path, step=step)
            self._files[name] = path.open("a", encoding="utf-8")
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            folder = Path(directory) / "tensorboard"
            self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def metrics(self, values: Mapping[str, float], *, step: int, split: str) -> None:
        """Writes one line of what was learned."""
        self._write(METRICS_FILE, {"step": step, "split": split, **values})
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{name}/{split}", value, step)

    def timings(self, values: Mapping[str, float], *, step: int) -> None:
        """Writes one line of what the clocks say."""
        self._write(TIMINGS_FILE, {"step": step, **values})
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"timing/{name}", value, step)

    def flush(self) -> None:
        """Brings the lines to the disk; a checkpoint must never be ahead of its metrics."""
        for stream in self._files.values():
            stream.flush()
            os.fsync(stream.fileno())
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for stream in self._files.values():
            stream.close()
        if self._writer is not None:
            self._writer.close()

    def _write(self, name: str, line: Mapping[str, Any]) -> None:
        if name in self._files:
            self._files[name].write(json.dumps(line) + "\n")
            self._files[name].flush()


class Clock:
    """Measures time, samples, the wait for data and the memory of a GPU from log to log."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.restart()

    def restart(self) -> None:
        """Begins to measure anew (an evaluation does not count)."""
        self._start_s, self._wait_s, self._num_samples = time.perf_counter(), 0.0, 0

    def count(self, num_samples: int) -> None:
        """Notes that so many samples were learned from."""
        self._num_samples += num_samples

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time of the block as waiting for data."""
        began_s = time.perf_counter()
        yield
        self._wait_s += time.perf_counter() - began_s

    def read(self) -> dict[str, float]:
        """Gives what was measured and begins anew."""
        seconds = time.perf_counter() - self._start_s
        found = {
            "seconds": seconds,
            "samples_per_s": self._num_samples / seconds,
            "wait_for_data_s": self._wait_s,
        }
        if self._device.type == "cuda":
            found["gpu_memory_mib"] = torch.cuda.max_memory_allocated(self._device) / 2**20
        self.restart()
        return found
