"""Folders of motion-captured people: their layout, going on after a stop, the script."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.errors import InputError

pybullet = pytest.importorskip("pybullet", reason="the extra avssl[mocap] is not installed")

from avssl.world.mocap import make_mocap  # noqa: E402
from avssl.world.mocap_body import JOINTS  # noqa: E402

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "num_train": 2,
    "num_validation": 1,
    "num_test": 1,
    "seed": 3,
    "short_side_px": 64,
    "duration_s": 1.0,
    "workers": 1,
    "quiet": True,
}


@pytest.fixture(scope="module")
def small_mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mocap(tmp_path_factory.mktemp("mocap") / "small", **SETTINGS)


def test_the_folder_is_laid_out_as_the_worlds_without_sound(small_mocap: Path):
    for split, count in (("train", 2), ("validation", 1), ("test", 1)):
        videos = sorted(path.stem for path in (small_mocap / split).iterdir())
        assert videos == [f"{split}_{index:05d}" for index in range(count)]
        truths = sorted(path.stem for path in (small_mocap / "truth" / split).iterdir())
        assert truths == videos
        coco = json.loads((small_mocap / "truth" / f"coco_{split}.json").read_text())
        assert coco["categories"][0]["keypoints"] == list(JOINTS)
        for image, row in zip(coco["images"], coco["annotations"], strict=True):
            truth_path = (small_mocap / "truth" / image["video"]).with_suffix(".json")
            truth = json.loads(truth_path.read_text())
            frame, person = image["frame_index"], truth["people"][0]
            points = np.reshape(row["keypoints"], (-1, 3))
            assert points[:, 2].tolist() == person["visibility"][frame]
            inside = points[:, 2] > 0
            there = np.array(person["keypoints_px"][frame])
            np.testing.assert_array_equal(points[inside, :2], there[inside])
    assert json.loads((small_mocap / "world.json").read_text())["complete"]
    with av.open(str(small_mocap / "train" / "train_00000.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        stream = container.streams.video[0]
        truth = json.loads((small_mocap / "truth" / "train" / "train_00000.json").read_text())
        assert (stream.width, stream.height, stream.average_rate) == (86, 64, 25)
        assert sum(1 for _ in container.decode(video=0)) == truth["num_frames"]


def test_it_goes_on_where_it_stopped_and_refuses_other_settings(small_mocap: Path):
    before = {path: path.stat().st_mtime_ns for path in small_mocap.rglob("*") if path.is_file()}
    make_mocap(small_mocap, **SETTINGS)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    clip = small_mocap / "test" / "test_00000.mp4"
    old = clip.read_bytes()
    clip.unlink()
    manifest = small_mocap / "world.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "complete": False}))  # as after a stop
    make_mocap(small_mocap, **SETTINGS)
    assert clip.read_bytes() == old
    kept = [path for path in before if path.suffix == ".mp4" and path != clip]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    with pytest.raises(InputError, match="another world"):
        make_mocap(small_mocap, **{**SETTINGS, "seed": 4})


def test_the_script_draws_a_sheet_and_says_no_more_than_it_must(tmp_path: Path):
    script = [sys.executable, str(ROOT / "tools" / "make_mocap.py"), str(tmp_path / "m")]
    counts = ["--train", "1", "--validation", "0", "--test", "0", "--workers", "1", "--quiet"]
    size = ["--short-side", "64", "--duration", "1", "--sheet", str(tmp_path / "s.png")]
    result = subprocess.run([*script, *counts, *size], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "s.png").stat().st_size > 10_000
    refused = subprocess.run([*script, "--short-side", "63"], capture_output=True, text=True)
    assert refused.returncode == 2 and refused.stderr.startswith("make_mocap: short side 63")
