"""Which batches a run asks for, in which order, and how they reach the device."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, device

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.data import Batches, BatchKey, Share, items_of
from avssl.errors import InputError
from avssl.files import replacing
from avssl.run import folder
from avssl.run.parallel import Processes
from avssl.run.turns import Turns
from avssl.task import parts_of


def due(every: int, done: int, config: TrainConfig) -> bool:
    """Whether what happens every so many steps happens after `done`; at the end always."""
    return done == config.steps or (every > 0 and done % every == 0)


class KeptBatches(Batches):
    """Batches that are drawn once and then read: for many runs on the same few samples.

    A batch is a function of (task's sampling, data, seed, number), never of networks or learning
    rates; a folder must hold the batches of one such setting alone.
    """

    def __init__(self, directory: Path, **settings: Any) -> None:
        """Takes the folder, and what `Batches` takes."""
        super().__init__(**settings)
        self.directory = directory

    def __getitem__(self, key: BatchKey) -> dict[str, Tensor]:
        """Makes or reads one batch; see `Batches`."""
        from safetensors.torch import load_file, save_file

        of = f"_{key.task}" if key.task else ""
        path = self.directory / f"{key.split}{of}_{key.number}.safetensors"
        if path.is_file():
            return load_file(path)
        batch = super().__getitem__(key)
        with replacing(path) as temporary:
            save_file(batch, temporary)
        return batch


def make_batches(
    config: TrainConfig,
    catalog: Catalog,
    here: Processes,
    *,
    quiet: bool,
    kept: Path | None = None,
) -> Batches:
    """Joins task and data; a task that cannot use a validation clip is named and not evaluated.

    Args:
        config: the run.
        catalog: its data.
        here: the processes.
        quiet: says nothing.
        kept: see `KeptBatches`.

    Raises:
        InputError: the batch cannot be divided, or no training clip can be used.
    """
    if config.batch_size % (here.num * config.accumulate):
        raise InputError(
            f"batch_size {config.batch_size}: must be divisible by processes × accumulate "
            f"({here.num} × {config.accumulate})"
        )
    validation = catalog.select(split="validation") if config.num_evaluation_samples else None
    against = {} if validation is None else reasons_against(config.task, validation)
    evaluated = [name for name, why in against.items() if not why]
    for name, why in against.items():
        if why and not quiet:
            folder.say(not_evaluated(name, why, split="validation"))
    make: Any = Batches if kept is None else lambda **own: KeptBatches(kept, **own)
    return make(
        task=config.task,
        train=catalog.select(split="train"),
        validation=validation if evaluated else None,
        seed=config.seed,
        share=Share(batch_size=config.batch_size, rank=here.rank, num_processes=here.num),
        num_evaluation_samples=config.num_evaluation_samples,
        evaluated=evaluated,
    )


def reasons_against(task: Any, held_out: Catalog) -> dict[str, str]:
    """Gives name → why a task cannot be evaluated on these clips, "" where it can.

    Args:
        task: one (its name is "" here), or several.
        held_out: the clips.
    """
    found = {}
    for name in parts_of(task):
        try:
            items_of(task, held_out, names=[name])
            found[name] = ""
        except InputError as error:
            found[name] = str(error)
    return found


def not_evaluated(name: str, why: str, *, split: str) -> str:
    """Gives the line about a task that is left out, from `reasons_against`.

    Without the reason's way out, which is about a whole data set: settings that make training clips
    usable do not fill a split that is held out.
    """
    short = why.partition("; ")[0].removeprefix(f"{name}: ")
    of = f" of {name}" if name else ""
    return f"no evaluation{of}: {short} ({split} split); with more videos prepared there is one"


def batch_keys(
    config: TrainConfig, turns: Turns, *, start: int, evaluated: Sequence[str]
) -> Iterator[BatchKey]:
    """Gives the batches from step `start` on, evaluations included, in the order of their use.

    What is due next is found out as late as it is asked for: see `avssl.run.turns`.
    """
    yield from turns.keys_to_measure(start)
    for step in range(start, config.steps):
        name, number = turns.at(step)
        yield BatchKey(split="train", task=name, number=number)
        if evaluated and due(config.evaluate_every, step + 1, config):
            yield from evaluation_keys(config, evaluated)


def evaluation_keys(config: TrainConfig, evaluated: Sequence[str]) -> list[BatchKey]:
    """Gives the batches of one evaluation: of each task of `Batches.evaluated` in its turn."""
    count = math.ceil(config.num_evaluation_samples / config.batch_size)
    return [
        BatchKey(split="validation", task=name, number=number)
        for name in evaluated
        for number in range(count)
    ]


def to_device(batch: dict[str, Tensor], where: device) -> dict[str, Tensor]:
    """Moves a batch; from pinned memory without waiting."""
    return {name: value.to(where, non_blocking=True) for name, value in batch.items()}


def parts(batch: dict[str, Tensor], num: int) -> Iterator[dict[str, Tensor]]:
    """Divides a batch into `num` equal parts."""
    size = next(iter(batch.values())).shape[0] // num
    for start in range(0, size * num, size):
        yield {name: value[start : start + size] for name, value in batch.items()}
