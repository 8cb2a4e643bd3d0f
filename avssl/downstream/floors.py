"""What pose costs without a network: ridge regression from raw pixels or from HOG, and mean pose.

A network that does not pass these has learned nothing that its labels did not say outright.
Histograms of oriented gradients: Dalal, Triggs, CVPR 2005, by scikit-image, on a 64-px view with
its usual cells (8 px, blocks of 2 x 2 cells, 9 directions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.downstream import keypoints_data as data
from avssl.downstream.keypoints import Keypoints
from avssl.errors import InputError
from avssl.transform.poses import move, show

KINDS = ("mean pose", "pixels", "HOG")
PENALTIES = tuple(10.0**power for power in range(-2, 7))
_PIXELS_PX, _VIEW_PX = 16, 64


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A regression that has been fitted."""

    penalty: float
    weights: NDArray[np.float64]
    """[F, 2K]."""
    offset: NDArray[np.float64]
    """[2K]: joints in shares of the view's side, from its middle."""

    def places(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives joints [N, K, 2] in shares of the view's side."""
        flat = features @ self.weights + self.offset
        return flat.reshape(len(flat), -1, 2)


def fit_floors(
    features: NDArray[np.float64], joints: NDArray[np.float64], *, penalties: Sequence[float]
) -> list[Floor]:
    """Fits each coordinate by ridge regression, on the rows where its joint is labelled.

    Minimises |X w - y|² + penalty · |w|², X and y less their means over those rows. The smaller of
    X Xᵀ and XᵀX is taken apart once for all penalties.

    Args:
        features: [N, F].
        joints: [N, K, 2] in shares of the view's side, NaN where not labelled.
        penalties: how much weights cost.

    Returns:
        One regression a penalty; a joint that is labelled nowhere is put in the middle.
    """
    flat = joints.reshape(len(joints), -1)
    weights = np.zeros((len(penalties), features.shape[1], flat.shape[1]))
    offset = np.zeros((len(penalties), flat.shape[1]))
    patterns, which = np.unique(np.isfinite(flat), axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        columns, rows = np.flatnonzero(which.ravel() == number), np.flatnonzero(pattern)
        if not len(rows):
            continue
        known = flat[np.ix_(rows, columns)]
        centre, middle = features[rows].mean(axis=0), known.mean(axis=0)
        x, y = features[rows] - centre, known - middle
        few = x.shape[0] <= x.shape[1]
        values, vectors = np.linalg.eigh(x @ x.T if few else x.T @ x)
        turned = vectors.T @ (y if few else x.T @ y)
        for k, penalty in enumerate(penalties):
            solved = vectors @ (turned / (values.clip(0) + penalty)[:, None])
            weights[k][:, columns] = x.T @ solved if few else solved
            offset[k][columns] = middle - centre @ weights[k][:, columns]
    return [
        Floor(penalty=penalty, weights=weights[k], offset=offset[k])
        for k, penalty in enumerate(penalties)
    ]


def features_of(kind: str, shown: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives one view's features, [F]; `shown` is uint8 [3, S, S]."""
    import cv2

    if kind == "mean pose":
        return np.zeros(1)
    picture = np.ascontiguousarray(shown.transpose(1, 2, 0))
    if kind == "pixels":
        small = cv2.resize(picture, (_PIXELS_PX, _PIXELS_PX), interpolation=cv2.INTER_AREA)
        return small.astype(np.float64).ravel() / 255
    if kind == "HOG":
        from skimage.feature import hog

        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found = hog(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        return np.asarray(found, dtype=np.float64)
    raise InputError(f"floor {kind!r}: must be one of {', '.join(KINDS)}")


@dataclass(frozen=True, kw_only=True)
class Views:
    """Labelled people of one split: what is seen and where the joints are."""

    features: NDArray[np.float64]
    """[N, F]."""
    joints: NDArray[np.float64]
    """[N, K, 2] in shares of the view's side, less its middle; NaN where not labelled."""
    lengths: NDArray[np.float64]
    """[N]: what errors are divided by, in the same shares."""


def read_views(
    kind: str, catalog: Catalog, rows: NDArray[np.int64], *, task: Keypoints, mirror: bool = False
) -> Views:
    """Reads people in their standing view; `mirror` gives each a second time, left for right."""
    fetcher = Fetcher(catalog.directory)
    features, joints, lengths = [], [], []
    for index in rows:
        row = catalog.row(int(index))
        cells: Any = data.labels_of(row)
        frames = fetcher.frames(row, (row.start_s,)).frames
        assert frames is not None
        view = data.standing_view(row, crop=task.crop, size_px=_VIEW_PX)
        shown = show(frames[0], view)
        place = move(data.joints_of(cells), view.matrix()) / _VIEW_PX
        place -= (_VIEW_PX - 1) / 2 / _VIEW_PX
        length = data.normaliser_px(row, task.normaliser) / view.sides_px[0]
        features.append(features_of(kind, shown))
        joints.append(place)
        lengths.append(length)
        if mirror and task.flip_pairs:
            order = np.arange(len(place))
            for one, other in task.flip_pairs:
                order[[one, other]] = other, one
            features.append(features_of(kind, np.ascontiguousarray(shown[:, :, ::-1])))
            joints.append(place[order] * (-1, 1))
            lengths.append(length)
    return Views(features=np.array(features), joints=np.array(joints), lengths=np.array(lengths))


def found_share(floor: Floor, views: Views, *, threshold: float) -> float:
    """Gives the share of labelled joints within `threshold` lengths (PCK over all joints)."""
    off = np.linalg.norm(floor.places(views.features) - views.joints, axis=2)
    with np.errstate(invalid="ignore"):
        error = off / views.lengths[:, None]
    known = np.isfinite(error)
    return float((error[known] <= threshold).mean()) if known.any() else float("nan")


def best_floor(
    kind: str, catalog: Catalog, *, num_labels: int, label_seed: int
) -> dict[str, float | str]:
    """Fits the floor on the first labels, its penalty chosen on validation.

    Args:
        kind: one of `KINDS`.
        catalog: a labelled data set with the splits train, validation and test.
        num_labels: labelled training pictures, 0: all. Each is used mirrored too.
        label_seed: which pictures; the same as `Keypoints.label_seed`.

    Returns:
        "kind", "penalty", "validation" and "test": PCK at the set's threshold.
    """
    if kind not in KINDS:
        raise InputError(f"floor {kind!r}: must be one of {', '.join(KINDS)}")
    task = Keypoints(num_labels=num_labels, label_seed=label_seed).completed(catalog)
    train, validation, test = (
        catalog.select(split=split) for split in ("train", "validation", "test")
    )
    shown = read_views(kind, train, task.items(train), task=task, mirror=True)
    judged = read_views(kind, validation, task.items(validation), task=task)
    floors = fit_floors(shown.features, shown.joints, penalties=PENALTIES)
    values = [found_share(floor, judged, threshold=task.threshold) for floor in floors]
    best = int(np.argmax(values))
    final = read_views(kind, test, task.items(test), task=task)
    return {
        "kind": kind,
        "penalty": floors[best].penalty,
        "validation": values[best],
        "test": found_share(floors[best], final, threshold=task.threshold),
    }
