"""The world as MPII's release and as its JSON conversions. See `layouts.write_layout`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import write_text
from avssl.labels.mpii_people import MPII_JOINTS
from avssl.world.clip import SPLITS
from avssl.world.layout_files import Joints, LayoutFrame, cells, save_mat, structs

RELEASE_NAME = "mpii_human_pose_v1_u12_1.mat"
_MPII_SHORT = (
    "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head",
    "rwri", "relb", "rsho", "lsho", "lelb", "lwri",
)  # fmt: skip


def _mpii_joints(joints: Joints) -> Joints:
    found = {name: joints[name] for name in MPII_JOINTS if name in joints and name != "head_top"}
    if "neck" in joints:
        found["thorax"] = joints["neck"]
    if "neck" in joints and "head_top" in joints:
        (x0, y0, low), (x1, y1, high) = joints["neck"], joints["head_top"]
        upper = (round(x0 + (x1 - x0) / 4, 3), round(y0 + (y1 - y0) / 4, 3), min(low, high))
        found |= {"head_top": joints["head_top"], "upper_neck": upper}
    return found


def _head_box(frame: LayoutFrame, place: int) -> list[float]:
    """Gives x1, y1, x2, y2 about upper neck and top; at least 0.8 of their distance wide, high.

    Also where the head is outside the picture: every person has a size.
    """
    names, points = frame.clip["joint_names"], frame.everywhere[place]
    neck, top = points[names.index("neck")], points[names.index("head_top")]
    ends = np.array([neck + (top - neck) / 4, top])
    least = 0.8 * max(float(np.linalg.norm(ends[1] - ends[0])), 1.0)
    half = np.maximum(np.abs(ends[1] - ends[0]), least) / 2
    return np.round([*(ends.mean(axis=0) - half), *(ends.mean(axis=0) + half)], 3).tolist()


def write_mpii(target: Path, frames: Sequence[LayoutFrame]) -> None:
    """Writes the `.mat` and JSON files to `target`."""
    frames = [frame for frame in frames if frame.people]
    if not frames:
        raise InputError(f"{target}: nobody in the world")
    videos = list(dict.fromkeys(frame.clip["clip"] for frame in frames))
    annolist, cpm = [], []
    hrnet: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    heads: list[list[float]] = []
    for number, frame in enumerate(frames, start=1):
        split, rects = frame.clip["split"], []
        for place, joints in enumerate(map(_mpii_joints, frame.people), start=1):
            points = frame.everywhere[place - 1]
            centre = np.round((points.min(axis=0) + points.max(axis=0)) / 2, 3).tolist()
            scale = round(float(np.ptp(points, axis=0).max()) / 200, 6)
            position = structs([{"x": centre[0], "y": centre[1]}])
            where = {"image": frame.name, "center": centre, "scale": scale}
            head = _head_box(frame, place - 1)
            if split == "test":
                rects.append({"scale": scale, "objpos": position})
                hrnet[split].append(where)
                continue
            corners = dict(zip(("x1", "y1", "x2", "y2"), head, strict=True))
            rects.append(
                corners | {"annopoints": _annopoints(joints), "scale": scale, "objpos": position}
            )
            hrnet[split].append(where | _hrnet_joints(joints))
            cpm.append(_cpm_row(frame, joints, centre, scale, (number, place)))
            if split == "validation":
                heads.append(head)
        annolist.append(
            {
                "image": structs([{"name": frame.name}]),
                "annorect": structs(rects),
                "frame_sec": frame.index / frame.clip["fps"],
                "vidx": float(videos.index(frame.clip["clip"]) + 1),
            }
        )
    save_mat(target / RELEASE_NAME, {"RELEASE": _release(frames, annolist, videos)})
    _write_json(target / "mpii_annotations.json", cpm)
    names = {"train": "train", "validation": "valid", "test": "test"}
    for split, name in names.items():
        _write_json(target / "annot" / f"{name}.json", hrnet[split])
    _write_json(target / "annot" / "trainval.json", hrnet["train"] + hrnet["validation"])
    if heads:
        _write_gt_valid(target / "annot" / "gt_valid.mat", hrnet["validation"], heads)


def _release(
    frames: Sequence[LayoutFrame], annolist: list[dict[str, Any]], videos: list[str]
) -> NDArray[Any]:
    count, acts = len(frames), sorted({frame.clip["action"] for frame in frames})
    act = [
        {
            "act_name": frame.clip["action"],
            "cat_name": "avssl world",
            "act_id": float(acts.index(frame.clip["action"]) + 1),
        }
        for frame in frames
    ]
    alone = [np.array([[1.0]]) if len(frame.people) == 1 else np.zeros((0, 0)) for frame in frames]
    return structs(
        [
            {
                "annolist": structs(annolist),
                "img_train": np.array([[float(f.clip["split"] != "test") for f in frames]]),
                "version": "12",
                "single_person": cells(alone, shape=(count, 1)),
                "act": structs(act).reshape(count, 1),
                "video_list": cells(videos, shape=(1, len(videos))),
            }
        ]
    )


def _annopoints(joints: Joints) -> NDArray[Any]:
    rows = []
    for joint, name in enumerate(MPII_JOINTS):
        if name in joints:
            x, y, state = joints[name]
            # as in the release: nothing for neck and head, a letter elsewhere
            seen = np.zeros((0, 0)) if name in ("upper_neck", "head_top") else str(state - 1)
            rows.append({"x": x, "y": y, "id": float(joint), "is_visible": seen})
    return structs([{"point": structs(rows)}]) if rows else np.zeros((0, 0))


def _hrnet_joints(joints: Joints) -> dict[str, Any]:
    return {
        "joints": [list(joints.get(name, (-1.0, -1.0))[:2]) for name in MPII_JOINTS],
        "joints_vis": [int(name in joints) for name in MPII_JOINTS],
    }


def _cpm_row(
    frame: LayoutFrame, joints: Joints, centre: list[float], scale: float, place: tuple[int, int]
) -> dict[str, Any]:
    return {
        "dataset": "MPI",
        "isValidation": float(frame.clip["split"] == "validation"),
        "img_paths": frame.name,
        "img_width": float(frame.clip["width_px"]),
        "img_height": float(frame.clip["height_px"]),
        "objpos": centre,
        "joint_self": [
            [*joints[name][:2], float(joints[name][2] == 2)] if name in joints else [0.0, 0.0, 0.0]
            for name in MPII_JOINTS
        ],
        "scale_provided": scale,
        "joint_others": [],  # the world shows one person at most
        "scale_provided_other": [],
        "objpos_other": [],
        "annolist_index": float(place[0]),
        "people_index": float(place[1]),
        "numOtherPeople": 0.0,
    }


def _write_gt_valid(path: Path, rows: list[dict[str, Any]], heads: list[list[float]]) -> None:
    known = np.array([row["joints_vis"] for row in rows])
    save_mat(
        path,
        {
            "dataset_joints": cells(_MPII_SHORT, shape=(1, len(_MPII_SHORT))),
            "jnt_missing": (1.0 - known).T,
            "pos_gt_src": np.array([row["joints"] for row in rows]).transpose(1, 2, 0),
            "headboxes_src": np.array(heads).reshape(len(rows), 2, 2).transpose(1, 2, 0),
        },
    )


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, json.dumps(rows, separators=(",", ":"), allow_nan=False))
