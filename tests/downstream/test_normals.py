"""Normals: figures against plain numpy, geometry of views, the world's truth, training, rows."""

import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import config_from_recipe
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.downstream import normal_metrics as metrics
from avssl.downstream.normals import Normals
from avssl.errors import InputError
from avssl.labels.surfaces import Surface, decode_normals, encode_normals
from avssl.model import build_encoder
from avssl.model.normals import angles, decoded, normals_loss
from avssl.prepare.surfaces import shrunk, write_surfaces
from avssl.run.train import train
from avssl.task import Learner, widths_of
from avssl.transform import maps


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


FACES = unit(np.array([[0, 0, -1], [0.7, 0, -0.7], [-0.7, 0, -0.7], [0, -0.8, -0.6]], np.float32))
COLORS = np.array([[90, 90, 90], [230, 40, 40], [40, 40, 230], [40, 230, 40]], np.uint8)
"""Red faces right, blue left, green up: what a mirror turns into each other is told apart."""


def painted(rng: np.random.Generator, split: str, number: int) -> Surface:
    """A picture of 64 x 48 px of random rectangles; the colour tells the direction."""
    faces = np.zeros((48, 64), dtype=int)
    for _ in range(5):
        top, left = rng.integers(0, 36), rng.integers(0, 48)
        faces[top : top + 12, left : left + 16] = rng.integers(0, 4)
    normals = FACES[faces].astype(np.float32)
    normals[:, :4] = 0  # unknown
    return Surface(
        picture=COLORS[faces], normals=normals, source=str(number),
        group=f"{split}{number // 2}", split=split,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    pictures = [
        painted(rng, split, k)
        for split, count in (("train", 24), ("validation", 8), ("test", 8))
        for k in range(count)
    ]
    return write_surfaces(pictures, tmp_path_factory.mktemp("set") / "faces", quiet=True)


@pytest.fixture(scope="module")
def task() -> Normals:
    return Normals(height_px=48, width_px=64, head_width=16)


def example_of(task: Normals, catalog: Catalog, index: int, seed: int = 0):
    fetcher = Fetcher(catalog.directory)
    rng = np.random.default_rng(seed)
    return make_example(task, catalog, lambda: fetcher, index=index, rng=rng)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_figures_are_those_of_plain_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (unit(rng.normal(size=(3, 20, 30, 3))) for _ in range(2))
    other = unit(one + rng.uniform(0, 1) * other)
    known = rng.random((3, 20, 30)) > 0.3
    degrees = np.degrees(np.arccos(np.clip((one * other).sum(-1), -1, 1)))[known]
    first, second = (torch.from_numpy(v.transpose(0, 3, 1, 2).copy()) for v in (one, other))
    columns = metrics.counts_of(angles(first, second), torch.from_numpy(known))
    found = metrics.figures_of({k: v.numpy() for k, v in columns.items()})
    assert found["mean_deg"] == pytest.approx(degrees.mean(), abs=1e-3)
    assert found["median_deg"] == pytest.approx(np.median(degrees), abs=0.5)
    for name, most in (("within_11", 11.25), ("within_22", 22.5), ("within_30", 30.0)):
        assert found[name] == pytest.approx(np.mean(degrees < most), abs=1e-9)


def test_nothing_known_gives_no_figures() -> None:
    columns = metrics.counts_of(torch.ones(2, 3, 3), torch.zeros(2, 3, 3, dtype=torch.bool))
    assert metrics.figures_of({k: v.numpy() for k, v in columns.items()}) == {}


def test_intervals_draw_whole_groups() -> None:
    """Equal groups leave nothing to vary; unequal ones hold the mean between their own means."""
    each = torch.deg2rad(torch.tensor([10.0, 20.0, 10.0, 20.0]))[:, None, None]
    known = torch.ones(4, 1, 1, dtype=torch.bool)
    columns = {k: v.numpy() for k, v in metrics.counts_of(each, known).items()}
    rng = np.random.default_rng(0)
    same = metrics.intervals_of(columns, np.array(["a", "a", "b", "b"]), rng=rng)
    np.testing.assert_allclose(same["mean_deg"], [15, 15], atol=1e-4)
    apart = metrics.intervals_of(columns, np.array(["a", "b", "a", "b"]), rng=rng)
    np.testing.assert_allclose(apart["mean_deg"], [10, 20], atol=1e-4)
    assert metrics.intervals_of(columns, np.array(["a"] * 4), rng=rng) == {}


@pytest.mark.parametrize("degrees", [0.0, 0.01, 11.25, 90.0, 179.0, 180.0])
def test_angles_and_losses_in_closed_form(degrees: float) -> None:
    turn = math.radians(degrees)
    one = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    other = torch.tensor([math.sin(turn), 0.0, -math.cos(turn)], dtype=torch.float64)
    one, other = one.requires_grad_(), other.reshape(1, 3, 1, 1)
    assert float(angles(one.detach(), other)) == pytest.approx(turn, abs=3e-6)
    known = torch.ones(1, 1, 1, dtype=torch.bool)
    cosine = normals_loss(one, other, known, kind="cosine")
    assert float(cosine.detach()) == pytest.approx(1 - math.cos(turn), abs=1e-9)
    normals_loss(one, other, known, kind="angle").backward()
    assert one.grad is not None and torch.isfinite(one.grad).all() and one.grad.abs().max() < 3
    assert float(normals_loss(one.detach(), other, ~known, kind="cosine")) == 0


def test_colour_and_direction_stay_together_in_every_view(task: Normals, data: Path) -> None:
    """Cut, scaled, mirrored: red still faces right. A mirror makes what is red face left."""
    catalog = Catalog.read(data).select(split="train")
    plain = dataclasses.replace(task, brightness=0.0, contrast=0.0, saturation=0.0)
    flips = 0
    for seed in range(20):
        plan, example = example_of(plain, catalog, seed, seed)
        flip = bool(plan.target["flip"])
        flips += flip
        frames, coded = example.arrays["frames"], example.arrays["normals"]
        assert frames.shape == coded.shape == (3, 48, 64)
        normals = decode_normals(coded.transpose(1, 2, 0))
        expected = FACES * np.array([-1 if flip else 1, 1, 1])
        right = total = 0
        for face, color in enumerate(COLORS):
            near = np.abs(frames.transpose(1, 2, 0).astype(int) - color).max(-1) < 12
            # away from edges, where colours mix
            near = cv2.erode(near.astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
            near &= normals.any(-1)
            right += int(((normals[near] * expected[face]).sum(-1) > 0.99).sum())
            total += int(near.sum())
        assert total > 300 and right / total > 0.98, (seed, right, total)
    assert 4 <= flips <= 16


def test_only_training_rows_are_changed(task: Normals, data: Path) -> None:
    held_out = Catalog.read(data).select(split="validation")
    one, other = (example_of(task, held_out, 2, seed)[1].arrays for seed in (0, 1))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    stored = Fetcher(data).label_map(held_out.row(2), "normals").frames
    np.testing.assert_array_equal(one["normals"], stored[0])


@settings(max_examples=50, deadline=None)
@given(
    st.integers(16, 300), st.integers(16, 300), st.floats(0.3, 1), st.floats(0, 1), st.floats(0, 1)
)
def test_rectangles_lie_inside_and_keep_their_form(
    width: int, height: int, share: float, right: float, down: float
) -> None:
    left, top, own_width, own_height = maps.drawn_box(
        picture_px=(width, height), shown_px=(128, 96), share=share, place=(right, down)
    )
    assert 0 <= left <= width - own_width and 0 <= top <= height - own_height
    scale = share * min(width / 128, height / 96)
    assert abs(own_width - 128 * scale) <= 1 and abs(own_height - 96 * scale) <= 1


def test_shrinking_means_what_is_known() -> None:
    normals = np.zeros((2, 4, 3), dtype=np.float32)
    normals[:, 0] = [1, 0, 0]
    normals[:, 1] = [0, 0, -1]
    normals[0, 2] = [0, 1, 0]  # one of four pixels: most are unknown
    found = shrunk(normals, (2, 1))
    np.testing.assert_allclose(found[0, 0], [2**-0.5, 0, -(2**-0.5)], atol=1e-6)
    assert not found[0, 1].any()


def test_a_blind_guess_is_the_mean_direction(task: Normals, data: Path) -> None:
    catalog = Catalog.read(data).select(split="validation")
    constant, places = task.mean_normals(catalog, task.items(catalog))
    stack = np.stack([decode_normals(c.transpose(1, 2, 0)) for c in task.truths(catalog, range(8))])
    mean = unit(stack.sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(constant[:, 5, 5], mean, atol=1e-5)
    np.testing.assert_allclose(places[:, 20, 30], unit(stack[:, 20, 30].sum(axis=0)), atol=1e-5)
    np.testing.assert_allclose(places[:, 20, 0], mean, atol=1e-5)  # nothing is known there
    known = stack.any(axis=-1)
    cosine = (stack * unit(np.where(known.any(0)[..., None], stack.sum(0), mean))).sum(-1)
    expected = np.degrees(np.arccos(np.clip(cosine[known], -1, 1))).mean()
    assert task.trivial(catalog)["mean_deg"] == pytest.approx(expected, abs=0.02)


def test_answers_are_unit_vectors_of_any_encoder(task: Normals) -> None:
    frames = torch.randint(0, 255, (2, 3, 48, 64), dtype=torch.uint8)
    for name, layer in (("small-bn", ""), ("small", "res3")):
        own = dataclasses.replace(task, layer=layer)
        encoders = {"vision": build_encoder(name, seed=0)}
        learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).eval()
        found = learner.outputs({"frames": frames})["normals"].detach()
        assert found.shape == (2, 3, 48, 64)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(2, 48, 64))
        assert float(found[:, 2].mean()) < -0.9  # at first all faces the camera
    with pytest.raises(InputError, match="layer 'res9'"):
        dataclasses.replace(task, layer="res9").head(widths_of(encoders))


def test_a_frozen_encoder_stays(task: Normals) -> None:
    own = dataclasses.replace(task, tune="frozen")
    encoders = {"vision": build_encoder("small-bn", seed=0)}
    learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).train()
    before = {k: v.clone() for k, v in learner.encoders.state_dict().items()}
    coded = encode_normals(np.broadcast_to([0.6, 0, -0.8], (2, 48, 64, 3))).transpose(0, 3, 1, 2)
    batch = {"frames": torch.zeros(2, 3, 48, 64, dtype=torch.uint8)}
    batch["normals"] = torch.from_numpy(np.ascontiguousarray(coded))
    step = learner(batch)
    step.loss.backward()
    assert set(step.sums) == {"loss", "angle_deg"}
    truth, known = decoded(batch["normals"])
    assert known.all() and float(truth[0, 0, 0, 0]) == pytest.approx(0.6, abs=0.01)
    assert all(torch.equal(before[k], v) for k, v in learner.encoders.state_dict().items())
    assert all(weight.grad is not None for weight in learner.head.parameters())


