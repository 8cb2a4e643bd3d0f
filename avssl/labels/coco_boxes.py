"""COCO's boxes (Lin and others, ECCV 2014): `instances_val2017.json`, and files of that layout.

    {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
     "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "iscrowd"}]}

Boxes are measured from the picture's corner. A crowd's box is neither right nor wrong if found.
Numbers of categories have gaps (80 of 1 to 90). With `video` and `frame_index` a picture is
a frame.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.labels.boxes import Boxed, BoxedImage, BoxSet, clipped, present
from avssl.labels.reading import (
    MAX_COUNT,
    file_name,
    notes_of,
    read_json,
    refusing,
    split_of_name,
)


def read_coco_boxes(
    json_paths: Sequence[str | os.PathLike[str]],
    *,
    images_root: str | os.PathLike[str],
    splits: Sequence[str] = (),
) -> BoxSet:
    """Reads one or more files of one set.

    Args:
        json_paths: such as `instances_train2017.json` and `instances_val2017.json`.
        images_root: the folder of the pictures; a file's pictures are looked for in the folder
            that its name ends with too (`train2017`).
        splits: "train", "validation" or "test" of each file, where its name does not tell.

    Returns:
        Pictures without a box stay: there is nothing to be found in them.

    Raises:
        InputError: not of this layout, categories that differ, or none of the pictures is there.
    """
    root, counts = Path(images_root), Counter[str]()
    images: list[BoxedImage] = []
    classes: tuple[str, ...] = ()
    if not json_paths:
        raise InputError("no label file was given")
    for place, one in enumerate(json_paths):
        path = Path(one)
        split = splits[place] if splits else split_of_name(path.stem)
        if split not in ("train", "validation", "test"):
            raise InputError(f"{path}: the name tells no split; say which it is")
        names, found = _read(path, root, split, counts)
        if classes and names != classes:
            raise InputError(f"{path}: other categories than in {json_paths[0]}; read them apart")
        classes = names
        images += found
    kept, note = present(images, root)
    return BoxSet(
        classes=classes,
        root=root,
        images=kept,
        notes=(*notes_of(counts), *([note] if note else [])),
        meta={"format": "COCO boxes", "licence": "see the site"},
    )


def _read(
    path: Path, root: Path, split: str, counts: Counter[str]
) -> tuple[tuple[str, ...], list[BoxedImage]]:
    data = read_json(path)
    lists = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), list) for name in lists):
        raise InputError(f"{path}: not in COCO's layout (lists images, annotations, categories)")
    with refusing(path, "categories"):
        names = {row["id"]: str(row["name"]) for row in data["categories"]}
    pictures: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(data["images"], start=1):
        with refusing(path, f"image {number}"):
            if row["id"] in pictures:
                raise ValueError(f"id {row['id']} is there twice")
            pictures[row["id"]] = row
    things: dict[Any, list[Boxed]] = {}
    for number, row in enumerate(data["annotations"], start=1):
        with refusing(path, f"annotation {number}"):
            picture = pictures.get(row["image_id"])
            if picture is None:
                counts["boxes whose picture is not listed (left out)"] += 1
                continue
            x, y, width, height = (float(value) for value in row["bbox"])
            size = (float(picture["width"]), float(picture["height"]))
            box = clipped((x, y, x + width, y + height), size)
            if box is None:
                counts["boxes without a size inside the picture (left out)"] += 1
                continue
            thing = Boxed(
                label=names[row["category_id"]], box_px=box, ignored=bool(row.get("iscrowd"))
            )
            things.setdefault(row["image_id"], []).append(thing)
    images = []
    for number, (key, row) in enumerate(pictures.items(), start=1):
        with refusing(path, f"image {number}"):
            images.append(_image(path, root, row, tuple(things.get(key, ())), split))
    return tuple(names.values()), images


def _image(
    path: Path, root: Path, row: dict[str, Any], things: tuple[Boxed, ...], split: str
) -> BoxedImage:
    name = file_name(row.get("video", row["file_name"]), source=path)
    folder = path.stem.rpartition("_")[2]
    if not (root / name).is_file() and (root / folder / name).is_file():
        name = f"{folder}/{name}"
    frame = int(row["frame_index"]) if "video" in row else None
    if frame is not None and not 0 <= frame < MAX_COUNT:
        raise ValueError(f"frame_index {frame}")
    return BoxedImage(path=name, things=things, split=split, frame=frame)
