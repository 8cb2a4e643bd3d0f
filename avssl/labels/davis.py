"""DAVIS 2017 (Pont-Tuset 2017): sequences of JPEG pictures and masks of objects.

    DAVIS/ImageSets/2017/val.txt                      one name a line
    DAVIS/JPEGImages/480p/bike-packing/00000.jpg …
    DAVIS/Annotations/480p/bike-packing/00000.png     palette: 0 background, 1 … objects, 255 void

A mask's numbers are the indices of its palette, not its colours.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.reading import file_name, notes_of

MAX_LIST_BYTES = 1 << 20
MAX_PIXELS = 64_000_000
"""DAVIS's largest pictures have 8.3 million."""
VOID = 255


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """One video: pictures and masks of the same frames, in order of time."""

    name: str
    pictures: tuple[Path, ...]
    masks: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Davis:
    """The sequences of one list."""

    root: Path
    sequences: tuple[Sequence, ...]
    notes: tuple[str, ...] = ()
    """What was left out, with counts."""


def find_davis(root: str | os.PathLike[str]) -> Path | None:
    """Gives the folder with `ImageSets/2017`: `root`, or `DAVIS` in it."""
    folders = (Path(root), Path(root) / "DAVIS")
    return next((folder for folder in folders if (folder / "ImageSets" / "2017").is_dir()), None)


def read_davis(
    root: str | os.PathLike[str], *, split: str = "val", resolution: str = "480p"
) -> Davis:
    """Reads a list and finds the files of its sequences.

    Frames without a mask are kept only up to the last frame with one; a sequence counts if every
    frame of it has a mask, as in train and val, and there are three or more.

    Args:
        root: the unpacked download (see `find_davis`).
        split: name of the list, "train" or "val".
        resolution: folder, "480p" or "Full-Resolution".

    Raises:
        InputError: no such list, a name that leads out of the folder, or no sequence is there.
    """
    folder = find_davis(root)
    if folder is None:
        raise InputError(f"{root}: no ImageSets/2017 there; name the unpacked download of DAVIS")
    listed = folder / "ImageSets" / "2017" / f"{file_name(split, source=folder)}.txt"
    if not listed.is_file():
        raise InputError(f"{listed}: no such list; there are train and val")
    if listed.stat().st_size > MAX_LIST_BYTES:
        raise InputError(f"{listed}: above {MAX_LIST_BYTES >> 20} MiB, so not a list of DAVIS")
    try:
        names = listed.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError:
        raise InputError(f"{listed}: not a text file; get it again") from None
    inside = file_name(resolution, source=folder)
    counts: Counter[str] = Counter()
    found = []
    for name in dict.fromkeys(file_name(one, source=listed) for one in names):
        places = (folder / kind / inside / name for kind in ("JPEGImages", "Annotations"))
        pictures, masks = (
            {path.stem: path for path in sorted(place.glob(pattern))}
            for place, pattern in zip(places, ("*.jpg", "*.png"), strict=True)
        )
        if not pictures or not masks:
            counts[f"sequences without files (such as {name})"] += 1
        elif pictures.keys() != masks.keys() or len(masks) < 3:
            counts[f"sequences not masked frame by frame (such as {name})"] += 1
        else:
            found.append(
                Sequence(name=name, pictures=tuple(pictures.values()), masks=tuple(masks.values()))
            )
    if not found:
        raise InputError(
            f"{folder}: none of the {len(names)} sequences of {listed.name} is there at {inside}; "
            "unpack the whole download"
        )
    return Davis(root=folder, sequences=tuple(found), notes=notes_of(counts))


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Gives a mask's numbers, uint8 [H, W]: indices of the palette, or grey levels as they are.

    Raises:
        InputError: not a PNG of palette or grey kind, damaged, or too large.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("P", "L", "1"):
                raise InputError(
                    f"{path}: a PNG of kind {image.mode}; masks have a palette or are grey"
                )
            _check_size(path, image.size)
            return np.asarray(image.convert("L") if image.mode == "1" else image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable PNG ({error}); get it again") from None


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Gives a picture, RGB uint8 [3, H, W].

    Raises:
        InputError: not a JPEG, damaged, or too large.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["JPEG"]) as image:
            _check_size(path, image.size)
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable JPEG ({error}); get it again") from None


def _check_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"{path}: {size[0]} x {size[1]} pixels; at most {MAX_PIXELS // 10**6} M")
