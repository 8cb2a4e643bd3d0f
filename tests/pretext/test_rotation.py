"""Rotation: turns against numpy's own, figures by hand, and that nothing but the picture tells."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.pretext.rotation import (
    SHORTCUTS,
    TURNS,
    UP,
    Rotation,
    answer_asked,
    levelled,
    probe_bars,
    probe_light,
    probe_outermost,
    probe_seams,
    turned,
    turned_roughly,
)
from avssl.records import Clip, Example, Plan
from avssl.transform import boards

PLAIN: dict[str, Any] = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
Make = Callable[..., tuple[Plan, Example]]


@pytest.fixture(scope="module")
def make(make_row: Callable[..., ClipRow]) -> Make:
    def _make(
        task: Rotation,
        frame: np.ndarray,
        *,
        seed: int = 0,
        borders_px: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> tuple[Plan, Example]:
        plan_rng, rng = np.random.default_rng(seed).spawn(2)
        catalog = Catalog.from_rows([dataclasses.replace(make_row(), borders_px=borders_px)])
        plan = task.sample(catalog, 0, plan_rng)
        return plan, task.transform([Clip(frames=frame[None])], plan, rng)

    return _make


def noise(*shape: int, seed: int = 0, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, size=shape).astype(np.uint8)


@pytest.mark.parametrize("quarters", range(4))
def test_turns_are_those_of_numpy(quarters: int) -> None:
    picture = noise(3, 7, 7)
    assert np.array_equal(turned(picture, quarters), np.rot90(picture, quarters, axes=(1, 2)))


def test_the_worked_example() -> None:
    picture = np.array([[[1, 2], [3, 4]]] * 3, np.uint8)
    found = [turned(picture, quarters)[0].tolist() for quarters in range(4)]
    assert found == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]


def test_the_arrow_points_where_the_upper_side_went() -> None:
    picture = np.zeros((3, 9, 9), np.uint8)
    picture[:, 0] = 255
    for quarters, (down, right) in enumerate(UP):
        rows, columns = np.nonzero(turned(picture, quarters)[0])
        assert np.sign(rows.mean() - 4) == down and np.sign(columns.mean() - 4) == right


@pytest.mark.parametrize("num", [2, 4])
def test_a_sample_is_one_crop_in_every_turn(num: int, make: Make) -> None:
    """The crop comes first: the copies hold the same pixels, wherever it lies and however it is."""
    task = Rotation(num_rotations=num)
    for seed in range(8):
        _, example = make(task, noise(3, 96, 128, seed=seed), seed=seed)
        frames, labels = example.arrays["frames"], example.arrays["labels"]
        assert frames.shape == (num, 3, 64, 64) and labels.tolist() == list(range(num))
        for copy, quarters in zip(frames, TURNS[num], strict=True):
            assert np.array_equal(copy, np.rot90(frames[0], quarters, axes=(1, 2)))


def test_random_labels_are_shuffled_turns(make: Make) -> None:
    frame, seen = noise(3, 70, 70), set()
    for seed in range(200):
        labels = make(Rotation(random_labels=True), frame, seed=seed)[1].arrays["labels"]
        assert sorted(labels.tolist()) == [0, 1, 2, 3]
        seen.add(tuple(labels.tolist()))
    assert len(seen) == 24


def test_metrics_count_copies_pictures_and_half_turns() -> None:
    answers = torch.tensor([[0, 1, 2, 3], [0, 1, 0, 3], [2, 2, 2, 2]])
    logits = 5.0 * torch.nn.functional.one_hot(answers, 4).float()
    batch = {"labels": torch.arange(4).expand(3, 4), "frames": torch.zeros(3, 4)}
    found = Rotation().metrics({"logits": logits}, batch)
    assert found["accuracy"].tolist() == [1.0, 0.75, 0.25]
    assert found["all_right"].tolist() == [1.0, 0.0, 0.0]
    assert found["upright"].tolist() == [1.0, 0.5, 0.5]
    uniform = Rotation().loss({"logits": torch.zeros(3, 4, 4)}, batch)
    assert float(uniform) == pytest.approx(np.log(4), abs=1e-6)


@pytest.mark.parametrize("num", [2, 4])
def test_blind_answers_reach_what_trivial_says(num: int) -> None:
    """All num^num ways to answer, each as likely as the others."""
    answers = torch.tensor(list(itertools.product(range(num), repeat=num)))
    logits = torch.nn.functional.one_hot(answers, num).float()
    # Where neither 0° nor 180° is said the lean is 0, and counts as upside down: break such ties.
    logits += 1e-3 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    task = Rotation(num_rotations=num)
    batch = {"labels": torch.arange(num).expand(len(answers), num)}
    columns = task.metrics({"logits": logits}, batch)
    found = task.scores({name: value.double().numpy() for name, value in columns.items()})
    wanted = task.trivial(Catalog.from_rows([]))
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name] == pytest.approx(wanted[name], abs=0.05 if name == "upright" else 1e-6)


def test_levelling_takes_a_slope_of_light_out_and_nothing_else() -> None:
    ramp = np.linspace(40, 200, 33)
    plane = np.rint((ramp[:, None] + ramp[None, ::-1]) / 2).astype(np.uint8)
    flat = levelled(np.stack([plane] * 3)).astype(int)
    assert np.abs(flat - 120).max() <= 1
    picture = noise(3, 33, 33, low=90, high=160)
    assert np.abs(levelled(picture).astype(int) - picture).max() <= 4  # noise has a slope too
    lit = np.clip(picture + np.linspace(-60, 60, 33)[:, None], 0, 255).astype(np.uint8)
    assert np.abs(levelled(lit).astype(int) - levelled(picture)).mean() < 1


def test_letterboxes_turn_with_the_picture_only_where_the_guard_is_off(make: Make) -> None:
    frame = noise(3, 128, 128, low=60)
    frame[:, :30] = frame[:, -30:] = 16
    sides: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for seed in range(24):
        for clear in sides:
            task = Rotation(clear_of_borders=clear, crop_scale=(0.9, 1.0), contrast=0.0)
            made = make(task, frame, seed=seed, borders_px=(0, 30, 0, 30))
            assert answer_asked(*made) == made[0].target["asked"]
            left, top, right, bottom = probe_bars(*made)
            sides[clear].append(np.array([left + right, top + bottom]))
            if not clear:  # bars at the top and the bottom say an even number of quarters
                assert (top + bottom > left + right) == (answer_asked(*made) % 2 == 0)
    assert np.max(sides[True]) == 0 and np.max(sides[False]) > 0.2


def test_careless_turns_leave_a_black_line_exact_ones_nothing(make: Make) -> None:
    frame = noise(3, 96, 96, low=60)
    for seed in range(16):
        exact = make(Rotation(), frame, seed=seed)
        assert not probe_outermost(*exact).any()
        rough = make(Rotation(exact_turns=False), frame, seed=seed)
        assert probe_outermost(*rough).any() == (answer_asked(*rough) != 0)
    picture = noise(3, 16, 16)
    wanted = np.rot90(picture, 2, axes=(1, 2))
    assert np.array_equal(turned_roughly(picture, 2)[:, 1:, 1:], wanted[:, :-1, :-1])


def test_the_grid_of_blocks_is_steady_only_without_own_crops(make: Make) -> None:
    """Blocks of 8 px from the upper left corner of a picture whose height is no multiple of 8."""
    blocks = noise(3, 13, 13).repeat(8, axis=1).repeat(8, axis=2)[:, :100, :100]
    found: dict[str, list[np.ndarray]] = {"on": [], "off": []}
    for seed in range(60):
        for name, scale in (("on", (0.6, 1.0)), ("off", SHORTCUTS[2].off["crop_scale"])):
            task = Rotation(size_px=100, crop_scale=scale, flip=False, **PLAIN)
            made = make(task, blocks, seed=seed)
            if answer_asked(*made) == 2:
                found[name].append(probe_seams(*made)[8:])  # the phases of 8 px
    spread = {name: np.std(rows, axis=0).mean() for name, rows in found.items()}
    assert len(found["on"]) > 5 and spread["off"] < 0.01 < 0.2 < spread["on"]
    # Turned by a half, the blocks begin where 100 px end: 4 px on.
    steady = np.array(found["off"])[0, :8]
    assert set(np.argsort(steady)[-2:].tolist()) == {3, 4}


def test_light_from_above_turns_and_can_be_levelled(make: Make) -> None:
    frame = np.stack([np.linspace(220, 60, 96)[:, None] + np.zeros((96, 96))] * 3).astype(np.uint8)
    for seed in range(12):
        down, right = probe_light(*(made := make(Rotation(), frame, seed=seed)))
        assert np.abs(np.array([down, right])).max() > 0.1
        # It rises towards where the upper side went.
        assert tuple(np.sign(np.round([down, right], 3))) == UP[answer_asked(*made)]
        assert np.abs(probe_light(*make(Rotation(level_light=True), frame, seed=seed))).max() < 0.02


def test_copies_are_drawn_side_by_side_with_arrows() -> None:
    frames = torch.full((2, 4, 3, 64, 64), 100, dtype=torch.uint8)
    answers = torch.tensor([[0, 1, 2, 3], [2, 1, 2, 3]])
    out = {"logits": 9.0 * torch.nn.functional.one_hot(answers, 4).float()}
    right, wrong = Rotation().drawn(out, {"frames": frames})
    assert right.shape == wrong.shape and right.shape[0] >= 96 and right.shape[1] > 4 * 96

    def has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
        return bool((picture == color).all(axis=2).any())

    first = wrong[14:, :128]
    assert has(right, boards.RIGHT) and not has(right, boards.WRONG)
    assert has(first[70:], boards.WRONG) and not has(first[:56], boards.WRONG)
    assert has(first[:56], boards.TRUTH)


def test_knobs_that_make_no_sense_are_refused() -> None:
    for wrong in ({"num_rotations": 3}, {"hidden": -1}, {"size_px": 0}):
        with pytest.raises(InputError):
            Rotation(**wrong)
