"""AudioSet's lists of segments, the names of its classes, and the tree over them.

    # YTID, start_seconds, end_seconds, positive_labels        # the third of three comment lines
    --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"         # blanks before cells

`ontology.json` is a list of {"id", "name", "child_ids"}. A class may have several parents; where
one path is needed, it goes up through the parent that comes first in the file, at every step.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from avssl.labels.reading import notes_of, read_json, refusing

_NUM_COLUMNS = 4


def read_segments(paths: Iterable[str | Path]) -> ClipList:
    """Reads `balanced_train_segments.csv`, `unbalanced_train_segments.csv`, `eval_segments.csv`.

    Returns:
        Clips whose classes are ids ("/m/09x0r"); the eval list is the split test. There is no
        official name of a clip's file: `name` is VGGSound's form, `other_names` are those that
        tools write.

    Raises:
        InputError: no such file, a name that tells no split, or a line not as the format says.
    """
    found = collected(clip for path in paths for clip in _clips(Path(path)))
    if not len(found):
        raise InputError("the lists of AudioSet hold no segment; give balanced_train_segments.csv")
    return found


def _clips(path: Path) -> Iterator[ListedClip]:
    stem = path.stem.lower()
    split = "test" if "eval" in stem else "train" if "train" in stem else ""
    if not split:
        raise InputError(f"{path}: the name of a list must hold eval or train; rename the file")
    for number, cells in read_lines(path):
        if len(cells) != _NUM_COLUMNS:
            why = f'{len(cells)} columns, must be id, start, end, "classes"'
            raise wrong(path, number, cells, why)
        try:
            classes = tuple(dict.fromkeys(one.strip() for one in cells[3].split(",")))
            if not all(one.startswith(("/m/", "/t/", "/g/")) for one in classes):
                raise ValueError("classes must be ids such as /m/09x0r")
            video, start_s, end_s = video_id(cells[0]), seconds(cells[1]), seconds(cells[2])
        except ValueError as error:
            raise wrong(path, number, cells, str(error)) from None
        start, end = int(start_s), int(end_s)
        yield ListedClip(
            name=f"{video}_{start:06d}",
            video=video,
            start_s=start_s,
            split=split,
            classes=classes,
            other_names=(
                f"{video}_{start:06d}_{end:06d}",
                f"{video}_{round(1000 * start_s)}_{round(1000 * end_s)}",
                f"{video}_{start_s:.3f}_{end_s:.3f}",
                f"{video}_{start}_{end}",
                f"{video}_{start_s:.3f}",
                f"{video}_{start}",
            ),
        )


def read_class_names(path: str | Path) -> dict[str, str]:
    """Reads `class_labels_indices.csv` (index, mid, display_name): {id: name}.

    Raises:
        InputError: no such file, or a line not as the format says.
    """
    found: dict[str, str] = {}
    for number, cells in read_lines(Path(path)):
        if len(cells) != 3:
            raise wrong(Path(path), number, cells, "must be index,mid,display_name")
        if not (number == 1 and cells[0].lower() == "index"):
            found[cells[1]] = cells[2]
    if not found:
        raise InputError(f"{path}: no classes in it")
    return found


@dataclass(frozen=True, kw_only=True)
class Ontology:
    """AudioSet's classes as a graph without circles."""

    names: Mapping[str, str]
    """Id → name."""
    parents: Mapping[str, tuple[str, ...]]
    """Id → ids of the classes above, in the order of the file; () at the top."""

    def path(self, class_id: str) -> tuple[str, ...]:
        """Gives the names from the top to a class, by the first parents; () if it is unknown."""
        if class_id not in self.names:
            return ()
        path = [class_id]
        while above := self.parents[path[-1]]:
            path.append(above[0])
        return tuple(self.names[one] for one in reversed(path))

    def below(self, name: str) -> frozenset[str]:
        """Gives the ids of a class, by name or id, and of everything below it by any parent.

        Raises:
            InputError: there is no such class.
        """
        found = {one for one, known in self.names.items() if name in (one, known)}
        if not found:
            raise InputError(f"{name!r}: no class of this name in the ontology")
        while more := {one for one, above in self.parents.items() if found & set(above)} - found:
            found |= more
        return frozenset(found)


def read_ontology(path: str | Path) -> Ontology:
    """Reads `ontology.json`.

    Raises:
        InputError: no such file, another layout, an id that is there twice, or a circle.
    """
    file = Path(path)
    entries = read_json(file)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: must be a list of classes")
    names: dict[str, str] = {}
    above: dict[str, list[str]] = {}
    for number, entry in enumerate(entries, start=1):
        with refusing(file, f"class {number}"):
            own = str(entry["id"])
            if own in names:
                raise ValueError(f"id {own} is there twice")
            names[own] = str(entry["name"])
            for child in entry["child_ids"]:
                above.setdefault(str(child), []).append(own)
    parents = {one: tuple(dict.fromkeys(above.get(one, ()))) for one in names}
    settled: set[str] = set()
    while waiting := [one for one in names if one not in settled]:
        free = [one for one in waiting if settled.issuperset(parents[one])]
        if not free:
            raise InputError(f"{path}: {waiting[0]} is above itself; the classes run in a circle")
        settled.update(free)
    return Ontology(names=names, parents=parents)


def segment_labels(
    clip: ListedClip, *, names: Mapping[str, str], ontology: Ontology | None = None
) -> dict[str, Any]:
    """Gives a segment's labels in the catalogue.

    Of several classes, "class" is the one deepest in the tree (the first in the list where several
    are, or where there is no tree), and "class_path" its path: what `avssl eval retrieval` judges.

    Args:
        clip: from `read_segments`.
        names: id → name.
        ontology: the tree, if at hand.

    Returns:
        {"class": name, "classes": [name, …], "class_ids": [id, …], "class_path": [name, …]}.
    """
    paths = [ontology.path(one) if ontology else () for one in clip.classes]
    deepest = max(range(len(paths)), key=lambda place: len(paths[place]))  # the first of equals
    shown = [names.get(one, one) for one in clip.classes]
    labels: dict[str, Any] = {
        "class": shown[deepest],
        "classes": shown,
        "class_ids": list(clip.classes),
    }
    if paths[deepest]:
        labels["class_path"] = list(paths[deepest])
    return labels


def only_below(clips: ClipList, ontology: Ontology, names: Iterable[str]) -> ClipList:
    """Keeps the clips with a class below one of `names`, and of their classes only those.

    AVE-Net's AudioSet-Instruments is such a subset.

    Raises:
        InputError: no such class, or no clip of them.
    """
    wanted = frozenset[str]().union(*(ontology.below(name) for name in names))
    kept = clips.kept(
        lambda clip: not wanted.isdisjoint(clip.classes), why="clips of other classes"
    )
    if not len(kept):
        raise InputError(f"no clip of the classes below {', '.join(names)}")
    return replace(
        kept,
        clips={
            name: replace(clip, classes=tuple(one for one in clip.classes if one in wanted))
            for name, clip in kept.clips.items()
        },
    )


def unknown_classes(clips: ClipList, names: Mapping[str, str]) -> tuple[str, ...]:
    """Gives a note where the lists hold ids that `names` does not."""
    unknown = sorted({one for clip in clips.clips.values() for one in clip.classes} - set(names))
    what = f"classes without a name keep their id (such as {', '.join(unknown[:3])})"
    return notes_of(Counter({what: len(unknown)}))
