"""What probes are asked to find: classes of clips, things in view, geometric numbers.

A sample is one frame's middle square (or one second of sound) of a clip:

    row of the catalogue    160 x 120, 8 s      frames at 1/6, 3/6, 5/6 of its length (three a clip)
    what is shown             ┌──┬────┬──┐
                              │  │    │  │      the middle 120 x 120; places are shares of its side
                              └──┴────┴──┘

Classes ("--classes NAME"):

    sounding   what sounds, at one level of its tree (retrieval's classes), class folders
    view       everything in view of the frame, several at once, as VOC07's: the world only
    NAME       any label of the clips that is a text: "action", "scene_kind", "camera_move" …

Numbers, where the labels or the catalogue hold them: "motion" (log of the flow around the frame: no
labels needed), and of the world and of motion capture "person place", "person height", "depth",
"joints" (from the person's middle, in its heights), "thing place" (what sounds, else the largest).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.errors import InputError
from avssl.labels.sounding import LEAST_AREA, class_path

SOUNDING, VIEW = "sounding", "view"
_LEAST_MOTION = 1e-4
_FAR = 1.5
"""Joints further out than this many sides of the square are no truth about the picture."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClassTruth:
    """Classes of samples."""

    names: tuple[str, ...]
    """K of them."""
    marks: NDArray[np.bool_]
    """bool [N, K]."""
    told: NDArray[np.bool_]
    """bool [N]: samples whose class is known; others neither train nor count."""
    single: bool
    """One class a clip: the scores of a clip's samples are averaged before it is judged."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """int64 [N]: number of the class, where there is one (`single`)."""
        return self.marks.argmax(axis=1)


def middle_square(row: ClipRow) -> tuple[int, int, int]:
    """Gives left, top and side of what is shown, in pixels of the stored frame."""
    side = min(row.width_px, row.height_px)
    return (row.width_px - side) // 2, (row.height_px - side) // 2, side


def sample_times_s(row: ClipRow, num: int) -> Floats:
    """Gives times of `num` frames, evenly spaced: the middles of equal parts, float64 [num]."""
    places = ((np.arange(num) + 0.5) / num * row.num_frames).astype(np.int64)
    return row.frame_times_s[places]


def class_truth(
    rows: Sequence[ClipRow], times_s: Sequence[float], *, kind: str, level: int | None = None
) -> ClassTruth | None:
    """Gives the classes of samples; None where fewer than two occur.

    Args:
        rows: N rows, one a sample.
        times_s: N times.
        kind: see the file's head.
        level: of the tree of "sounding", 0 is its root; None: the second where there is one.
    """
    if kind == VIEW:
        found = [_in_view(row, time_s) for row, time_s in zip(rows, times_s, strict=True)]
    else:
        found = [_one_class(row, kind, level) for row in rows]
    names = sorted({name for one in found for name in one or ()})
    if len(names) < 2:
        return None
    marks = np.array([[name in (one or ()) for name in names] for one in found])
    return ClassTruth(
        names=tuple(names),
        marks=marks,
        told=np.array([one is not None for one in found]),
        single=kind != VIEW,
    )


def _one_class(row: ClipRow, kind: str, level: int | None) -> tuple[str, ...] | None:
    if kind != SOUNDING:
        text = row.labels.get(kind)
        return (text,) if isinstance(text, str) else None
    path = class_path(row)
    if not path:
        return None
    return (path[min(1 if level is None else level, len(path) - 1)],)


def _in_view(row: ClipRow, time_s: float) -> tuple[str, ...] | None:
    if "things" not in row.labels or "people" not in row.labels:
        return None
    found = {str(one["kind"]) for one in row.labels["things"] if _box(row, one, time_s) is not None}
    if any(_box(row, one, time_s) is not None for one in row.labels["people"]):
        found.add("person")
    return tuple(found)


def _place(row: ClipRow, time_s: float, count: int) -> int:
    """Gives the number of a frame's truth: labels tell the whole video, a clip may be a part."""
    in_source_s = time_s - row.start_s + row.source_start_s + 1e-3
    return int(np.clip(in_source_s * row.labels.get("fps", 0.0), 0, count - 1))


