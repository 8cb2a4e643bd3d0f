"""Label files of DeepLabCut and Lightning Pose: `CollectedData….csv` and `labeled-data/`.

Three header rows (scorer, bodyparts, coords; four with individuals), then a row a picture: its
name, in one cell or three, and x, y for each part; empty where not labelled. A whole number is
the centre of a pixel, counted from 0 (DeepLabCut's labelling tools draw in such coordinates).
The HDF5 twins are not read: pandas keeps pickled objects in them.
"""

import csv
import itertools
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from avssl.errors import InputError
from avssl.labels.reading import (
    clean_points,
    file_name,
    keep_present,
    notes_of,
    number_in_name,
    refusing,
)
from avssl.labels.records import LabelledImage, LabelledSet, Person, Skeleton, person_of

MAX_CSV_BYTES = 1 << 28
MAX_COLUMNS = 10_000
_FOLDER = "labeled-data"


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What the header rows say: where x of each part of each individual stands."""

    parts: tuple[str, ...]
    individuals: tuple[str, ...]
    places: dict[tuple[str, str], int]
    """{(individual, part): column of x}; y stands beside it."""
    num_name_columns: int
    num_header_rows: int


def read_deeplabcut(
    root: str | os.PathLike[str],
    *,
    flip_pairs: Sequence[tuple[str, str]] = (),
    normaliser: str = "box",
) -> LabelledSet:
    """Reads the labelled frames of a DeepLabCut or Lightning Pose project.

    Args:
        root: the project's folder, with `CollectedData….csv` in it (Lightning Pose) or in the
            folders below `labeled-data` (DeepLabCut); or one CSV file.
        flip_pairs: parts that change places in a mirror, such as [("paw_left", "paw_right")].
            The files do not tell; without them pictures are never mirrored.
        normaliser: what errors are divided by, see `Skeleton.normaliser`; the files do not tell.

    Returns:
        No split; group: the folder below `labeled-data` (the video); order: the number in the
        picture's name. Each individual of a file with several is a person.

    Raises:
        InputError: no CSV, not of this layout, a file of predictions, or no pictures.
    """
    base, files = _label_files(Path(root))
    counts: Counter[str] = Counter()
    images: list[LabelledImage] = []
    parts: tuple[str, ...] = ()
    for path in files:
        rows = _rows(path)
        table = _header(path, rows)
        if parts and table.parts != parts:
            raise InputError(f"{path}: other body parts than in {files[0]}; make them agree")
        parts = table.parts
        for number, row in enumerate(rows[table.num_header_rows :], table.num_header_rows + 1):
            if any(row):
                with refusing(path, f"row {number}"):
                    images += _image(path, row, table, counts)
    doubles = [name for name, count in Counter(image.path for image in images).items() if count > 1]
    if doubles:
        raise InputError(f"{base}: {doubles[0]} is labelled twice; delete one of the rows")
    for name in {name for pair in flip_pairs for name in pair} - set(parts):
        raise InputError(f"flip pair with {name!r}: no such part among {', '.join(parts)}")
    return LabelledSet(
        skeleton=Skeleton(
            names=parts,
            flip_pairs=tuple((parts.index(one), parts.index(other)) for one, other in flip_pairs),
            normaliser=normaliser,
        ),
        root=base,
        images=keep_present(images, base, counts),
        notes=notes_of(counts),
        meta={"format": "DeepLabCut CSV", "licence": "the project's own"},
    )


def _label_files(root: Path) -> tuple[Path, list[Path]]:
    """Gives the project's folder and its label files."""
    if root.is_file():
        _refuse_hdf(root)
        inside = root.parent.parent.name == _FOLDER
        return (root.parent.parent.parent if inside else root.parent), [root]
    if (root / "CollectedData.csv").is_file():
        return root, [root / "CollectedData.csv"]
    found = sorted(root.glob("CollectedData*.csv"))
    if len(found) > 1:
        raise InputError(f"{root}: {len(found)} files CollectedData*.csv; name one of them")
    if found:
        return root, found
    found = sorted(root.glob(f"{_FOLDER}/*/CollectedData*.csv"))
    for one, two in itertools.pairwise(found):
        if one.parent == two.parent:
            raise InputError(f"{one.parent}: several CollectedData*.csv; leave one in the folder")
    if not found:
        for path in (*root.glob("CollectedData*.h5"), *root.glob(f"{_FOLDER}/*/*.h5")):
            _refuse_hdf(path)
        raise InputError(f"{root}: no CollectedData*.csv there or in {_FOLDER}/*/")
    return root, found


