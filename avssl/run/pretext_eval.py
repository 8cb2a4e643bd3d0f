"""`avssl eval pretext RUN --data D`: a run's own question, asked of clips it has never met."""

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avssl.catalog import Catalog
from avssl.config import TrainConfig, read_config
from avssl.data import Batches, BatchKey, Share
from avssl.errors import InputError
from avssl.files import write_json
from avssl.model.storage import encoder_file_name
from avssl.progress import Bar, progress_bar
from avssl.run.evaluate import evaluate
from avssl.run.feed import evaluation_keys, not_evaluated, reasons_against
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.run.trained import trained_learner
from avssl.task import parts_of


def evaluate_pretext(
    run: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    num_samples: int = 2048,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives {"scores": {name: value}, "trivial": {name: value}, "num_samples": n} of a split.

    The samples are the same for every run of the same task settings. Of several tasks, those that
    find no clip in the split are left out, and named in "left_out" with the reason.

    Args:
        run: folder of a finished run.
        data: a prepared data set.
        split: "validation" or "test".
        num_samples: how many, of each of several tasks.
        quiet: no progress bar.

    Raises:
        InputError: no finished run, or no clip of the split can be used.
    """
    if split == "train":
        raise InputError("split 'train': a run knows those; use validation or test")
    config: TrainConfig = dataclasses.replace(
        read_config(run), num_evaluation_samples=num_samples, precision="fp32"
    )
    if not (Path(run) / encoder_file_name(config.task.streams[0])).is_file():
        raise InputError(f"{run}: not finished yet; do so with `avssl resume {run}`")
    catalog = Catalog.read(data).select(split=split)
    if not len(catalog):
        raise InputError(f"{data}: no clips in the split {split!r}")
    against = reasons_against(config.task, catalog)
    tasks = {name: task for name, task in parts_of(config.task).items() if not against[name]}
    left_out = {name: not_evaluated(name, why, split=split) for name, why in against.items() if why}
    if not tasks:
        raise InputError(f"{data}: {'; '.join(against.values())}")
    learner, _ = trained_learner(dataclasses.replace(config, out=str(run)))
    keys = evaluation_keys(config, list(tasks))
    with progress_bar("pretext", total=len(keys), unit="batch", quiet=quiet) as bar:
        scores = evaluate(
            learner,
            _made(keys, tasks, catalog, config, bar),
            config,
            Processes(device=torch.device("cpu")),
            evaluated=list(tasks),
        )
    return {
        "task": config.task.name,
        "num_clips": len(catalog),
        "num_samples": num_samples,
        "left_out": left_out,
        "scores": scores,
        "trivial": {
            f"{name}/{key}" if name else key: value
            for name, task in tasks.items()
            for key, value in task.trivial(catalog).items()
        },
    }


def _made(
    keys: Sequence[BatchKey],
    tasks: Mapping[str, Any],
    catalog: Catalog,
    config: TrainConfig,
    bar: Bar,
) -> Iterator[dict[str, Tensor]]:
    """Makes the batches of `keys`, each task's as if alone: others may have no clip here."""
    batches = {
        name: Batches(
            task=task,
            train=catalog,
            validation=catalog,
            seed=config.seed,
            share=Share(batch_size=config.batch_size),
            num_evaluation_samples=config.num_evaluation_samples,
        )
        for name, task in tasks.items()
    }
    for key in keys:
        batch = batches[key.task][dataclasses.replace(key, task="")]
        prefix = f"{key.task}/" if key.task else ""
        yield {f"{prefix}{name}": value for name, value in batch.items()}
        bar.advance()


def command(arguments: Sequence[str]) -> int:
    """`avssl eval pretext`.

    Raises:
        InputError: see `evaluate_pretext`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval pretext", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--data", required=True, metavar="D", help="a prepared data set")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--samples", type=int, default=2048, metavar="N", help="how many (2048)")
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in RUN")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    if options.samples < 1:
        raise InputError(f"--samples {options.samples}: must be 1 or more")
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        found = evaluate_pretext(
            options.run,
            options.data,
            split=options.split,
            num_samples=options.samples,
            quiet=options.quiet,
        )
    out = Path(options.out) if options.out else Path(options.run) / f"pretext_{options.split}.json"
    write_json(out, {"data": str(options.data), **found})
    for line in found["left_out"].values():
        print(line)
    for name, value in found["scores"].items():
        blind = found["trivial"].get(name)
        beside = "" if blind is None else f" (without looking: {blind:.3f})"
        print(f"{name} {value:.4f}{beside}")
    print(out)
    return 0
