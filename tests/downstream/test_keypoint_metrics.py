"""PCK and its relatives: closed forms, a slow second version, published tables, invariances.

No public library at hand has PCK (torchmetrics has none), so loops written from the papers'
definitions are the second truth.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from avssl.downstream.keypoint_metrics import (
    area_under_curve,
    errors_px,
    flic_scores,
    mpii_scores,
    normalised_errors,
    normaliser_px,
    observer_centric,
    pck,
    pck_curve,
    thresholds_to,
)
from avssl.errors import InputError

ARMS = (
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_hip",
    "right_hip",
)
MPII = [
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "thorax", "neck", "head_top", "right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
]


def crowd(seed: int, num_people: int, num_joints: int, missing: float = 0.2):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 200, (num_people, num_joints, 2))
    predictions = truth + rng.normal(0, 12, truth.shape)
    truth[rng.random(truth.shape[:2]) < missing] = np.nan
    predictions[rng.random(truth.shape[:2]) < 0.05] = np.nan
    return predictions, truth, rng.uniform(20, 80, num_people)


def slow_counts(predictions, truth, normaliser, threshold, strict=False):
    """Hits and labelled people of each joint, one joint of one person at a time."""
    hits, labelled = [0] * truth.shape[1], [0] * truth.shape[1]
    for person in range(truth.shape[0]):
        for joint in range(truth.shape[1]):
            x, y = truth[person, joint].tolist()
            if math.isnan(x) or math.isnan(y) or not normaliser[person] > 0:
                continue
            labelled[joint] += 1
            u, v = predictions[person, joint].tolist()
            if math.isnan(u) or math.isnan(v):
                continue
            error = math.hypot(u - x, v - y) / normaliser[person]
            hits[joint] += error < threshold if strict else error <= threshold
    return hits, labelled


def test_normalisers_of_a_person_whose_lengths_are_known():
    joints = np.full((2, 8, 2), np.nan)
    joints[:, ARMS.index("left_shoulder")] = [10, 20]
    joints[0, ARMS.index("right_hip")] = [13, 24]
    box = np.array([[0.0, 0, 30, 40], [5, 5, 11, 7]])
    assert normaliser_px("torso", joints, ARMS) == pytest.approx([5, np.nan], nan_ok=True)
    assert normaliser_px("left_shoulder-right_hip", joints, ARMS)[0] == 5
    assert normaliser_px("head", joints, ARMS, head_box=box)[0] == pytest.approx(0.6 * 50)
    assert normaliser_px("box", joints, ARMS, box=box).tolist() == [40, 6]
    size = np.array([[640, 480], [480, 640]])
    assert normaliser_px("picture", joints, ARMS, picture_size=size).tolist() == [640, 640]
    dashed = ("paw-1", "paw-2")
    assert normaliser_px("paw-1-paw-2", np.array([[[0, 0], [6, 8]]]), dashed).tolist() == [10]


@pytest.mark.parametrize("kind", ["head", "box", "picture", "hips", "left_hip-tail", "torso"])
def test_a_normaliser_that_cannot_be_had_is_refused(kind: str):
    with pytest.raises(InputError, match=r"no such box|must be torso|no joint 'left_shoulder'"):
        normaliser_px(kind, np.zeros((1, 2, 2)), ("nose", "left_hip"))


def test_known_offsets():
    """Person 0 is off by 3, 4 px (5 px) in every joint, person 1 by 10 px; the scale is 10 px."""
    truth = np.tile(np.arange(6.0).reshape(1, 3, 2), (2, 1, 1))
    predictions = truth + np.array([[[3.0, 4.0]], [[10.0, 0.0]]])
    errors = normalised_errors(predictions, truth, [10.0, 10.0])
    assert errors.tolist() == [[0.5] * 3, [1.0] * 3]
    assert pck(errors, 0.5).tolist() == [0.5] * 3
    assert pck(errors, 0.5, strict=True).tolist() == [0.0] * 3
    assert pck(errors, 1.0).tolist() == [1.0] * 3
    truth[0, 1, 1] = np.nan  # half a label is none
    predictions[1, 2, 0] = np.nan  # labelled, not predicted: a miss at any threshold
    errors = normalised_errors(predictions, truth, [10.0, 10.0])
    assert pck(errors, 0.5).tolist() == [0.5, 0.0, 0.5]
    assert pck(errors, 1e9).tolist() == [1.0, 1.0, 0.5]
    assert errors_px(predictions, truth)[1].tolist() == [10, 10, np.inf]
    nobody = normalised_errors(predictions, truth, [np.nan, 0.0])
    assert np.isnan(nobody).all() and np.isnan(pck(nobody, 0.5)).all()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_one_joint_at_a_time(seed: int, strict: bool):
    predictions, truth, normaliser = crowd(seed, 40, 5)
    normaliser[::7] = np.nan
    errors = normalised_errors(predictions, truth, normaliser)
    limits = thresholds_to(0.5)
    curve = pck_curve(errors, limits, strict=strict)
    for number, limit in enumerate(limits):
        hits, labelled = slow_counts(predictions, truth, normaliser, limit, strict)
        assert curve[number] == pytest.approx(np.divide(hits, labelled), abs=1e-15)


def test_thresholds_are_the_decimal_numbers():
    assert thresholds_to(0.2).tolist() == [float(f"0.{n:02d}") for n in range(21)]
    assert thresholds_to(0.5)[[11, 29, 50]].tolist() == [0.11, 0.29, 0.5]
    assert thresholds_to(0.004).tolist() == [0, 0.004]


def test_area_under_the_curve_is_that_of_errors_spread_evenly():
    """Errors even over 0…0.4: the accuracy at t is t / 0.4, so its area to 0.2 is 1 / 4."""
    errors = (np.arange(40_000) + 0.5)[:, None] / 40_000 * 0.4
    limits = thresholds_to(0.2)
    assert area_under_curve(pck_curve(errors, limits), limits)[0] == pytest.approx(0.25, abs=1e-4)
    assert area_under_curve([0, 1, 1], [0, 1, 4]) == pytest.approx(3.5 / 4)


def test_area_equals_adaptive_quadrature_as_the_official_program_integrates():
    from scipy.integrate import quad

    predictions, truth, normaliser = crowd(5, 60, 3)
    limits = thresholds_to(0.2)
    curve = pck_curve(normalised_errors(predictions, truth, normaliser), limits)
    areas = area_under_curve(curve, limits)
    for joint in range(3):
        x = np.linspace(0, 1, 21)
        whole, _ = quad(
            lambda at, j=joint, x=x: np.interp(at, x, curve[:, j]), 0, 1, points=x[1:-1]
        )
        assert areas[joint] == pytest.approx(whole, abs=1e-7)


def test_mpii_figures_against_a_loop():
    """Both families' means, and the number 11 that is called 0.1, one joint at a time."""
    predictions, truth, _ = crowd(7, 50, 16, missing=0.3)
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 50, (50, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (50, 2))], axis=1)
    scale = normaliser_px("head", truth, MPII, head_box=boxes)
    found = mpii_scores(normalised_errors(predictions, truth, scale), MPII)
    lengths = [0.6 * math.hypot(b[2] - b[0], b[3] - b[1]) for b in boxes.tolist()]
    counted = [joint for joint in range(16) if joint not in (6, 7)]

    def weighted(threshold: float) -> float:
        hits, labelled = slow_counts(predictions, truth, lengths, threshold)
        return sum(hits[j] for j in counted) / sum(labelled[j] for j in counted)

    assert found["pckh_0.5"] == pytest.approx(weighted(0.5), abs=1e-14)
    assert found["pckh_0.1"] == pytest.approx(weighted(0.1), abs=1e-14)
    assert found["pckh_0.11"] == pytest.approx(weighted(0.11), abs=1e-14)
    hits, labelled = slow_counts(predictions, truth, lengths, 0.5, strict=True)
    plain = sum(hits[j] / labelled[j] for j in counted) / 14
    assert found["plain_0.5"] == pytest.approx(plain, abs=1e-14)
    points = [weighted(float(f"{n / 100:.2f}")) for n in range(51)]
    area = sum((a + b) / 2 for a, b in itertools.pairwise(points)) / 50
    assert found["auc"] == pytest.approx(area, abs=1e-12)


