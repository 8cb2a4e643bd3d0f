"""VGG-SS and Flickr-SoundNet: official files, broken boxes, the leak, the way to a data set."""

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.labels.flickr_soundnet import read_annotators
from avssl.labels.sounding import moments_of
from avssl.labels.vggss import read_ids, read_vggss, refuse_leak

ENTRIES = [
    {"file": "aaaaaaaaaaa_000010", "class": "dog barking", "bbox": [[0.1, 0.2, 0.5, 0.9]]},
    {"file": "bbbbbbbbbbb_000020", "class": "playing drum",
     "bbox": [[0.384375, 0.859375, 0.696875, -2.8823037615171176e16], [0.05, 0.35, 0.75, 1.2]]},
    {"file": "ccccccccccc_000030", "class": "cat", "bbox": [[0.3, 0.3, 0.3, 0.8]]},
]  # fmt: skip


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_broken_boxes_are_cut_or_left_out_and_counted(tmp_path: Path) -> None:
    again = {"file": "aaaaaaaaaaa_000010", "class": "dog barking", "bbox": [[0, 0, 0.1, 0.1]]}
    joined = read_vggss(write(tmp_path / "vggss.json", [*ENTRIES, again]))
    assert joined.num_repeated == 1 and len(joined.items["aaaaaaaaaaa_000010"].boxes) == 2
    found = read_vggss(write(tmp_path / "vggss.json", ENTRIES))
    assert found.items["aaaaaaaaaaa_000010"].boxes == ((0.1, 0.2, 0.5, 0.9),)
    assert found.items["bbbbbbbbbbb_000020"].boxes == ((0.05, 0.35, 0.75, 1.0),)
    assert (found.num_cut, found.num_degenerate, found.num_empty) == (2, 2, 1)
    assert "1 clips without a box" in str(found)


def test_the_official_excerpt(shared_data: Path) -> None:
    path = shared_data / "localisation" / "vggss_excerpt.json"
    found = read_vggss(path)
    raw = json.loads(path.read_text())
    assert len(found.items) + found.num_repeated == len(raw) == 60
    outside = sum(not 0 <= value <= 1 for row in raw for box in row["bbox"] for value in box)
    assert found.num_cut >= 1 and outside >= found.num_cut
    for row in raw:
        for box in found.items[row["file"]].boxes:
            assert 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "must be a list"),
        ([{"file": "a"}], "entry 0 must have"),
        ([{"file": "a", "class": "b", "bbox": [[0, 1, 2]]}], "four numbers"),
        ([{"file": "a", "class": "b", "bbox": [["x", 0, 0, 0]]}], "entry 0"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_vggss(write(tmp_path / "v.json", value))


def test_lists_of_clips_and_the_leak(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("x/aaaaaaaaaaa_000010.mp4\nzzzzzzzzzzz_000000\n")
    assert read_ids(path) == ["aaaaaaaaaaa_000010", "zzzzzzzzzzz_000000"]
    path.write_text("video,label\nq_000001,non-sounding\n")
    assert read_ids(path) == ["q_000001"]
    with pytest.raises(InputError, match=r"t: holds 1 of the 2 clips of v \(a…\)"):
        refuse_leak(["a", "c"], ["a", "b"], training_name="t", test_name="v")
    refuse_leak(["c"], ["a", "b"], training_name="t", test_name="v")
    path.write_text("")
    with pytest.raises(InputError, match="no clips in it"):
        read_ids(path)


XML = """<annotation><filename>1</filename>
<annotator><bbox><name>1</name><xmin>64</xmin><ymin>0</ymin><xmax>128</xmax><ymax>256</ymax></bbox>
</annotator>
<annotator><bbox><name>1</name><xmin>128</xmin><ymin>64</ymin><xmax>0</xmax><ymax>32</ymax></bbox>
<bbox><name>2</name><xmin>0</xmin><ymin>0</ymin><xmax>10</xmax><ymax>10</ymax></bbox></annotator>
</annotation>"""


def test_boxes_of_annotators(tmp_path: Path) -> None:
    path = tmp_path / "1.xml"
    path.write_text(XML)
    first, second = read_annotators(path)
    assert first == ((0.25, 0.0, 0.5, 1.0),)
    assert second[0] == (0.0, 0.125, 0.5, 0.25) and len(second) == 2
    for text, message in (
        ("<a", "not XML"),
        ("<a><b/></a>", "no annotator"),
        (XML.replace("64<", "sixty<"), "must hold five values"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declares entities"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_annotators(path)


def run_script(root: Path, *words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["make_catalog", *words])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(root / "datasets" / "vggss" / "make_catalog.py"), run_name="__main__")
    return int(done.value.code or 0)


@pytest.mark.slow
def test_from_the_official_files_to_a_data_set(root, tmp_path, monkeypatch, capsys) -> None:
    spec = importlib.util.spec_from_file_location(
        "prepare_tools", root / "tests" / "prepare" / "conftest.py"
    )
    assert spec and spec.loader
    tools = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tools)
    sound = (0.3 * np.sin(np.arange(2 * 48_000) / 20)).astype(np.float32)
    for number, name in enumerate(
        ["aaaaaaaaaaa_000010", "bbbbbbbbbbb_000020", "zzzzzzzzzzz_000000", "unlisted_000000"]
    ):
        own = tools.background(np.random.default_rng(number))
        pictures = [tools.numbered(k, own) for k in range(50)]
        tools.write_video(tmp_path / "clips" / "part" / f"{name}.mp4", pictures, sound=sound,
                          sound_codec="aac")  # fmt: skip
    truth = write(tmp_path / "vggss.json", ENTRIES)
    names = tmp_path / "train.txt"
    names.write_text("zzzzzzzzzzz_000000\naaaaaaaaaaa_000010\n")
    words = [str(tmp_path / "clips"), str(truth), str(tmp_path / "set"), "--train-list", str(names)]
    assert run_script(root, *words, "--quiet", monkeypatch=monkeypatch) == 2
    assert "holds 1 of the 3 clips" in capsys.readouterr().err
    words += ["--drop-leaked", "--short-side", "64", "--quiet"]
    assert run_script(root, *words, monkeypatch=monkeypatch) == 0
    catalog = Catalog.read(tmp_path / "set")
    splits = {Path(row.source).stem: row.split for row in catalog.rows()}
    assert splits == {"aaaaaaaaaaa_000010": "test", "bbbbbbbbbbb_000020": "test",
                      "zzzzzzzzzzz_000000": "train"}  # fmt: skip
    assert not (tmp_path / "set_listed").exists()
    (row,) = [row for row in catalog.rows() if "bbbb" in row.source]
    (moment,) = moments_of(0, row, times_s=[])
    assert moment.boxes == ((0.05, 0.35, 0.75, 1.0),) and moment.name == "playing drum"
    assert moment.time_s == 5.0
    # a folder that holds none of them
    (tmp_path / "other").mkdir()
    words[0] = str(tmp_path / "other")
    words[2] = str(tmp_path / "set2")
    assert run_script(root, *words, monkeypatch=monkeypatch) == 2
    assert "none of the 3 clips of the lists is there" in capsys.readouterr().err
