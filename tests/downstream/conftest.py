"""A small labelled data set: coloured discs that stand for joints, drawn where the labels say."""

from pathlib import Path

import numpy as np
import pytest

from avssl.labels import LabelledImage, LabelledSet, Skeleton, person_of
from avssl.prepare.images import write_labelled

NAMES = ("head", "left_hand", "right_hand")
COLORS = ((255, 60, 60), (60, 255, 60), (60, 60, 255))


def draw(joints: np.ndarray, *, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    picture = rng.integers(60, 110, (height, width, 3)).astype(np.uint8)
    for (x, y), color in zip(joints, COLORS, strict=True):
        picture[(columns - x) ** 2 + (rows - y) ** 2 <= 16] = color
    return picture


def discs(root: Path, *, splits: dict[str, int], seed: int = 0) -> LabelledSet:
    """Pictures of 120 x 90 px; left_hand is unlabelled in every fifth."""
    import cv2

    rng = np.random.default_rng(seed)
    images = []
    for split, count in splits.items():
        for k in range(count):
            centre = rng.uniform([35, 30], [85, 60])
            joints = centre + np.array([[0, -18], [-14, 6], [14, 6]]) + rng.uniform(-6, 6, (3, 2))
            name = f"{split}_{k:03d}.png"
            picture = draw(joints, height=90, width=120, rng=rng)
            cv2.imwrite(str(root / name), picture[..., ::-1])
            box = (*(joints.min(0) - 6), *(joints.max(0) + 6))
            person = person_of(
                joints,
                visible=[2, 0 if k % 5 == 4 else 2, 2],
                box_px=tuple(map(float, box)),
            )
            images.append(LabelledImage(path=name, people=(person,), split=split))
    skeleton = Skeleton(names=NAMES, flip_pairs=((1, 2),), edges=((0, 1), (0, 2)))
    return LabelledSet(skeleton=skeleton, root=root, images=images)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> LabelledSet:
    """80 training pictures, 20 each for validation and test."""
    root = tmp_path_factory.mktemp("discs")
    return discs(root, splits={"train": 80, "validation": 20, "test": 20})


@pytest.fixture(scope="session")
def data(labelled, tmp_path_factory) -> Path:
    """The same, written as a data set."""
    return write_labelled(labelled, tmp_path_factory.mktemp("set") / "discs", quiet=True)
