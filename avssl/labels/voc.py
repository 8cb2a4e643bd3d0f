"""PASCAL VOC's boxes (Everingham and others, IJCV 2010), 2007 and later years of the same layout.

    VOCdevkit/VOC2007/JPEGImages/000005.jpg
    VOCdevkit/VOC2007/Annotations/000005.xml
    VOCdevkit/VOC2007/ImageSets/Main/train.txt, val.txt, trainval.txt, test.txt    one id a line

    <annotation><size><width>…</size>
      <object><name>chair</name><difficult>0</difficult>
        <bndbox><xmin>263</xmin><ymin>211</ymin><xmax>324</xmax><ymax>339</ymax></bndbox>
      </object>…

Corners count from 1 and both are inside: 1 is taken off the first, and the second stays, which
makes of it a measure from the picture's corner. Parts of people (`part`, with boxes of their own)
are no objects. Some files of later years have corners with fractions, or no `difficult`.
"""

import os
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from avssl.errors import InputError
from avssl.labels.boxes import Boxed, BoxedImage, BoxSet, clipped, present
from avssl.labels.reading import file_name, notes_of

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
LISTS = {"train": "train", "val": "validation", "test": "test"}
_MAX_XML_BYTES = 1 << 20
_MAX_LIST_BYTES = 8 << 20


def find_voc(root: str | os.PathLike[str], year: str = "2007") -> Path | None:
    """Gives the folder with `Annotations` and `ImageSets/Main`: `root`, or inside it."""
    folder = Path(root)
    places = (folder, folder / f"VOC{year}", folder / "VOCdevkit" / f"VOC{year}")
    return next((place for place in places if (place / "ImageSets" / "Main").is_dir()), None)


def read_voc(root: str | os.PathLike[str], *, year: str = "2007", trainval: bool = False) -> BoxSet:
    """Reads the lists that are there, and the boxes of their pictures.

    Args:
        root: the unpacked download (see `find_voc`); that of the test belongs in the same folder.
        year: of the folder's name.
        trainval: train on train and val together, as published figures on the test do; there is
            no validation then.

    Raises:
        InputError: no such folder, none of the lists, or no picture with its boxes.
    """
    folder = find_voc(root, year)
    if folder is None:
        raise InputError(
            f"{root}: no ImageSets/Main there or in VOCdevkit/VOC{year}; name the unpacked download"
        )
    counts: Counter[str] = Counter()
    images: list[BoxedImage] = []
    seen: set[str] = set()
    for name, split in LISTS.items():
        path = folder / "ImageSets" / "Main" / f"{name}.txt"
        if not path.is_file():
            counts[f"lists that are not there ({name}.txt)"] += 1
            continue
        for one in read_list(path):
            if one in seen:
                counts["pictures in several lists (the first counts)"] += 1
                continue
            seen.add(one)
            xml = folder / "Annotations" / f"{one}.xml"
            if not xml.is_file():
                counts[f"pictures without a file of boxes (such as {one})"] += 1
                continue
            images.append(
                BoxedImage(
                    path=f"JPEGImages/{one}.jpg",
                    things=read_objects(xml, counts),
                    split="train" if trainval and split == "validation" else split,
                )
            )
    if not images:
        raise InputError(f"{folder}: no picture with boxes in the lists {', '.join(LISTS)}")
    kept, note = present(images, folder)
    return BoxSet(
        classes=CLASSES,
        root=folder,
        images=kept,
        notes=(*notes_of(counts), *([note] if note else [])),
        meta={"format": f"PASCAL VOC {year}", "licence": "see the site"},
    )


def read_list(path: Path) -> list[str]:
    """Gives the ids of a list; a second column (−1, 0, 1 of a class) is passed over.

    Raises:
        InputError: not a list of ids.
    """
    if path.stat().st_size > _MAX_LIST_BYTES:
        raise InputError(f"{path}: above {_MAX_LIST_BYTES >> 20} MiB, so not a list of VOC")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; get it again") from None
    return [file_name(line.split()[0], source=path) for line in lines if line.strip()]


def read_objects(path: Path, counts: Counter[str]) -> tuple[Boxed, ...]:
    """Gives the things of one picture, in the order of the file.

    Args:
        path: the XML file.
        counts: takes what is left out.

    Raises:
        InputError: too large, with a DOCTYPE, not XML, or another layout.
    """
    if path.stat().st_size > _MAX_XML_BYTES:
        raise InputError(f"{path}: larger than {_MAX_XML_BYTES >> 20} MiB, so no file of boxes")
    try:  # of text nothing is decoded any more: another encoding could hide what is refused here
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8; get it again") from None
    if "<!" in text.replace("<!--", ""):
        raise InputError(f"{path}: declares entities, which can grow without end; not read")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not XML ({error})") from None
    if root.tag != "annotation":
        raise InputError(f"{path}: begins with <{root.tag}>, VOC's files with <annotation>")
    found = []
    for number, item in enumerate(root.findall("object"), start=1):
        try:
            size = (_number(root, "size/width"), _number(root, "size/height"))
            x0, y0, x1, y1 = (
                _number(item, f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")
            )
            label = (item.findtext("name") or "").strip()
            ignored = bool(_number(item, "difficult", 0.0))
        except ValueError as error:
            raise InputError(f"{path}: object {number} has no {error}; get it again") from None
        if label not in CLASSES:
            raise InputError(f"{path}: object {number} is a {label!r}, none of VOC's 20 classes")
        box = clipped((x0 - 1, y0 - 1, x1, y1), size)
        if box is None:
            counts["boxes without a size inside the picture (left out)"] += 1
            continue
        found.append(Boxed(label=label, box_px=box, ignored=ignored))
    return tuple(found)


def _number(item: ElementTree.Element, place: str, default: float | None = None) -> float:
    text = item.findtext(place)
    try:
        value = float(text or "nan")
    except ValueError:
        value = float("nan")
    if abs(value) <= 100_000:
        return value
    if text is None and default is not None:
        return default
    raise ValueError(f"number {place}")