@pytest.mark.slow
def test_it_learns_and_is_judged_beside_blind_guesses(data: Path, tmp_path: Path, capsys) -> None:
    for name, steps in (("run", 40), ("short", 1)):
        config = config_from_recipe(
            "normals", "small", data=str(data), out=str(tmp_path / name), steps=steps,
            batch_size=8, workers=0, evaluate_every=0, num_evaluation_samples=8, tensorboard=False,
        )  # fmt: skip
        config = dataclasses.replace(
            config, task=dataclasses.replace(config.task, height_px=32, width_px=48, zoom=0.0)
        )
        train(config, quiet=True)
    words = ["eval", "normals", str(tmp_path / "run"), "--data", str(data), "--quiet"]
    assert main([*words, "--row", f"untrained={tmp_path / 'short'}"]) == 0
    assert "mean_deg" in capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "normals_test.json").read_text())
    rows = found["rows"]
    assert rows["network"]["mean_deg"] < 0.7 * rows["trivial: mean of each place"]["mean_deg"]
    assert rows["network"]["mean_deg"] < rows["untrained"]["mean_deg"]
    assert "not run" in rows["imagenet"] and found["num_groups"] == 4
    low, high = found["intervals"]["network"]["mean_deg"]
    assert low <= rows["network"]["mean_deg"] <= high
    picture = cv2.imread(str(tmp_path / "run" / found["pictures"][0]))
    assert picture is not None and picture.std() > 20
    assert main(["eval", "normals", str(data), "--data", str(data)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_rows_without_normals_are_refused(task: Normals, make_row) -> None:
    catalog = Catalog.from_rows([make_row()])
    with pytest.raises(InputError, match="none of 1 rows"):
        task.items(catalog)
