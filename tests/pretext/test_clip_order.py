"""Clip order: its classes against brute force, its plans over thousands, its scores."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.pretext.clip_order import RECIPES, ClipOrder, orders, reversed_classes
from avssl.records import Example, Plan

Shown = Callable[[Catalog, Plan], np.ndarray]
MakePlans = Callable[..., list[Plan]]
TASK = ClipOrder(step_s=0.2)
NOTHING = Example(arrays={})


@pytest.mark.parametrize("num", [2, 3, 4, 5])
def test_classes_are_all_orders_each_once(num: int) -> None:
    every = orders(num, up_to_reversal=False)
    assert every == tuple(sorted(itertools.permutations(range(num))))
    for number, turned in enumerate(reversed_classes(num)):
        assert every[turned] == tuple(reversed(every[number]))
        assert reversed_classes(num)[turned] == number


@pytest.mark.parametrize("num", [3, 4, 5])
def test_up_to_reversal_every_order_is_in_one_class(num: int) -> None:
    classes = orders(num, up_to_reversal=True)
    assert len(classes) == math.factorial(num) // 2
    for order in itertools.permutations(range(num)):
        assert sum(order in (one, one[::-1]) for one in classes) == 1


def test_lee_et_al_have_twelve_classes_of_four_frames() -> None:
    assert len(RECIPES["paper-frames"].task.orders()) == 12
    assert len(RECIPES["paper"].task.orders()) == 6


@pytest.mark.parametrize("changes", [{}, {"num_clips": 4, "up_to_reversal": True}])
def test_labels_are_the_order_of_the_times(
    rough_catalog: Catalog, shown_frames: Shown, make_plans: MakePlans, changes: dict[str, Any]
) -> None:
    task = dataclasses.replace(TASK, **changes)
    plans = make_plans(task, rough_catalog, 2000)
    for plan in plans:
        frames = shown_frames(rough_catalog, plan)
        places = tuple(np.argsort(np.argsort(frames)).tolist())
        named = task.orders()[int(plan.target["label"])]  # type: ignore[arg-type]
        assert places == named or (task.up_to_reversal and places == named[::-1])
        assert len(set(np.diff(np.sort(frames)))) == 1
    counts = np.bincount([int(p.target["label"]) for p in plans])  # type: ignore[arg-type]
    assert len(counts) == len(task.orders()) and stats.chisquare(counts).pvalue > 0.01
    if task.up_to_reversal:
        forwards = [
            tuple(np.argsort(np.argsort(shown_frames(rough_catalog, p))).tolist()) in task.orders()
            for p in plans
        ]
        assert stats.binomtest(sum(forwards), len(forwards)).pvalue > 0.01


def test_gop_phases_sort_the_clips_unless_matched(
    catalog: Catalog, make_plans: MakePlans, told_by: Callable[..., float]
) -> None:
    phase = next(one for one in TASK.shortcuts if one.name == "GOP phase")

    def told(task: ClipOrder) -> float:
        plans = make_plans(task, catalog, 2000)
        labels = np.array([plan.target["label"] for plan in plans])
        return told_by(np.stack([phase.probe(plan, NOTHING) for plan in plans]), labels)

    assert told(TASK) == pytest.approx(1 / 6, abs=0.05)
    assert told(dataclasses.replace(TASK, **phase.off)) > 0.8


def test_repeated_pictures_are_found_by_their_probe(
    make_row: Callable[..., Any], fetch: Any, make_plans: MakePlans
) -> None:
    """Half of the time nothing moves: with the guard on no clip is shown twice."""
    still = np.array([[1.0, 5.0]])
    catalog = Catalog.from_rows([make_row(num_frames=180, still_spans_s=still)])
    same = next(one for one in TASK.shortcuts if one.name == "repeated pictures")

    def share(task: ClipOrder) -> float:
        task, found = dataclasses.replace(task, crop_scale=(1.0, 1.0)), []
        for plan in make_plans(task, catalog, 60):
            times_s = np.array(plan.spans[0].times_s)  # type: ignore[union-attr]
            held_s = np.where((times_s > 1.0) & (times_s < 5.0), 1.01, times_s)
            span = dataclasses.replace(plan.spans[0], times_s=tuple(held_s.tolist()))
            clips = fetch(catalog, dataclasses.replace(plan, spans=(span,)))
            example = task.transform(clips, plan, np.random.default_rng(0))
            found.append(same.probe(plan, example).max())
        return float(np.mean(found))

    assert share(TASK) < 0.2  # a picture just before the still stretch is next to the same
    assert share(dataclasses.replace(TASK, **same.off)) > 0.4


def test_clips_of_several_frames_run_forwards_and_do_not_overlap(
    catalog: Catalog, fetch: Any, shown_frames: Shown, make_plans: MakePlans
) -> None:
    task = dataclasses.replace(TASK, clip_frames=4, clip_step_s=1 / 30, step_s=0.25)
    for plan in make_plans(task, catalog, 100):
        clips = shown_frames(catalog, plan).reshape(3, 4)
        assert (np.diff(clips, axis=1) == 1).all()
        order = np.argsort(clips[:, 0])
        assert (clips[order][1:, 0] > clips[order][:-1, -1]).all()
    plan = make_plans(task, catalog, 1)[0]
    example = task.transform(fetch(catalog, plan), plan, np.random.default_rng(0))
    assert example.arrays["frames"].shape == (3, 3, 4, 64, 64)


def test_the_paper_recipe_has_clips_of_sixteen_with_eight_frames_between(
    make_row: Callable[..., Any], shown_frames: Shown, make_plans: MakePlans
) -> None:
    catalog = Catalog.from_rows([make_row(num_frames=200, fps=25.0)])
    for plan in make_plans(RECIPES["paper"].task, catalog, 50):
        clips = np.sort(shown_frames(catalog, plan)).reshape(3, 16)
        assert (np.diff(clips, axis=1) == 1).all()
        assert (clips[1:, 0] - clips[:-1, -1] - 1 == 8).all()


def test_scores_of_known_answers(catalog: Catalog) -> None:
    label = torch.arange(6).repeat(100)
    one_hot = torch.nn.functional.one_hot
    turned = torch.tensor(reversed_classes(3))

    def scores(logits: torch.Tensor) -> dict[str, float]:
        columns = TASK.metrics({"logits": logits}, {"label": label})
        return TASK.scores({key: value.double().numpy() for key, value in columns.items()})

    assert scores(9.0 * one_hot(label, 6)) == {"accuracy": 1, "accuracy_up_to_reversal": 1}
    backwards = scores(9.0 * one_hot(turned[label], 6))
    assert backwards == {"accuracy": 0, "accuracy_up_to_reversal": 1}
    always = scores(one_hot(torch.zeros(600, dtype=torch.int64), 6).float())
    assert always == pytest.approx(TASK.trivial(catalog))
    halved = dataclasses.replace(TASK, up_to_reversal=True)
    assert halved.trivial(catalog) == {"accuracy": pytest.approx(1 / 3)}


def test_wrong_knobs_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"num_clips": 1},
        {"num_clips": 6},
        {"num_clips": 2, "up_to_reversal": True},
        {"dropout": 1.0},
        {"fusion": "sum"},
        {"clip_frames": 16, "clip_step_s": 0.04, "step_s": 0.5},  # clips would overlap
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            ClipOrder(**wrong)
