"""MPII in JSON: one row a person, in the two flavours that are about. See `mpii.read_mpii`.

CPM and pytorch-pose: `joint_self` [16][3] with (0, 0) for what is missing. Microsoft, HRNet and
mmpose: `joints` [16][2] with `joints_vis`. Both count from 1 (their loaders take 1 off).
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.mat import read_mat
from avssl.labels.mpii_people import MPII_JOINTS
from avssl.labels.reading import (
    box_of,
    clean_points,
    file_name,
    height_of,
    point_of,
    read_json,
    refusing,
    split_of_name,
)
from avssl.labels.records import Box, LabelledImage, Person, person_of

_COUNT = len(MPII_JOINTS)


def images_of_json(
    path: Path, head_boxes: Path | None, split: str | None, counts: Counter[str]
) -> tuple[list[LabelledImage], str]:
    """Gives the pictures and the name of the flavour."""
    rows = read_json(path)
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        raise InputError(f"{path}: not MPII's list of people; name one of its JSON files")
    is_cpm = "joint_self" in rows[0]
    if not is_cpm and "image" not in rows[0]:
        raise InputError(f"{path}: neither of MPII's JSON flavours (no joint_self, no image)")
    boxes = None if is_cpm else _boxes_beside(path, head_boxes)
    heads = [None] * len(rows) if boxes is None else _head_boxes(boxes, rows)
    by_name = split if split is not None else split_of_name(path.stem)
    people: dict[tuple[str, str], list[Person]] = {}
    for index, row in enumerate(rows):
        with refusing(path, f"person {index + 1}"):
            name = file_name(row["img_paths" if is_cpm else "image"], source=path)
            if is_cpm:
                person = _cpm_person(row, counts)
                where = split or ("validation" if float(row["isValidation"]) > 0 else "train")
            else:
                person, where = _hrnet_person(row, heads[index], counts), by_name
            people.setdefault((name, where), []).append(person)
    held_out = {name for name, where in people if where == "validation"}
    images = [
        LabelledImage(path=name, people=tuple(found), split=where, group=name)
        for (name, where), found in people.items()
        if where != "train" or name not in held_out
    ]
    counts["pictures of the validation left out of training"] += len(people) - len(images)
    without = sum(person.head_box_px is None for image in images for person in image.people)
    counts["people without a head box (no PCKh for them; the .mat file has it)"] += without
    return images, "JSON of CPM" if is_cpm else "JSON of HRNet"


def _cpm_person(row: dict[str, Any], counts: Counter[str]) -> Person:
    joints = np.array(row["joint_self"], dtype=np.float64)
    if joints.shape != (_COUNT, 3):
        raise ValueError(f"joint_self is {joints.shape}, not ({_COUNT}, 3)")
    points = joints[:, :2] - 1.0
    points[(joints[:, :2] == 0).all(axis=1)] = np.nan
    return person_of(
        clean_points(points, counts),
        visible=np.where(joints[:, 2] > 0, 2, 1),
        **_place(row["objpos"], row["scale_provided"]),
    )


def _hrnet_person(row: dict[str, Any], head: Box | None, counts: Counter[str]) -> Person:
    points, visible = np.full((_COUNT, 2), np.nan), np.zeros(_COUNT)
    if "joints" in row:  # test.json has none
        points = np.array(row["joints"], dtype=np.float64) - 1.0
        visible = np.array(row["joints_vis"], dtype=np.float64)
        if points.shape != (_COUNT, 2) or visible.shape != (_COUNT,):
            raise ValueError(f"joints are {points.shape} and {visible.shape}")
    return person_of(
        clean_points(points, counts),
        visible=(visible > 0).astype(np.int8),
        head_box_px=head,
        **_place(row["center"], row["scale"]),
    )


def _place(centre: Any, scale: Any) -> dict[str, Any]:
    x, y = (math.nan if value is None else float(value) for value in centre)
    size = math.nan if scale is None else float(scale)
    return {"centre_px": point_of(x, y, shift_px=1.0), "height_px": height_of(size)}


def _boxes_beside(path: Path, given: Path | None) -> Path | None:
    if given is not None:
        return given
    beside = path.with_name("gt_valid.mat")
    named = split_of_name(path.stem) == "validation"
    return beside if named and beside.is_file() else None


def _head_boxes(path: Path, rows: list[Any]) -> list[Box | None]:
    """Reads `gt_valid.mat`, whose people are those of `valid.json` in the same order."""
    corners: NDArray[Any] = read_mat(path, "headboxes_src")
    truth: NDArray[Any] = read_mat(path, "pos_gt_src")
    if corners.shape != (2, 2, len(rows)) or truth.shape != (_COUNT, 2, len(rows)):
        raise InputError(
            f"{path}: head boxes {corners.shape} and joints {truth.shape} do not belong to "
            f"{len(rows)} people; name the gt_valid.mat of this very JSON file"
        )
    with refusing(path, "headboxes_src"):
        num_others = 0
        for index, row in enumerate(rows):
            known = np.array(row["joints_vis"], dtype=np.float64) > 0
            apart = np.array(row["joints"], dtype=np.float64)[known] - truth[known, :, index]
            num_others += bool(known.any() and np.median(np.abs(apart)) > 2.0)
        if num_others > len(rows) // 20:  # a few may have been corrected in one of the two
            raise InputError(
                f"{path}: {num_others} of {len(rows)} people lie elsewhere than in the JSON file; "
                "name the gt_valid.mat of this very file"
            )
        flat = np.asarray(corners, np.float64).transpose(2, 0, 1).reshape(len(rows), 4)
        return [box_of(one.tolist(), shift_px=1.0) for one in flat]
