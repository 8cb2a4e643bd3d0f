"""The shortcuts of all tasks: enough of them, well described, and bookkeeping tells nothing.

Walks the registry, as the tests of the contract do: a new task is tested by being in it.
"""

import dataclasses
from typing import Any

import pytest

from avssl.catalog import Catalog
from avssl.pretext import RECIPES, TASKS
from avssl.records import Shortcut
from avssl.run import audit_samples
from avssl.run.audit_measure import flag
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import draw

NAMES = sorted(TASKS)
NUM_SAMPLES, NUM_PLANNED = 360, 1500
"""Where a probe looks at pictures, and where it looks at plans alone."""
DEVIATIONS = 4.5


def test_there_are_fifteen_of_both_kinds() -> None:
    found = {(name, one.name): one for name in NAMES for one in TASKS[name].shortcuts}
    assert len(found) == sum(len(TASKS[name].shortcuts) for name in NAMES)  # unique in their task
    different = {(one.name, one.probe) for one in found.values()}  # some tasks share theirs
    assert len(different) >= 11 and len(found) >= 15
    assert {one.kind for one in found.values()} == {"bookkeeping", "content"}
    assert ("shuffle-and-learn", "frame difference") in found
    assert ("audio-visual-correspondence", "sound grid") in found


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_there_and_what_is_stated_can_be_measured(name: str) -> None:
    kind = TASKS[name]
    fields = {field.name for field in dataclasses.fields(kind)}
    for one in kind.shortcuts:
        assert set(one.off) <= fields and set(one.closes) <= fields
        assert one.leak.endswith(".") and one.guard.endswith(".") and callable(one.probe)
        task = RECIPES[name]["small"].task
        dataclasses.replace(task, **one.off), dataclasses.replace(task, **one.closes)
        for field, value in one.closes.items():
            assert one.off.get(field) != value and flag(f"--task.{field}", value)
        assert one.kind == "content" or not one.cut_share
        if one.cut_share:
            assert one.off, "a share that is cut needs a setting without the guard"


WITH_BOOKKEEPING = [
    name for name in NAMES if any(one.kind == "bookkeeping" for one in TASKS[name].shortcuts)
]


@pytest.mark.parametrize("name", WITH_BOOKKEEPING)
def test_bookkeeping_tells_nothing_with_the_guard_on(
    name: str, barred: Catalog, no_files: None
) -> None:
    """And bars, which all these clips have, tell the answer where the guard is off."""
    task = RECIPES[name]["small"].task
    bookkeeping = [one for one in task.shortcuts if one.kind == "bookkeeping"]
    for one, judged in _judged(task, bookkeeping, barred):
        assert not _told(judged), (one.name, judged.figures())
    for one in bookkeeping:
        if "clear_of_borders" in one.off:
            careless = dataclasses.replace(task, **one.off)
            ((_, judged),) = _judged(careless, [one], barred)
            assert _told(judged), (one.name, judged.figures())


def _told(judged: Judged) -> bool:
    return judged.best - 0.5 > DEVIATIONS * judged.error + 1e-9


def _judged(task: Any, probed: list[Shortcut], catalog: Catalog) -> list[tuple[Shortcut, Judged]]:
    """Gives what classifiers make of each probe; fails where these clips ask nothing."""
    found = []
    for looks in (False, True):
        those = [one for one in probed if _looks(task, one, catalog) == looks]
        if not those:
            continue
        num = NUM_SAMPLES if looks else NUM_PLANNED
        made = draw(task, catalog, shortcuts=those, num_samples=num)
        for one, drawn in zip(those, made, strict=True):
            found.append((one, judge(classes_of(drawn.answers), drawn.numbers, num_fit=num // 3)))
    return found


def _looks(task: Any, one: Any, catalog: Catalog) -> bool:
    """Whether the probe, or its answer, looks at pictures."""
    with audit_samples.Maker(task, catalog, num_samples=1) as maker:
        plan, unseen = maker.plan(0), audit_samples.Example(arrays=audit_samples._Unseen())
        try:
            audit_samples.answer_of(one, task)(plan, unseen)
            one.probe(plan, unseen)
        except audit_samples._NeedsPicturesError:
            return True
    return False
