"""What every pretext task promises of its plans, thousands of them; nothing is decoded.

A second of video is as likely as any other, however long its clip is. (At one rate of frames: tasks
on runs of pictures count by the run, whose steps are whole key-frame periods, so a second at 30 Hz
can count a quarter more than one at 24. A group that outweighs all others together is drawn less
often where there are partners to be found; none does here.) With `motion_power` p, one in which k
times as much moves is kᵖ times as likely. Answers come in equal shares (or in `SHARES`), whatever
the clip and the time that is shown.

Every χ² test here fails by chance once in a hundred thousand.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from avssl.catalog import Catalog, ClipRow
from avssl.pretext import RECIPES, TASKS
from avssl.records import Plan
from avssl.sample import sample_rng

NAMES = sorted(TASKS)
NUM_PLANS = 3000
CHANCE = 1e-5
ANSWERS = ("label", "asked", "same")
"""What a plan may call its answer; the first that it has."""
NO_ANSWER = {
    name: "the picture is the answer"
    for name in ("colorization", "inpainting", "masked-autoencoding", "reconstruction")
} | {"tracking-by-colorization": "the last frame's colours are the answer"}
"""Name → why its plans have none."""
SHARES = {"shuffle-and-learn": (0.75, 0.25)}  # papers.md §1.1
"""Name → shares of the answers that its recipe asks for; even ones for the others."""
EDGE_S = 2.0
"""So near to an end of its clip a time is less likely: what is shown with it must fit in too."""
BIN_S = 1.0
CALM, LIVELY = 0.3, 0.9
"""Short sides a second."""


@pytest.fixture(scope="module")
def uneven(make_row: Callable[..., ClipRow]) -> Catalog:
    """Clips of 6 to 24 s; of each a share moves three times as much as the rest."""
    return Catalog.from_rows(uneven_rows(make_row, rates_hz=(30.0,) * 4))


@pytest.fixture(scope="module")
def mixed(make_row: Callable[..., ClipRow]) -> Catalog:
    """The same at several rates: a run of whole key-frame periods is longer at lower ones."""
    return Catalog.from_rows(uneven_rows(make_row, rates_hz=(30.0, 25.0, 24.0, 30.0)))


def uneven_rows(make_row: Callable[..., ClipRow], *, rates_hz: Sequence[float]) -> list[ClipRow]:
    rows = []
    for number, (duration_s, calm_share) in enumerate([(6, 0.5), (9, 0.25), (15, 0.5), (24, 0.75)]):
        calm = 0.25 * np.arange(4 * duration_s) < calm_share * duration_s
        rows.append(
            make_row(
                number=number,
                num_frames=round(duration_s * rates_hz[number]),
                fps=rates_hz[number],
                split="validation",
                motion=np.where(calm, CALM, LIVELY),
            )
        )
    return rows


def small_task(name: str, **knobs: Any) -> Any:
    return dataclasses.replace(RECIPES[name]["small"].task, **knobs)


def make_plans(task: Any, catalog: Catalog, items: Any, num: int = NUM_PLANS) -> list[Plan]:
    """In the order of `items`, round and round."""
    return [plan_of(task, catalog, items, position) for position in range(num)]


def plan_of(task: Any, catalog: Catalog, items: Any, position: int) -> Plan:
    index = int(items[position % len(items)])
    return task.sample(catalog, index, sample_rng(11, 0, position))


@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_plans_are_the_same_in_any_order(name: str, mixed: Catalog) -> None:
    task, again = small_task(name), Catalog.from_rows(mixed.rows())
    items = task.items(mixed)
    plans = make_plans(task, mixed, items)
    for position in reversed(range(NUM_PLANS)):
        assert plan_of(task, again, items, position) == plans[position]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_is_as_likely_as_any_other(name: str, uneven: Catalog) -> None:
    """Of long clips as of short ones, and all along them; where motion counts for nothing."""
    knobs = {field.name for field in dataclasses.fields(TASKS[name])}
    task = small_task(name, **({"motion_power": 0.0} if "motion_power" in knobs else {}))
    items = task.items(uneven)
    counts = np.concatenate(inner_counts(make_plans(task, uneven, items), uneven))
    assert len(counts) == 2 + 5 + 11 + 20 and counts.sum() > NUM_PLANS / 2
    assert chisquare(counts).pvalue > CHANCE
    once_each = make_plans(task, uneven, np.unique(items))  # and a task that forgot lengths is told
    assert chisquare(np.concatenate(inner_counts(once_each, uneven))).pvalue < CHANCE


WITH_MOTION = [name for name in NAMES if getattr(small_task(name), "motion_power", 0.0)]


@pytest.mark.parametrize("name", WITH_MOTION)
def test_moments_are_as_likely_as_they_move(name: str, uneven: Catalog) -> None:
    """By the power that the recipe names, in the clips that are long enough to see it."""
    task = small_task(name)
    odds = (LIVELY / CALM) ** task.motion_power
    found = inner_counts(make_plans(task, uneven, task.items(uneven)), uneven)
    num_seen = 0
    for row, counts in zip(uneven.rows(), found, strict=True):
        change_s = float(np.argmax(row.motion > CALM)) * row.window_s
        middle_s = EDGE_S + BIN_S * (np.arange(len(counts)) + 0.5)
        kept = abs(middle_s - change_s) > EDGE_S  # what is shown lies on one side
        lively = middle_s[kept] > change_s
        if lively.any() and not lively.all():
            expected = np.where(lively, odds, 1.0)
            expected *= counts[kept].sum() / expected.sum()
            assert chisquare(counts[kept], expected).pvalue > CHANCE, row.clip_id
            assert chisquare(counts[kept]).pvalue < CHANCE, "all alike would pass too"
            num_seen += 1
    assert num_seen == 2


def inner_counts(plans: list[Plan], catalog: Catalog) -> list[np.ndarray]:
    """Gives for each clip how many of the plans begin in each `BIN_S` of it, off its ends."""
    row = np.array([one.spans[0].row for one in plans])
    time_s = np.array([one.spans[0].times_s[0] for one in plans])  # type: ignore[union-attr]
    found = []
    for index, clip in enumerate(catalog.rows()):
        edges_s = np.arange(EDGE_S, clip.duration_s - EDGE_S + BIN_S / 2, BIN_S)
        found.append(np.histogram(time_s[row == index], edges_s)[0])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_balanced_whatever_the_clip_and_the_time(name: str, mixed: Catalog) -> None:
    task = small_task(name)
    plans = make_plans(task, mixed, task.items(mixed))
    keys = [key for key in ANSWERS if key in plans[0].target][:1]
    assert bool(keys) != (name in NO_ANSWER), f"no {ANSWERS} in its plans: NO_ANSWER says why"
    for key in keys:
        label = np.array([one.target[key] for one in plans])
        values, counts = np.unique(label, return_counts=True)
        expected = np.array(SHARES.get(name, [1 / len(values)] * len(values)))
        assert len(values) > 1 and chisquare(counts, NUM_PLANS * expected).pvalue > CHANCE, counts
        row = np.array([one.spans[0].row for one in plans])
        assert are_independent(label, row), (key, "row")
        time_s = np.array([np.mean(getattr(one.spans[0], "times_s", 0.0)) for one in plans])
        third = np.searchsorted(np.quantile(time_s, [1 / 3, 2 / 3]), time_s)
        assert are_independent(label, third), (key, "time")


def are_independent(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a χ² test of the table of both finds nothing."""
    table = np.zeros((len(set(one.tolist())), len(set(other.tolist()))))
    np.add.at(
        table, (np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]), 1
    )
    found: Any = chi2_contingency(table)
    return bool(found.pvalue > CHANCE)
