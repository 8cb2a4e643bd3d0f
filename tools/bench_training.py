"""What the loader costs: a step of real training against one whose batch lies in memory.

    python tools/bench_training.py --data PREPARED            # a set written by `avssl prepare`
    python tools/bench_training.py                            # makes a small world first
    python tools/bench_training.py --write docs/benchmarks.md # also writes its section there

Both are the same loop (`avssl.train`) on Shuffle and Learn, its small recipe; in the first the
loader is replaced by one batch, again and again. Compute and decode core-seconds are processor
time, so they mean the same on a busy machine; the ratios are wall clock and need an idle one.
"""

import argparse
import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import platform
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_recipe
from avssl.data import Batches, BatchKey, Share
from avssl.files import write_text
from avssl.run import train as loop
from avssl.run.log import read_lines

BAR_OWN_CORE, BAR_SHARED = 1.15, 1.1
SECTION = "Training"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """One setting's measurements, seconds a step."""

    name: str
    memory_s: float
    """Wall clock, batch in memory, one thread."""
    compute_core_s: float
    """Processor time of the same."""
    decode_core_s: float
    """Processor time of making one batch."""
    own_core_s: float
    """Wall clock, the loader on a core of its own."""
    shared_s: float
    """Wall clock, loop and loaders share the cores, as `avssl train` does by itself."""
    spent_core_s: float
    """Processor time of that, loop and loaders together, their start included."""
    num_cores: int

    @property
    def overhead(self) -> float:
        """Core-seconds spent against those needed: means the same on a busy machine."""
        return self.spent_core_s / (self.compute_core_s + self.decode_core_s)

    @property
    def own_ratio(self) -> float:
        """Against the batch in memory."""
        return self.own_core_s / self.memory_s

    @property
    def shared_ratio(self) -> float:
        """Against the work that there is, spread evenly over the cores."""
        return self.shared_s * self.num_cores / (self.compute_core_s + self.decode_core_s)


def make_data(folder: Path) -> Path:
    """Makes a small world and prepares it."""
    from avssl.prepare.command import prepare
    from avssl.world import make_world

    world, prepared = folder / "world", folder / "prepared"
    make_world(world, num_train=16, num_validation=4, num_test=1, duration_s=5.0)
    prepare([str(world), str(prepared)])
    return prepared


