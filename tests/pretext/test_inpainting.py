"""Inpainting: what is hidden is not seen, losses by hand, fillings that are known, the judge."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.inpainting import Inpainting
from avssl.pretext.inpainting_guards import hole_brightness, probe_bars, probe_place, probe_rim
from avssl.records import Clip, Example, Plan
from avssl.task import Learner, widths_of

NO_PLAN = Plan(spans=())
MEAN, DEVIATION = 0.45, 0.25


def make_batch(task: Inpainting, frames: np.ndarray, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Holes as the task draws them, in given pictures."""
    plain = dataclasses.replace(
        task, crop_scale=(1.0, 1.0), flip=False, brightness=0.0, contrast=0.0, saturation=0.0
    )
    plan = Plan(spans=(), target={"borders_px": (0, 0, 0, 0)})
    examples = []
    for number, one in enumerate(frames):
        clip = Clip(frames=one[None], times_s=np.zeros(1))
        examples.append(plain.transform([clip], plan, np.random.default_rng((seed, number))).arrays)
    assert np.array_equal(examples[0]["frames"], frames[0])
    return {key: torch.from_numpy(np.stack([one[key] for one in examples])) for key in examples[0]}


def noise(num: int, *, size_px: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(num, 3, size_px, size_px), dtype=np.uint8)


def ramps(num: int, *, size_px: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size_px, :size_px] / size_px
    slopes = rng.uniform(-80, 80, size=(2, num, 3, 1, 1))
    return (128 + slopes[0] * (x - 0.5) + slopes[1] * (y - 0.5)).round().astype(np.uint8)


def make_learner(task: Inpainting) -> Learner:
    encoders = {"vision": build_encoder("small", seed=0)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Learner(task=task, encoders=encoders, widths=widths_of(encoders))


def scores_of(task: Inpainting, out: Any, batch: Any) -> dict[str, float]:
    return task.scores({k: v.double().numpy() for k, v in task.metrics(out, batch).items()})


def test_the_middle_is_laid_out_as_in_the_paper() -> None:
    # papers.md §5.1: 128 in, the middle 64 drawn, 4 px of border seen.
    task = Inpainting(size_px=128, mask="centre", overlap_px=4, answer_stride=1)
    batch = make_batch(task, noise(1, size_px=128))
    hidden, asked = batch["hidden"][0, 0].numpy(), batch["asked"][0, 0].numpy()
    assert hidden.sum() == 56**2 and hidden[36:92, 36:92].all()
    assert np.array_equal(asked == 1, hidden == 1)
    assert (asked > 0).sum() == 64**2 and (asked[32:96, 32:96] > 0).all()
    assert task.answer(batch).shape == (1, 3, 64, 64)


def test_regions_bands_and_margins() -> None:
    frames = noise(3, size_px=64)
    plain = make_batch(Inpainting(), frames)
    assert (plain["hidden"].sum(dim=(1, 2, 3)) == 64**2 // 4).all()
    assert torch.equal(plain["asked"], plain["hidden"])
    band = make_batch(Inpainting(overlap_px=2), frames)
    assert torch.equal(band["hidden"], plain["hidden"])
    assert torch.equal(band["asked"] == 1, plain["hidden"] == 1) and (band["asked"] == 2).any()
    margin = make_batch(Inpainting(margin_px=2), frames)
    assert torch.equal(margin["asked"], plain["hidden"])
    # The strip that is hidden beside the hole is where the band would be seen.
    assert torch.equal(margin["hidden"] > 0, band["asked"] > 0)


@pytest.mark.parametrize("mask", ["centre", "random-region"])
def test_nothing_of_what_is_hidden_is_seen(mask: Any) -> None:
    task = Inpainting(mask=mask, margin_px=2)
    batch = make_batch(task, noise(2, size_px=64))
    other = dict(batch)
    hidden = batch["hidden"].expand_as(batch["frames"]) > 0
    other["frames"] = torch.where(hidden, 255 - batch["frames"], batch["frames"])
    learner = make_learner(task).eval()
    with torch.no_grad():
        one, two = learner.outputs(batch), learner.outputs(other)
    for name in ("shown", "drawn", "mean", "interpolated"):
        assert torch.equal(one[name], two[name]), name
    encoder: Any = learner.encoders["vision"]
    normalised = encoder.normalise(one["shown"])
    assert normalised[hidden].abs().max() < 1e-6  # the mean colour is nothing to the encoder


def test_the_loss_by_hand() -> None:
    task = Inpainting(size_px=32, mask="centre", overlap_px=2, answer_stride=2)
    batch = make_batch(task, noise(2, size_px=32))
    out = {"drawn": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))}
    frames = batch["frames"].double().numpy() / 255
    total = np.zeros(2)
    for b in range(2):
        error = weight = 0.0
        for i in range(8):
            for j in range(8):
                rows, columns = slice(8 + 2 * i, 10 + 2 * i), slice(8 + 2 * j, 10 + 2 * j)
                true = (frames[b, :, rows, columns].mean(axis=(1, 2)) - MEAN) / DEVIATION
                asked = batch["asked"][b, 0, rows, columns].numpy()
                own = (asked == 1).mean() + 10 * (asked == 2).mean()
                error += own * np.square(out["drawn"][b, :, i, j].numpy() - true).mean()
                weight += own
        total[b] = error / weight
    assert float(task.loss(out, batch)) == pytest.approx(total.mean(), rel=1e-4)


