"""UCF101's and HMDB51's official lists of clips: three ways to divide them into train and test.

    ucfTrainTestlist/classInd.txt          1 ApplyEyeMakeup
                     trainlist01.txt       ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
                     testlist01.txt        ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi    (no class)
    testTrainMulti_7030_splits/brush_hair_test_split1.txt
                                           April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
                                           0: not in this division, 1: train, 2: test

UCF101: Soomro, Zamir, Shah, CRCV-TR-12-01, 2012. The seven or so clips of one group (g08) are cut
from one video: one person before one background. HMDB51: Kuehne and others, ICCV 2011 (the readme
of its lists gives the meaning of 0, 1 and 2); there a clip's name begins with its video's.

Clips are named "CLASS/NAME": a class is always the folder's, since the files of the class
HandstandPushups are named v_HandStandPushups. Names hold "#", "&" and brackets, so a line is
divided at its last blank alone, and nothing begins a comment.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from avssl.errors import InputError
from avssl.labels.clip_lists import ClipList, ListedClip, collected
from avssl.labels.reading import file_name

MAX_NUM_BYTES = 64 << 20
"""The longest official list has 0.6 MB."""
NUM_DIVISIONS = 3
UCF_GROUPS = r"([^/]+/v_[^/]+_g\d+)_c\d+\.\w+$"
"""`PrepareSettings.group_by` of UCF101: "YoYo/v_YoYo_g01"."""
HMDB_GROUPS = r"([^/]+/[^/]+)_[a-z]_(?:nm|cm)_np\d_[a-z]{2}_[a-z]{3}_\d+\.\w+$"
"""The same of HMDB51: "brush_hair/April_09_brush_hair". What is cut off says what of the body is
seen, whether the camera moves, how many people, from where, how good, and a number."""
_TRAIN, _TEST = "1", "2"
_WAYS_OF_HMDB = ("0", _TRAIN, _TEST)


def read_ucf101(folder: str | Path, *, division: int = 1) -> ClipList:
    """Reads one of UCF101's three divisions.

    Classes in the training list are held against `classInd.txt` where it is there.

    Args:
        folder: with `trainlist01.txt` and so on, or with `ucfTrainTestlist` in it.
        division: 1, 2 or 3.

    Raises:
        InputError: no such list, or a line that is not as the format says.
    """
    _check(division)
    root = _folder_with(
        folder, f"trainlist{division:02d}.txt", ("ucfTrainTestlist",), "UCF101's lists"
    )
    numbers = _classes(root / "classInd.txt")
    found: list[ListedClip] = []
    for split in ("train", "test"):
        path = root / f"{split}list{division:02d}.txt"
        for line, text in _lines(path):
            name, number = _divided(text)
            place = f"{path}, line {line}"
            if number and not number.isdigit():
                name, number = text, ""
            parts = file_name(name, source=path).split("/")
            if len(parts) != 2 or not re.search(r"\.\w+$", parts[1]):
                raise InputError(f"{place}: must be CLASS/FILE.avi, got {text[:60]!r}")
            label, stem = parts[0], parts[1].rpartition(".")[0]
            if numbers and label not in numbers:
                raise InputError(f"{place}: class {label!r} is not in classInd.txt; get both again")
            if numbers and number and numbers[label] != int(number):
                raise InputError(
                    f"{place}: class {number} is not {label!r} in classInd.txt "
                    f"({numbers[label]}); get both again"
                )
            group = re.fullmatch(r"(.+_g\d+)_c\d+", stem)
            found.append(
                ListedClip(
                    name=f"{label}/{stem}",
                    video=f"{label}/{group[1] if group else stem}",
                    start_s=0.0,
                    split=split,
                    classes=(label,),
                    other_names=_other_spellings(label, stem),
                )
            )
    return _whole(found, f"{root}: the lists of division {division} hold no clip")


def read_hmdb51(folder: str | Path, *, division: int = 1) -> ClipList:
    """Reads one of HMDB51's three divisions; clips that are in neither part of it are left out.

    Args:
        folder: with `brush_hair_test_split1.txt` and so on, or with a folder of the download in it
            (`testTrainMulti_7030_splits`, `test_train_splits`).
        division: 1, 2 or 3.

    Raises:
        InputError: no such lists, or a line that is not as the format says.
    """
    _check(division)
    ending = f"_test_split{division}.txt"
    within = ("testTrainMulti_7030_splits", "test_train_splits", "splits")
    root = _folder_with(folder, f"*{ending}", within, "HMDB51's lists")
    found: list[ListedClip] = []
    num_unused = 0
    for path in sorted(root.glob(f"*{ending}")):
        label = path.name.removesuffix(ending)
        for line, text in _lines(path):
            name, way = _divided(text)
            if way not in _WAYS_OF_HMDB or not name:
                raise InputError(
                    f"{path}, line {line}: must be FILE.avi and 0, 1 or 2, got {text[:60]!r}"
                )
            stem = re.sub(r"\.\w+$", "", file_name(name, source=path).rpartition("/")[2])
            if way not in (_TRAIN, _TEST):
                num_unused += 1
                continue
            group = re.fullmatch(HMDB_GROUPS, f"{label}/{stem}.avi")
            found.append(
                ListedClip(
                    name=f"{label}/{stem}",
                    video=group[1] if group else f"{label}/{stem}",
                    start_s=0.0,
                    split="train" if way == _TRAIN else "test",
                    classes=(label,),
                )
            )
    clips = _whole(found, f"{root}: the lists of division {division} hold no clip")
    note = f"{num_unused} clips are in neither part of division {division}"
    notes = (*clips.notes, note) if num_unused else clips.notes
    return ClipList(clips=clips.clips, notes=notes)


def _check(division: int) -> None:
    if division not in range(1, NUM_DIVISIONS + 1):
        raise InputError(f"division {division}: must be 1, 2 or 3")


def _folder_with(folder: str | Path, pattern: str, within: tuple[str, ...], what: str) -> Path:
    for place in (Path(folder), *(Path(folder, name) for name in within)):
        if place.is_dir() and next(place.glob(pattern), None) is not None:
            return place
    raise InputError(f"{folder}: no {pattern} there; name the folder of {what}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Gives (line number, text) of the lines that are not empty, of any kind of line end."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; get the lists again")
    if path.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: above {MAX_NUM_BYTES >> 20} MiB, so no list of clips")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # names in the letters of western Europe, in old copies
    for number, line in enumerate(re.split("\r\n|\n|\r", text), start=1):
        if line.strip():
            yield number, line.strip()


def _divided(text: str) -> tuple[str, str]:
    """Divides a line at its last blank: a name may hold others; "" where there is none."""
    name, _, last = text.rpartition(" ")
    return (name.rstrip(), last) if name else (text, "")


def _classes(path: Path) -> dict[str, int]:
    """Gives class → number of `classInd.txt`; {} where it is not there."""
    if not path.is_file():
        return {}
    found: dict[str, int] = {}
    for line, text in _lines(path):
        number, _, name = text.partition(" ")
        if not number.isdigit() or not name.strip():
            raise InputError(f"{path}, line {line}: must be NUMBER CLASS, got {text[:60]!r}")
        found[name.strip()] = int(number)
    return found


def _other_spellings(label: str, stem: str) -> tuple[str, ...]:
    """Copies of UCF101 exist in which file and folder are spelt alike, or that have no folders."""
    plain = stem.replace("HandStandPushups", "HandstandPushups")
    large = stem.replace("HandstandPushups", "HandStandPushups")
    folders = (label, label.replace("HandstandPushups", "HandStandPushups"))
    names = [f"{folder}/{one}" for folder in folders for one in (stem, plain, large)]
    return tuple(dict.fromkeys([*names[1:], stem]))


def _whole(found: list[ListedClip], nothing: str) -> ClipList:
    if not found:
        raise InputError(nothing)
    return collected(found)
