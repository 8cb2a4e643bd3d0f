"""Key frames that come as they like: the place between them tells, and the guard takes it away.

From plans alone. Where no guard can hold (one key frame in a clip), audit and report say so.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.pretext.arrow_of_time import ArrowOfTime
from avssl.pretext.clip_order import ClipOrder
from avssl.pretext.frame_contrast import FrameContrast
from avssl.pretext.frame_fill_in import FrameFillIn
from avssl.pretext.odd_one_out import OddOneOut
from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.run.audit_ask import audit
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import draw

MakeRow = Callable[..., ClipRow]
NUM_JUDGED, COUNTS = 3000, 3.5
NUM_FRAMES = 300
TRIPLETS = ShuffleAndLearn(tau_max_s=0.8, tau_min_s=0.3, reach=1.2)
TASKS: dict[str, Any] = {
    "shuffle-and-learn": TRIPLETS,
    "arrow-of-time": ArrowOfTime(step_s=0.2),
    "odd-one-out": OddOneOut(step_s=0.2),
    "clip-order": ClipOrder(step_s=0.2),
    "frame-fill-in": FrameFillIn(step_s=0.2),
}


def uneven(number: int) -> np.ndarray:
    """Key frames every 8 frames, one in eight after 5 or 11: cuts, or an encoder's whim."""
    gaps = np.random.default_rng(number).choice([8] * 14 + [5, 11], NUM_FRAMES // 5)
    keys = np.r_[0, np.cumsum(gaps)]
    return keys[keys < NUM_FRAMES]


@pytest.fixture
def rows(make_row: MakeRow) -> Callable[..., Catalog]:
    """Gives a catalogue of 16 clips with key frames of their own: rows(keys, **fields)."""

    def made(keys: Callable[[int], np.ndarray], **fields: Any) -> Catalog:
        return Catalog.from_rows(
            [
                make_row(number=k, num_frames=NUM_FRAMES, fps=25.0, key_frames=keys(k), **fields)
                for k in range(16)
            ]
        )

    return made


def told(task: Any, catalog: Catalog, name: str = "GOP phase") -> Judged:
    (shortcut,) = (one for one in task.shortcuts if one.name == name)
    num_fit = NUM_JUDGED // 2
    (found,) = draw(task, catalog, shortcuts=[shortcut], num_samples=NUM_JUDGED + num_fit)
    return judge(classes_of(found.answers), found.numbers, num_fit=num_fit)


def counts(judged: Judged) -> bool:
    return judged.best - 0.5 > COUNTS * judged.error + 1e-9


@pytest.mark.parametrize("name", TASKS)
def test_where_key_frames_are_uneven_the_guard_holds(
    name: str, rows: Callable[..., Catalog]
) -> None:
    task, catalog = TASKS[name], rows(uneven)
    assert counts(told(dataclasses.replace(task, match_gop_phase=False), catalog))
    on = told(task, catalog)
    assert not counts(on), on.figures()
    assert "compression may tell" not in task.remark(catalog)


def test_two_clips_with_uneven_key_frames_are_met_at_like_moments(
    rows: Callable[..., Catalog],
) -> None:
    catalog, task = rows(uneven, split="validation"), FrameContrast()
    off, on = (
        told(one, catalog, "place in the file")
        for one in (dataclasses.replace(task, match_place=False), task)
    )
    assert counts(off) and not counts(on), on.figures()


@pytest.mark.parametrize("keys", [[0], [0, 137]])
@pytest.mark.parametrize("name", TASKS)
def test_one_key_frame_cannot_be_matched_and_that_is_said(
    name: str, keys: list[int], rows: Callable[..., Catalog]
) -> None:
    """As x264 writes a clip when nothing is asked of it. Before, the probe saw nothing there."""
    task, catalog = TASKS[name], rows(lambda k: np.array(keys))
    assert counts(told(task, catalog))
    said = task.remark(catalog)
    assert said.startswith("key frames of 16 of 16 clips lie so that pictures cannot be shown")
    assert said.endswith("prepare with --gop 1")


def test_the_audit_says_that_the_guard_does_not_hold(rows: Callable[..., Catalog]) -> None:
    class Phases(ArrowOfTime):
        """Arrow of time, asked about its plans alone."""

        shortcuts = (ArrowOfTime.shortcuts[0],)

    catalog = rows(lambda k: np.array([0]))
    (found,) = audit(Phases(step_s=0.2), catalog, num_samples=600)
    assert found.shortcut.name == "GOP phase" and found.leaks and found.fails
    assert "the guard is on (--task.match-gop-phase is True)" in found.advice
    (held,) = audit(Phases(step_s=0.2), rows(uneven), num_samples=600)
    assert not held.leaks and not held.fails and held.tells(held.off)


def test_clips_whose_key_frames_allow_it_have_matched_runs_alone(make_row: MakeRow) -> None:
    """One clip of three cannot be matched: it is left out, and counted."""
    keys = ([0], uneven(1).tolist(), list(range(0, NUM_FRAMES, 8)))
    catalog = Catalog.from_rows(
        [
            make_row(number=k, num_frames=NUM_FRAMES, fps=25.0, key_frames=np.array(keys[k]))
            for k in range(3)
        ]
    )
    for task in (TASKS["arrow-of-time"], dataclasses.replace(TRIPLETS, reach=2.0)):
        assert set(task.items(catalog).tolist()) == {1, 2}
        assert task.remark(catalog).startswith("key frames of 1 of 3 clips")
        assert "are left out" in task.remark(catalog)
        unmatched = dataclasses.replace(task, match_gop_phase=False)
        assert unmatched.remark(catalog) == ""  # it was not asked for
        assert set(unmatched.items(catalog).tolist()) == {0, 1, 2}
