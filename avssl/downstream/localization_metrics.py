"""Where does the sound come from? The field's figures for maps, and the guesses they start from.

    scores = score_maps(maps, truths)
    scores["ciou_at_05"], scores["mean_ciou"], scores["auc"], scores["hit_rate"]

Two figures are called "CIoU" in papers: the share of pictures whose cIoU is ½ or more (the tables
of LVS and EZ-VSL; EZ-VSL also says AP50), and the mean of cIoU over pictures (EZ-VSL: Avg-cIoU).
Here they are `ciou_at_05` and `mean_ciou`. papers.md §3.2 gives the protocol: the map is brought
to 224 x 224 (bilinear) and to 0…1, everything from its median up is the answer p, and

    cIoU = Σ p·g / (Σ g + Σ p·[g = 0])        g: the truth, 0…1, 224 x 224

About half of the picture is always the answer, so a truth of a quarter of the picture can reach no
more than 0.5, and a disc in the middle is a strong guess: never read a figure without those rows.

Ours, where the protocol is silent: a map with a value that is not finite scores 0 and is counted; a
constant map answers "everywhere"; a picture without truth is left out and counted. Where ties
decide (the adaptive threshold, the highest place), the expectation over all ways to break them is
given: no order of pixels helps a map.

Shapes: maps float [h, w] of any size, truths float [224, 224].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

SIDE_PX = 224
Floats = NDArray[np.floating]
LEVELS = np.linspace(0.0, 1.0, 21)
"""Thresholds of the area under the curve."""
SIZES_PX = (32, 96, 144)
"""Sides of squares of 224-px pictures that part small, medium, large and huge truths (SLAVC)."""


def enlarged(values: Floats) -> NDArray[np.float64]:
    """Brings a map to 224 x 224 (bilinear, as torch's interpolate without aligned corners)."""
    import cv2

    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise InputError(f"a map must be [h, w], got {list(array.shape)}")
    if array.shape == (SIDE_PX, SIDE_PX):
        return array
    large = cv2.resize(array, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float64)


def boxes_truth(boxes: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Draws boxes x0, y0, x1, y1 in shares of the picture (0…1): their union, float64 [224, 224].

    Corners are cut down to whole pixels, as the published code does; what lies outside the picture
    is cut off. Boxes that are then empty add nothing.
    """
    drawn = np.zeros((SIDE_PX, SIDE_PX))
    for box in boxes:
        if len(box) != 4 or not np.isfinite(box).all():
            continue
        x0, y0, x1, y1 = (int(SIDE_PX * min(max(value, 0.0), 1.0)) for value in box)
        drawn[y0:y1, x0:x1] = 1.0
    return drawn


def consensus_truth(annotators: Sequence[Sequence[Sequence[float]]]) -> NDArray[np.float64]:
    """Gives Flickr-SoundNet's truth: min(number of annotators / 2, 1) pixel by pixel.

    Args:
        annotators: for each annotator the boxes, in shares of the picture.
    """
    total = np.zeros((SIDE_PX, SIDE_PX))
    for boxes in annotators:
        total += boxes_truth(boxes)
    return np.minimum(total / 2, 1.0)


def half_mask(values: Floats) -> NDArray[np.bool_] | None:
    """Gives what a map answers: from its median up; None where a value is not finite."""
    large = enlarged(values)
    if not np.isfinite(large).all():
        return None
    median = np.sort(large, axis=None)[large.size // 2]
    return large >= median


def ciou(mask: NDArray[np.bool_], truth: Floats) -> float:
    """Gives the consensus intersection over union of an answer and a truth that is not empty."""
    inside = float(truth[mask].sum())
    return inside / float(truth.sum() + np.count_nonzero(mask & (truth == 0)))


def adaptive_ciou(values: Floats, truth: Floats) -> float:
    """Gives cIoU where the answer is as large as the truth: so many of the highest pixels.

    Pixels tied at the edge count with the share of them that is needed.
    """
    large = enlarged(values)
    if not np.isfinite(large).all():
        return 0.0
    wanted = int(np.count_nonzero(truth > 0))
    edge = np.partition(large, large.size - wanted, axis=None)[large.size - wanted]
    above, tied = large > edge, large == edge
    weight = above + tied * ((wanted - np.count_nonzero(above)) / np.count_nonzero(tied))
    return float((weight * truth).sum() / (truth.sum() + weight[truth == 0].sum()))


def hit(values: Floats, truth: Floats) -> float:
    """Gives whether the highest place is in the truth; of tied places the share that is."""
    large = enlarged(values)
    if not np.isfinite(large).all():
        return 0.0
    return float((truth[large == large.max()] > 0).mean())


def area_under(cious: Floats) -> float:
    """Gives the area under the share of pictures with cIoU ≥ t, t = 0, 0.05 … 1 (21 points)."""
    shares = [float(np.mean(np.asarray(cious) >= level)) for level in LEVELS]
    return float(np.trapezoid(shares, LEVELS))


@dataclass(frozen=True, kw_only=True)
class MapScores:
    """What maps score on pictures that have a truth; arrays are one value a picture."""

    ciou: NDArray[np.float64]
    adaptive_ciou: NDArray[np.float64]
    hit: NDArray[np.float64]
    num_without_truth: int
    num_not_finite: int

    def as_dict(self) -> dict[str, float]:
        """Gives the means: see the top for the names."""
        if not len(self.ciou):
            raise InputError("no picture has a truth: there is nothing to score")
        return {
            "ciou_at_05": float(np.mean(self.ciou >= 0.5)),
            "mean_ciou": float(np.mean(self.ciou)),
            "auc": area_under(self.ciou),
            "adaptive_ciou_at_05": float(np.mean(self.adaptive_ciou >= 0.5)),
            "mean_adaptive_ciou": float(np.mean(self.adaptive_ciou)),
            "adaptive_auc": area_under(self.adaptive_ciou),
            "hit_rate": float(np.mean(self.hit)),
            "num_pictures": float(len(self.ciou)),
            "num_without_truth": float(self.num_without_truth),
            "num_not_finite": float(self.num_not_finite),
        }


def score_maps(maps: Sequence[Floats], truths: Sequence[Floats]) -> MapScores:
    """Scores maps [h, w] against truths [224, 224], picture by picture.

    Raises:
        InputError: other numbers of maps than of truths, or a truth of another size.
    """
    if len(maps) != len(truths):
        raise InputError(f"{len(maps)} maps for {len(truths)} truths")
    rows, empty, broken = [], 0, 0
    for values, truth in zip(maps, truths, strict=True):
        if truth.shape != (SIDE_PX, SIDE_PX):
            raise InputError(f"a truth must be [{SIDE_PX}, {SIDE_PX}], got {list(truth.shape)}")
        if not (truth > 0).any():
            empty += 1
            continue
        mask = half_mask(values)
        if mask is None:
            broken += 1
            rows.append((0.0, 0.0, 0.0))
            continue
        rows.append((ciou(mask, truth), adaptive_ciou(values, truth), hit(values, truth)))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return MapScores(
        ciou=table[:, 0],
        adaptive_ciou=table[:, 1],
        hit=table[:, 2],
        num_without_truth=empty,
        num_not_finite=broken,
    )


def with_silent_negatives(
    cious: Floats, strengths: Floats, silent_strengths: Floats
) -> dict[str, float]:
    """Gives SLAVC's figures where some clips are silent: average precision and best F1.

    An answer is given where the strength is above a threshold. It is right for a sounding clip
    with cIoU ≥ ½; wrong for any other, and for every silent clip. Precision is right / given,
    recall right / sounding; the average precision sums precision over the steps of recall.

    Args:
        cious: of the sounding clips.
        strengths: how sure the network is that something in view sounds, of the same clips.
        silent_strengths: the same of clips whose sound does not belong, or is silent.
    """
    strength = np.concatenate([strengths, silent_strengths]).astype(np.float64)
    right = np.concatenate([np.asarray(cious) >= 0.5, np.zeros(len(silent_strengths), bool)])
    # ties are given together: what comes first among them must not matter
    levels = np.unique(np.where(np.isfinite(strength), strength, -np.inf))[::-1]
    precision, recall = [], []
    for level in levels:
        given = strength >= level
        precision.append(float(right[given].sum() / max(1, given.sum())))
        recall.append(float(right[given].sum() / max(1, len(cious))))
    steps = np.diff(np.concatenate([[0.0], recall]))
    f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(precision, recall, strict=True)]
    return {
        "average_precision": float(np.dot(steps, precision)),
        "max_f1": float(max(f1, default=0.0)),
    }


def by_size(cious: Floats, truths: Sequence[Floats]) -> Mapping[str, float]:
    """Gives the share of cIoU ≥ ½ of small, medium, large and huge truths (32², 96², 144² px)."""
    areas = np.array([np.count_nonzero(truth > 0) for truth in truths])
    edges = (0, *(side**2 for side in SIZES_PX), np.inf)
    found = {}
    for name, low, high in zip(
        ("small", "medium", "large", "huge"), edges, edges[1:], strict=False
    ):
        inside = (areas > low) & (areas <= high)
        if inside.any():
            found[name] = float(np.mean(np.asarray(cious)[inside] >= 0.5))
    return found


def all_ones() -> NDArray[np.float64]:
    """The guess "everywhere"."""
    return np.ones((SIDE_PX, SIDE_PX))


def centred_disc() -> NDArray[np.float64]:
    """The guess "in the middle": the nearer to it the higher; by the median a disc of half the
    picture."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - (SIDE_PX - 1) / 2
    return -(x**2 + y**2)


def oracle(truth: Floats) -> NDArray[np.float64]:
    """The best map: the truth, with what is nearest to it next, so that half of the picture (or
    what is left of it) is filled from the truth outwards."""
    import cv2

    outside = (truth == 0).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) if outside.any() else outside
    return np.asarray(truth, dtype=np.float64) * 10 - np.asarray(distance, dtype=np.float64) / 1e3
