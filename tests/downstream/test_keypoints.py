"""Keypoints end to end on discs whose places are known: samples, heads, training, prediction."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import TrainConfig, config_from_recipe
from avssl.data import make_example
from avssl.decode import open_video
from avssl.decode.fetch import Fetcher
from avssl.downstream.keypoints import Keypoints
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.run.pose import load_pose
from avssl.run.train import build_learner, train
from avssl.task import Learner, widths_of

COLOR_OF = np.eye(3)  # head red, left hand green, right hand blue


@pytest.fixture(scope="module")
def catalog(data) -> Catalog:
    return Catalog.read(data)


@pytest.fixture(scope="module")
def task(catalog) -> Keypoints:
    return Keypoints(size_px=64, head_width=32, sigma_cells=1.0).completed(catalog)


def example_of(task: Keypoints, catalog: Catalog, index: int, seed: int = 0):
    fetcher = Fetcher(catalog.directory)
    rng = np.random.default_rng(seed)
    return make_example(task, catalog, lambda: fetcher, index=index, rng=rng)


def test_what_the_data_set_knows_is_filled_in(task, catalog) -> None:
    assert task.joints == ("head", "left_hand", "right_hand")
    assert task.flip_pairs == ((1, 2),) and task.normaliser == "box"
    assert task.crop == "person" and task.threshold == 0.1
    assert task.completed(catalog) == task
    with pytest.raises(InputError, match="the data set has"):
        dataclasses.replace(task, joints=("nose",), flip_pairs=(), edges=()).completed(catalog)


def test_every_joint_is_on_its_disc_whatever_the_view(task, catalog) -> None:
    """Turned, scaled, shifted, mirrored: the disc under the joint keeps its colour, or, where left
    and right change places, takes the other hand's."""
    train_rows = catalog.select(split="train")
    flips = 0
    for seed in range(40):
        plan, example = example_of(task, train_rows, seed % len(train_rows), seed)
        flips += int(plan.target["flip"])
        frames, joints = example.arrays["frames"], example.arrays["joints"]
        for k in np.flatnonzero(example.arrays["labelled"]):
            x, y = np.rint(joints[k]).astype(int)
            if not (2 <= x < 62 and 2 <= y < 62):
                continue
            color = frames[:, y, x].astype(float)
            expected = k
            if plan.target["flip"] and k in (1, 2):
                expected = 3 - k  # the joint called left is the one drawn in the right hand's blue
            assert color.argmax() == expected, (seed, k, color)
    assert 8 <= flips <= 32


def test_only_training_rows_are_changed(task, catalog) -> None:
    held_out = catalog.select(split="validation")
    one, other = (example_of(task, held_out, 3, seed)[1].arrays for seed in (0, 1))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_fewer_labels_are_a_part_of_more(task, catalog) -> None:
    rows = catalog.select(split="train")
    sets = [
        set(dataclasses.replace(task, num_labels=num).items(rows).tolist()) for num in (10, 25, 0)
    ]
    assert [len(found) for found in sets] == [10, 25, 80]
    assert sets[0] < sets[1] < sets[2]
    other = dataclasses.replace(task, num_labels=10, label_seed=1).items(rows)
    assert set(other.tolist()) != sets[0]
    held_out = catalog.select(split="validation")
    assert len(dataclasses.replace(task, num_labels=10).items(held_out)) == 20


def test_scores_are_those_of_a_loop(task) -> None:
    rng = np.random.default_rng(0)
    errors = rng.exponential(0.1, (50, 3))
    errors[rng.random((50, 3)) < 0.2] = -1.0
    columns = {f"_error_{k}": errors[:, k] for k in range(3)} | {"pck": np.zeros(50)}
    scores = task.scores(columns)
    shares, middle = [], []
    for k in range(3):
        known = [e for e in errors[:, k] if e >= 0]
        shares.append(sum(e <= 0.1 for e in known) / len(known))
        middle += known
    assert scores["pck"] == pytest.approx(np.mean(shares))
    assert scores["median_error"] == pytest.approx(np.median(middle))
    assert 0 < scores["auc"] < scores["pck"]
    assert task.scores({"_error_0": np.full(4, -1.0)}) == {}


def test_the_blind_guess_is_the_mean_pose(task, catalog) -> None:
    blind = task.trivial(catalog.select(split="test"))
    assert set(blind) == {"pck", "auc", "median_error"}
    assert 0.02 < blind["median_error"] < 0.3


@pytest.mark.parametrize("head_kind", ["heatmap", "regression"])
def test_a_frozen_encoder_stays_and_the_head_moves(task, head_kind) -> None:
    own = dataclasses.replace(task, tune="frozen", head_kind=head_kind)
    encoders = {"vision": build_encoder("small-bn", seed=0)}
    learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).train()
    before = {k: v.clone() for k, v in learner.encoders.state_dict().items()}
    batch = {
        "frames": torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8),
        "joints": torch.rand(4, 3, 2) * 60,
        "labelled": torch.ones(4, 3),
        "normaliser": torch.full((4,), 40.0),
    }
    step = learner(batch)
    step.loss.backward()
    assert set(step.sums) == {"loss", "pck"}  # the errors of single joints are no means
    torch.optim.SGD([w for w in learner.parameters() if w.requires_grad], lr=0.1).step()
    after = learner.encoders.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)  # BatchNorm's statistics too
    assert any(weight.grad is not None for weight in learner.head.parameters())


