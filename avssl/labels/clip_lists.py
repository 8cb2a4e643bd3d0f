"""Lists of clips of YouTube videos: what VGGSound, Kinetics and AudioSet have in common.

    clips = read_vggsound(["vggsound.csv"])
    clips["-hSwZyPPJTc_000075"].classes, clips.notes

A clip is some seconds of a video, with one class or several and a split; its file is named by
the video's id and the seconds. The files come from anywhere: a byte order mark, Windows line ends,
blank lines and comments are passed over, everything else that is not as the format says is refused
in one line that names file and line.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avssl.catalog import SPLITS
from avssl.errors import InputError
from avssl.labels.reading import notes_of

MAX_NUM_BYTES = 1 << 30
"""AudioSet's unbalanced list, the longest, has some 100 MB."""
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_CLIP_NAME = re.compile(r"([A-Za-z0-9_-]{11})_\d")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedClip:
    """One line of a list."""

    name: str
    """Official name of the clip's file, without suffix."""
    video: str
    """YouTube's id, 11 letters; many begin with "-"."""
    start_s: float
    """In the YouTube video."""
    split: str
    """"train", "validation" or "test"."""
    classes: tuple[str, ...]
    other_names: tuple[str, ...] = ()
    """What else tools that fetch the clips name the file."""


@dataclass(frozen=True, kw_only=True)
class ClipList:
    """The clips of one or several lists, each once, and what was wrong in them."""

    clips: Mapping[str, ListedClip]
    """Official name → clip, in the order of the lists."""
    notes: tuple[str, ...] = ()
    """One line for each kind of thing that was changed or left out."""

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, name: str) -> ListedClip:
        return self.clips[name]

    def of_split(self, split: str) -> dict[str, ListedClip]:
        """Gives the clips of "train", "validation" or "test"."""
        return {name: clip for name, clip in self.clips.items() if clip.split == split}

    def kept(self, keep: Callable[[ListedClip], bool], *, why: str) -> "ClipList":
        """Gives the clips for which `keep` is true; the others are counted under `why`."""
        found = {name: clip for name, clip in self.clips.items() if keep(clip)}
        counts = Counter({why: len(self.clips) - len(found)})
        return ClipList(clips=found, notes=(*self.notes, *notes_of(counts)))

    def apart(self) -> "ClipList":
        """Leaves out what trains or validates of a video that is also tested on, and counts it."""
        tested = {clip.video for clip in self.clips.values() if clip.split == "test"}
        return self.kept(
            lambda clip: clip.split == "test" or clip.video not in tested,
            why="clips to train on are of a video that the test set has too (left out)",
        )

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {len(self.of_split(name))}" for name in SPLITS)
        num_classes = len({name for clip in self.clips.values() for name in clip.classes})
        return "; ".join([f"{len(self)} clips ({shown}), {num_classes} classes", *self.notes])


def collected(clips: Iterable[ListedClip]) -> ClipList:
    """Puts the clips of all lists together, each once.

    A clip that is there again is left out and counted: with other classes, which are not taken;
    or with another split: then the strictest of them is (test, then validation).
    """
    found: dict[str, ListedClip] = {}
    counts: Counter[str] = Counter()
    for clip in clips:
        before = found.setdefault(clip.name, clip)
        if before is clip:
            continue
        counts["lines of a clip that was there before (left out)"] += 1
        if before.classes != clip.classes:
            counts["of them with another class (the first counts)"] += 1
        if before.split != clip.split:
            counts[
                "clips in several splits (test counts before validation, that before train)"
            ] += 1
            strictest = max(before.split, clip.split, key=SPLITS.index)
            found[clip.name] = replace(before, split=strictest)
    return ClipList(clips=found, notes=notes_of(counts))


def read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Gives (line number, cells) of a CSV file, without blank lines and those that begin with "#".

    Raises:
        InputError: no such file, above 1 GiB, not UTF-8, or not CSV.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: above {MAX_NUM_BYTES >> 30} GiB, so no list of clips")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        # YouTube's ids hold no "#"
        lines = csv.reader(stream, skipinitialspace=True, strict=True)
        while True:
            number = lines.line_num + 1
            try:
                cells = [cell.strip() for cell in next(lines)]
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(f"{path}, line {number}: not CSV ({error})") from None
            except UnicodeDecodeError as error:  # read ahead: the line is not known
                raise InputError(f"{path}: not UTF-8 ({error.reason}); save it as such") from None
            if any(cells) and not cells[0].startswith("#"):
                yield number, cells


def wrong(path: Path, number: int, cells: list[str], why: str) -> InputError:
    """Gives the one line for a row that is not as the format says."""
    shown = ",".join(cells)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    return InputError(f"{path}, line {number}: {why}, got {shown!r}; correct the list")


def video_id(text: str) -> str:
    """Checks one of YouTube's ids.

    Raises:
        ValueError: not 11 letters, digits, "-" or "_" (spreadsheets turn ids with "-" in front
            into "#NAME?").
    """
    if not _VIDEO_ID.fullmatch(text):
        raise ValueError("a YouTube id has 11 letters, digits, '-' or '_'")
    return text


def seconds(text: str) -> float:
    """Reads a time.

    Raises:
        ValueError: not a finite number from 0 to a million.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        raise ValueError("seconds must be a number from 0 on")
    return value


def video_of(name: str) -> str:
    """Gives the YouTube id in a clip's name, or the name itself where there is none."""
    found = _CLIP_NAME.match(name)
    return found[1] if found else name


def class_labels(clip: ListedClip) -> dict[str, Any]:
    """Gives the labels of a clip in the catalogue, {"class": …}, and "classes" of several."""
    labels: dict[str, Any] = {"class": clip.classes[0]}
    if len(clip.classes) > 1:
        labels["classes"] = list(clip.classes)
    return labels
