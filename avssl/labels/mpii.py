"""MPII Human Pose (Andriluka et al., CVPR 2014): the release's `.mat` and the JSON conversions.

`mpii_human_pose_v1_u12_1.mat` (v12) holds the struct `RELEASE`; fields may be absent or empty
wherever a person was not labelled in full. All coordinates count from 1. Sources: README of the
release; bearpaw/pytorch-pose `miscs/gen_mpii.m`.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.mat import column, elements, field, number, numbers, read_mat, text
from avssl.labels.mpii_json import images_of_json
from avssl.labels.mpii_people import MPII_JOINTS, MPII_SKELETON
from avssl.labels.reading import (
    box_of,
    clean_points,
    file_name,
    height_of,
    keep_present,
    notes_of,
    point_of,
    refusing,
    whole,
)
from avssl.labels.records import LabelledImage, LabelledSet, Person, person_of


def read_mpii(
    path: str | os.PathLike[str],
    *,
    images_root: str | os.PathLike[str] | None = None,
    head_boxes: str | os.PathLike[str] | None = None,
    split: str | None = None,
) -> LabelledSet:
    """Reads a label file of MPII, whichever of the three it is.

    - `mpii_human_pose_v1_u12_1.mat`: split "train" or "test" (whose people have no joints), group
      the video, order in milliseconds, head boxes, the flag "single" for people that stand apart.
    - `mpii_annotations.json` (CPM, pytorch-pose): split "train" or "validation" (Tompson's).
    - `train.json`, `valid.json`, `trainval.json`, `test.json` (Microsoft, HRNet, mmpose): split by
      the file's name; head boxes of `valid.json` come from `gt_valid.mat` beside it. Here a joint
      is labelled or not, nobody says whether it is hidden.

    The JSON files name no video: every picture is a group of its own, and head boxes, without
    which there is no PCKh, are only in the `.mat` files.

    Args:
        path: the label file.
        images_root: the folder of the pictures; by default `images` beside the file or beside its
            folder, else the file's folder.
        head_boxes: `gt_valid.mat`, where it does not lie beside `valid.json`.
        split: overrides what the name of a JSON file tells.

    Returns:
        Joints in MPII's order, normaliser "head"; `centre_px` is objpos and `height_px` 200 times
        scale, as annotated. (MS and HRNet crop around objpos moved down by 15 px times scale, with
        scale times 1.25.)

    Raises:
        InputError: damaged, of another format, or none of the pictures is there.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; name MPII's .mat or .json")
    counts: Counter[str] = Counter()
    if path.suffix.lower() == ".json":
        boxes = None if head_boxes is None else Path(head_boxes)
        images, flavour = images_of_json(path, boxes, split, counts)
    else:
        images, flavour = _images_of_release(path, counts), "release, v12"
    root = Path(images_root) if images_root is not None else _images_root(path)
    return LabelledSet(
        skeleton=MPII_SKELETON,
        root=root,
        images=keep_present(images, root, counts),
        notes=notes_of(counts),
        meta={"format": f"MPII, {flavour}", "licence": "see the site"},
    )


def _images_root(path: Path) -> Path:
    for folder in (path.parent / "images", path.parent.parent / "images"):
        if folder.is_dir():
            return folder
    return path.parent


def _images_of_release(path: Path, counts: Counter[str]) -> list[LabelledImage]:
    release = read_mat(path, "RELEASE")
    annolist = elements(field(release, "annolist"))
    train = numbers(field(release, "img_train"))
    if not annolist or len(train) != len(annolist):
        raise InputError(
            f"{path}: RELEASE has {len(annolist)} pictures in annolist and {len(train)} in "
            "img_train; get the file again"
        )
    alone = elements(field(release, "single_person"))
    videos = elements(field(release, "video_list"))
    images = []
    for index, anno in enumerate(annolist):
        with refusing(path, f"annolist({index + 1})"):
            name = file_name(text(field(field(anno, "image"), "name")), source=path)
            is_train = bool(train[index] > 0)
            apart = set(numbers(alone[index]).tolist()) if index < len(alone) else set()
            people = []
            for place, rect in enumerate(elements(field(anno, "annorect")), start=1):
                person = _person(rect, counts, single=place in apart)
                if is_train and not person.visible.any():
                    counts["people for training without any joint (left out)"] += 1
                else:
                    people.append(person)
            if not people:
                counts["pictures without people (left out)"] += 1
                continue
            seconds = number(field(anno, "frame_sec"))
            images.append(
                LabelledImage(
                    path=name,
                    people=tuple(people),
                    split="train" if is_train else "test",
                    group=_video(number(field(anno, "vidx")), videos) or name,
                    order=whole(seconds * 1000),
                )
            )
    return images


def _video(index: float, videos: list[Any]) -> str:
    """Gives the name of video `index`, counted from 1; "" where there is none."""
    place = whole(index)
    named = text(videos[place - 1]) if 1 <= place <= len(videos) else ""
    return named or (f"vidx {place}" if place > 0 else "")


def _person(rect: Any, counts: Counter[str], *, single: bool) -> Person:
    count = len(MPII_JOINTS)
    points: NDArray[np.float64] = np.full((count, 2), np.nan)
    visible = np.ones(count, dtype=np.int8)
    labelled = field(field(rect, "annopoints"), "point")
    columns = [column(labelled, name) for name in ("id", "x", "y", "is_visible")]
    for joint, x, y, seen in (map(number, row) for row in zip(*columns, strict=True)):
        if joint not in range(count):
            counts["points whose id is none of 0 to 15 (left out)"] += 1
            continue
        points[int(joint)] = x - 1, y - 1
        # 1 or '1' is seen, 0 or '0' hidden; missing or empty says nothing
        visible[int(joint)] = 2 if seen > 0 else 1
    corners = [number(field(rect, name)) for name in ("x1", "y1", "x2", "y2")]
    position = field(rect, "objpos")
    return person_of(
        clean_points(points, counts),
        visible=visible,
        head_box_px=box_of(corners, shift_px=1.0),
        centre_px=point_of(number(field(position, "x")), number(field(position, "y")), shift_px=1),
        height_px=height_of(number(field(rect, "scale"))),
        flags=("single",) if single else (),
    )
