"""What is taken for a video, and why the rest is not."""

import os
from pathlib import Path

import pytest

from avssl.errors import InputError
from avssl.prepare.scan import scan, source_key


def names(found) -> list[str]:
    return [item.relative for item in found.sources]


def test_by_suffix_in_any_case_and_by_content(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "A.MP4").write_bytes(b"anything")
    (tmp_path / "b.MkV").write_bytes(b"anything")
    (tmp_path / "no_suffix").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(800))
    (tmp_path / "stream.bin2").write_bytes((b"G" + bytes(187)) * 8)
    (tmp_path / "notes.xyz").write_bytes(b"just words, and more words" * 50)
    found = scan(tmp_path)
    assert names(found) == ["b.MkV", "deep/er/A.MP4", "no_suffix", "stream.bin2"]
    assert dict(found.skipped).keys() == {"notes.xyz"}


def test_reasons_for_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "archive.zip").write_bytes(b"PK")
    (tmp_path / "list.m3u8").write_text("#EXTM3U")
    (tmp_path / "._a.mp4").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    reasons = dict(scan(tmp_path).skipped)
    assert reasons["empty.mp4"] == "empty file"
    assert "zip" in reasons["archive.zip"]
    assert "m3u8" in reasons["list.m3u8"]
    assert "resource fork" in reasons["._a.mp4"]
    assert reasons["pipe.mp4"] == "not a regular file"
    assert "No such file" in reasons["dangling.mp4"]


def test_a_name_that_is_not_utf8_is_named_and_left_out(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).write_bytes(b"x")
    found = scan(tmp_path)
    assert not found.sources
    [(name, reason)] = found.skipped
    assert name.encode() and "UTF-8" in reason


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_bytes(b"x")
    (tmp_path / "a" / "back").symlink_to(tmp_path, target_is_directory=True)
    found = scan(tmp_path)
    assert names(found) == ["a/x.mp4"]
    assert "already visited" in dict(found.skipped)["a/back"]


def test_equal_stems_have_different_keys_that_webdataset_can_read(tmp_path: Path) -> None:
    keys = {source_key(name) for name in ("a/x.mp4", "b/x.mp4", "a_x.mp4", "a/x.mkv", "ü/x.mp4")}
    assert len(keys) == 5
    assert all("." not in key and "/" not in key and key.isascii() for key in keys)


def test_the_data_set_inside_the_source_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.mp4").write_bytes(b"x")
    (tmp_path / "x.mp4").write_bytes(b"x")
    assert names(scan(tmp_path, exclude=tmp_path / "out")) == ["x.mp4"]


def test_one_file_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"x")
    assert names(scan(tmp_path / "x.mp4")) == ["x.mp4"]
    with pytest.raises(InputError, match="no such folder"):
        scan(tmp_path / "missing")
