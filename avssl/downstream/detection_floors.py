"""Blind guesses at detection: the same boxes in every picture.

- the mean box of each class, as sure as the class is frequent;
- up to five boxes of each class, taken one by one from those of the training pictures: each time
  the one that overlaps the most things (at 0.5 or more) which those before do not. Each is as sure
  as the share of pictures in which it adds something. Greedy, so nearly the best that sees nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.downstream.detection_metrics import IOU, Truth, overlaps

Floats = NDArray[np.float64]
MOST_BOXES = 5
_MOST_CANDIDATES = 400


def _of_class(truths: Sequence[Truth], number: int) -> tuple[Floats, NDArray[np.int64]]:
    """Gives the boxes of a class, [n, 4], and the picture of each."""
    boxes, places = [np.zeros((0, 4))], [np.zeros(0, dtype=np.int64)]
    for place, truth in enumerate(truths):
        own = truth.boxes[(truth.classes == number) & ~truth.ignored]
        boxes.append(own)
        places.append(np.full(len(own), place))
    return np.concatenate(boxes), np.concatenate(places)


def mean_boxes(truths: Sequence[Truth], num_classes: int) -> Floats:
    """Gives one detection for each class that there is, float64 [n, 6]."""
    rows = []
    for number in range(num_classes):
        boxes, places = _of_class(truths, number)
        if len(boxes):
            share = len(np.unique(places)) / len(truths)
            rows.append([*boxes.mean(axis=0), share, number])
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def constant_boxes(truths: Sequence[Truth], num_classes: int) -> Floats:
    """Gives up to five detections for each class, float64 [n, 6]; see the file's head."""
    rows: list[list[float]] = []
    for number in range(num_classes):
        boxes, places = _of_class(truths, number)
        if not len(boxes):
            continue
        chosen = np.linspace(0, len(boxes) - 1, min(len(boxes), _MOST_CANDIDATES)).astype(int)
        hit = overlaps(boxes[chosen], boxes) >= IOU
        free = np.ones(len(boxes), dtype=bool)
        for _ in range(MOST_BOXES):
            gains = (hit & free).sum(axis=1)
            best = int(gains.argmax())
            if not gains[best]:
                break
            share = len(np.unique(places[hit[best] & free])) / len(truths)
            rows.append([*boxes[chosen[best]], share, number])
            free &= ~hit[best]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)
