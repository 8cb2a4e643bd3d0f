"""Colorization: only grey is seen, losses by hand, colours counted, and more than one answer."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from torch import nn

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_json, config_to_json
from avssl.data import make_example
from avssl.decode import fetch as fetch_module
from avssl.errors import InputError
from avssl.model import build_encoder, lab
from avssl.pretext.colorization import NUM_DRAWINGS, Colorization
from avssl.pretext.colorization_guards import block_colors, probe_bars, probe_blocks
from avssl.records import Clip, Example, FrameSpan, Plan
from avssl.sample import sample_rng
from avssl.task import Learner, describe, widths_of

NO_PLAN = Plan(spans=())


def pictures(num: int, *, size_px: int = 16, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, size=(num, 3, size_px, size_px), dtype=np.uint8))


def batch_of(frames: torch.Tensor, task: Colorization) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((len(frames), 1 + NUM_DRAWINGS, task.latent), dtype=np.float32)
    return {
        "frames": frames,
        "weight": torch.ones(len(frames)),
        "noise": torch.from_numpy(noise),
    }


def make_learner(task: Colorization) -> Learner:
    encoders = {"vision": build_encoder("small", seed=0)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Learner(task=task, encoders=encoders, widths=widths_of(encoders))


def scores_of(task: Colorization, out: Any, batch: Any) -> dict[str, float]:
    return task.scores({k: v.double().numpy() for k, v in task.metrics(out, batch).items()})


def some_prior(seed: int = 0) -> tuple[float, ...]:
    counts = np.random.default_rng(seed).random(lab.NUM_BINS) ** 6
    return tuple((counts / counts.sum()).tolist())


def truth_of(frames: torch.Tensor, *, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """L [B, S, S] and mean ab [B, 2, h, h] by scikit-image."""
    colors = np.stack([rgb2lab(one.permute(1, 2, 0).numpy()) for one in frames])
    num, side = len(colors), colors.shape[1] // stride
    squares = colors[..., 1:].reshape(num, side, stride, side, stride, 2).mean(axis=(2, 4))
    return colors[..., 0], squares.transpose(0, 3, 1, 2)


def test_the_encoder_sees_lightness_alone_and_the_mean_colour_is_asked_for() -> None:
    frames, task = pictures(3), Colorization(size_px=16, prior=some_prior())
    learner, seen = make_learner(task).eval(), []
    encoder: Any = learner.encoders["vision"]
    features = encoder.features
    encoder.features = lambda shown: seen.append(shown) or features(shown)
    with torch.no_grad():
        out = learner.outputs(batch_of(frames, task))
    light, ab = truth_of(frames, stride=4)
    assert np.abs(seen[0].numpy() - light[:, None] / 100).max() < 1e-4
    assert np.abs(out["ab"].numpy() - ab).max() < 1e-3
    assert out["logits"].shape == (3, 313, 4, 4)


def by_hand(task: Colorization, ab: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Weighted divergence of every picture, [B]: loops, all 313 bins, no shortcuts."""
    bins = lab.ab_bins()
    weights = lab.rebalancing_weights(np.array(task.prior))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = np.zeros(ab[:, 0].shape)
    for place in np.ndindex(*found.shape):
        squared = np.square(bins - ab[place[0], :, place[1], place[2]]).sum(axis=1)
        near = np.argsort(squared)[:5]
        target = np.zeros(len(bins))
        target[near] = np.exp(-squared[near] / 50) / np.exp(-squared[near] / 50).sum()
        cross = -(target * logs[place[0], :, place[1], place[2]]).sum()
        entropy = -(target[near] * np.log(target[near])).sum()
        found[place] = weights[near[0]] * (cross - entropy)
    return found.mean(axis=(1, 2))


def test_the_loss_by_hand() -> None:
    frames, task = pictures(3), Colorization(size_px=16, prior=some_prior())
    learner, batch = make_learner(task).eval(), batch_of(frames, task)
    batch["weight"] = torch.tensor([1.0, 0.0, 1.0])  # the second is grey, say
    with torch.no_grad():
        out = learner.outputs(batch)
    each = by_hand(task, truth_of(frames, stride=4)[1], out["logits"].double().numpy())
    assert float(task.loss(out, batch)) == pytest.approx((each[0] + each[2]) / 3, rel=2e-3)


