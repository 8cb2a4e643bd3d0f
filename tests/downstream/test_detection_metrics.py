"""Figures of detection against a slow second program, pycocotools, and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.downstream import detection_metrics as metrics
from avssl.downstream.detection import Detection
from avssl.downstream.detection_floors import constant_boxes, mean_boxes
from avssl.downstream.detection_metrics import Truth
from avssl.run.detection_eval import Judged, figures_of

CLASSES = ("square", "disc")


def slow_precision(found, truths, label: int) -> float:
    """VOC's devkit in words: one list over all pictures, dictionaries, loops, no numpy."""
    rows = []
    for picture, one in enumerate(found):
        for number, (x0, y0, x1, y1, score, own) in enumerate(one.tolist()):
            if own == label and score > 0:
                rows.append((-score, picture, number, (x0, y0, x1, y1)))
    rows.sort(key=lambda row: row[:3])
    things = {
        (picture, k): (box.tolist(), bool(hard))
        for picture, truth in enumerate(truths)
        for k, (box, own, hard) in enumerate(
            zip(truth.boxes, truth.classes, truth.ignored, strict=True)
        )
        if own == label
    }
    total = sum(not hard for _, hard in things.values())
    if not total:
        return float("nan")
    used, curve, right, wrong = set(), [], 0, 0
    for _, picture, _, (ax0, ay0, ax1, ay1) in rows:
        best, which = -1.0, None
        for (place, k), ((bx0, by0, bx1, by1), _) in things.items():
            if place != picture:
                continue
            wide = min(ax1, bx1) - max(ax0, bx0)
            high = min(ay1, by1) - max(ay0, by0)
            inside = wide * high if wide > 0 and high > 0 else 0.0
            both = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inside
            if inside / both > best:
                best, which = inside / both, (place, k)
        if best >= 0.5 and things[which][1]:
            continue
        if best >= 0.5 and which not in used:
            used.add(which)
            right += 1
        else:
            wrong += 1
        curve.append((right / total, right / (right + wrong)))
    value = 0.0
    for level in range(11):
        value += max((p for r, p in curve if r >= level / 10 - 1e-12), default=0.0) / 11
    return value


def test_intervals_keep_classes_that_a_draw_leaves_out() -> None:
    """One class is found always, one never, each in one group: draws of one group alone must not
    turn the mean of 0.5 into 1."""
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    truths = [Truth(boxes=box, classes=np.array([k]), ignored=np.array([False])) for k in (0, 1)]
    found = [np.array([[0, 0, 10, 10, 0.9, 0.0]]), np.zeros((1, 6))]
    said = Judged(found=found, truths=truths)
    figures, intervals = figures_of(said, CLASSES, np.array(["a", "b"]))
    assert figures["voc07_map"] == 0.5 and figures["ap square"] == 1 and figures["ap disc"] == 0
    np.testing.assert_allclose(intervals["voc07_map"], [0.5, 0.5])


