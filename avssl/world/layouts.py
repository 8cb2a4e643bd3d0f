"""The world in the layouts of FLIC and MPII: pictures, `.mat` and JSON files as the official ones.

So the whole way from an official download to the official metric runs without one. Frames are
those of the world's COCO files. The world measures from the picture's corner; MATLAB counts pixels
from 1 and names their centres: half a pixel is added. Splits: FLIC has no validation, its pictures
are marked for training; MPII's `.mat` has none either, its JSON files do.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avssl.decode import open_video
from avssl.errors import InputError
from avssl.files import replacing
from avssl.labels.flic import COLUMNS, NUM_COLUMNS
from avssl.progress import progress_bar
from avssl.world.clip import SPLITS
from avssl.world.layout_files import LayoutFrame, save_mat, structs
from avssl.world.layout_mpii import write_mpii
from avssl.world.truth import COCO_EVERY_FRAMES

LAYOUTS = ("flic", "mpii")
_JPEG_QUALITY = 95
_JPEG_444 = 0x111111  # OpenCV's number for colours at full resolution: these pictures are small
_TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def write_layout(
    world: str | os.PathLike[str],
    layout: str,
    *,
    destination: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Path:
    """Writes a finished world's labels and pictures in an official layout.

    - "flic": `examples.mat`, `images/`. Only people whose left shoulder and right hip are in the
      picture: FLIC's normaliser is their distance.
    - "mpii": `mpii_human_pose_v1_u12_1.mat` (`RELEASE`), `mpii_annotations.json` (CPM),
      `annot/{train,valid,trainval,test}.json` and `annot/gt_valid.mat` (HRNet), `images/`. MPII's
      thorax is the world's neck, the upper neck a quarter of the way to the top of the head
      (ours); people of the test have no joints, as in the release.

    Args:
        world: a folder that `make_world` has finished.
        layout: "flic" or "mpii".
        destination: folder to write to, `<world>/<layout>` by default. Pictures that are there
            stay; label files are written anew.
        quiet: show no progress.

    Raises:
        InputError: no such layout, no finished world, or nobody in it.
    """
    root = Path(world)
    if layout not in LAYOUTS:
        raise InputError(f"layout {layout!r}: must be one of {', '.join(LAYOUTS)}")
    target = root / layout if destination is None else Path(destination)
    clips = _clips(root)
    frames: list[LayoutFrame] = []
    with progress_bar(f"writing {layout}", total=len(clips), unit="clip", quiet=quiet) as bar:
        for clip in clips:
            shown = list(_frames(clip))
            names = {frame.index: frame.name for frame in shown if frame.people}
            _write_pictures(root / clip["video"], names, target / "images")
            frames += shown
            bar.advance()
    if layout == "flic":
        _write_flic(target, frames)
    else:
        write_mpii(target, frames)
    return target


def _clips(root: Path) -> list[dict[str, Any]]:
    try:
        complete = json.loads((root / "world.json").read_text(encoding="utf-8"))["complete"]
    except (OSError, ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise InputError(f"{root}: no finished world; make one there first")
    paths = [path for split in SPLITS for path in sorted((root / "truth" / split).glob("*.json"))]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _frames(clip: dict[str, Any]) -> Iterator[LayoutFrame]:
    for index in range(2, clip["num_frames"], COCO_EVERY_FRAMES):
        people, everywhere = [], []
        for person in clip["people"]:
            points = np.array(person["keypoints_px"][index]) + 0.5
            states = person["visibility"][index]
            joints = {
                name: (round(float(x), 3), round(float(y), 3), state)
                for name, (x, y), state in zip(clip["joint_names"], points, states, strict=True)
                if state
            }
            if joints:
                people.append(joints)
                everywhere.append(points)
        yield LayoutFrame(clip=clip, index=index, people=people, everywhere=everywhere)


def _write_pictures(video: Path, names: dict[int, str], folder: Path) -> None:
    import cv2

    missing = [index for index, name in names.items() if not (folder / name).is_file()]
    if not missing:
        return
    with open_video(video, backend="pyav") as reader:
        for index, frame in zip(missing, reader.frames_by_index(missing), strict=True):
            with replacing(folder / names[index]) as temporary:
                picture = np.ascontiguousarray(frame[::-1].transpose(1, 2, 0))  # BGR for OpenCV
                flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
                flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _JPEG_444]
                if not cv2.imwrite(str(temporary), picture, flags):
                    raise InputError(f"{folder / names[index]}: cannot be written")


def _write_flic(target: Path, frames: Sequence[LayoutFrame]) -> None:
    rows = []
    for frame in frames:
        for joints in frame.people:
            if "left_shoulder" not in joints or "right_hip" not in joints:
                continue
            coords = np.full((2, NUM_COLUMNS), np.nan)
            for name, column in COLUMNS.items():
                if name in joints:
                    coords[:, column] = joints[name][:2]
            torso = np.array([joints[name][:2] for name in _TORSO if name in joints])
            corners = [*(torso.min(axis=0) - 1), *(torso.max(axis=0) + 1)]
            test = frame.clip["split"] == "test"
            rows.append(
                {
                    "poselet_hit_idx": np.zeros((1, 1), dtype=np.uint16),
                    "moviename": frame.clip["clip"],
                    "coords": coords,
                    "filepath": frame.name,
                    "imgdims": np.array([[frame.clip["height_px"], frame.clip["width_px"], 3.0]]),
                    "currframe": float(frame.index),
                    "torsobox": np.array([corners]),
                    "istrain": np.bool_(not test),
                    "istest": np.bool_(test),
                }
            )
    if not rows:
        raise InputError(f"{target}: nobody in the world shows a left shoulder and a right hip")
    save_mat(target / "examples.mat", {"examples": structs(rows)})
