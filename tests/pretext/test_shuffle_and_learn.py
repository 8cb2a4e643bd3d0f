"""Shuffle and Learn: its plans over thousands, its pictures, its loss and its scores."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.pretext.shuffle_and_learn_recipes import RECIPES
from avssl.records import Clip, FrameSpan, Plan
from avssl.sample.clock import picture_numbers, shot_numbers
from avssl.task import Learner

MakeRow = Callable[..., ClipRow]
Fetch = Callable[[Catalog, Plan], list[Clip]]
TASK = ShuffleAndLearn(tau_max_s=0.8, tau_min_s=0.25, tau_max_spread=0.25)


def shown_frames(row: ClipRow, plan: Plan) -> list[int]:
    """Which frames a decoder gives: the last with time ≤ t."""
    span = plan.spans[0]
    assert isinstance(span, FrameSpan)
    return (np.searchsorted(row.frame_times_s, span.times_s, side="right") - 1).tolist()


def make_plans(task: ShuffleAndLearn, catalog: Catalog, num: int, seed: int = 0) -> list[Plan]:
    rng = np.random.default_rng(seed)
    items = task.items(catalog)
    return [task.sample(catalog, int(items[k % len(items)]), rng) for k in range(num)]


@pytest.fixture(scope="module")
def hard_catalog(make_row: MakeRow) -> Catalog:
    """Clips with cuts, repeats, still stretches, other rates, and times that are not even."""
    rng = np.random.default_rng(5)
    uneven_s = 1.4 + np.cumsum(rng.choice([0.02, 0.04, 0.08], size=200))
    return Catalog.from_rows(
        [
            make_row(number=0, num_frames=240, cuts_s=np.array([3.5])),
            make_row(number=1, num_frames=240, repeated_frames=np.arange(1, 240, 2)),
            make_row(number=2, num_frames=150, fps=23.976, still_spans_s=np.array([[1.0, 1.4]])),
            make_row(
                number=3,
                num_frames=200,
                start_s=float(uneven_s[0]),
                step_s=0.0,
                irregular_times_s=uneven_s,
                last_frame_s=0.04,
                key_frames=np.arange(0, 200, 12),
            ),
        ]
    )


@pytest.fixture(scope="module")
def plans(hard_catalog: Catalog) -> list[Plan]:
    return make_plans(TASK, hard_catalog, 4000)


def test_triplets_are_what_their_label_says(hard_catalog: Catalog, plans: list[Plan]) -> None:
    for plan in plans:
        row = hard_catalog.row(plan.spans[0].row)
        frames = shown_frames(row, plan)
        if plan.target["reversed"]:
            frames.reverse()
        first, middle, last = frames
        times_s = row.frame_times_s
        slack_s = float(np.diff(times_s).max()) + 1e-6
        span_s = times_s[last] - times_s[first]
        assert 0.75 * 0.8 - slack_s <= span_s <= 0.8 + 1e-6
        margin_s = 0.125 * span_s - 1e-6
        if plan.target["order"] == 0:
            assert first < middle < last
            assert times_s[middle] - times_s[first] >= margin_s
            assert times_s[last] - times_s[middle] >= margin_s
        elif plan.target["order"] == 1:
            assert 0.25 - 1e-6 <= times_s[first] - times_s[middle] <= 0.5 + 1e-6
        else:
            assert 0.25 - 1e-6 <= times_s[middle] - times_s[last] <= 0.5 + 1e-6
        assert plan.target["label"] == int(plan.target["order"] == 0)
        assert len(set(picture_numbers(row)[frames])) == 3
        assert len(set(shot_numbers(row)[frames])) == 1


def test_a_quarter_is_in_order_and_half_is_reversed(plans: list[Plan]) -> None:
    counts = Counter((plan.target["order"], plan.target["reversed"]) for plan in plans)
    expected = {(0, 0): 0.125, (0, 1): 0.125}
    expected |= {(order, turned): 0.1875 for order in (1, 2) for turned in (0, 1)}
    found = np.array([counts[key] for key in expected])
    assert found.sum() == len(plans)
    assert stats.chisquare(found, len(plans) * np.array(list(expected.values()))).pvalue > 1e-3


def ends_of(catalog: Catalog, plans: list[Plan], label: int) -> np.ndarray:
    """Row, first, last time and the time between of the end frames, [num, 4]."""
    values = []
    for plan in plans:
        if plan.target["label"] == label:
            row = plan.spans[0].row
            frames = shown_frames(catalog.row(row), plan)
            ends_s = np.sort(catalog.row(row).frame_times_s[[frames[0], frames[2]]])
            values.append([row, *ends_s, ends_s[1] - ends_s[0]])
    return np.array(values)


def test_end_frames_have_one_distribution_in_both_classes(
    hard_catalog: Catalog, plans: list[Plan]
) -> None:
    positive, negative = (ends_of(hard_catalog, plans, label) for label in (1, 0))
    for column in range(4):
        assert stats.ks_2samp(positive[:, column], negative[:, column]).pvalue > 1e-3
    # … and the test would see it: with the guard off, a negative's ends are closer.
    leaking = make_plans(dataclasses.replace(TASK, shared_ends=False), hard_catalog, 2000)
    positive, negative = (ends_of(hard_catalog, leaking, label) for label in (1, 0))
    assert stats.ks_2samp(positive[:, 3], negative[:, 3]).pvalue < 1e-20


def phase_counts(catalog: Catalog, task: ShuffleAndLearn) -> np.ndarray:
    """Counts of (class, the middle's place between key frames, relative to the first's)."""
    counts = np.zeros((2, 8))
    for plan in make_plans(task, catalog, 2000):
        first, middle, _ = plan.target["gop_phases"]  # type: ignore[misc]
        counts[int(plan.target["label"]), round((middle - first) * 8) % 8] += 1  # type: ignore[arg-type]
    return counts[:, counts.sum(axis=0) > 0]


def test_the_place_between_key_frames_tells_nothing(make_row: MakeRow) -> None:
    catalog = Catalog.from_rows([make_row(number=k, num_frames=100, fps=12.5) for k in range(4)])
    assert stats.chi2_contingency(phase_counts(catalog, TASK)).pvalue > 1e-3
    off = dataclasses.replace(TASK, match_gop_phase=False)
    assert stats.chi2_contingency(phase_counts(catalog, off)).pvalue < 1e-20


def test_windows_are_drawn_in_proportion_to_their_motion(make_row: MakeRow) -> None:
    """Two shots, one with three times the motion: 3 : 1; with power 0 they are alike."""
    motion = np.r_[np.full(16, 0.2), np.full(16, 0.6)]
    catalog = Catalog.from_rows([make_row(num_frames=240, cuts_s=np.array([4.0]), motion=motion)])

    def share_of_second(task: ShuffleAndLearn) -> float:
        found = [shown_frames(catalog.row(0), plan)[0] for plan in make_plans(task, catalog, 1500)]
        return float(np.mean(np.array(found) >= 120))

    steady = dataclasses.replace(TASK, tau_max_spread=0.0)
    assert share_of_second(steady) == pytest.approx(0.75, abs=0.04)
    even = dataclasses.replace(steady, motion_power=0.0)
    assert share_of_second(even) == pytest.approx(0.5, abs=0.04)


def test_least_motion_filters_windows(make_row: MakeRow) -> None:
    """Nothing moves in the first half: no b there, and a is far enough back in motion."""
    motion = np.r_[np.zeros(16), np.full(16, 0.4)]
    catalog = Catalog.from_rows([make_row(num_frames=240, motion=motion)])
    task = dataclasses.replace(TASK, min_motion=0.08, tau_max_spread=0.0)
    for plan in make_plans(task, catalog, 500):
        frames = shown_frames(catalog.row(0), plan)
        assert min(frames[0], frames[2]) >= 126  # 0.08 at 0.4 a second: 0.2 s into the motion
        assert min(frames) >= 111  # and a is at most 2 x 0.25 s before


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_tau_can_be_given_in_frames(make_row: MakeRow, fps: float) -> None:
    catalog = Catalog.from_rows([make_row(num_frames=300, fps=fps)])
    task = ShuffleAndLearn(tau_max_frames=60, tau_min_frames=15)
    for plan in make_plans(task, catalog, 300):
        frames = shown_frames(catalog.row(0), plan)
        first, middle, last = frames[::-1] if plan.target["reversed"] else frames
        assert last - first == 60
        if plan.target["order"]:
            outside = first - middle if plan.target["order"] == 1 else middle - last
            assert 15 <= outside <= 30


def test_the_papers_times_are_its_frames_at_its_rate(make_row: MakeRow) -> None:
    catalog = Catalog.from_rows([make_row(num_frames=200, fps=25.0)])
    in_s, in_frames = ShuffleAndLearn(), ShuffleAndLearn(tau_max_frames=60, tau_min_frames=15)
    for seed in range(50):
        one, two = (
            task.sample(catalog, 0, np.random.default_rng(seed)) for task in (in_s, in_frames)
        )
        assert one == two


def test_clips_for_three_dimensional_networks_stay_in_their_shot(hard_catalog: Catalog) -> None:
    task = dataclasses.replace(TASK, clip_frames=4, clip_step_s=1 / 30, middle_margin=0.2)
    for plan in make_plans(task, hard_catalog, 800):
        row = hard_catalog.row(plan.spans[0].row)
        frames = shown_frames(row, plan)
        assert len(frames) == 12 and frames[0] < frames[3]  # time runs on inside a clip
        if row.step_s:
            assert len(set(shot_numbers(row)[frames])) == 1
            assert frames[3] - frames[0] in ((3,) if row.step_s < 0.035 else (2, 3))


def test_rows_that_cannot_be_used_are_left_out(make_row: MakeRow) -> None:
    rows = [
        make_row(number=0, num_frames=30),  # too short: 0.8 + 2 x 0.25 s do not fit into 1 s
        make_row(number=1, num_frames=240),
        make_row(number=2, num_frames=240, still_spans_s=np.array([[0.0, 8.0]])),
        make_row(number=3, num_frames=120),
        make_row(number=4, num_frames=0, motion=np.zeros(0), key_frames=np.zeros(0, dtype=int)),
    ]
    counts = Counter(TASK.items(Catalog.from_rows(rows)).tolist())
    # Places for b, in τ_max: (8 - 1.3) / 0.8 and (4 - 1.3) / 0.8.
    assert counts == {1: 8, 3: 3}
    with pytest.raises(InputError, match=r"none of 1 clips .* 1.3 s in motion; use smaller"):
        TASK.items(Catalog.from_rows(rows[:1]))


@given(
    num_frames=st.integers(5, 90),
    fps=st.sampled_from([10.0, 23.976, 30.0]),
    tau_max_s=st.floats(0.1, 2.0),
    tau_min_s=st.floats(0.01, 0.8),
    spread=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_every_row_that_items_gives_can_be_sampled(
    make_row: MakeRow,
    num_frames: int,
    fps: float,
    tau_max_s: float,
    tau_min_s: float,
    spread: float,
    seed: int,
) -> None:
    task = ShuffleAndLearn(tau_max_s=tau_max_s, tau_min_s=tau_min_s, tau_max_spread=spread)
    catalog = Catalog.from_rows([make_row(num_frames=num_frames, fps=fps)])
    try:
        items = task.items(catalog)
    except InputError:
        return
    plan = task.sample(catalog, int(items[0]), np.random.default_rng(seed))
    assert len(set(shown_frames(catalog.row(0), plan))) == 3


def test_one_crop_and_one_flip_for_all_three_unless_asked(catalog: Catalog, fetch: Fetch) -> None:
    plan = TASK.sample(catalog, 0, np.random.default_rng(0))
    frame = fetch(catalog, plan)[0].frames
    assert frame is not None
    same = [Clip(frames=np.repeat(frame[:1], 3, axis=0))]
    plain = dataclasses.replace(TASK, color_per_frame=False, crop_scale=(0.6, 0.7))
    jittered = dataclasses.replace(plain, crop_jitter=0.2)
    coloured = dataclasses.replace(TASK, color_per_frame=True)
    for seed in range(10):
        one, two, three = plain.transform(same, plan, np.random.default_rng(seed)).arrays["frames"]
        assert np.array_equal(one, two) and np.array_equal(one, three)
        one, two, three = jittered.transform(same, plan, np.random.default_rng(seed)).arrays[
            "frames"
        ]
        assert not np.array_equal(one, two) and not np.array_equal(one, three)
        own = coloured.transform(same, plan, np.random.default_rng(seed)).arrays["frames"]
        assert len({float(picture.mean()) for picture in own}) == 3


def test_still_bars_are_cut_off(make_row: MakeRow, fetch: Fetch) -> None:
    catalog = Catalog.from_rows([make_row(borders_px=(16, 12, 16, 12))])
    plan = TASK.sample(catalog, 0, np.random.default_rng(0))
    frames = np.zeros((3, 3, 96, 128), dtype=np.uint8)
    frames[:, :, 12:-12, 16:-16] = 200
    bare = dataclasses.replace(TASK, brightness=0.0, contrast=0.0, saturation=0.0, crop_jitter=0.3)
    for seed in range(20):
        example = bare.transform([Clip(frames=frames)], plan, np.random.default_rng(seed))
        assert (example.arrays["frames"] == 200).all()


def test_triplets_whose_middle_is_too_similar_do_not_count(catalog: Catalog, fetch: Fetch) -> None:
    task = dataclasses.replace(
        TASK, min_difference_levels=20.0, crop_scale=(1.0, 1.0), flip=False, size_px=96
    )
    plan = task.sample(catalog, 0, np.random.default_rng(0))
    assert len(plan.spans[0].times_s) == 6  # type: ignore[union-attr]
    for level_c, level_e, weight in [(100, 150, 1.0), (100, 119, 0.0), (121, 150, 1.0)]:
        frames = np.zeros((6, 3, 96, 128), dtype=np.uint8)
        frames[4], frames[5], frames[3] = level_c, level_e, 60
        found = task.transform([Clip(frames=frames)], plan, np.random.default_rng(0))
        assert float(found.arrays["weight"]) == weight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "sum"}, "must be one of concat"),
        ({"tau_max_frames": 60}, "give both or neither"),
        ({"tau_max_s": 0.0}, "must be above 0"),
        ({"positive_share": 1.0}, "between 0 and 1"),
        ({"crop_scale": (0.9, 0.5)}, "must rise"),
        ({"reach": 0.5}, "at least 1"),
        ({"clip_frames": 8, "clip_step_s": 0.1}, "clips of 0.7 s would overlap"),
    ],
)
def test_knobs_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(TASK, **changes)


def test_the_paper_recipe_holds_the_papers_values() -> None:
    """Read in the authors' released settings, or in third-party summaries of the paper."""
    task, settings_ = RECIPES["paper"].task, RECIPES["paper"].settings
    assert (task.tau_max_s * 25, task.tau_min_s * 25) == (60, 15)
    assert task.positive_share == 0.25 and task.fusion == "concat" and task.size_px == 227
    assert settings_["batch_size"] // settings_["accumulate"] == 32
    assert settings_["optim.name"] == "sgd" and settings_["optim.lr"] == 1e-3
    assert settings_["optim.momentum"] == 0.9 and settings_["optim.weight_decay"] == 5e-4
    assert settings_["steps"] == 100_000 and settings_["optim.step_at"] == (80_000,)


def test_clip_networks_train_on_triplets_of_clips(catalog: Catalog, fetch: Fetch) -> None:
    task = dataclasses.replace(TASK, clip_frames=4, clip_step_s=1 / 30, middle_margin=0.2)
    plan = task.sample(catalog, 0, np.random.default_rng(0))
    example = task.transform(fetch(catalog, plan), plan, np.random.default_rng(0)).arrays
    assert example["frames"].shape == (3, 3, 4, 64, 64)
    first_clip = fetch(catalog, plan)[0].frames
    assert first_clip is not None and not np.array_equal(first_clip[0], first_clip[3])
    encoder = build_encoder("pytorchvideo:x3d_s", seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = Learner(task=task, encoders={"vision": encoder}, widths={"vision": 192})
    batch = {key: torch.from_numpy(np.stack([array] * 2)) for key, array in example.items()}
    learner(batch).loss.backward()
    assert all(weight.grad is not None for weight in learner.parameters())
