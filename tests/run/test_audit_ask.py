"""Which clips the audit asks about, and how: names of clips tell nothing, leaks of one do."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.cli import main
from avssl.errors import InputError
from avssl.pretext.frame_contrast import FrameContrast
from avssl.records import Example, Plan, Shortcut
from avssl.run import audit_samples
from avssl.run.audit import table
from avssl.run.audit_ask import audit
from avssl.run.audit_measure import Audited
from avssl.run.audit_network import Beside
from avssl.run.audit_probes import classes_of, judge
from avssl.run.audit_samples import draw

Make = Callable[..., ClipRow]
GIVEN: dict[str, Any] = {"leak": "It tells.", "guard": "None."}


def number_of_clip(plan: Plan) -> int:
    return int(plan.target["clip"])  # type: ignore[arg-type]


def name_of_clip(plan: Plan, example: Example) -> np.ndarray:
    """Eight numbers that say which clip it is and nothing else."""
    return np.random.default_rng(number_of_clip(plan)).normal(size=8)


def brightness(plan: Plan, example: Example) -> float:
    return float(example.arrays["frames"].mean())


def in_one_recording(plan: Plan, example: Example) -> np.ndarray:
    """Noise, but in recording 0 the answer."""
    target: Any = plan.target
    return np.array([target["label"] if number_of_clip(plan) == 0 else target["noise"]])


NAMES = Shortcut(name="name", kind="content", probe=name_of_clip, answer=brightness, **GIVEN)
ONE = Shortcut(name="one recording", kind="bookkeeping", probe=in_one_recording, **GIVEN)


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A picture is as bright as its clip, but for a little; the label is drawn anew."""

    name: ClassVar[str] = "pictures"
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (NAMES, ONE)

    def items(self, catalog: Catalog) -> np.ndarray:
        return np.arange(len(catalog))

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        clip = int(catalog.row(index).clip_id[-4:])
        return Plan(spans=(), target={"label": int(rng.integers(2)), "clip": clip,
                                      "noise": int(rng.integers(2))})  # fmt: skip

    def transform(self, clips: Any, plan: Plan, rng: np.random.Generator) -> Example:
        level = np.random.default_rng([9, number_of_clip(plan)]).uniform(50, 200)
        return Example(arrays={"frames": rng.normal(level, 10.0, size=(3, 4, 4)).clip(0, 255)})


def rows(make_row: Make, num: int, **changes: Any) -> Catalog:
    return Catalog.from_rows([make_row(number=k, **changes) for k in range(num)])


def test_what_only_names_a_clip_tells_nothing_of_its_answer(make_row: Make) -> None:
    catalog = rows(make_row, 24)
    (naive,) = draw(Pictures(), catalog, shortcuts=[NAMES], num_samples=900)
    same_clips = judge(classes_of(naive.answers), naive.numbers, num_fit=300)
    assert same_clips.best > 0.9  # what an audit of the same clips would have called a leak
    names, _ = audit(Pictures(), catalog, num_samples=600)
    assert not names.leaks and not names.fails and not names.anew
    assert names.on.num_groups == 12 and names.on.grouped > 3 * names.on.error
    assert names.margin > 0.15  # twelve clips say little, and the table says so
    assert "Fitted to clips of 12 groups, judged on those of 12 others." in table([names])
    (few, _) = audit(Pictures(), rows(make_row, 6), num_samples=600)
    assert few.on.best > 0.9 and not few.leaks and not few.fails
    assert few.verdict == (
        "**cannot be judged**: its answers belong to the clips, of 6 groups, where 8 are needed to "
        "judge on others"
    )
    assert "| the same | **cannot be judged**" in table([few])


def test_a_leak_of_one_recording_is_found_where_answers_are_drawn_anew(make_row: Make) -> None:
    """Whichever half it were dealt to, the other would know nothing of it."""
    names, one = audit(Pictures(), rows(make_row, 12), num_samples=3000)
    # the number is 1 in 13 of 24 samples of answer 1 and in 11 of 24 of answer 0
    assert one.anew and one.leaks and one.fails
    assert one.on.best == pytest.approx(0.5 + (13 - 11) / 24 / 2, abs=0.03)
    assert one.halves.why_same and not names.halves.why_same
    shown = table([names, one])
    assert "fitted to and judged on samples of the same clips, as answers are drawn" in shown