def _refuse_hdf(path: Path) -> None:
    if path.suffix.lower() in (".h5", ".hdf5", ".hdf"):
        raise InputError(
            f"{path}: HDF5 of pandas may hold pickled objects and is not read; export the CSV "
            "(pandas.read_hdf(FILE).to_csv(FILE.csv))"
        )


def _rows(path: Path) -> list[list[str]]:
    if path.stat().st_size > MAX_CSV_BYTES:
        raise InputError(f"{path}: above {MAX_CSV_BYTES >> 20} MiB; no label file is so large")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return [[cell.strip() for cell in row] for row in csv.reader(stream)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error}); export it again") from None


def _header(path: Path, rows: list[list[str]]) -> _Table:
    titles = [row[0] if row else "" for row in rows[:4]]
    lines = dict(zip(titles, rows, strict=False))
    several = titles[1:2] == ["individuals"]
    wanted = ["scorer", *(["individuals"] if several else []), "bodyparts", "coords"]
    if titles[: len(wanted)] != wanted:
        raise InputError(
            f"{path}: header rows {', '.join(map(repr, titles))}, must be {', '.join(wanted)}; "
            "export the labels as DeepLabCut's CSV"
        )
    parts, coords = lines["bodyparts"], lines["coords"]
    names = lines["individuals"] if several else [""] * len(parts)
    if not len(parts) == len(coords) == len(names) <= MAX_COLUMNS:
        raise InputError(f"{path}: header rows of different or absurd length; export it again")
    first = next((at for at, part in enumerate(parts) if at and part), len(parts))
    if set(coords[first:]) - {"x", "y"}:
        extra = sorted(set(coords[first:]) - {"x", "y"})
        raise InputError(
            f"{path}: columns {', '.join(map(repr, extra))} beside x and y; "
            "name the labels, not a file of predictions"
        )
    places: dict[tuple[str, str], int] = {}
    for at in range(first, len(parts), 2):
        key = (names[at], parts[at])
        beside = at + 1 < len(parts) and key == (names[at + 1], parts[at + 1])
        if not beside or coords[at : at + 2] != ["x", "y"] or key in places or not parts[at]:
            raise InputError(f"{path}: column {at + 1} begins no new pair of x and y")
        places[key] = at
    if not places or first not in (1, 3):
        raise InputError(f"{path}: {len(places)} body parts after {first} columns of names")
    return _Table(
        parts=tuple(dict.fromkeys(part for _, part in places)),
        individuals=tuple(dict.fromkeys(name for name, _ in places)),
        places=places,
        num_name_columns=first,
        num_header_rows=len(wanted),
    )


def _image(path: Path, row: list[str], table: _Table, counts: Counter[str]) -> list[LabelledImage]:
    name = file_name("/".join(row[: table.num_name_columns]), source=path)
    people: list[Person] = []
    for individual in table.individuals:
        points = np.full((len(table.parts), 2), np.nan)
        for joint, part in enumerate(table.parts):
            at = table.places.get((individual, part))
            if at is not None:
                points[joint] = _coordinate(row, at), _coordinate(row, at + 1)
        person = person_of(clean_points(points, counts))
        if person.visible.any():
            people.append(person)
    if not people:
        counts["pictures without any label (left out)"] += 1
        return []
    folders = PurePosixPath(name).parent
    return [
        LabelledImage(
            path=name, people=tuple(people), group=folders.name, order=number_in_name(name)
        )
    ]


def _coordinate(row: list[str], at: int) -> float:
    """Gives a cell as a number, NaN where it is empty or the row ends before."""
    return float(row[at]) if at < len(row) and row[at] else math.nan
