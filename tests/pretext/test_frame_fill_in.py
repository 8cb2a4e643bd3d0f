"""Frame fill-in: plans over thousands, candidates that say nothing alone, both ways to answer."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.pretext.frame_fill_in import FrameFillIn
from avssl.records import Example, Plan

Shown = Callable[[Catalog, Plan], np.ndarray]
MakePlans = Callable[..., list[Plan]]
TASK = FrameFillIn(step_s=0.17)  # 5 frames of 30 a second, or 8 in whole periods
NOTHING = Example(arrays={})


@pytest.mark.parametrize("num", [2, 3])
def test_one_candidate_alone_lies_between_the_ends_in_their_middle(
    rough_catalog: Catalog, shown_frames: Shown, make_plans: MakePlans, num: int
) -> None:
    task = dataclasses.replace(TASK, num_candidates=num)
    plans = make_plans(task, rough_catalog, 2000)
    places, turned = [], []
    for plan in plans:
        frames = shown_frames(rough_catalog, plan)
        ends, candidates = frames[:2], frames[2:]
        between = (candidates > ends.min()) & (candidates < ends.max())
        assert np.flatnonzero(between).tolist() == [plan.target["label"]]
        assert 2 * candidates[between][0] == ends.sum()
        assert len(set(frames)) == 2 + num
        places.append(int(np.argsort(np.argsort(candidates))[between][0]))
        turned.append(bool(ends[0] > ends[1]))
    counts = np.bincount([int(p.target["label"]) for p in plans])  # type: ignore[arg-type]
    assert stats.chisquare(counts).pvalue > 0.01
    assert stats.chisquare(np.bincount(places)).pvalue > 0.01  # first, middle or last in time
    assert stats.binomtest(sum(turned), len(turned)).pvalue > 0.01


@pytest.mark.parametrize(("name", "at_least"), [("candidates alone", 0.9), ("GOP phase", 0.5)])
def test_times_and_phases_tell_nothing_unless_let_in(
    catalog: Catalog,
    make_plans: MakePlans,
    told_by: Callable[..., float],
    name: str,
    at_least: float,
) -> None:
    shortcut = next(one for one in TASK.shortcuts if one.name == name)

    def told(task: FrameFillIn) -> float:
        plans = make_plans(task, catalog, 2000)
        labels = np.array([plan.target["label"] for plan in plans])
        return told_by(np.stack([shortcut.probe(plan, NOTHING) for plan in plans]), labels)

    assert told(TASK) == pytest.approx(1 / 3, abs=0.05)
    assert told(dataclasses.replace(TASK, **shortcut.off)) > at_least


def test_pixels_tell_the_middle_and_own_crops_make_that_harder(
    catalog: Catalog, fetch: Any, make_plans: MakePlans
) -> None:
    """A disc that moves on steadily: the middle differs least from both ends."""
    shortcut = next(one for one in TASK.shortcuts if one.name == "frame difference")

    def told(task: FrameFillIn) -> float:
        rng, right = np.random.default_rng(0), []
        for plan in make_plans(task, catalog, 80):
            example = task.transform(fetch(catalog, plan), plan, rng)
            right.append(shortcut.probe(plan, example).argmin() == plan.target["label"])
        return float(np.mean(right))

    shared, own = told(TASK), told(dataclasses.replace(TASK, crop_jitter=0.15))
    assert shared > 0.8
    assert own < shared - 0.1


class Fixed(torch.nn.Module):
    """An encoder whose vector is a picture's first pixels; it has one weight, a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Gives [n, 6]."""
        return self.factor * frames.float().flatten(start_dim=1)[:, :6]


def test_the_predicted_features_choose_by_cosine_and_targets_get_no_gradient() -> None:
    task = FrameFillIn(mode="predict", temperature=0.5)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, (4, 5, 3, 2, 2), generator=generator, dtype=torch.uint8)
    torch.manual_seed(0)
    head, encoder = task.head({"vision": 6}), Fixed()
    batch = {"frames": frames, "label": torch.zeros(4, dtype=torch.int64)}
    logits = task.predict({"vision": encoder}, head, batch)["logits"].detach()
    vectors = frames.double().flatten(start_dim=2)[:, :, :6]
    with torch.no_grad():
        expected = head(vectors[:, :2].float()).double().numpy()
    for b in range(4):
        own = vectors[b, 2:].numpy()
        centre = own.mean(axis=0)
        for k in range(3):
            one, two = expected[b] - centre, own[k] - centre
            cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
            assert float(logits[b, k]) == pytest.approx(cosine / 0.5, abs=1e-4)
    # Only the ends' vectors have a way back to the encoder: with a head that does not look at
    # them, the encoder learns nothing.
    for weight in head.parameters():
        weight.data.zero_()
    blind = task.predict({"vision": encoder}, lambda ends: 0 * ends[:, 0] + 1.0, batch)  # type: ignore
    (gradient,) = torch.autograd.grad(task.loss(blind, batch), encoder.factor)
    assert float(gradient) == 0


def test_trios_are_judged_with_their_own_candidate() -> None:
    task = FrameFillIn(num_candidates=4, embedding=4, hidden=8)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, (3, 6, 3, 2, 2), generator=generator, dtype=torch.uint8)
    torch.manual_seed(0)
    head, encoder = task.head({"vision": 6}), Fixed()
    with torch.no_grad():
        logits = task.predict({"vision": encoder}, head, {"frames": frames})["logits"]
        for b in range(3):
            vectors = encoder(frames[b])
            for k in range(4):
                trio = torch.stack([vectors[0], vectors[2 + k], vectors[1]])[None]
                assert torch.allclose(head(trio)[0, 0], logits[b, k], atol=1e-5)


def test_wrong_knobs_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"num_candidates": 1},
        {"mode": "draw"},
        {"temperature": 0.0},
        {"fusion": "sum"},
        {"clip_frames": 0},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            FrameFillIn(**wrong)


def test_drawn_shows_ends_and_candidates(
    catalog: Catalog, fetch: Any, make_plans: MakePlans
) -> None:
    plan = make_plans(TASK, catalog, 1)[0]
    arrays = TASK.transform(fetch(catalog, plan), plan, np.random.default_rng(0)).arrays
    batch = {key: torch.from_numpy(value)[None] for key, value in arrays.items()}
    (sheet,) = TASK.drawn({"logits": torch.tensor([[0.0, 2.0, 1.0]])}, batch)
    assert sheet.dtype == np.uint8 and sheet.shape[0] > 2 * 96 and sheet.shape[2] == 3
    shown = arrays["frames"][2].transpose(1, 2, 0).repeat(2, axis=0).repeat(2, axis=1)
    height = 18 + (2 * 64 + 6) + 18  # title, ends, words: then the candidates
    assert np.array_equal(sheet[height + 3 : height + 131, 3:131], shown)
