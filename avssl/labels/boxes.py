"""What every format of boxes is read into: pictures, and which class of thing is where in them.

Boxes are measured from the picture's corner, (x0, y0, x1, y1) in px: a thing that fills the first
pixel has the box (0, 0, 1, 1). (Joints, in `avssl.labels.records`, name centres of pixels.)

    BoxSet(classes, images) → BoxedImage(path, things) → Boxed(label, box_px, ignored)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avssl.errors import InputError
from avssl.labels.records import Box


@dataclass(frozen=True, kw_only=True)
class Boxed:
    """One thing in one picture."""

    label: str
    box_px: Box
    ignored: bool = False
    """VOC's "difficult", COCO's crowds: not trained on, and neither right nor wrong if found."""

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box_px
        if not (x1 > x0 and y1 > y0):
            raise ValueError(f"box {self.box_px}: must have a size")


@dataclass(frozen=True, kw_only=True)
class BoxedImage:
    """A picture with its things: a file, or a frame of a video."""

    path: str
    """File relative to the set's root: a picture, or a video where `frame` is given."""
    things: tuple[Boxed, ...]
    split: str
    """"train", "validation" or "test"."""
    group: str = ""
    """Pictures that must stay in one split share it; "": the path."""
    frame: int | None = None
    """Frame of the video, counted from 0 in order of presentation."""


@dataclass(frozen=True, kw_only=True)
class BoxSet:
    """All that a format said."""

    classes: tuple[str, ...]
    root: Path
    images: Sequence[BoxedImage]
    notes: tuple[str, ...] = ()
    """One line each: what was left out and why, with counts."""
    meta: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise InputError(f"classes {self.classes}: names must differ, and there must be one")
        known = set(self.classes)
        for image in self.images:
            for thing in image.things:
                if thing.label not in known:
                    raise ValueError(f"{image.path}: class {thing.label!r} is not listed")


def clipped(box: Sequence[float], size_px: tuple[float, float]) -> Box | None:
    """Gives the part of a box inside the picture (width, height); None where there is none."""
    width, height = size_px
    x0, x1 = (min(max(float(x), 0.0), width) for x in (box[0], box[2]))
    y0, y1 = (min(max(float(y), 0.0), height) for y in (box[1], box[3]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def present(images: Sequence[BoxedImage], root: Path) -> tuple[list[BoxedImage], str]:
    """Leaves out pictures whose file is not there; gives a note, "" where all are.

    Raises:
        InputError: none is there.
    """
    there = {path: (root / path).is_file() for path in {image.path for image in images}}
    missing = sorted(path for path, found in there.items() if not found)
    if missing and len(missing) == len(there):
        raise InputError(
            f"{root}: none of the {len(missing)} pictures is there (such as {missing[0]}); "
            "name the folder that holds them"
        )
    note = (
        f"{len(missing)} pictures whose file is not there (such as {missing[0]})" if missing else ""
    )
    return [image for image in images if there[image.path]], note
