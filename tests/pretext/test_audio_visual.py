"""Correspondence and contrast: losses against plain loops, what training and held-out rows draw."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext import RECIPES
from avssl.pretext.audio_visual_contrast import AudioVisualContrast
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence
from avssl.pretext.audio_visual_sync import AudioVisualSync
from avssl.records import Clip, Sound, SoundSpan
from avssl.sample import sample_rng
from avssl.task import Learner, widths_of

MakeRow = Callable[..., ClipRow]


def outputs(num: int, places: int = 5, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(num, places, 128, generator=generator)
    heard = torch.randn(num, 128, generator=generator)
    out = {
        "seen": seen / seen.norm(dim=2, keepdim=True),
        "heard": heard / heard.norm(dim=1, keepdim=True),
        "score": torch.full((num,), 100.0),  # so sure that it adds nothing
        "shifted_score": torch.full((num,), -100.0),
        "log_temperature": torch.tensor(np.log(0.1), dtype=torch.float32),
    }
    batch = {"group": torch.arange(num) % 4, "label": torch.ones(num, dtype=torch.int64)}
    return out, batch


@pytest.mark.parametrize("pooling", ["soft-max", "max", "mean", "tri-map"])
def test_contrast_is_the_mean_of_two_softmaxes(pooling: str) -> None:
    task = AudioVisualContrast(pooling=pooling, above=0.05, below=-0.05)
    out, batch = outputs(6, places=1 if pooling == "mean" else 5)
    seen, heard = out["seen"].double().numpy(), out["heard"].double().numpy()
    losses = []
    table = np.zeros((6, 6))
    rest = np.full(6, -np.inf)
    for i in range(6):
        for j in range(6):
            each = [float(place @ heard[j]) for place in seen[i]]
            table[i, j] = max(each) if pooling != "tri-map" else np.mean(each)
            if pooling == "soft-max":
                table[i, j] = 0.1 * np.log(np.mean(np.exp(np.array(each) / 0.1)))
            if pooling == "tri-map" and i == j:
                weight = [1 / (1 + np.exp(-(value - 0.05) / 0.03)) for value in each]
                table[i, j] = np.dot(weight, each) / sum(weight)
                weight = [1 - 1 / (1 + np.exp(-(value + 0.05) / 0.03)) for value in each]
                rest[i] = np.dot(weight, each) / sum(weight)
    for i in range(6):
        others = [j for j in range(6) if j == i or j % 4 != i % 4]  # not those of its group
        row = [table[i, j] / 0.1 for j in others] + ([rest[i] / 0.1] if rest[i] > -2 else [])
        column = [table[j, i] / 0.1 for j in others]
        for values in (row, column):
            losses.append(np.log(np.sum(np.exp(values))) - table[i, i] / 0.1)
    assert float(task.loss(out, batch)) == pytest.approx(np.mean(losses), rel=1e-4)


def test_pairs_that_do_not_belong_together_teach_nothing() -> None:
    """Held-out batches have them: their loss is that of the others."""
    task = AudioVisualContrast()
    out, batch = outputs(4)
    first = task.loss(out, batch)
    mixed = {**batch, "label": torch.tensor([1, 1, 1, 0])}
    each = [
        float(task.loss(out, {**batch, "label": torch.eye(4, dtype=torch.int64)[k]}))
        for k in range(4)
    ]
    surplus = 100.0  # of "together" said with full confidence of three, or one, that are not
    assert float(first) == pytest.approx(np.mean([e - 75 for e in each]), rel=1e-3)
    assert float(task.loss(out, mixed)) == pytest.approx(
        np.mean([e - 75 for e in each[:3]]) + surplus / 4, rel=1e-3
    )


def test_within_each_sense_another_moment_is_found() -> None:
    task = AudioVisualContrast(within=0.6)
    out, batch = outputs(6)
    other, _ = outputs(6, seed=1)
    plain = float(task.loss(out, batch))
    both = {**out, "other_seen": other["seen"], "other_heard": other["heard"]}
    expected = 0.0
    for name in ("seen", "heard"):
        one, two = (x[name].double().numpy() for x in (out, other))
        if name == "seen":
            one, two = (x.mean(axis=1) for x in (one, two))
            one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, two))
        table = one @ two.T / 0.1
        losses = []
        for i in range(6):
            others = [j for j in range(6) if j == i or j % 4 != i % 4]
            for values in (table[i, others], table[others, i]):
                losses.append(np.log(np.sum(np.exp(values))) - table[i, i])
        expected += 0.6 / 2 * float(np.mean(losses))
    assert float(task.loss(both, batch)) == pytest.approx(plain + expected, rel=1e-4)


def test_a_second_moment_is_of_the_same_clip_and_reaches_both_encoders(make_row: MakeRow) -> None:
    task = AudioVisualContrast(within=1.0, size_px=32, mix_share=1.0)
    rows = [make_row(number=k, split=split) for k in range(4) for split in ("train", "validation")]
    catalog = Catalog.from_rows(rows)
    plan = task.sample(catalog, 2, sample_rng(0, 0, 1))
    kinds = [type(span).__name__ for span in plan.spans]
    assert kinds == ["FrameSpan", "SoundSpan", "SoundSpan"] * 2
    assert {plan.spans[k].row for k in (0, 1, 3, 4)} == {2}
    assert plan.spans[0] != plan.spans[3]
    held_out = task.sample(catalog, 1, sample_rng(0, 0, 1))
    assert len(held_out.spans) == 2
    rng = np.random.default_rng(0)
    clips = []
    for span in plan.spans:
        if isinstance(span, SoundSpan):
            noise = 0.1 * rng.standard_normal((1, 16_000)).astype(np.float32)
            clips.append(Clip(sound=Sound(samples=noise, rate_hz=16_000, start_s=span.start_s)))
        else:
            picture = rng.integers(0, 255, (1, 3, 48, 64), dtype=np.uint8)
            clips.append(Clip(frames=picture, times_s=np.array(span.times_s)))
    arrays = task.transform(clips, plan, rng).arrays
    assert arrays["other_frames"].shape == arrays["frames"].shape == (3, 32, 32)
    assert not np.array_equal(arrays["other_sound"], arrays["sound"])
    batch = {name: torch.from_numpy(np.stack([a, a, a])) for name, a in arrays.items()}
    batch["group"] = torch.arange(3)
    encoders = {stream: build_encoder("small", stream=stream, seed=0) for stream in task.streams}
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    out = learner.outputs(batch)
    assert out["other_seen"].shape == out["seen"].shape
    assert not torch.equal(out["other_heard"], out["heard"])


def test_training_pairs_match_and_half_of_the_held_out_do(make_row: MakeRow) -> None:
    def labels(task: Any, split: str) -> list[tuple[int, int]]:
        catalog = Catalog.from_rows([make_row(number=k, split=split) for k in range(5)])
        found = []
        for k in range(200):
            plan = task.sample(catalog, k % 5, sample_rng(0, 0, k))
            found.append((int(plan.target["label"]), int(plan.target["kind"])))  # type: ignore[arg-type]
        return found

    task = AudioVisualContrast()
    assert set(labels(task, "train")) == {(1, 0)}
    assert set(labels(task, "validation")) == {(1, 0), (0, 1)}
    # the control: every picture is told that another's sound is its own
    assert set(labels(dataclasses.replace(task, random_labels=True), "train")) == {(1, 1)}
    # so it is with correspondence that compares all of a batch, and only with that one
    pairs = AudioVisualCorrespondence(negatives="batch")
    assert set(labels(pairs, "train")) == {(1, 0)}
    assert set(labels(pairs, "validation")) == {(1, 0), (0, 1)}
    assert set(labels(dataclasses.replace(pairs, random_labels=True), "train")) == {(1, 1)}
    assert set(labels(AudioVisualCorrespondence(), "train")) == {(1, 0), (0, 1)}


def test_random_labels_say_nothing(make_row: MakeRow) -> None:
    catalog = Catalog.from_rows([make_row(number=k) for k in range(5)])
    task = AudioVisualCorrespondence(random_labels=True)
    table = np.zeros((2, 2))
    for k in range(1000):
        target = task.sample(catalog, k % 5, sample_rng(0, 0, k)).target
        table[int(target["label"]), int(target["kind"] == 0)] += 1  # type: ignore[arg-type]
    assert abs(table / 1000 - 0.25).max() < 0.05


def test_sync_pairs_are_of_one_file_and_steps_follow_the_sound(make_row: MakeRow) -> None:
    task = AudioVisualSync()
    catalog = Catalog.from_rows([make_row(number=k, num_frames=180) for k in range(3)])
    kinds = [int(task.sample(catalog, 0, sample_rng(0, 0, k)).target["kind"]) for k in range(99)]  # type: ignore[arg-type]
    assert set(kinds) == {0, 2}
    with pytest.raises(InputError, match="a moment needs 2"):
        AudioVisualSync(clip_frames=1)
    # a burst in the third of eight parts of the sound is strongest in the third step
    encoders = {stream: build_encoder("small", stream=stream, seed=0) for stream in task.streams}
    sound = torch.zeros(1, 10_240)
    sound[:, 2 * 1280 : 3 * 1280] = 0.3 * torch.randn(1280)
    heard = []

    class Keep(torch.nn.Module):
        def forward(self, seen: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
            assert seen.shape == (1, 8, 192) and steps.shape == (1, 8, 48)
            heard.append(steps)
            return torch.zeros(1, 2)

    batch = {"frames": torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8), "sound": sound}
    task.predict(encoders, Keep(), batch)
    silent = encoders["sound"].features(torch.zeros(1, 10_240))["res3"].mean((2, 3))
    apart = (heard[0][0] - silent).norm(dim=1)
    assert int(apart.argmax()) == 2 and max(apart[5:]) < 0.6 * apart[2]


def test_a_rate_that_the_encoder_does_not_hear_is_refused() -> None:
    from avssl.config import config_from_recipe, replaced
    from avssl.run.train import build_learner

    config = config_from_recipe("audio-visual-contrast", "small", data="d", out="o")
    with pytest.raises(InputError, match=r"l3/small hears 48000 Hz; give --task.rate-hz 48000"):
        build_learner(replaced(config, {"sound": "l3/small"}))
    build_learner(replaced(config, {"sound": "l3/small", "task.rate_hz": 48_000}))


def test_a_calibrated_cosine_moves_no_encoder() -> None:
    task = AudioVisualContrast(size_px=32)
    encoders = {stream: build_encoder("small", stream=stream, seed=0) for stream in task.streams}
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    batch = {
        "frames": torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8),
        "sound": 0.1 * torch.randn(4, 16_000),
        "label": torch.ones(4, dtype=torch.int64),
        "group": torch.arange(4),
    }
    out = dict(learner.outputs(batch))
    (out["score"].sum() + out["shifted_score"].sum()).backward()
    moved = {name for name, weight in learner.named_parameters() if weight.grad is not None}
    assert moved == {"head.join.slope", "head.join.offset"}


@pytest.mark.slow
@pytest.mark.paper
@pytest.mark.timeout(1800)  # sync's clip network: minutes
@pytest.mark.parametrize("name", [n for n in RECIPES if n.startswith("audio-visual")])
def test_twenty_steps_at_the_papers_size(name: str, make_row: MakeRow, fetch: Any) -> None:
    import time

    recipe = RECIPES[name]["paper"]
    task, settings = recipe.task, recipe.settings
    catalog = Catalog.from_rows(
        [make_row(number=k, num_frames=200, fps=25.0, width_px=340, height_px=256) for k in (0, 1)]
    )
    examples = []
    for k in range(4):
        plan = task.sample(catalog, k % 2, np.random.default_rng(k))
        examples.append(task.transform(fetch(catalog, plan), plan, np.random.default_rng(k)))
    batch = {
        key: torch.from_numpy(np.stack([example.arrays[key] for example in examples]))
        for key in examples[0].arrays
    }
    encoders = {
        stream: build_encoder(settings[stream], stream=stream, seed=0) for stream in task.streams
    }
    assert batch["frames"].shape[:2] == (4, 3) and batch["frames"].shape[-2:] == (224, 224)
    assert batch["sound"].shape[1] == task.rate_hz
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    optimiser = torch.optim.Adam(learner.parameters(), lr=float(settings["optim.lr"]))
    losses, seconds, core_seconds = [], [], []
    for _ in range(20):
        start, core_start = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        step = learner(batch)
        step.loss.backward()
        optimiser.step()
        losses.append(float(step.loss.detach()))
        seconds.append(time.perf_counter() - start)
        core_seconds.append(time.process_time() - core_start)
    shapes = ", ".join(f"{key} {list(value.shape)}" for key, value in batch.items())
    print(
        f"\n{name}, paper, {settings['vision']} and {settings['sound']}, {shapes}: "
        f"{np.median(seconds):.2f} s and {np.median(core_seconds):.2f} core-seconds a step, "
        f"loss {losses[0]:.3f} → {losses[-1]:.3f}"
    )
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < losses[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"fusion": "sum"}, "must be one of l3, ave, avol"), ({"positive_share": 1.0}, "below 1")],
)
def test_knobs_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AudioVisualCorrespondence(**changes)
    with pytest.raises(InputError, match="must be one of soft-max, max, mean"):
        AudioVisualContrast(pooling="least")
