"""Lists of clips → links, labels and splits: the scripts of datasets/ on files of their layouts."""

import json
from pathlib import Path
from typing import Any

import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.labels.sounding import class_path
from avssl.prepare import PrepareSettings
from avssl.prepare.folder import class_of
from avssl.prepare.listed import prepare_listed
from avssl.prepare.summary import Report

A, B, C, D = "-2Dm0VjW8oM", "0_8-g2rof7E", "__0123456-9", "dddddddddd0"


class Calls(list[dict[str, Any]]):
    """What a stand-in for `prepare` was called with: {relative path: (file's bytes, labels)}."""

    moved: str = ""
    """A relative path that `prepare` would put into the split test (its group is in it)."""


@pytest.fixture
def calls(make_row, monkeypatch: pytest.MonkeyPatch) -> Calls:
    seen = Calls()

    def prepare(source: Path, destination: Path, *, settings: PrepareSettings, **_: Any) -> Report:
        files = {}
        rows = []
        for path in sorted(source.rglob("*.*")):
            if path.suffix == ".json" or path.is_dir():
                continue
            beside = path.with_suffix(".json")
            labels = json.loads(beside.read_text()) if beside.is_file() else {}
            relative = path.relative_to(source).as_posix()
            files[relative] = (path.read_text(), labels)
            split = "test" if relative == seen.moved else relative.split("/")[0]
            split = split if split in ("train", "validation", "test") else "train"
            rows.append(make_row(number=len(rows), source=relative, split=split, labels=labels))
        seen.append({"files": files, "settings": settings})
        destination.mkdir(exist_ok=True)
        Catalog.from_rows(rows, directory=destination).write(destination)
        return Report(
            destination=destination, num_files=len(rows), num_clips=len(rows), num_quarantined=0,
            num_copies=0, num_skipped=0, num_groups=len(rows), splits={"test": 0}, video_s=1.0,
            seconds=1.0,
        )  # fmt: skip

    monkeypatch.setattr("avssl.prepare.listed.prepare", prepare)
    monkeypatch.setattr("avssl.prepare.folder.prepare", prepare)
    return seen


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_vggsound(run, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = files(tmp_path / "clips", f"a/{A}_000075.mp4", f"b/c/{B}_000049.mkv", f"{C}.mp4",
                   "unlisted_000001.mp4", f"{A}_000075.wav")  # fmt: skip
    table = write(
        tmp_path / "vggsound.csv",
        f'{A},75,fox barking,test\n{B},49,"heart sounds, heartbeat",train\n{C},0,raining,train\n'
        f"{D},0,raining,test\n{A},90,fox barking,train\n",
    )
    words = [source, tmp_path / "out", "--list", table, "--short-side", 64]
    assert run("vggsound", *words) == 0
    (call,) = calls
    assert call["files"] == {
        f"test/{A}_000075.mp4": (f"a/{A}_000075.mp4", {"class": "fox barking"}),
        f"train/{B}_000049.mkv": (f"b/c/{B}_000049.mkv", {"class": "heart sounds, heartbeat"}),
    }
    assert call["settings"].short_side_px == 64 and call["settings"].split_from == "folders"
    said = capsys.readouterr().out
    assert "1 clips to train on are of a video that the test set has too" in said
    assert f"2 of 4 clips of the lists are not in {source} ({D}_000000, {C}_000000…)" in said
    missing = (tmp_path / "out" / "missing.txt").read_text().split()
    assert missing == [f"{D}_000000", f"{C}_000000"]
    assert not (tmp_path / "out_listed").exists()
    assert [class_path(row) for row in Catalog.read(tmp_path / "out").rows()] == [
        ("fox barking",), ("heart sounds, heartbeat",)
    ]  # fmt: skip
    # by the id alone only where it is asked for
    assert run("vggsound", *words, "--by-id", "--quiet") == 0
    assert f"train/{C}_000000.mp4" in calls[-1]["files"] and capsys.readouterr().out == ""


def test_kinetics_in_folders_of_classes_and_flat(run, calls: Calls, tmp_path: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split\n"
    train = write(
        tmp_path / "train.csv", f"{head}bowling,{A},9,19,train\nabseiling,{B},0,9,train\n"
    )
    val = write(
        tmp_path / "val.csv", f"{head}strumming guitar,{C},81,91,val\nsinging,{D},1,9,val\n"
    )
    wanted = {f"train/{A}_000009_000019.mp4": "bowling", f"test/{D}_000001_000009.mp4": "singing"}
    for name, folders in (("flat", ("", "", "")), ("deep", ("bowling/", "playing x/", "a_b/c/"))):
        source = files(
            tmp_path / name,
            f"{folders[0]}{A}_000009_000019.mp4",
            f"{folders[1]}{C}_000081_000091.mp4",
            f"{folders[2]}{D}_000001_000009.mp4",
        )
        words = [source, tmp_path / f"out_{name}", "--list", train, val, "--quiet"]
        assert run("kinetics_sounds", *words) == 0
        found = {path: labels["class"] for path, (_, labels) in calls[-1]["files"].items()}
        assert found == wanted
        assert run("kinetics_sounds", *words, "--classes", "32") == 0
        assert f"test/{C}_000081_000091.mp4" in calls[-1]["files"]


def test_audioset(run, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = files(tmp_path / "in", f"x/{A}_30000_40000.mp4", f"{B}_000000.webm", f"{C}_70_80.mp4")
    train = write(tmp_path / "balanced_train_segments.csv",
                  f'#\n#\n#\n{A}, 30.000, 40.000, "/m/top,/m/dog"\n'
                  f'{B}, 0.000, 10.000, "/m/top"\n')  # fmt: skip
    test = write(tmp_path / "eval_segments.csv", f'#\n#\n#\n{C}, 70.000, 80.000, "/m/bark"\n')
    names = write(tmp_path / "names.csv", 'index,mid,display_name\n0,/m/bark,"Bark, bay"\n')
    nodes = [("top", ["/m/dog"]), ("dog", ["/m/bark"]), ("bark", [])]
    tree = write(tmp_path / "ontology.json", json.dumps(
        [{"id": f"/m/{name}", "name": name, "child_ids": under} for name, under in nodes]
    ))  # fmt: skip
    words = [source, tmp_path / "out", "--list", train, test, "--quiet"]
    assert run("audioset", *words, "--names", names, "--ontology", tree) == 0
    found = calls[-1]["files"]
    assert set(found) == {f"train/{A}_000030.mp4", f"train/{B}_000000.webm", f"test/{C}_000070.mp4"}
    assert found[f"test/{C}_000070.mp4"][1]["classes"] == ["Bark, bay"]
    paths = {row.source[-16:-11]: class_path(row) for row in Catalog.read(tmp_path / "out").rows()}
    assert sorted(paths.values()) == [("top",), ("top", "dog"), ("top", "dog", "bark")]
    # without a tree: the first class, by its id where it has no name
    assert run("audioset", *words, "--names", names) == 0
    assert calls[-1]["files"][f"train/{A}_000030.mp4"][1]["class"] == "/m/top"
    assert "classes without a name keep their id" in capsys.readouterr().err
    assert run("audioset", *words, "--below", "dog", "--ontology", tree) == 0
    assert set(calls[-1]["files"]) == {f"train/{A}_000030.mp4", f"test/{C}_000070.mp4"}
    assert run("audioset", *words, "--below", "dog") == 2
    assert "--below needs --ontology" in capsys.readouterr().err


def test_mistakes_are_one_line_and_exit_code_2(run, calls: Calls, tmp_path, capsys) -> None:
    source = files(tmp_path / "in", f"a/{A}_000001.mp4", f"b/{A}_000001.mp4", "b/x.mp4", "c/x.mp4")
    good = write(tmp_path / "vggsound.csv", f"{A},1,cat,train\n")
    bad = write(tmp_path / "bad.csv", f"{A},1,cat,train\nthree,columns,only\n")
    other = write(tmp_path / "other.csv", f"{B},1,cat,train\n")
    for words, message in (
        ([source, tmp_path / "out", "--list", good], "two files of one name; remove one"),
        ([source, tmp_path / "out", "--list", bad], "line 2: must be id,start,class,split"),
        ([source, tmp_path / "out", "--list", tmp_path / "none.csv"], "no such file"),
        ([source, tmp_path / "out", "--list", other], f"must be named like {B}_000001.mp4"),
        ([tmp_path / "none", tmp_path / "out", "--list", good], "must be a folder of clips"),
    ):
        assert run("vggsound", *words, "--quiet") == 2
        error = capsys.readouterr().err
        assert error.startswith("make_catalog: ") and message in error
        assert len(error.splitlines()) == 1
    assert calls == []


def test_validation_is_held_out_by_video_and_lists_must_not_share(calls: Calls, tmp_path) -> None:
    names = [f"{number:04d}_{part}" for number in range(100) for part in "ab"]
    source = files(tmp_path / "in", *(f"{name}.mp4" for name in names))
    kind: dict[str, Any] = {"group": lambda name: name[:4], "quiet": True}
    prepare_listed(source, tmp_path / "out", test={}, training=names, **kind)
    split = {Path(path).stem: path.split("/")[0] for path in calls[-1]["files"]}
    held = [name for name in names if split[name] == "validation"]
    assert 2 <= len(held) <= 20
    assert all(split[name[:4] + "_a"] == split[name[:4] + "_b"] for name in names)
    prepare_listed(source, tmp_path / "out", test={}, training=names, hold_out=False, **kind)
    assert {path.split("/")[0] for path in calls[-1]["files"]} == {"train"}
    # with a list of its own nothing is held out
    lists = {
        "training": names[2:],
        "validation": {names[0]: {}},
        "test": {names[1]: {"class": "x"}},
    }
    prepare_listed(source, tmp_path / "out", **lists, **kind)
    splits = [path.split("/")[0] for path in calls[-1]["files"]]
    assert splits.count("validation") == splits.count("test") == 1
    with pytest.raises(InputError, match="1 clips are to be trained on and tested on"):
        prepare_listed(source, tmp_path / "out", **{**lists, "training": names[1:]}, **kind)


def test_copies_of_test_clips_are_left_out_and_old_links_go(calls: Calls, tmp_path, capsys) -> None:
    source = files(tmp_path / "in", "one.mp4", "two.mp4", "three.mp4")
    files(tmp_path / "out_listed", "train/old.mp4", "train/old.json")  # of a call that was stopped
    calls.moved = "train/two.mp4"
    prepare_listed(source, tmp_path / "out", test={"one": {}}, training=["two", "three"])
    assert [sorted(call["files"]) for call in calls] == [
        ["test/one.mp4", "train/three.mp4", "train/two.mp4"],
        ["test/one.mp4", "train/three.mp4"],
    ]
    assert "1 clips to train on are copies of clips to test on" in capsys.readouterr().out
    assert not (tmp_path / "out" / "missing.txt").exists()


def test_a_plain_folder(run, calls: Calls, tmp_path, capsys) -> None:
    source = files(tmp_path / "in", "dog/a.mp4", "dog/b/a.mp4", "cat/a.mp4", "a.mp4", "dog/x.txt")
    (source / "cat" / "a.json").write_text('{"class": "lynx", "age": 3, "bad": NaN}')
    words = [source, tmp_path / "out", "--group-by", "(dog|cat)", "--split", "0.5", "0", "0.5"]
    assert run("plain_folder", *words) == 0
    assert {path: labels for path, (_, labels) in calls[-1]["files"].items()} == {
        "dog/a.mp4": {"class": "dog"},
        "dog/b/a.mp4": {"class": "dog"},
        "cat/a.mp4": {"class": "lynx", "age": 3, "bad": None},
        "a.mp4": {},
    }
    settings = calls[-1]["settings"]
    assert (settings.group_by, settings.split) == ("(dog|cat)", (0.5, 0.0, 0.5))
    assert "2 classes; 1 videos lie in no folder" in capsys.readouterr().out
    assert [class_of(path) for path in ("train/dog/a.mp4", "test/a.mp4", "a.mp4")] == [
        "dog",
        "",
        "",
    ]
    assert run("plain_folder", files(tmp_path / "flat", "a.mp4"), tmp_path / "out2") == 2
    assert "none of 1 videos lies in a folder" in capsys.readouterr().err
    assert run("plain_folder", tmp_path / "none", tmp_path / "out2") == 2


@pytest.mark.slow
def test_near_copies_of_test_clips_do_not_train(make, tmp_path: Path, capsys) -> None:
    source = tmp_path / "in"
    for seed, name in ((1, "one"), (2, "two"), (1, "copy")):
        # not byte for byte: another quality of the same pictures
        options = {"crf": "24" if name == "copy" else "12", "preset": "ultrafast"}
        make(source / f"{name}.mp4", 50, scene_seed=seed, options=options)
    report = prepare_listed(
        source,
        tmp_path / "out",
        test={"one": {"class": "x"}},
        training=["two", "copy"],
        settings=PrepareSettings(short_side_px=64),
        jobs=1,
    )
    assert (
        "1 clips to train on are copies of clips to test on, or nearly" in capsys.readouterr().out
    )
    rows = Catalog.read(tmp_path / "out").rows()
    assert {row.source.split("/")[1]: row.split == "test" for row in rows} == {
        "one.mp4": True, "two.mp4": False
    }  # fmt: skip
    assert report.num_clips == 2
