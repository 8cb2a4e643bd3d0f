"""From a position of the run to a batch: plan → fetch → transform → stack, with no state.

Batch k of process r is a pure function of (seed, k, r), so any number of workers gives the same
batches and a run resumes at any step. Workers assemble whole batches in numpy (uint8 stays uint8);
the main process only moves them to the device.

    BatchKey(split="train", number=k) → positions k·B + r·b … k·B + (r + 1)·b - 1 → {name: tensor}

Of several tasks, each has an order of its own, and k counts its own batches.
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avssl.catalog import Catalog
from avssl.errors import AvsslError, InputError
from avssl.records import Clip, Example, FrameSpan, MapSpan, Plan
from avssl.sample.order import Order, evaluation_item, evaluation_rng, sample_rng, seed_of_task
from avssl.task import Task, parts_of

EVALUATION_SEED = 20_260_101
"""Every run evaluates on the same samples, whatever its seed."""


@dataclass(frozen=True, kw_only=True)
class BatchKey:
    """Names one batch of the whole run."""

    split: str
    """"train" or "validation"."""
    number: int
    """The step, or the number of the batch within the evaluation; of several tasks that are trained
    in turns, each counts its own."""
    task: str = ""
    """Which of several tasks; "" where there is one alone."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of every batch a process makes."""

    batch_size: int
    """Samples in a batch over all processes."""
    rank: int = 0
    num_processes: int = 1

    def positions(self, number: int) -> range:
        """Gives the positions of this process's samples of batch `number`."""
        size = self.batch_size // self.num_processes
        start = number * self.batch_size + self.rank * size
        return range(start, start + size)


def fetch(fetcher: Any, catalog: Catalog, plan: Plan) -> list[Clip]:
    """Decodes every span of a plan.

    Raises:
        MediaError: a file cannot be read; it is never replaced by another.
    """
    clips = []
    for span in plan.spans:
        row = catalog.row(span.row)
        if isinstance(span, FrameSpan):
            clips.append(fetcher.frames(row, span.times_s))
        elif isinstance(span, MapSpan):
            clips.append(fetcher.label_map(row, span.name))
        else:
            clips.append(fetcher.sound(row, span.start_s, span.duration_s, span.rate_hz))
    return clips


def make_example(
    task: Task,
    catalog: Catalog,
    open_fetcher: Callable[[], Any],
    *,
    index: int,
    rng: np.random.Generator,
) -> tuple[Plan, Example]:
    """Makes one sample of row `index`.

    Planning and transforming draw from two child generators, so that switching a guard of one off
    leaves all draws of the other as they were.
    """
    plan_rng, transform_rng = rng.spawn(2)
    plan = task.sample(catalog, index, plan_rng)
    clips = fetch(open_fetcher(), catalog, plan) if plan.spans else []
    return plan, task.transform(clips, plan, transform_rng)


