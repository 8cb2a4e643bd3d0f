"""Finds near-copies: the same recording in another codec, size, rate, or cut shorter.

Two files are near-copies when, laid over each other at one offset in time, their pictures agree
(64-bit hashes twice a second) or their sound does (32-bit fingerprints every 64 ms). Candidates
come from values that both hold, so the work grows with the matches and not with the square of the
number of files.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Ours, checked on real near-copies and on files that are none (docs/prepare.md).
PICTURE_BITS = 10.0
"""Mean number of differing bits, of 64, up to which two stretches of pictures agree. Unrelated
pictures differ in 32 of 64 bits, plus or minus 4; the mean of several is far surer than one."""
SOUND_ERROR = 0.30
"""Share of differing bits up to which two stretches of sound agree (unrelated: 0.5 ± 0.02)."""
MIN_PICTURES = 3
"""Different pictures that must agree: one static view proves little."""
MIN_SOUNDS = 64
"""Fingerprints (4 s) that must agree."""
MIN_COVER = 0.5
"""Share of the shorter file that must agree."""
_MAX_HOLDERS = 64  # a value that more files hold (black, a logo) proves nothing
_VOTES = 8  # offsets looked at per pair


@dataclass(frozen=True, kw_only=True)
class Prints:
    """The hashes of one file, in the order of time; 0 stands for nothing to see or hear."""

    pictures: NDArray[np.uint64]
    sounds: NDArray[np.uint32]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Prints":
        """Reads the hashes of a file's result (see `one_file.prepare_file`)."""

        def numbers(name: str) -> list[int]:
            return [int(text, 16) for text in result.get(name, [])]

        return cls(
            pictures=np.asarray(numbers("picture_hashes"), dtype=np.uint64),
            sounds=np.asarray(numbers("sound_hashes"), dtype=np.uint32),
        )


def near_copies(prints: Mapping[str, Prints]) -> list[tuple[str, str]]:
    """Gives the pairs (one, other) of near-copies, sorted; names are the mapping's keys."""
    names = list(prints)
    found: set[tuple[str, str]] = set()
    pictures = [prints[name].pictures for name in names]
    sounds = [prints[name].sounds for name in names]
    # 64-bit hashes: copies agree exactly in at least one of four 16-bit parts, most of the time
    parts = [
        [(part, values >> np.uint64(16 * part) & np.uint64(0xFFFF)) for part in range(4)]
        for values in pictures
    ]
    for (one, other), offsets in _candidates(parts, pictures).items():
        if any(_pictures_agree(pictures[one], pictures[other], offset) for offset in offsets):
            found.add((names[one], names[other]))
    whole = [[(0, values)] for values in sounds]
    for (one, other), offsets in _candidates(whole, sounds).items():
        pair = (names[one], names[other])
        if pair in found:
            continue
        near = sorted({offset + step for offset in offsets for step in (-1, 0, 1)})
        if any(_sounds_agree(sounds[one], sounds[other], offset) for offset in near):
            found.add(pair)
    return sorted(found)


def _candidates(
    parts: Sequence[Sequence[tuple[int, NDArray[np.unsignedinteger]]]],
    values: Sequence[NDArray[np.unsignedinteger]],
) -> dict[tuple[int, int], list[int]]:
    """Gives for pairs of files the offsets in time for which most values agree."""
    holders: dict[tuple[int, int], dict[int, list[int]]] = defaultdict(dict)
    for number, file_parts in enumerate(parts):
        for part, part_values in file_parts:
            for at, value in enumerate(part_values.tolist()):
                if values[number][at]:
                    places = holders[(part, value)].setdefault(number, [])
                    if len(places) < _VOTES:
                        places.append(at)
    votes: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for places_of in holders.values():
        if not 1 < len(places_of) <= _MAX_HOLDERS:
            continue
        files = sorted(places_of)
        for index, one in enumerate(files):
            for other in files[index + 1 :]:
                votes[(one, other)].update(b - a for a in places_of[one] for b in places_of[other])
    return {
        pair: [offset for offset, _ in counter.most_common(_VOTES)]
        for pair, counter in votes.items()
    }


def _overlap(
    one: NDArray[np.unsignedinteger], other: NDArray[np.unsignedinteger], offset: int
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]]:
    """Gives one[k] beside other[k + offset] where both say something."""
    first = max(0, -offset)
    end = min(len(one), len(other) - offset)
    if end <= first:
        return one[:0], other[:0]
    a, b = one[first:end], other[first + offset : end + offset]
    both = (a != 0) & (b != 0)
    return a[both], b[both]


def _pictures_agree(one: NDArray[np.uint64], other: NDArray[np.uint64], offset: int) -> bool:
    a, b = _overlap(one, other, offset)
    shorter = min(np.count_nonzero(one), np.count_nonzero(other))
    if len(a) < max(MIN_PICTURES, MIN_COVER * shorter):
        return False
    if _num_different(a) < MIN_PICTURES or _num_different(b) < MIN_PICTURES:
        return False
    return float(np.bitwise_count(a ^ b).mean()) <= PICTURE_BITS


def _num_different(hashes: NDArray[np.uint64]) -> int:
    """Counts pictures that differ from the last different one by more than a re-encoding does."""
    last, number = hashes[0], 1
    for value in hashes[1:]:
        if int(value ^ last).bit_count() > PICTURE_BITS:
            last, number = value, number + 1
    return number


def _sounds_agree(one: NDArray[np.uint32], other: NDArray[np.uint32], offset: int) -> bool:
    a, b = _overlap(one, other, offset)
    shorter = min(np.count_nonzero(one), np.count_nonzero(other))
    if len(a) < max(MIN_SOUNDS, MIN_COVER * shorter):
        return False
    return float(np.bitwise_count(a ^ b).mean()) / 32 <= SOUND_ERROR
