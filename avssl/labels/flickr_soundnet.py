"""Flickr-SoundNet's test set: one XML a picture, boxes of three annotators, of 256 x 256 pixels.

papers.md §3.1: every element below the root is an annotator; its `bbox` children hold five values,
of which the first is skipped: xmin, ymin, xmax, ymax. The truth counts where two of them agree
(`avssl.downstream.localization_metrics.consensus_truth`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from avssl.errors import InputError

Box = tuple[float, float, float, float]
SIDE_PX = 256
MAX_NUM_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FlickrSet:
    """Truth of many pictures."""

    annotators: Mapping[str, tuple[tuple[Box, ...], ...]]
    """Id → boxes of each annotator."""
    problems: tuple[str, ...]
    """One line for each file that is missing or cannot be read: such pictures are left out."""


def read_flickr_soundnet(folder: str | Path, ids: Collection[str] | None = None) -> FlickrSet:
    """Reads `Annotations/`, a file `<id>.xml` for each picture.

    Args:
        folder: with the files; or the folder above, where it is called `Annotations`.
        ids: those of `test_list.txt` (250); None reads all (some 5000, the training ids of
            supervised methods among them).

    Raises:
        InputError: no such folder, or no file in it that can be read.
    """
    root = Path(folder)
    root = root / "Annotations" if (root / "Annotations").is_dir() else root
    if not root.is_dir():
        raise InputError(f"{folder}: must be the folder Annotations, with <id>.xml in it")
    names = sorted({path.stem for path in root.glob("*.xml")}) if ids is None else list(ids)
    found: dict[str, tuple[tuple[Box, ...], ...]] = {}
    problems: list[str] = []
    for name in names:
        try:
            found[name] = read_annotators(root / f"{name}.xml")
        except InputError as error:
            problems.append(str(error))
    if not found:
        raise InputError(f"{root}: none of {len(names)} files <id>.xml there can be read")
    return FlickrSet(annotators=found, problems=tuple(problems))


def sounding_labels(annotators: tuple[tuple[Box, ...], ...]) -> dict[str, Any]:
    """Gives the labels of a picture in the catalogue; its time is the middle of the clip."""
    return {
        "sounding": {
            "boxes": [list(box) for boxes in annotators for box in boxes],
            "annotators": [[list(box) for box in boxes] for boxes in annotators],
        }
    }


def read_annotators(path: str | Path) -> tuple[tuple[Box, ...], ...]:
    """Gives each annotator's boxes, in shares of the picture (0…1); reversed corners are turned.

    Raises:
        InputError: no such file, larger than 1 MiB, or another layout.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file")
    if file.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: larger than {MAX_NUM_BYTES >> 20} MiB, so no file of boxes")
    data = file.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{path}: declares entities, which can grow without end; not read")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error})") from error
    found = []
    for annotator in root:
        boxes = []
        for box in annotator.iter("bbox"):
            try:
                x0, y0, x1, y1 = (float(cell.text or "") / SIDE_PX for cell in list(box)[1:5])
            except ValueError as error:
                raise InputError(f"{path}: a bbox must hold five values ({error})") from error
            boxes.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
        if boxes:
            found.append(tuple(boxes))
    if not found:
        raise InputError(f"{path}: no annotator with a bbox in it")
    return tuple(found)
