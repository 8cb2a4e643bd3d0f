"""What sounds in a picture, and what could but does not: truth for localisation.

Two forms are read from `ClipRow.labels`:

    {"sounding": {"time_s": 5.0, "class": "…", "boxes": [[x0, y0, x1, y1], …], "annotators": […]}}
    the synthetic world's truth (docs/world.md): boxes of everything, in every frame

Boxes are shares of the picture (0…1). "annotators" (a list of boxes for each person) is given where
several drew boxes: Flickr-SoundNet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avssl.catalog import ClipRow

Box = tuple[float, float, float, float]
LEAST_AREA = 0.003
"""Of the picture: a thing that shows less of itself is not in view."""


FAMILIES = {
    "drum": "struck", "cymbal": "struck", "xylophone": "struck", "bell": "struck",
    "hammer": "struck", "keyboard": "strings", "guitar": "strings", "flute": "wind",
    "ball": "floor", "footsteps": "floor", "clock": "clockwork",
}  # fmt: skip
"""Kind of sound in the world → family: the upper level of its tree of classes."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One picture of a clip with its truth."""

    row: int
    time_s: float
    name: str
    """Class of what sounds."""
    boxes: tuple[Box, ...]
    """Of what sounds; empty: it is out of view."""
    annotators: tuple[tuple[Box, ...], ...] = ()
    others: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    """Class → boxes of what is in view and could sound, but does not."""


def has_truth(row: ClipRow) -> bool:
    """Whether the row says what sounds in it."""
    return "sounding" in row.labels or _is_world(row)


def moments_of(index: int, row: ClipRow, *, times_s: Sequence[float]) -> list[Moment]:
    """Gives the moments of a clip: the annotated one, or in the world those asked for.

    Args:
        index: the row's number.
        row: the clip.
        times_s: wanted, for truth that covers the whole clip.
    """
    if "sounding" in row.labels:
        told: Mapping[str, Any] = row.labels["sounding"]
        time_s = float(told.get("time_s", row.start_s + row.duration_s / 2))
        return [
            Moment(
                row=index,
                time_s=time_s,
                name=str(told.get("class", "")),
                boxes=_boxes(told.get("boxes", ())),
                annotators=tuple(_boxes(boxes) for boxes in told.get("annotators", ())),
            )
        ]
    if not _is_world(row):
        return []
    return [_world_moment(index, row, time_s) for time_s in times_s]


def _boxes(found: Any) -> tuple[Box, ...]:
    return tuple(
        (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        for box in found
        if len(box) == 4
    )


def _is_world(row: ClipRow) -> bool:
    return "world_version" in row.labels and "things" in row.labels


def _world_moment(index: int, row: ClipRow, time_s: float) -> Moment:
    labels = row.labels
    frame = int(np.searchsorted(row.frame_times_s, time_s + 1e-6, side="right")) - 1
    size = np.array([labels["width_px"], labels["height_px"]] * 2, dtype=np.float64)
    sounding: list[Box] = []
    others: dict[str, list[Box]] = {}
    for thing in [*labels["things"], *labels["people"]]:
        boxes = thing["boxes_px"]
        box = np.asarray(boxes[min(frame, len(boxes) - 1)], dtype=np.float64) / size
        x0, y0, x1, y1 = box.tolist()
        if (x1 - x0) * (y1 - y0) < LEAST_AREA:
            continue
        # a person sounds by walking; anybody in view could be
        kind = str(thing.get("kind", "footsteps"))
        if thing["sounding"]:
            sounding.append((x0, y0, x1, y1))
        else:
            others.setdefault(kind, []).append((x0, y0, x1, y1))
    name = str(labels["sound_kind"])
    return Moment(
        row=index,
        time_s=time_s,
        name=name,
        boxes=tuple(sounding),
        others={kind: tuple(found) for kind, found in others.items() if kind != name},
    )


def class_path(row: ClipRow) -> tuple[str, ...]:
    """Gives the class of what sounds, from the root of the tree: (family, kind, instance) in the
    world, "class_path" where a tree is labelled (AudioSet, games), (class,) where a class is, else
    ()."""
    if _is_world(row):
        kind = str(row.labels["sound_kind"])
        things = [*row.labels["things"], *row.labels["people"]]
        names = [str(one.get("name") or one.get("body")) for one in things if one["sounding"]]
        return FAMILIES.get(kind, "other"), kind, names[0] if names else "unknown"
    told = row.labels.get("sounding", row.labels)
    if not isinstance(told, dict):
        return ()
    path, name = told.get("class_path"), told.get("class")
    if isinstance(path, list) and path and all(isinstance(step, str) for step in path):
        return tuple(path)
    return (str(name),) if name else ()