def test_any_layer_can_be_handed_on(task) -> None:
    encoders = {"vision": build_encoder("small", seed=0)}
    frames = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    for layer in ("res2", "res3", "res4", "res5", ""):
        own = dataclasses.replace(task, layer=layer)
        learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).eval()
        assert learner.outputs({"frames": frames})["maps"].shape == (1, 3, 16, 16)
    with pytest.raises(InputError, match="layer 'res9': the vision encoder has res2"):
        dataclasses.replace(task, layer="res9").head(widths_of(encoders))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """200 steps on the discs."""
    config = config_from_recipe(
        "keypoints", "small", data=str(data), out=str(tmp_path_factory.mktemp("run") / "run"),
        steps=200, workers=0, evaluate_every=0, num_evaluation_samples=20, tensorboard=False,
    )  # fmt: skip
    return train(config, quiet=True)


@pytest.mark.slow
def test_it_learns_and_the_pose_comes_back(run, data, catalog) -> None:
    scores = json.loads((run / "run.json").read_text())
    assert scores["scores"]["pck"] > 0.9 > scores["trivial"]["pck"]
    pose = load_pose(run)
    rows = catalog.select(split="test")
    errors = []
    for index in range(len(rows)):
        row = rows.row(index)
        frames = Fetcher(data).frames(row, (row.start_s,)).frames
        cells = row.labels["keypoints"]
        found = pose.predict(frames, boxes_px=[cells["box_px"]])
        assert found.shape == (1, 3, 3) and found.dtype == np.float32
        for k, joint in enumerate(cells["joints_px"]):
            if joint is not None:
                errors.append(np.linalg.norm(found[0, k, :2] - joint))
    assert np.median(errors) < 2.0  # px of 120 x 90
    # the network that is loaded is the one of the checkpoint
    config = TrainConfig(task=pose.task, data=str(data), out=str(run), vision="small")
    assert build_learner(config).head.state_dict().keys() == pose.head.state_dict().keys()


@pytest.mark.slow
def test_the_official_figures_from_the_command_line(run, data, capsys) -> None:
    assert main(["eval", "pose", str(run), "--data", str(data), "--quiet"]) == 0
    assert "head" in capsys.readouterr().out
    found = json.loads((run / "pose_test.json").read_text())["scores"]
    assert found["num_people"] == 20 and found["pck_mean"] > 0.8
    assert main(["eval", "poses", str(run), "--data", str(data)]) == 2
    assert "pose" in capsys.readouterr().err


@pytest.mark.slow
def test_a_video_gets_joints_sound_and_a_table(run, labelled, tmp_path, capsys) -> None:
    import av
    import cv2

    source = tmp_path / "moving.mkv"
    picture = cv2.imread(str(labelled.root / labelled.images[0].path))
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 120, 90, "yuv420p"
        heard = out.add_stream("aac", rate=48000)
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(
                np.roll(picture, number // 3, axis=1), format="bgr24"
            )
            frame.pts = number
            out.mux(stream.encode(frame))
        tone = (0.3 * np.sin(np.arange(48000) ** 2 * 2e-6)).astype(np.float32)
        for at in range(0, 48000, 1024):
            block = av.AudioFrame.from_ndarray(
                tone[None, at : at + 1024], format="fltp", layout="mono"
            )
            block.sample_rate, block.pts = 48000, at
            out.mux(heard.encode(block))
        out.mux(stream.encode(None))
        out.mux(heard.encode(None))
    target = tmp_path / "out.mp4"
    assert main(["pose", "predict", str(run), str(source), "-o", str(target), "--quiet"]) == 0
    assert "25 frames" in capsys.readouterr().out
    with open_video(target) as reader, open_video(source) as before:
        assert reader.num_frames == 25 and reader.info.has_sound
        np.testing.assert_allclose(reader.frame_times_s, np.arange(25) / 25, atol=1e-3)
        one = reader.sound(start_s=0.2, duration_s=0.5, rate_hz=48000).samples
        other = before.sound(start_s=0.2, duration_s=0.5, rate_hz=48000).samples
        # Matroska rounds its times, so the sound is coded anew: to the sample, a lossy copy
        lags = [
            np.corrcoef(one[0, 99 + d : 20000 + d], other[0, 99:20000])[0, 1] for d in range(-9, 10)
        ]
        assert int(np.argmax(lags)) == 9
        assert max(lags) > 0.99
        assert (
            np.abs(reader.frames_at([0.5])[0].astype(int) - before.frames_at([0.5])[0]).max() > 60
        )
    with (tmp_path / "out.csv").open() as stream:
        table = list(csv.reader(stream))
    assert table[1][1:5] == ["head", "head", "head", "left_hand"]
    assert table[2][1:4] == ["x", "y", "likelihood"] and len(table) == 28
    assert not list(tmp_path.glob(".*"))
    assert main(["pose", "predict", str(run), str(source), "-o", str(tmp_path / "x.avi")]) == 2
    assert "must end in .mp4" in capsys.readouterr().err


def test_a_run_of_something_else_is_no_pose(tmp_path) -> None:
    with pytest.raises(InputError, match="not the folder of a run"):
        load_pose(tmp_path)
