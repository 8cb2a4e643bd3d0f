"""Figures of a classification of videos: top-1, top-5, mean over classes, and their intervals.

Shapes: N videos, K classes. A video's scores are the mean of its views' (see
`avssl.downstream.action`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TOP = 5
_LEVELS = (2.5, 97.5)


def class_means(right: Floats, labels: Labels) -> float:
    """Gives the mean over the classes that occur of each one's mean of `right`, [N]."""
    classes, which = np.unique(labels, return_inverse=True)
    sums = np.bincount(which, weights=right, minlength=len(classes))
    return float(np.mean(sums / np.bincount(which, minlength=len(classes))))


def in_top(scores: Floats, labels: Labels, *, top: int) -> Floats:
    """Gives 1 where the true class is among the `top` highest, [N] of scores [N, K].

    Of equal scores the class with the smaller number counts as the higher.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return (order == labels[:, None]).any(axis=1).astype(np.float64)


def blind_scores(labels: Labels, class_counts: NDArray[np.int64]) -> dict[str, float]:
    """Gives what always naming the commonest classes reaches, by the names of `video_scores`.

    Args:
        labels: [N], of what is judged.
        class_counts: [K], how common each is in what was trained on.
    """
    scores = np.tile(class_counts.astype(np.float64), (len(labels), 1))
    return video_scores(scores, labels)


def video_scores(scores: Floats, labels: Labels) -> dict[str, float]:
    """Gives "accuracy", "mean_class_accuracy", and "top5" of more than five classes.

    Args:
        scores: [N, K].
        labels: [N].
    """
    right = in_top(scores, labels, top=1)
    found = {"accuracy": float(np.mean(right)), "mean_class_accuracy": class_means(right, labels)}
    if scores.shape[1] > TOP:
        found["top5"] = float(np.mean(in_top(scores, labels, top=TOP)))
    return found


def confusion(scores: Floats, labels: Labels) -> Labels:
    """Gives counts int64 [K, K]; row: the truth, column: the answer."""
    num = scores.shape[1]
    answers = np.argsort(-scores, axis=1, kind="stable")[:, 0]
    return np.bincount(labels * num + answers, minlength=num * num).reshape(num, num)


def group_intervals(
    columns: dict[str, Floats],
    labels: Labels,
    groups: Sequence[str],
    *,
    rng: np.random.Generator,
    num_resamples: int = 1000,
) -> dict[str, list[float]]:
    """Gives 95 % of the draws of whole groups with replacement: {figure: [low, high]}.

    Videos of one group (cut from one recording) are right or wrong together, so that drawing
    single videos would give intervals that are too narrow. {} of one group alone: there is nothing
    to draw.

    Args:
        columns: figure → its value for each video, [N]; "accuracy" also gives
            "mean_class_accuracy".
        labels: [N].
        groups: [N], names.
        rng: draws the groups.
        num_resamples: how many draws.
    """
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = int(which.max()) + 1
    if num_groups < 2:
        return {}
    members = [np.flatnonzero(which == group) for group in range(num_groups)]
    drawn: dict[str, list[float]] = {name: [] for name in columns}
    if "accuracy" in columns:
        drawn["mean_class_accuracy"] = []
    for _ in range(num_resamples):
        chosen = rng.integers(num_groups, size=num_groups)
        rows = np.concatenate([members[group] for group in chosen])
        for name, values in columns.items():
            drawn[name].append(float(np.mean(values[rows])))
        if "accuracy" in columns:
            drawn["mean_class_accuracy"].append(
                class_means(columns["accuracy"][rows], labels[rows])
            )
    return {name: np.percentile(values, _LEVELS).tolist() for name, values in drawn.items()}
