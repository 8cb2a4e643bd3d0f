"""A contact sheet: a few clips of a world, a few frames each, joints and sources drawn in."""

import json
import os
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing
from avssl.world.body import COCO_SKELETON
from avssl.world.clip import SPLITS

_LEFT, _RIGHT, _MIDDLE = (255, 170, 60), (70, 200, 255), (240, 240, 240)  # RGB
_SOUNDING, _SILENT = (80, 255, 120), (200, 200, 200)


def frames_at(path: Path, indices: list[int]) -> list[NDArray[np.uint8]]:
    """Decodes frames of a clip by number: uint8 [H, W, 3] each."""
    found = {}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in indices:
                found[index] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return [found[index] for index in indices]


def draw_truth(
    picture: NDArray[np.uint8], truth: dict[str, Any], frame: int, *, zoom: int = 2
) -> NDArray[np.uint8]:
    """Draws joints (hidden ones hollow) and boxes of things into a frame, `zoom` times as large.

    Args:
        picture: uint8 [H, W, 3].
        truth: the clip's truth.
        frame: number of the frame.
        zoom: whole number of times.
    """
    large = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    for thing in truth["things"]:
        x0, y0, x1, y1 = (round(zoom * value) for value in thing["boxes_px"][frame])
        if x1 > x0:
            colour = _SOUNDING if thing["sounding"] else _SILENT
            cv2.rectangle(large, (x0, y0), (x1, y1), colour, 2 if thing["sounding"] else 1)
    for person in truth["people"]:
        points = np.round(zoom * np.asarray(person["keypoints_px"][frame]) * 16).astype(int)
        seen = person["visibility"][frame]
        for first, second in COCO_SKELETON:
            a, b = first - 1, second - 1
            if seen[a] and seen[b]:
                names = truth["joint_names"][a] + truth["joint_names"][b]
                sided = _LEFT if "left" in names else _RIGHT
                both = "left" in names and "right" in names
                colour = _MIDDLE if both else sided
                cv2.line(large, points[a].tolist(), points[b].tolist(), colour, 1, cv2.LINE_AA, 4)
        for joint in range(17):
            if seen[joint]:
                name = truth["joint_names"][joint]
                colour = _LEFT if "left" in name else _RIGHT if "right" in name else _MIDDLE
                fill = -1 if seen[joint] == 2 else 1
                cv2.circle(large, points[joint].tolist(), 2 * 16, colour, fill, cv2.LINE_AA, 4)
    return np.asarray(large, np.uint8)


def sheet(
    world: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    *,
    split: str = "train",
    num_clips: int = 6,
    num_frames: int = 5,
    zoom: int = 2,
) -> Path:
    """Writes a PNG with one row a clip; every second frame has its truth drawn in.

    The box of what sounds is green, those of silent things are grey.

    Raises:
        InputError: `world` holds no finished clips of the split.
    """
    root = Path(world)
    if split not in SPLITS:
        raise InputError(f"split {split!r}: must be one of {', '.join(SPLITS)}")
    paths = sorted((root / "truth" / split).glob("*.json"))[:num_clips]
    if not paths:
        raise InputError(f"{root}: no clips in truth/{split}; make a world there first")
    rows = []
    for path in paths:
        truth = json.loads(path.read_text(encoding="utf-8"))
        last = truth["num_frames"] - 1
        chosen = [round(last * (n + 0.5) / num_frames) for n in range(num_frames)]
        row = []
        for number, frame in enumerate(frames_at(root / truth["video"], chosen)):
            if number % 2:
                row.append(draw_truth(frame, truth, chosen[number], zoom=zoom))
            else:
                row.append(cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
        rows.append(np.concatenate(row, axis=1))
    target = Path(picture)
    image = cv2.cvtColor(np.concatenate(rows, axis=0), cv2.COLOR_RGB2BGR)
    with replacing(target) as temporary:
        if not cv2.imwrite(str(temporary), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise InputError(f"{target}: not a picture file that can be written; use .png or .jpg")
    return target
