"""The scripts of datasets/: arguments reach the parsers, errors are one line and exit code 2."""

import json
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

Run = Callable[..., int]


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script with a writer that keeps what it is given; gives the exit code."""

    def script(name: str, *arguments: object) -> int:
        path = root / "datasets" / name / "make_catalog.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(path), run_name="__main__")
        return int(done.value.code or 0)

    return script


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    module = types.ModuleType("avssl.prepare.images")
    vars(module)["write_labelled"] = lambda *given, **more: calls.append((*given, more))
    monkeypatch.setitem(sys.modules, "avssl.prepare.images", module)
    return calls


def test_flic(run: Run, written: list[tuple[Any, ...]], structs, touch, tmp_path: Path) -> None:
    example = {
        "moviename": "film", "coords": np.ones((2, 29)), "filepath": "a.jpg", "currframe": 1.0,
        "torsobox": np.ones((1, 4)), "istrain": np.bool_(1), "istest": np.bool_(0),
    }  # fmt: skip
    rows = [example | {"moviename": f"f{n}", "filepath": f"{n}.jpg"} for n in range(10)]
    savemat(tmp_path / "examples.mat", {"examples": structs(rows)})
    touch(tmp_path / "images", *(f"{n}.jpg" for n in range(10)))
    assert run("flic", tmp_path, tmp_path / "out", "--head", "--max-side", 64, "--quiet") == 0
    ((labelled, destination, more),) = written
    splits = [image.split for image in labelled.images]
    assert (splits.count("train"), splits.count("validation")) == (9, 1)
    assert len(labelled.skeleton.names) == 12 and destination == str(tmp_path / "out")
    assert more == {"max_side_px": 64, "seed": 0, "quiet": True}


def test_mpii_and_coco_take_several_files(
    run: Run, written: list[tuple[Any, ...]], touch, tmp_path: Path
) -> None:
    row = {"image": "a.jpg", "center": [1, 2], "scale": 1.0}
    row |= {"joints": [[3, 4]] * 16, "joints_vis": [1] * 16}
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}],
        "categories": [{"id": 1, "keypoints": ["nose"]}],
    }
    for name in ("train", "val"):
        (tmp_path / f"{name}.json").write_text(json.dumps([row]))
        (tmp_path / f"coco_{name}.json").write_text(json.dumps(coco))
        touch(tmp_path / name, "a.jpg")
    files = [tmp_path / "train.json", tmp_path / "val.json"]
    assert run("mpii", *files, tmp_path / "out", "--images", tmp_path / "train") == 0
    files = [tmp_path / "coco_train.json", tmp_path / "coco_val.json"]
    folders = [tmp_path / "train", tmp_path / "val"]
    assert run("coco", *files, tmp_path / "out", "--images", *folders) == 0
    for labelled, *_ in written:
        assert [image.split for image in labelled.images] == ["train", "validation"]
    assert [image.path for image in written[1][0].images] == ["train/a.jpg", "val/a.jpg"]


def test_deeplabcut(run: Run, written: list[tuple[Any, ...]], touch, tmp_path: Path) -> None:
    table = "scorer,a,a,a,a\nbodyparts,l,l,r,r\ncoords,x,y,x,y\nlabeled-data/v/1.png,1,2,3,4\n"
    (tmp_path / "CollectedData.csv").write_text(table)
    touch(tmp_path, "labeled-data/v/1.png")
    options = ["--flip", "l", "r", "--normaliser", "l-r", "--fractions", "0.5", "0.5", "0"]
    assert run("deeplabcut", tmp_path, tmp_path / "out", *options) == 0
    ((labelled, _, more),) = written
    assert labelled.skeleton.flip_pairs == ((0, 1),) and labelled.skeleton.normaliser == "l-r"
    assert more["fractions"] == (0.5, 0.5, 0.0)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("flic", ["SOURCE", "out"]),
        ("mpii", ["SOURCE", "out"]),
        ("coco", ["SOURCE", "out", "--images", "SOURCE"]),
        ("coco", ["SOURCE", "out", "--images", "SOURCE", "SOURCE"]),
        ("deeplabcut", ["SOURCE", "out"]),
    ],
)
def test_errors_are_one_line(
    run: Run,
    written: list[tuple[Any, ...]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    arguments: list[str],
) -> None:
    assert run(name, *(str(tmp_path) if one == "SOURCE" else one for one in arguments)) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("make_catalog: ") and len(shown.splitlines()) == 1
    assert not written
