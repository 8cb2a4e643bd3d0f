"""VGG-SS: boxes around what sounds, for the middle frame of 10-s clips; and its lists of clips.

    found = read_vggss("vggss.json")
    found.items["Db6Hjt0x28k_000056"].boxes      # shares of the picture, 0…1

papers.md §3.1: a list of {"file": "<id>_<start>", "class", "bbox": [[x0, y0, x1, y1], …]}. Twelve
of the published boxes lie outside 0…1 (corners of -2.88e16), eighteen have no area, two clips have
no box that is left: boxes are cut to the picture, those without area left out, clips that stand in
it twice are joined, and all of it is counted.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.errors import InputError

Box = tuple[float, float, float, float]
MIDDLE_S = 5.0
"""The annotated frame is in the middle of ten seconds."""
MAX_NUM_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class SoundingItem:
    """Truth of one clip."""

    name: str
    label: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class SoundingSet:
    """A file of truth, and what was wrong in it."""

    items: Mapping[str, SoundingItem]
    num_cut: int
    """Boxes that reached out of the picture."""
    num_degenerate: int
    """Boxes without area, after cutting: left out."""
    num_empty: int
    """Clips that have no box left."""
    num_repeated: int
    """Entries of a clip that was there before: their boxes are added to it."""

    def __str__(self) -> str:
        return (
            f"{len(self.items)} clips, {self.num_cut} boxes cut to the picture, "
            f"{self.num_degenerate} without area left out, {self.num_empty} clips without a box, "
            f"{self.num_repeated} entries of a clip that was there before"
        )


def read_vggss(path: str | Path) -> SoundingSet:
    """Reads `vggss.json`.

    Raises:
        InputError: no such file, or another layout; names the entry.
    """
    entries = _json(Path(path))
    if not isinstance(entries, list):
        raise InputError(f"{path}: must be a list of clips")
    items: dict[str, SoundingItem] = {}
    num_cut = num_degenerate = num_repeated = 0
    for number, entry in enumerate(entries):
        try:
            name, label = str(entry["file"]), str(entry["class"])
            corners = [[float(value) for value in box] for box in entry["bbox"]]
            if any(len(box) != 4 for box in corners):
                raise ValueError("a box has four numbers")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: entry {number} must have file, class and bbox ({error!r})"
            ) from error
        boxes = []
        for box in corners:
            x0, y0, x1, y1 = (
                min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0 for value in box
            )
            num_cut += [x0, y0, x1, y1] != box
            if x1 > x0 and y1 > y0:
                boxes.append((x0, y0, x1, y1))
            else:
                num_degenerate += 1
        if name in items:
            num_repeated += 1
            boxes = list(dict.fromkeys((*items[name].boxes, *boxes)))
        items[name] = SoundingItem(name=name, label=label, boxes=tuple(boxes))
    return SoundingSet(
        items=items,
        num_cut=num_cut,
        num_degenerate=num_degenerate,
        num_empty=sum(not item.boxes for item in items.values()),
        num_repeated=num_repeated,
    )


def read_ids(path: str | Path) -> list[str]:
    """Reads a list of clips: one name a line, or the first column of a CSV; suffixes fall away.

    Raises:
        InputError: no such file, or nothing in it.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.split(",")[0].strip().strip('"') for line in lines]
    found = [name.rsplit("/", 1)[-1] for name in names if name and not name.startswith("#")]
    for suffix in (".mp4", ".wav", ".mp3", ".jpg", ".png", ".xml", ".mkv", ".webm"):
        found = [name.removesuffix(suffix) for name in found]
    if found and found[0].lower() in ("video", "file", "id"):
        found = found[1:]
    if not found:
        raise InputError(f"{path}: no clips in it")
    return found


def refuse_leak(
    training: Iterable[str], test: Iterable[str], *, training_name: str, test_name: str
) -> None:
    """Refuses a training list that holds clips of the test set.

    The published `vggss_144k.txt` holds 3709 of the 5158 test clips (papers.md §0).

    Raises:
        InputError: there are any; says how many, and which are first.
    """
    inside = sorted(set(test))
    wanted = set(training)
    shared = [name for name in inside if name in wanted]
    if shared:
        raise InputError(
            f"{training_name}: holds {len(shared)} of the {len(inside)} clips of {test_name} "
            f"({', '.join(shared[:3])}…); take a list without them, or --drop-leaked"
        )


def _json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: larger than {MAX_NUM_BYTES >> 20} MiB, so no file of boxes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error
