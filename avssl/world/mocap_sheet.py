"""A contact sheet of motion-captured clips: a row a clip, joints drawn into every second frame."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing
from avssl.world.contact import frames_at
from avssl.world.mocap_body import EDGES

_LEFT, _RIGHT, _MIDDLE = (255, 170, 60), (70, 200, 255), (240, 240, 240)  # RGB


def draw_joints(
    picture: NDArray[np.uint8], truth: dict[str, Any], frame: int, *, zoom: int = 2
) -> NDArray[np.uint8]:
    """Draws the joints (hidden ones hollow) into a frame uint8 [H, W, 3], `zoom` times as large."""
    large = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    person, names = truth["people"][0], truth["joint_names"]
    # OpenCV counts from the centre of the first pixel, the truth from its corner.
    points = np.round((zoom * np.asarray(person["keypoints_px"][frame]) - 0.5) * 16).astype(int)
    seen = person["visibility"][frame]

    def colour(*of: str) -> tuple[int, int, int]:
        sides = {name.partition("_")[0] for name in of} & {"left", "right"}
        return _MIDDLE if len(sides) != 1 else _LEFT if "left" in sides else _RIGHT

    for first, second in EDGES:
        a, b = names.index(first), names.index(second)
        if seen[a] and seen[b]:
            ends = points[a].tolist(), points[b].tolist()
            cv2.line(large, *ends, colour(first, second), 1, cv2.LINE_AA, 4)
    for number, name in enumerate(names):
        if seen[number]:
            fill = -1 if seen[number] == 2 else 1
            cv2.circle(large, points[number].tolist(), 32, colour(name), fill, cv2.LINE_AA, 4)
    return np.asarray(large, np.uint8)


def mocap_sheet(
    directory: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    *,
    split: str = "train",
    num_clips: int = 6,
    num_frames: int = 5,
    zoom: int = 2,
) -> Path:
    """Writes a PNG with one row a clip; every second frame has its joints drawn in.

    Raises:
        InputError: the folder holds no finished clips of the split.
    """
    root = Path(directory)
    paths = sorted((root / "truth" / split).glob("*.json"))[:num_clips]
    if not paths:
        raise InputError(f"{root}: no clips in truth/{split}; make them first")
    rows = []
    for path in paths:
        truth = json.loads(path.read_text(encoding="utf-8"))
        chosen = [
            round((truth["num_frames"] - 1) * (n + 0.5) / num_frames) for n in range(num_frames)
        ]
        row = []
        for number, frame in enumerate(frames_at(root / truth["video"], chosen)):
            plain = cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
            row.append(
                draw_joints(frame, truth, chosen[number], zoom=zoom) if number % 2 else plain
            )
        rows.append(np.concatenate(row, axis=1))
    target = Path(picture)
    image = cv2.cvtColor(np.concatenate(rows, axis=0), cv2.COLOR_RGB2BGR)
    with replacing(target) as temporary:
        if not cv2.imwrite(str(temporary), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise InputError(f"{target}: not a picture file that can be written; use .png or .jpg")
    return target
