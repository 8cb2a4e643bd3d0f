"""What a labelled row says: its person, what is shown of it, what errors are divided by.

Works on the rows that `avssl.prepare.images.write_labelled` makes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.transform.poses import View, box_around

Floats = NDArray[np.float64]
CROPS = ("auto", "person", "joints", "picture")
BOX_MARGIN = 1.25
"""A person's box is shown this much larger (SimpleBaseline and MPII's scale × 200 × 1.25)."""
JOINTS_MARGIN = 1.5
"""So is the box around the labelled joints, where nothing else is known."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The joints that a data set knows."""

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int], ...]
    normaliser: str


def labels_of(row: ClipRow) -> Mapping[str, Any] | None:
    """Gives the cells of a labelled row, None for any other."""
    found = row.labels.get("keypoints")
    return found if isinstance(found, dict) and "joints_px" in found else None


def read_labels(catalog: Catalog) -> Labels:
    """Gives the joints of a data set.

    Raises:
        InputError: it has no labelled rows, or rows of different skeletons.
    """
    kinds: set[Labels] = set()
    for row in catalog.rows():
        cells = labels_of(row)
        if cells is not None:
            kinds.add(
                Labels(
                    names=tuple(cells["names"]),
                    flip_pairs=tuple((int(a), int(b)) for a, b in cells["flip_pairs"]),
                    edges=tuple((int(a), int(b)) for a, b in cells["edges"]),
                    normaliser=str(cells["normaliser"]),
                )
            )
    if not kinds:
        raise InputError(
            f"{catalog.directory}: no labelled joints there; make such a data set with "
            "datasets/coco, datasets/flic, datasets/mpii or datasets/deeplabcut"
        )
    if len(kinds) > 1:
        raise InputError(f"{catalog.directory}: {len(kinds)} different skeletons in one data set")
    return kinds.pop()


def joints_of(cells: Mapping[str, Any]) -> Floats:
    """Gives float64 [K, 2], NaN where a joint is not labelled."""
    nothing = (np.nan, np.nan)
    return np.array([point or nothing for point in cells["joints_px"]], dtype=np.float64)


def normaliser_px(row: ClipRow, kind: str) -> float:
    """Gives the length that errors are divided by, px; NaN where it is not known."""
    from avssl.downstream.keypoint_metrics import normaliser_px as of

    cells = labels_of(row)
    assert cells is not None
    joints = joints_of(cells)
    box, head = cells.get("box_px") or box_around(joints), cells.get("head_box_px")
    if kind == "head" and head is None:  # MPII's training JSON has none
        return float("nan")
    value = of(
        kind,
        joints[None],
        tuple(cells["names"]),
        head_box=None if head is None else np.asarray(head, dtype=np.float64)[None],
        box=None if box is None else np.asarray(box, dtype=np.float64)[None],
        picture_size=np.array([[row.width_px, row.height_px]], dtype=np.float64),
    )[0]
    return float(value) if value > 0 else float("nan")


def default_threshold(normaliser: str) -> float:
    """Gives the threshold by which a set is judged: PCKh@0.5, else PCK@0.2 (a box: 0.1)."""
    return {"head": 0.5, "box": 0.1, "picture": 0.05}.get(normaliser, 0.2)


def standing_view(row: ClipRow, *, crop: str, size_px: int) -> View:
    """Gives what is shown of a row without any random change.

    Args:
        row: a labelled row.
        crop: "person": its box (or MPII's centre and scale, 15 px lower per 200 px of height, as
            published code does) and a quarter more; "joints": the box around the labelled joints
            times 1.5; "picture": all of it.
        size_px: side of the crop.
    """
    cells = labels_of(row)
    assert cells is not None
    if crop == "person" and cells.get("box_px"):
        x0, y0, x1, y1 = cells["box_px"]
        side = max(x1 - x0, y1 - y0) * BOX_MARGIN
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
    elif crop == "person" and cells.get("centre_px") and cells.get("height_px"):
        x, y = cells["centre_px"]
        side = cells["height_px"] * BOX_MARGIN
        centre = (x, y + 15 / 200 * cells["height_px"])
    elif crop != "picture" and (box := box_around(joints_of(cells))):
        x0, y0, x1, y1 = box
        side = max(x1 - x0, y1 - y0) * JOINTS_MARGIN
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
    else:
        side = max(row.width_px, row.height_px)
        centre = ((row.width_px - 1) / 2, (row.height_px - 1) / 2)
    side = max(float(side), 8.0)
    return View(
        centre_px=(float(centre[0]), float(centre[1])), sides_px=(side, side), size_px=size_px
    )


def first_labels(catalog: Catalog, num: int, *, seed: int) -> NDArray[np.int64]:
    """Gives `num` training rows, an order by hash: 25 are the first 25 of 50, whatever the set."""

    def key(index: int) -> str:
        name = catalog.row(int(index)).clip_id
        return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()

    rows = [k for k, row in enumerate(catalog.rows()) if labels_of(row) is not None]
    if num <= 0 or num >= len(rows):
        return np.asarray(rows, dtype=np.int64)
    return np.asarray(sorted(sorted(rows, key=key)[:num]), dtype=np.int64)


def mean_pose(catalog: Catalog, rows: Sequence[int], *, crop: str) -> Floats:
    """Gives the mean place of each joint in the crop, in shares of its side, [K, 2]."""
    places = []
    for index in rows:
        row = catalog.row(int(index))
        cells = labels_of(row)
        assert cells is not None
        view = standing_view(row, crop=crop, size_px=1)
        matrix = view.matrix()
        places.append(joints_of(cells) @ matrix[:, :2].T + matrix[:, 2])
    stacked = np.stack(places)
    known = np.isfinite(stacked)
    counts = known.sum(axis=0)
    sums = np.where(known, stacked, 0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
