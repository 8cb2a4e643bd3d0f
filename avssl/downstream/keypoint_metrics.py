"""How far predicted joints are from the labelled ones, as the benchmarks count it.

N people, K joints; predictions and truth are float64 [N, K, 2] in the same pixels, NaN in the truth
where a joint is not labelled. A joint that is labelled but not predicted (NaN) is a miss: its error
is infinite. Shares are in 0…1 (papers print them times 100).

    normaliser = normaliser_px("torso", truth, names)             # [N]
    errors = normalised_errors(predictions, truth, normaliser)    # [N, K]
    pck(errors, 0.2)                                              # [K]
    mpii_scores(errors, names), flic_scores(predictions, truth, names)

All figures of a data set with intervals: `keypoint_scores.score_pose`. The rules are those of the
official programs, named at each function (read there, not taken over).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.errors import InputError

Floats = NDArray[np.float64]

MPII_MASKED = ("pelvis", "thorax")
"""Joints that the MPII programs leave out of every mean, though they are labelled."""
_SWAPPED = ("shoulder", "elbow", "wrist")


def _checked(points: ArrayLike) -> Floats:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != 2:
        raise ValueError(f"joints of shape {array.shape}; must be [N, K, 2]")
    return array


def _place(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise InputError(f"no joint {name!r}; there are {', '.join(names)}")
    return list(names).index(name)


def _distance(joints: Floats, names: Sequence[str], first: str, second: str) -> Floats:
    between = joints[:, _place(names, first)] - joints[:, _place(names, second)]
    return np.linalg.norm(between, axis=1)


def normaliser_px(
    kind: str,
    joints: ArrayLike,
    names: Sequence[str],
    *,
    head_box: ArrayLike | None = None,
    box: ArrayLike | None = None,
    picture_size: ArrayLike | None = None,
) -> Floats:
    """Gives the length that a person's errors are divided by: float64 [N] in px, NaN if unknown.

    Args:
        kind: "torso" (left shoulder to right hip, as MODEC's evaluation), "head" (0.6 times the
            diagonal of the head's box, as MPII's), "box" (the longer side of the person's box),
            "picture" (the longer side of the picture) or "NAME-NAME", two joints' distance.
        joints: labelled joints [N, K, 2] in px, NaN where not labelled.
        names: the K joints' names.
        head_box: [N, 4] x0, y0, x1, y1 in px, for "head".
        box: the same of the whole person, for "box".
        picture_size: [N, 2] width and height in px, for "picture".

    Raises:
        InputError: no such normaliser or joint, or the boxes that it needs are missing.
    """
    points = _checked(joints)
    if kind == "torso":
        return _distance(points, names, "left_shoulder", "right_hip")
    if kind in ("head", "box", "picture"):
        given = {"head": head_box, "box": box, "picture": picture_size}[kind]
        if given is None:
            raise InputError(f"normaliser {kind!r}: the labels hold no such box; choose another")
        sides = np.asarray(given, dtype=np.float64)
        if sides.shape != (len(points), 2 if kind == "picture" else 4):
            raise ValueError(f"{kind}: {sides.shape} for {len(points)} people")
        if kind != "picture":
            sides = sides[:, 2:] - sides[:, :2]
        return 0.6 * np.linalg.norm(sides, axis=1) if kind == "head" else sides.max(axis=1)
    parts = kind.split("-")  # a name may hold a dash itself
    for at in range(1, len(parts)):
        first, second = "-".join(parts[:at]), "-".join(parts[at:])
        if first in names and second in names:
            return _distance(points, names, first, second)
    raise InputError(
        f"normaliser {kind!r}: must be torso, head, box, picture or two of {', '.join(names)} "
        "joined by a dash"
    )


def errors_px(predictions: ArrayLike, truth: ArrayLike) -> Floats:
    """Gives distances [N, K] in px: NaN where not labelled, infinite where not predicted."""
    found, known = _checked(predictions), _checked(truth)
    if found.shape != known.shape:
        raise ValueError(f"predictions {found.shape}, truth {known.shape}: must be equal")
    distance = np.linalg.norm(found - known, axis=2)
    distance[~np.isfinite(found).all(axis=2)] = np.inf
    distance[~np.isfinite(known).all(axis=2)] = np.nan
    return distance


def normalised_errors(predictions: ArrayLike, truth: ArrayLike, normaliser: ArrayLike) -> Floats:
    """Gives errors [N, K] in normalisers; NaN throughout for people whose normaliser is unknown.

    A length of zero counts as unknown: FLIC and MPII hold a few degenerate people.
    """
    scale = np.array(normaliser, dtype=np.float64)
    distance = errors_px(predictions, truth)
    if scale.shape != distance.shape[:1]:
        raise ValueError(f"normaliser {scale.shape} for {len(distance)} people")
    scale[~(np.isfinite(scale) & (scale > 0))] = np.nan
    return np.where(np.isnan(distance), np.nan, distance / scale[:, None])


def thresholds_to(last: float) -> Floats:
    """Gives 0, 0.01, 0.02, … `last` (each the closest double to its decimal number)."""
    return np.round(np.linspace(0.0, last, max(round(last * 100), 1) + 1), 12)


def pck(errors: ArrayLike, threshold: float, *, strict: bool = False) -> Floats:
    """Gives each joint's share of labelled people within the threshold, [K]; NaN where nobody.

    Args:
        errors: [N, K] in normalisers (or px), NaN not counted.
        threshold: in the same unit.
        strict: count errors below the threshold (`<`, as pytorch-pose), not up to it (`<=`).
    """
    return pck_curve(errors, [threshold], strict=strict)[0]


def pck_curve(errors: ArrayLike, thresholds: ArrayLike, *, strict: bool = False) -> Floats:
    """Gives `pck` at each threshold: [R, K]."""
    values = np.asarray(errors, dtype=np.float64)
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    compare = np.less if strict else np.less_equal  # NaN compares as false
    within = [np.count_nonzero(compare(values, limit), axis=0) for limit in np.asarray(thresholds)]
    return np.where(counts > 0, np.stack(within) / np.maximum(counts, 1), np.nan)


def mean_over_joints(
    values: ArrayLike,
    names: Sequence[str],
    *,
    counts: ArrayLike | None = None,
    exclude: Sequence[str] = (),
) -> Floats:
    """Gives the mean of [..., K] over joints: weighted by `counts` [K], or plain without.

    Weighted is what Microsoft's and HRNet's MPII programs print (every labelled joint of every
    person counts the same), plain is pytorch-pose's. Joints that nobody has are left out.
    """
    given = np.asarray(values, dtype=np.float64)
    weights = np.ones(len(names)) if counts is None else np.array(counts, dtype=np.float64)
    weights[[name in exclude for name in names]] = 0
    weights = np.where(np.isnan(given), 0.0, weights)
    total = weights.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(given * weights, axis=-1) / total)


def area_under_curve(values: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Gives the area under [R, …] over thresholds [R], the range scaled to 0…1.

    MODEC's and eval_pose's programs integrate the linear interpolation by adaptive quadrature; the
    trapezoid rule is its exact value.
    """
    x = np.asarray(thresholds, dtype=np.float64)
    return np.asarray(np.trapezoid(np.asarray(values), x=x, axis=0) / (x[-1] - x[0]))


def sides_together(values: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """Gives [K] as papers' tables do: left and right of a limb averaged, under its plain name."""
    found: dict[str, list[float]] = {}
    for name, value in zip(names, np.asarray(values, dtype=np.float64), strict=True):
        found.setdefault(name.removeprefix("left_").removeprefix("right_"), []).append(value)
    return {name: float(np.mean(pair)) for name, pair in found.items()}


def mpii_scores(errors: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """Gives MPII's figures as the two families of programs print them (0…1).

    "pckh_0.5", "pckh_0.1": weighted by count, `<=`. "pckh_0.11" is what Microsoft's and HRNet's
    programs print as Mean@0.1: they take number 11 of 0, 0.01, 0.02, …; mmpose later took 0.1.
    "plain_0.5": plain mean, `<` (pytorch-pose). "auc": weighted, over 0, 0.01, … 0.5. Pelvis and
    thorax are in no mean; joints not labelled do not count.

    Args:
        errors: [N, K] in 0.6 head diagonals (`normaliser_px("head", …)`).
        names: the K joints' names.
    """
    values = np.asarray(errors, dtype=np.float64)
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    curve = pck_curve(values, thresholds_to(0.5))
    means = mean_over_joints(curve, names, counts=counts, exclude=MPII_MASKED)
    below = pck(values, 0.5, strict=True)
    return {
        "pckh_0.5": float(means[50]),
        "pckh_0.1": float(means[10]),
        "pckh_0.11": float(means[11]),
        "plain_0.5": float(mean_over_joints(below, names, exclude=MPII_MASKED)),
        "auc": float(area_under_curve(means, thresholds_to(0.5))),
    }


def observer_centric(joints: ArrayLike, names: Sequence[str]) -> Floats:
    """Swaps the arms of people seen from behind, so that left means the picture's right.

    As MODEC's evaluation: where left shoulder, elbow and wrist are all further to the picture's
    left than the right ones, the three change places (hips do not). Doing it twice changes nothing.
    """
    points = _checked(joints)
    left = [_place(names, f"left_{part}") for part in _SWAPPED]
    right = [_place(names, f"right_{part}") for part in _SWAPPED]
    behind = np.all(points[:, left, 0] < points[:, right, 0], axis=1)
    swapped = points.copy()
    swapped[:, left + right] = points[:, right + left]
    return np.where(np.reshape(behind, (-1, 1, 1)), swapped, points)


def flic_scores(
    predictions: ArrayLike, truth: ArrayLike, names: Sequence[str]
) -> dict[str, float | Floats]:
    """Gives FLIC's figures as MODEC's evaluation counts them (0…1).

    Errors in hundredths of the torso (left shoulder to right hip), left and right in one heap;
    "<limb>_curve" is the accuracy at 1, 2, … 20, "<limb>_auc" the area under it, "<limb>_pck" the
    last value, for elbow and wrist (and shoulder). The truth is made observer-centric here;
    predictions are taken to be so already, as from a model trained on such labels.
    """
    known = observer_centric(truth, names)
    torso = normaliser_px("torso", known, names)
    errors = 100 * normalised_errors(predictions, known, torso)
    limits = np.arange(1.0, 21.0)
    found: dict[str, float | Floats] = {}
    for limb in _SWAPPED:
        both = errors[:, [_place(names, f"left_{limb}"), _place(names, f"right_{limb}")]]
        curve = pck_curve(both.reshape(-1, 1), limits)[:, 0]
        found[f"{limb}_curve"] = curve
        found[f"{limb}_auc"] = float(area_under_curve(curve, limits))
        found[f"{limb}_pck"] = float(curve[-1])
    return found
