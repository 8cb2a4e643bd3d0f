"""Flickr-SoundNet's test set: one XML a picture, boxes of three annotators, of 256 x 256 pixels.

papers.md §3.1: every element below the root is an annotator; its `bbox` children hold five values,
of which the first is skipped: xmin, ymin, xmax, ymax. The truth counts where two of them agree
(`avssl.downstream.localization_metrics.consensus_truth`).
"""

from pathlib import Path
from xml.etree import ElementTree

from avssl.errors import InputError

Box = tuple[float, float, float, float]
SIDE_PX = 256
MAX_NUM_BYTES = 1 << 20


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