def random_pictures(rng: np.random.Generator, count: int = 8):
    truths, found = [], []
    for _ in range(count):
        num = int(rng.integers(0, 5))
        low = rng.uniform(0, 60, (num, 2))
        boxes = np.hstack([low, low + rng.uniform(5, 40, (num, 2))])
        labels = rng.integers(0, 3, num)
        truths.append(Truth(boxes=boxes, classes=labels, ignored=rng.random(num) < 0.25))
        near = boxes[rng.integers(0, num, 6)] if num else rng.uniform(0, 50, (6, 4))
        near = near + rng.normal(0, 4, (6, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        own = labels[rng.integers(0, num, 6)] if num else rng.integers(0, 3, 6)
        scores = rng.permutation(6) / 7 + rng.uniform(0.01, 0.1, 6)
        scores[rng.random(6) < 0.1] = 0  # nothing there
        found.append(np.column_stack([near, scores, own]).astype(np.float64))
    return found, truths


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_average_precision_is_that_of_a_slow_program(seed: int) -> None:
    found, truths = random_pictures(np.random.default_rng(seed))
    states = [metrics.judged(f, t) for f, t in zip(found, truths, strict=True)]
    own = [t.classes[~t.ignored] for t in truths]
    counts = np.bincount(np.concatenate(own), minlength=3)
    each = metrics.voc_precisions(found, states, counts)
    expected = [slow_precision(found, truths, label) for label in range(3)]
    np.testing.assert_allclose(each, expected, atol=1e-9)


def test_eleven_points_by_hand() -> None:
    """Right, wrong, right of four things: recalls ¼, ¼, ½ at precisions 1, ½, ⅔."""
    value = metrics.eleven_points(
        np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), num_things=4
    )
    # recalls 0, 0.1, 0.2 have precision 1; 0.3, 0.4, 0.5 have two thirds; the others nothing
    assert value == pytest.approx((3 * 1 + 3 * 2 / 3) / 11)
    assert np.isnan(metrics.eleven_points(np.zeros(0), np.zeros(0, dtype=bool), 0))
    assert metrics.eleven_points(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0


def test_difficult_things_are_neither_right_nor_wrong() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    found = np.array([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.8, 0], [0, 0, 10, 10, 0.7, 1.0]])
    hard = Truth(boxes=box, classes=np.array([0]), ignored=np.array([True]))
    assert metrics.judged(found, hard).tolist() == [-1, -1, 0]
    easy = Truth(boxes=box, classes=np.array([0]), ignored=np.array([False]))
    assert metrics.judged(found, easy).tolist() == [1, 0, 0]  # the second time it is wrong


def test_coco_figures_are_pycocotools_own() -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found, truths = random_pictures(np.random.default_rng(3), count=20)
    things, answers = [], []
    for picture, (one, truth) in enumerate(zip(found, truths, strict=True), start=1):
        for box, label, crowd in zip(truth.boxes, truth.classes, truth.ignored, strict=True):
            x0, y0, x1, y1 = box.tolist()
            things.append(
                {"id": len(things) + 1, "image_id": picture, "category_id": int(label),
                 "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
                 "iscrowd": int(crowd)}
            )  # fmt: skip
        for x0, y0, x1, y1, score, label in one.tolist():
            if score > 0:
                answers.append(
                    {"image_id": picture, "category_id": int(label), "score": score,
                     "bbox": [x0, y0, x1 - x0, y1 - y0]}
                )  # fmt: skip
    truth = COCO()
    truth.dataset = {
        "info": {}, "images": [{"id": k + 1} for k in range(20)], "annotations": things,
        "categories": [{"id": k} for k in range(3)],
    }  # fmt: skip
    truth.createIndex()
    judge = COCOeval(truth, truth.loadRes(answers), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    ours = metrics.coco_figures(found, truths)
    assert list(ours.values()) == pytest.approx(judge.stats[:3].tolist(), abs=1e-4)


def test_blind_guesses_by_hand() -> None:
    def truth(*boxes: float) -> Truth:
        rows = np.array(boxes, dtype=float).reshape(-1, 4)
        none = np.zeros(len(rows), dtype=bool)
        return Truth(boxes=rows, classes=np.zeros(len(rows), dtype=int), ignored=none)

    near, far = (0, 0, 10, 10), (50, 50, 60, 60)
    truths = [truth(*near), truth(*near), truth(*far), truth()]
    best = constant_boxes(truths, 2)
    np.testing.assert_allclose(best, [[*near, 0.5, 0], [*far, 0.25, 0]])
    (mean,) = mean_boxes(truths, 2)
    np.testing.assert_allclose(mean, [50 / 3, 50 / 3, 80 / 3, 80 / 3, 0.75, 0])


def test_scores_of_a_run_are_those_of_its_pictures() -> None:
    """Columns of numbers, as the loop gathers them, lose nothing."""
    rng = np.random.default_rng(1)
    own = Detection(classes=("a", "b", "c"), max_boxes=5, max_found=6)
    found, truths = random_pictures(rng)
    batch = {
        "frames": torch.zeros(8, 3, 4, 4),
        "boxes": torch.zeros(8, 5, 4),
        "classes": torch.zeros(8, 5, dtype=torch.int64),
        "state": torch.zeros(8, 5, dtype=torch.int64),
    }
    for k, truth in enumerate(truths):
        count = len(truth.boxes)
        batch["boxes"][k, :count] = torch.from_numpy(truth.boxes)
        batch["classes"][k, :count] = torch.from_numpy(truth.classes)
        batch["state"][k, :count] = torch.from_numpy(1 + truth.ignored)
    out = {"found": torch.from_numpy(np.stack(found)), "losses": torch.zeros(4)}
    columns = {k: v.double().numpy() for k, v in own.metrics(out, batch).items()}
    each = np.array([slow_precision(found, truths, label) for label in range(3)])
    assert own.scores(columns)["voc07_map"] == pytest.approx(np.nanmean(each), abs=1e-6)
