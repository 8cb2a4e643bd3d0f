"""Arrow of time: its plans over thousands, what its guards keep back, and a world it can tell."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.arrow_of_time import ArrowOfTime
from avssl.records import Clip, Example, Plan
from avssl.sample.clock import picture_numbers, shot_numbers
from avssl.task import Learner, widths_of

Shown = Callable[[Catalog, Plan], np.ndarray]
MakePlans = Callable[..., list[Plan]]
TASK = ArrowOfTime(step_s=0.2)
NOTHING = Example(arrays={})


def labels_of(plans: list[Plan]) -> np.ndarray:
    return np.array([plan.target["label"] for plan in plans])


def test_the_label_is_the_direction(
    rough_catalog: Catalog, shown_frames: Shown, make_plans: MakePlans
) -> None:
    plans = make_plans(TASK, rough_catalog, 2000)
    for plan in plans:
        frames = shown_frames(rough_catalog, plan)
        steps = np.diff(frames)
        assert (steps > 0).all() if plan.target["label"] else (steps < 0).all()
        assert len(set(steps)) == 1  # a pace that changed would tell, too
        row = rough_catalog.row(plan.spans[0].row)
        assert len(set(shot_numbers(row)[frames])) == 1
        assert len(set(picture_numbers(row)[frames])) == 4
        assert len(set((frames - row.key_frames[0]) % np.diff(row.key_frames)[0])) == 1
    assert stats.binomtest(int(labels_of(plans).sum()), len(plans)).pvalue > 0.01


def test_the_place_in_the_file_tells_nothing_unless_let_in(
    make_row: Callable[..., ClipRow], make_plans: MakePlans
) -> None:
    catalog = Catalog.from_rows([make_row(num_frames=240, motion=np.ones(32))])
    place = next(one for one in TASK.shortcuts if one.name == "place in the file")

    def p_value(task: ArrowOfTime) -> float:
        plans = make_plans(task, catalog, 3000)
        times_s = np.array([place.probe(plan, NOTHING)[0] for plan in plans])
        label = labels_of(plans)
        return float(stats.ks_2samp(times_s[label == 0], times_s[label == 1]).pvalue)  # type: ignore

    assert p_value(TASK) > 0.01
    assert p_value(dataclasses.replace(TASK, **place.off)) < 1e-6


def test_the_gop_phase_tells_the_direction_unless_matched(
    catalog: Catalog, make_plans: MakePlans, told_by: Callable[..., float]
) -> None:
    phase = next(one for one in TASK.shortcuts if one.name == "GOP phase")

    def told(task: ArrowOfTime) -> float:
        plans = make_plans(task, catalog, 1600)
        numbers = np.stack([phase.probe(plan, NOTHING) for plan in plans])
        return told_by(numbers, labels_of(plans))

    assert told(TASK) == pytest.approx(0.5, abs=0.05)
    assert told(dataclasses.replace(TASK, **phase.off)) > 0.9


def _falling(catalog: Catalog, plan: Plan) -> list[Clip]:
    """A world with an arrow: a light disc that only ever sinks, then begins again at the top."""
    times_s = np.array(plan.spans[0].times_s)  # type: ignore[union-attr]
    y, x = np.mgrid[:32, :32]
    frames = []
    for time_s in times_s:
        at_y = 32 * (time_s / 3.0 % 1.0)
        disc = (x - 16) ** 2 + (y - at_y) ** 2 < 7**2
        frames.append(np.where(disc[None], 230, 40).repeat(3, axis=0))
    return [Clip(frames=np.stack(frames).astype(np.uint8), times_s=times_s)]


def test_sharpness_that_falls_within_a_group_of_pictures_is_found_by_its_probe(
    catalog: Catalog, make_plans: MakePlans, fetch: Any, told_by: Callable[..., float]
) -> None:
    """The leak planted: frames are blurred more and more from key frame to key frame."""
    import cv2

    def blurred(plan: Plan) -> list[Clip]:
        (clip,) = fetch(catalog, plan)
        phases = plan.target["gop_phases"]
        frames = [
            cv2.GaussianBlur(frame.transpose(1, 2, 0), (0, 0), 0.3 + 1.5 * float(phase))
            for frame, phase in zip(clip.frames, phases, strict=True)  # type: ignore[arg-type]
        ]
        return [Clip(frames=np.stack(frames).transpose(0, 3, 1, 2), times_s=clip.times_s)]

    ramp = next(one for one in TASK.shortcuts if one.name == "sharpness ramp")

    def told(task: ArrowOfTime) -> float:
        rng = np.random.default_rng(1)
        plans = make_plans(task, catalog, 120)
        numbers = [ramp.probe(plan, task.transform(blurred(plan), plan, rng)) for plan in plans]
        return told_by(np.stack(numbers), labels_of(plans))

    assert told(TASK) < 0.7
    # 0.2 s of 30 frames are 6: phases 0, ¾, ½, ¼ and so on round.
    assert told(dataclasses.replace(TASK, **ramp.off)) > 0.8


@pytest.mark.parametrize("fusion", ["ordered", "places"])
def test_a_world_with_an_arrow_is_learned(
    catalog: Catalog, make_plans: MakePlans, fusion: str
) -> None:
    task = dataclasses.replace(
        TASK, size_px=32, crop_scale=(1.0, 1.0), num_frames=3, fusion=fusion, layer="res3"
    )
    encoders = {"vision": build_encoder("small-bn", seed=0)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
        optimiser = torch.optim.AdamW(learner.parameters(), lr=2e-3)
        rng = np.random.default_rng(0)

        def batch(seed: int) -> dict[str, torch.Tensor]:
            plans = make_plans(task, catalog, 32, seed)
            found = [task.transform(_falling(catalog, p), p, rng).arrays for p in plans]
            return {
                key: torch.from_numpy(np.stack([one[key] for one in found])) for key in found[0]
            }

        for seed in range(25):
            optimiser.zero_grad()
            learner(batch(seed)).loss.backward()
            optimiser.step()
        learner.eval()
        with torch.no_grad():
            last = batch(1000)
            out = learner.outputs(last)
    columns = {key: value.double().numpy() for key, value in task.metrics(out, last).items()}
    assert task.scores(columns)["auc"] > 0.9
    sheets = task.drawn(out, last)
    assert len(sheets) == 32 and all(s.dtype == np.uint8 and s.shape[0] >= 96 for s in sheets)


def test_pictures_can_be_one_clip(catalog: Catalog, fetch: Any, make_plans: MakePlans) -> None:
    apart = TASK
    joined = dataclasses.replace(TASK, as_clip=True)
    (one,), (two,) = make_plans(apart, catalog, 1), make_plans(joined, catalog, 1)
    shown, clip = (
        task.transform(fetch(catalog, plan), plan, np.random.default_rng(0)).arrays["frames"]
        for task, plan in ((apart, one), (joined, two))
    )
    assert shown.shape == (4, 3, 64, 64) and clip.shape == (3, 4, 64, 64)
    assert np.array_equal(clip.swapaxes(0, 1), shown)
    ramp = next(s for s in TASK.shortcuts if s.name == "sharpness ramp")
    examples = (Example(arrays={"frames": shown}), Example(arrays={"frames": clip}))
    assert ramp.probe(one, examples[0]) == pytest.approx(ramp.probe(two, examples[1]))


def test_knobs_that_make_no_sense_are_refused(make_row: Callable[..., ClipRow]) -> None:
    wrongs: list[dict[str, Any]] = [
        {"num_frames": 1},
        {"step_s": 0.0},
        {"fusion": "sum"},
        {"fusion": "places", "as_clip": True},
        {"crop_scale": (0.9, 0.5)},
        {"motion_power": -1.0},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            ArrowOfTime(**wrong)
    with pytest.raises(InputError, match=r"none of 1 clips has a shot of 6 s"):
        ArrowOfTime(step_s=2.0).items(Catalog.from_rows([make_row(num_frames=60)]))
