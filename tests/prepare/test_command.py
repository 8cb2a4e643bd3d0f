"""The command lines: exit codes, one clear line, the same tools."""

import json
import sys
from pathlib import Path

import pytest

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.errors import InputError
from avssl.prepare import PrepareSettings


@pytest.fixture
def two(tmp_path, make) -> Path:
    for seed, name in enumerate(("m1_a.mp4", "m1_b.mp4", "m2_a.mp4")):
        make(tmp_path / "in" / name, 12, scene_seed=60 + seed)
    return tmp_path / "in"


def test_prepare_then_other_groups_then_check(two, tmp_path, capsys) -> None:
    words = ["prepare", str(two), str(tmp_path / "set"), "--short-side", "64", "--quiet"]
    assert main([*words, "--jobs", "1"]) == 0
    assert "3 clips" in capsys.readouterr().out
    before = {row.source: row for row in Catalog.read(tmp_path / "set").rows()}
    assert len({row.group_id for row in before.values()}) == 3
    stamps = [p.stat().st_mtime_ns for p in sorted((tmp_path / "set").glob("work/*/result.json"))]
    # other groups: the same media, other rows, if one says so
    assert main([*words, "--jobs", "1", "--group-by", r"(m\d)_"]) == 2
    assert "--redeal" in capsys.readouterr().err
    assert main([*words, "--jobs", "1", "--group-by", r"(m\d)_", "--redeal"]) == 0
    rows = {row.source: row for row in Catalog.read(tmp_path / "set").rows()}
    assert {name: row.group_id for name, row in rows.items()} == {
        "m1_a.mp4": "m1",
        "m1_b.mp4": "m1",
        "m2_a.mp4": "m2",
    }
    assert rows["m1_a.mp4"].split == rows["m1_b.mp4"].split
    after = [p.stat().st_mtime_ns for p in sorted((tmp_path / "set").glob("work/*/result.json"))]
    assert after == stamps
    capsys.readouterr()
    assert main(["check", str(tmp_path / "set"), "--json", "--quiet"]) == 0
    health = json.loads(capsys.readouterr().out)
    assert health["kind"] == "prepared" and len(health["files"]) == 4
    assert main(["check", str(two / "m1_a.mp4"), "--quiet", "--jobs", "1"]) == 0
    assert "no sound" in capsys.readouterr().out
    shard = next((tmp_path / "set" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-20000])
    assert main(["check", str(tmp_path / "set"), "--quiet"]) == 1


def test_mistakes_are_one_line_and_exit_code_2(two, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "empty").mkdir()
    target = str(tmp_path / "set")
    for words, expected in [
        ([str(tmp_path / "none"), target], "no such folder"),
        ([str(tmp_path / "empty"), target], "no video among 0 files"),
        ([str(two), target, "--gop", "0"], "--gop 0: must be 1 or more"),
        ([str(two), target, "--split", "0.5", "0.5", "0.5"], "sum to 1"),
        ([str(two), target, "--group-by", "("], "not a regular expression"),
        ([str(two), target, "--engine", "ray", "--quiet"], "pip install 'avssl[ray]'"),
    ]:
        assert main(["prepare", *words]) == 2
        error = capsys.readouterr().err
        assert expected in error and len(error.strip().splitlines()) == 1
    with pytest.raises(SystemExit) as stop:
        main(["prepare", str(two), target, "--no-such-flag"])
    assert stop.value.code == 2


def test_nothing_but_bad_files(tmp_path, capsys) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"nonsense" * 100)
    words = ["prepare", str(tmp_path / "in"), str(tmp_path / "set"), "--quiet", "--jobs", "1"]
    assert main(words) == 1  # the work failed: there is nothing to use
    assert "0 clips" in capsys.readouterr().out and len(Catalog.read(tmp_path / "set")) == 0


def test_settings_survive_json_and_name_what_matters() -> None:
    settings = PrepareSettings(fps=12.5, split=(0.5, 0.25, 0.25), group_by="folder")
    assert PrepareSettings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
    same = PrepareSettings(fps=12.5, limit_s=1.0, shard_mb=3.0)
    assert same.media_fingerprint() == settings.media_fingerprint()
    assert PrepareSettings(crf=21).media_fingerprint() != PrepareSettings().media_fingerprint()
    with pytest.raises(InputError, match="--window-s"):
        PrepareSettings(window_s=0)