def test_scores_of_known_fillings() -> None:
    task = Inpainting()
    batch = make_batch(task, ramps(4, size_px=64))
    with torch.no_grad():
        out = dict(make_learner(task).eval().outputs(batch))
    # A ramp is harmonic: a smooth filling finds all of it. (Rounded levels, and cells of which a
    # part is seen, leave a little.)
    assert scores_of(task, out, batch)["interpolation_explained"] > 0.97
    out["drawn"] = task.answer(batch)
    assert scores_of(task, out, batch)["explained"] == pytest.approx(1)
    out["drawn"] = out["mean"].expand_as(out["drawn"])
    found = scores_of(task, out, batch)
    assert found["explained"] == pytest.approx(0, abs=1e-6)
    assert set(found) == set(task.trivial(Catalog.from_rows([])))
    # The mean colour by hand: seen, and within 8 px of what is hidden.
    hidden = batch["hidden"][0, 0].numpy()
    rows, columns = np.nonzero(hidden)
    y, x = np.mgrid[:64, :64]
    away = np.maximum(np.abs(y[..., None] - rows), np.abs(x[..., None] - columns)).min(axis=2)
    near = batch["frames"][0].numpy()[:, (away > 0) & (away <= 8)].mean(axis=1) / 255
    assert np.allclose(out["mean"][0, :, 0, 0].numpy(), (near - MEAN) / DEVIATION, atol=1e-4)


def test_the_judge_is_trained_beside_and_its_gradient_is_reversed() -> None:
    weight = 0.125
    task = Inpainting(size_px=32, adversarial=weight)
    batch = make_batch(task, noise(3, size_px=32))
    learner = make_learner(task).train()
    out = learner.outputs(batch)
    out["drawn"].retain_grad()
    task.loss(out, batch).backward()
    drawn = out["drawn"].detach().requires_grad_()
    judge: Any = learner.head.judge
    judged_own = [one.grad.clone() for one in judge.parameters()]

    plain = dataclasses.replace(task, adversarial=0.0)
    (squared,) = torch.autograd.grad(plain.loss({"drawn": drawn}, batch), drawn)
    fooled = torch.nn.functional.softplus(judge(drawn)).mean()
    (told,) = torch.autograd.grad(fooled, drawn)
    expected = (1 - weight) * squared - weight * told
    assert torch.allclose(out["drawn"].grad, expected, atol=1e-7)  # type: ignore[arg-type]
    # The judge itself learns at full weight, as if the drawing were any picture.
    both = torch.nn.functional.softplus(-judge(task.answer(batch))).mean()
    both = both + torch.nn.functional.softplus(judge(drawn.detach())).mean()
    alone = torch.autograd.grad(both, list(judge.parameters()))
    for one, other in zip(judged_own, alone, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert make_learner(plain).head.judge is None


def test_holes_do_not_depend_on_the_picture(catalog: Catalog, fetch: Callable) -> None:
    task, holes = Inpainting(), []
    for index in (0, 1):
        plan = task.sample(catalog, index, np.random.default_rng(4))
        example = task.transform(fetch(catalog, plan), plan, np.random.default_rng(5))
        holes.append(example.arrays["hidden"])
    assert np.array_equal(*holes)


def test_probes_show_what_they_are_for() -> None:
    task = Inpainting()
    batch = make_batch(task, ramps(40, size_px=64) // 2 + noise(40, size_px=64) // 16)
    examples = [
        Example(arrays={key: value[k].numpy() for key, value in batch.items()}) for k in range(40)
    ]
    rim = np.stack([probe_rim(NO_PLAN, one) for one in examples])
    bright = [hole_brightness(NO_PLAN, one) for one in examples]
    assert np.corrcoef(rim[:, 0], bright)[0, 1] > 0.5
    place = np.stack([probe_place(NO_PLAN, one) for one in examples])
    assert place[:, 0].std() > 0.02 and np.allclose(place[:, 4] * 64, 0.25)
    frames = noise(1, size_px=64)
    frames[:, :, :, :9] = 0  # a bar
    barred = make_batch(task, frames)
    found = probe_bars(NO_PLAN, Example(arrays={k: v[0].numpy() for k, v in barred.items()}))
    assert found.tolist() == [9 / 64, 0, 0, 0]


@pytest.mark.parametrize("mask", ["centre", "random-region"])
def test_what_is_drawn_ends_with_the_truth(mask: Any) -> None:
    task = Inpainting(mask=mask)
    batch = make_batch(task, noise(2, size_px=64))
    with torch.no_grad():
        drawn = task.drawn(make_learner(task).eval().outputs(batch), batch)
    assert drawn[0].shape == (128, 4 * 128, 3) and drawn[0].dtype == np.uint8
    truth = batch["frames"][1].permute(1, 2, 0).numpy()
    assert np.array_equal(drawn[1][::2, -128::2], truth)
    seen = batch["hidden"][1, 0].numpy() == 0
    for tile in range(3):
        shown = drawn[1][::2, 128 * tile : 128 * (tile + 1) : 2]
        assert np.array_equal(shown[seen], truth[seen]) and not np.array_equal(shown, truth)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"mask": "corner"}, "mask 'corner'"),
        ({"bottleneck": "wide"}, "bottleneck 'wide'"),
        ({"overlap_px": 2, "margin_px": 1}, "only one of them"),
        ({"adversarial": 1.0}, "adversarial"),
        ({"size_px": 66}, "size_px 66"),
        ({"overlap_px": 16}, "overlap_px 16"),
    ],
)
def test_wrong_knobs_are_refused(knobs: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Inpainting(**knobs)
