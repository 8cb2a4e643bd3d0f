"""What the tasks on picture and sound know of a catalogue: its spots, whose sound goes with whom.

Made once in each process, from the catalogue alone.
"""

import functools
import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.sample.pairs import Pairing, capped, make_pairings


class PairRows:
    """The rows that a task can use, their spots and partners."""

    def __init__(self, task: Any, catalog: Catalog) -> None:
        self._task, self._catalog = task, catalog
        self.spots = functools.lru_cache(maxsize=4096)(self._spots)
        usable = [index for index in range(len(catalog)) if len(self.spots(index))]
        if not usable:
            raise InputError(
                f"none of {len(catalog)} clips has {task.sound_s:g} s of sound around a picture "
                f"that is louder than {task.silence_db:g} dB and without a cut; use a smaller "
                "sound_s or silence_db, or clips with sound"
            )
        rows = [catalog.row(index) for index in usable]
        groups = [row.group_id for row in rows]
        lengths = [max(1, round(len(self.spots(index)) * step_s(catalog.row(index))))
                   for index in usable]  # fmt: skip
        counts = np.array(lengths, dtype=np.int64)
        if task.balanced_groups:
            counts = capped(counts, groups)
        self._pairing_of = make_pairings(
            usable,
            counts.tolist(),
            groups,
            [format_of(row) if task.match_format else "" for row in rows],
            balanced=task.balanced_groups,
        )
        keep = [k for k, index in enumerate(usable) if self._has_partner(index)]
        if not keep:
            raise InputError(
                "all clips with sound are of one group, and none is long enough for two times "
                f"{task.apart_s:g} s apart; use a smaller apart_s, or tell groups apart with "
                "`avssl prepare --group-by`"
            )
        self.items = np.repeat(np.array(usable, dtype=np.int64)[keep], counts[keep])

    def _spots(self, index: int) -> NDArray[np.int64]:
        return self._task.row_spots(self._catalog.row(index))

    def least_apart(self, index: int) -> int:
        """Gives the number of spots in `apart_s` of a row."""
        return max(1, math.ceil(self._task.apart_s / step_s(self._catalog.row(index)) - 1e-6))

    def pairing(self, index: int) -> Pairing:
        """Gives whose sound can go with the pictures of a row."""
        return self._pairing_of[index]

    def is_long(self, index: int) -> bool:
        """Whether two times of the row are far enough apart."""
        return len(self.spots(index)) >= 2 * self.least_apart(index)

    def _has_partner(self, index: int) -> bool:
        alone = self._pairing_of[index].num_groups < 2
        return self._task.positive_share == 1 or not alone or self.is_long(index)


@functools.lru_cache(maxsize=8)  # training and validation splits, and those of a few tests
def pair_rows(task: Any, catalog: Catalog) -> PairRows:
    """Gives what `task` (an `AudioVisualPairs`) knows of a catalogue.

    Raises:
        InputError: no row can be used, or no row has a partner.
    """
    return PairRows(task, catalog)


def format_of(row: ClipRow) -> str:
    """Gives what a recording's codec and rate say of its device."""
    return f"{row.codec} {row.sound_suffix} {row.sound_rate_hz}"


def bits_class(row: ClipRow) -> int:
    """Gives in which octave the bits that a file spends on a pixel lie, an exponent of 2.

    Of its packets where the row lists them, else of the whole file, which may hold sound too.
    """
    listed = row.packet_num_bytes
    num_bytes = int(listed.sum()) if listed.size else row.video_num_bytes
    pixels = max(1, row.num_frames * row.width_px * row.height_px)
    return math.floor(math.log2(max(8 * num_bytes, 1) / pixels))


def step_s(row: ClipRow) -> float:
    """Gives the time from frame to frame, seconds."""
    return row.step_s if row.step_s > 0 else row.duration_s / max(1, row.num_frames)


def packet_phase(row: ClipRow, start_s: float) -> float:
    """Gives where in one of the sound codec's packets a stretch begins, 0 to 1."""
    if row.sound_packet_num_samples <= 0:
        return 0.0
    sample = (start_s - row.sound_start_s) * row.sound_rate_hz
    return float(sample / row.sound_packet_num_samples % 1)


def number_of(name: str) -> int:
    """Gives a group's name as a number that is the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
