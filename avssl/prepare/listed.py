"""Public data sets are lists of clips: only those are prepared, with their labels and splits."""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.files import write_text
from avssl.labels.clip_lists import ClipList, ListedClip, class_labels
from avssl.prepare.run import prepare
from avssl.prepare.scan import SUFFIXES
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.summary import Report

Labels = Mapping[str, Any]

VALIDATION_OF = 20
"""One of so many training clips is held out for validation, by a hash of its name."""
VIDEO_GROUPS = r"/([A-Za-z0-9_-]{11})_\d"
"""`PrepareSettings.group_by`: clips of one YouTube video belong together."""
MISSING_NAME = "missing.txt"
"""In the data set's folder: the clips of the lists that were not there."""


def prepare_clips(
    source: Path,
    destination: Path,
    clips: ClipList,
    *,
    labels: Callable[[ListedClip], Labels] = class_labels,
    by_id: bool = False,
    group_by: str = VIDEO_GROUPS,
    hold_out: bool = True,
    settings: PrepareSettings | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Report:
    """Prepares the clips of lists of videos; those of one video are a group.

    What trains of a video that is tested on is left out (`ClipList.apart`).

    Args:
        source: folder of clips, at any depth.
        destination: the data set's folder.
        clips: the lists.
        labels: what the catalogue says of a clip.
        by_id: a file may also be named by the video's id alone, where the lists have one clip of
            it. The file must be the clip, not the whole video.
        group_by: how the group is read from a file's path; the default is for YouTube's ids.
        hold_out: see `prepare_listed`.
        settings: of `prepare`.
        jobs: processes; as many as there are cores if None.
        quiet: no progress bar.

    Raises:
        InputError: see `prepare_listed`.
    """
    clips = clips.apart()
    videos: dict[str, int] = {}
    for clip in clips.clips.values():
        videos[clip.video] = videos.get(clip.video, 0) + 1

    def names(name: str) -> tuple[str, ...]:
        clip = clips[name]
        alone = (clip.video,) if by_id and videos[clip.video] == 1 else ()
        return (name, *clip.other_names, *alone)

    if not quiet:
        print(clips)
    report = prepare_listed(
        source,
        destination,
        **{
            role: {name: labels(clip) for name, clip in clips.of_split(split).items()}
            for role, split in (
                ("test", "test"),
                ("training", "train"),
                ("validation", "validation"),
            )
        },
        names=names,
        group=lambda name: clips[name].video,
        hold_out=hold_out,
        settings=dataclasses.replace(settings or PrepareSettings(), group_by=group_by),
        jobs=jobs,
        quiet=quiet,
    )
    if not quiet:
        _say_absent_classes(destination, clips)
    return report


def _say_absent_classes(destination: Path, clips: ClipList) -> None:
    """Says which classes have no file at all: a folder that was forgotten."""
    path = destination / MISSING_NAME
    missing = set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()
    wanted = {clip.classes[0] for clip in clips.clips.values()}
    there = {clip.classes[0] for name, clip in clips.clips.items() if name not in missing}
    if absent := sorted(wanted - there):
        print(f"{len(absent)} classes without a file: {', '.join(absent)}")


def prepare_listed(
    source: Path,
    destination: Path,
    *,
    test: Mapping[str, Labels],
    training: Sequence[str] | Mapping[str, Labels] = (),
    validation: Mapping[str, Labels] | None = None,
    names: Callable[[str], Sequence[str]] = lambda name: (name,),
    group: Callable[[str], str] = lambda name: name,
    hold_out: bool = True,
    settings: PrepareSettings | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Report:
    """Prepares the clips of lists: their names are those of the files without suffix.

    Beside the data set stands a folder of links while this runs (DESTINATION_listed): a stopped
    call goes on; it is removed at the end, unless the data set is one `in_place`. What of the
    training set turns out to be a copy, or nearly one, of a clip to be tested on is left out.

    Args:
        source: folder of clips, at any depth.
        destination: the data set's folder.
        test: name → labels of the clips of the split test.
        training: names of those to train on, with labels or without. Where there is no list for
            validation, a twentieth goes into that split (see `hold_out`).
        validation: name → labels of the clips of the split validation.
        names: what the file of a clip may be named; the first that is there is taken. "a/b" is
            b in a folder a.
        group: clips of one group go to validation together.
        hold_out: False: without a list for validation that split stays empty.
        settings: of `prepare`; splits are those of the lists, whatever they say.
        jobs: processes; as many as there are cores if None.
        quiet: no progress bar, no words.

    Raises:
        InputError: a clip is in several lists, two files have its name, or none is there.
    """
    held: dict[str, Labels] = dict(validation or {})
    train: dict[str, Labels] = {
        name: training[name] if isinstance(training, Mapping) else {} for name in training
    }
    both = sorted(set(train) & set(test) | set(held) & (set(test) | set(train)))
    if both:
        raise InputError(
            f"{len(both)} clips are to be trained on and tested on ({', '.join(both[:3])}…)"
        )
    everything = {**test, **held, **train}
    found = _files(source, everything, names)
    missing = [name for name in everything if name not in found]
    if not found:
        raise InputError(
            f"{source}: none of the {len(missing)} clips of the lists is there; files must be "
            f"named like {next(iter(everything), 'ID')}.mp4"
        )
    links = destination.with_name(f"{destination.name}_listed")
    linked: list[Linked] = []
    for name, file in found.items():
        split = "test" if name in test else "validation" if name in held else "train"
        if split == "train" and hold_out and not held and _is_held_out(group(name)):
            split = "validation"
        linked.append((f"{split}/{name}{file.suffix}", file, everything[name]))
    link_all(links, linked)
    own = dataclasses.replace(settings or PrepareSettings(), split_from="folders")
    report = prepare(links, destination, settings=own, jobs=jobs, quiet=quiet)
    leaked = sorted(
        {
            row.source
            for row in Catalog.read(destination).rows()
            if _has_leaked(row.source, row.split)
        }
    )
    if leaked:
        for relative in leaked:
            (links / relative).unlink(missing_ok=True)
            (links / relative).with_suffix(".json").unlink(missing_ok=True)
        report = prepare(links, destination, settings=own, jobs=jobs, quiet=quiet)
    if not own.in_place:  # then the data set reads through the links
        shutil.rmtree(links)
    if missing:
        write_text(destination / MISSING_NAME, "".join(f"{name}\n" for name in missing))
    else:
        (destination / MISSING_NAME).unlink(missing_ok=True)
    if not quiet:
        if missing:
            print(
                f"{len(missing)} of {len(everything)} clips of the lists are not in {source} "
                f"({', '.join(missing[:3])}…): all of them in {destination / MISSING_NAME}"
            )
        if leaked:
            print(
                f"{len(leaked)} clips to train on are copies of clips to test on, or nearly, and "
                f"left out ({', '.join(leaked[:3])}…)"
            )
    return report


Linked = tuple[str, Path, Labels]
"""(path below the folder of links, file, labels)."""


def link_all(links: Path, linked: Iterable[Linked]) -> None:
    """Makes a folder of links with labels beside them, and removes what else is in it."""
    wanted: set[Path] = set()
    for relative, file, labels in linked:
        path = links / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink() or path.readlink() != file.absolute():
            path.unlink(missing_ok=True)
            path.symlink_to(file.absolute())
        wanted.add(path)
        if labels:
            beside = path.with_suffix(".json")
            text = json.dumps(labels, ensure_ascii=False, allow_nan=False)
            if not beside.is_file() or beside.read_text(encoding="utf-8") != text:
                write_text(beside, text)
            wanted.add(beside)
    for path in links.rglob("*"):  # of a call with other lists that was stopped
        if not path.is_dir() and path not in wanted:
            path.unlink()


def _is_held_out(group: str) -> bool:
    return hashlib.sha256(group.encode()).digest()[0] % VALIDATION_OF == 0


def _has_leaked(relative: str, split: str) -> bool:
    """Says whether `prepare` moved a clip to the split test, since its group is in it."""
    return split == "test" and not relative.startswith("test/")


def _files(
    source: Path, wanted: Mapping[str, Any], names: Callable[[str], Sequence[str]]
) -> dict[str, Path]:
    """Gives {clip: its file}."""
    if not source.is_dir():
        raise InputError(f"{source}: must be a folder of clips")
    there: dict[str, list[Path]] = {}
    for folder, _, files in os.walk(source):
        for file in files:
            path = Path(folder, file)
            if path.suffix.lower().lstrip(".") in SUFFIXES:
                there.setdefault(path.stem, []).append(path)
                there.setdefault(f"{path.parent.name}/{path.stem}", []).append(path)
    found: dict[str, Path] = {}
    for name in wanted:
        stem = next((one for one in names(name) if one in there), None)
        if stem is None:
            continue
        first, *others = sorted(there[stem])
        if others:
            raise InputError(f"{first} and {others[0]}: two files of one name; remove one of them")
        found[name] = first
    return found
