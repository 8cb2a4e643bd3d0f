"""What a labelled clip says of its action, and which of its frames and places are looked at.

    train        one moment, drawn        ─────────●───────
    evaluation   evenly spaced (V = 4)    ──●────●────●────●──     each seen at one place or at ten

A clip model sees T frames over `clip_s` seconds in place of each ●.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.transform.frames import Box

Crops = Literal["one", "flip", "ten"]
CROPS = ("one", "flip", "ten")
FIELDS = ("class", "action")
"""Labels that may hold the class: of the scripts of `datasets/`, and of the synthetic world."""
_ROUNDING_S = 1e-6


def class_of(row: ClipRow, field: str) -> str:
    """Gives the class in one label of a row, "" where there is none."""
    found = row.labels.get(field)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    return str(found).strip()


def known_field(catalog: Catalog, field: str) -> str:
    """Gives the label that holds the classes: `field`, or the first of `FIELDS` that rows have.

    Raises:
        InputError: no row has it.
    """
    rows = catalog.rows()
    for name in (field,) if field else FIELDS:
        if any(class_of(row, name) for row in rows):
            return name
    raise InputError(
        f"{catalog.directory}: no clip has the label {field or ' or '.join(FIELDS)!r}; make such a "
        "data set with datasets/ucf101, hmdb51, kinetics or plain_folder (a folder for each class)"
    )


def count_classes(catalog: Catalog, field: str) -> Counter[str]:
    """Gives class → number of clips in the split train."""
    train = catalog.select(split="train")
    found = Counter(class_of(row, field) for row in train.rows())
    del found[""]
    return found


def moments(
    row: ClipRow, shares: Sequence[float], *, num_frames: int, clip_s: float
) -> tuple[float, ...]:
    """Gives the times of all frames, view by view.

    Args:
        row: of the catalogue.
        shares: of each view, where it lies: 0 the earliest that there is room for, 1 the latest.
        num_frames: of a view.
        clip_s: how much of the video the frames of one view are spread over (at most all of it).
            Of one frame it is nothing.
    """
    length_s = min(clip_s, row.duration_s) if num_frames > 1 else 0.0
    starts = row.start_s + np.asarray(shares, dtype=np.float64) * (row.duration_s - length_s)
    within = (np.arange(num_frames) + 0.5) / num_frames * length_s
    # a moment at which a frame begins must not round down to the frame before, nor up to the end
    times = (starts[:, None] + within).ravel() + _ROUNDING_S
    return tuple(np.clip(times, row.start_s, np.nextafter(row.end_s, row.start_s)).tolist())


def even_shares(num_views: int) -> NDArray[np.float64]:
    """Gives the middles of equal parts: evenly spaced, as far from both ends as from each other."""
    return (np.arange(num_views) + 0.5) / num_views


def places(
    *, height_px: int, width_px: int, scale: float, crops: Crops, borders_px: Sequence[float]
) -> list[tuple[Box, bool]]:
    """Gives the squares that a frame is judged by, each with whether it is mirrored.

    Args:
        height_px: of the frame.
        width_px: of the frame.
        scale: side of the squares, as a share of the short side.
        crops: "one": the middle; "flip": and mirrored; "ten": four corners and the middle, each
            also mirrored.
        borders_px: still bars left, top, right, bottom, which stay out.
    """
    left, top, right, bottom = borders_px
    width, height = width_px - left - right, height_px - top - bottom
    side = min(width, height) * scale
    wide, tall = width - side, height - side
    shifts = [(0.5, 0.5)]
    if crops == "ten":
        shifts = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), *shifts]
    squares = [(float(left + x * wide), float(top + y * tall), float(side)) for x, y in shifts]
    mirrors = (False,) if crops == "one" else (False, True)
    return [(square, mirror) for mirror in mirrors for square in squares]
