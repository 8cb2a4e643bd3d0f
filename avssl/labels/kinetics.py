"""Kinetics' lists (`train.csv`, `val.csv`, `test.csv`), and the classes of Kinetics-Sounds.

    label,youtube_id,time_start,time_end,split                 # a header; is_cc may follow
    playing xylophone,--abcdefghi,11,21,train

Files are named `<id>_<start>_<end>.mp4`, both times with six digits, in a folder for each class
or all in one.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from avssl.errors import InputError
from avssl.labels.clip_lists import (
    ClipList,
    ListedClip,
    collected,
    read_lines,
    seconds,
    video_id,
    wrong,
)

_SPLITS = {
    "train": "train",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
}
_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")

OF_THE_PAPER: dict[str, str | None] = {
    "blowing nose": "blowing nose", "bowling": "bowling", "chopping wood": "chopping wood",
    "ripping paper": "ripping paper", "shuffling cards": "shuffling cards", "singing": "singing",
    "tapping pen": "tapping pen", "typing": None, "blowing out": "blowing out candles",
    "dribbling ball": "dribbling basketball", "laughing": "laughing",
    "mowing the lawn by pushing lawnmower": "mowing lawn", "shoveling snow": "shoveling snow",
    "stomping": "stomping grapes", "tap dancing": "tap dancing",
    "tapping guitar": "tapping guitar", "tickling": "tickling", "fingerpicking": None,
    "patting": None, "playing accordion": "playing accordion",
    "playing bagpipes": "playing bagpipes", "playing bass guitar": "playing bass guitar",
    "playing clarinet": "playing clarinet", "playing drums": "playing drums",
    "playing guitar": "playing guitar", "playing harmonica": "playing harmonica",
    "playing keyboard": "playing keyboard", "playing organ": "playing organ",
    "playing piano": "playing piano", "playing saxophone": "playing saxophone",
    "playing trombone": "playing trombone", "playing trumpet": "playing trumpet",
    "playing violin": "playing violin", "playing xylophone": "playing xylophone",
}  # fmt: skip
"""The 34 classes of L3-Net (1705.08168, appendix), named as in Kinetics before its release →
as in Kinetics-400; None: no class there."""

CLASSES_31 = frozenset(name for name in OF_THE_PAPER.values() if name)
"""What is left of them in Kinetics-400 (AdaMML's list)."""
CLASSES_32 = CLASSES_31 | {"strumming guitar"}
"""CrissCross's list: "strumming guitar" stands for what was "fingerpicking"."""


def read_kinetics(
    paths: Iterable[str | Path], *, classes: Collection[str] | None = None
) -> ClipList:
    """Reads one or several of Kinetics' lists; see `clip_lists.collected` for repeated clips.

    Without a list of the split test, the split validation is the test set: Kinetics' test labels
    were kept back, and results are told on validation.

    Args:
        paths: the lists.
        classes: keeps only the clips of these; "_" and " " are the same.

    Raises:
        InputError: no such file, no labels in it, another layout, or no clip of the classes.
    """
    read = collected(clip for path in paths for clip in _clips(Path(path)))
    found = read
    if classes is not None:
        wanted = {_spelled(name) for name in classes}
        found = read.kept(lambda clip: clip.classes[0] in wanted, why="clips of other classes")
        absent = sorted(wanted - {clip.classes[0] for clip in found.clips.values()})
        if absent:
            note = f"{len(absent)} classes without a clip: {', '.join(absent)}"
            found = replace(found, notes=(*found.notes, note))
    if not len(found):
        raise InputError("the lists hold no clip of the classes; give Kinetics' train.csv, val.csv")
    if found.of_split("validation") and not found.of_split("test"):
        clips = {
            name: replace(clip, split="test") if clip.split == "validation" else clip
            for name, clip in found.clips.items()
        }
        note = f"{len(found.of_split('validation'))} clips of validation are the test set"
        found = ClipList(clips=clips, notes=(*found.notes, note))
    return found


def _spelled(label: str) -> str:
    return " ".join(label.replace("_", " ").split())


def _clips(path: Path) -> Iterator[ListedClip]:
    places: list[int] = []
    num_columns = 0
    for number, cells in read_lines(path):
        if not places:
            names = [cell.lower() for cell in cells]
            if "youtube_id" in names and "label" not in names:
                raise InputError(f"{path}: a list without labels; use train.csv and val.csv")
            if not set(_COLUMNS) <= set(names):
                raise wrong(path, number, cells, f"the header must have {', '.join(_COLUMNS)}")
            places, num_columns = [names.index(name) for name in _COLUMNS], len(names)
            continue
        if len(cells) != num_columns:
            raise wrong(path, number, cells, f"{len(cells)} columns, the header has {num_columns}")
        label, video, start, end, split = (cells[place] for place in places)
        try:
            if split.lower() not in _SPLITS:
                raise ValueError("the split must be train, validate or test")
            if not label:
                raise ValueError("a class must be named")
            start_s, end_s = seconds(start), seconds(end)
            clip = ListedClip(
                name=f"{video_id(video)}_{int(start_s):06d}_{int(end_s):06d}",
                video=video,
                start_s=start_s,
                split=_SPLITS[split.lower()],
                classes=(_spelled(label),),
            )
        except ValueError as error:
            raise wrong(path, number, cells, str(error)) from None
        yield clip


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Reads a list of classes, one a line.

    Raises:
        InputError: no such file, or nothing in it.
    """
    names = tuple(dict.fromkeys(",".join(cells) for _, cells in read_lines(Path(path))))
    if not names:
        raise InputError(f"{path}: no classes in it")
    return names