def items_of(
    task: Any, catalog: Catalog, *, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Gives name → rows to sample from, for each of several tasks; {"": rows} of one alone.

    Args:
        task: one, or several.
        catalog: the rows.
        names: of several tasks, those that are asked; None: all.

    Raises:
        InputError: no row can be used; of several tasks, names the one.
    """
    found = {}
    for name, part in parts_of(task).items():
        if names is not None and name not in names:
            continue
        try:
            found[name] = part.items(catalog)
        except InputError as error:
            # a flag of a task has its name in it where there are several
            told = str(error).replace("--task.", f"--task.{name}.") if name else str(error)
            raise InputError(f"{name}: {told}" if name else told) from error
    return found


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One task and the order of its samples."""

    task: Task
    items: NDArray[np.int64]
    evaluation_items: NDArray[np.int64]
    order: Order


class Batches(Dataset):
    """Batches by key: what runs inside a loader's worker. Pickles; opens files where it is used."""

    def __init__(
        self,
        *,
        task: Task,
        train: Catalog,
        validation: Catalog | None,
        seed: int,
        share: Share,
        num_evaluation_samples: int = 0,
        evaluated: Sequence[str] | None = None,
    ) -> None:
        """Plans nothing yet.

        Args:
            task: the task, or several (`avssl.task.parts_of`), each with an order of its own.
            train: rows to train on.
            validation: rows to evaluate on, or None.
            seed: of the run; evaluation has its own.
            share: the part of every batch that this process makes.
            num_evaluation_samples: size of the evaluation.
            evaluated: names of those of several tasks that are evaluated; None: all.

        Raises:
            InputError: no row can be used for the task.
        """
        self.task, self.train, self.validation = task, train, validation
        self.seed, self.share = seed, share
        held_out = {} if validation is None else items_of(task, validation, names=evaluated)
        self.evaluated = tuple(held_out)
        """Names of the tasks that are evaluated."""
        self.parts = {
            name: _Part(
                task=parts_of(task)[name],
                items=items,
                evaluation_items=held_out.get(name, np.zeros(0, dtype=np.int64)),
                order=Order(len(items), seed_of_task(seed, name)),
            )
            for name, items in items_of(task, train).items()
        }
        self.num_evaluation_samples = num_evaluation_samples
        self._fetchers: dict[tuple[int, Path], Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fetchers": {}}

    def __getitem__(self, key: BatchKey) -> dict[str, Tensor]:
        """Makes one process's share of one batch: name → tensor [share, ...].

        Raises:
            MediaError: a file cannot be read; names it and the reason.
        """
        batch: dict[str, NDArray[Any]] = {}
        positions = self.share.positions(key.number)
        for place, position in enumerate(positions):
            example = self.example(key.split, position, key.task)
            if not batch:
                batch = {
                    name: np.empty((len(positions), *array.shape), dtype=array.dtype)
                    for name, array in example.arrays.items()
                }
            for name, array in example.arrays.items():
                batch[name][place] = array
        prefix = f"{key.task}/" if key.task else ""
        return {f"{prefix}{name}": torch.from_numpy(array) for name, array in batch.items()}

    def example(self, split: str, position: int, task: str = "") -> Example:
        """Makes the sample at one position: of the run, or of the evaluation (which wraps).

        Args:
            split: "train" or "validation".
            position: of several tasks, each counts its own.
            task: which of them.
        """
        part = self.parts[task]
        if split == "train":
            epoch, item = part.order.at(position)
            catalog, index = self.train, int(part.items[item])
            rng = sample_rng(part.order.seed, epoch, position)
        else:
            assert self.validation is not None
            place = position % self.num_evaluation_samples
            items = part.evaluation_items
            number = evaluation_item(len(items), place, num_samples=self.num_evaluation_samples)
            catalog, index = self.validation, int(items[number])
            rng = evaluation_rng(EVALUATION_SEED, place)
        open_fetcher = functools.partial(self._fetcher, catalog)
        return make_example(part.task, catalog, open_fetcher, index=index, rng=rng)[1]

    def _fetcher(self, catalog: Catalog) -> Any:
        """Opens files in the process that reads them: an open file must not cross a fork."""
        key = (os.getpid(), catalog.directory)
        if key not in self._fetchers:
            from avssl.decode.fetch import Fetcher

            self._fetchers = {key: Fetcher(catalog.directory)}
        return self._fetchers[key]


class _Guarded(Dataset):
    """Gives errors back as values: the loader would bury their one line in a traceback."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, key: BatchKey) -> Any:
        try:
            return self.batches[key]
        except (AvsslError, MemoryError) as error:
            return error


def load(
    batches: Batches,
    keys: Iterable[BatchKey],
    *,
    num_workers: int,
    pin_memory: bool,
    prefetch: int = 2,
) -> Iterator[dict[str, Tensor]]:
    """Gives the batches of `keys` in order, made ahead by worker processes.

    Training and evaluation share the workers: `keys` lists both in the order in which they will be
    wanted, so nothing stalls where one turns into the other.

    Args:
        batches: what makes them.
        keys: the batches wanted; at most num_workers x prefetch of them are asked for ahead.
        num_workers: processes; 0 makes each batch here when it is asked for.
        pin_memory: put them where a GPU can copy from without waiting.
        prefetch: batches that each worker makes ahead.

    Raises:
        MediaError: a file cannot be read; names it and the reason.
        MemoryError: a batch is too large for the memory.
        AvsslError: a worker died (for example for want of memory).
    """
    loader = DataLoader(
        _Guarded(batches),
        batch_size=None,
        sampler=keys,  # type: ignore[arg-type]  (it is iterated once, and needs no length)
        num_workers=num_workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch if num_workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # its own: it must not move the generator of the networks
    )
    stream: Any = iter(loader)
    try:
        with dead_workers_in_one_line():
            while (batch := next(stream, None)) is not None:
                if isinstance(batch, AvsslError | MemoryError):
                    raise batch
                yield batch
    finally:
        stream = None  # ends the workers now, also where a traceback keeps this frame


@contextlib.contextmanager
def dead_workers_in_one_line() -> Iterator[None]:
    """Says in one line that a loader's worker died.

    torch notices it in a signal handler, which raises wherever the main process happens to be: in
    the loader, or in the middle of a step.

    Raises:
        AvsslError: a worker died (for example for want of memory).
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise AvsslError(
            f"a process that makes batches died ({str(error).splitlines()[0]}); often memory: "
            "try a smaller --batch-size, fewer --workers, or a larger /dev/shm"
        ) from error


def num_cores() -> int:
    """Gives the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_num_workers(wanted: int, *, num_processes: int, on_gpu: bool = False) -> int:
    """Gives the number of loader processes: `wanted`, or by the cores where that is -1.

    A quarter of a process's cores where the networks run on the others, all but one beside a GPU
    (16 at most).
    """
    if wanted >= 0:
        return wanted
    cores = num_cores() // num_processes
    return max(1, min(16, cores - 1) if on_gpu else cores // 4)


def _start_worker(_: int) -> None:
    """One core a worker; what is sent to a whole group is the main process's business.

    A worker leaves the group, so that Ctrl-C, or a scheduler that stops the job, reaches the main
    process alone, which then finishes its step. (Ignoring SIGTERM instead would hang the exit.)
    """
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
