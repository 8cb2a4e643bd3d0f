"""Clips to fit to and clips to judge on: other groups, the same formats, or said why not."""

from collections.abc import Callable
from typing import Any

import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.pretext import RECIPES
from avssl.run.audit_halves import LEAST_GROUPS, Halves, halves_of, held_out
from avssl.run.audit_plans import all_alike, drawn_anew
from avssl.run.audit_samples import Maker

ROTATION = RECIPES["rotation"]["small"].task
CONTRAST = RECIPES["frame-contrast"]["small"].task

Make = Callable[..., ClipRow]


def groups_of(catalog: Catalog) -> set[str]:
    return set(catalog.column("group_id"))


def dealt(rows: list[ClipRow], task: Any = ROTATION) -> Halves:
    return halves_of(task, [], Catalog.from_rows(rows))


def test_no_group_is_in_both_halves_and_every_clip_is_in_one(make_row: Make) -> None:
    rows = [make_row(number=k, group_id=f"r{k // 3}") for k in range(60)]
    found = dealt(rows)
    assert not found.why_same and (found.num_fitted, found.num_judged) == (10, 10)
    assert not groups_of(found.fitted) & groups_of(found.judged)
    assert len(found.fitted) + len(found.judged) == 60
    again = dealt(rows[::-1])  # by name, not by the order of the files
    assert groups_of(again.judged) in (groups_of(found.judged), groups_of(found.fitted))
    # nor every second one: two cameras may take turns
    numbers = {int(name[1:]) for name in groups_of(found.judged)}
    assert numbers not in (set(range(0, 20, 2)), set(range(1, 20, 2)), set(range(10)))


def test_formats_are_in_both_halves_or_stay_together(make_row: Make) -> None:
    """So that a pair of one format can be drawn in a half where it can be drawn in the whole."""
    sizes = [(96, 6), (120, 2), (144, 3), (160, 1), (192, 4)]
    rows, number = [], 0
    for height_px, count in sizes:
        for _ in range(count):
            rows.append(make_row(number=number, height_px=height_px))
            number += 1
    found = dealt(rows)
    for height_px, count in sizes:
        each = [sum(h == height_px for h in part.column("height_px"))
                for part in (found.fitted, found.judged)]  # fmt: skip
        assert sum(each) == count and (min(each) == 0 if count < 4 else min(each) >= 2)
    assert abs(len(found.fitted) - len(found.judged)) <= 2


def test_too_few_groups_are_asked_together_and_it_is_said(make_row: Make) -> None:
    few = [make_row(number=k, group_id=f"r{k % 7}") for k in range(21)]
    found = dealt(few)
    assert len(found.fitted) == len(found.judged) == 21 and found.num_judged == 7
    assert found.why_same == f"of 7 groups, where {LEAST_GROUPS} are needed to judge on others"
    # one recording of an hour beside nine of seconds: judged are the others …
    long = [make_row(number=0, num_frames=90_000), *(make_row(number=k) for k in range(1, 10))]
    found = dealt(long)
    assert "group0000" in groups_of(found.fitted) and not found.why_same
    # … and four such of one format, two in each half: nothing can be judged on either
    size = {"num_frames": 90_000, "height_px": 120}
    longs = [make_row(number=k, **size) for k in range(4)]
    found = dealt([*longs, *(make_row(number=k) for k in range(4, 12))])
    assert found.why_same == "as a few of the 12 groups outweigh all others"
    assert len(found.judged) == len(found.fitted) == 12
    with pytest.raises(InputError):
        dealt([make_row(number=k, num_frames=0) for k in range(10)])


def test_pairs_have_both_clips_in_one_half(make_row: Make) -> None:
    rows = [make_row(number=k, split="validation") for k in range(12)]
    found = dealt(rows, CONTRAST)
    for part in (found.fitted, found.judged):
        names = groups_of(part)
        with Maker(CONTRAST, part, num_samples=60) as maker:
            plans = [maker.plan(number) for number in range(60)]
        pairs = [{part.row(span.row).group_id for span in plan.spans} for plan in plans]
        assert {len(pair) for pair in pairs} == {1, 2}
        assert set.union(*pairs) == names


def test_asked_as_held_out_nothing_else_differs(make_row: Make) -> None:
    source = Catalog.from_rows([make_row(number=k) for k in range(4)])
    found = held_out(source)
    assert set(found.column("split")) == {"validation"} and found.directory == source.directory
    for name in source.table.schema.names:
        assert name == "split" or found.column(name) == source.column(name)
    assert set(source.column("split")) == {"train"}


def wanted(task: Any) -> list[dict[str, Any]]:
    return [{"on": task} for _ in task.shortcuts]


def test_plans_alone_tell_whether_there_is_anything_to_ask(make_row: Make) -> None:
    training = Catalog.from_rows([make_row(number=k) for k in range(10)])
    said = all_alike(CONTRAST, wanted(CONTRAST), training)
    assert said.startswith("frame-contrast, format: the answer of all of 200 plans is 1")
    assert all_alike(CONTRAST, wanted(CONTRAST), held_out(training)) == ""
    assert all_alike(ROTATION, wanted(ROTATION), training) == ""
    colors = RECIPES["colorization"]["small"].task  # pictures say its answers: nothing is decoded
    assert all_alike(colors, wanted(colors), training) == ""


def test_answers_drawn_anew_are_told_from_those_of_clips_and_pairs(make_row: Make) -> None:
    catalog = Catalog.from_rows([make_row(number=k, split="validation") for k in range(10)])
    found = {
        name: {drawn_anew(task, one, catalog) for one in task.shortcuts if one.kind == kind}
        for name, kind in (("rotation", "bookkeeping"), ("shuffle-and-learn", "content"),
                           ("colorization", "content"), ("frame-contrast", "bookkeeping"))
        for task in [RECIPES[name]["small"].task]
    }  # fmt: skip
    assert found == {
        "rotation": {True}, "shuffle-and-learn": {True},
        "colorization": {False}, "frame-contrast": {False},
    }  # fmt: skip
