"""People whose joints are known in every frame of a clip: truth for label propagation.

Read from `ClipRow.labels` of the synthetic world and of motion capture (docs/world.md): people with
"keypoints_px", "visibility" and "boxes_px", frame by frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import ClipRow

_SEEN = 2


@dataclass(frozen=True, kw_only=True)
class FollowedPerson:
    """One person at T moments; pixels are those of the clip's stored frames."""

    points_px: NDArray[np.float64]
    """float64 [T, K, 2]; NaN where a joint is not seen, or was not seen at the first moment."""
    lengths_px: NDArray[np.float64]
    """float64 [T]: longer side of the person's box; 0 where nothing of it is in view."""


def has_people(row: ClipRow) -> bool:
    """Whether the row says where people's joints are in every frame."""
    people = row.labels.get("people")
    keys = {"keypoints_px", "visibility", "boxes_px"}
    return (
        isinstance(people, list)
        and bool(people)
        and all(isinstance(one, dict) and keys <= one.keys() for one in people)
        and all(name in row.labels for name in ("fps", "width_px", "height_px"))
    )


def people_of(row: ClipRow, times_s: Sequence[float]) -> list[FollowedPerson]:
    """Gives the people of a clip at some moments; those of whom no joint is seen first are out.

    Args:
        row: see `has_people`.
        times_s: on the clip's clock, the first is where labels are given.
    """
    labels = row.labels
    scale = np.array([row.width_px / labels["width_px"], row.height_px / labels["height_px"]])
    # Frames are told of the whole video; the clip may be a piece of it. A thousandth of a second
    # absorbs rounding of times.
    in_source_s = np.asarray(times_s) - row.start_s + row.source_start_s + 1e-3
    found = []
    for person in labels["people"]:
        points = np.asarray(person["keypoints_px"], dtype=np.float64)
        at = np.clip((in_source_s * labels["fps"]).astype(np.int64), 0, len(points) - 1)
        seen = np.asarray(person["visibility"])[at] == _SEEN
        seen &= seen[:1]
        if not seen[0].any():
            continue
        boxes = np.asarray(person["boxes_px"], dtype=np.float64)[at]
        sides = (boxes[:, 2:] - boxes[:, :2]) * scale
        # The truth counts corners of pixels; half a pixel less, a whole number is a centre.
        shown = np.where(seen[..., None], points[at] * scale - 0.5, np.nan)
        found.append(FollowedPerson(points_px=shown, lengths_px=sides.max(axis=1).clip(0)))
    return found
