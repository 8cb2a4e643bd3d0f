"""Tracking: walks by hand and by brute force, ranking by hand, windows followed on known motion."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import build_encoder, walks
from avssl.pretext.tracking import Tracking
from avssl.pretext.tracking_guards import (
    RANKING,
    WALKS,
    is_home,
    is_rim,
    is_same,
    probe_change,
    probe_difference,
    probe_padding,
)
from avssl.pretext.tracking_recipes import RECIPES
from avssl.records import Clip
from avssl.task import Learner, widths_of
from avssl.transform.following import follow


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


def test_palindromes_are_sums_over_all_walks() -> None:
    """Against every single walk through three frames of three nodes, there and back."""
    nodes = noise(0, 2, 3, 3, 5)
    forward, backward = walks.transitions(nodes, temperature=0.3)
    ends = walks.returns(forward, backward)
    unit = (nodes / nodes.norm(dim=-1, keepdim=True)).numpy().astype(float)
    for b, start, end in itertools.product(range(2), range(3), range(3)):

        def step(t: int, u: int, i: int, j: int, b: int = b) -> float:
            weights = np.exp(unit[b, t, i] @ unit[b, u].T / 0.3)
            return float(weights[j] / weights.sum())

        short = sum(step(0, 1, start, i) * step(1, 0, i, end) for i in range(3))
        long = sum(
            step(0, 1, start, i) * step(1, 2, i, j) * step(2, 1, j, k) * step(1, 0, k, end)
            for i, j, k in itertools.product(range(3), repeat=3)
        )
        assert float(ends[b, 0, start, end]) == pytest.approx(short, rel=1e-4)
        assert float(ends[b, 1, start, end]) == pytest.approx(long, rel=1e-4)
    home = ends.diagonal(dim1=2, dim2=3)
    assert torch.allclose(walks.return_loss(ends), -home.log().mean(dim=(1, 2)), atol=1e-5)


def test_the_loss_between_no_and_full_knowledge() -> None:
    same = torch.ones(1, 4, 9, 7)  # all nodes alike: each step goes anywhere
    loss = walks.return_loss(walks.returns(*walks.transitions(same, temperature=0.05)))
    assert float(loss) == pytest.approx(np.log(9), abs=1e-5)
    apart = torch.eye(9).expand(1, 4, 9, 9)
    loss = walks.return_loss(walks.returns(*walks.transitions(apart, temperature=0.05)))
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_dropped_edges_are_as_many_as_asked_for() -> None:
    torch.manual_seed(0)
    forward, backward = walks.transitions(noise(1, 8, 4, 20, 6), temperature=1.0, dropout=0.25)
    assert torch.allclose(forward.sum(dim=-1), torch.ones(8, 3, 20), atol=1e-5)
    for chances in (forward, backward):
        assert float((chances == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    cut = (forward == 0) & (backward.transpose(-1, -2) == 0)
    assert float(cut.float().mean()) == pytest.approx(0.0625, abs=0.015)  # each way by itself


def test_ranking_by_hand() -> None:
    """Cosines in a plane: 0, 60, 90 and 180 degrees from the first patch."""
    angles = np.deg2rad([0.0, 60.0, 90.0, 180.0])
    last = torch.tensor(np.stack([np.cos(angles), np.sin(angles)], axis=1), dtype=torch.float32)
    first = torch.tensor([[2.0, 0.0]]).repeat(4, 1)
    alone_each = torch.arange(4)
    how: dict[str, Any] = {
        "margin": 0.5, "num_negatives": 3, "hard_share": 0.0, "group": alone_each
    }  # fmt: skip
    cost, ranked = walks.ranking(first, last, **how)
    # distances 0, ½, 1, 2: for the second sample, others are 0, 1, 2 and its own is ½
    assert cost.tolist() == pytest.approx([0, (1 + 0 + 0) / 3, (1.5 + 1 + 0) / 3, 6 * 1.0 / 3],
                                          abs=1e-5)  # fmt: skip
    assert ranked.tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    hard, _ = walks.ranking(first, last, **{**how, "num_negatives": 1, "hard_share": 1.0})
    assert hard.tolist() == pytest.approx([0, 1, 1.5, 2.5], abs=1e-5)
    # half of two are hard: the next sample, and of those left the one that costs most
    mixed, _ = walks.ranking(first, last, **{**how, "num_negatives": 2, "hard_share": 0.5})
    assert mixed.tolist() == pytest.approx([0, 0.5, 0.75, 2.25], abs=1e-5)
    alone, even = walks.ranking(first[:1], last[:1], **{**how, "group": alone_each[:1]})
    assert alone.tolist() == [0] and even.tolist() == [0.5]


def test_tracks_of_one_group_are_no_others_to_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    first, last = torch.randn(2, 9, 5, generator=generator)
    group = torch.tensor([0, 1, 0, 2, 1, 1, 3, 0, 0])
    cost, ranked = walks.ranking(
        first, last, group=group, margin=0.5, num_negatives=4, hard_share=0.5
    )
    unit_first, unit_last = (one / one.norm(dim=1, keepdim=True) for one in (first, last))
    for i in range(9):
        order = [(i + k) % 9 for k in range(1, 9)]
        others = [j for j in order if group[j] != group[i]]

        def costs(j: int, i: int = i) -> float:
            own, other = (float(1 - unit_first[i] @ unit_last[k]) for k in (i, j))
            return max(0.0, own - other + 0.5)

        hard = sorted(others[2:], key=costs)[-2:]
        assert float(cost[i]) == pytest.approx(
            np.mean([costs(j) for j in others[:2] + hard]), abs=1e-5
        )
        right = [costs(j) < 0.5 for j in others]
        assert float(ranked[i]) == pytest.approx(np.mean(right), abs=1e-6)
    one = walks.ranking(first, last, group=group * 0, margin=0.5, num_negatives=4, hard_share=0.5)
    assert one[0].tolist() == [0.0] * 9 and one[1].tolist() == [0.5] * 9


def texture(shift: tuple[float, float], *, size: int = 96) -> np.ndarray:
    """A bright textured square on an even, faintly textured ground, moved by (x, y)."""
    y, x = np.mgrid[:size, :size].astype(float)
    ground = 90 + 8 * np.sin(x / 5) * np.cos(y / 7)
    left, top = 20 + shift[0], 30 + shift[1]
    inside = (x >= left) & (x < left + 24) & (y >= top) & (y < top + 24)
    pattern = 170 + 50 * np.sin((x - left) / 2.3) * np.cos((y - top) / 3.1)
    return np.where(inside, pattern, ground).round().astype(np.uint8)


def test_a_window_goes_along_with_what_moves() -> None:
    frames = np.stack([texture((3.0 * k, 1.0 * k)) for k in range(8)])
    found = follow(frames, patch_px=24, moving_px=0.5)
    assert not found.lost
    # the square is 24 of 96 px: a sixteenth of the points, and those flow smears around it
    assert 0.03 < found.moving_share < 0.25
    assert np.abs(np.array(found.first) - (20, 30)).max() <= 8
    moved = np.array(found.last) - found.first
    assert moved == pytest.approx([21, 7], abs=3.0)  # an eighth of the window


def test_nothing_moves_and_all_moves() -> None:
    still = follow(np.stack([texture((0, 0))] * 4), patch_px=24, moving_px=0.5)
    assert still.moving_share == 0 and still.first == still.last == (36, 36)
    y, x = np.mgrid[:96, :160].astype(float)
    wide = (128 + 60 * np.sin(x / 4) * np.cos(y / 5) + 30 * np.sin(x / 11)).astype(np.uint8)
    panned = np.stack([wide[:, 3 * k : 3 * k + 96] for k in range(4)])
    assert follow(panned, patch_px=24, moving_px=0.5).moving_share > 0.75


def test_tracks_of_too_much_or_too_little_motion_weigh_nothing(catalog: Catalog) -> None:
    frames = np.stack([texture((3.0 * k, 1.0 * k)) for k in range(8)])
    clips = [Clip(frames=np.repeat(frames[:, None], 3, axis=1), times_s=np.arange(8) / 8)]
    own = replace(
        RECIPES["ranking"].task, patch_px=24, crop_scale=(1.0, 1.0), flip=False, patch_jitter=0.0
    )
    plan = own.sample(catalog, 0, np.random.default_rng(0))
    for share, weight in (((0.02, 0.75), 1.0), ((0.25, 0.75), 0.0), ((0.0, 0.02), 0.0)):
        task = replace(own, moving_share=share)
        arrays = task.transform(clips, plan, np.random.default_rng(1)).arrays
        assert arrays["patches"].shape == (2, 3, 24, 24)
        assert float(arrays["weight"]) == weight


def test_ranking_learns_and_lost_tracks_teach_nothing() -> None:
    task = RECIPES["ranking"].task
    encoders = {"vision": build_encoder("small", seed=0)}
    torch.manual_seed(0)
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    patches = (noise(3, 6, 1, 3, 40, 40) * 40 + 128).clamp(0, 255).to(torch.uint8)
    batch = {"patches": patches.expand(6, 2, 3, 40, 40), "weight": torch.ones(6)} | {
        "group": torch.arange(6)
    }
    out = learner.outputs(batch)
    found = task.scores(
        {key: value.double().numpy() for key, value in task.metrics(out, batch).items()}
    )
    assert found == {"ranked": 1.0}  # the last patch is the first
    lost = {**batch, "weight": torch.zeros(6)}
    loss = task.loss(learner.outputs(lost), lost)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not any(bool(w.grad.any()) for w in learner.parameters() if w.grad is not None)
    assert task.trivial(Catalog.from_rows([])) == {"ranked": 0.5}
    assert all(picture.shape[0] >= 96 for picture in task.drawn(out, batch))


def test_scores_of_walks_that_come_home(catalog: Catalog) -> None:
    task = Tracking(grid=3)
    ends = torch.eye(9).repeat(2, 3, 1, 1)
    ends[1, -1] = ends[1, -1].roll(1, dims=1)  # all nodes of the second end beside their home
    metrics = task.metrics({"ends": ends}, {})
    assert metrics["returned"].tolist() == [1, 0]
    assert task.trivial(catalog) == {"returned": 1 / 9}


@pytest.mark.parametrize("nodes", ["patches", "map"])
def test_a_drawing_shows_start_and_end(nodes: str, catalog: Catalog, fetch: Callable) -> None:
    task = Tracking(nodes=nodes, grid=3, size_px=64, patch_px=24)
    encoders = {"vision": build_encoder("small", seed=0)}
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).eval()
    plan = task.sample(catalog, 2, np.random.default_rng(0))
    example = task.transform(fetch(catalog, plan), plan, np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.arrays.items()}
    out = learner.outputs(batch)
    assert out["ends"].shape == (1, 3, 9, 9)
    (picture,) = task.drawn(out, batch)
    assert picture.dtype == np.uint8 and picture.shape[0] >= 96 and picture.shape[2] == 3


def _made(task: Tracking, catalog: Catalog, fetch: Callable, number: int) -> Any:
    plan = task.sample(catalog, number % 6, np.random.default_rng(number))
    return plan, task.transform(fetch(catalog, plan), plan, np.random.default_rng(number))


def test_the_shortcuts_tell_what_they_say(catalog: Catalog, fetch: Callable) -> None:
    """Of the map, the rim is known from zeros around it; of patches, nothing. What stands still
    differs by nothing, and is home.
    """
    own = Tracking(size_px=64, patch_px=24, grid=4)
    for task in (own, replace(own, nodes="map")):
        told = []
        for number in range(60):
            plan, example = _made(task, catalog, fetch, number)
            told.append((is_rim(plan, example), *probe_padding(plan, example)))
        rim, values = np.array(told)[:, 0] == 1, np.array(told)[:, 1:]
        assert 0 < rim.mean() < 1
        if task.nodes == "patches":
            assert np.ptp(values) == pytest.approx(0, abs=1e-6)
        else:  # a filter as wide as the picture has 5/8 of it in an outer row, 7/8 in an inner one
            assert (values.min(axis=1)[rim] < 0.75).mean() > 0.95
            assert (values.min(axis=1)[~rim] > 0.75).mean() > 0.95
    still = replace(own, patch_jitter=0.0, color_per_frame=False, rate_hz=1e4)
    for number in range(20):
        plan, example = _made(still, catalog, fetch, number)
        nothing = probe_difference(plan, example)[0] == 0
        assert nothing or not is_same(plan, example)
        assert is_home(plan, example) or nothing
        assert probe_change(plan, example).tolist() == [0.0, 1.0]


def test_ranking_has_shortcuts_of_its_own_and_asks_for_the_own_last_patch(
    catalog: Catalog, fetch: Callable
) -> None:
    task = RECIPES["ranking"].task
    assert task.shortcuts is RANKING and Tracking.shortcuts is WALKS is Tracking().shortcuts
    still = replace(task, patch_jitter=0.0, color_per_frame=False, rate_hz=1e4)
    asked = []
    for number in range(40):
        plan, example = _made(still, catalog, fetch, number)
        first, last = example.arrays["patches"]
        assert example.arrays["other"].shape == first.shape and np.array_equal(first, last)
        apart = probe_difference(plan, example)[0]
        assert apart == 0 if is_same(plan, example) else apart > 0
        asked.append(is_same(plan, example))
    assert 10 < sum(asked) < 30


def test_knobs_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"mode": "guess"}, {"nodes": "points"}, {"patch_px": 200}, {"grid": 1},
        {"edge_dropout": 1.0}, {"temperature": 0.0}, {"moving_share": (0.8, 0.2)},
        {"num_frames": 1}, {"rate_hz": 0.0}, {"crop_scale": (0.9, 1.1)},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(InputError):
            Tracking(**wrong)
