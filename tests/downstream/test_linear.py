"""Pooling, average precision, R², ridge, SVM and softmax against libraries, closed forms, planted
truth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, r2_score
from sklearn.svm import LinearSVC
from torch.nn import functional

from avssl.downstream import linear
from avssl.downstream import probe_metrics as metrics
from avssl.downstream.features import grid_side, late_middle, layer_names, layer_vectors, pooled
from avssl.errors import InputError
from avssl.model import build_encoder


def test_the_grids_are_those_of_the_published_row() -> None:
    """ResNet-50's stages: 12, 6, 4, 3, 2 places a side (kernel and stride of FAIR-bench)."""
    maps = {64: 112, 256: 56, 512: 28, 1024: 14, 2048: 7}
    kernels = {64: (10, 10, 4), 256: (16, 8, 0), 512: (13, 5, 0), 1024: (8, 3, 0), 2048: (6, 1, 0)}
    for channels, side in maps.items():
        kernel, stride, pad = kernels[channels]
        published = functional.avg_pool2d(torch.zeros(1, 1, side, side), kernel, stride, pad)
        assert published.shape[-1] == grid_side(channels)
        found = pooled(torch.zeros(1, channels, side, side))
        assert found.shape == (1, channels * grid_side(channels) ** 2)
        assert found.shape[1] in (9216, 8192)


def test_pooling_takes_equal_parts() -> None:
    maps = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 2, 4, 6)
    wanted = maps.reshape(1, 2, 2, 2, 2, 3)
    assert torch.equal(pooled(maps, num_features=8), wanted.mean(dim=(3, 5)).flatten(1))
    assert torch.equal(pooled(maps, pool="max", num_features=8), wanted.amax((3, 5)).flatten(1))
    assert torch.equal(pooled(maps), maps.flatten(1))  # smaller than its grid: as it is
    clips = torch.stack([maps, maps + 2], dim=2)
    assert torch.equal(pooled(clips), (maps + 1).flatten(1))


def test_all_layers_in_one_pass() -> None:
    encoder = build_encoder("small-bn", seed=0).eval()
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator())
    found = layer_vectors(encoder, frames)
    assert list(found) == layer_names(encoder) == ["res2", "res3", "res4", "res5", "vector"]
    with torch.no_grad():
        np.testing.assert_allclose(found["vector"], encoder(frames).numpy(), rtol=1e-5, atol=1e-6)
        res5 = encoder.features(frames)["res5"]
    np.testing.assert_allclose(found["res5"], res5.flatten(1).numpy(), rtol=1e-5, atol=1e-6)
    assert late_middle(encoder) == "res4"


def slow_eleven(scores: np.ndarray, truth: np.ndarray) -> float:
    """VOC07's: highest precision at recall of at least 0, 0.1 … 1, threshold by threshold."""
    points = []
    for threshold in np.unique(scores):
        taken = scores >= threshold
        hits = int((taken & truth).sum())
        points.append((hits / truth.sum(), hits / taken.sum()))
    return float(
        np.mean([max(p for r, p in points if 10 * r >= k - 1e-9) for k in range(11)])
    )  # fmt: skip


samples = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(samples, st.integers(0, 9))
def test_average_precision_is_the_library_s(pairs: list[tuple[int, bool]], seed: int) -> None:
    scores, truth = (np.array(column) for column in zip(*pairs, strict=True))
    scores = scores.astype(np.float64)
    area, eleven = metrics.average_precision(scores, truth)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(scores))).astype(float)
    more, eleven_more = metrics.average_precision(scores, truth, weights)
    if not truth.any():
        assert np.isnan(area) and np.isnan(eleven) and np.isnan(more).all()
        return
    assert area == pytest.approx(average_precision_score(truth, scores))
    assert eleven == pytest.approx(slow_eleven(scores, truth))
    for k, own in enumerate(weights):
        # a weight of two is a sample that is there twice
        again = np.repeat(np.arange(len(scores)), own.astype(int))
        if not truth[again].any():
            assert np.isnan(more[k])
            continue
        right = average_precision_score(truth[again], scores[again])
        assert more[k] == pytest.approx(right)
        assert eleven_more[k] == pytest.approx(slow_eleven(scores[again], truth[again]))


def test_the_example_of_the_file_s_head() -> None:
    area, eleven = metrics.average_precision(np.arange(5)[::-1], np.array([1, 0, 1, 1, 0], bool))
    assert area == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    # recall 0 … 0.3: 1; 0.4 … 1: 3/4 (the envelope lifts 2/3)
    assert eleven == pytest.approx((4 + 7 * 0.75) / 11)


