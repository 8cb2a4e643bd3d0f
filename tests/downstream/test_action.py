"""Action end to end on clips whose class is a colour at one side: views, averages, training."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import config_from_recipe
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.downstream import RECIPES
from avssl.downstream import action_data as data
from avssl.downstream.action import Action, mean_softmax
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.prepare import PrepareSettings
from avssl.prepare.folder import prepare_folder
from avssl.run.action_eval import evaluate_action, judge, load_action
from avssl.run.train import train
from avssl.task import Learner, Task, widths_of

COLORS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
NUM_FRAMES = 20
NUMBERS = {"train": (8, 4, 4), "validation": (2, 2, 2), "test": (3, 3, 3)}


def write_clip(path: Path, color: tuple[int, int, int], rng: np.random.Generator) -> None:
    """A clip of 80 x 48 px on noise; its grey level at the bottom right tells the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "yuv420p"
        stream.codec_context.options = {"qmin": "1", "qmax": "1"}
        still = rng.integers(60, 160, (6, 10, 1)).repeat(3, 2).astype(np.uint8)
        for number in range(NUM_FRAMES):
            picture = still.repeat(8, 0).repeat(8, 1)
            picture[8:40, 24:56] = color
            picture[40:, 64:] = 10 * number
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared: red is twice as common as the others."""
    root, rng = tmp_path_factory.mktemp("action"), np.random.default_rng(0)
    for split, numbers in NUMBERS.items():
        for (name, color), number in zip(COLORS.items(), numbers, strict=True):
            for k in range(number):
                write_clip(root / "videos" / split / name / f"{split}_{k}.avi", color, rng)
    settings = PrepareSettings(short_side_px=48, gop=1)
    prepare_folder(root / "videos", root / "set", settings=settings, jobs=1, quiet=True)
    return root / "set"


@pytest.fixture(scope="module")
def catalog(folder: Path) -> Catalog:
    return Catalog.read(folder)


@pytest.fixture(scope="module")
def task(catalog: Catalog) -> Action:
    return Action(size_px=32).completed(catalog)


def example_of(task: Action, catalog: Catalog, index: int, seed: int = 0):
    fetcher = Fetcher(catalog.directory)
    rng = np.random.default_rng(seed)
    return make_example(task, catalog, lambda: fetcher, index=index, rng=rng)


def test_what_the_data_set_knows_is_filled_in(task: Action, catalog: Catalog) -> None:
    assert isinstance(task, Task)
    assert task.classes == task.label_names == ("blue", "green", "red")
    assert task.class_counts == (4, 4, 8) and task.field == "class"
    assert task.completed(catalog) == task
    fewer = Action(classes=("red", "blue")).completed(catalog)
    assert fewer.class_counts == (8, 4) and len(fewer.items(catalog.select(split="test"))) == 6
    with pytest.raises(InputError, match="no clip of yellow in the split train"):
        Action(classes=("red", "yellow")).completed(catalog)
    with pytest.raises(InputError, match="no clip has the label 'deed'"):
        Action(field="deed").completed(catalog)
    with pytest.raises(InputError, match="1 classes in the split train"):
        Action().completed(catalog.select(keep=lambda row: row.labels["class"] == "red"))


def test_the_worlds_label_is_found_and_rows_without_one_are_left_out(make_row) -> None:
    labels = [{"action": "walk"}, {"action": "wave"}, {"action": None}, {"action": True}, {}]
    catalog = Catalog.from_rows([make_row(number=k, labels=v) for k, v in enumerate(labels)])
    task = Action().completed(catalog)
    assert (task.field, task.classes) == ("action", ("walk", "wave"))
    assert task.items(catalog).tolist() == [0, 1]


def test_training_sees_one_moment_and_evaluation_even_ones(task, catalog) -> None:
    """The patch at the bottom right tells the frame: 10 levels each."""
    whole = dataclasses.replace(task, size_px=48, num_views=5, test_scale=1.0, crops="ten")
    held_out = catalog.select(split="validation")
    plan, made = example_of(whole, held_out, 1)
    (row,) = (held_out.row(span.row) for span in plan.spans)
    assert row.num_frames == NUM_FRAMES
    frames = made.arrays["frames"]
    assert frames.shape == (50, 3, 48, 48) and frames.dtype == np.uint8
    at_right = frames[[1, 11, 21, 31, 41]]  # the second of ten places: the top right corner
    levels = at_right[:, :, 42:47, 38:46].mean(axis=(1, 2, 3))
    assert np.rint(levels / 10).tolist() == [2, 6, 10, 14, 18]  # middles of fifths of 20 frames
    np.testing.assert_array_equal(frames[6], frames[1][:, :, ::-1])  # the mirrored half
    again = example_of(whole, held_out, 1, seed=5)[1].arrays["frames"]
    np.testing.assert_array_equal(frames, again)  # nothing is drawn

    own = dataclasses.replace(task, size_px=48, scale=(1.0, 1.0), brightness=0, contrast=0)
    rows, times = catalog.select(split="train"), []
    for seed in range(60):
        plan, made = example_of(own, rows, seed % len(rows), seed)
        assert made.arrays["frames"].shape == (1, 3, 48, 48)
        times.append(plan.spans[0].times_s[0])  # type: ignore[union-attr]
    assert 0.1 < np.mean(np.array(times) < 0.4) < 0.9
    assert min(times) < 0.1 and max(times) > 0.7


def test_a_clip_is_spread_over_its_seconds(make_row) -> None:
    row = make_row(num_frames=300, fps=30.0)  # 10 s
    times = np.reshape(data.moments(row, [0.0, 0.5, 1.0], num_frames=8, clip_s=2.0), (3, 8))
    np.testing.assert_allclose(np.diff(times, axis=1), 0.25, atol=1e-5)
    np.testing.assert_allclose(times[:, 0], [0.125, 4.125, 8.125], atol=1e-5)
    short = data.moments(row, [0.3], num_frames=4, clip_s=100.0)  # longer than the video: all of it
    np.testing.assert_allclose(short, [1.25, 3.75, 6.25, 8.75], atol=1e-5)
    (last,) = data.moments(row, [np.nextafter(1, 0)], num_frames=1, clip_s=2.0)
    assert last < row.end_s


def test_squares_lie_where_the_papers_put_them() -> None:
    found = data.places(height_px=256, width_px=340, scale=0.875, crops="ten", borders_px=(0,) * 4)
    assert [square for square, _ in found[:5]] == [
        (0, 0, 224), (116, 0, 224), (0, 32, 224), (116, 32, 224), (58, 16, 224)
    ]  # fmt: skip
    assert [mirror for _, mirror in found] == [False] * 5 + [True] * 5
    ((square, _),) = data.places(
        height_px=100, width_px=100, scale=1.0, crops="one", borders_px=(0, 20, 0, 20)
    )
    assert square == (20, 20, 60)


def test_scores_of_a_video_are_the_mean_of_its_views() -> None:
    """Against a loop in float64; and the loss of one view is the usual cross-entropy."""
    views = torch.randn(6, 4, 7, generator=torch.Generator().manual_seed(0)) * 5
    found = mean_softmax(views).exp().numpy()
    for video in range(6):
        total = np.zeros(7)
        for view in views[video].double().numpy():
            powers = [np.exp(value) for value in view]
            total += np.array([power / sum(powers) for power in powers])
        np.testing.assert_allclose(found[video], total / 4, rtol=1e-5, atol=1e-7)
    label = torch.tensor([0, 3, 6, 1, 1, 2])
    one = views[:, :1]
    loss = Action().loss({"logits": mean_softmax(one)}, {"label": label})
    expected = torch.nn.functional.cross_entropy(one[:, 0], label)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("layer", ["", "res3"])
def test_a_frozen_encoder_stays_and_the_head_moves(task, layer) -> None:
    own = dataclasses.replace(task, tune="frozen", standardise=True, layer=layer)
    encoders = {"vision": build_encoder("small-bn", seed=0)}
    learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).train()
    before = {k: v.clone() for k, v in learner.encoders.state_dict().items()}
    frames = torch.randint(0, 255, (4, 2, 3, 32, 32), dtype=torch.uint8)
    step = learner({"frames": frames, "label": torch.tensor([0, 1, 2, 0])})
    step.loss.backward()
    assert set(step.sums) == {"loss", "accuracy"}  # three classes: no top-5
    torch.optim.SGD([w for w in learner.parameters() if w.requires_grad], lr=0.1).step()
    after = learner.encoders.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)  # BatchNorm's statistics too
    assert any(weight.grad is not None for weight in learner.head.parameters())


def test_a_clip_model_learns_two_steps_and_a_frame_model_is_refused(folder, tmp_path) -> None:
    own = Action(num_frames=4, clip_s=0.5, size_px=32, num_views=2)
    changes = {"task": own, "steps": 2, "batch_size": 2, "workers": 0, "tensorboard": False}
    config = config_from_recipe(
        "action", "clip", data=str(folder), out=str(tmp_path / "x3d"), **changes,
        vision="pytorchvideo:x3d_s", num_evaluation_samples=2, precision="fp32",
    )  # fmt: skip
    run = train(config, quiet=True)
    found = evaluate_action(run, folder, split="validation", num_views=2, num_resamples=20)
    assert found["num_views"] == 2 and found["num_videos"] == 6
    weights = load_action(run).head.state_dict()["1.weight"]
    assert weights.shape == (3, 192)
    wrong = dataclasses.replace(config, vision="small", out=str(tmp_path / "wrong"))
    with pytest.raises(InputError, match="small sees 1 at once; give"):
        train(wrong, quiet=True)


def test_colours_are_learned_and_judged_video_by_video(folder, catalog, tmp_path, capsys) -> None:
    words = ["train", "action", "--data", str(folder), "--out", str(tmp_path / "run")]
    words += ["--steps", "30", "--batch-size", "8", "--workers", "0", "--no-tensorboard"]
    words += ["--task.size-px", "32", "--num-evaluation-samples", "6", "--optim.warmup-steps", "5"]
    assert main(words) == 0
    assert (tmp_path / "run" / "report.html").is_file()
    words = ["eval", "action", str(tmp_path / "run"), "--data", str(folder), "--quiet"]
    assert main([*words, "--views", "5"]) == 0
    assert "| network | 1.000 (" in capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "action_test.json").read_text())
    assert found["rows"]["network"]["accuracy"] == 1.0 and found["num_views"] == 50
    assert found["rows"]["trivial: majority class"]["accuracy"] == pytest.approx(3 / 9)
    assert found["confusion"] == [[3, 0, 0], [0, 3, 0], [0, 0, 3]]
    assert (tmp_path / "run" / found["pictures"][0]).is_file()
    assert main(["eval", "action", str(tmp_path), "--data", str(folder)]) == 2


def test_clips_of_one_file_are_one_video_and_count_by_their_length(make_row, monkeypatch) -> None:
    """A stand-in network whose softmax is the picture's first pixel: the mean is known."""
    shares = {0: 0.9, 1: 0.2, 2: 0.7}  # row → how sure of class 0
    rows = [
        make_row(number=0, num_frames=30, split="test", source="a", labels={"class": "x"}),
        make_row(number=1, num_frames=90, split="test", source="a", labels={"class": "x"}),
        make_row(number=2, num_frames=60, split="test", source="b", labels={"class": "y"}),
        make_row(number=3, num_frames=60, split="test", source="c", labels={"class": "other"}),
    ]
    catalog = Catalog.from_rows(rows)
    task = Action(classes=("x", "y"), class_counts=(1, 1), field="class", size_px=16)

    def made(task, catalog, _, *, index, rng):
        frames = np.full((task.num_views, 3, 16, 16), 100 * shares[index], dtype=np.uint8)
        label = np.array(task.label_of(catalog.row(index)))
        return None, SimpleNamespace(arrays={"frames": frames, "label": label})

    def outputs(batch):
        sure = batch["frames"][:, :, 0, 0, 0].double() / 100
        return {"views": torch.stack([sure, 1 - sure], dim=2).log()}

    monkeypatch.setattr("avssl.run.action_eval.make_example", made)
    learner: Any = SimpleNamespace(task=task, outputs=outputs)
    found = judge(learner, catalog, num_views=70, crops="one", device=torch.device("cpu"))
    sure_of_a = (0.9 * 30 + 0.2 * 90) / 120
    np.testing.assert_allclose(found.scores[:, 0], [sure_of_a, 0.7], atol=1e-6)
    np.testing.assert_allclose(found.views_right, [30 / 120, 0.0])
    assert found.labels.tolist() == [0, 1] and found.num_left_out == 1 and found.num_views == 70


@pytest.mark.parametrize("name", sorted(RECIPES["action"]))
def test_every_recipe_stands(name: str) -> None:
    config = config_from_recipe("action", name, data="d", out="o")
    assert isinstance(config.task, Action) and RECIPES["action"][name].about
    assert (config.task.num_frames > 1) == config.vision.startswith("pytorchvideo:")
    if name == "paper":  # papers.md §1.4: CaffeNet's 227 of 256 px; ours names its other sources
        assert round(config.task.test_scale * 256) == config.task.size_px == 227
