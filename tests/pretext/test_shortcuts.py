"""The shortcuts of all tasks: enough of them, well described, and bookkeeping tells nothing.

Walks the registry, as the tests of the contract do: a new task is tested by being in it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.pretext import RECIPES, TASKS
from avssl.records import Clip, Plan
from avssl.run import audit_samples
from avssl.run.audit_measure import flag
from avssl.run.audit_probes import classes_of, judge
from avssl.run.audit_samples import draw

Fetch = Callable[[Catalog, Plan], list[Clip]]
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


class _Memory:
    """Stands for the files of a data set; reads what `fetch` draws."""

    fetch: Any
    catalog: Catalog

    def __init__(self, directory: Any) -> None:
        pass

    def frames(self, row: Any, times_s: Any) -> Clip:
        return self._one("frames", row, times_s)

    def sound(self, row: Any, *span: Any) -> Clip:
        return self._one("sound", row, *span)

    def _one(self, kind: str, row: Any, *span: Any) -> Clip:
        from avssl.records import FrameSpan, SoundSpan

        index = next(k for k in range(len(self.catalog)) if self.catalog.row(k) is row)
        names = ("times_s",) if kind == "frames" else ("start_s", "duration_s", "rate_hz")
        wanted = dict(zip(names, span, strict=True))
        made = (
            FrameSpan(row=index, **wanted) if kind == "frames" else SoundSpan(row=index, **wanted)
        )
        return type(self).fetch(self.catalog, Plan(spans=(made,)))[0]

    def close(self) -> None:
        pass


WITH_BOOKKEEPING = [
    name for name in NAMES if any(one.kind == "bookkeeping" for one in TASKS[name].shortcuts)
]


@pytest.mark.parametrize("name", WITH_BOOKKEEPING)
def test_bookkeeping_tells_nothing_with_the_guard_on(
    name: str, held_out: Catalog, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = RECIPES[name]["small"].task
    bookkeeping = [one for one in task.shortcuts if one.kind == "bookkeeping"]
    monkeypatch.setattr(_Memory, "fetch", staticmethod(functools.partial(fetch)), raising=False)
    monkeypatch.setattr(_Memory, "catalog", held_out, raising=False)
    monkeypatch.setattr(audit_samples, "Fetcher", _Memory)
    for looks in (False, True):
        probed = [one for one in bookkeeping if _looks(task, one, held_out) == looks]
        if not probed:
            continue
        num = NUM_SAMPLES if looks else NUM_PLANNED
        for one, drawn in zip(
            probed, draw(task, held_out, shortcuts=probed, num_samples=num), strict=True
        ):
            try:
                judged = judge(classes_of(drawn.answers), drawn.numbers, num_fit=num // 3)
            except InputError as error:  # these clips hold nothing to tell apart
                assert "all answers" in str(error), one.name
                continue
            assert judged.best - 0.5 < DEVIATIONS * judged.error + 1e-9, (
                one.name,
                judged.figures(),
            )


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
