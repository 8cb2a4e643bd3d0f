"""NYU Depth v2, the labelled part (Silberman, Hoiem, Kohli, Fergus, ECCV 2012).

    nyu_depth_v2_labeled.mat     MATLAB 7.3, that is HDF5; MATLAB's axes come out reversed:
        images     [1449, 3, 640, 480]  uint8     480 x 640 x 3 x 1449 in MATLAB
        depths     [1449, 640, 480]     float32   metres, holes filled in
        rawDepths  [1449, 640, 480]     float32   the sensor's own, 0 where it saw nothing
        scenes     [1, 1449]            references to text, such as "basement_0001a"
    splits.mat                   MATLAB 5: trainNdxs [795, 1], testNdxs [654, 1], from 1

The set has no normals; they are fitted to the depth (`avssl.labels.planes`) with the camera of its
toolbox (`camera_params.m`, the colour camera), and are unknown where the sensor saw nothing. Around
each picture lies a frame in which the two cameras do not overlap; it is cut off, as
`get_projection_mask.m` does (rows 45 to 470, columns 41 to 600).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.mat import numbers, read_mat
from avssl.labels.planes import Pinhole, normals_of_depth
from avssl.labels.surfaces import Surface

LABELLED = "nyu_depth_v2_labeled.mat"
SPLITS = "splits.mat"
WIDTH_PX = 640
CAMERA = Pinhole(fx_px=518.8579, fy_px=519.46961, cx_px=325.58245 - 1, cy_px=253.73617 - 1)
"""Of the colour pictures, 640 px wide. MATLAB counts pixels from 1."""
SHOWN = (slice(44, 470), slice(40, 600))
"""Rows and columns where both cameras see."""
_MAX_PICTURES = 100_000
_HDF5 = b"\x89HDF"


@dataclass(frozen=True, kw_only=True)
class Nyu:
    """What the files hold; pictures are read one by one by `surfaces`."""

    path: Path
    splits: tuple[str, ...]
    """Of every picture, "" where the lists do not name it."""
    groups: tuple[str, ...]
    """The scene, without the letter of its recording."""
    notes: tuple[str, ...] = ()
    size_px: tuple[int, int] = field(default=(640, 480))
    """Width and height."""

    def __len__(self) -> int:
        return sum(1 for split in self.splits if split)


def read_nyuv2(root: str | os.PathLike[str], *, validation: float = 0.1, seed: int = 0) -> Nyu:
    """Reads what there is, no picture yet.

    Args:
        root: folder with `nyu_depth_v2_labeled.mat` and `splits.mat`.
        validation: share of the official training set to hold out, whole scenes at a time.
        seed: of which scenes.

    Raises:
        InputError: files are missing, of another layout, or do not belong together.
    """
    folder = Path(root)
    path, lists = folder / LABELLED, folder / SPLITS
    if not 0 <= validation < 1:
        raise InputError(f"validation {validation}: must be in [0, 1)")
    if not path.is_file():
        raise InputError(f"{folder}: no {LABELLED} there; name the folder of the download")
    if not lists.is_file():
        raise InputError(f"{folder}: no {SPLITS} there; get it from the data set's page")
    with _opened(path) as file:
        images, _ = _checked(path, file)
        count = int(images.shape[0])
        size = (int(images.shape[2]), int(images.shape[3]))
        groups = _scenes(path, file, count)
    splits = [""] * count
    for name, split in (("trainNdxs", "train"), ("testNdxs", "test")):
        found = numbers(read_mat(lists, name))
        if not len(found) or (found != np.rint(found)).any():
            raise InputError(f"{lists}: {name} is no list of indices; get the file again")
        if found.min() < 1 or found.max() > count:
            raise InputError(
                f"{lists}: {name} goes from {found.min():.0f} to {found.max():.0f}, the pictures "
                f"from 1 to {count}; the two files do not belong together"
            )
        for index in found.astype(int):
            if splits[index - 1]:
                raise InputError(f"{lists}: picture {index} is listed twice; get the file again")
            splits[index - 1] = split
    tested = {group for group, split in zip(groups, splits, strict=True) if split == "test"}
    notes = [f"{splits.count('')} pictures in neither list (left out)"] if "" in splits else []
    both = sum(s == "train" and g in tested for g, s in zip(groups, splits, strict=True))
    if both:
        notes.append(f"{both} training pictures of scenes that the test has too (official)")
    held = _held_out(groups, splits, validation, seed)
    for index in held:
        splits[index] = "validation"
    if held:
        notes.append(f"{len(held)} pictures of the official training set held out for validation")
    return Nyu(
        path=path, splits=tuple(splits), groups=tuple(groups), notes=tuple(notes), size_px=size
    )


def surfaces(found: Nyu) -> Iterator[Surface]:
    """Gives the pictures of the splits with their normals, without the frame around them."""
    factor = found.size_px[0] / WIDTH_PX
    rows, columns = (slice(round(part.start * factor), round(part.stop * factor)) for part in SHOWN)
    camera = CAMERA.scaled(factor)
    radius = max(1, round(4 * factor))
    with _opened(found.path) as file:
        images, depths = _checked(found.path, file)
        raw = file.get("rawDepths", depths)
        for index, split in enumerate(found.splits):
            if not split:
                continue
            picture = np.asarray(images[index]).transpose(2, 1, 0)  # [3, W, H] → [H, W, 3]
            depth, measured = np.asarray(depths[index]).T, np.asarray(raw[index]).T
            known: NDArray[np.bool_] = np.isfinite(measured) & (measured > 0)
            normals = normals_of_depth(depth, camera, known=known, radius_px=radius)
            yield Surface(
                picture=np.ascontiguousarray(picture[rows, columns]),
                normals=np.ascontiguousarray(normals[rows, columns]),
                source=f"{found.path.name}#{index + 1}",
                group=found.groups[index],
                split=split,
            )


def _opened(path: Path) -> Any:
    import h5py

    with path.open("rb") as stream:
        head = stream.read(520)
    if _HDF5 not in (head[:4], head[512:516]):
        what = "MATLAB 5" if head.startswith(b"MATLAB 5") else "not HDF5"
        raise InputError(f"{path}: {what}, the official file is MATLAB 7.3; get it again")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: damaged or cut off ({error}); get the file again") from None


def _checked(path: Path, file: Any) -> tuple[Any, Any]:
    """Gives images and depths after checking their form.

    Raises:
        InputError: not of the official layout.
    """
    images, depths = _dataset(path, file, "images"), _dataset(path, file, "depths")
    shape = tuple(images.shape)
    official = "(N, 3, 640, 480)"
    if len(shape) != 4 or not 0 < shape[0] <= _MAX_PICTURES or images.dtype != np.uint8:
        raise InputError(
            f"{path}: images is {images.dtype} {shape}, the official file's is uint8 {official}"
        )
    if shape[1] != 3 or shape[2] * 3 != shape[3] * 4:
        raise InputError(
            f"{path}: images is {shape}, the official file's is {official}; its axes were "
            "exchanged, take the file as it was downloaded"
        )
    for name in ("depths", "rawDepths"):
        if name == "rawDepths" and name not in file:
            continue
        data = _dataset(path, file, name)
        if tuple(data.shape) != (shape[0], *shape[2:]) or data.dtype.kind != "f":
            raise InputError(
                f"{path}: {name} is {data.dtype} {tuple(data.shape)}, must be floats "
                f"{(shape[0], *shape[2:])}"
            )
    return images, depths


def _dataset(path: Path, file: Any, name: str) -> Any:
    """Gives a data set that lies in this very file: others may point anywhere on the disk."""
    import h5py

    link = file.get(name, getlink=True) if name in file else None
    found = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise InputError(f"{path}: holds no {name}; is it {LABELLED}?")
    return found


def _scenes(path: Path, file: Any, count: int) -> list[str]:
    """Reads the names of the scenes, without the letter of the recording."""
    import h5py

    cells = np.asarray(_dataset(path, file, "scenes")).ravel()
    if len(cells) != count or h5py.check_ref_dtype(cells.dtype) is None:
        raise InputError(f"{path}: scenes is no list of {count} texts; get the file again")
    names = []
    for number, cell in enumerate(cells, start=1):
        letters: Any = file[cell] if cell else None
        size = letters.size if isinstance(letters, h5py.Dataset) else 0
        if not size or size > 200:
            raise InputError(f"{path}: scene {number} has no name; get the file again")
        name = "".join(chr(int(code)) for code in np.asarray(letters).ravel())
        names.append(re.sub(r"(?<=\d)[a-z]$", "", name))
    return names


def _held_out(groups: list[str], splits: list[str], share: float, seed: int) -> list[int]:
    """Chooses whole scenes of the training set, in an order drawn from the seed."""
    training = [index for index, split in enumerate(splits) if split == "train"]
    names = sorted({groups[index] for index in training})
    wanted = share * len(training)
    held: list[int] = []
    for place in np.random.default_rng(seed).permutation(len(names)):
        own = [index for index in training if groups[index] == names[place]]
        if len(held) + len(own) <= wanted:
            held += own
    return sorted(held)
