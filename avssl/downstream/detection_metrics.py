"""Figures of detection: VOC2007's average precision, and COCO's through torchmetrics.

VOC2007 (devkit, `VOCevaldet.m`): detections of a class go in the order of their scores; each looks
at the thing of its class that it overlaps most. At 0.5 or more it is right the first time and wrong
again after; at an ignored ("difficult") thing it is neither. The average precision is the mean,
over recalls 0, 0.1 … 1, of the highest precision at that recall or beyond.

Shapes: D detections [D, 6] (x0, y0, x1, y1, score, class); M things, boxes [M, 4].
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RIGHT, WRONG, IGNORED, NOTHING = 1, 0, -1, -2
IOU = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What is in one picture."""

    boxes: Floats
    """float64 [M, 4]."""
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]


def overlaps(one: Floats, other: Floats) -> Floats:
    """Gives intersection over union of boxes [D, 4] and [M, 4], float64 [D, M]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(np.clip(b[:, 2:] - b[:, :2], 0, None), axis=-1) for b in (one, other)]
    union = areas[0][:, None] + areas[1][None] - inside
    return inside / np.maximum(union, 1e-12)


def judged(found: Floats, truth: Truth, *, iou: float = IOU) -> NDArray[np.int64]:
    """Says of each detection whether it is RIGHT, WRONG, IGNORED, or NOTHING (score 0); [D]."""
    states = np.full(len(found), NOTHING, dtype=np.int64)
    taken = np.zeros(len(truth.boxes), dtype=bool)
    each = overlaps(found[:, :4], truth.boxes)
    each = np.where(found[:, 5:6].astype(np.int64) == truth.classes[None], each, -1.0)
    for index in np.argsort(-found[:, 4], kind="stable"):
        if found[index, 4] <= 0:
            continue
        best = int(each[index].argmax()) if each.shape[1] else -1
        if best < 0 or each[index, best] < iou:
            states[index] = WRONG
        elif truth.ignored[best]:
            states[index] = IGNORED
        else:
            states[index] = WRONG if taken[best] else RIGHT
            taken[best] = True
    return states


def eleven_points(scores: Floats, right: NDArray[np.bool_], num_things: int) -> float:
    """Gives VOC2007's average precision of one class; NaN where there is no thing of it.

    Args:
        scores: of the detections that count, [n].
        right: which of them are, [n].
        num_things: to be found.
    """
    if not num_things:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = hits / num_things
    precision = hits / np.arange(1, len(hits) + 1)
    levels = np.arange(11) / 10
    best = [precision[recall >= level - 1e-12].max(initial=0.0) for level in levels]
    return float(np.mean(best))


def voc_precisions(
    found: Sequence[Floats],
    states: Sequence[NDArray[np.int64]],
    counts: NDArray[np.int64],
) -> Floats:
    """Gives the average precision of each class, float64 [C], NaN where there is none of it.

    Args:
        found: detections of each picture.
        states: of `judged`, of each picture.
        counts: things of each class that are not ignored, [C].
    """
    whole = np.concatenate([one.reshape(-1, 6) for one in found])
    state = np.concatenate(list(states))
    figures = []
    for number, count in enumerate(counts):
        counted = (whole[:, 5] == number) & (state >= WRONG)
        figures.append(eleven_points(whole[counted, 4], state[counted] == RIGHT, int(count)))
    return np.array(figures)


def mean_precision(each: Floats) -> float:
    """Gives the mean over the classes that are there; NaN where none is."""
    known = each[np.isfinite(each)]
    return float(known.mean()) if len(known) else float("nan")


def coco_figures(found: Sequence[Floats], truths: Sequence[Truth]) -> dict[str, float]:
    """Gives COCO's mAP, map_50 and map_75 (pycocotools through torchmetrics).

    Things that are ignored count as crowds: what lies mostly inside them is neither right nor
    wrong. Figures that there are no things for are left out.
    """
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    metric: Any = MeanAveragePrecision(box_format="xyxy", iou_type="bbox")
    metric.warn_on_many_detections = False
    for one, truth in zip(found, truths, strict=True):
        kept = one[one[:, 4] > 0]
        answer = {
            "boxes": torch.from_numpy(kept[:, :4]).float(),
            "scores": torch.from_numpy(kept[:, 4].copy()).float(),
            "labels": torch.from_numpy(kept[:, 5].astype(np.int64)),
        }
        wanted = {
            "boxes": torch.from_numpy(truth.boxes).float().reshape(-1, 4),
            "labels": torch.from_numpy(truth.classes.astype(np.int64)),
            "iscrowd": torch.from_numpy(truth.ignored.astype(np.int64)),
        }
        metric.update([answer], [wanted])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = metric.compute()
    figures = {name: float(whole[key]) for name, key in _COCO.items()}
    return {name: value for name, value in figures.items() if value >= 0}


_COCO = {"coco_map": "map", "coco_map_50": "map_50", "coco_map_75": "map_75"}
