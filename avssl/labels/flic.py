"""FLIC, Frames Labeled In Cinema (Sapp and Taskar, CVPR 2013): `examples.mat` and `images/`.

Each of the 29 columns of `coords` is a joint or a midpoint; 11 are labelled in practice and are
given here. Coordinates count from 1 in the file. Sources: bensapp/MODEC `lookupPart.m`,
`flip_backwards_facing_groundtruth.m`; mitmul/deeppose `datasets/flic_dataset.py`.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.mat import elements, field, number, numbers, read_mat, text
from avssl.labels.reading import (
    box_of,
    clean_points,
    file_name,
    flip_pairs_by_name,
    keep_present,
    notes_of,
    refusing,
    whole,
)
from avssl.labels.records import LabelledImage, LabelledSet, Person, Skeleton, person_of

FlicSubset = Literal["flic", "full", "plus"]
NUM_COLUMNS = 29
COLUMNS = {
    "left_shoulder": 0, "left_elbow": 1, "left_wrist": 2,
    "right_shoulder": 3, "right_elbow": 4, "right_wrist": 5,
    "left_hip": 6, "right_hip": 9, "left_eye": 12, "right_eye": 13, "nose": 16,
}  # fmt: skip
"""The columns that are labelled, counted from 0."""
_EDGES = (
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_hip", "right_hip"),
    ("left_eye", "nose"), ("right_eye", "nose"),
)  # fmt: skip
_ARMS = ("shoulder", "elbow", "wrist")


def flic_skeleton(*, head: bool = False) -> Skeleton:
    """Gives FLIC's joints, with "head" as the twelfth if asked."""
    names = (*COLUMNS, "head") if head else tuple(COLUMNS)
    return Skeleton(
        names=names,
        flip_pairs=flip_pairs_by_name(names),
        edges=tuple((names.index(one), names.index(other)) for one, other in _EDGES),
        normaliser="torso",
    )


def read_flic(
    root: str | os.PathLike[str],
    *,
    subset: FlicSubset = "flic",
    head: bool = False,
    observer_centric: bool = False,
) -> LabelledSet:
    """Reads FLIC.

    Args:
        root: the folder that holds `examples.mat` and `images/`, or the one that holds that
            folder under its official name, `FLIC` or `FLIC-full`.
        subset: "flic": the 5 003 pictures with `istrain` and `istest`. "full": FLIC-full;
            everything that is not `istest` is for training, bad and unchecked ones too (they carry
            the flags). "plus": of FLIC-full, the pictures in `tr_plus_indices.mat` for training
            and those with `istest` for the test; the rest is left out.
        head: add the joint "head" of DeepPose and Shuffle and Learn, the mean of eyes and nose.
        observer_centric: as in MODEC's evaluation: for people whose left shoulder, elbow and wrist
            all lie left of the right ones (seen from behind), these three change sides.

    Returns:
        Split "train" or "test"; group: the film; order: the frame; flags "bad", "unchecked".
        Examples that name one picture are its people.

    Raises:
        InputError: files are missing, damaged or not FLIC's.
    """
    if subset not in ("flic", "full", "plus"):
        raise InputError(f"subset {subset!r}: must be flic, full or plus")
    folder = _folder(Path(root), "FLIC" if subset == "flic" else "FLIC-full")
    path = folder / "examples.mat"
    examples = elements(read_mat(path, "examples"))
    if not examples or field(examples[0], "coords") is None:
        raise InputError(f"{path}: 'examples' is no list of FLIC's examples; get the file again")
    plus = _plus_indices(folder, len(examples)) if subset == "plus" else None

    counts: Counter[str] = Counter()
    people: dict[tuple[str, str], list[Person]] = {}
    places: dict[tuple[str, str], tuple[str, int]] = {}
    for index, example in enumerate(examples):
        with refusing(path, f"example {index + 1}"):
            split = _split(example, index, subset, plus)
            if not split:
                counts[f"examples in no split of {subset} (left out)"] += 1
                continue
            name = file_name(text(field(example, "filepath")), source=path)
            person = _person(example, counts, head=head, observer_centric=observer_centric)
            people.setdefault((f"images/{name}", split), []).append(person)
            order = whole(number(field(example, "currframe")))
            places[f"images/{name}", split] = (text(field(example, "moviename")), order)
    tested = {name for name, split in people if split == "test"}
    images = [
        LabelledImage(
            path=name, people=tuple(found), split=split, group=places[name, split][0], order=order
        )
        for (name, split), found in people.items()
        for order in [places[name, split][1]]
        if split == "test" or name not in tested
    ]
    counts["pictures of the test left out of training"] += len(people) - len(images)
    return LabelledSet(
        skeleton=flic_skeleton(head=head),
        root=folder,
        images=keep_present(images, folder, counts),
        notes=notes_of(counts),
        meta={"format": f"FLIC, subset {subset}", "licence": "see the site"},
    )


def _folder(root: Path, official: str) -> Path:
    for folder in (root / official, root):
        if (folder / "examples.mat").is_file():
            return folder
    raise InputError(
        f"{root}: no examples.mat there or in {official}/; name the folder of the download"
    )


def _plus_indices(folder: Path, num_examples: int) -> set[int]:
    path = folder / "tr_plus_indices.mat"
    indices = numbers(read_mat(path, "tr_plus_indices"))
    if not len(indices) or not np.array_equal(indices, np.round(indices)):
        raise InputError(f"{path}: 'tr_plus_indices' is no list of indices; get the file again")
    if indices.min() < 1 or indices.max() > num_examples:
        raise InputError(
            f"{path}: indices from {indices.min():.0f} to {indices.max():.0f}, but MATLAB's go "
            f"from 1 to {num_examples}; it does not belong to this examples.mat"
        )
    return {int(index) - 1 for index in indices}


def _split(example: Any, index: int, subset: str, plus: set[int] | None) -> str:
    test = number(field(example, "istest")) > 0
    if plus is not None:
        return "test" if test else "train" if index in plus else ""
    train = number(field(example, "istrain")) > 0
    return "test" if test else "train" if train or subset == "full" else ""


def _person(example: Any, counts: Counter[str], *, head: bool, observer_centric: bool) -> Person:
    coords = np.asarray(field(example, "coords"), dtype=np.float64)
    if coords.shape != (2, NUM_COLUMNS):
        raise ValueError(f"coords are {coords.shape}, not (2, {NUM_COLUMNS})")
    points = clean_points(coords.T[list(COLUMNS.values())] - 1.0, counts)
    names = list(COLUMNS)
    if observer_centric:
        points, swapped = _observer_centric(points, names)
        counts["people seen from behind, arms changed from left to right"] += swapped
    if head:
        face = [names.index(name) for name in ("left_eye", "right_eye", "nose")]
        points = np.vstack([points, points[face].mean(axis=0)])  # NaN where one is missing
    flags = [name for name in ("bad", "unchecked") if number(field(example, f"is{name}")) > 0]
    return person_of(
        points,
        torso_px=box_of(numbers(field(example, "torsobox")).tolist(), shift_px=1.0),
        flags=tuple(flags),
    )


def _observer_centric(
    points: NDArray[np.float64], names: Sequence[str]
) -> tuple[NDArray[np.float64], bool]:
    left = [names.index(f"left_{part}") for part in _ARMS]
    right = [names.index(f"right_{part}") for part in _ARMS]
    behind = bool((points[left, 0] < points[right, 0]).all())  # false where one is NaN
    if behind:
        points = points.copy()
        points[left + right] = points[right + left]
    return points, behind
