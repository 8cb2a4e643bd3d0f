"""Tracking by colorization: the mixture's likelihood by hand, blind guesses, a known answer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.tracking_by_colorization import TrackingByColorization
from avssl.pretext.tracking_by_colorization_guards import (
    middle_color,
    probe_change,
    probe_channels,
    probe_same_place,
    stays,
)
from avssl.task import Learner, widths_of

SMALL = TrackingByColorization(size_px=32, answer_px=4, num_colors=4, floor=1e-6)


class Given(nn.Module):
    """An encoder whose map is the picture itself, 8 px a place."""

    def features(self, frames: Tensor) -> Mapping[str, Tensor]:
        return {"res3": frames[:, :1, ::8, ::8].float()}


class AsIs(nn.Module):
    """A head whose vector of a place is (1, value)."""

    def forward(self, maps: Tensor) -> Tensor:
        values = maps[:, :, 0].flatten(2)
        return torch.stack([torch.ones_like(values), values], dim=-1)


def batch_of(shown: np.ndarray, colors: np.ndarray) -> dict[str, Tensor]:
    large = shown.repeat(8, axis=-1).repeat(8, axis=-2)[:, :, None]
    return {
        "shown": torch.from_numpy(large.astype(np.uint8)),
        "colors": torch.from_numpy(colors.astype(np.uint8)),
    }


@pytest.mark.parametrize("unit_length", [False, True])
def test_the_mixture_and_its_likelihood(unit_length: bool) -> None:
    """Place by place, in plain Python."""
    rng = np.random.default_rng(0)
    shown, colors = rng.integers(0, 3, (2, 4, 4, 4)), rng.integers(0, 3, (2, 4, 4, 4))
    task = replace(SMALL, unit_length=unit_length, temperature=0.5, floor=0.01)
    batch = batch_of(shown, colors)
    out = task.predict({"vision": Given()}, AsIs(), batch)
    costs, right = [], []
    for b in range(2):
        known = [(int(v), int(c)) for v, c in zip(shown[b, :3].flat, colors[b, :3].flat,
                                                  strict=True)]  # fmt: skip
        cost, hits = [], []
        for value, asked in zip(shown[b, 3].flat, colors[b, 3].flat, strict=True):
            weights = []
            for other, _ in known:
                alike = 1 + int(value) * other
                if unit_length:
                    alike /= math.hypot(1, value) * math.hypot(1, other)
                weights.append(math.exp(alike / 0.5))
            share = [
                sum(w for w, (_, c) in zip(weights, known, strict=True) if c == k) / sum(weights)
                for k in range(4)
            ]
            mixed = [0.99 * one + 0.01 / 4 for one in share]
            cost.append(-math.log(mixed[int(asked)]))
            hits.append(int(np.argmax(mixed)) == int(asked))
        costs.append(np.mean(cost))
        right.append(np.mean(hits))
    metrics = task.metrics(out, batch)
    assert metrics["nll"].tolist() == pytest.approx(costs, rel=1e-4)
    assert metrics["accuracy"].tolist() == pytest.approx(right)
    assert float(task.loss(out, batch)) == pytest.approx(float(np.mean(costs)), rel=1e-4)


def test_pointing_at_the_same_thing_is_right_where_copying_is_not() -> None:
    """A thing walks one place a frame; its own colour only a pointer knows."""
    shown = np.zeros((1, 4, 4, 4))
    for frame in range(4):
        shown[0, frame, :, frame] = 9
    colors = (shown > 0).astype(int)
    batch = batch_of(shown, colors)
    task = replace(SMALL, temperature=0.05)
    metrics = task.metrics(task.predict({"vision": Given()}, AsIs(), batch), batch)
    assert metrics["accuracy"].tolist() == [1.0]
    assert metrics["copied"].tolist() == [0.5]  # two columns of four have changed
    assert metrics["frequent"].tolist() == [0.75]
    scores = task.scores({key: value.double().numpy() for key, value in metrics.items()})
    assert scores["accuracy_gain"] == pytest.approx(0.25)
    # the best blind mix is the colours' shares alone: copying is right as often as wrong
    shares = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    mixes = [
        -np.mean([math.log(max(m * s + (1 - m) * p, 1e-12)) for s, p in
                  ((1, 0.75), (1, 0.75), (0, 0.75), (0, 0.25))])
        for m in (0.5, 0.8, 0.9)
    ]  # fmt: skip
    assert scores["nll_gain"] == pytest.approx(min(shares, *mixes), abs=1e-3)


def test_a_blind_guess_gains_nothing() -> None:
    rng = np.random.default_rng(2)
    colors = rng.integers(0, 4, (8, 4, 4, 4))
    batch = batch_of(np.zeros((8, 4, 4, 4)), colors)
    shares = np.stack([np.bincount(one[:3].ravel(), minlength=4) / 48 for one in colors])
    chances = torch.from_numpy(shares).float()[:, None].expand(8, 16, 4)
    metrics = SMALL.metrics({"chances": chances}, batch)
    scores = SMALL.scores({key: value.double().numpy() for key, value in metrics.items()})
    assert scores["accuracy_gain"] <= 0 and scores["nll_gain"] == pytest.approx(0, abs=1e-6)
    assert SMALL.trivial(Catalog.from_rows([])) == dict.fromkeys(scores, 0.0)


def test_colours_that_nobody_has_seen_ask_for_nothing() -> None:
    colors = np.zeros((1, 4, 4, 4))
    colors[0, 3, 0] = 3
    batch = batch_of(np.zeros((1, 4, 4, 4)), colors)
    out = SMALL.predict({"vision": Given()}, AsIs(), batch)
    assert float(SMALL.loss(out, batch)) == pytest.approx(0, abs=1e-4)
    assert SMALL.metrics(out, batch)["accuracy"].tolist() == [1.0]


def test_the_palette_is_filled_in_once(catalog: Catalog) -> None:
    own = tuple((float(k), -float(k)) for k in range(4))
    kept = replace(SMALL, palette=own)
    assert kept.completed(catalog) is kept and kept.colors() == own
    assert SMALL.completed(Catalog.from_rows([])).palette == SMALL.colors()


def test_shortcuts_tell_the_colour_only_where_they_are_let_in(
    catalog: Catalog, fetch: Callable
) -> None:
    """Of still frames, the place before is the answer; of grey ones, channels are all alike."""
    still = replace(SMALL, num_colors=16, crop_jitter=0.0, rate_hz=1e4)
    for number in range(12):
        plan = still.sample(catalog, number % 6, np.random.default_rng(number))
        clips = fetch(catalog, plan)
        example = still.transform(clips, plan, np.random.default_rng(number))
        assert int(probe_same_place(plan, example).argmax()) == middle_color(plan, example)
        assert stays(plan, example) == 1 and probe_change(plan, example).tolist() == [0.0, 1.0]
        assert example.arrays["shown"].shape == (4, 1, 32, 32)
        assert not probe_channels(plan, example).any()
        colored = replace(still, grey=False).transform(clips, plan, np.random.default_rng(number))
        assert colored.arrays["shown"].shape == (4, 3, 32, 32)
        assert probe_channels(plan, colored).any()


def test_a_drawing_of_the_truth_is_the_truth(catalog: Catalog, fetch: Callable) -> None:
    task = replace(SMALL, num_colors=16)
    encoders = {"vision": build_encoder("small", seed=0)}
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).eval()
    plan = task.sample(catalog, 1, np.random.default_rng(0))
    example = task.transform(fetch(catalog, plan), plan, np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.arrays.items()}
    assert learner.outputs(batch)["chances"].shape == (1, 16, 16)
    asked = batch["colors"][:, -1].long().flatten(1)
    sure = nn.functional.one_hot(asked, 16).float()
    (picture,) = task.drawn({"chances": sure}, batch)
    assert picture.dtype == np.uint8 and picture.shape[0] == 128
    answer, truth = picture[:, 2 * 134 : 2 * 134 + 128], picture[:, 3 * 134 :]
    assert np.array_equal(answer, truth)


def test_knobs_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"answer_px": 0}, {"num_colors": 1}, {"palette": ((0.0, 0.0),)}, {"temperature": 0.0},
        {"floor": 0.0}, {"depth": -1}, {"crop_jitter": 1.0},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(InputError):
            TrackingByColorization(**wrong)
    encoders = {"vision": build_encoder("small", seed=0)}
    with pytest.raises(InputError, match="answer-px"):
        TrackingByColorization(size_px=64, answer_px=16).head(widths_of(encoders))
