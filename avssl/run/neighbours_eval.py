"""Neighbours of frames and patches at one layer, and what they are worth: `avssl eval neighbours`.

    frames of --split (queries) ─┐                     pictures: what each network finds
    frames of the gallery ───────┴→ layer → search ──→ kNN accuracy, recall@k (classes)
    queries with another hue ────────────────────────→ overlap of both lists

docs/neighbours.md says how to read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.downstream import neighbours as near
from avssl.downstream import probe_metrics as metrics
from avssl.downstream.features import Pool
from avssl.downstream.neighbours import Found, turn_hue
from avssl.downstream.probe_truth import SOUNDING
from avssl.errors import InputError
from avssl.progress import progress_bar
from avssl.run.neighbours_rows import KEPT, Looker, Sets, lookers, read_sets
from avssl.run.probe_samples import (
    NETWORK,
    networks,
    own_step_s,
)

BLIND = "trivial: random order"
DEGREES = (60.0, 120.0, 180.0)
RECALLS = (1, 5, 10)
Floats = NDArray[np.float32]


def judge(sets: Sets, found: Found, *, num_neighbours: int) -> dict[str, tuple[float, Any]]:
    """Gives kNN accuracy and recalls with their redraws: name → (figure, float64 [B])."""
    truth = sets.classes
    if truth is None:
        return {}
    first = len(sets.queries.rows)
    asked = truth.told[:first]
    usable = np.flatnonzero(truth.told[first:])
    # neighbours without a class do not vote: what is left closes up
    rank = np.isin(found.indices, usable)
    order = np.argsort(~rank, axis=1, kind="stable")
    indices = np.where(rank, found.indices, -1)
    kept = Found(
        indices=np.take_along_axis(indices, order, axis=1)[asked],
        near=np.take_along_axis(found.near, order, axis=1)[asked],
    )
    own, theirs = truth.classes[:first][asked], truth.classes[first:]
    answers = near.votes(kept, theirs, num_classes=len(truth.names), num=num_neighbours)
    right = {f"kNN-{num_neighbours} accuracy": answers == own}
    for top in RECALLS:
        right[f"recall@{top}"] = near.hits(kept, theirs, own, top=top)
    weights = metrics.redrawn(sets.query_groups[asked].tolist())
    return {
        name: (float(metrics.share(one)), metrics.share(one, weights))
        for name, one in right.items()
    }


def blind(sets: Sets, *, num_neighbours: int) -> dict[str, float]:
    """Gives what an order without sense is worth: the gallery's largest class, chance recalls."""
    truth = sets.classes
    if truth is None:
        return {}
    first = len(sets.queries.rows)
    asked, known = truth.told[:first], truth.told[first:]
    own, theirs = truth.classes[:first][asked], truth.classes[first:][known]
    largest = int(np.bincount(theirs).argmax())
    figures = {f"kNN-{num_neighbours} accuracy": float((own == largest).mean())}
    for top in RECALLS:
        chances = near.random_recall(
            theirs, own, top=top, query_groups=sets.query_groups[asked],
            gallery_groups=sets.gallery_groups[known],
        )  # fmt: skip
        figures[f"recall@{top}"] = float(chances.mean())
    return figures


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What one row's first seed found, kept for the figures."""

    looker: Looker
    gallery: Floats
    found: Found


