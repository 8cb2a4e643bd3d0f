"""COCO's person keypoints, and every file of that layout (animals, the world).

    {"images": […], "annotations": [{"image_id", "keypoints": [x, y, v, …], "bbox"}], "categories"}

v is 0 not labelled, 1 labelled though hidden, 2 seen. Keypoints name pixels from 0; boxes are
measured from the picture's corner, half a pixel further left and up. In the world's files
keypoints too are measured from the corner, and pictures are frames of videos.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from avssl.errors import InputError
from avssl.labels.reading import (
    MAX_COUNT,
    box_of,
    clean_points,
    file_name,
    flip_pairs_by_name,
    keep_present,
    notes_of,
    number_in_name,
    read_json,
    refusing,
    split_of_name,
)
from avssl.labels.records import LabelledImage, LabelledSet, Person, Skeleton, person_of

WORLD = "avssl world"
"""How `info.description` of the world's files begins."""


def read_coco_keypoints(
    json_path: str | os.PathLike[str],
    *,
    images_root: str | os.PathLike[str],
    split: str | None = None,
) -> LabelledSet:
    """Reads a keypoint file in COCO's layout.

    Joints and lines are those of the categories with keypoints, which must agree; "left_X" and
    "right_X" change places in a mirror. Crowds keep their box and the flag "crowd" and have no
    joints; a person without labelled keypoints keeps its box. Pictures in which nobody has a joint
    are left out and counted.

    Args:
        json_path: such as `person_keypoints_val2017.json` or the world's `coco_train.json`.
        images_root: the folder of the pictures; for the world, the world's folder.
        split: "train", "validation" or "test", where the file's name does not tell.

    Returns:
        Each picture is a group of its own; where the file names its video, that is the group, and
        with `frame_index` the picture is that frame of it. Normaliser "box", for the world
        "left_shoulder-right_hip".

    Raises:
        InputError: not of this layout, or none of the pictures is there.
    """
    path, root = Path(json_path), Path(images_root)
    data = read_json(path)
    lists = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), list) for name in lists):
        raise InputError(f"{path}: not in COCO's layout (lists images, annotations, categories)")
    info = data.get("info")
    described = str(info.get("description", "")) if isinstance(info, dict) else ""
    is_world = described.startswith(WORLD)
    kinds, skeleton = _skeleton(path, data["categories"], is_world)
    counts: Counter[str] = Counter()
    people: dict[Any, list[Person]] = {}
    for index, row in enumerate(data["annotations"]):
        with refusing(path, f"annotation {index + 1}"):
            if row["category_id"] in kinds:
                person = _person(row, len(skeleton.names), is_world, counts)
                people.setdefault(row["image_id"], []).append(person)
    images: list[LabelledImage] = []
    where = split_of_name(path.stem) if split is None else split
    known: set[Any] = set()
    for index, row in enumerate(data["images"]):
        with refusing(path, f"image {index + 1}"):
            if row["id"] in known:
                raise ValueError(f"id {row['id']} is there twice")
            known.add(row["id"])
            found = people.get(row["id"], [])
            if any(person.visible.any() for person in found):
                images.append(_image(path, row, tuple(found), where))
            else:
                counts["pictures in which nobody has a joint (left out)"] += 1
    counts["people whose picture is not listed (left out)"] += sum(
        len(found) for image_id, found in people.items() if image_id not in known
    )
    return LabelledSet(
        skeleton=skeleton,
        root=root,
        images=keep_present(images, root, counts),
        notes=notes_of(counts),
        meta={"format": described if is_world else "COCO keypoints", "licence": "see the site"},
    )


def _skeleton(path: Path, categories: list[Any], is_world: bool) -> tuple[set[Any], Skeleton]:
    with refusing(path, "categories"):
        found = {row["id"]: row for row in categories if row.get("keypoints")}
        names = {tuple(map(str, row["keypoints"])) for row in found.values()}
        if len(names) != 1:
            raise InputError(
                f"{path}: {len(names)} lists of keypoints in its categories, must be one; "
                "keep the categories that share theirs"
            )
        (joints,) = names
        lines = next(iter(found.values())).get("skeleton") or []
        return set(found), Skeleton(
            names=joints,
            flip_pairs=flip_pairs_by_name(joints),
            edges=tuple((int(one) - 1, int(other) - 1) for one, other in lines),
            normaliser="left_shoulder-right_hip" if is_world else "box",
        )


def _person(row: dict[str, Any], count: int, is_world: bool, counts: Counter[str]) -> Person:
    corner = [float(value) for value in row.get("bbox") or []]
    if len(corner) == 4:
        x, y, width, height = corner
        corner = [x, y, x + width, y + height]
    box = box_of(corner, shift_px=0.5)
    flat = np.array(row.get("keypoints") or [0] * (3 * count), dtype=np.float64)
    if flat.shape != (3 * count,):
        raise ValueError(f"{flat.size} numbers for {count} keypoints")
    table = flat.reshape(count, 3)
    visible = np.clip(np.nan_to_num(table[:, 2]), 0, 2).astype(np.int8)
    if row.get("iscrowd"):
        counts["crowds (kept as boxes without joints)"] += 1
        visible[:] = 0
    elif not visible.any():
        counts["people without labelled keypoints (kept as boxes)"] += 1
    points = clean_points(table[:, :2] - (0.5 if is_world else 0.0), counts)
    flags = ("crowd",) if row.get("iscrowd") else ()
    return person_of(points, visible=visible, box_px=box, flags=flags)


def _image(
    path: Path, row: dict[str, Any], people: tuple[Person, ...], split: str
) -> LabelledImage:
    name = file_name(row["file_name"], source=path)
    if "video" not in row:
        return LabelledImage(path=name, people=people, split=split, group=name)
    video = file_name(row["video"], source=path)
    if "frame_index" not in row:
        order = number_in_name(name)
        return LabelledImage(path=name, people=people, split=split, group=video, order=order)
    frame = int(row["frame_index"])
    if not 0 <= frame < MAX_COUNT:
        raise ValueError(f"frame_index {frame}")
    return LabelledImage(
        path=video, people=people, split=split, group=video, frame=frame, order=frame
    )
