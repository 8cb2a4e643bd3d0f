"""ESC-50 (Piczak, ACM Multimedia 2015): 2000 sounds of 5 s, 50 classes, five official folds.

    ESC-50-master/audio/1-100032-A-0.wav      FOLD-RECORDING-TAKE-CLASS
    ESC-50-master/meta/esc50.csv              filename,fold,target,category,esc10,src_file,take

ESC-10 is the ten classes whose rows say so. Clips of one recording are in one fold; a list in
which they are not is read, and a note says so.
"""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Literal

from avssl.errors import InputError
from avssl.labels.reading import file_name, notes_of, refusing
from avssl.labels.sound_classes import LabelledSound, LabelledSounds

Subset = Literal["esc50", "esc10"]
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
LIST = "meta/esc50.csv"
MAX_NUM_BYTES = 64 << 20
"""The official list has 0.1 MB."""
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def find_esc50(root: str | os.PathLike[str]) -> Path | None:
    """Gives the folder with `meta/esc50.csv`: `root`, or `ESC-50-master` or `ESC-50` in it."""
    folders = (Path(root), Path(root) / "ESC-50-master", Path(root) / "ESC-50")
    return next((folder for folder in folders if (folder / LIST).is_file()), None)


def read_esc50(root: str | os.PathLike[str], *, subset: Subset = "esc50") -> LabelledSounds:
    """Reads the list; classes are its categories, recordings its `src_file`.

    Columns may stand in any order, and more may stand beside them. Rows that repeat another are
    counted; files that are not there are left out and counted.

    Args:
        root: the unpacked download (see `find_esc50`).
        subset: "esc10" keeps the rows with esc10 = True.

    Raises:
        InputError: no list, another layout, a name that leads out of the folder, rows that
            contradict each other, or no file there.
    """
    if subset not in ("esc50", "esc10"):
        raise InputError(f"subset {subset!r}: must be esc50 or esc10")
    folder = find_esc50(root)
    if folder is None:
        raise InputError(f"{root}: no {LIST} there; name the unpacked download of ESC-50")
    rows = _rows(folder / LIST)
    counts: Counter[str] = Counter()
    found: dict[str, LabelledSound] = {}
    targets: dict[str, int] = {}
    for number, row in rows:
        where = f"line {number}"
        with refusing(folder / LIST, where):
            if None in row:
                raise ValueError("more cells than columns")
            name = file_name(row["filename"], source=folder / LIST)
            fold, target, label = int(row["fold"]), int(row["target"]), row["category"].strip()
            flag, recording = row["esc10"].strip().lower(), row["src_file"].strip()
            if flag not in _TRUTH:
                raise ValueError(f"esc10 {flag!r} must be True or False")
            if fold < 1 or not label or not recording:
                raise ValueError("fold must be 1 or more, category and src_file not empty")
        sound = LabelledSound(path=f"audio/{name}", label=label, recording=recording, fold=fold)
        if targets.setdefault(label, target) != target:
            raise InputError(
                f"{folder / LIST}: {where}: {label!r} has target {target}, before that "
                f"{targets[label]}; get the file again"
            )
        if subset == "esc10" and not _TRUTH[flag]:
            continue
        if found.setdefault(sound.path, sound) != sound:
            raise InputError(
                f"{folder / LIST}: {where}: {name} stands there before, otherwise; "
                "get the file again"
            )
        counts["rows"] += 1
    counts["rows that repeat another"] = counts.pop("rows", 0) - len(found)
    if not found:
        raise InputError(f"{folder / LIST}: no row of {subset}; get the file again")
    if len(set(targets.values())) < len(targets):
        raise InputError(f"{folder / LIST}: two categories have one target; get the file again")
    there = [sound for sound in found.values() if (folder / sound.path).is_file()]
    missing = sorted(found.keys() - {sound.path for sound in there})
    if not there:
        raise InputError(
            f"{folder}: none of the {len(missing)} sounds is there (such as {missing[0]}); "
            "unpack the whole download"
        )
    if missing:
        counts[f"sounds whose file is not there (such as {missing[0]})"] = len(missing)
    torn = _torn(there)
    if torn:
        counts[
            f"recordings with clips in several folds (such as {torn[0]}): the figures are too good"
        ] = len(torn)
    return LabelledSounds(
        root=folder, sounds=tuple(there), notes=notes_of(counts), official_folds=True
    )


def _torn(sounds: list[LabelledSound]) -> list[str]:
    folds: dict[str, set[int | None]] = {}
    for sound in sounds:
        folds.setdefault(sound.recording, set()).add(sound.fold)
    return sorted(recording for recording, held in folds.items() if len(held) > 1)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Gives (line, row) of every row that is not empty."""
    if path.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: above {MAX_NUM_BYTES >> 20} MiB, so not ESC-50's list")
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(text.splitlines())
        lacking = [name for name in COLUMNS[:-1] if name not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(f"{path}: no column {lacking[0]!r}; must be {','.join(COLUMNS)}")
        return [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from None
