"""Which labelled pictures train, which choose, which test: whole groups, or blocks with gaps.

one group:   train train train train · · validation · · test      (· left out)
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avssl.catalog import SPLITS
from avssl.errors import InputError
from avssl.labels.records import LabelledImage, LabelledSet

DEFAULT_GAP = 2
"""Pictures left out between two blocks of one group. People who label pick frames seconds apart,
so that two of them keep neighbours in time out of different splits."""


def assign_splits(
    labelled_set: LabelledSet,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    gap: int = DEFAULT_GAP,
) -> LabelledSet:
    """Gives every picture a split.

    Official splits are kept as they are (see `hold_out_validation`); a picture without one goes
    with its group where the group has exactly one, and is left out where it has several. All other
    groups are dealt out whole, in an order drawn from the seed. With fewer groups than splits,
    train comes first, then validation; a note says what is empty. Where one group is all there is,
    it is cut into contiguous blocks by `order` (by name where there is no order), which lie in a
    sequence drawn from the seed; between two blocks `gap` places of the order are left out.

    Args:
        labelled_set: as read; group "" is a group like any other.
        fractions: of train, validation, test, by pictures; they sum to 1. 0: no such split.
        seed: another seed, another dealing.
        gap: number of pictures left out between two blocks.

    Returns:
        The set with splits, fewer pictures where there are gaps, and notes.

    Raises:
        InputError: fractions or gap out of range, or too few pictures for the blocks.
    """
    shares = [float(share) for share in fractions]
    if len(shares) != 3 or not all(0 <= share <= 1 for share in shares):
        raise InputError(f"fractions {tuple(fractions)}: three of 0 to 1, train first")
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise InputError(f"fractions {tuple(fractions)}: must sum to 1")
    if gap < 0 or seed < 0:
        raise InputError(f"gap {gap}, seed {seed}: must not be below 0")
    images, rng = labelled_set.images, np.random.default_rng(seed)
    official: dict[str, set[str]] = {}
    for image in images:
        if image.split:
            official.setdefault(image.group, set()).add(image.split)
    free: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        if image.group not in official:
            free.setdefault(image.group, []).append(index)

    splits = [image.split for image in images]
    notes: list[str] = []
    if len(free) == 1 and not official:
        (indices,) = free.values()
        blocks = _blocks([images[index] for index in indices], shares, rng, gap)
        for index, split in zip(indices, blocks, strict=True):
            splits[index] = split
        if "" in blocks:
            notes.append(f"{blocks.count('')} pictures between the blocks of one group (left out)")
    elif free:
        sizes = {group: len(indices) for group, indices in free.items()}
        dealt = _dealt(sizes, shares, rng, [] if official else notes)
        for group, indices in free.items():
            for index in indices:
                splits[index] = dealt[group]
    num_torn = 0
    for index, image in enumerate(images):
        held = official.get(image.group, set())
        if not splits[index] and len(held) == 1:
            splits[index] = next(iter(held))
        num_torn += not splits[index] and len(held) > 1
    if num_torn:
        notes.append(f"{num_torn} pictures whose group lies in several splits (left out)")
    return replace(
        labelled_set,
        images=[
            image if image.split == split else replace(image, split=split)
            for image, split in zip(images, splits, strict=True)
            if split
        ],
        notes=(*labelled_set.notes, *notes),
    )


def hold_out_validation(
    labelled_set: LabelledSet, fraction: float = 0.1, seed: int = 0
) -> LabelledSet:
    """Takes a validation set out of an official training set that comes without one.

    Whole groups of the training set, or blocks of it where it is one group, as `assign_splits`.
    A set with an official validation, or without an official training set, stays as it is.

    Args:
        labelled_set: as read.
        fraction: of the training pictures; 0 leaves the set as it is.
        seed: another seed, other groups.

    Raises:
        InputError: the fraction is out of range, or there are too few pictures.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"validation {fraction}: a fraction of the training set, 0 to below 1")
    splits = {image.split for image in labelled_set.images}
    if not fraction or "train" not in splits or "validation" in splits:
        return labelled_set
    train = [replace(i, split="") for i in labelled_set.images if i.split == "train"]
    free = replace(labelled_set, images=train, notes=())
    dealt = assign_splits(free, (1 - fraction, fraction, 0.0), seed)
    num_held = sum(image.split == "validation" for image in dealt.images)
    rest = [image for image in labelled_set.images if image.split != "train"]
    note = f"{num_held} pictures of the official training set held out for validation"
    return replace(
        labelled_set,
        images=[*dealt.images, *rest],
        notes=(*labelled_set.notes, *dealt.notes, note),
    )


def _blocks(
    images: Sequence[LabelledImage], shares: list[float], rng: np.random.Generator, gap: int
) -> list[str]:
    """Gives each picture's split, "" for those in a gap."""
    has_order = len({image.order for image in images}) > 1
    # pictures of one moment (several cameras) stay together
    keys = [(image.order, "") if has_order else (image.frame or 0, image.path) for image in images]
    moments = sorted(set(keys))
    wanted = [place for place, share in enumerate(shares) if share > 0]
    spare = len(moments) - gap * (len(wanted) - 1)
    if spare < len(wanted):
        raise InputError(
            f"{len(moments)} pictures in one group: too few for {len(wanted)} blocks with {gap} "
            "left out between them; label more, or ask for fewer splits"
        )
    sizes = {place: max(1, round(shares[place] * spare)) for place in wanted}
    largest = max(wanted, key=lambda place: shares[place])
    sizes[largest] = spare - sum(size for place, size in sizes.items() if place != largest)
    where, at = {}, 0
    for place in rng.permutation(wanted).tolist():
        for key in moments[at : at + sizes[place]]:
            where[key] = SPLITS[place]
        at += sizes[place] + gap
    return [where.get(key, "") for key in keys]


def _dealt(
    sizes: dict[str, int], shares: list[float], rng: np.random.Generator, notes: list[str]
) -> dict[str, str]:
    """Gives each group's split; `sizes` are pictures."""
    wanted = [name for name, share in zip(SPLITS, shares, strict=True) if share > 0]
    groups = [sorted(sizes)[place] for place in rng.permutation(len(sizes))]
    if len(groups) < len(wanted):
        groups.sort(key=lambda group: -sizes[group])
        notes.append(
            f"{len(groups)} groups for {len(wanted)} splits: none for "
            f"{' and '.join(wanted[len(groups) :])}"
        )
        return dict(zip(groups, wanted, strict=False))
    middles = np.cumsum([sizes[group] for group in groups]).astype(float)
    middles = (middles - np.array([sizes[group] for group in groups]) / 2) / middles[-1]
    places = np.searchsorted(np.cumsum(shares)[:2], middles, side="right")
    chosen = {group: SPLITS[place] for group, place in zip(groups, places, strict=True)}
    for name in SPLITS:
        if name in wanted and name not in chosen.values():
            held = {split: [g for g in groups if chosen[g] == split] for split in SPLITS}
            most = max(held.values(), key=len)
            chosen[min(most, key=lambda group: sizes[group])] = name
    return chosen
