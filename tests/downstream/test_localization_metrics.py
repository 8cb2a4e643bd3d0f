"""Localisation figures against a slow second version and the figures that papers.md computes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.downstream import localization_metrics as lm
from avssl.errors import InputError

SIDE = lm.SIDE_PX


def slow_ciou(values: np.ndarray, truth: np.ndarray) -> float:
    """The protocol word by word: interpolate, to 0…1, sort, pixel by pixel."""
    large = torch.nn.functional.interpolate(
        torch.from_numpy(values.astype(np.float64))[None, None], size=(SIDE, SIDE), mode="bilinear"
    )[0, 0].numpy()
    if large.max() > large.min():
        large = (large - large.min()) / (large.max() - large.min())
    pixels = sorted(large.ravel().tolist())
    middle = pixels[len(pixels) // 2]
    inside = outside = total = 0.0
    for value, wanted in zip(large.ravel().tolist(), truth.ravel().tolist(), strict=True):
        total += wanted
        if value >= middle:
            inside += wanted
            outside += wanted == 0
    return inside / (total + outside)


def example(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    side = int(rng.integers(3, 20))
    values = rng.standard_normal((side, side + int(rng.integers(0, 3))))
    corners = np.sort(rng.random((2, 2)), axis=0)
    truth = lm.boxes_truth([(*corners[0], *corners[1])])
    if seed % 2:
        again = np.clip(corners + 0.1 * rng.standard_normal((2, 2)), 0, 1)
        truth = lm.consensus_truth([[(*corners[0], *corners[1])], [(*again[0], *again[1])]])
    return values, truth


@pytest.mark.parametrize("seed", range(6))
def test_ciou_equals_the_slow_version(seed: int) -> None:
    values, truth = example(seed)
    assert (truth > 0).any()
    found = lm.score_maps([values], [truth])
    assert found.ciou[0] == pytest.approx(slow_ciou(values, truth), abs=1e-9)


def test_the_published_rows_on_true_boxes(shared_data: Path) -> None:
    """An excerpt of VGG-SS: the order of the guesses is that of papers.md §3.3."""
    rows = json.loads((shared_data / "localisation" / "vggss_excerpt.json").read_text())
    truths = [lm.boxes_truth(row["bbox"]) for row in rows]
    found = {
        name: lm.score_maps([guess] * len(truths), truths).as_dict()
        for name, guess in (("ones", lm.all_ones()), ("disc", lm.centred_disc()))
    }
    best = lm.score_maps([lm.oracle(truth) for truth in truths], truths).as_dict()
    assert found["ones"]["ciou_at_05"] < found["disc"]["ciou_at_05"] <= best["ciou_at_05"]
    assert found["ones"]["num_without_truth"] > 0  # broken boxes are in the excerpt on purpose
    assert best["adaptive_ciou_at_05"] == 1.0 and best["hit_rate"] == 1.0


def test_closed_forms() -> None:
    left = lm.boxes_truth([(0.0, 0.0, 0.5, 1.0)])
    assert left.sum() == SIDE * SIDE / 2
    ramp = -np.arange(SIDE, dtype=np.float64)[None].repeat(SIDE, axis=0)
    found = lm.score_maps([ramp, -ramp, lm.all_ones()], [left] * 3)
    # ">= the median" keeps one column more than half where every column is one value
    assert found.ciou[0] == pytest.approx(1.0, abs=0.01) and found.ciou[1] < 0.01
    assert found.ciou[2] == 0.5  # everywhere: half of the union
    assert found.hit.tolist() == [1.0, 0.0, 0.5]
    assert found.adaptive_ciou[0] == pytest.approx(1.0)
    # everywhere, as large as the truth: a random half, 1/4 of the picture inside, 1/4 outside
    assert found.adaptive_ciou[2] == pytest.approx(0.25 / 0.75)
    quarter = lm.boxes_truth([(0.0, 0.0, 0.5, 0.5)])
    best = lm.score_maps([lm.oracle(quarter)], [quarter])
    assert best.ciou[0] == pytest.approx(0.5, abs=0.01)  # half of the picture, a quarter is right


def test_a_consensus_is_half_for_one_annotator() -> None:
    one, two = (0.0, 0.0, 0.5, 0.5), (0.25, 0.25, 0.75, 0.75)
    truth = lm.consensus_truth([[one], [two], []])
    assert truth[10, 10] == 0.5 and truth[80, 80] == 1.0 and truth[150, 150] == 0.5
    assert truth[200, 200] == 0.0
    three = lm.consensus_truth([[one], [one], [one]])
    assert three.max() == 1.0  # three agree no more than two


def test_boxes_out_of_the_picture_are_cut_and_broken_ones_add_nothing() -> None:
    cut = lm.boxes_truth([(-3e16, -1.0, 0.5, 2.0)])
    assert np.array_equal(cut, lm.boxes_truth([(0.0, 0.0, 0.5, 1.0)]))
    for box in ([0.5, 0.5, 0.5, 0.9], [0.9, 0.1, 0.2, 0.5], [np.nan, 0, 1, 1], [0, 0, 1]):
        assert not lm.boxes_truth([box]).any()
    assert not lm.boxes_truth([]).any()


def test_maps_that_say_nothing() -> None:
    truth = lm.boxes_truth([(0.1, 0.1, 0.6, 0.6)])
    constant, broken = np.full((7, 7), 3.0), np.full((7, 7), np.nan)
    broken[0, 0] = 1.0
    found = lm.score_maps([constant, broken, constant], [truth, truth, 0 * truth])
    assert found.ciou[0] == lm.score_maps([lm.all_ones()], [truth]).ciou[0]
    assert found.ciou[1] == found.adaptive_ciou[1] == found.hit[1] == 0.0
    assert (found.num_not_finite, found.num_without_truth, len(found.ciou)) == (1, 1, 2)
    with pytest.raises(InputError, match="no picture has a truth"):
        lm.score_maps([constant], [0 * truth]).as_dict()
    with pytest.raises(InputError, match="2 maps for 1 truths"):
        lm.score_maps([constant] * 2, [truth])
    with pytest.raises(InputError, match="a map must be"):
        lm.score_maps([np.zeros(3)], [truth])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_area_is_the_trapezoid_of_21_points(values: list[float]) -> None:
    total = 0.0
    for k in range(20):
        low = sum(v >= lm.LEVELS[k] for v in values) / len(values)
        high = sum(v >= lm.LEVELS[k + 1] for v in values) / len(values)
        total += (low + high) / 2 * 0.05
    assert lm.area_under(np.array(values)) == pytest.approx(total, abs=1e-9)
    # about the mean: the curve's integral, sampled
    assert abs(lm.area_under(np.array(values)) - np.mean(values)) <= 0.051


def test_all_ways_to_break_ties_on_average() -> None:
    """A map of two levels: the expectation, by really breaking the ties at random."""
    rng = np.random.default_rng(0)
    truth = lm.boxes_truth([(0.2, 0.1, 0.5, 0.7)])
    values = (rng.random((SIDE, SIDE)) > 0.9).astype(np.float64)
    broken = [lm.adaptive_ciou(values + 1e-6 * rng.random(values.shape), truth) for _ in range(20)]
    assert lm.adaptive_ciou(values, truth) == pytest.approx(np.mean(broken), abs=0.003)
    hits = [lm.hit(values + 1e-6 * rng.random(values.shape), truth) for _ in range(400)]
    assert lm.hit(values, truth) == pytest.approx(np.mean(hits), abs=0.08)


def test_silent_clips_cost_precision() -> None:
    """By hand: sure and right, then a silent clip, then wrong, then right."""
    found = lm.with_silent_negatives(
        np.array([0.7, 0.2, 0.6]), np.array([0.9, 0.5, 0.3]), np.array([0.8])
    )
    # recall 1/3, 1/3, 1/3, 2/3; precision 1, 1/2, 1/3, 1/2
    assert found["average_precision"] == pytest.approx(1 / 3 * 1 + 1 / 3 * 0.5)
    assert found["max_f1"] == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    tied = lm.with_silent_negatives(np.array([0.7]), np.array([0.5]), np.array([0.5, 0.5]))
    assert tied["average_precision"] == pytest.approx(1 / 3)


def test_sizes_part_the_truths() -> None:
    truths = [lm.boxes_truth([(0, 0, side, side)]) for side in (0.1, 0.3, 0.6, 0.9)]
    assert lm.by_size(np.array([0.6, 0.2, 0.5, 0.1]), truths) == {
        "small": 1.0, "medium": 0.0, "large": 1.0, "huge": 0.0,
    }  # fmt: skip
