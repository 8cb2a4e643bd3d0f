"""Pictures with surface normals → a data set: a row a picture, the normals as a PNG beside it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.labels.surfaces import NAME, Surface, encode_normals
from avssl.prepare.images import stored_picture
from avssl.prepare.pictures import PictureShards, checked_side, new_folder
from avssl.progress import progress_bar


def write_surfaces(
    pictures: Iterable[Surface],
    destination: str | os.PathLike[str],
    *,
    total: int | None = None,
    max_side_px: int = 0,
    about: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Path:
    """Writes the data set and gives its folder.

    Args:
        pictures: as a reader of `avssl.labels` gives them.
        destination: a new or empty folder.
        total: how many there are, for the progress bar.
        max_side_px: larger pictures are shrunk to it; 0 keeps every size. A normal is then the
            mean direction of those that are known, if at least half of them are.
        about: goes into `prepare.json`.
        quiet: no progress bar.

    Raises:
        InputError: the folder holds something, or there is no picture.
    """
    target = new_folder(destination)
    shards = PictureShards(target)
    checked_side(max_side_px)
    with progress_bar("pictures", total=total, unit="picture", quiet=quiet) as bar:
        for one in pictures:
            jpeg, scale, width, height = stored_picture(one.picture, max_side_px=max_side_px)
            shards.add(
                jpeg,
                width_px=width,
                height_px=height,
                source=one.source,
                group=one.group,
                split=one.split,
                labels={"scale": scale},
                maps={NAME: _png(shrunk(one.normals, (width, height)))},
            )
            bar.advance()
    settings = {"labels": NAME, "settings": {"max_side_px": max_side_px}}
    return shards.finish({**settings, **(about or {})})


def shrunk(normals: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Gives normals [H, W, 3] at a smaller size (width, height); zeros where most are unknown."""
    import cv2

    if normals.shape[:2] == (size_px[1], size_px[0]):
        return normals
    mean = cv2.resize(normals, size_px, interpolation=cv2.INTER_AREA)
    known = np.asarray(np.linalg.norm(normals, axis=-1) > 0.5, dtype=np.float32)
    share = cv2.resize(known, size_px, interpolation=cv2.INTER_AREA)
    length = np.linalg.norm(mean, axis=-1)
    good = (share >= 0.5) & (length > 0.5 * share)  # else they face every way
    found = mean / np.where(good, length, 1)[..., None]
    return np.where(good[..., None], found, 0).astype(np.float32)


def _png(normals: NDArray[np.float32]) -> bytes:
    import cv2

    coded = np.ascontiguousarray(encode_normals(normals)[..., ::-1])
    return cv2.imencode(".png", coded)[1].tobytes()
