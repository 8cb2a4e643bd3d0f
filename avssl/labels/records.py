"""What every label format is read into: pictures, and who is where in them.

Pixels count from 0 and a whole number is the centre of a pixel, as in MPII less one, DeepLabCut and
matplotlib; half a pixel is taken off where a source means the corner. Joints are [K, 2], those of
the set's skeleton in its order; (x, y) to the right and down. NaN: not labelled.

    LabelledSet(skeleton, images) → LabelledImage(path, people) → Person(joints_px, …)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The joints of a set: names, which swap when a picture is mirrored, and lines to draw."""

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    """Joints that change places in a mirror. Empty: pictures are never mirrored."""
    edges: tuple[tuple[int, int], ...] = ()
    normaliser: str = "box"
    """What errors are divided by: "torso" (left shoulder to right hip), "head" (0.6 times the
    diagonal of the head's box), "box" (the longer side of the person's box), "picture" (the longer
    side of the picture) or "NAME-NAME", the distance of two joints."""

    def __post_init__(self) -> None:
        count = len(self.names)
        if count == 0 or len(set(self.names)) != count:
            raise InputError(f"joints {self.names}: names must differ, and there must be one")
        for one, other in (*self.flip_pairs, *self.edges):
            if not (0 <= one < count and 0 <= other < count and one != other):
                raise InputError(f"joints ({one}, {other}): must be two of 0 to {count - 1}")
        flat = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(flat)) != len(flat):
            raise InputError(f"flip_pairs {self.flip_pairs}: a joint stands in two pairs")


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """One person or animal in one picture."""

    joints_px: NDArray[np.float64]
    """float64 [K, 2], NaN where not labelled."""
    visible: NDArray[np.int8]
    """int8 [K]: 0 not labelled, 1 labelled though hidden (or nobody says), 2 labelled and seen."""
    box_px: Box | None = None
    """The whole person, where the source gives it."""
    head_box_px: Box | None = None
    centre_px: tuple[float, float] | None = None
    """MPII's `objpos`, or another centre that the source gives."""
    height_px: float | None = None
    """Height of the person, as MPII's `scale` times 200."""
    torso_px: Box | None = None
    """FLIC's detected torso."""
    flags: tuple[str, ...] = ()
    """Such as "single", "bad", "unchecked", "crowd"."""

    def __post_init__(self) -> None:
        count = len(self.joints_px)
        if self.joints_px.shape != (count, 2) or self.visible.shape != (count,):
            raise ValueError(f"joints {self.joints_px.shape}, visible {self.visible.shape}")
        known = np.isfinite(self.joints_px).all(axis=1)
        if not np.array_equal(known, self.visible > 0):
            raise ValueError("a joint is labelled exactly where it has coordinates")


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """A picture with its people: a file, or a frame of a video."""

    path: str
    """File relative to the set's root: a picture, or a video where `frame` is given."""
    people: tuple[Person, ...]
    split: str = ""
    """"train", "validation", "test", or "" where the source does not say."""
    group: str = ""
    """Pictures that must stay in one split share it: film, session, animal, video."""
    frame: int | None = None
    """Frame of the video, counted from 0 in order of presentation."""
    order: int = 0
    """Place in time within the group, for splits into contiguous blocks."""


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """All that a label format said."""

    skeleton: Skeleton
    root: Path
    images: Sequence[LabelledImage]
    notes: tuple[str, ...] = ()
    """One line each: what was left out and why, with counts."""
    meta: dict[str, str] = field(default_factory=dict)
    """Such as {"format": "MPII v12", "licence": "Simplified BSD"}."""

    def __post_init__(self) -> None:
        count = len(self.skeleton.names)
        for image in self.images:
            for person in image.people:
                if len(person.joints_px) != count:
                    raise ValueError(f"{image.path}: {len(person.joints_px)} joints, not {count}")


def person_of(
    joints: Sequence[Sequence[float]] | NDArray[np.float64],
    *,
    visible: Sequence[int] | NDArray[np.int8] | None = None,
    **more: object,
) -> Person:
    """Builds a person from [K, 2] coordinates; not finite, or `visible` 0, means not labelled."""
    points = np.array(joints, dtype=np.float64).reshape(-1, 2)
    known = np.isfinite(points).all(axis=1)
    seen = np.full(len(points), 1) if visible is None else np.asarray(visible)
    state = np.where(known, seen, 0).astype(np.int8)
    points[state == 0] = np.nan
    return Person(joints_px=points, visible=state, **more)  # type: ignore[arg-type]
