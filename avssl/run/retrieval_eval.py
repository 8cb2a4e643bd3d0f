"""`avssl eval retrieval RUN --data D`: pictures and sounds found by pictures and sounds."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.downstream import retrieval_metrics as metrics
from avssl.downstream.localizer import Localizer, scaled
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.labels.sounding import class_path
from avssl.progress import progress_bar
from avssl.run.localization_eval import untrained_like
from avssl.run.localize import load_localizer
from avssl.run.parallel import Processes, threads_beside_loaders

RECALLS = (1, 5, 10)
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """One picture and its sound of each clip, as the network sees them."""

    seen: NDArray[np.float32]
    """float32 [N, E]."""
    heard: NDArray[np.float32]
    """float32 [N, E'], E' = E where both share a space."""


def embed(where: Localizer, catalog: Catalog, rows: Sequence[int]) -> Embedded:
    """Embeds the middle spot of every row: its picture, and the sound around it."""
    fetcher = Fetcher(catalog.directory)
    seen, heard = [], []
    for start in range(0, len(rows), _BATCH):
        frames, sounds = [], []
        for index in rows[start : start + _BATCH]:
            row = catalog.row(int(index))
            places = where.task.row_spots(row)
            time_s = float(row.frame_times_s[places[len(places) // 2]])
            clip = fetcher.frames(row, (time_s,))
            sound = fetcher.sound(row, time_s - where.sound_s / 2, where.sound_s, where.rate_hz)
            assert clip.frames is not None and sound.sound is not None
            frames.append(_square(scaled(clip.frames[0], where.task.size_px)))
            sounds.append(where.task.heard(sound.sound.samples[0]))
        batch = {
            "frames": torch.from_numpy(np.stack(frames)),
            "sound": torch.from_numpy(np.stack(sounds)),
        }
        with torch.no_grad():
            one, other = where.head.embed(*where.task.features(where.encoders, batch))  # type: ignore[operator]
        seen.append(one.float().numpy())
        heard.append(other.float().numpy())
    return Embedded(seen=np.concatenate(seen), heard=np.concatenate(heard))


def _square(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = min(frame.shape[1:])
    top, left = ((length - side) // 2 for length in frame.shape[1:])
    return frame[:, top : top + side, left : left + side]


def figures_of(found: Embedded, worth: NDArray[np.float64]) -> dict[str, float]:
    """Gives nDCG@30 within and across the senses, and recall of the own clip across them.

    A query's own clip is left out of the nDCG: it would be found by what is no class at all.
    """
    own = np.eye(len(worth), dtype=bool)
    unit = {
        "im": found.seen / np.linalg.norm(found.seen, axis=1, keepdims=True).clip(1e-9),
        "aud": found.heard / np.linalg.norm(found.heard, axis=1, keepdims=True).clip(1e-9),
    }
    figures = {}
    for one, queries in unit.items():
        for other, candidates in unit.items():
            if queries.shape[1] != candidates.shape[1]:
                continue  # L3-Net's vectors share no space
            near = queries @ candidates.T
            each = metrics.ndcg(near, worth, left_out=own)
            figures[f"{one}-{other}"] = float(np.nanmean(each))
            if one != other:
                for top in RECALLS:
                    recall = metrics.recall_at(near, own, top=top)
                    figures[f"{one}-{other} recall@{top}"] = float(np.mean(recall))
    return figures


def evaluate_retrieval(
    run: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    tree_constant: float | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives all figures of a run on a split, beside its untrained network and the random row.

    `tree_constant`: see `retrieval_metrics.relevance`.

    Raises:
        InputError: no run of an audio-visual task with embeddings, or no labelled classes.
    """
    where = load_localizer(run)
    catalog = Catalog.read(data).select(split=split)
    rows = [
        index
        for index in range(len(catalog))
        if class_path(catalog.row(index)) and len(where.task.row_spots(catalog.row(index)))
    ]
    if len(rows) < 2:
        raise InputError(f"{data}: fewer than two clips of {split!r} have sound and a class")
    paths = [class_path(catalog.row(index)) for index in rows]
    worth = metrics.relevance(paths, paths, constant=tree_constant)
    found: dict[str, dict[str, float]] = {}
    with progress_bar("retrieval", total=2, unit="network", quiet=quiet) as bar:
        for name, network in (("network", where), ("untrained", untrained_like(run))):
            found[name] = figures_of(embed(network, catalog, rows), worth)
            bar.advance()
    own = np.eye(len(rows), dtype=bool)
    chance = float(np.nanmean(metrics.random_ndcg(worth, left_out=own)))
    found["random order"] = {
        name: chance if "recall" not in name else min(1.0, int(name.split("@")[1]) / len(rows))
        for name in found["network"]
    }
    return {"num_clips": len(rows), "tree_levels": max(map(len, paths)), "rows": found}


def table(summary: dict[str, Any]) -> str:
    """Gives the figures as a table for a page."""
    names = list(summary["rows"]["network"])
    head = f"| {summary['num_clips']} clips | " + " | ".join(names) + " |"
    lines = [head, "|---" * (len(names) + 1) + "|"]
    for row, figures in summary["rows"].items():
        lines.append(f"| {row} | " + " | ".join(f"{figures[name]:.3f}" for name in names) + " |")
    return "\n".join(lines) + "\n"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval retrieval`.

    Raises:
        InputError: see `evaluate_retrieval`.
    """
    parser = argparse.ArgumentParser(prog="avssl eval retrieval", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a run of an audio-visual task")
    parser.add_argument("--data", required=True, metavar="D", help="data set with classes")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument(
        "--tree-constant", type=float, metavar="C", help="relevance is C - distance (AVE-Net: 20)"
    )
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in RUN")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        summary = evaluate_retrieval(
            options.run,
            options.data,
            split=options.split,
            tree_constant=options.tree_constant,
            quiet=options.quiet,
        )
    name = f"retrieval_{options.split}.json"
    out = Path(options.out) if options.out else Path(options.run) / name
    write_json(out, {"data": str(options.data), **summary})
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}")
    return 0
