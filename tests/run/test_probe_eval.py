"""`avssl eval probe` and `avssl eval neighbours` on a tiny set: files, rows, planted features."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import config_from_recipe, replaced
from avssl.downstream import linear
from avssl.downstream.neighbours import turn_hue
from avssl.run import neighbours_rows
from avssl.run.neighbours_eval import evaluate_neighbours
from avssl.run.probe_eval import evaluate_probe
from avssl.run.probe_samples import Network, networks, read_pictures, read_sounds, some_of
from avssl.run.train import train

pytestmark = pytest.mark.slow


SIDE = 64
SHAPES = ("ball", "box", "cross")
NUM_TRAIN, NUM_TEST = 12, 6


def write_clip(path: Path, shape: str, rng: np.random.Generator) -> list[list[float]]:
    """Writes a second of a shape that drifts over a textured wall, with a tone; gives its boxes."""
    pitch_hz = 300.0 * (1 + SHAPES.index(shape))
    wall = cv2.resize(rng.integers(60, 200, (8, 8, 3), dtype=np.uint8), (SIDE, SIDE))
    x, y = rng.uniform(14, SIDE - 24, 2)
    boxes = []
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("mpeg4", rate=10)
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        sound: Any = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(10):
            left, top = int(x + number), int(y)
            picture = wall.copy()
            mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
            if shape == "ball":
                cv2.circle(mask, (left, top), 9, 1, -1)
            elif shape == "box":
                cv2.rectangle(mask, (left - 9, top - 9), (left + 9, top + 9), 1, 3)
            else:
                cv2.line(mask, (left - 9, top - 9), (left + 9, top + 9), 1, 3)
                cv2.line(mask, (left - 9, top + 9), (left + 9, top - 9), 1, 3)
            picture[mask > 0] = 250
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            out.mux(video.encode(frame))
            boxes.append([left - 9.0, top - 9.0, left + 10.0, top + 10.0])
        times_s = np.arange(16_000) / 16_000
        tone = 6000 * np.sin(2 * np.pi * pitch_hz * times_s) + 300 * rng.standard_normal(16_000)
        block = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
        block.sample_rate, block.pts = 16_000, 0
        out.mux(sound.encode(block))
        out.mux(sound.encode(None))
        out.mux(video.encode(None))
    return boxes


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Clips of a second with three shapes and their tones; where the shape is, is known."""
    from avssl.prepare import PrepareSettings, prepare

    folder = tmp_path_factory.mktemp("probe")
    (folder / "videos").mkdir()
    rng, boxes = np.random.default_rng(0), {}
    for number in range(NUM_TRAIN + NUM_TEST):
        name = f"{number:02d}.mkv"
        boxes[name] = write_clip(folder / "videos" / name, SHAPES[number % 3], rng)
    settings = PrepareSettings(short_side_px=SIDE, gop=1)
    prepare(folder / "videos", folder / "data", settings=settings, jobs=1, quiet=True)
    rows = []
    for row in Catalog.read(folder / "data").rows():
        number = int(Path(row.source).stem)
        shape = SHAPES[number % 3]
        thing = {"kind": shape, "sounding": True, "boxes_px": boxes[Path(row.source).name]}
        labels = {"class_path": ["round" if shape == "ball" else "angular", shape],
                  "scene_kind": "odd" if number % 2 else "even", "width_px": SIDE,
                  "height_px": SIDE, "fps": 10, "people": [], "things": [thing]}  # fmt: skip
        split = "train" if number < NUM_TRAIN else "test"
        group = f"group{number}"
        rows.append(replace(row, split=split, labels=labels, group_id=group))
    assert len(rows) == NUM_TRAIN + NUM_TEST
    Catalog.from_rows(rows).write(folder / "data")
    return folder / "data"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of costs is tested elsewhere, and takes most of the time."""
    monkeypatch.setattr(linear, "COSTS", (1.0,))
    monkeypatch.setattr(linear.svm, "__kwdefaults__", {"costs": (1.0,)})
    monkeypatch.setattr(linear.softmax, "__kwdefaults__", {"costs": (1.0,)})


def test_samples(data: Path) -> None:
    catalog = Catalog.read(data).select(split="train")
    assert some_of(catalog, 0) == list(range(NUM_TRAIN))
    drawn = some_of(catalog, 5)
    assert drawn == sorted(set(drawn)) == some_of(catalog, 5) and len(drawn) == 5
    found = read_pictures(catalog, [0, 3], per_clip=2, num_frames=3, step_s=0.1)
    assert [one.shape for one in found.shown] == [(3, 3, SIDE, SIDE)] * 4
    assert found.clips.tolist() == [0, 0, 3, 3]
    single = read_pictures(catalog, [0, 3], per_clip=2)
    for one, other in zip(single.pictures(), found.pictures(), strict=True):
        np.testing.assert_array_equal(one, other)  # the middle frame is the sample's own
    rows, missing = networks("random:small", size_px=32)
    assert set(rows) == {"network", "untrained"} and not missing
    batch = rows["network"][0].batch(single.shown)
    assert batch.shape == (4, 3, 32, 32)
    small = cv2.resize(single.pictures()[1].transpose(1, 2, 0), (32, 32), interpolation=3)
    np.testing.assert_array_equal(batch[1].numpy().transpose(1, 2, 0), small)  # 3: area
    heard = read_sounds(catalog, [0, 3], per_clip=2, rate_hz=16_000, duration_s=0.5,
                        loudness_db=-20.0)  # fmt: skip
    for one in heard.shown:
        assert one.shape == (8000,) and 0.09 < one.std() < 0.11


def test_a_layer_that_holds_the_truth_is_found(
    data: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer of the network, and no layer of the untrained one, is told the scene."""
    plain = Network.vectors

    def told(self, samples, **how):
        found = plain(self, samples, **how)
        if self is first[0]:
            kinds = [row.labels["scene_kind"] for row in samples.rows]
            marks = [[kind == "odd", kind == "even", 1.0] for kind in kinds]
            found["vector"] = np.asarray(marks, dtype=np.float32)
        return found

    first: list[Network] = []

    def remember(*given, **named):
        found = networks(*given, **named)
        first.append(found[0]["network"][0])
        return found

    monkeypatch.setattr(Network, "vectors", told)
    monkeypatch.setattr("avssl.run.probe_eval.networks", remember)
    found = evaluate_probe(
        "random:small", data, classes="scene_kind", per_clip=1, num_untrained=1, size_px=32
    )
    assert found["rows"]["network"]["mAP"] == pytest.approx(1.0)
    assert found["layers"]["network"]["mAP"] == "vector"
    assert found["rows"]["untrained"]["mAP"] < 1.0
    assert found["num_features"]["network"] == {
        "res2": 24 * 64, "res3": 48 * 16, "res4": 96 * 4, "res5": 192, "vector": 3,
    }  # fmt: skip


