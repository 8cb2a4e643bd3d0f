"""Boxes of people and things in the synthetic world, from `truth/<split>/<clip>.json`.

Boxes are of what is seen, measured from the picture's corner. What shows fewer pixels than a
square of a sixteenth of the picture's height is ignored, as VOC's difficult things are: ours.
"""

import os
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.labels.boxes import Boxed, BoxedImage, BoxSet, clipped
from avssl.labels.reading import file_name, read_json, refusing

SPLITS = ("train", "validation", "test")
EVERY_FRAMES = 12
"""Two a second at 25 frames a second, from the sixth."""
_LEAST_SHARE = 1 / 16


def read_world_boxes(world: str | os.PathLike[str], *, every_frames: int = EVERY_FRAMES) -> BoxSet:
    """Reads every so manyth frame of all clips; classes are "person" and the kinds of things.

    Raises:
        InputError: no finished world there.
    """
    root = Path(world)
    images: list[BoxedImage] = []
    for split in SPLITS:
        for path in sorted((root / "truth" / split).glob("*.json")):
            truth = read_json(path)
            with refusing(path, "the truth"):
                images += _frames(truth, path, split, every_frames)
    if not images:
        raise InputError(f"{root}: no truth of a world there; name a folder of tools/make_world.py")
    kinds = {thing.label for image in images for thing in image.things} - {"person"}
    return BoxSet(
        classes=("person", *sorted(kinds)),
        root=root,
        images=images,
        meta={"format": "avssl world", "licence": "Apache-2.0"},
    )


def _frames(truth: dict[str, Any], path: Path, split: str, every_frames: int) -> list[BoxedImage]:
    size = (float(truth["width_px"]), float(truth["height_px"]))
    least = (_LEAST_SHARE * size[1]) ** 2
    owners = [("person", one) for one in truth["people"]]
    owners += [(str(one["kind"]), one) for one in truth["things"]]
    found = []
    for frame in range(every_frames // 2, int(truth["num_frames"]), every_frames):
        things = []
        for label, one in owners:
            box = clipped(one["boxes_px"][frame], size)
            if box is not None:
                hidden = float(one["areas_px"][frame]) < least
                things.append(Boxed(label=label, box_px=box, ignored=hidden))
        video = file_name(truth["video"], source=path)
        found.append(
            BoxedImage(path=video, things=tuple(things), split=split, group=path.stem, frame=frame)
        )
    return found
