"""`avssl eval pretext RUN --data D`: a run's own question, asked of clips it has never met."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from avssl.catalog import Catalog
from avssl.config import TrainConfig, read_config
from avssl.data import Batches, Share
from avssl.errors import InputError
from avssl.files import write_json
from avssl.model.storage import encoder_file_name
from avssl.progress import progress_bar
from avssl.run.evaluate import evaluate
from avssl.run.feed import evaluation_keys
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.run.trained import trained_learner


def evaluate_pretext(
    run: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    num_samples: int = 2048,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives {"scores": {name: value}, "trivial": {name: value}, "num_samples": n} of a split.

    The samples are the same for every run of the same task settings.

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
    learner, _ = trained_learner(dataclasses.replace(config, out=str(run)))
    batches = Batches(
        task=config.task,
        train=catalog,
        validation=catalog,
        seed=config.seed,
        share=Share(batch_size=config.batch_size),
        num_evaluation_samples=num_samples,
    )
    keys = evaluation_keys(config, batches.evaluated)
    with progress_bar("pretext", total=len(keys), unit="batch", quiet=quiet) as bar:

        def stream() -> Any:
            for key in keys:
                yield batches[key]
                bar.advance()

        scores = evaluate(
            learner, stream(), config, Processes(device=torch.device("cpu")),
            evaluated=batches.evaluated,
        )  # fmt: skip
    return {
        "task": config.task.name,
        "num_clips": len(catalog),
        "num_samples": num_samples,
        "scores": scores,
        "trivial": config.task.trivial(catalog),
    }


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
    for name, value in found["scores"].items():
        blind = found["trivial"].get(name)
        beside = "" if blind is None else f" (without looking: {blind:.3f})"
        print(f"{name} {value:.4f}{beside}")
    print(out)
    return 0
