"""The scores of a data set: equal to the parts, intervals that cover, people of one image."""

import json

import numpy as np
import pytest

from avssl.downstream.keypoint_metrics import MPII_MASKED
from avssl.downstream.keypoint_scores import bootstrap_interval, score_pose
from avssl.errors import InputError

NAMES = ("left_shoulder", "right_hip", "nose", "tail")


def people(seed: int, num_people: int = 30, spread_px: float = 10.0):
    rng = np.random.default_rng(seed)
    truth = np.tile(np.array([[0.0, 0], [30, 40], [10, -20], [60, 60]]), (num_people, 1, 1))
    truth += rng.uniform(0, 100, (num_people, 1, 2))
    return truth + rng.normal(0, spread_px, truth.shape), truth, rng


def test_every_figure_against_plain_python():
    predictions, truth, rng = people(0)
    truth[3, 2] = truth[4, 1] = truth[5, 3] = np.nan  # person 4 has no torso
    found = score_pose(predictions, truth, names=NAMES, normaliser="torso", rng=rng)
    pixels, shares = [[] for _ in NAMES], [[] for _ in NAMES]
    for person in range(30):
        torso = np.hypot(*(truth[person, 0] - truth[person, 1]))
        for joint in range(4):
            if not np.isnan(truth[person, joint, 0]):
                off = float(np.hypot(*(predictions[person, joint] - truth[person, joint])))
                pixels[joint].append(off)
                if person != 4:
                    shares[joint].append(off / torso)
    everything = [value for joint in shares for value in joint]
    all_px = [value for joint in pixels for value in joint]
    assert (found.num_people, found.num_left_out, found.num_images) == (29, 1, 30)
    assert found.num_labelled == (29, 29, 28, 28) and found.threshold == 0.2
    assert found.pck == pytest.approx([np.mean([s <= 0.2 for s in joint]) for joint in shares])
    assert found.pck_mean == pytest.approx(np.mean([s <= 0.2 for s in everything]))
    assert found.pck_mean_of_joints == pytest.approx(np.mean(found.pck))
    curve = [np.mean([s <= n / 100 for s in everything]) for n in range(21)]
    assert found.auc == pytest.approx((sum(curve) - (curve[0] + curve[-1]) / 2) / 20)
    assert found.joint_error_px == pytest.approx([np.mean(joint) for joint in pixels])
    assert found.error_px == pytest.approx(np.mean(all_px))
    assert found.median_error_px == pytest.approx(np.median(all_px))


def test_mpiis_masked_joints_are_shown_and_in_no_mean():
    names = ("head_top", *MPII_MASKED)
    truth = np.zeros((4, 3, 2))
    predictions = truth + np.array([[[0.0, 0], [50, 0], [50, 0]]])
    boxes = np.tile([0.0, 0, 30, 40], (4, 1))
    rng = np.random.default_rng(0)
    found = score_pose(predictions, truth, names=names, normaliser="head", head_box=boxes, rng=rng)
    assert found.pck == (1.0, 0.0, 0.0) and found.excluded == MPII_MASKED
    assert (found.pck_mean, found.pck_mean_of_joints, found.error_px) == (1.0, 1.0, 0.0)
    assert found.threshold == 0.5 and str(found).count(" *") == 2


def test_it_prints_as_a_table_and_goes_into_json():
    predictions, truth, rng = people(1)
    predictions[0, 0] = np.nan
    truth[:, 3] = np.nan
    found = score_pose(predictions, truth, names=NAMES, normaliser="torso", rng=rng)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == list(NAMES)
    assert "normaliser torso; 30 people in 30 images" in lines[-1]
    assert f"PCK@0.2 {found.pck_mean:.3f} [" in str(found)
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert stored["pck"][3] is None and stored["error_px"] is None  # never labelled; not predicted
    assert stored["pck_mean"] == found.pck_mean


def test_intervals_are_those_of_the_seed_and_hold_the_figure():
    predictions, truth, _ = people(2)
    runs = [
        score_pose(
            predictions, truth, names=NAMES, normaliser="torso", rng=np.random.default_rng(seed)
        )
        for seed in (5, 5, 6)
    ]
    assert runs[0] == runs[1] and runs[0] != runs[2]
    for low, high, value in (
        (*runs[0].pck_interval, runs[0].pck_mean),
        (*runs[0].auc_interval, runs[0].auc),
        (*runs[0].error_px_interval, runs[0].error_px),
        (*runs[0].median_error_px_interval, runs[0].median_error_px),
    ):
        assert low < value < high


def test_intervals_have_the_width_of_the_normal_theory():
    """A mean of 400 independent values: ± 1.96 standard errors."""
    values = np.random.default_rng(3).normal(0, 1, 400)
    low, high = bootstrap_interval(
        lambda who: values[who].mean(), np.arange(400), rng=np.random.default_rng(4),
        num_resamples=4000,
    )  # fmt: skip
    error = values.std() / 20
    assert [low, high] == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.1 * error
    )


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    hits = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        values = rng.exponential(1.0, 60)
        low, high = bootstrap_interval(
            lambda who, values=values: values[who].mean(), np.arange(60), rng=rng, num_resamples=200
        )
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_people_of_one_image_stay_together():
    """Two people in each image: every resample holds both or neither, the same number of times."""
    images = np.array(["b", "a", "c", "a", "b", "c"])
    drawn = []
    bootstrap_interval(
        lambda who: drawn.append(np.bincount(who, minlength=6)) or 0.0,
        images,
        rng=np.random.default_rng(0),
        num_resamples=50,
    )
    table = np.stack(drawn)
    assert (table.sum(axis=1) == 6).all() and len(np.unique(table, axis=0)) > 5
    for pair in ((0, 4), (1, 3), (2, 5)):
        assert np.array_equal(table[:, pair[0]], table[:, pair[1]])


def test_copies_of_people_in_the_same_images_do_not_narrow_the_interval():
    """Each person ten times, in one image: as uncertain as once."""
    predictions, truth, _ = people(7)
    once = score_pose(
        predictions, truth, names=NAMES, normaliser="torso", rng=np.random.default_rng(1)
    )
    many = score_pose(
        np.repeat(predictions, 10, axis=0),
        np.repeat(truth, 10, axis=0),
        names=NAMES,
        normaliser="torso",
        image_ids=np.repeat(np.arange(30), 10),
        rng=np.random.default_rng(1),
    )
    assert many.num_images == 30 and many.pck_mean == pytest.approx(once.pck_mean)
    assert many.pck_interval == pytest.approx(once.pck_interval)


def test_one_image_has_no_interval_and_nothing_to_score_is_refused():
    predictions, truth, rng = people(8, num_people=2)
    found = score_pose(
        predictions, truth, names=NAMES, normaliser="torso", image_ids=["a", "a"], rng=rng
    )
    assert np.isnan(found.pck_interval).all() and found.as_dict()["pck_interval"] == [None, None]
    with pytest.raises(InputError, match="nothing to score"):
        score_pose(
            predictions, np.full_like(truth, np.nan), names=NAMES, normaliser="torso", rng=rng
        )
