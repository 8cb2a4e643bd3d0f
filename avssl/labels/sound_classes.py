"""Labelled sounds: one class a sound. The records, and a folder whose folders are the classes.

    sounds/dog/a.wav  sounds/dog/monday/b.flac  sounds/cat/c.mp3

What official lists give (folds, recordings) stands in the same records: `avssl.labels.esc50`.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avssl.errors import InputError
from avssl.labels.reading import notes_of

SUFFIXES = frozenset(
    """
    aac ac3 aif aifc aiff amr ape au caf flac m4a mka mp2 mp3 oga ogg opus spx tta w64 wav wma wv
    3gp avi flv m4v mkv mov mp4 mpeg mpg ogv ts webm wmv
    """.split()  # noqa: SIM905
)
"""Names that promise sound; of a video, its sound is taken."""
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
_NUMBERED = (
    re.compile(r"\d-(\d+)-[A-Z]-\d+"),  # ESC-50: FOLD-RECORDING-TAKE-CLASS
    re.compile(r"(\d+)-\d+-\d+-\d+"),  # UrbanSound8K: RECORDING-CLASS-OCCURRENCE-SLICE
)
_TAKE = re.compile(
    r"(.+?)[-_. ](?:[a-z]|(?:take|part|slice|seg|segment|chunk)[-_ ]?\d+)", flags=re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class LabelledSound:
    """A file and its class."""

    path: str
    """Below the set's root, with forward slashes."""
    label: str
    recording: str = ""
    """What it was cut from; "" where that is not known."""
    fold: int | None = None
    """Of an official cross-validation."""


@dataclass(frozen=True, kw_only=True)
class LabelledSounds:
    """A set, and what was left out of it."""

    root: Path
    sounds: tuple[LabelledSound, ...]
    notes: tuple[str, ...] = ()
    official_folds: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted({sound.label for sound in self.sounds}))


def recording_of(path: str) -> str:
    """Gives what a file's name says it was cut from, "" where it says nothing.

    ESC-50's and UrbanSound8K's names hold the recording's number. Elsewhere names of one folder
    that differ in a last letter ("street-A", "street-B") or in "take", "part", "slice", "segment"
    or "chunk" and a number are one recording. A number alone ("dog_1") is none: it usually counts
    recordings.
    """
    place = PurePosixPath(path)
    for pattern in _NUMBERED:
        found = pattern.fullmatch(place.stem)
        if found:
            return found.group(1)
    found = _TAKE.fullmatch(place.stem)
    return str(place.parent / found.group(1)) if found else ""


def read_class_folders(root: str | os.PathLike[str]) -> LabelledSounds:
    """Lists a folder of class folders; the class is the name of the first folder below `root`.

    Files are taken by suffix, without regard to case; hidden ones, empty ones and those that lie
    in no class folder are counted. Sub-folders belong to their class; links inside are not
    followed.

    Raises:
        InputError: no such folder, an archive, or no sound in a class folder.
    """
    folder = Path(root)
    if folder.is_file():
        hint = "unpack it first" if folder.suffix.lower() in _ARCHIVES else "name its folder"
        raise InputError(f"{root}: a file, not a folder of labelled sounds; {hint}")
    if not folder.is_dir():
        raise InputError(f"{root}: no such folder; give the folder of class folders")
    counts: Counter[str] = Counter()
    sounds = []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            known = entry.suffix.lower().lstrip(".") in SUFFIXES
            counts["sounds outside of the class folders (left out)"] += known
            continue
        if entry.name.startswith("."):
            continue
        for path in _files(entry):
            relative = path.relative_to(folder).as_posix()
            if path.suffix.lower().lstrip(".") not in SUFFIXES:
                counts["files that are no sounds by their name (left out)"] += 1
            elif not relative.isprintable():  # not UTF-8, or control characters
                counts["sounds whose name is not printable (left out)"] += 1
            else:
                sounds.append(LabelledSound(path=relative, label=entry.name))
    if not sounds:
        raise InputError(
            f"{root}: no sound in a class folder; sounds lie in one folder a class, as "
            "dog/1.wav, or it is the unpacked ESC-50 with meta/esc50.csv"
        )
    return LabelledSounds(root=folder, sounds=tuple(sounds), notes=notes_of(counts))


def _files(folder: Path) -> list[Path]:
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    ]
    return sorted(path for path in found if path.is_file())
