"""What the parsers share: file names that stay inside, bounded JSON, coordinates, notes.

Label files come from anywhere, so every name and number in them is checked before it is used.
"""

import contextlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.records import Box, LabelledImage, LabelledSet

MAX_JSON_BYTES = 1 << 30
"""The largest official file, COCO's train2017, has 0.24 GB."""
MAX_COORDINATE_PX = 100_000.0
"""Coordinates beyond are nobody's joint: taken as not labelled, and counted."""
MAX_COUNT = 2**53
_SPLIT_WORDS = {
    "train": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def file_name(value: object, *, source: Path) -> str:
    """Checks a file name from a label file; gives it with forward slashes.

    Raises:
        InputError: empty, absolute, with a drive letter, `..`, or a control character.
    """
    name = value.replace("\\", "/") if isinstance(value, str) else ""
    if not name or len(name) > 1000 or any(ord(letter) < 32 for letter in name):
        raise InputError(f"{source}: {_short(value)} is no file name; correct the label file")
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        raise InputError(
            f"{source}: the name {_short(name)} leads out of the data set; "
            "label files must name files relative to its folder"
        )
    return str(PurePosixPath(name))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def split_of_name(stem: str) -> str:
    """Gives the split that a file's name tells ("person_keypoints_val2017"), or ""."""
    words = re.findall("[a-z]+", stem.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), "")


def number_in_name(name: str) -> int:
    """Gives the last number in a file's name, 0 where there is none."""
    found = re.findall(r"\d+", PurePosixPath(name).stem)
    return int(found[-1][-15:]) if found else 0


def whole(value: float) -> int:
    """Gives a number as int, 0 where it is not finite or beyond 2 to the power of 53."""
    return int(value) if math.isfinite(value) and abs(value) < MAX_COUNT else 0


def read_json(path: Path) -> Any:
    """Reads a JSON file of bounded size.

    Raises:
        InputError: no such file, too large, or not JSON.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InputError(f"{path}: above {MAX_JSON_BYTES >> 30} GiB; divide the file")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file ({_short(str(error))})") from None


@contextlib.contextmanager
def refusing(path: Path, where: str) -> Iterator[None]:
    """Turns what wrong kinds of values raise into one line that names file and place."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else _short(str(error))
        raise InputError(f"{path}: {where} is not as the format says ({reason})") from None


def clean_points(points: NDArray[np.float64], counts: Counter[str]) -> NDArray[np.float64]:
    """Makes infinite and absurd coordinates not labelled, float64 [K, 2], and counts them."""
    with np.errstate(invalid="ignore"):
        absurd = np.any(np.abs(points) > MAX_COORDINATE_PX, axis=1, keepdims=True)
    if absurd.any():
        counts[f"joints beyond {MAX_COORDINATE_PX:.0f} px (taken as not labelled)"] += int(
            absurd.sum()
        )
        points = np.where(absurd, np.nan, points)
    return points


def box_of(corners: Sequence[float], *, shift_px: float) -> Box | None:
    """Gives x0, y0, x1, y1 less `shift_px`; None where it is no box of sane size."""
    if len(corners) != 4:
        return None
    x0, y0, x1, y1 = (float(value) - shift_px for value in corners)
    sane = all(abs(value) <= MAX_COORDINATE_PX for value in (x0, y0, x1, y1))  # NaN is not
    return (x0, y0, x1, y1) if sane and x1 > x0 and y1 > y0 else None


def point_of(x: float, y: float, *, shift_px: float) -> tuple[float, float] | None:
    """Gives a point less `shift_px`; None where it is not one of sane size."""
    sane = abs(x) <= MAX_COORDINATE_PX and abs(y) <= MAX_COORDINATE_PX
    return (x - shift_px, y - shift_px) if sane else None


def height_of(scale: float) -> float | None:
    """Gives the height in px of MPII's `scale`; None where it is not one of sane size."""
    return scale * 200 if 0 < scale * 200 <= MAX_COORDINATE_PX else None


def flip_pairs_by_name(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs "left_…" with "right_…" of the same name."""
    place = {name: number for number, name in enumerate(names)}
    return tuple(
        (number, place["right_" + name[5:]])
        for name, number in place.items()
        if name.startswith("left_") and "right_" + name[5:] in place
    )


def keep_present(
    images: Sequence[LabelledImage], root: Path, counts: Counter[str]
) -> list[LabelledImage]:
    """Leaves out pictures whose file is not under `root`, and counts them.

    Raises:
        InputError: there are pictures, and none of their files is there.
    """
    there = {path: (root / path).is_file() for path in {image.path for image in images}}
    kept = [image for image in images if there[image.path]]
    missing = sorted(path for path, found in there.items() if not found)
    if images and not kept:
        raise InputError(
            f"{root}: none of the {len(missing)} pictures is there (such as {missing[0]}); "
            "name the folder that holds them"
        )
    if missing:
        counts[f"pictures whose file is not there (such as {missing[0]})"] += len(missing)
    return kept


def notes_of(counts: Counter[str]) -> tuple[str, ...]:
    """Gives one line for each kind of thing that was left out or changed."""
    return tuple(f"{count} {what}" for what, count in sorted(counts.items()) if count)


def joined(sets: Sequence[LabelledSet]) -> LabelledSet:
    """Puts sets with one skeleton together, such as the files of three splits.

    Where their roots differ, the new root is the folder that holds all of them.

    Raises:
        InputError: none, or skeletons differ.
    """
    if not sets:
        raise InputError("no label file was given")
    first = sets[0]
    for other in sets[1:]:
        if other.skeleton != first.skeleton:
            raise InputError(f"{other.root}: other joints than in {first.root}; read them apart")
    images = [image for one in sets for image in one.images]
    root = first.root
    if any(one.root != root for one in sets):
        root = Path(os.path.commonpath([one.root.absolute() for one in sets]))
        images = [
            replace(image, path=(one.root.absolute().relative_to(root) / image.path).as_posix())
            for one in sets
            for image in one.images
        ]
    notes = tuple(note for one in sets for note in one.notes)
    return replace(first, root=root, images=images, notes=notes)
