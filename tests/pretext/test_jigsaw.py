"""Jigsaw: puzzles that put together give the picture, figures by hand, and what guards do."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.jigsaw import Jigsaw
from avssl.pretext.jigsaw_guards import (
    SHORTCUTS,
    answer_first,
    probe_bars,
    probe_colors,
    probe_light,
    probe_lines,
)
from avssl.pretext.jigsaw_recipes import RECIPES
from avssl.records import Clip, Example, Plan
from avssl.sample.permutations import far_apart
from avssl.task import widths_of
from avssl.transform import boards

PLAIN: dict[str, Any] = {
    "crop_scale": (1.0, 1.0),
    "flip": False,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "grey_probability": 0.0,
    "channel_jitter_px": 0,
}
Make = Callable[..., tuple[Plan, Example]]


@pytest.fixture(scope="module")
def make(make_row: Callable[..., ClipRow]) -> Make:
    def _make(
        task: Jigsaw,
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


def coordinates(size_px: int) -> np.ndarray:
    """Red counts rows, green columns: uint8 [3, size_px, size_px]."""
    rows, columns = np.mgrid[:size_px, :size_px]
    return np.stack([rows, columns, np.zeros_like(rows)]).astype(np.uint8)


@pytest.mark.parametrize("num_cells", [2, 3])
def test_tiles_put_back_give_the_picture(num_cells: int, make: Make) -> None:
    """Without room in the cells nothing is lost, whatever the order."""
    task = Jigsaw(**PLAIN, size_px=18 * num_cells, num_cells=num_cells, patch_px=18, gap_px=0)
    frame = np.random.default_rng(0).integers(0, 256, size=(3, task.size_px, task.size_px))
    for seed in range(10):
        plan, example = make(task, frame.astype(np.uint8), seed=seed)
        order = task.permutations()[int(example.arrays["label"])]
        assert tuple(order) == plan.target["permutation"]
        back = np.zeros_like(frame)
        for tile, cell in zip(example.arrays["frames"], order, strict=True):
            top, left = 18 * (cell // num_cells), 18 * (cell % num_cells)
            back[:, top : top + 18, left : left + 18] = tile
        assert np.array_equal(back, frame)


def test_every_tile_is_from_its_cell_in_the_order_of_the_label(make: Make) -> None:
    task, starts = Jigsaw(**PLAIN, size_px=100), []
    over = (100 - 96) // 2
    for seed in range(80):
        plan, example = make(task, coordinates(100), seed=seed)
        corners = example.arrays["frames"][:, :2, 0, 0].astype(int) - over
        cells = corners // 32
        assert tuple(3 * cells[:, 0] + cells[:, 1]) == plan.target["permutation"]
        assert answer_first(plan, example) == 3 * cells[0, 0] + cells[0, 1]
        starts += (corners % 32).ravel().tolist()
    assert set(starts) == set(range(7))  # room of 6 px in cells of 32


def test_the_papers_cell_of_the_worked_example(make: Make) -> None:
    task = dataclasses.replace(RECIPES["paper"].task, **{**PLAIN, "num_permutations": 10})
    tops, lefts = [], []
    for seed in range(60):
        plan, example = make(task, coordinates(255), seed=seed)
        order = plan.target["permutation"]
        assert isinstance(order, tuple)
        tile = example.arrays["frames"][order.index(5)]
        tops.append(int(tile[0, 0, 0]))
        lefts.append(int(tile[1, 0, 0]))
    assert 85 <= min(tops) <= 88 and 103 <= max(tops) <= 106
    assert 170 <= min(lefts) <= 173 and 188 <= max(lefts) <= 191


def test_orders_are_alike_likely(make_row: Callable[..., ClipRow]) -> None:
    catalog, rng = Catalog.from_rows([make_row()]), np.random.default_rng(1)
    labels = [Jigsaw().sample(catalog, 0, rng).target["label"] for _ in range(3000)]
    counts = np.bincount(np.array(labels, dtype=int), minlength=10)
    assert ((counts - 300) ** 2 / 300).sum() < 27.9  # χ² of 9 degrees, 0.1 %


def test_random_labels_say_nothing_about_the_order(make_row: Callable[..., ClipRow]) -> None:
    catalog, rng = Catalog.from_rows([make_row()]), np.random.default_rng(1)
    task = Jigsaw(random_labels=True)
    plans = [task.sample(catalog, 0, rng).target for _ in range(1000)]
    orders = [tuple(order) for order in far_apart(10).tolist()]
    same = [orders.index(plan["permutation"]) == plan["label"] for plan in plans]  # type: ignore[arg-type]
    assert np.mean(same) == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("num", [10, 100])
def test_the_best_fixed_answer_is_what_trivial_says(num: int) -> None:
    task, orders = Jigsaw(num_permutations=num), far_apart(num)
    labels = torch.arange(num)
    best = 0.0
    for answer in range(num):
        logits = torch.nn.functional.one_hot(torch.full((num,), answer), num).float()
        found = task.metrics({"logits": logits}, {"label": labels})
        columns = {name: value.double().numpy() for name, value in found.items()}
        scores = task.scores(columns)
        agree = np.mean([np.mean(orders[answer] == order) for order in orders])
        assert scores["accuracy"] == 1 / num
        assert scores["tiles_right"] == pytest.approx(agree, abs=1e-6)
        best = max(best, scores["tiles_right"])
    trivial = task.trivial(Catalog.from_rows([]))
    assert trivial == pytest.approx({"accuracy": 1 / num, "tiles_right": best})


def test_tiles_meet_in_the_head_alone_and_their_brightness_does_not_matter() -> None:
    encoder = build_encoder("small", seed=0).eval()
    head = Jigsaw().head(widths_of({"vision": encoder}))
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(40, 120, size=(2, 9, 3, 26, 26)).astype(np.uint8))
    other = frames.clone()
    other[:, 3] = 2 * frames[:, 3] + 9
    with torch.no_grad():
        for standardise in (True, False):
            task = Jigsaw(standardise=standardise)
            one, two = (
                task.predict({"vision": encoder}, head, {"frames": shown})["logits"]
                for shown in (frames, other)
            )
            assert one.shape == (2, 10)
            assert torch.allclose(one, two, atol=1e-4) == standardise


def test_letterboxes_are_seen_only_where_the_guard_is_off(make: Make) -> None:
    frame = np.random.default_rng(0).integers(60, 256, size=(3, 128, 128)).astype(np.uint8)
    frame[:, :30] = frame[:, -30:] = 16
    rows: dict[bool, set[int]] = {True: set(), False: set()}
    for seed in range(40):
        for clear in rows:
            task = Jigsaw(clear_of_borders=clear, crop_scale=(0.9, 1.0))
            made = make(task, frame, seed=seed, borders_px=(0, 30, 0, 30))
            _, top, _, bottom = probe_bars(*made)
            if top + bottom:
                rows[clear].add(answer_first(*made) // 3)
    assert rows == {True: set(), False: {0, 2}}  # never the middle row


def test_room_in_the_cells_breaks_lines_across_the_border(make: Make) -> None:
    """What fits best at a side of the first tile: nothing does where the picture ends."""
    # Squares of 9 px: none ends where tiles of 26 px meet, at 35 and at 61.
    coarse = np.random.default_rng(0).integers(0, 256, size=(11, 11))
    frame = np.repeat(coarse.repeat(9, axis=0).repeat(9, axis=1)[None, :96, :96], 3, axis=0)
    told: dict[str, list[bool]] = {"on": [], "off": []}
    for seed in range(60):
        for name, changes in (("on", {}), ("off", SHORTCUTS[1].off)):
            made = make(Jigsaw(**{**PLAIN, **changes}), frame.astype(np.uint8), seed=seed)
            row, column = divmod(answer_first(*made), 3)
            above, left, right, below = probe_lines(*made)[:4]
            if row != 1:
                told[name].append((above < below) == (row == 2))
            if column != 1:
                told[name].append((left < right) == (column == 2))
    assert np.mean(told["off"]) > 0.9 and np.mean(told["on"]) < 0.75


def test_light_and_colours_are_hidden_by_their_guards(make: Make) -> None:
    """Darker downwards, and red 1 px lower all over."""
    rng = np.random.default_rng(0)
    plane = rng.integers(100, 200, size=(26, 25)).repeat(4, axis=0).repeat(4, axis=1)[:101, :100]
    plane = plane - np.linspace(0, 90, 101)[:, None]
    frame = np.stack([plane[:100], plane[1:], plane[1:]]).astype(np.uint8)
    means: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    shifts: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(30):
        for guarded in (True, False):
            changes = {"standardise": guarded, "channel_jitter_px": 2 * guarded}
            made = make(Jigsaw(**{**PLAIN, **changes, "size_px": 100}), frame, seed=seed)
            means[guarded].append((answer_first(*made) // 3, probe_light(*made)[4]))
            shifts[guarded].append(probe_colors(*made)[0])
    dark = {row: [mean for place, mean in means[False] if place == row] for row in range(3)}
    assert min(dark[0]) > max(dark[1]) and min(dark[1]) > max(dark[2])
    assert np.abs([mean for _, mean in means[True]]).max() < 1e-6
    assert np.std(shifts[True]) > 3 * np.std(shifts[False])
    assert np.mean(shifts[False]) > 0.4


def test_boards_show_the_tiles_the_answer_and_the_truth() -> None:
    orders = far_apart(10)
    frames = torch.arange(9, dtype=torch.uint8).reshape(1, 9, 1, 1, 1) * 10 + 100
    frames = frames.expand(2, 9, 3, 26, 26)
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor([3, 5]), 10).float()
    batch = {"frames": frames, "label": torch.tensor([3, 4])}
    right, wrong = Jigsaw().drawn({"logits": logits}, batch)
    assert right.shape == wrong.shape and right.shape[0] >= 96
    side, step, head = 3 * 43 - 3, 43, 14
    for picture, said, true in ((right, 3, 3), (wrong, 5, 4)):
        for number in range(9):
            places = (number, int(orders[said][number]), int(orders[true][number]))
            for column, place in enumerate(places):
                top, left = head + step * (place // 3), step * (place % 3)
                cell = picture[top : top + 40, column * (side + 8) + left :][:, :40]
                assert (cell[20, 20] == 100 + 10 * number).all()
                if column == 1:
                    hit = orders[said][number] == orders[true][number]
                    assert (cell[0, 0] == (boards.RIGHT if hit else boards.WRONG)).all()


def test_knobs_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"num_cells": 4},
        {"num_permutations": 1},
        {"num_cells": 2, "num_permutations": 25},
        {"size_px": 95},
        {"channel_jitter_px": -1},
        {"hidden": 0},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            Jigsaw(**wrong)