def test_what_others_call_0_1_is_0_11():
    """Every error is 0.105: a hit for Microsoft's Mean@0.1, none at 0.1."""
    found = mpii_scores(np.full((3, 16), 0.105), MPII)
    assert (found["pckh_0.1"], found["pckh_0.11"]) == (0.0, 1.0)
    edge = mpii_scores(np.full((3, 16), 0.5), MPII)
    assert (edge["pckh_0.5"], edge["plain_0.5"]) == (1.0, 0.0)


def facing(sign: float) -> np.ndarray:
    """Somebody upright, 60 px of torso; facing us (+1) the left arm is on the picture's right."""
    x = {"left": 100 + sign * 20.0, "right": 100 - sign * 20.0}
    y = {"shoulder": 50.0, "elbow": 80.0, "wrist": 105.0, "hip": 110.0}
    return np.array([[x[name.split("_")[0]], y[name.split("_")[1]]] for name in ARMS])


def test_people_from_behind_change_arms_and_nobody_else():
    side = facing(1.0)
    side[ARMS.index("left_wrist"), 0] = 10.0  # one crossed arm is not "behind"
    unknown = facing(-1.0)
    unknown[ARMS.index("left_elbow")] = np.nan  # not known to be behind
    people = np.stack([facing(1.0), facing(-1.0), side, unknown])
    swapped = observer_centric(people, ARMS)
    assert np.array_equal(swapped[[0, 2, 3]], people[[0, 2, 3]], equal_nan=True)
    assert swapped[1, :3].tolist() == people[1, 3:6].tolist()
    assert swapped[1, 3:6].tolist() == people[1, :3].tolist()
    assert np.array_equal(swapped[1, 6:], people[1, 6:])
    assert np.array_equal(observer_centric(swapped, ARMS), swapped, equal_nan=True)