def run(config: TrainConfig, **patches: Any) -> tuple[float, float]:
    """Trains for `config.steps` and gives (wall clock, processor time) a step, warmed up."""
    before = {name: getattr(loop, name) for name in patches}
    for name, value in patches.items():
        setattr(loop, name, value)
    try:
        with tempfile.TemporaryDirectory() as folder:
            marks: list[float] = []
            rate = loop.learning_rate

            def marking(*words: Any, **named: Any) -> float:
                marks.append(time.process_time())  # of this process, not of the workers
                return rate(*words, **named)

            loop.learning_rate = marking
            try:
                loop.train(dataclasses.replace(config, out=f"{folder}/run"), quiet=True)
            finally:
                loop.learning_rate = rate
            lines = read_lines(Path(folder) / "run" / "timings.jsonl")
    finally:
        for name, value in before.items():
            setattr(loop, name, value)
    warm = lines[max(1, len(lines) // 4) :]
    cpu = [two - one for one, two in itertools.pairwise(marks)]
    wall_s = statistics.median(line["seconds"] for line in warm) / config.log_every
    return wall_s, statistics.median(cpu[len(cpu) // 4 :])


@contextlib.contextmanager
def cores(own: set[int], workers: set[int] | None = None) -> Iterator[Any]:
    """Keeps this process on the cores `own`; yields a loader that puts its workers on others."""
    everything, inner = os.sched_getaffinity(0), loop.load

    def load(*words: Any, **named: Any) -> Iterator[Any]:
        stream = inner(*words, **named)
        for number, batch in enumerate(stream):
            if number == 0 and workers:
                for child in multiprocessing.active_children():
                    for thread in Path(f"/proc/{child.pid}/task").iterdir():
                        os.sched_setaffinity(int(thread.name), workers)
            yield batch

    os.sched_setaffinity(0, own)
    try:
        yield load
    finally:
        os.sched_setaffinity(0, everything)


def measure(name: str, config: TrainConfig) -> Figures:
    """Measures one setting."""
    every = sorted(os.sched_getaffinity(0))
    catalog = Catalog.read(config.data).select(split="train")
    share = Share(batch_size=config.batch_size)
    batches = Batches(
        task=config.task, train=catalog, validation=None, seed=config.seed, share=share
    )
    os.sched_setaffinity(0, {every[0]})
    batch = batches[BatchKey(split="train", number=0)]
    spent = []
    for number in range(1, 6):
        began = time.process_time()
        batches[BatchKey(split="train", number=number)]
        spent.append(time.process_time() - began)
    os.sched_setaffinity(0, set(every))

    with cores({every[0]}):
        memory_s, compute_s = run(config, load=lambda *_, **__: itertools.repeat(batch))
    with cores({every[0]}, {every[-1]}) as load:
        own_s, _ = run(dataclasses.replace(config, workers=1), load=load)
    with cores(set(every)) as load:
        before_s = _children_s()
        shared_s, main_s = run(dataclasses.replace(config, workers=-1), load=load)
        spent_s = main_s + (_children_s() - before_s) / config.steps
    return Figures(
        name=name,
        memory_s=memory_s,
        compute_core_s=compute_s,
        decode_core_s=statistics.median(spent),
        own_core_s=own_s,
        shared_s=shared_s,
        spent_core_s=spent_s,
        num_cores=len(every),
    )


def _children_s() -> float:
    """Gives the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(found: list[Figures], load_average: float) -> str:
    """Gives the section of docs/benchmarks.md."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    rows = "\n".join(
        f"| {f.name} | {f.memory_s * 1e3:.0f} | {f.own_core_s * 1e3:.0f} | {f.own_ratio:.2f} | "
        f"{f.compute_core_s * 1e3:.0f} | {f.decode_core_s * 1e3:.0f} | {f.shared_s * 1e3:.0f} | "
        f"{f.shared_ratio:.2f} | {f.overhead:.2f} |"
        for f in found
    )
    return f"""## {SECTION}

`python tools/bench_training.py`: Shuffle and Learn on the world, milliseconds a step of the real
loop. {cpu}, {found[0].num_cores} cores; load average
{load_average:.1f} when it began; torch {torch.__version__}, {platform.system()}.

- *memory*: the batch lies in memory, one core; *compute* is its processor time.
- *own core*: the same loop on one core, one loader process on another; bar: ≤ {BAR_OWN_CORE} ×
  memory.
- *shared*: on all cores, with the threads and loaders that `avssl train` chooses; bar:
  ≤ {BAR_SHARED} × (compute + decode core-milliseconds) / cores.
- *spent ÷ needed*: core time of all processes against those two; the same on a busy machine.

| setting | memory | own core | ratio | compute | decode | shared | ratio | spent ÷ needed |
|---|---|---|---|---|---|---|---|---|
{rows}
"""


def write_section(path: Path, text: str) -> None:
    """Puts the section into a page, in place of the one that is there."""
    page = path.read_text() if path.is_file() else "# Benchmarks\n"
    page = re.sub(rf"\n## {SECTION}\n.*?(?=\n## |\Z)", "", page, flags=re.DOTALL).rstrip()
    write_text(path, f"{page}\n\n{text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", action="append", help="prepared set; may be given again")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--write", type=Path, help="page that gets the section")
    given = parser.parse_args()
    load_average = os.getloadavg()[0]
    if load_average > 0.5:
        print(f"load average {load_average:.1f}: the ratios need an idle machine")
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for data in given.data or [str(make_data(Path(folder)))]:
            config = config_from_recipe(
                "shuffle-and-learn", "small", data=str(Path(data).absolute()), out="unused",
                steps=given.steps, batch_size=given.batch_size, log_every=4, device="cpu",
                num_evaluation_samples=0, save_every=0, tensorboard=False,
            )  # fmt: skip
            row = Catalog.read(data).row(0)
            how = "all-intra" if row.codec == "mjpeg" else "short GOP"
            found.append(measure(f"{row.codec}, {how}, {row.height_px} px", config))
            print(found[-1], f"own {found[-1].own_ratio:.3f} shared {found[-1].shared_ratio:.3f}")
        text = table(found, load_average)
    print(text)
    if given.write:
        write_section(given.write, text)
    bad = [f for f in found if f.own_ratio > BAR_OWN_CORE or f.shared_ratio > BAR_SHARED]
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
