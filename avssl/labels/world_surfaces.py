"""Depth and normals of the synthetic world: `truth/surfaces/<split>/<clip>.npz`.

`python tools/make_world.py world --surfaces` writes them, for every so manyth frame:

    frames int64 [n]   depth_mm uint16 [n, H, W], 0: none   normals uint8 [n, H, W, 3], coded
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.decode import open_video
from avssl.errors import InputError
from avssl.labels.surfaces import Surface, decode_normals

FOLDER = "truth/surfaces"
SPLITS = ("train", "validation", "test")
_MAX_NUM_BYTES = 1 << 30


def read_world_surfaces(world: str | os.PathLike[str]) -> tuple[int, Iterator[Surface]]:
    """Gives the number of clips with surfaces, and their pictures.

    Raises:
        InputError: no such truth there.
    """
    root = Path(world)
    files = [
        (split, path) for split in SPLITS for path in sorted((root / FOLDER / split).glob("*.npz"))
    ]
    if not files:
        raise InputError(
            f"{root}: no {FOLDER} there; write it with `python tools/make_world.py {root} "
            "--surfaces` and the settings that the world was made with"
        )
    return len(files), _surfaces(root, files)


def _surfaces(root: Path, files: list[tuple[str, Path]]) -> Iterator[Surface]:
    for split, path in files:
        truth = read_surface_file(path)
        video = root / split / f"{path.stem}.mp4"
        with open_video(video, backend="pyav") as reader:
            frames = reader.frames_by_index(truth["frames"].tolist())
        for index, frame, coded in zip(truth["frames"], frames, truth["normals"], strict=True):
            yield Surface(
                picture=np.ascontiguousarray(frame.transpose(1, 2, 0)),
                normals=decode_normals(coded),
                source=f"{split}/{video.name}#{index}",
                group=path.stem,
                split=split,
            )


def read_surface_file(path: Path) -> dict[str, NDArray[Any]]:
    """Reads one clip's file; see the file's head.

    Raises:
        InputError: not such a file.
    """
    try:
        if path.stat().st_size > _MAX_NUM_BYTES:
            raise ValueError("too large")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            truth = {name: found[name] for name in ("frames", "depth_mm", "normals")}
        count, shape = len(truth["frames"]), truth["depth_mm"].shape
        if shape[:1] != (count,) or truth["normals"].shape != (*shape, 3):
            raise ValueError(f"depth {shape}, normals {truth['normals'].shape}")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not depth and normals of a world ({error})") from None
    return truth
