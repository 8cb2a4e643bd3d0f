"""What the writers of official layouts share: a picture's people, and MATLAB's structs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.files import replacing

Joints = dict[str, tuple[float, float, int]]
"""{name: (x, y, visibility)}, counted from 1, without those outside the picture."""


@dataclass(frozen=True, kw_only=True)
class LayoutFrame:
    """One picture of the layout."""

    clip: dict[str, Any]
    index: int
    """Frame of the clip."""
    people: list[Joints]
    everywhere: list[NDArray[np.float64]]
    """Per person [J, 2]: all joints, also outside the picture, counted from 1."""

    @property
    def name(self) -> str:
        """The picture's file name, as in the world's COCO files."""
        return f"{self.clip['clip']}_{self.index:06d}.jpg"


def structs(rows: Sequence[dict[str, Any]]) -> NDArray[Any]:
    """Gives a 1×n struct array; MATLAB's `[]` for none."""
    if not rows:
        return np.zeros((0, 0))
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for place, row in enumerate(rows):
        array[0, place] = tuple(row.values())
    return array


def cells(values: Sequence[Any], *, shape: tuple[int, int]) -> NDArray[Any]:
    """Gives a cell array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def save_mat(path: Path, variables: dict[str, Any]) -> None:
    """Writes a MATLAB v5 file, compressed, all or nothing."""
    from scipy.io import savemat

    with replacing(path) as temporary:
        savemat(str(temporary), variables, do_compression=True, long_field_names=True)
