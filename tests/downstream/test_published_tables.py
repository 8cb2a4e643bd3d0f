"""Published rows on MPII: which mean each program prints, and what its figures are shares of."""

import numpy as np
import pytest

from avssl.downstream.keypoint_metrics import (
    MPII_MASKED,
    mean_over_joints,
    pck,
    sides_together,
)

MPII = [
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "thorax", "neck", "head_top", "right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
]


# Published rows on MPII's validation set: head, shoulder, elbow, wrist, hip, knee, ankle, mean.
MICROSOFT = [
    (96.351, 95.329, 88.989, 83.176, 88.420, 83.960, 79.594, 88.532),
    (96.658, 95.754, 89.790, 84.614, 88.523, 84.666, 79.287, 89.066),
    (96.862, 95.873, 89.518, 84.376, 88.437, 84.486, 80.703, 89.131),
    (96.965, 95.907, 90.268, 85.780, 89.597, 85.935, 82.098, 90.003),
    (97.033, 95.941, 90.046, 84.976, 89.164, 85.311, 81.271, 89.620),
    (96.794, 95.618, 90.080, 86.225, 89.700, 86.862, 82.853, 90.200),
]  # microsoft/human-pose-estimation.pytorch, README, ResNet-50, -101, -152 at 256 and 384 px
PYTORCH_POSE = [
    (95.80, 94.57, 88.12, 83.31, 86.24, 80.88, 77.44, 86.76),
    (95.87, 94.68, 88.27, 83.64, 86.29, 81.20, 77.70, 86.95),
    (96.79, 95.19, 90.08, 85.32, 87.48, 84.26, 80.73, 88.64),
    (96.79, 95.28, 90.27, 85.56, 87.57, 84.30, 81.06, 88.78),
]  # bearpaw/pytorch-pose, README, hourglasses of 2 and 8 stacks
LIMBS = ("head_top", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def per_joint(row: tuple[float, ...], neck: float) -> list[float]:
    """The 16 joints' figures behind a published row; pelvis and thorax must not matter."""
    limbs = dict(zip(LIMBS, row, strict=False)) | {"neck": neck, "pelvis": 0.0, "thorax": 0.0}
    return [limbs[name.removeprefix("left_").removeprefix("right_")] for name in MPII]


def plain_mean(row: tuple[float, ...], neck: float) -> float:
    return float(mean_over_joints(per_joint(row, neck), MPII, exclude=MPII_MASKED))


@pytest.mark.parametrize("row", PYTORCH_POSE)
def test_pytorch_poses_published_means_are_plain_means(row: tuple[float, ...]):
    """The tables leave out the upper neck, an easy joint: some 98 % there gives each mean."""
    assert plain_mean(row, 96.5) < row[-1] < plain_mean(row, 99.0)
    assert sides_together(per_joint(row, 98.0), MPII)["ankle"] == row[6]


def test_microsofts_published_means_are_weighted_by_count():
    """The counts of MPII's joints are not published as text, so the exact mean cannot be redone.

    What can: no plain mean reaches the published ones, whatever the neck; and there are counts of
    labelled joints, the same for all six models, that give every mean to its last digit (a linear
    programme in the counts and the necks' hits; left and right counted alike).
    """
    from scipy.optimize import linprog

    for row in MICROSOFT:
        assert plain_mean(row, 100.0) < row[-1] - 0.1
    # Unknown: counts of 7 limbs (in people, both sides of five of them) and the neck, then hits of
    # the neck in each row. |mean * total - hits| <= rounding * total, linear in all of them.
    sides = np.array([1, 2, 2, 2, 2, 2, 2, 1])
    above, below = [], []
    for number, row in enumerate(MICROSOFT):
        for side, rows in ((1.0, above), (-1.0, below)):
            line = np.zeros(8 + len(MICROSOFT))
            line[:7] = sides[:7] * (side * (np.array(row[:7]) - row[-1]) - 0.001)
            line[7] = sides[7] * (-side * row[-1] - 0.001)
            line[8 + number] = side * 100
            rows.append(line)
    necks = np.zeros((2 * len(MICROSOFT), 8 + len(MICROSOFT)))
    for number in range(len(MICROSOFT)):
        necks[2 * number, [7, 8 + number]] = -1.0, 1.0  # at most every neck is found,
        necks[2 * number + 1, [7, 8 + number]] = 0.95, -1.0  # and at least 95 of 100
    answer = linprog(
        np.zeros(8 + len(MICROSOFT)),
        A_ub=np.concatenate([above, below, necks]),
        b_ub=np.zeros(4 * len(MICROSOFT)),
        bounds=[(1500, 2958)] * 8 + [(0, 2958)] * len(MICROSOFT),
    )
    assert answer.success, answer.message
    counts = dict(zip((*LIMBS, "neck"), answer.x[:8], strict=True)) | {"pelvis": 1, "thorax": 1}
    weights = [counts[name.removeprefix("left_").removeprefix("right_")] for name in MPII]
    for number, row in enumerate(MICROSOFT):
        neck = 100 * answer.x[8 + number] / answer.x[7]
        mean = mean_over_joints(per_joint(row, neck), MPII, counts=weights, exclude=MPII_MASKED)
        assert mean == pytest.approx(row[-1], abs=0.0011)


def test_published_head_figures_are_shares_of_one_count_of_people():
    """Six heads to three decimals fit hits / n for few n up to 2958: n is the labelled heads."""
    heads = [row[0] for row in MICROSOFT]
    fitting = [
        n
        for n in range(2000, 2959)
        if all(abs(round(head * n / 100) / n * 100 - head) <= 0.00051 for head in heads)
    ]
    assert len(fitting) == 1
    errors = np.full((2958, 1), np.nan)
    for head in heads:
        hits = round(head * fitting[0] / 100)
        errors[: fitting[0], 0] = np.where(np.arange(fitting[0]) < hits, 0.5, 0.51)
        assert round(100 * pck(errors, 0.5)[0], 3) == pytest.approx(head, abs=0.0011)
