"""Relative position: labels on pictures that say where every pixel is from, and what guards do."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.relative_position import RelativePosition
from avssl.pretext.relative_position_guards import (
    SHORTCUTS,
    probe_bars,
    probe_colors,
    probe_lines,
)
from avssl.pretext.relative_position_recipes import RECIPES
from avssl.records import Clip, Example, Plan
from avssl.task import widths_of
from avssl.transform import boards
from avssl.transform.patch_clues import NEIGHBOURS, SIDES

PLAIN: dict[str, Any] = {
    "crop_scale": (1.0, 1.0),
    "flip": False,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "color": "keep",
}
BY_NAME = {one.name: one for one in SHORTCUTS}
LAYOUTS: list[dict[str, Any]] = [
    {"layout": "cells", "size_px": 97, "patch_px": 24, "gap_px": 8},
    {"layout": "pairs", "size_px": 104, "patch_px": 24, "gap_px": 10, "jitter_px": 3},
]


def make(
    task: RelativePosition,
    row: ClipRow,
    frame: np.ndarray,
    *,
    seed: int,
    borders_px: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> tuple[Plan, Example]:
    plan_rng, rng = np.random.default_rng(seed).spawn(2)
    catalog = Catalog.from_rows([dataclasses.replace(row, borders_px=borders_px)])
    plan = task.sample(catalog, 0, plan_rng)
    return plan, task.transform([Clip(frames=frame[None])], plan, rng)


def drawn_corners(task: RelativePosition, place: int, rng: np.random.Generator) -> np.ndarray:
    first = {"first_px": task.first_px(place, rng)} if task.layout == "pairs" else {}
    return task.corners(Plan(spans=(), target={"place": place, **first}), rng)


def coordinates(size_px: int) -> np.ndarray:
    """Red counts rows, green columns: uint8 [3, size_px, size_px]."""
    rows, columns = np.mgrid[:size_px, :size_px]
    return np.stack([rows, columns, np.zeros_like(rows)]).astype(np.uint8)


@pytest.fixture(scope="module")
def row(make_row: Callable[..., ClipRow]) -> ClipRow:
    return make_row()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("flip", [False, True])
def test_the_second_patch_lies_where_the_label_says(
    layout: dict[str, Any], flip: bool, row: ClipRow
) -> None:
    task = RelativePosition(**{**PLAIN, **layout, "flip": flip})
    mirrored = 0
    for seed in range(60):
        plan, example = make(task, row, coordinates(task.size_px), seed=seed)
        first, second = example.arrays["frames"].astype(int)
        down, right = second[:2, 0, 0] - first[:2, 0, 0]
        if first[1, 0, 1] < first[1, 0, 0]:  # mirrored: what lies right has lower numbers
            right, mirrored = -right, mirrored + 1
        # More than half a patch is a place of its own; less is the jitter.
        found = tuple(int(np.sign(d)) * (abs(d) > 15) for d in (down, right))
        assert NEIGHBOURS[int(example.arrays["label"])] == found
        assert plan.target["label"] == plan.target["place"] == int(example.arrays["label"])
    assert (mirrored > 15) == flip


@given(
    patch_px=st.integers(1, 30),
    gap_px=st.integers(0, 20),
    jitter_px=st.integers(0, 8),
    over_px=st.integers(0, 40),
    layout=st.sampled_from(["cells", "pairs"]),
    all_fit=st.booleans(),
    seed=st.integers(0, 999),
)
def test_patches_never_leave_the_picture_nor_their_distance(
    patch_px: int,
    gap_px: int,
    jitter_px: int,
    over_px: int,
    layout: str,
    all_fit: bool,
    seed: int,
) -> None:
    cells, pairs = 3 * (patch_px + gap_px), 2 * patch_px + gap_px + 2 * jitter_px
    size_px = (cells if layout == "cells" else pairs + all_fit * (patch_px + gap_px)) + over_px
    task = RelativePosition(
        size_px=size_px, patch_px=patch_px, gap_px=gap_px, jitter_px=jitter_px, layout=layout,
        room_for_all=all_fit,
    )  # fmt: skip
    moves = gap_px if layout == "cells" else 2 * jitter_px
    for place, direction in enumerate(NEIGHBOURS):
        corners = drawn_corners(task, place, np.random.default_rng(seed))
        assert corners.min() >= 0 and corners.max() + patch_px <= size_px
        off = corners[1] - corners[0] - np.array(direction) * (patch_px + gap_px)
        assert np.abs(off).max() <= moves


def test_the_papers_pairs_lie_144_px_apart_give_or_take_14() -> None:
    task = RECIPES["paper"].task
    rng = np.random.default_rng(0)
    drawn = np.array([drawn_corners(task, 4, rng) for _ in range(6000)])
    off = drawn[:, 1] - drawn[:, 0]
    assert off.min(axis=0).tolist() == [-14, 130] and off.max(axis=0).tolist() == [14, 158]
    # Two even draws of ±7: the variance is twice (15² - 1) / 12.
    assert off.std(axis=0) == pytest.approx(np.sqrt(2 * (15**2 - 1) / 12), rel=0.03)
    # 3 patches of 96, 2 gaps of 48, ±7: just the picture, which is cut out of the frame anywhere
    assert task.size_px == task.least_px() == 3 * 96 + 2 * 48 + 14


@pytest.mark.parametrize("room_for_all", [True, False])
def test_where_the_first_patch_lies_tells_nothing_if_all_would_fit(room_for_all: bool) -> None:
    task = RelativePosition(
        layout="pairs", size_px=160, patch_px=24, gap_px=10, jitter_px=3, room_for_all=room_for_all
    )
    rngs = [np.random.default_rng(3) for _ in NEIGHBOURS]
    firsts = np.array(
        [[task.first_px(place, rng) for _ in range(400)] for place, rng in enumerate(rngs)]
    )
    if room_for_all:  # the same draws give the same place, whatever the answer
        assert (firsts == firsts[:1]).all()
        assert firsts.min() == 34 + 3 and firsts.max() == 160 - 24 - 34 - 3
    else:  # "left" is 34 px farther right than "right", in the mean and in both extremes
        left, right = firsts[3, :, 1], firsts[4, :, 1]
        assert left.min() - right.min() == left.max() - right.max() == 34


def test_places_are_alike_likely(row: ClipRow) -> None:
    catalog = Catalog.from_rows([row])
    task, rng = RelativePosition(), np.random.default_rng(5)
    places = [task.sample(catalog, 0, rng).target["label"] for _ in range(4000)]
    counts = np.bincount(np.array(places, dtype=int), minlength=8)
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # χ² of 7 degrees, 0.1 %


def test_opposite_places_have_numbers_that_make_seven() -> None:
    for number, (down, right) in enumerate(NEIGHBOURS):
        assert NEIGHBOURS[7 - number] == (-down, -right)


def test_both_directions_are_asked_and_loss_is_their_mean(row: ClipRow) -> None:
    task = RelativePosition()
    encoder = build_encoder("small", seed=0).eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = task.head(widths_of({"vision": encoder}))
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, size=(3, 2, 3, 32, 32)).astype(np.uint8))
    batch = {"frames": frames, "label": torch.tensor([0, 4, 6])}
    swapped = {"frames": frames.flip(1), "label": 7 - batch["label"]}
    with torch.no_grad():
        out, other = (task.predict({"vision": encoder}, head, one) for one in (batch, swapped))
        assert torch.allclose(out["reversed"], other["logits"], atol=1e-5)
        assert task.loss(out, batch) == pytest.approx(float(task.loss(other, swapped)), abs=1e-5)
    sure = 50.0 * torch.nn.functional.one_hot(batch["label"], 8).float()
    blind = torch.zeros(3, 8)
    assert float(task.loss({"logits": sure, "reversed": sure.flip(1)}, batch)) < 1e-6
    half = float(task.loss({"logits": sure, "reversed": blind}, batch))
    assert half == pytest.approx(math.log(8) / 2, abs=1e-5)
    assert "reversed" not in RelativePosition(both_directions=False).predict(
        {"vision": encoder}, head, batch
    )


def test_right_and_next_to_right_are_counted_around_the_ring() -> None:
    ring = [0, 1, 2, 4, 7, 6, 5, 3]  # once around the middle
    labels, answers = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    logits = torch.nn.functional.one_hot(torch.from_numpy(answers), 8).float()
    task = RelativePosition()
    found = task.metrics({"logits": logits}, {"label": torch.from_numpy(labels)})
    for label, answer, right, near in zip(
        labels, answers, found["accuracy"], found["within_one"], strict=True
    ):
        steps = abs(ring.index(label) - ring.index(answer))
        assert bool(right) == (label == answer)
        assert bool(near) == (min(steps, 8 - steps) <= 1)
    # Every answer to every label once is what a blind guess gives.
    scores = task.scores({name: value.double().numpy() for name, value in found.items()})
    assert scores == pytest.approx(task.trivial(Catalog.from_rows([])))


def test_brightness_and_contrast_of_a_patch_do_not_matter() -> None:
    task, rng = RelativePosition(), np.random.default_rng(0)
    encoder = build_encoder("small", seed=0).eval()
    head = task.head(widths_of({"vision": encoder}))
    frames = torch.from_numpy(rng.integers(40, 120, size=(4, 2, 3, 32, 32)).astype(np.uint8))
    other = frames.clone()
    other[:, 1] = 2 * frames[:, 1] + 9
    batch = {"frames": frames, "label": torch.zeros(4, dtype=torch.int64)}
    with torch.no_grad():
        for standardise in (True, False):
            task = RelativePosition(standardise=standardise)
            one, two = (
                task.predict({"vision": encoder}, head, {**batch, "frames": shown})["logits"]
                for shown in (frames, other)
            )
            assert torch.allclose(one, two, atol=1e-4) == standardise


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_coarse_patches_lose_detail_and_keep_their_mean(probability: float, row: ClipRow) -> None:
    frame = np.random.default_rng(0).integers(0, 256, size=(3, 120, 120)).astype(np.uint8)
    task = RelativePosition(**{**PLAIN, "coarse_probability": probability})
    full = RelativePosition(**PLAIN)
    for seed in range(5):
        before = make(full, row, frame, seed=seed)[1].arrays["frames"].astype(float)
        after = make(task, row, frame, seed=seed)[1].arrays["frames"].astype(float)
        assert after.mean() == pytest.approx(before.mean(), abs=4)
        if probability:
            assert (after.std(axis=(2, 3)) < 0.8 * before.std(axis=(2, 3))).all()
        else:
            assert np.array_equal(after, before)


def test_letterboxes_are_seen_only_where_the_guard_is_off(row: ClipRow) -> None:
    frame = np.random.default_rng(0).integers(60, 256, size=(3, 128, 128)).astype(np.uint8)
    frame[:, :30] = frame[:, -30:] = 16
    task = RelativePosition(crop_scale=(0.9, 1.0))
    off = RelativePosition(crop_scale=(0.9, 1.0), **BY_NAME["letterbox"].off)
    found = {"on": 0.0, "off": 0.0}
    for seed in range(20):
        for name, one in (("on", task), ("off", off)):
            made = make(one, row, frame, seed=seed, borders_px=(0, 30, 0, 30))
            found[name] += probe_bars(*made).max()
    assert found["on"] == 0 and found["off"] > 1


def test_gap_and_shift_break_lines_across_the_border(row: ClipRow) -> None:
    # Squares of 7 px: none ends where patches of 24 px meet, at 36 and at 60.
    coarse = np.random.default_rng(0).integers(0, 256, size=(14, 14))
    plane = coarse.repeat(7, axis=0).repeat(7, axis=1)[:96, :96]
    frame = np.repeat(plane[None], 3, axis=0)
    shares = []
    for changes in ({}, BY_NAME["lines across the border"].off):
        task = RelativePosition(**{**PLAIN, **LAYOUTS[0], "size_px": 96, **changes})
        told = []
        for number in range(150):
            plan, example = make(task, row, frame.astype(np.uint8), seed=number)
            if plan.target["label"] in SIDES:
                best = probe_lines(plan, example)[list(SIDES)].argmin()
                told.append(SIDES[int(best)] == plan.target["label"])
        shares.append(np.mean(told))
    assert shares[1] > 0.8 and shares[0] < 0.5


def test_dropping_colours_hides_what_a_lens_does(row: ClipRow) -> None:
    """Red is moved by 1 px down all over: found where colours are kept, not where they are not."""
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, size=(31, 31)).repeat(4, axis=0).repeat(4, axis=1)[:121, :120]
    frame = np.stack([plane[:120], plane[1:], plane[1:]]).astype(np.uint8)
    found = {}
    for color in ("keep", "drop"):
        task = RelativePosition(**{**PLAIN, "color": color})
        found[color] = np.mean(
            [probe_colors(*make(task, row, frame, seed=seed))[[0, 4]] for seed in range(12)]
        )
    assert found["keep"] > 0.4 and abs(found["drop"]) < 0.1


def test_boards_show_the_true_place_and_the_answer() -> None:
    frames = torch.zeros(2, 2, 3, 32, 32, dtype=torch.uint8)
    frames[:, 0], frames[:, 1] = 100, 150
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor([4, 0]), 8).float()
    batch = {"frames": frames, "label": torch.tensor([4, 7])}
    right, wrong = RelativePosition().drawn({"logits": logits}, batch)
    assert right.shape == wrong.shape and right.shape[0] >= 96 and right.dtype == np.uint8
    step, head = 67, right.shape[0] - 3 * 67 + 3

    def cell(picture: np.ndarray, down: int, right: int) -> np.ndarray:
        return picture[head + down * step :, right * step :][:64, :64]

    for picture in (right, wrong):
        assert (cell(picture, 1, 1) == 100).all()
    assert (cell(right, 1, 2)[20, 20] == 150).all() and (cell(wrong, 2, 2)[20, 20] == 150).all()
    assert (cell(right, 1, 2)[0, 0] == boards.TRUTH).all()
    assert (cell(right, 1, 2)[4, 4] == boards.RIGHT).all()
    assert (cell(wrong, 0, 0)[0, 0] == boards.WRONG).all()
    assert (cell(wrong, 2, 2)[0, 0] == boards.TRUTH).all()


def test_knobs_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"layout": "grid"},
        {"color": "grey"},
        {"size_px": 119},
        {"layout": "pairs", "size_px": 115},
        {"layout": "pairs", "size_px": 75, "room_for_all": False},
        {"drop_noise": 1.1},
        {"coarse_probability": 1.5},
        {"gap_px": -1},
        {"num_hidden": -1},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            RelativePosition(**wrong)
