"""The rows of the pose study: what an encoder begins with, before anybody shows it joints.

`tools/run_tables.py pose` runs them; docs/pose_study.md shows and reads the tables.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from avssl.catalog import Catalog
from avssl.config import config_from_recipe, read_config, replaced
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.files import write_json
from avssl.model import build_encoder, load_encoder
from avssl.model.storage import encoder_file_name, read_description, save_encoder
from avssl.pretext.reconstruction import Reconstruction
from avssl.progress import progress_bar
from avssl.run.jobs import each

PRETEXT_ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "shuffle-and-learn": ("shuffle-and-learn", {}),
    "random labels": ("shuffle-and-learn", {"task.random_labels": True}),
    "reconstruction": ("reconstruction", {}),
}
"""Row → the pretext task and what differs from its small recipe."""
ROWS = ("random", "recalibrated", *PRETEXT_ROWS)
FLOORS = ("mean pose", "pixels", "HOG")


@dataclass(frozen=True, kw_only=True)
class Pretext:
    """What all rows that are trained share."""

    clips: str
    """A prepared data set without labels."""
    vision: str = "small-bn"
    steps: int = 1000
    batch_size: int = 32
    lr: float = 2e-3
    changes: Mapping[str, Any] | None = None
    """Further fields of Shuffle and Learn's runs, such as {"task.fusion": "difference"}."""


def prepare_data(world: Path, out: Path, *, short_side_px: int = 128) -> tuple[Path, Path]:
    """Makes the clips for the pretext tasks and the labelled pictures, once.

    Raises:
        InputError: the folder is not one of tools/make_world.py or tools/make_mocap.py.
    """
    from avssl.labels.coco import read_coco_keypoints
    from avssl.labels.reading import joined
    from avssl.prepare import PrepareSettings, prepare
    from avssl.prepare.images import write_labelled

    files = [world / "truth" / f"coco_{name}.json" for name in ("train", "validation", "test")]
    if not all(path.is_file() for path in files):
        raise InputError(f"{world}: no truth/coco_*.json there; make one with tools/make_world.py")
    clips, pictures = out / "clips", out / "pictures"
    prepare(world, clips, settings=PrepareSettings(gop=1, short_side_px=short_side_px))
    if not (pictures / "catalog.parquet").is_file():
        write_labelled(joined([read_coco_keypoints(p, images_root=world) for p in files]), pictures)
    return clips, pictures


def make_rows(
    names: Sequence[str],
    pretext: Pretext,
    out: Path,
    *,
    seeds: Sequence[int],
    num_processes: int = 1,
    quiet: bool = False,
) -> dict[str, list[str]]:
    """Makes the encoders of all rows, one a seed, and gives row → REFs ("" for fresh weights).

    Args:
        names: of `ROWS`.
        pretext: how those that are trained are trained.
        out: gets one folder a row and seed; one that is done is not trained again.
        seeds: of weights and samples.
        num_processes: runs beside each other.
        quiet: no progress bar.

    Raises:
        InputError: no such row; a network without running statistics for "recalibrated".
    """
    for name in names:
        if name not in ROWS:
            raise InputError(f"row {name!r}: must be one of {', '.join(ROWS)}")
    made = [(name, seed) for seed in seeds for name in names if name != "random"]
    run = functools.partial(_make, pretext=pretext, out=out)
    with progress_bar("pretext", total=len(made), unit="run", quiet=quiet) as bar:
        for (name, seed), _ in each(run, made, num_processes=num_processes):
            bar.say(f"{name} {seed}")
            bar.advance()
    return {
        name: [] if name == "random" else [str(_folder(out, name, seed)) for seed in seeds]
        for name in names
    }


def make_recalibrated(
    rows: Mapping[str, Sequence[str]], clips: Path, out: Path, *, seeds: Sequence[int]
) -> dict[str, list[str]]:
    """Gives trained encoders the BatchNorm statistics of unlabelled pictures, as rows of their own.

    Beside "recalibrated" fresh weights this tells whether a trained row stands where it does for
    its statistics. One that is done is not made again.

    Args:
        rows: row → REFs of encoders, one a seed or one for all, as `pose_grid.search` takes them.
        clips: a prepared data set without labels.
        out: gets one folder a row and seed.
        seeds: of the pictures.

    Returns:
        "ROW recalibrated" → one REF a seed.

    Raises:
        InputError: a network without running statistics, no such REF, or OUT holds that row of
            another REF.
    """
    made: dict[str, list[str]] = {}
    catalog = Catalog.read(clips).select(split="train")
    for name, refs in rows.items():
        row = f"{name} recalibrated"
        made[row] = [str(_folder(out, row, seed)) for seed in seeds]
        for number, (seed, folder) in enumerate(zip(seeds, made[row], strict=True)):
            ref = refs[number % len(refs)]
            if (Path(folder) / encoder_file_name("vision")).is_file():
                of = read_description(folder)["metadata"].get("init")
                if of != ref:
                    raise InputError(
                        f"{folder}: made from {of}, not from {ref}; give another NAME or OUT"
                    )
                continue
            encoder = load_encoder(ref, stream="vision")
            recalibrate(encoder, catalog, seed=seed)
            save_encoder(encoder, Path(folder), metadata={"row": row, "seed": seed, "init": ref})
    return made