def test_flic_figures_of_known_offsets():
    """The torso is hypot(40, 60) = 72.1 px; elbows are off by 10.5 hundredths of it, wrists by 30.

    Accuracy of the elbows is a step between 10 and 11: area ½ + 9 of the 19 intervals.
    """
    torso = math.hypot(40, 60)
    people = np.stack([facing(1.0)] * 3)
    predictions = people.copy()
    for name, off in (("elbow", 0.105), ("wrist", 0.3)):
        for side in ("left", "right"):
            predictions[:, ARMS.index(f"{side}_{name}"), 1] += off * torso
    found = flic_scores(predictions, people, ARMS)
    assert np.asarray(found["elbow_curve"]).tolist() == [0.0] * 10 + [1.0] * 10
    assert found["elbow_auc"] == pytest.approx(9.5 / 19)
    assert (found["wrist_auc"], found["shoulder_auc"], found["elbow_pck"]) == (0.0, 1.0, 1.0)


def test_flic_compares_with_the_observers_left():
    behind = facing(-1.0)[None]
    seen = observer_centric(behind, ARMS)
    assert flic_scores(seen, behind, ARMS)["wrist_pck"] == 1.0
    assert flic_scores(behind, behind, ARMS)["wrist_pck"] == 0.0  # the owner's left: wrong here


def test_flic_against_a_loop():
    rng = np.random.default_rng(11)
    truth = facing(1.0) + rng.normal(0, 6, (30, 8, 2))
    predictions = truth + rng.normal(0, 8, truth.shape)
    found = flic_scores(predictions, truth, ARMS)
    for limb in ("elbow", "wrist"):
        errors = []
        for person in range(30):
            a, b = truth[person, 0], truth[person, 7]
            for side in ("left", "right"):
                joint = ARMS.index(f"{side}_{limb}")
                off = math.dist(predictions[person, joint], truth[person, joint])
                errors.append(off * 100 / math.dist(a, b))
        curve = [sum(error <= limit for error in errors) / 60 for limit in range(1, 21)]
        area = (sum(curve) - (curve[0] + curve[-1]) / 2) / 19
        assert np.asarray(found[f"{limb}_curve"]) == pytest.approx(curve, abs=1e-14)
        assert found[f"{limb}_auc"] == pytest.approx(area, abs=1e-12)


points = npst.arrays(
    np.float64, (5, 4, 2), elements=st.floats(-1e3, 1e3, allow_nan=False).map(lambda v: round(v, 3))
)
masks = npst.arrays(np.bool_, (5, 4))


@settings(max_examples=60, deadline=None)
@given(points, points, masks, st.integers(-3, 3))
def test_the_scale_of_the_picture_does_not_matter(predictions, truth, mask, power):
    truth = np.where(mask[..., None], np.nan, truth)
    names = ("left_shoulder", "right_hip", "nose", "tail")
    factor = 2.0**power  # exact in floating point
    limits = thresholds_to(0.5)
    curves = [
        pck_curve(
            normalised_errors(k * predictions, k * truth, normaliser_px("torso", k * truth, names)),
            limits,
        )
        for k in (1.0, factor)
    ]
    assert np.array_equal(curves[0], curves[1], equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(points, points, masks)
def test_more_is_found_at_larger_thresholds_and_shares_stay_shares(predictions, truth, mask):
    truth = np.where(mask[..., None], np.nan, truth)
    errors = normalised_errors(predictions, truth, np.full(5, 100.0))
    curve = pck_curve(errors, np.linspace(0, 60, 31))
    labelled = ~mask.all(axis=0)
    assert (np.diff(curve[:, labelled], axis=0) >= 0).all()
    assert ((curve[:, labelled] >= 0) & (curve[:, labelled] <= 1)).all()
    assert (curve[-1, labelled] == 1).all() and np.isnan(curve[:, ~labelled]).all()
    assert (pck(errors, 0.3, strict=True) <= pck(errors, 0.3))[labelled].all()


@settings(max_examples=60, deadline=None)
@given(points, points, masks, points)
def test_joints_without_a_label_do_not_count(predictions, truth, mask, other):
    hidden = np.where(mask[..., None], np.nan, truth)
    elsewhere = np.where(mask[..., None], other, predictions)
    normaliser = np.full(5, 100.0)
    one = pck(normalised_errors(predictions, hidden, normaliser), 2.0)
    two = pck(normalised_errors(elsewhere, hidden, normaliser), 2.0)
    assert np.array_equal(one, two, equal_nan=True)
