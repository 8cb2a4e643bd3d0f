"""`avssl eval localization RUN --data D`: where sound comes from, beside every trivial guess."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avssl.catalog import Catalog
from avssl.config import read_config
from avssl.downstream.localization import judge, table
from avssl.downstream.localizer import THOROUGH, Localizer, ObjectPrior
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.labels.sounding import has_truth
from avssl.progress import progress_bar
from avssl.run.localize import load_localizer
from avssl.run.parallel import Processes, threads_beside_loaders


def evaluate_localization(
    run: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    per_clip: int = 3,
    object_prior: str = "",
    object_weight: float = 0.6,
    thorough: bool = False,
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives all figures of a run on a split; see `avssl.downstream.localization`.

    Args:
        run: folder of a run of an audio-visual task.
        data: a prepared data set whose clips say what sounds in them.
        split: of the data set.
        per_clip: moments of a clip of the world.
        object_prior: REF of an image network; adds EZ-VSL's object prior in rows of their own.
        object_weight: its weight, 1 − α (EZ-VSL: 0.6).
        thorough: look as `THOROUGH` says, the untrained network too.
        seed: of the moments' places and the sounds put in for others.
        quiet: no progress bar.

    Raises:
        InputError: no run of an audio-visual task, or no clip that says what sounds in it.
    """
    how: dict[str, Any] = THOROUGH if thorough else {}
    where = load_localizer(run, **how)
    catalog = Catalog.read(data).select(split=split, keep=has_truth)
    if not len(catalog):
        raise InputError(f"{data}: no clip of {split!r} says what sounds in it; see docs/labels.md")
    total = per_clip * len(catalog)
    with progress_bar("localization", total=total, unit="moment", quiet=quiet) as bar:
        judged = judge(
            where,
            catalog,
            rng=np.random.default_rng(seed),
            untrained=untrained_like(run, **how),
            objects=_objects(object_prior, weight=object_weight) if object_prior else None,
            per_clip=per_clip,
            on_moment=bar.advance,
        )
    return judged.summary()


def _objects(ref: str, *, weight: float) -> ObjectPrior:
    from avssl.model import load_encoder

    encoder = load_encoder(ref)
    return ObjectPrior(encoder, size_px=encoder.input_size_px, weight=weight)


def untrained_like(run: str | Path, **how: Any) -> Localizer:
    """Gives the networks of a run with first weights of its own seed; `how`: see `Localizer`."""
    from avssl.model import build_encoder, read_description
    from avssl.task import widths_of

    config = read_config(run)
    encoders = {
        stream: build_encoder(
            read_description(run, stream)["name"], stream=stream, seed=config.seed
        )
        for stream in config.task.streams
    }
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        head = config.task.head(widths_of(encoders))
    return Localizer(config.task, encoders, head, **how)


def command(arguments: Sequence[str]) -> int:
    """`avssl eval localization`.

    Raises:
        InputError: see `evaluate_localization`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval localization", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a run of an audio-visual task")
    parser.add_argument("--data", required=True, metavar="D", help="it says what sounds")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument(
        "--per-clip", type=int, default=3, help="moments of a clip of the world (3)"
    )
    parser.add_argument(
        "--object-prior",
        default="",
        metavar="REF",
        help="image network (timm:resnet18, a file) for EZ-VSL's object prior, in its own rows",
    )
    parser.add_argument(
        "--object-weight", type=float, default=0.6, help="of that prior, 1 - alpha (0.6)"
    )
    parser.add_argument(
        "--thorough", action="store_true", help="three sizes and mirrored; 7 times the pixels"
    )
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in RUN")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        summary = evaluate_localization(
            options.run,
            options.data,
            split=options.split,
            per_clip=options.per_clip,
            object_prior=options.object_prior,
            object_weight=options.object_weight,
            thorough=options.thorough,
            quiet=options.quiet,
        )
    name = f"localization_{options.split}.json"
    out = Path(options.out) if options.out else Path(options.run) / name
    write_json(out, {"data": str(options.data), **summary})
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}")
    return 0
