"""Cheap numbers about a few pictures, for the probes that look for ways to cheat.

Shapes: frames uint8 [T, 3, H, W] → float64 [k].
"""

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALL_PX = 16


def standardised_differences(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives the mean absolute difference of every pair of frames: (0, 1), (0, 2), (1, 2) …

    Frames are made grey, shrunk to 16 x 16 and brought to mean 0 and deviation 1 first, so that
    brightness and contrast do not count. An empty list of pairs gives an empty array.
    """
    pictures = []
    for frame in frames:
        grey = frame.mean(axis=0, dtype=np.float32)
        small = cv2.resize(grey, (_SMALL_PX, _SMALL_PX), interpolation=cv2.INTER_AREA)
        spread = float(small.std())
        pictures.append((small - small.mean()) / spread if spread > 1e-3 else 0 * small)
    return np.array(
        [float(np.abs(one - two).mean()) for one, two in itertools.combinations(pictures, 2)]
    )


def brightness(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives each frame's mean level, 0–1."""
    return frames.reshape(len(frames), -1).mean(axis=1) / 255


def root_mean_square(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Gives the root of the mean squared difference of two pictures, in levels of 255."""
    return float(np.sqrt(np.mean(np.square(one.astype(np.float32) - two.astype(np.float32)))))