def test_scores_of_the_truth_and_of_blind_answers() -> None:
    frames, task = pictures(6), Colorization(size_px=16, prior=some_prior())
    batch = batch_of(frames, task)
    with torch.no_grad():
        out = dict(make_learner(task).eval().outputs(batch))
    blind, _ = task.blind()
    out["logits"] = torch.log(torch.from_numpy(blind)).float()[None, :, None, None]
    out["logits"] = out["logits"].expand(6, -1, 4, 4)
    assert scores_of(task, out, batch)["explained"] == pytest.approx(0, abs=1e-4)
    # The target itself as the answer: nothing of the divergence is left.
    exact = torch.full((6, 4, 4, 313), -40.0).scatter(3, out["bins"], out["shares"].log())
    out["logits"] = exact.movedim(-1, 1)
    found = scores_of(task, out, batch)
    assert found["explained"] == pytest.approx(1, abs=1e-3) and found["color_explained"] > 0.9
    assert set(task.trivial(Catalog.from_rows([]))) == set(found)
    # Grey pictures count for nothing.
    assert scores_of(task, out, {**batch, "weight": torch.zeros(6)}) == {}


def test_no_blind_answer_is_better_than_the_one_compared_with() -> None:
    task, rng = Colorization(prior=some_prior()), np.random.default_rng(0)
    colors = lab.ab_bins()[rng.choice(313, size=20_000, p=np.array(task.prior))]
    ab = torch.from_numpy(colors + rng.uniform(-5, 5, size=colors.shape))
    bins, shares = lab.soft_bins(ab)
    weighted = shares.numpy() * task.bin_weights()[bins[:, 0].numpy()][:, None]
    best = np.bincount(bins.numpy().ravel(), weighted.ravel(), minlength=313) + 1e-9
    costs = [
        -(weighted * np.log(answer / answer.sum())[bins.numpy()]).sum()
        for answer in (best, task.blind()[0], np.array(task.prior) + 1e-6)
    ]
    assert costs[0] <= costs[1] < 1.01 * costs[0] < costs[2]


@pytest.fixture
def decoded(fetch: Callable, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Lets `completed` decode drawn clips; put True in the list to make them grey."""
    grey: list[bool] = []

    class Drawn:
        def __init__(self, directory: str) -> None:
            pass

        def frames(self, row: Any, times_s: Any) -> Clip:
            rows = Catalog.from_rows([row])
            plan = Plan(spans=(FrameSpan(row=0, times_s=tuple(times_s)),))
            clip = fetch(rows, plan)[0]
            number = int(row.clip_id[-4:])
            frames = (clip.frames.astype(int) + 20 * number).clip(0, 255).astype(np.uint8)
            frames = frames[:, :1].repeat(3, axis=1) if grey else frames
            return Clip(frames=frames, times_s=clip.times_s)

        def close(self) -> None:
            pass

    monkeypatch.setattr(fetch_module, "Fetcher", Drawn)
    return grey


def test_the_data_sets_own_colours_are_counted(catalog: Catalog, decoded: list[bool]) -> None:
    task = Colorization(num_prior_frames=8, crop_scale=(1.0, 1.0), brightness=0.0, contrast=0.0)
    found = task.completed(catalog)
    assert len(found.prior) == 313 and sum(found.prior) == pytest.approx(1, abs=1e-5)
    assert found == task.completed(catalog) and hash(found) == hash(task.completed(catalog))
    assert found.completed(catalog) is found
    # Counted again, picture by picture, with scikit-image and every distance.
    items, counts = task.items(catalog), np.zeros(313)
    fetcher = fetch_module.Fetcher("")
    for number in range(8):
        index, rng = int(items[number * len(items) // 8]), sample_rng(313, 0, number)
        _, example = make_example(task, catalog, lambda: fetcher, index=index, rng=rng)
        _, ab = truth_of(torch.from_numpy(example.arrays["frames"][None]), stride=4)
        distance = np.square(ab[0].reshape(2, -1).T[:, None] - lab.ab_bins()).sum(axis=2)
        counts += np.bincount(distance.argmin(axis=1), minlength=313)
    assert np.abs(counts / counts.sum() - found.prior).max() < 1e-3
    # It travels in the run's configuration, and one line about the run stays one line.
    config = TrainConfig(task=found, data="d", out="o")
    assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config
    assert len(describe(found)) < 200
    decoded.append(True)
    with pytest.raises(InputError, match="all grey"):
        task.completed(catalog)


def test_grey_pictures_weigh_nothing(catalog: Catalog, fetch: Callable) -> None:
    task = Colorization()
    plan = task.sample(catalog, 0, np.random.default_rng(0))
    clip = fetch(catalog, plan)[0]
    grey = Clip(frames=clip.frames[:, :1].repeat(3, axis=1), times_s=clip.times_s)
    for found, weight in ((clip, 1), (grey, 0)):
        assert task.transform([found], plan, np.random.default_rng(0)).arrays["weight"] == weight
    let_in = dataclasses.replace(task, least_color_levels=0.0)
    assert let_in.transform([grey], plan, np.random.default_rng(0)).arrays["weight"] == 1


def test_probes_show_what_they_are_for() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, size=(3, 8, 8)).repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.integers(0, 256, size=(3, 64, 64))
    examples = [Example(arrays={"frames": one.astype(np.uint8)}) for one in (blocks, noise)]
    assert probe_blocks(NO_PLAN, examples[0])[-1] > 5 > 1.5 > probe_blocks(NO_PLAN, examples[1])[-1]
    assert block_colors(NO_PLAN, examples[0]) > 5 > block_colors(NO_PLAN, examples[1])
    noise[:, :, :9] = 0  # a bar
    found = probe_bars(NO_PLAN, Example(arrays={"frames": noise.astype(np.uint8)}))
    assert found.tolist() == [9 / 64, 0, 0, 0]


def balls(num: int, rng: np.random.Generator) -> torch.Tensor:
    """Grey pictures with one square each, red or blue at p = ½, lightness the same."""
    colors = np.zeros((num, 32, 32, 3))
    colors[..., 0] = 40
    for one in colors:
        top, left = rng.integers(4, 13, size=2)
        color = (60, 45, 30) if rng.random() < 0.5 else (60, 0, -45)
        one[top : top + 16, left : left + 16] = color
    shown = np.stack([lab2rgb(one) for one in colors])
    return torch.from_numpy((255 * shown).round().astype(np.uint8)).permute(0, 3, 1, 2)


class Plain(nn.Module):
    """An encoder of two convolutions: what is asked is the head's business."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.layers = 16, {"only": (16, 4)}
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 4, stride=4), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
        )

    def features(self, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"only": self.net(4 * (frames - 0.5))}


