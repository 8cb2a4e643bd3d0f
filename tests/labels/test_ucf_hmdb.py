"""UCF101's and HMDB51's lists: excerpts in the official layout with its quirks, and wrong ones."""

import re
from pathlib import Path

import pytest

from avssl.errors import InputError
from avssl.labels.ucf_hmdb import HMDB_GROUPS, UCF_GROUPS, read_hmdb51, read_ucf101

# The official lists have Windows line ends, and a blank line at the end.
CLASSES = "1 ApplyEyeMakeup\r\n37 HandstandPushups\r\n101 YoYo\r\n"
TRAIN = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 37\r\n"
    "YoYo/v_YoYo_g25_c05.avi 101\r\n\r\n"
)
TEST = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\n"
    "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n"
)
# Names as they are there: "#", "&", "(", "!", two blanks, a blank at the end of the line.
PICK = (
    "#122_Cleaning_Up_The_Beach_In_Chiba__Japan_pick_f_cm_np1_fr_med_1.avi 1 \n"
    "#122_Cleaning_Up_The_Beach_In_Chiba__Japan_pick_f_cm_np1_fr_med_2.avi 0 \n"
    "Tom & Jerry (1)!_pick_u_nm_np2_le_goo_10.avi 2 \n"
)
BRUSH = "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nsarah_brushing_brush_hair.avi 2 \n"


def ucf(folder: Path, **texts: str) -> Path:
    names = {"classes": "classInd.txt", "train": "trainlist01.txt", "test": "testlist01.txt"}
    own = {"classes": CLASSES, "train": TRAIN, "test": TEST} | texts
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in own.items():
        (folder / names[key]).write_bytes(text.encode())
    return folder


def hmdb(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for label, text in ({"pick": PICK, "brush_hair": BRUSH} | texts).items():
        (folder / f"{label}_test_split1.txt").write_bytes(text.encode())
        (folder / f"{label}_test_split2.txt").write_bytes(b"x.avi 0 \n")
    return folder


def test_ucf101_as_it_is_unpacked(tmp_path: Path) -> None:
    ucf(tmp_path / "ucfTrainTestlist")
    found = read_ucf101(tmp_path)
    assert found.notes == () and len(found) == 6
    assert [(one.name, one.split, one.classes[0], one.video) for one in found.clips.values()] == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", "train", "ApplyEyeMakeup",
         "ApplyEyeMakeup/v_ApplyEyeMakeup_g08"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02", "train", "ApplyEyeMakeup",
         "ApplyEyeMakeup/v_ApplyEyeMakeup_g08"),
        ("HandstandPushups/v_HandStandPushups_g08_c01", "train", "HandstandPushups",
         "HandstandPushups/v_HandStandPushups_g08"),
        ("YoYo/v_YoYo_g25_c05", "train", "YoYo", "YoYo/v_YoYo_g25"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01", "test", "ApplyEyeMakeup",
         "ApplyEyeMakeup/v_ApplyEyeMakeup_g01"),
        ("HandstandPushups/v_HandStandPushups_g01_c01", "test", "HandstandPushups",
         "HandstandPushups/v_HandStandPushups_g01"),
    ]  # fmt: skip
    spelt = found["HandstandPushups/v_HandStandPushups_g01_c01"].other_names
    assert "HandstandPushups/v_HandstandPushups_g01_c01" in spelt
    assert "HandStandPushups/v_HandStandPushups_g01_c01" in spelt


def test_ucf101_without_the_list_of_classes_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    folder = ucf(tmp_path, train="\ufeff" + TRAIN)
    whole = read_ucf101(folder)
    (folder / "classInd.txt").unlink()
    assert read_ucf101(folder).clips == whole.clips


def test_hmdb51_names_are_taken_as_they_are(tmp_path: Path) -> None:
    hmdb(tmp_path / "testTrainMulti_7030_splits")
    found = read_hmdb51(tmp_path)
    assert {name: (one.split, one.video) for name, one in found.clips.items()} == {
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0":
            ("train", "brush_hair/April_09_brush_hair"),
        "brush_hair/sarah_brushing_brush_hair": ("test", "brush_hair/sarah_brushing_brush_hair"),
        "pick/#122_Cleaning_Up_The_Beach_In_Chiba__Japan_pick_f_cm_np1_fr_med_1":
            ("train", "pick/#122_Cleaning_Up_The_Beach_In_Chiba__Japan_pick"),
        "pick/Tom & Jerry (1)!_pick_u_nm_np2_le_goo_10": ("test", "pick/Tom & Jerry (1)!_pick"),
    }  # fmt: skip
    assert found.notes == ("1 clips are in neither part of division 1",)
    with pytest.raises(InputError, match="division 2 hold no clip"):
        read_hmdb51(tmp_path, division=2)


def test_groups_read_from_paths_are_those_of_the_lists(tmp_path: Path) -> None:
    """`prepare` finds the group in the path; the lists' own must be the same."""
    for clips, pattern in (
        (read_ucf101(ucf(tmp_path / "u")), UCF_GROUPS),
        (read_hmdb51(hmdb(tmp_path / "h")), HMDB_GROUPS),
    ):
        for clip in clips.clips.values():
            found = re.search(pattern, f"{clip.split}/{clip.name}.avi")
            assert (found[1] if found else clip.name) == clip.video


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"train": "v_YoYo_g25_c05.avi 101\n"}, "line 1: must be CLASS/FILE.avi"),
        ({"train": "YoYo/v_YoYo_g25_c05 101\n"}, "line 1: must be CLASS/FILE.avi"),
        ({"train": TRAIN + "Yo/v_Yo_g25_c05.avi 101\n"}, "line 6: class 'Yo' is not in classInd"),
        ({"train": "YoYo/v_YoYo_g25_c05.avi 100\n"}, "class 100 is not 'YoYo'"),
        ({"test": "../YoYo/v_YoYo_g25_c05.avi\n"}, "leads out of the data set"),
        ({"classes": "YoYo\n"}, "classInd.txt, line 1: must be NUMBER CLASS"),
        ({"train": "", "test": "\n"}, "division 1 hold no clip"),
    ],
)
def test_wrong_lists_of_ucf101_are_one_line(tmp_path: Path, texts, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_ucf101(ucf(tmp_path, **texts))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a_pick_f_cm_np1_fr_med_1.avi\n", "line 1: must be FILE.avi and 0, 1 or 2"),
        ("a.avi 1\nb.avi 3\n", "line 2: must be FILE.avi and 0, 1 or 2"),
        ("../../b.avi 1\n", "leads out of the data set"),
    ],
)
def test_wrong_lists_of_hmdb51_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_hmdb51(hmdb(tmp_path, pick=text))
    assert "\n" not in str(error.value)


def test_a_folder_without_lists_and_a_fourth_division(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no trainlist01\.txt there"):
        read_ucf101(tmp_path)
    with pytest.raises(InputError, match=r"_test_split3\.txt there"):
        read_hmdb51(hmdb(tmp_path), division=3)
    with pytest.raises(InputError, match="division 4: must be 1, 2 or 3"):
        read_ucf101(ucf(tmp_path), division=4)
