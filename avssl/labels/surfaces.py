"""Surface normals beside pictures: the record, and how a map of them is kept as a picture.

Normals are unit vectors in the camera's axes, x to the right, y down, z forward, and point towards
the camera. Where nothing is known they are (0, 0, 0).

    coded = 128 + 127 · n, rounded, uint8; (0, 0, 0) where nothing is known

Rounding moves a direction by at most 0.4 degrees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAME = "normals"
"""Of the map in a row's labels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A picture whose surfaces are known."""

    picture: NDArray[np.uint8]
    """uint8 [H, W, 3], RGB."""
    normals: NDArray[np.float32]
    """float32 [H, W, 3]; see the file's head."""
    source: str
    group: str
    """Pictures that must stay in one split share it: scene, video."""
    split: str
    """"train", "validation", "test"."""

    def __post_init__(self) -> None:
        if self.picture.shape != self.normals.shape or self.picture.shape[2:] != (3,):
            raise ValueError(f"picture {self.picture.shape}, normals {self.normals.shape}")


def encode_normals(normals: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Gives [..., 3] unit vectors as uint8; see the file's head."""
    values = np.asarray(normals, dtype=np.float32)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    known = np.isfinite(length) & (length > 0.5)
    coded = np.rint(128 + 127 * np.where(known, values / np.where(known, length, 1), 0))
    return np.where(known, coded, 0).astype(np.uint8)


def decode_normals(coded: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gives back unit vectors, float32 [..., 3]; zeros where nothing is known."""
    known = coded.any(axis=-1, keepdims=True)
    values = (coded.astype(np.float32) - 128) / 127
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.where(known, values / np.maximum(length, 1e-6), 0).astype(np.float32)
