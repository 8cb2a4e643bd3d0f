"""What a row with boxes says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.downstream.detection_metrics import Truth
from avssl.errors import InputError

NAME = "boxes"
THING, IGNORED = 1, 2
"""States of the things of a batch; 0 is none."""


def has_boxes(row: ClipRow) -> bool:
    """Whether the row was made with boxes, be they none in this picture."""
    cell = row.labels.get(NAME)
    return isinstance(cell, dict) and {"names", "boxes_px", "classes", "ignored"} <= cell.keys()


def has_things(row: ClipRow) -> bool:
    """Whether there is something in the picture to be found."""
    return has_boxes(row) and not all(row.labels[NAME]["ignored"])


def truth_of(row: ClipRow) -> Truth:
    """Gives the things of a row, in px of the stored picture."""
    cell: dict[str, Any] = row.labels[NAME]
    return Truth(
        boxes=np.array(cell["boxes_px"], dtype=np.float64).reshape(-1, 4),
        classes=np.array(cell["classes"], dtype=np.int64),
        ignored=np.array(cell["ignored"], dtype=bool),
    )


def read_classes(catalog: Catalog) -> tuple[tuple[str, ...], int]:
    """Gives the classes of a data set, and the most things in one picture.

    Raises:
        InputError: no row has boxes, or rows of different classes.
    """
    names: set[tuple[str, ...]] = set()
    most = 0
    for row in catalog.rows():
        if has_boxes(row):
            names.add(tuple(row.labels[NAME]["names"]))
            most = max(most, len(row.labels[NAME]["classes"]))
    if not names:
        raise InputError(
            f"{catalog.directory}: no boxes there; make such a data set with datasets/voc07, "
            "datasets/coco_boxes or datasets/world_truth"
        )
    if len(names) > 1:
        raise InputError(f"{catalog.directory}: {len(names)} lists of classes in one data set")
    return names.pop(), most


def counts_of(truths: Sequence[Truth], num_classes: int) -> NDArray[np.int64]:
    """Gives the number of things of each class that are to be found, [C]."""
    classes = [truth.classes[~truth.ignored] for truth in truths]
    return np.bincount(np.concatenate(classes), minlength=num_classes)


def truths_of(batch: Mapping[str, Any]) -> list[Truth]:
    """Gives the things of each picture of a batch."""
    boxes, classes, state = (batch[name].cpu().numpy() for name in ("boxes", "classes", "state"))
    return [
        Truth(boxes=b[s > 0].astype(np.float64), classes=c[s > 0], ignored=s[s > 0] == IGNORED)
        for b, c, s in zip(boxes, classes, state, strict=True)
    ]
