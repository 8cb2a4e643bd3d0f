"""Which files belong together, and which split each group goes to."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from avssl.catalog import SPLITS
from avssl.errors import InputError

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


_NEEDED_FIRST = ("train", "test", "validation")


class Union:
    """Sets that grow together (union-find over names)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def find(self, name: str) -> str:
        """Gives the smallest name of the set that `name` is in."""
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Makes one set of two."""
        a, b = self.find(one), self.find(other)
        self._parent[max(a, b)] = min(a, b)


def named_groups(relatives: Sequence[str], *, group_by: str) -> dict[str, str]:
    """Gives the user's group of each file: {relative path: name}, without files that have none.

    Args:
        relatives: relative paths.
        group_by: "none", "folder" or a regular expression (see `PrepareSettings.group_by`).
    """
    if group_by == "none":
        return {}
    if group_by == "folder":
        return {name: name.rpartition("/")[0] or "." for name in relatives}
    pattern = re.compile(group_by)
    found = {name: pattern.search(name) for name in relatives}
    groups = {
        name: (match.group(1) if match.re.groups else match.group(0)) or ""
        for name, match in found.items()
        if match
    }
    if relatives and not groups:
        raise InputError(
            f"--group-by {group_by!r}: matches none of {len(relatives)} files, such as "
            f"{relatives[0]!r}; correct the pattern"
        )
    return groups


def group_ids(
    relatives: Sequence[str], *, named: Mapping[str, str], alike: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """Gives each file's group: files of one name, and near-copies, share one.

    A group's id is the user's name for it where it has exactly one, else its first file.

    Args:
        relatives: relative paths.
        named: from `named_groups`.
        alike: pairs of near-copies.
    """
    union = Union(relatives)
    first_of: dict[str, str] = {}
    for relative in relatives:
        if relative in named:
            union.join(relative, first_of.setdefault(named[relative], relative))
    for one, other in alike:
        union.join(one, other)
    names: dict[str, set[str]] = {}
    for relative in relatives:
        names.setdefault(union.find(relative), set())
        if relative in named:
            names[union.find(relative)].add(named[relative])
    taken = {root: next(iter(found)) if len(found) == 1 else root for root, found in names.items()}
    return {relative: taken[union.find(relative)] for relative in relatives}


def splits_of(
    groups: Mapping[str, str], *, split: Sequence[float], split_from: str
) -> tuple[dict[str, str], list[str]]:
    """Gives each file's split, whole groups at a time, and what had to be decided.

    Args:
        groups: {relative path: group id}.
        split: fractions of train, validation, test.
        split_from: "auto", "folders" or "fractions".

    Returns:
        {relative path: split} and notes for a person.
    """
    folders = {name: SPLIT_FOLDERS.get(name.split("/")[0].lower(), "") for name in groups}
    folders = {name: where if "/" in name else "" for name, where in folders.items()}
    if split_from == "folders" and not all(folders.values()):
        stray = next(name for name, where in folders.items() if not where)
        raise InputError(
            f"--split-from folders: {stray!r} lies in no folder train, validation or test; "
            "move it or use --split-from fractions"
        )
    if groups and (split_from == "folders" or (split_from == "auto" and all(folders.values()))):
        return _by_folder(groups, folders)
    return _by_fraction(groups, split)


def _by_folder(
    groups: Mapping[str, str], folders: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    held: dict[str, set[str]] = {}
    for name, group in groups.items():
        held.setdefault(group, set()).add(folders[name])
    # what is kept for testing must stay unseen: the strictest split takes the whole group
    chosen = {group: max(where, key=SPLITS.index) for group, where in held.items()}
    notes = [
        f"group {group!r} lies in {' and '.join(sorted(where))}: all of it goes to {chosen[group]}"
        for group, where in sorted(held.items())
        if len(where) > 1
    ]
    return {name: chosen[group] for name, group in groups.items()}, notes


def _by_fraction(
    groups: Mapping[str, str], split: Sequence[float]
) -> tuple[dict[str, str], list[str]]:
    places = {group: unit_hash(group) for group in set(groups.values())}
    edges = [split[0], split[0] + split[1]]
    chosen = {
        group: SPLITS[(at >= edges[0]) + (at >= edges[1] and split[2] > 0)]
        for group, at in places.items()
    }
    # A handful of groups may leave a split empty; it then takes the group nearest to its range.
    notes: list[str] = []
    wanted = [name for name, share in zip(SPLITS, split, strict=True) if share > 0]
    if len(places) < len(wanted):  # without clips to train on, all others are of no use
        wanted = [name for name in _NEEDED_FIRST if name in wanted][: len(places)]
    for name in wanted:
        if name in chosen.values():
            continue
        counts = {other: sum(where == other for where in chosen.values()) for other in SPLITS}
        giver = max(
            counts, key=lambda other: (counts[other] > 0 and other not in wanted, counts[other])
        )
        middle = {"train": edges[0] / 2, "validation": sum(edges) / 2, "test": (edges[1] + 1) / 2}
        nearest = min(
            (group for group in places if chosen[group] == giver),
            key=lambda group: (abs(places[group] - middle[name]), group),
        )
        chosen[nearest] = name
        notes.append(f"no group's hash fell to {name}: group {nearest!r} was moved there")
    return {name: chosen[group] for name, group in groups.items()}, notes


def unit_hash(text: str) -> float:
    """Gives a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