def train(task: Colorization, *, steps: int) -> tuple[Learner, dict[str, torch.Tensor]]:
    rng = np.random.default_rng(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoders = {"vision": Plain()}
        learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    shown = balls(256, rng)
    optimiser = torch.optim.Adam(learner.parameters(), lr=5e-3)
    for _ in range(steps):
        batch = batch_of(shown[rng.permutation(256)[:16]], task)
        shape = batch["noise"].shape
        batch["noise"] = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        optimiser.zero_grad()
        learner(batch).loss.backward()
        optimiser.step()
    return learner.eval(), batch_of(balls(24, rng), task)


def square_of(out: Any) -> np.ndarray:
    """Places inside the squares, bool [B, h, h]."""
    return np.abs(out["ab"].numpy()).sum(axis=1) > 40


def test_a_latent_code_gives_several_colourings_where_the_mean_gives_one() -> None:
    knobs: dict[str, Any] = {"size_px": 32, "head_width": 16, "latent": 4}
    task = Colorization(mode="latent", **knobs)
    learner, batch = train(task, steps=250)
    with torch.no_grad():
        out = learner.outputs(batch)
    sampled, places = out["sampled"][:, :, 1].numpy(), square_of(out)
    inside = np.stack(
        [one[:, place].mean(axis=1) for one, place in zip(sampled, places, strict=True)]
    )
    red, blue = inside > 5, inside < -20  # b of red is 30, of blue −45
    assert red.mean() > 0.15 and blue.mean() > 0.15, inside
    assert (red.any(axis=1) & blue.any(axis=1)).mean() > 0.3, inside  # of one and the same picture
    found = scores_of(task, out, batch)
    assert found["diversity"] > 0.3 and found["explained"] > 0.5, found

    learner, batch = train(Colorization(**knobs), steps=150)
    with torch.no_grad():
        out = learner.outputs(batch)
    mean = lab.annealed_mean(out["logits"], temperature=1.0)[:, 1].numpy()
    answers = np.array([one[place].mean() for one, place in zip(mean, square_of(out), strict=True)])
    assert np.abs(answers - -7.5).max() < 18, answers  # between the two, for every picture


@pytest.mark.parametrize("mode", ["classes", "latent"])
def test_what_is_drawn_ends_with_the_truth(mode: Any) -> None:
    frames, task = pictures(2, size_px=32), Colorization(size_px=32, mode=mode)
    learner, batch = make_learner(task).eval(), batch_of(frames, task)
    with torch.no_grad():
        drawn = task.drawn(learner.outputs(batch), batch)
    num_tiles = 3 if mode == "classes" else 5
    assert drawn[0].shape == (128, num_tiles * 128, 3) and drawn[0].dtype == np.uint8
    assert np.array_equal(drawn[1][::4, -128::4], frames[1].permute(1, 2, 0).numpy())
    grey = drawn[0][:, :128].astype(int)
    assert np.abs(grey - grey.mean(axis=2, keepdims=True)).max() <= 1


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"size_px": 66}, "size_px 66"),
        ({"rebalancing": 0.0}, "rebalancing"),
        ({"prior": (1.0, 2.0)}, "313 shares"),
        ({"mode": "both"}, "mode 'both'"),
        ({"temperature": 0.0}, "temperature 0.0"),
    ],
)
def test_wrong_knobs_are_refused(knobs: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Colorization(**knobs)
