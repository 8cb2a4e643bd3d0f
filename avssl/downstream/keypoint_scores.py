"""All figures of predicted joints on one data set, with intervals over images.

    print(score_pose(predictions, truth, names=names, normaliser="torso", rng=rng))

Shapes and conventions are those of `keypoint_metrics`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.downstream.keypoint_metrics import (
    MPII_MASKED,
    area_under_curve,
    errors_px,
    mean_over_joints,
    normalised_errors,
    normaliser_px,
    pck,
    thresholds_to,
)
from avssl.errors import InputError

DEFAULT_THRESHOLDS = {"torso": 0.2, "head": 0.5}
"""What a joint may be off, in normalisers: FLIC's PCK@0.2, MPII's PCKh@0.5; 0.1 for the others."""

Statistic = Callable[[NDArray[np.intp]], float]
"""Numbers of people (repeats allowed) → a figure."""


def bootstrap_interval(
    statistic: Statistic,
    image_ids: ArrayLike,
    *,
    rng: np.random.Generator,
    num_resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Gives the percentile interval of a statistic over resampled images.

    Whole images are drawn with replacement, since people in one picture are not independent.

    Args:
        statistic: people's numbers (drawn ones, repeats included) → the figure. A difference of
            two models' figures on the same numbers gives a paired interval.
        image_ids: [N], which picture a person is in; any values.
        rng: the generator.
        num_resamples: how often images are drawn.
        level: share of the resampled figures inside.

    Returns:
        Low and high end; NaN where there are fewer than two images.
    """
    _, image_of = np.unique(np.asarray(image_ids), return_inverse=True)
    order = np.argsort(image_of, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(image_of))[:-1])
    if len(groups) < 2:
        return (np.nan, np.nan)
    values = []
    for _ in range(num_resamples):
        drawn = rng.integers(len(groups), size=len(groups))
        values.append(statistic(np.concatenate([groups[number] for number in drawn])))
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):  # infinite pixel errors have no interval
        low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class PoseScores:
    """The figures of one data set; prints as a table. Intervals are at 95 % over images."""

    names: tuple[str, ...]
    normaliser: str
    threshold: float
    """In normalisers."""
    excluded: tuple[str, ...]
    """Joints that are in no mean."""
    num_images: int
    num_people: int
    """Those with a normaliser."""
    num_left_out: int
    """People without: they count in the pixel errors alone."""
    num_labelled: tuple[int, ...]
    """[K] joints that count."""
    pck: tuple[float, ...]
    """[K] shares within the threshold (0…1); NaN: never labelled."""
    pck_mean: float
    """Every labelled joint counts the same (weighted by count)."""
    pck_mean_of_joints: float
    """Every kind of joint counts the same."""
    pck_interval: tuple[float, float]
    """Of `pck_mean`."""
    auc: float
    """Of `pck_mean` over thresholds 0, 0.01, … `threshold`, scaled to 0…1."""
    auc_interval: tuple[float, float]
    joint_error_px: tuple[float, ...]
    """[K] mean error."""
    error_px: float
    """Mean over all labelled joints; infinite where one is not predicted."""
    error_px_interval: tuple[float, float]
    median_error_px: float
    median_error_px_interval: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Gives everything for JSON; None where a figure is not finite."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    def __str__(self) -> str:
        wide = max(len("median"), *(len(name) for name in self.names))
        title = f"PCK@{self.threshold:g}"
        lines = [f"{'joint':{wide}}  {'labelled':>8}  {title:>9}  {'error/px':>9}"]
        for row in zip(self.names, self.num_labelled, self.pck, self.joint_error_px, strict=True):
            mark = " *" if row[0] in self.excluded else ""
            lines.append(f"{row[0]:{wide}}  {row[1]:8d}  {row[2]:9.3f}  {row[3]:9.2f}{mark}")
        lines += [
            f"{'mean':{wide}}  {sum(self.num_labelled):8d}  {self.pck_mean:9.3f}  "
            f"{self.error_px:9.2f}",
            f"{'median':{wide}}  {'':8}  {'':9}  {self.median_error_px:9.2f}",
            f"{title} {self.pck_mean:.3f}{_ends(self.pck_interval)}, plain mean of joints "
            f"{self.pck_mean_of_joints:.3f}, AUC {self.auc:.3f}{_ends(self.auc_interval)}",
            f"normaliser {self.normaliser}; {self.num_people} people in {self.num_images} images"
            + (f"; {self.num_left_out} without a normaliser" if self.num_left_out else ""),
        ]
        if any(name in self.excluded for name in self.names):
            lines.append("* in no mean")
        return "\n".join(lines)


