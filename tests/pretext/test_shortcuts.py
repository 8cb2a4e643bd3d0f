"""The shortcuts of all tasks: enough of them, well described; bookkeeping tells nothing with the
guard on, and with the guard off it tells the answer on clips made to show it.

Walks the registry, as the tests of the contract do: a new task is tested by being in it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from avssl.catalog import Catalog, ClipRow
from avssl.pretext import RECIPES, TASKS
from avssl.records import Shortcut
from avssl.run import audit_samples
from avssl.run.audit_measure import flag
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import Drawn, draw

NAMES = sorted(TASKS)
NUM_FIT, NUM_JUDGED = 400, 800
"""Where a probe looks at pictures; with the guard off half as many are enough."""
NUM_PLANNED_FIT, NUM_PLANNED = 2500, 6000
"""Where it looks at plans alone."""


def _settings() -> dict[tuple[str, str], Any]:
    """The small recipe of every task, and others that list other shortcuts (another mode)."""
    found: dict[tuple[str, str], Any] = {}
    for name in NAMES:
        seen: list[Any] = []
        for recipe in sorted(RECIPES[name], key=lambda one: one != "small"):
            task = RECIPES[name][recipe].task
            if task.shortcuts not in seen:
                seen.append(task.shortcuts)
                found[name, recipe] = task
    return found


SETTINGS = _settings()
SETTINGS["tracking", "ranking"] = dataclasses.replace(
    SETTINGS["tracking", "ranking"],
    num_frames=3,  # following through eight takes half a minute
)
PROBED = [
    (name, recipe, one.name)
    for (name, recipe), task in SETTINGS.items()
    for one in task.shortcuts
    if one.kind == "bookkeeping"
]
DEVIATIONS = float(norm.isf(0.01 / (2 * len(PROBED))))
"""One run in a hundred may blame a guard that holds: two classifiers a probe."""

NO_BARS = "the guard leaves no bar to see"
ONE_FORMAT = "both files have one format"
ALIKE = {
    **{(name, "small", "letterbox"): NO_BARS for name in (
        "colorization", "inpainting", "masked-autoencoding", "reconstruction", "rotation",
        "tracking-by-colorization")},
    **{(name, "small", "format"): ONE_FORMAT for name in (
        "audio-visual-correspondence", "audio-visual-contrast", "audio-visual-sync",
        "frame-contrast")},
    ("rotation", "small", "traces of turning"): "flips and transposes bring in no line",
    ("tracking", "small", "padding"): "a filter as wide as a patch sees all of it",
    ("tracking-by-colorization", "small", "colour in the input"): "grey has no other channel",
    ("relative-position", "small", "place in the picture"): "the first patch is the middle one",
}  # fmt: skip
"""Probes whose numbers are all alike with the guard on, and why that is as it should be."""

NOT_SHOWN = {
    ("audio-visual-sync", "small", "format"): "picture and sound are of one file",
    ("audio-visual-sync", "small", "frequent recordings"): "picture and sound are of one file",
    ("colorization", "small", "letterbox"): "colours of these clips differ more than bars change; "
    "in tests/run/test_audit_leaks.py they do not",
}
"""Those that these clips do not show with the guard off, and why."""


def test_there_are_many_of_both_kinds() -> None:
    found = {(name, one.name): one for name in NAMES for one in TASKS[name].shortcuts}
    assert len(found) == sum(len(TASKS[name].shortcuts) for name in NAMES)  # unique in their task
    different = {(one.name, one.probe) for one in found.values()}  # some tasks share theirs
    assert len(different) >= 40 and len(found) >= 80
    assert {one.kind for one in found.values()} == {"bookkeeping", "content"}
    assert ("shuffle-and-learn", "frame difference") in found
    assert ("audio-visual-correspondence", "sound grid") in found
    assert ("tracking", "ranking") in SETTINGS


@pytest.mark.parametrize(("name", "recipe"), SETTINGS)
def test_fields_are_there_and_what_is_stated_can_be_measured(name: str, recipe: str) -> None:
    fields = {field.name for field in dataclasses.fields(TASKS[name])}
    task = SETTINGS[name, recipe]
    for one in task.shortcuts:
        assert set(one.off) <= fields and set(one.closes) <= fields
        assert one.leak.endswith(".") and one.guard.endswith(".") and callable(one.probe)
        off, closed = (dataclasses.replace(task, **values) for values in (one.off, one.closes))
        for field, value in one.closes.items():
            assert one.off.get(field) != value and flag(f"--task.{field}", value)
        assert one.kind == "content" or not one.cut_share
        assert one.off, "without a setting that has no guard nobody knows what the guard does"
        assert off != closed, "off and on are the same: the guard is never measured"


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_can_be_set_as_the_shortcuts_ask(name: str) -> None:
    """`avssl audit TASK --recipe paper` measures with the guard off, too."""
    for recipe in RECIPES[name].values():
        for one in recipe.task.shortcuts:
            dataclasses.replace(recipe.task, **one.off)
            dataclasses.replace(recipe.task, **one.closes)


def test_a_default_that_leaves_the_guard_off_says_what_closes_it() -> None:
    """Else the audit would print that a guard is on which is not."""
    for name in NAMES:
        default = TASKS[name]()
        for one in default.shortcuts:
            unguarded = dataclasses.replace(default, **one.off) == default
            assert not unguarded or one.closes, (name, one.name)
            assert one.closes or "off by default" not in one.guard, (name, one.name)


@pytest.fixture(scope="module")
def shown(make_row: Callable[..., ClipRow]) -> Catalog:
    """Clips on which leaks show: all have bars, half another format, lengths differ."""
    bars = ((0, 18, 0, 6), (0, 24, 0, 12), (14, 0, 14, 0), (0, 10, 0, 10))
    other: dict[str, Any] = {"codec": "mpeg4", "video_suffix": ".avi", "sound_rate_hz": 44_100}
    rows = []
    for k in range(16):
        long = 150 + 90 * (k % 3)
        rows.append(
            make_row(number=k, num_frames=long, fps=25.0, split="validation",
                     borders_px=bars[k % 4], **(other if k % 8 > 3 else {}))
        )  # fmt: skip
    return Catalog.from_rows(rows)


@pytest.fixture(scope="module")
def unequal(make_row: Callable[..., ClipRow]) -> Catalog:
    """Three recordings, one of them nearly as long as the others together."""
    long = (330, 180, 180)
    return Catalog.from_rows(
        [make_row(number=k, num_frames=long[k], split="validation") for k in range(3)]
    )


@pytest.mark.parametrize(("name", "recipe", "shortcut"), PROBED)
def test_bookkeeping_tells_nothing_with_the_guard_on_and_the_answer_with_it_off(
    name: str, recipe: str, shortcut: str, shown: Catalog, unequal: Catalog, no_files: None
) -> None:
    task = SETTINGS[name, recipe]
    shown = unequal if shortcut == "frequent recordings" else shown
    (one,) = (one for one in task.shortcuts if one.name == shortcut)
    looks = _looks(task, one, shown)
    num_fit, num = (NUM_FIT, NUM_JUDGED) if looks else (NUM_PLANNED_FIT, NUM_PLANNED)
    (drawn,) = draw(task, shown, shortcuts=[one], num_samples=num_fit + num)
    judged = _judged(drawn, num_fit=num_fit)
    assert not _told(judged), judged.figures()
    alike = bool(np.ptp(drawn.numbers, axis=0).max() < 1e-9)
    assert alike == ((name, recipe, shortcut) in ALIKE), drawn.numbers.std(axis=0)
    careless = dataclasses.replace(task, **one.off)
    (drawn,) = draw(careless, shown, shortcuts=[one], num_samples=(num_fit + num) // 2)
    judged = _judged(drawn, num_fit=num_fit // 2)
    assert _told(judged) == ((name, recipe, shortcut) not in NOT_SHOWN), judged.figures()


def _judged(drawn: Drawn, *, num_fit: int) -> Judged:
    return judge(classes_of(drawn.answers), drawn.numbers, num_fit=num_fit)


def _told(judged: Judged) -> bool:
    return judged.best - 0.5 > DEVIATIONS * judged.error + 1e-9


def _looks(task: Any, one: Shortcut, catalog: Catalog) -> bool:
    """Whether the probe, or its answer, looks at pictures."""
    with audit_samples.Maker(task, catalog, num_samples=1) as maker:
        plan, unseen = maker.plan(0), audit_samples.Example(arrays=audit_samples._Unseen())
        try:
            audit_samples.answer_of(one, task)(plan, unseen)
            one.probe(plan, unseen)
        except audit_samples._NeedsPicturesError:
            return True
    return False
