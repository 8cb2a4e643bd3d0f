"""VGGSound's, Kinetics' and AudioSet's lists: official layouts, and what goes wrong in them."""

import csv
import json
from pathlib import Path

import pytest

from avssl.errors import InputError
from avssl.labels import audioset
from avssl.labels.clip_lists import class_labels, video_of
from avssl.labels.kinetics import (
    CLASSES_31,
    CLASSES_32,
    OF_THE_PAPER,
    read_classes,
    read_kinetics,
)
from avssl.labels.vggsound import read_vggsound

A, B, C = "-hSwZyPPJTc", "0_8-g2rof7E", "__0123456-9"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_vggsound_in_both_layouts(tmp_path: Path) -> None:
    # a byte order mark, Windows line ends, a blank line, ids that begin with "-" and "_"
    lines = [(A, 75, "fox barking", "train"), (B, 49, "heart sounds, heartbeat", "test"),
             (C, 0, "raining", "train")]  # fmt: skip
    with (tmp_path / "vggsound.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream, lineterminator="\r\n")
        table.writerows(lines)
        stream.write("\r\n")
    found = read_vggsound([tmp_path / "vggsound.csv"])
    assert [
        (one.video, one.start_s, one.classes[0], one.split) for one in found.clips.values()
    ] == lines
    assert list(found.clips) == [f"{A}_000075", f"{B}_000049", f"{C}_000000"]
    assert found.notes == () and "3 clips (train 2, validation 0, test 1), 3 classes" in str(found)
    assert class_labels(found[f"{B}_000049"]) == {"class": "heart sounds, heartbeat"}
    assert video_of(f"{B}_000049") == B and video_of("holiday") == "holiday"
    # the same from the two other lists
    train = write(tmp_path / "train.csv", f"{A}_000075.mp4,fox barking\n{C}_000000.mp4,raining\n")
    test = write(tmp_path / "test.csv", f'{B}_000049.mp4,"heart sounds, heartbeat"\n')
    assert read_vggsound([train, test]).clips == found.clips


def test_repeated_clips_are_counted_and_shared_videos_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "vggsound.csv",
        f"{A},1,cat,train\n{A},1,cat,train\n{A},1,dog,test\n{B},5,cat,test\n{B},90,cat,train\n"
        f"{C},1,cat,train\n",
    )
    found = read_vggsound([path])
    assert found[f"{A}_000001"].split == "test" and found[f"{A}_000001"].classes == ("cat",)
    assert found.notes == (
        "1 clips in several splits (test counts before validation, that before train)",
        "2 lines of a clip that was there before (left out)",
        "1 of them with another class (the first counts)",
    )
    apart = found.apart()
    assert list(apart.clips) == [f"{A}_000001", f"{B}_000005", f"{C}_000001"]
    assert apart.notes[-1].startswith("1 clips to train on are of a video that the test set has")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},1,cat,train\n\n{B},1,cat\n", "line 3: must be id,start,class,split"),
        (f"{A},1,cat, with commas,train\n", "line 1: must be id,start,class,split"),
        ("#NAME?,1,cat,train\n", "hold no clip"),
        ("=hSwZyPPJTc,1,cat,train\n", "line 1: a YouTube id has 11 letters"),
        ("../../x/abcd,1,cat,train\n", "line 1: a YouTube id has 11 letters"),
        (f"{A},-1,cat,train\n", "line 1: seconds must be a number from 0 on"),
        (f"{A},nan,cat,train\n", "line 1: seconds must be"),
        (f"{A},one,cat,train\n", "line 1: seconds must be"),
        (f"{A},1,cat,eval\n", "line 1: the split must be train or test"),
        (f"{A},1,,test\n", "line 1: a class must be named"),
        (f'{A},1,"cat"x,test\n', "line 1: not CSV"),
        (f'{A},1,"{"x" * 200_000}', "line 1: not CSV"),
        (f"{A},1,cat,test\n".encode("utf-16"), "not UTF-8"),
        (f"{A}_000001.mp4,cat\n", "the list's name must say train or test"),
        ("holiday.mp4,cat\n", "the file must be named"),
        ("", "hold no clip"),
    ],
)
def test_what_is_no_list_of_vggsound_is_one_line(tmp_path: Path, text, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_vggsound([write(tmp_path / "vggsound.csv", text)])
    assert message in str(raised.value) and len(str(raised.value).splitlines()) == 1


def test_classes_of_kinetics_sounds() -> None:
    # the lists of AdaMML (issue 3) and CrissCross (issue 4); papers.md §2.4 counts 34 in the paper
    assert (len(OF_THE_PAPER), len(CLASSES_31), len(CLASSES_32)) == (34, 31, 32)
    assert {name for name, later in OF_THE_PAPER.items() if later is None} == {
        "typing", "fingerpicking", "patting"
    }  # fmt: skip
    assert sorted(CLASSES_32 - CLASSES_31) == ["strumming guitar"]
    assert sum(name.startswith("playing ") for name in CLASSES_31) == 15


HEAD = "label,youtube_id,time_start,time_end,split"


def test_kinetics(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train.csv",
        f'{HEAD},is_cc\nbowling,{A},9,19,train,0\n"playing guitar",{B},0,10,train,1\n'
        f"abseiling,{C},3,13,train,0\n",
    )
    val = write(tmp_path / "val.csv", f"{HEAD}\r\nplaying_guitar,{C},81,91,validate\r\n")
    found = read_kinetics([train, val], classes=CLASSES_31)
    assert {name: (clip.split, *clip.classes) for name, clip in found.clips.items()} == {
        f"{A}_000009_000019": ("train", "bowling"),
        f"{B}_000000_000010": ("train", "playing guitar"),
        f"{C}_000081_000091": ("test", "playing guitar"),
    }
    assert found.notes[0] == "1 clips of other classes"
    assert found.notes[1].startswith("29 classes without a clip: blowing nose, blowing out")
    assert found.notes[2] == "1 clips of validation are the test set"
    test = write(tmp_path / "test.csv", f"{HEAD}\nbowling,{'x' * 11},1,11,test\n")
    splits = {clip.video: clip.split for clip in read_kinetics([val, test]).clips.values()}
    assert splits == {C: "validation", "x" * 11: "test"}
    names = write(tmp_path / "names.txt", "abseiling\nplaying_guitar\nabseiling\n")
    assert read_classes(names) == ("abseiling", "playing_guitar")
    assert len(read_kinetics([train, val], classes=read_classes(names))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"youtube_id,time_start,time_end,split\n{A},1,11,test\n", "a list without labels"),
        (f"bowling,{A},1,11,train\n", "line 1: the header must have label, youtube_id"),
        (f"{HEAD}\nbowling,{A},1,11\n", "line 2: 4 columns, the header has 5"),
        (f"{HEAD}\nbowling,{A},1,11,eval\n", "line 2: the split must be"),
        (f"{HEAD}\nbowling,short,1,11,train\n", "line 2: a YouTube id"),
        (f"{HEAD}\n,{A},1,11,train\n", "line 2: a class must be named"),
        (f"{HEAD}\nabseiling,{A},1,11,train\n", "no clip of the classes"),
        (HEAD, "no clip of the classes"),
    ],
)
def test_what_is_no_list_of_kinetics_is_one_line(tmp_path: Path, text, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read_kinetics([write(tmp_path / "train.csv", text)], classes=CLASSES_31)
    assert message in str(raised.value) and len(str(raised.value).splitlines()) == 1


SEGMENTS = f"""# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
{A}, 30.000, 40.000, "/m/09x0r,/t/dd00088"
{B}, 0.000, 9.500, "/m/a"
"""


def test_audioset_segments(tmp_path: Path) -> None:
    train = write(tmp_path / "balanced_train_segments.csv", SEGMENTS)
    test = write(tmp_path / "eval_segments.csv", f'#\n#\n#\n{C}, 70.000, 80.000, "/m/b,/m/b"\n')
    found = audioset.read_segments([train, test])
    assert [(one.video, one.start_s, one.split, one.classes) for one in found.clips.values()] == [
        (A, 30.0, "train", ("/m/09x0r", "/t/dd00088")),
        (B, 0.0, "train", ("/m/a",)),
        (C, 70.0, "test", ("/m/b",)),
    ]
    clip = found[f"{A}_000030"]
    for name in ("000030_000040", "30000_40000", "30.000_40.000", "30_40", "30.000"):
        assert f"{A}_{name}" in clip.other_names
    assert f"{B}_0_9500" in found[f"{B}_000000"].other_names
    labels = audioset.segment_labels(clip, names={"/m/09x0r": "Speech"})
    assert labels == {
        "class": "Speech",
        "classes": ["Speech", "/t/dd00088"],
        "class_ids": ["/m/09x0r", "/t/dd00088"],
    }
    (note,) = audioset.unknown_classes(found, {"/m/09x0r": "Speech"})
    assert note.startswith("3 classes without a name keep their id (such as /m/a, /m/b")
    for name, text, message in (
        ("eval.csv", f"{A}, 1, 11\n", "line 1: 3 columns"),
        ("eval.csv", f"{A}, 1, 11, /m/a, /m/b\n", "line 1: 5 columns"),
        ("eval.csv", f'#\n{A}, 1, 11, "Speech"\n', "line 2: classes must be ids"),
        ("eval.csv", f'{A}, 1, 11, ""\n', "line 1: classes must be ids"),
        ("eval.csv", "#\n#\n#\n", "hold no segment"),
        ("segments.csv", SEGMENTS, "must hold eval or train"),
    ):
        with pytest.raises(InputError, match=message):
            audioset.read_segments([write(tmp_path / name, text)])


def test_class_names_of_audioset(tmp_path: Path) -> None:
    text = 'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n'
    path = write(tmp_path / "class_labels_indices.csv", text)
    assert audioset.read_class_names(path) == {
        "/m/09x0r": "Speech",
        "/m/05zppz": "Male speech, man speaking",
    }
    with pytest.raises(InputError, match="line 1: must be index,mid,display_name"):
        audioset.read_class_names(write(path, "/m/09x0r,Speech\n"))


def node(name: str, *children: str) -> dict[str, object]:
    return {"id": f"/m/{name}", "name": name, "child_ids": [f"/m/{one}" for one in children],
            "restrictions": [], "positive_examples": []}  # fmt: skip


# bell: below "instrument" and, further down in the file, below "things"
TREE = [node("music", "instrument"), node("instrument", "guitar", "bell"), node("guitar"),
        node("things", "bell"), node("bell", "church"), node("church"),
        node("silence")]  # fmt: skip


def test_the_tree_of_audioset(tmp_path: Path) -> None:
    tree = audioset.read_ontology(write(tmp_path / "ontology.json", json.dumps(TREE)))
    assert tree.path("/m/church") == ("music", "instrument", "bell", "church")
    assert tree.path("/m/silence") == ("silence",) and tree.path("/m/none") == ()
    assert tree.parents["/m/bell"] == ("/m/instrument", "/m/things")
    # downwards every parent counts
    assert tree.below("things") == {"/m/things", "/m/bell", "/m/church"}
    assert tree.below("/m/guitar") == {"/m/guitar"}
    segments = write(
        tmp_path / "eval.csv",
        f'{A}, 0, 10, "/m/silence,/m/guitar,/m/bell"\n{B}, 0, 10, "/m/silence"\n'
        f'{C}, 0, 10, "/m/guitar,/m/church"\n',
    )
    clips = audioset.read_segments([segments])
    label = {
        video: audioset.segment_labels(clip, names=tree.names, ontology=tree)
        for video, clip in ((one.video, one) for one in clips.clips.values())
    }
    # the deepest class; of two equally deep ones the first in the list
    assert label[A]["class_path"] == ["music", "instrument", "guitar"]
    assert (label[C]["class"], label[B]["class_path"]) == ("church", ["silence"])
    kept = audioset.only_below(clips, tree, ["instrument"])
    assert {one.video: one.classes for one in kept.clips.values()} == {
        A: ("/m/guitar", "/m/bell"),
        C: ("/m/guitar", "/m/church"),
    }
    assert "1 clips of other classes" in kept.notes
    with pytest.raises(InputError, match="'drums': no class of this name"):
        audioset.only_below(clips, tree, ["drums"])
    with pytest.raises(InputError, match="no clip of the classes below things"):
        audioset.only_below(clips.kept(lambda one: one.video == B, why="x"), tree, ["things"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "must be a list of classes"),
        ([{"id": "/m/a"}], "class 1 is not as the format says"),
        ([node("a"), node("a")], "id /m/a is there twice"),
        ([node("top", "a"), node("a", "b"), node("b", "a")], "/m/a is above itself"),
        ([node("a", "a")], "/m/a is above itself"),
    ],
)
def test_what_is_no_tree_is_one_line(tmp_path: Path, value, message: str) -> None:
    with pytest.raises(InputError, match=message):
        audioset.read_ontology(write(tmp_path / "ontology.json", json.dumps(value)))