def _folder(out: Path, name: str, seed: int) -> Path:
    return out / f"{name.replace(' ', '-')}_{seed}"


def _make(item: tuple[str, int], *, pretext: Pretext, out: Path) -> None:
    name, seed = item
    folder = _folder(out, name, seed)
    done = (folder / encoder_file_name("vision")).is_file()
    if name == "recalibrated":
        if done:
            return
        encoder = build_encoder(pretext.vision, stream="vision", seed=seed)
        recalibrate(encoder, Catalog.read(pretext.clips).select(split="train"), seed=seed)
        save_encoder(encoder, folder, metadata={"row": name, "seed": seed})
        return
    from avssl.run.train import train

    task, changes = PRETEXT_ROWS[name]
    own = dict(pretext.changes or {}) if task == "shuffle-and-learn" else {}
    config = config_from_recipe(task, "small", data=pretext.clips, out=str(folder))
    settings = {
        "vision": pretext.vision,
        "steps": pretext.steps,
        "batch_size": pretext.batch_size,
        "optim.lr": pretext.lr,
        "optim.clip_norm": 5.0,
        "workers": 0,
        "tensorboard": False,
        "evaluate_every": 250,
        "seed": seed,
    }
    config = replaced(config, {**settings, **own, **changes})
    if not done or read_config(folder) != config:  # then `train` says what differs
        train(config, quiet=True)


@torch.no_grad()
def recalibrate(
    encoder: Any, catalog: Catalog, *, seed: int, num_pictures: int = 1024, batch_size: int = 64
) -> None:
    """Gives BatchNorm layers the means and variances of unlabelled pictures, in place.

    A pretrained network brings statistics that fit its pictures, a fresh one has means of 0 and
    variances of 1. This row shows what those alone are worth: no weight changes.

    Args:
        encoder: its running statistics are replaced by the plain mean over all batches.
        catalog: unlabelled clips; pictures are drawn as `Reconstruction` draws them.
        seed: of the pictures.
        num_pictures: how many are shown.
        batch_size: in batches of this size.

    Raises:
        InputError: the network has no running statistics.
    """
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not layers:
        raise InputError(f"{encoder.name}: has no running statistics; use small-bn, say")
    task, rng = Reconstruction(), np.random.default_rng(seed)
    rows, fetcher = task.items(catalog), Fetcher(catalog.directory)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
    encoder.train()
    for _ in range(math.ceil(num_pictures / batch_size)):
        shown = [
            make_example(task, catalog, lambda: fetcher, index=int(index), rng=rng)[1]
            for index in rng.choice(rows, batch_size)
        ]
        encoder(torch.from_numpy(np.stack([one.arrays["frames"] for one in shown])))
    encoder.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def run_floors(
    pictures: Path, out: Path, *, labels: Sequence[int], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Gives the results of the regressions without a network, one JSON each as for the cells."""
    from avssl.downstream.floors import best_floor

    catalog, found = None, []
    for kind in FLOORS:
        for count in labels:
            for seed in seeds:
                path = out / "floors" / f"{kind.replace(' ', '-')}_n{count}_seed{seed}.json"
                if not path.is_file():
                    catalog = catalog or Catalog.read(pictures)
                    fitted = best_floor(kind, catalog, num_labels=count, label_seed=seed)
                    write_json(path, {"num_labels": count, "seed": seed, **fitted})
                found.append(json.loads(path.read_text()))
    return found


def floors_as_markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """Gives the regressions as a table: a row a kind and number of labels, test figures."""
    lines = ["| without a network | labels | mean | seeds |", "|---|---|---|---|"]
    keys = dict.fromkeys((one["kind"], one["num_labels"]) for one in found)
    for kind, count in keys:
        values = [one["test"] for one in found if (one["kind"], one["num_labels"]) == (kind, count)]
        shown = " ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {kind} | {count or 'all'} | {np.mean(values):.3f} | {shown} |")
    return "\n".join(lines) + "\n"
