"""Odd one out: which orders are odd, plans over thousands, and what the guards keep back."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.pretext.odd_one_out import OddOneOut, OneOut, odd_orders
from avssl.records import Example, Plan
from avssl.sample.clock import picture_numbers, shot_numbers

Shown = Callable[[Catalog, Plan], np.ndarray]
MakePlans = Callable[..., list[Plan]]
TASK = OddOneOut(step_s=0.2)
NOTHING = Example(arrays={})


@pytest.mark.parametrize("num", [3, 4, 5])
def test_odd_orders_are_those_that_fit_neither_direction(num: int) -> None:
    found = odd_orders(num)
    expected = {
        order
        for order in itertools.permutations(range(num))
        if sorted(order) != list(order) and sorted(order) != list(order)[::-1]
    }
    assert set(found) == expected and len(found) == len(expected)


@pytest.mark.parametrize("num", [3, 9])
def test_the_odd_one_and_no_other_is_out_of_order(
    rough_catalog: Catalog, shown_frames: Shown, make_plans: MakePlans, num: int
) -> None:
    task = dataclasses.replace(TASK, num_frames=num, step_s=0.2 if num == 3 else 0.05)
    num_plans = 1500 if num == 3 else 150
    plans = make_plans(task, rough_catalog, num_plans)
    turned, in_order = 0, 0
    for plan in plans:
        row = rough_catalog.row(plan.spans[0].row)
        frames = shown_frames(rough_catalog, plan)
        sequences = frames.reshape(3, num)
        monotone = [bool((np.diff(one) > 0).all() or (np.diff(one) < 0).all()) for one in sequences]
        assert [not one for one in monotone].index(True) == plan.target["label"]
        assert monotone.count(False) == 1
        turned += sum(bool(np.diff(s)[0] < 0) for s, m in zip(sequences, monotone) if m)  # noqa: B905
        in_order += 2
        assert len({one.min() for one in sequences}) == 3  # different runs
        for one in sequences:
            assert len(set(shot_numbers(row)[one])) == 1
            assert len(set(picture_numbers(row)[one])) == num
            assert len(set((one - row.key_frames[0]) % np.diff(row.key_frames)[0])) == 1
    counts = np.bincount([int(p.target["label"]) for p in plans])  # type: ignore[arg-type]
    assert stats.chisquare(counts).pvalue > 0.01
    assert stats.binomtest(turned, in_order).pvalue > 0.001


def test_all_odd_orders_are_equally_frequent(
    catalog: Catalog, shown_frames: Shown, make_plans: MakePlans
) -> None:
    task = dataclasses.replace(TASK, reverse=False)
    seen: Counter[tuple[int, ...]] = Counter()
    for plan in make_plans(task, catalog, 2000):
        odd = shown_frames(catalog, plan).reshape(3, 3)[int(plan.target["label"])]  # type: ignore
        seen[tuple(np.argsort(np.argsort(odd)).tolist())] += 1
    assert set(seen) == set(odd_orders(3))
    assert stats.chisquare(list(seen.values())).pvalue > 0.01


def test_sequences_share_no_picture_where_that_is_asked_for(
    rough_catalog: Catalog, make_row: Callable[..., ClipRow], shown_frames: Shown,
    make_plans: MakePlans,
) -> None:  # fmt: skip
    """A clip that is too short for three apart has what it has."""
    task = dataclasses.replace(TASK, disjoint=True)

    def pictures_of(task: OddOneOut, catalog: Catalog) -> list[list[int]]:
        found = []
        for plan in make_plans(task, catalog, 400):
            numbers = picture_numbers(catalog.row(plan.spans[0].row))
            found.append(numbers[shown_frames(catalog, plan)].tolist())
        return found

    assert all(len(set(one)) == 9 for one in pictures_of(task, rough_catalog))
    assert any(len(set(one)) < 9 for one in pictures_of(TASK, rough_catalog))
    short = Catalog.from_rows([make_row(num_frames=20)])  # runs of 17 frames: 4 of them
    for one in pictures_of(task, short):
        assert len({tuple(sorted(part)) for part in np.reshape(one, (3, 3)).tolist()}) == 3


def test_gop_phases_give_the_odd_one_away_unless_matched(
    catalog: Catalog, make_plans: MakePlans, told_by: Callable[..., float]
) -> None:
    phase = next(one for one in TASK.shortcuts if one.name == "GOP phase")

    def told(task: OddOneOut) -> float:
        plans = make_plans(task, catalog, 1800)
        labels = np.array([plan.target["label"] for plan in plans])
        return told_by(np.stack([phase.probe(plan, NOTHING) for plan in plans]), labels)

    assert told(TASK) == pytest.approx(1 / 3, abs=0.05)
    assert told(dataclasses.replace(TASK, **phase.off)) > 0.6


def test_scores_of_known_answers_and_of_the_blind(catalog: Catalog) -> None:
    rng = np.random.default_rng(0)
    batch = {"label": torch.from_numpy(rng.integers(3, size=3000))}
    right = torch.nn.functional.one_hot(batch["label"], 3).float()
    for logits, expected in ((right, 1.0), (torch.zeros(3000, 3), 1 / 3)):
        columns = TASK.metrics({"logits": logits}, batch)
        found = TASK.scores({key: value.double().numpy() for key, value in columns.items()})
        assert found["accuracy"] == pytest.approx(expected, abs=0.03)
    assert TASK.trivial(catalog) == {"accuracy": pytest.approx(1 / 3)}


def test_each_sequence_is_judged_by_itself_or_all_together() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    widths = {"vision": 5}
    scored = OddOneOut(num_frames=4).head(widths)
    joined = OddOneOut(num_frames=4, compare="joined").head(widths)
    assert isinstance(scored, OneOut) and scored.joined is None
    changed = x.clone()
    changed[:, 0] += torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    moved = (scored(changed) - scored(x)).abs()
    assert bool((moved[:, 0] > 1e-4).all()) and bool((moved[:, 1:] == 0).all())
    assert bool(((joined(changed) - joined(x)).abs() > 1e-5).all())
    # Which of them comes first makes no difference to a judge of one.
    assert torch.allclose(scored(x[:, [2, 0, 1]]), scored(x)[:, [2, 0, 1]])


def test_as_clip_shows_the_same_pictures(
    catalog: Catalog, fetch: Any, make_plans: MakePlans
) -> None:
    joined = dataclasses.replace(TASK, as_clip=True)
    plan = make_plans(joined, catalog, 1)[0]
    one, two = (
        task.transform(fetch(catalog, plan), plan, np.random.default_rng(0)).arrays["frames"]
        for task in (TASK, joined)
    )
    assert one.shape == (3, 3, 3, 64, 64)
    for n, k in itertools.product(range(3), range(3)):
        assert np.array_equal(one[n, k], two[n, :, k])


def test_wrong_knobs_and_too_short_clips_are_refused(make_row: Callable[..., ClipRow]) -> None:
    wrongs: list[dict[str, Any]] = [
        {"num_sequences": 1},
        {"num_frames": 2},
        {"compare": "sum"},
        {"fusion": "x"},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            OddOneOut(**wrong)
    # 0.2 s are one period of 8: three pictures take 17 frames, so 18 frames hold two runs of three.
    rows = [make_row(num_frames=18), make_row(number=1, num_frames=19)]
    assert set(TASK.items(Catalog.from_rows(rows))) == {1}
    with pytest.raises(InputError, match="none of 1 clips"):
        TASK.items(Catalog.from_rows(rows[:1]))
