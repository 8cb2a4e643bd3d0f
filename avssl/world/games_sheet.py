"""A contact sheet of recorded games: a row a clip, its sound and events drawn below its frames."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.decode import open_video
from avssl.errors import InputError
from avssl.files import replacing
from avssl.world.contact import frames_at

_STRIP_PX = 40
_EVENTS = {"shot": (80, 255, 120), "score": (80, 255, 120)}  # RGB
_OTHER = (255, 170, 60)


def _strip(samples: NDArray[np.float32], truth: dict[str, Any], width_px: int) -> NDArray[np.uint8]:
    """Draws loudness over time, uint8 [40, width, 3], with a line at each event."""
    drawn = np.zeros((_STRIP_PX, width_px, 3), np.uint8)
    for event in truth["events"]:
        column = int(event["frame"] / truth["num_frames"] * width_px)
        drawn[:, column] = _EVENTS.get(event["kind"], _OTHER)
    for column, part in enumerate(np.array_split(samples, width_px)):
        high = round(min(1.0, 2 * float(np.sqrt(np.mean(part**2)))) * (_STRIP_PX - 1))
        drawn[_STRIP_PX - 1 - high :, column] = (220, 220, 220)
    return drawn


def games_sheet(
    directory: str | os.PathLike[str],
    picture: str | os.PathLike[str],
    *,
    split: str = "train",
    num_clips: int = 8,
    num_frames: int = 5,
) -> Path:
    """Writes a PNG with one row a clip and its sound below: shots and scores green, else orange.

    Raises:
        InputError: the folder holds no finished clips of the split.
    """
    root = Path(directory)
    paths = sorted((root / "truth" / split).glob("*.json"))[:num_clips]
    if not paths:
        raise InputError(f"{root}: no clips in truth/{split}; record them first")
    rows = []
    for path in paths:
        truth = json.loads(path.read_text(encoding="utf-8"))
        last = truth["num_frames"] - 1
        chosen = [round(last * (n + 0.5) / num_frames) for n in range(num_frames)]
        frames = frames_at(root / truth["video"], chosen)
        row = np.concatenate(frames, axis=1)
        with open_video(root / truth["video"]) as reader:
            heard = reader.sound(
                start_s=0.0,
                duration_s=truth["num_frames"] / truth["fps"],
                rate_hz=truth["rate_hz"],
            )
        rows += [row, _strip(np.asarray(heard.samples[0]), truth, row.shape[1])]
    target = Path(picture)
    image = cv2.cvtColor(np.concatenate(rows, axis=0), cv2.COLOR_RGB2BGR)
    with replacing(target) as temporary:
        if not cv2.imwrite(str(temporary), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise InputError(f"{target}: not a picture file that can be written; use .png or .jpg")
    return target