def test_a_run_from_training_to_its_probe(
    data: Path, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    config = config_from_recipe("rotation", "small", data=str(data), out=str(run))
    small = {"steps": 4, "save_every": 2, "keep_checkpoints": 0, "batch_size": 4,
             "task.size_px": 32, "workers": 0, "num_evaluation_samples": 4,
             "tensorboard": False}  # fmt: skip
    train(replaced(config, small), quiet=True)
    capsys.readouterr()
    words = ["eval", "probe", str(run), "--data", str(data), "--untrained", "1", "--quiet"]
    words += ["--frames-per-clip", "2", "--imagenet", "timm:resnet18@x", "--level", "0"]
    assert main(words) == 2  # a file that is not there is said, not put in a table
    capsys.readouterr()
    words = [word for word in words if word not in ("--imagenet", "timm:resnet18@x")]
    assert main([*words, "--labels", "1", "100%", "--label-draws", "2", "--all-checkpoints"]) == 0
    shown = capsys.readouterr().out
    assert "| trivial: majority and mean |" in shown and "| HOG |" in shown
    found = json.loads((run / "probe_test.json").read_text())
    assert found["kind"] == "probe" and found["metric"] == "mAP" and found["size_px"] == 32
    assert set(found["rows"]) == {"network", "untrained", "HOG", "trivial: majority and mean"}
    assert list(found["curve"]["network"]) == ["res2", "res3", "res4", "res5", "vector"]
    assert list(found["steps"]["network"]) == ["0", "2", "4"]
    at = found["steps_layer"]
    assert found["steps"]["network"]["4"] == found["curve"]["network"][at]  # the newest is the run
    assert found["steps"]["network"]["0"] == found["curve"]["untrained"][at]
    assert set(found["labels"]["network"]) == {"1", "100%"}
    full = found["labels"]["network"]["100%"]["mAP"]
    assert full == pytest.approx(found["rows"]["network"]["mAP"])
    for name in found["pictures"]:
        assert cv2.imread(str(run / name)) is not None and found["alts"][name]
    assert len(found["pictures"]) == 3
    low, high = found["intervals"]["network"]["softmax top-1"]
    assert low <= found["rows"]["network"]["softmax top-1"] <= high
    for wrong, said in (
        (["--labels", "0"], "--labels 0: write clips a class"),
        (["--classes", "view", "--labels", "5"], "only shares"),
        (["--classes", "sort"], "no clip has such a label"),
        (["--data", str(tmp_path)], "no catalog.parquet"),
    ):
        assert main([*words, *wrong]) == 2
        assert said in capsys.readouterr().err


def test_sounds(data: Path, quick: None) -> None:
    found = evaluate_probe(
        "random:logmel16k/small-bn", data, stream="sound", per_clip=1, num_untrained=0
    )
    assert found["rows"]["log-mel"]["softmax top-1"] == 1.0  # three pitches
    assert set(found["rows"]) == {"network", "log-mel", "trivial: majority and mean"}
    assert found["num_features"]["log-mel"] == {"log-mel": 256}
    assert not [name for name in found["metrics"] if name.startswith("R²")]


def test_neighbours_from_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "n.json"
    words = ["eval", "neighbours", "random:small", "--data", str(data), "--quiet"]
    words += ["--classes", "scene_kind", "--queries", "2", "--frames-per-clip", "2"]
    words += ["--untrained", "1", "--size-px", "32"]
    assert main([*words, "-o", str(out)]) == 0
    assert "| trivial: mean colour |" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["layer"] == "res4" and found["num_queries"] == 12 and found["num_gallery"] == 24
    assert set(found["rows"]) == {
        "network", "untrained", "trivial: pixels", "trivial: mean colour", "trivial: random order"
    }  # fmt: skip
    assert len(found["pictures"]) == 4
    for name in found["pictures"]:
        assert cv2.imread(str(tmp_path / name)) is not None
    for wrong, said in (
        (["--layer", "res9"], "random:small has"),
        (["--neighbours", "90"], "must be 1 to 50"),
        (["--patch-side", "2"], "--patch-side 2"),
    ):
        assert main([*words, *wrong]) == 2
        assert said.replace("random:small", "small") in capsys.readouterr().err


def test_planted_neighbours(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees lightness alone ignores hue; one that sees the clip would find itself."""

    def grey(shown):
        light = [one.max(axis=1).astype(np.float32)[:, ::8, ::8].ravel() for one in shown]
        return np.asarray(light) / 255  # the value of HSV: untouched by a turn of the hue

    monkeypatch.setattr(neighbours_rows, "_color", grey)
    found, sets, looked = evaluate_neighbours(
        "random:small", data, split="test", among=("test",), per_clip=2, num_untrained=0, size_px=32
    )
    assert found["rows"]["trivial: mean colour"]["hue overlap@10"] == pytest.approx(1.0, abs=0.02)
    # queries and gallery are the same frames: nothing is found in the own video
    places = looked["network"].found.indices
    for query, nearest in enumerate(places):
        kept = nearest[nearest >= 0]
        assert len(kept) == 10  # five other clips, two frames each
        assert (sets.gallery_groups[kept] != sets.query_groups[query]).all()
    one = sets.queries.shown[0][0]
    assert np.array_equal(turn_hue(one, 60).max(axis=0), one.max(axis=0))