def test_r_squared() -> None:
    rng = np.random.default_rng(0)
    truth, off = rng.standard_normal((20, 3)), rng.standard_normal((20, 3))
    found = truth + 0.5 * off
    assert metrics.determination(found, truth) == pytest.approx(r2_score(truth, found))
    weights = rng.integers(0, 3, (4, 20)).astype(float)
    each = metrics.determination(found, truth, weights)
    for k, own in enumerate(weights):
        assert each[k] == pytest.approx(r2_score(truth, found, sample_weight=own))
    holes = truth.copy()
    holes[4] = np.nan
    kept = np.arange(20) != 4
    assert metrics.determination(found, holes) == pytest.approx(r2_score(truth[kept], found[kept]))
    blind = np.broadcast_to(truth.mean(axis=0), truth.shape)
    assert metrics.determination(blind, truth) == pytest.approx(0.0)


def test_redrawn_groups() -> None:
    groups = ["a", "b", "a", "c", "c", "c"]
    weights = metrics.redrawn(groups, num=4000, seed=1)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    # the spread of the mean of n independent groups is the deviation over √n
    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.7
    low, high = metrics.interval(metrics.share(right, metrics.redrawn(range(400), num=2000)))  # type: ignore[misc]
    p = right.mean()
    half = 1.96 * np.sqrt(p * (1 - p) / 400)
    assert low == pytest.approx(p - half, abs=0.008) and high == pytest.approx(p + half, abs=0.008)
    # each sample three times over in one group: no narrower
    tripled = metrics.redrawn(np.repeat(np.arange(400), 3).tolist(), num=2000)
    again = metrics.interval(metrics.share(np.repeat(right, 3), tripled))
    assert again is not None and again[1] - again[0] == pytest.approx(high - low, abs=0.006)


def test_ridge_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    for num, width in ((30, 8), (8, 30)):
        x, y, z = (rng.standard_normal(shape) for shape in ((num, width), (num, 2), (5, width)))
        found = linear.ridge_path(x, y, z, penalties=(0.1, 10.0))
        for answers, penalty in zip(found, (0.1, 10.0), strict=True):
            np.testing.assert_allclose(answers, Ridge(alpha=penalty).fit(x, y).predict(z))


def test_turning_changes_no_solution() -> None:
    """Fits on all features and on those in the span of the training samples answer the same."""
    rng = np.random.default_rng(1)
    train, others = rng.standard_normal((12, 200)), rng.standard_normal((6, 200))
    turned = linear.Turned(train)
    x, z = turned(train), turned(others)
    assert x.shape[1] <= 12
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    middle = unit.mean(axis=0)
    length = np.sqrt(((unit - middle) ** 2).sum(axis=1).mean())
    wide = (unit - middle) / length
    wide_others = (others / np.linalg.norm(others, axis=1, keepdims=True) - middle) / length
    np.testing.assert_allclose(x @ x.T, wide @ wide.T, atol=1e-8)
    np.testing.assert_allclose(z @ x.T, wide_others @ wide.T, atol=1e-8)
    truth = rng.random(12) < 0.5
    exact = {"C": 1.0, "dual": False, "tol": 1e-8, "class_weight": {True: 2.0, False: 1.0},
             "random_state": 0}  # fmt: skip
    one = LinearSVC(**exact).fit(wide, truth).decision_function(wide_others)
    other = LinearSVC(**exact).fit(x, truth).decision_function(z)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_folds_keep_groups_whole() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 9, 60).tolist()
    for classes in (None, rng.integers(0, 3, 60)):
        folds = linear.deal(groups, classes)
        assert set(folds.tolist()) == {0, 1, 2}
        assert all(len(set(folds[np.array(groups) == one].tolist())) == 1 for one in set(groups))
    with pytest.raises(InputError, match="2 groups of clips to train on: 3 or more"):
        linear.deal(["a", "b", "b"])


def test_classes_of_few_samples_do_not_break_the_fits() -> None:
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((9, 4)), rng.standard_normal((3, 4))
    classes = np.array([0] * 5 + [1] * 3 + [2])
    marks = classes[:, None] == np.arange(4)  # nothing of the last
    folds = np.arange(9) % 3
    scores, costs, held = linear.svm(x, marks, z, folds)
    assert scores.shape == (3, 4) and (scores[:, 3] == 0).all() and 0 < held <= 1
    assert costs[2] == costs[3] == linear.FIXED_COST  # they could not be chosen
    logs, _, right = linear.softmax(x, classes, z, folds, num_classes=4)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1)
    assert (logs[:, 3] == -np.inf).all() and 0 <= right <= 1
