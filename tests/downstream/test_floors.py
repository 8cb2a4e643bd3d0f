"""Regressions without a network: equal to scikit-learn's, and better than no picture at all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from avssl.catalog import Catalog
from avssl.downstream.floors import best_floor, features_of, fit_floors
from avssl.errors import InputError


@given(
    num=st.integers(3, 30),
    width=st.integers(1, 30),
    penalty=st.floats(0.05, 100),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_ridge_is_scikit_learns_joint_by_joint(
    num: int, width: int, penalty: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features, joints = rng.normal(size=(num, width)), rng.normal(size=(num, 3, 2))
    joints[rng.random((num, 3)) < 0.3] = np.nan
    joints[0] = 0.1
    (floor,) = fit_floors(features, joints, penalties=[penalty])
    unseen = rng.normal(size=(5, width))
    found = floor.places(unseen)
    for k in range(3):
        known = np.isfinite(joints[:, k, 0])
        slow = Ridge(alpha=penalty).fit(features[known], joints[known, k])
        assert found[:, k] == pytest.approx(slow.predict(unseen).reshape(5, 2), abs=1e-6)


def test_hog_sees_direction_and_not_brightness() -> None:
    upright = np.zeros((3, 64, 64), dtype=np.uint8)
    upright[:, :, 30:34] = 200
    brighter = upright + 40
    lying = np.ascontiguousarray(upright.transpose(0, 2, 1))
    first, second, third = (features_of("HOG", shown) for shown in (upright, brighter, lying))
    assert first.shape == (7 * 7 * 4 * 9,)  # blocks, cells of a block, directions
    assert np.allclose(first, second) and np.abs(first - third).max() > 0.3


def test_pictures_that_tell_where_the_joints_are_beat_the_mean_pose(data: Path) -> None:
    catalog = Catalog.read(data)
    found = {
        kind: best_floor(kind, catalog, num_labels=0, label_seed=0)
        for kind in ("mean pose", "pixels", "HOG")
    }
    for value in found.values():
        assert 0 <= float(value["test"]) <= 1 and 0 <= float(value["validation"]) <= 1
    best = max(float(found[kind]["validation"]) for kind in ("pixels", "HOG"))
    assert best > float(found["mean pose"]["validation"]) + 0.1
    with pytest.raises(InputError, match="must be one of"):
        best_floor("magic", catalog, num_labels=0, label_seed=0)