def _to_square(row: ClipRow, points: Any) -> Floats:
    """Takes points [..., 2] in pixels of the truth to shares of the square's side."""
    left, top, side = middle_square(row)
    scale = row.width_px / row.labels["width_px"], row.height_px / row.labels["height_px"]
    return (np.asarray(points, dtype=np.float64) * scale - (left, top)) / side


def _box(row: ClipRow, one: dict[str, Any], time_s: float) -> Floats | None:
    """Gives what is seen of a box in the square, [[x0, y0], [x1, y1]]; None: too little."""
    boxes = one.get("boxes_px")
    if not boxes:
        return None
    corners = np.asarray(boxes[_place(row, time_s, len(boxes))], dtype=np.float64).reshape(2, 2)
    seen = _to_square(row, corners).clip(0, 1)
    return seen if float(np.prod(seen[1] - seen[0])) >= LEAST_AREA else None


def geometric_truth(rows: Sequence[ClipRow], times_s: Sequence[float]) -> dict[str, Floats]:
    """Gives numbers to predict: name → float64 [N, T], NaN where a frame has none.

    What fewer than two samples have is left out.
    """
    each = [_numbers(row, time_s) for row, time_s in zip(rows, times_s, strict=True)]
    found = {}
    for name in dict.fromkeys(name for one in each for name in one):
        widths = {one[name].size for one in each if name in one}
        if len(widths) > 1 or sum(name in one for one in each) < 2:
            continue  # people with other joints in one set
        nothing = np.full(widths.pop(), np.nan)
        found[name] = np.stack([one.get(name, nothing) for one in each])
    return found


def _numbers(row: ClipRow, time_s: float) -> dict[str, Floats]:
    found = {}
    if len(row.motion):
        window = int(np.clip((time_s - row.start_s) / row.window_s, 0, len(row.motion) - 1))
        found["motion"] = np.log(np.maximum(row.motion[[window]], _LEAST_MOTION))
    labels = row.labels
    if not all(name in labels for name in ("fps", "width_px", "height_px")):
        return found
    people = [one for one in labels.get("people", ()) if _box(row, one, time_s) is not None]
    if people:
        found |= _person(row, max(people, key=lambda one: _area(row, one, time_s)), time_s)
    things = [one for one in labels.get("things", ()) if _box(row, one, time_s) is not None]
    if things:
        chosen = max(things, key=lambda one: (one["sounding"], _area(row, one, time_s)))
        seen = _box(row, chosen, time_s)
        assert seen is not None
        found["thing place"] = seen.mean(axis=0)
    return found


def _area(row: ClipRow, one: dict[str, Any], time_s: float) -> float:
    seen = _box(row, one, time_s)
    return 0.0 if seen is None else float(np.prod(seen[1] - seen[0]))


def _person(row: ClipRow, one: dict[str, Any], time_s: float) -> dict[str, Floats]:
    boxes = one["boxes_px"]
    at = _place(row, time_s, len(boxes))
    box = _to_square(row, np.reshape(boxes[at], (2, 2)))
    middle, height = box.mean(axis=0), box[1, 1] - box[0, 1]
    found = {"person place": middle, "person height": np.array([height])}
    if one.get("depth_m"):
        depths = np.asarray(one["depth_m"][at], dtype=np.float64)
        if np.isfinite(depths).all() and depths.min() > 0:
            found["depth"] = np.log(depths.mean(keepdims=True))
    if one.get("keypoints_px"):
        joints = _to_square(row, one["keypoints_px"][at])
        if np.isfinite(joints).all() and np.abs(joints - 0.5).max() <= _FAR and height > 0:
            found["joints"] = ((joints - middle) / height).ravel()
    return found


def check_kind(kind: str, rows: Sequence[ClipRow]) -> None:
    """Refuses a kind of classes that no clip has.

    Raises:
        InputError: it is neither "sounding" nor "view" nor a text among the labels of a clip.
    """
    if kind in (SOUNDING, VIEW) or any(isinstance(row.labels.get(kind), str) for row in rows):
        return
    texts = {key for row in rows for key, value in row.labels.items() if isinstance(value, str)}
    known = ", ".join([SOUNDING, VIEW, *sorted(texts)[:12]])
    raise InputError(f"--classes {kind!r}: no clip has such a label; there are {known}")
