"""The scripts of UCF101, HMDB51 and Kinetics on small copies of the official layouts, with AVI."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher

TOOL = Path(__file__).resolve().parents[2] / "tools" / "conformance.py"


@pytest.fixture(scope="module")
def conformance() -> Any:
    """tools/conformance.py, which packs B-frames as DivX and Xvid do."""
    if "conformance" not in sys.modules:
        spec = importlib.util.spec_from_file_location("conformance", TOOL)
        assert spec is not None and spec.loader is not None
        module = sys.modules["conformance"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["conformance"]


def sequential(path: Path, *, width: int, height: int) -> np.ndarray:
    """Grey frames uint8 [T, H, W] of the whole file, in order, as ffmpeg itself decodes them."""
    import imageio_ffmpeg

    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-an"]
    words += ["-fps_mode", "passthrough", "-s", f"{width}x{height}", "-pix_fmt", "gray"]
    done = subprocess.run([*words, "-f", "rawvideo", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width)


def prepared_grey(directory: Path, index: int) -> np.ndarray:
    """All frames of a row, asked for in a random order, float [T, H, W] in levels of 255."""
    catalog = Catalog.read(directory)
    row = catalog.row(index)
    order = np.random.default_rng(0).permutation(row.num_frames)
    frames = Fetcher(directory).frames(row, row.frame_times_s[order]).frames
    assert frames is not None
    grey = np.tensordot([0.299, 0.587, 0.114], frames.astype(float), axes=(0, 1))
    return grey[np.argsort(order)]


def test_ucf101_with_packed_b_frames_is_read_frame_by_frame(
    run, conformance, tmp_path: Path, capsys
) -> None:
    """Every frame says its number: random reading of the prepared AVI gives the right ones."""
    (case,) = (one for one in conformance.CASES if one.name == "mpeg4 avi, packed B-frames")
    made = conformance.make_files(tmp_path / "made", (case,))[case.name]
    folder = tmp_path / "UCF-101" / "YoYo"
    folder.mkdir(parents=True)
    made.rename(folder / "v_YoYo_g01_c01.avi")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 YoYo\r\n2 Archery\r\n")
    (lists / "trainlist01.txt").write_text("Archery/v_Archery_g08_c01.avi 2\r\n")
    (lists / "testlist01.txt").write_text("YoYo/v_YoYo_g01_c01.avi\r\n")
    words = [tmp_path / "UCF-101", tmp_path / "out", "--lists", lists, "--jobs", 1]
    assert run("ucf101", *words) == 0
    said = capsys.readouterr().out
    assert "1 of 2 clips of the lists are not in" in said
    assert "1 classes without a file: Archery" in said
    (row,) = Catalog.read(tmp_path / "out").rows()
    assert (row.split, row.labels["class"], row.group_id) == ("test", "YoYo", "YoYo/v_YoYo_g01")
    order = np.random.default_rng(1).permutation(row.num_frames)
    frames = Fetcher(tmp_path / "out").frames(row, row.frame_times_s[order]).frames
    assert frames is not None and len(frames) == len(case.numbers)
    found = [case.number_of(picture) for picture in frames]
    assert found == [case.numbers[place] for place in order]


def test_a_real_avi_agrees_with_ffmpeg_in_order(run, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "containers" / "action.avi"
    if not source.is_file():
        pytest.skip(f"{source} is not here")
    (tmp_path / "in" / "dance").mkdir(parents=True)
    (tmp_path / "in" / "dance" / "x.avi").symlink_to(source)
    how = ["--short-side", 96, "--jobs", 1, "--quiet"]
    assert run("plain_folder", tmp_path / "in", tmp_path / "out", *how) == 0
    found = prepared_grey(tmp_path / "out", 0)
    truth = sequential(source, width=found.shape[2], height=found.shape[1]).astype(float)
    assert abs(len(found) - len(truth)) <= 1
    for number, picture in enumerate(found[: len(truth)]):
        near = range(max(0, number - 3), min(len(truth), number + 4))
        off = {other: float(np.abs(picture - truth[other]).mean()) for other in near}
        assert off[number] <= min(off.values()) + 0.25, (number, off)


def test_hmdb51_odd_names_equal_names_and_a_folder_that_is_absent(
    run, make, tmp_path: Path, capsys
) -> None:
    names = {
        "pick/#1_Beach__Japan_pick_f_cm_np1_fr_med_1.avi": 1,
        "pick/Tom & Jerry (1)!_pick_u_nm_np2_le_goo_10.avi": 2,
        "kick/twice_kick_f_nm_np1_fr_bad_0.avi": 1,
        "kick_ball/twice_kick_f_nm_np1_fr_bad_0.avi": 2,  # the same name in another class
    }
    lists = tmp_path / "splits"
    lists.mkdir()
    texts = {"drink": "absent_drink_h_nm_np1_fr_goo_7.avi 1 \n"}
    for number, (name, way) in enumerate(names.items()):
        label, file = name.split("/")
        options = {"q:v": "4"}
        make(tmp_path / "HMDB51" / name, 12, codec="mpeg4", options=options, scene_seed=number)
        texts[label] = texts.get(label, "") + f"{file} {way} \n"
    for label, text in texts.items():
        (lists / f"{label}_test_split1.txt").write_text(text)
    words = [tmp_path / "HMDB51", tmp_path / "out", "--lists", lists, "--jobs", 1]
    assert run("hmdb51", *words, "--short-side", 64) == 0
    said = capsys.readouterr().out
    assert "1 classes without a file: drink" in said
    rows = Catalog.read(tmp_path / "out").rows()
    assert {row.source: row.labels["class"] for row in rows} == {
        f"{'train' if way == 1 else 'test'}/{name}": name.split("/")[0]
        for name, way in names.items()
    }
    assert (
        tmp_path / "out" / "missing.txt"
    ).read_text() == "drink/absent_drink_h_nm_np1_fr_goo_7\n"
    assert run("hmdb51", *words[:3], tmp_path, "--quiet") == 2
    error = capsys.readouterr().err
    assert error.startswith("make_catalog: ") and len(error.splitlines()) == 1


def test_kinetics_validation_is_the_test_set(run, make, tmp_path: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split\n"
    clips = {"-2Dm0VjW8oM": ("abseiling", "train"), "0_8-g2rof7E": ("zumba", "val")}
    for number, (video, (label, split)) in enumerate(clips.items()):
        name = f"{label}/{video}_000009_000019.mp4"
        make(tmp_path / "in" / name, 12, scene_seed=number)
        (tmp_path / f"{split}.csv").write_text(f"{head}{label},{video},9,19,{split}\n")
    words = [tmp_path / "in", tmp_path / "out", "--list", tmp_path / "train.csv"]
    words += [tmp_path / "val.csv", "--short-side", 64, "--jobs", 1, "--quiet"]
    assert run("kinetics", *words) == 0
    rows = Catalog.read(tmp_path / "out").rows()
    assert {row.labels["class"]: row.split for row in rows} == {
        "abseiling": "train", "zumba": "test"
    }  # fmt: skip