def _ends(interval: tuple[float, float]) -> str:
    """Gives an interval for a line of text; "" of one picture, which has none."""
    low, high = interval
    return f" [{low:.3f}, {high:.3f}]" if np.isfinite(low) else ""


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def score_pose(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    names: Sequence[str],
    normaliser: str,
    rng: np.random.Generator,
    image_ids: ArrayLike | None = None,
    head_box: ArrayLike | None = None,
    box: ArrayLike | None = None,
    picture_size: ArrayLike | None = None,
    threshold: float | None = None,
    num_resamples: int = 1000,
) -> PoseScores:
    """Computes all figures of a data set.

    Args:
        predictions: [N, K, 2] in px; NaN: not predicted, a miss.
        truth: [N, K, 2] in px; NaN: not labelled.
        names: the K joints' names. With the normaliser "head", `MPII_MASKED` are in no mean.
        normaliser: as `normaliser_px`, which the boxes are for too.
        rng: draws the resampled images.
        image_ids: [N], the picture of each person; by default everybody has a picture alone.
        head_box: [N, 4] in px.
        box: [N, 4] in px.
        picture_size: [N, 2] in px.
        threshold: by default that of `DEFAULT_THRESHOLDS`, else 0.1.
        num_resamples: how often images are drawn for the intervals.

    Raises:
        InputError: nobody to score, or the normaliser cannot be had.
    """
    known = np.asarray(truth, dtype=np.float64)
    if known.ndim != 3 or known.shape[1] != len(names):
        raise ValueError(f"joints {known.shape}, {len(names)} names")
    scale = normaliser_px(
        normaliser, known, names, head_box=head_box, box=box, picture_size=picture_size
    )
    errors, distance = normalised_errors(predictions, known, scale), errors_px(predictions, known)
    limit = DEFAULT_THRESHOLDS.get(normaliser, 0.1) if threshold is None else threshold
    excluded = tuple(n for n in names if n in MPII_MASKED) if normaliser == "head" else ()
    kept = [name not in excluded for name in names]
    if np.isnan(errors[:, kept]).all():
        raise InputError("no labelled joint of a person with a normaliser: nothing to score")
    ids = np.arange(len(known)) if image_ids is None else np.asarray(image_ids)
    if ids.shape != (len(known),):
        raise ValueError(f"image_ids {ids.shape} for {len(known)} people")

    counts = np.count_nonzero(~np.isnan(errors), axis=0)
    per_joint = pck(errors, limit)
    limits = thresholds_to(limit)
    # Per person [N]: joints that count, hits, area under the person's own curve. Sums of these
    # over any people give the figures of those people.
    num = np.count_nonzero(~np.isnan(errors[:, kept]), axis=1)
    hits = np.count_nonzero(errors[:, kept] <= limit, axis=1)
    steps = np.stack([np.count_nonzero(errors[:, kept] <= at, axis=1) for at in limits])
    areas = area_under_curve(steps, limits)
    pixels = np.where(np.array(kept), distance, np.nan)
    sums = np.nansum(pixels, axis=1)
    num_px = np.count_nonzero(~np.isnan(pixels), axis=1)

    def median_px(who: NDArray[np.intp]) -> float:
        values = pixels[who]
        values = values[~np.isnan(values)]
        return float(np.median(values)) if len(values) else np.nan

    def share(part: NDArray[Any], whole: NDArray[Any]) -> Statistic:
        return lambda who: float(part[who].sum() / whole[who].sum()) if whole[who].any() else np.nan

    def interval(statistic: Statistic) -> tuple[float, float]:
        return bootstrap_interval(statistic, ids, rng=rng, num_resamples=num_resamples)

    everybody = np.arange(len(known))
    has_scale = np.isfinite(scale) & (scale > 0)
    labelled_px = np.count_nonzero(~np.isnan(distance), axis=0)
    joint_px = np.nansum(distance, axis=0) / np.where(labelled_px > 0, labelled_px, np.nan)
    return PoseScores(
        names=tuple(names),
        normaliser=normaliser,
        threshold=limit,
        excluded=excluded,
        num_images=len(np.unique(ids)),
        num_people=int(has_scale.sum()),
        num_left_out=int((~has_scale).sum()),
        num_labelled=tuple(int(count) for count in counts),
        pck=tuple(float(value) for value in per_joint),
        pck_mean=share(hits, num)(everybody),
        pck_mean_of_joints=float(mean_over_joints(per_joint, names, exclude=excluded)),
        pck_interval=interval(share(hits, num)),
        auc=share(areas, num)(everybody),
        auc_interval=interval(share(areas, num)),
        joint_error_px=tuple(float(value) for value in joint_px),
        error_px=share(sums, num_px)(everybody),
        error_px_interval=interval(share(sums, num_px)),
        median_error_px=median_px(everybody),
        median_error_px_interval=interval(median_px),
    )
