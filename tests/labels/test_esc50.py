"""ESC-50's list with its quirks, refusals, and a folder of class folders."""

from pathlib import Path

import pytest

from avssl.errors import InputError
from avssl.labels.esc50 import find_esc50, read_esc50
from avssl.labels.sound_classes import read_class_folders, recording_of

HEAD = "filename,fold,target,category,esc10,src_file,take"
ROWS = (
    "1-100032-A-0.wav,1,0,dog,True,100032,A",
    "1-100210-A-36.wav,1,36,vacuum_cleaner,False,100210,A",
    "1-100210-B-36.wav,1,36,vacuum_cleaner,False,100210,B",
    "2-11-A-0.wav,2,0,dog,True,11,A",
)


def official(root: Path, touch, *rows: str, head: str = HEAD) -> Path:
    (root / "meta").mkdir(parents=True, exist_ok=True)
    (root / "meta" / "esc50.csv").write_text("\n".join([head, *rows]) + "\n")
    touch(root / "audio", *(row.split(",")[0] for row in ROWS))
    return root


def test_the_official_list(tmp_path: Path, touch) -> None:
    root = official(tmp_path / "ESC-50-master", touch, *ROWS)
    assert find_esc50(tmp_path) == find_esc50(root) == root
    found = read_esc50(tmp_path)
    assert found.classes == ("dog", "vacuum_cleaner") and found.official_folds
    assert [(one.path, one.label, one.fold, one.recording) for one in found.sounds[:2]] == [
        ("audio/1-100032-A-0.wav", "dog", 1, "100032"),
        ("audio/1-100210-A-36.wav", "vacuum_cleaner", 1, "100210"),
    ]
    assert len(found.sounds) == 4 and found.notes == ()
    ten = read_esc50(tmp_path, subset="esc10")
    assert [one.recording for one in ten.sounds] == ["100032", "11"]


def test_quirks_are_read_or_counted(tmp_path: Path, touch) -> None:
    root = official(tmp_path, touch)
    lines = ["take,src_file,esc10,category,target,fold,filename,more"]
    for row in (*ROWS, ROWS[0], "3-100210-C-36.wav,3,36,vacuum_cleaner,false,100210,C"):
        lines.append(",".join([*reversed(row.split(",")), "x"]))
    (root / "audio" / "2-11-A-0.wav").unlink()
    touch(root / "audio", "3-100210-C-36.wav")
    text = "\ufeff" + "\r\n".join([*lines, "", ""])
    (root / "meta" / "esc50.csv").write_bytes(text.encode())
    found = read_esc50(root)
    assert [one.path for one in found.sounds] == [
        f"audio/{name}"
        for name in (
            "1-100032-A-0.wav", "1-100210-A-36.wav", "1-100210-B-36.wav", "3-100210-C-36.wav",
        )
    ]  # fmt: skip
    assert found.notes == (
        "1 recordings with clips in several folds (such as 100210): the figures are too good",
        "1 rows that repeat another",
        "1 sounds whose file is not there (such as audio/2-11-A-0.wav)",
    )


@pytest.mark.parametrize(
    ("head", "rows", "reason"),
    [
        (HEAD.replace("fold,", ""), ROWS, "no column 'fold'"),
        (HEAD, (), "no row of esc50"),
        (HEAD, ("../../etc/x.wav,1,0,dog,True,1,A",), "leads out of the data set"),
        (HEAD, ("a.wav,one,0,dog,True,1,A",), "line 2 is not as the format says"),
        (HEAD, ("a.wav,0,0,dog,True,1,A",), "fold must be 1 or more"),
        (HEAD, ("a.wav,1,0,dog,maybe,1,A",), "esc10 'maybe' must be True or False"),
        (HEAD, ("a.wav,1,0,dog",), "line 2 is not as the format says"),
        (HEAD, (ROWS[0] + ",more",), "more cells than columns"),
        (HEAD, (ROWS[0], "b.wav,1,3,dog,True,1,A"), "'dog' has target 3, before that 0"),
        (HEAD, (ROWS[0], "b.wav,1,0,cat,True,1,A"), "two categories have one target"),
        (HEAD, (ROWS[0], ROWS[0].replace(",1,0", ",2,0")), "stands there before, otherwise"),
        (HEAD, ("nowhere.wav,1,0,dog,True,1,A",), "none of the 1 sounds is there"),
    ],
)
def test_what_is_no_list_of_esc50_is_refused_in_one_line(
    tmp_path: Path, touch, head: str, rows: tuple[str, ...], reason: str
) -> None:
    root = official(tmp_path, touch, *rows, head=head)
    with pytest.raises(InputError, match=reason) as caught:
        read_esc50(root)
    assert "\n" not in str(caught.value)


def test_other_files_under_its_name(tmp_path: Path, touch) -> None:
    with pytest.raises(InputError, match=r"no meta/esc50\.csv there"):
        read_esc50(tmp_path)
    root = official(tmp_path, touch)
    for content in (b"\xff\xfe\x00a,b", b"PK\x03\x04\x00\x00", b"\x00" * 99):
        (root / "meta" / "esc50.csv").write_bytes(content)
        with pytest.raises(InputError, match=r"not a CSV file|no column"):
            read_esc50(root)


def test_class_folders(tmp_path: Path, touch) -> None:
    touch(
        tmp_path, "dog/a.WAV", "dog/monday/b.flac", "cat/c.mp3", "cat/.hidden.wav",
        "cat/._c.mp3", "cat/notes.txt", "stray.ogg", "README.md", ".git/x.wav", "empty/x.pdf",
    )  # fmt: skip
    found = read_class_folders(tmp_path)
    assert [(one.path, one.label) for one in found.sounds] == [
        ("cat/c.mp3", "cat"), ("dog/a.WAV", "dog"), ("dog/monday/b.flac", "dog"),
    ]  # fmt: skip
    assert not found.official_folds and {one.fold for one in found.sounds} == {None}
    assert found.notes == (
        "2 files that are no sounds by their name (left out)",
        "1 sounds outside of the class folders (left out)",
    )
    touch(tmp_path / "others", "sounds.zip", "flat/x.txt")
    for name, reason in (
        ("sounds.zip", "unpack it first"),
        ("nowhere", "no such folder"),
        ("flat", "no sound in a class folder"),
    ):
        with pytest.raises(InputError, match=reason):
            read_class_folders(tmp_path / "others" / name)


@pytest.mark.parametrize(
    ("path", "recording"),
    [
        ("dog/1-100032-A-0.wav", "100032"),
        ("siren/5-100032-B-42.wav", "100032"),
        ("x/102853-8-0-3.wav", "102853"),
        ("dog/street-A.wav", "dog/street"),
        ("dog/street_b.wav", "dog/street"),
        ("dog/Max take 2.wav", "dog/Max"),
        ("dog/m_part03.flac", "dog/m"),
        ("dog/dog_1.wav", ""),
        ("dog/A.wav", ""),
        ("dog/bark.wav", ""),
    ],
)
def test_what_a_name_says_of_the_recording(path: str, recording: str) -> None:
    assert recording_of(path) == recording