class NoFiles:
    """Stands where nothing may be decoded."""

    def __init__(self, directory: Any) -> None:
        raise AssertionError("a file was opened")


def planned_only(task: type[FrameContrast]) -> Any:
    """The task with those of its shortcuts that look at plans alone."""
    kind = dataclasses.make_dataclass("Planned", [], bases=(task,), frozen=True, kw_only=True)
    kept = tuple(one for one in task.shortcuts if one.name in ("format", "place in the file"))
    kind.shortcuts = kept  # type: ignore[attr-defined]
    return kind()


def test_contrast_is_asked_of_training_clips_as_of_held_out_ones(
    make_row: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_samples, "Fetcher", NoFiles)
    task, catalog = planned_only(FrameContrast), rows(make_row, 12)
    found = audit(task, catalog, num_samples=400)
    assert all(one.held_out and not one.fails for one in found)
    assert all(min(np.bincount(one.on.label)) > 150 for one in found)
    assert "asked as held-out ones are" in table(found)
    held = audit(task, rows(make_row, 12, split="validation"), num_samples=400)
    assert not any(one.held_out for one in held) and "asked as" not in table(held)
    assert [one.on.best for one in held] == [one.on.best for one in found]
    formats = Catalog.from_rows([make_row(number=k, height_px=96 + 2 * (k % 4)) for k in range(32)])
    careless = audit(dataclasses.replace(task, match_format=False), formats, num_samples=400)
    assert careless[0].leaks and careless[0].fails  # half of other clips have another format


def test_answers_that_are_all_alike_fail_before_anything_is_decoded(make_row: Make) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Alike(Pictures):
        shortcuts: ClassVar[tuple[Shortcut, ...]] = (NAMES, ONE)

        def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
            plan = super().sample(catalog, index, rng)
            return Plan(spans=(), target={**plan.target, "label": 3})

        def transform(self, clips: Any, plan: Plan, rng: np.random.Generator) -> Example:
            raise AssertionError("a sample was made")

    with pytest.raises(InputError, match="one recording: the answer of all of 200 plans is 3"):
        audit(Alike(), rows(make_row, 12), num_samples=200)


def test_a_network_fails_only_where_the_probe_tells_something(make_row: Make) -> None:
    names, one = audit(Pictures(), rows(make_row, 12), num_samples=3000)
    as_good = Beside(network_auc=one.on.best, low=-0.01, high=0.01)
    better, worse = Beside(network_auc=0.8, low=0.1, high=0.3), Beside(
        network_auc=0.4, low=-0.2, high=-0.1
    )  # fmt: skip
    content = dataclasses.replace(one, shortcut=dataclasses.replace(ONE, kind="content"))

    def fails(audited: Audited, network: Beside) -> bool:
        return dataclasses.replace(audited, network=network).fails

    assert [fails(content, beside) for beside in (better, as_good, worse)] == [False, True, True]
    assert [fails(names, beside) for beside in (better, as_good)] == [False, False]
    unknown = Beside(network_auc=None, why_not="no answer in classes to compare")
    assert not fails(content, unknown)


def probe_contrast(plan: Plan, example: Example) -> np.ndarray:
    return example.arrays["frames"].astype(float).mean(axis=(0, 1)).reshape(2, -1).mean(axis=1)


def test_the_task_is_asked_as_the_data_set_completes_it(
    toy: Any, toy_data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a run does before it begins; and the words say what a report needs."""
    seen = []

    def complete(task: Any, catalog: Catalog) -> Any:
        seen.append(len(catalog))
        return dataclasses.replace(task, contrast=200.0)

    probe = Shortcut(name="halves", kind="content", probe=probe_contrast, **GIVEN)
    monkeypatch.setattr(toy.Toy, "completed", complete, raising=False)
    monkeypatch.setattr(toy.Toy, "shortcuts", (probe,))
    out = tmp_path / "audit.json"
    words = ["audit", "toy", "--data", toy_data, "--samples", "100", "-o", str(out), "--quiet"]
    assert main([*words, "--no-media", "--task.contrast", "0.1"]) == 0
    assert seen[0] == 18  # the whole data set, as in training
    (row,) = json.loads(out.read_text())["rows"]
    assert row["on"]["linear_auc"] == 1.0  # with 0.1 levels it would be a guess
    said = out.with_suffix(".md").read_text()
    assert "100 samples are below the 4000 that a figure to be reported needs" in said