def evaluate_neighbours(
    ref: str,
    data: str | Path,
    *,
    split: str = "test",
    among: Sequence[str] = ("train",),
    layer: str = "",
    pool: Pool = "avg",
    whole: bool = False,
    imagenet: str = "",
    num_untrained: int = 2,
    classes: str = SOUNDING,
    level: int | None = None,
    per_clip: int = 3,
    max_clips: int = 600,
    max_queries: int = 200,
    num_neighbours: int = 20,
    size_px: int = 0,
    device: torch.device | None = None,
    quiet: bool = True,
) -> tuple[dict[str, Any], Sets, dict[str, Looked]]:
    """Gives all figures, and what the pictures are drawn from.

    Args:
        ref: see `avssl.model.load_encoder`.
        data: a prepared data set.
        split: of the queries.
        among: splits of the gallery.
        layer: "" takes the late middle.
        pool: "avg" or "max".
        whole: pool over the whole picture; else to the grid of `avssl.downstream.features`.
        imagenet: REF of the ImageNet row.
        num_untrained: seeds with first weights.
        classes: "sounding" or a label of the clips; "view" has several a frame and gives none.
        level: of the tree of classes.
        per_clip: frames a clip.
        max_clips: of the gallery, drawn; 0: all.
        max_queries: clips of the queries, drawn.
        num_neighbours: that vote, at most `KEPT`.
        size_px: side of pictures for all networks; 0: each one's own.
        device: of networks and search.
        quiet: no progress bars.

    Raises:
        InputError: what cannot be read, or no such layer.
    """
    if not 1 <= num_neighbours <= KEPT:
        raise InputError(f"--neighbours {num_neighbours}: must be 1 to {KEPT}")
    found, missing = networks(
        ref, imagenet=imagenet, num_untrained=num_untrained, size_px=size_px
    )  # fmt: skip
    for one in (network for each in found.values() for network in each):
        one.encoder.to(device or torch.device("cpu"))
    rows = lookers(found, layer=layer, pool=pool, whole=whole)
    encoder = found[NETWORK][0].encoder
    sets = read_sets(
        data, split=split, among=among, kind=classes, level=level, per_clip=per_clip,
        max_clips=max_clips, max_queries=max_queries, num_frames=encoder.num_frames,
        step_s=own_step_s(ref), quiet=quiet,
    )  # fmt: skip
    turned = {
        degrees: [np.stack([turn_hue(one, degrees) for one in frames])
                  for frames in sets.queries.shown]
        for degrees in DEGREES
    }  # fmt: skip
    figures: dict[str, dict[str, float]] = {}
    spans: dict[str, dict[str, Any]] = {}
    hue: dict[str, list[float]] = {}
    looked: dict[str, Looked] = {}
    weights = metrics.redrawn(sets.query_groups.tolist())
    top = RECALLS[-1]
    total = sum(map(len, rows.values()))
    with progress_bar("neighbours", total=total, unit="network", quiet=quiet) as bar:
        for name, seeds in rows.items():
            each, overlaps = [], []
            for looker in seeds:
                bar.say(name)
                gallery = looker.embed(sets.gallery.shown)
                own = sets.find(looker, looker.embed(sets.queries.shown), gallery, device)
                looked.setdefault(name, Looked(looker=looker, gallery=gallery, found=own))
                each.append(judge(sets, own, num_neighbours=num_neighbours))
                other = [sets.find(looker, looker.embed(turned[d]), gallery, device)
                         for d in DEGREES]  # fmt: skip
                overlaps.append([near.overlap(own, one, top=top) for one in other])
                same = np.mean(overlaps[-1], axis=0)
                each[-1][f"hue overlap@{top}"] = (
                    float(same.mean()), (weights @ same) / weights.sum(axis=1),
                )  # fmt: skip
                bar.advance()
            figures[name] = {k: float(np.mean([one[k][0] for one in each])) for k in each[0]}
            spans[name] = {
                k: metrics.interval(np.concatenate([one[k][1] for one in each])) for k in each[0]
            }
            hue[name] = np.mean(overlaps, axis=(0, 2)).tolist()
    figures[BLIND] = blind(sets, num_neighbours=num_neighbours)
    names = list(figures[NETWORK])
    summary = {
        "kind": "neighbours",
        "title": f"Nearest neighbours of {encoder.name} at {rows[NETWORK][0].layer}",
        "ref": str(ref), "encoder": encoder.name, "data": str(data), "split": split,
        "gallery": list(among), "layer": rows[NETWORK][0].layer,
        "layers": {name: each[0].layer for name, each in rows.items() if each[0].layer},
        "pool": pool, "whole": whole, "num_neighbours": num_neighbours,
        "num_clips": len(set(sets.queries.clips.tolist())), "num_queries": len(sets.queries.rows),
        "num_gallery": len(sets.gallery.rows), "num_groups": len(set(sets.query_groups.tolist())),
        "classes": None if sets.classes is None else
        {"kind": classes, "names": list(sets.classes.names)},
        "metric": names[0], "better": "higher", "chance": figures[BLIND].get(names[0]),
        "metrics": names,
        "rows": {**figures, **{name: {"not run": why} for name, why in missing.items()}},
        "intervals": spans, "hue_degrees": list(DEGREES), "hue_overlap": hue,
        "note": "Frames of other groups only. A row that is not above the trivial ones finds what "
        "pixels or colour would; hue overlap is the share of a list that stays when the query's "
        "hue is turned, so it is high where colour is ignored, and also where all looks alike.",
    }  # fmt: skip
    if not figures[BLIND]:
        summary["rows"].pop(BLIND)
    return summary, sets, looked
