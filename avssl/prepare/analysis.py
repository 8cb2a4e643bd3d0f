"""What is measured on the pictures while they are encoded, all from one small grey picture each.

Per frame: the difference to the one before, optical flow for some, shot cuts, a 64-bit hash twice
a second, and the extremes of every row and column of a shot for its still bars.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.prepare.flow import quick_flow
from avssl.prepare.shots import LOOKAHEAD, CutFinder

SMALL_SIDE_PX = 64
"""Short side, about, of the grey pictures that flow, cuts, stillness and hashes are measured on."""
FLOW_PAIRS_HZ = 10.0
"""Pairs of neighbouring frames whose flow is measured, a second, at most."""
HASH_HZ = 2.0
STILL_LEVELS = 0.35
"""Mean difference, grey levels, up to which two pictures count as the same."""
MIN_STILL_S = 0.5
_BAR_SPREAD_LEVELS = 12.0
_BAR_DARK_LEVELS = 40.0
_BAR_MIN_PX = 2  # a single dark line is an edge of the scaling, not a bar
# In the block of the codec in which a bar ends, sparks of the picture fly into it: of real
# letterboxed recordings up to 0.4 % of a bar's pixels, where picture is it is over 1 %.
_BAR_MAX_LIT = 0.005
_BAR_BLOCK_PX = 16  # a macroblock; the prepared picture is never larger than the source


@dataclass
class Bars:
    """How bright every row and every column gets over a shot, at the prepared size."""

    rows: "Lines"
    columns: "Lines"

    @classmethod
    def of(cls, luma: NDArray[np.uint8]) -> "Bars":
        """Starts with one picture."""
        return cls(Lines.of(luma), Lines.of(luma.T))

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Adds a picture."""
        self.rows.add(luma)
        self.columns.add(luma.T)

    def widths_px(self) -> tuple[int, int, int, int]:
        """Gives left, top, right, bottom: dark bars that never change. A black picture has none.

        Beside the picture a bar is not even: codecs let it ring there. So what adjoins an even bar
        and never gets brighter than dark belongs to it, and so does what does so in a few pixels
        only, within a block of the codec.
        """
        top, bottom = self.rows.bars()
        left, right = self.columns.bars()
        whole = top == len(self.rows.largest) or left == len(self.columns.largest)
        return (0, 0, 0, 0) if whole else (left, top, right, bottom)


@dataclass
class Lines:
    """Of every line: its brightest and darkest value, and how many of its pixels were not dark."""

    largest: NDArray[np.uint8]
    smallest: NDArray[np.uint8]
    num_lit: NDArray[np.int64]
    num_pixels: int
    """In each line, over all pictures."""

    @classmethod
    def of(cls, luma: NDArray[np.uint8]) -> "Lines":
        """Starts with one picture."""
        return cls(luma.max(1), luma.min(1), _num_lit(luma), luma.shape[1])

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Adds a picture."""
        np.maximum(self.largest, luma.max(1), out=self.largest)
        np.minimum(self.smallest, luma.min(1), out=self.smallest)
        self.num_lit += _num_lit(luma)
        self.num_pixels += luma.shape[1]

    def bars(self) -> tuple[int, int]:
        """Gives the widths of the bars at both ends; all lines, twice, if all are bar."""
        dark = self.largest <= _BAR_DARK_LEVELS
        spread = self.largest.astype(np.float64) - self.smallest
        even = dark & (spread <= _BAR_SPREAD_LEVELS)
        if even.all():
            return len(even), len(even)
        faint = self.num_lit <= _BAR_MAX_LIT * self.num_pixels
        if faint.all():  # a dark shot: where its bars end cannot be told from darkness alone
            dark = faint = even
        first, last = (
            _width(even[end], dark[end], faint[end]) for end in (slice(None), slice(None, None, -1))
        )
        return first, last


def _num_lit(luma: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.count_nonzero(luma > _BAR_DARK_LEVELS, axis=1)


def _width(even: NDArray[np.bool_], dark: NDArray[np.bool_], faint: NDArray[np.bool_]) -> int:
    """Gives the width of the bar that begins with the first line."""
    if not _run(even):
        return 0
    width = int(np.argmin(dark))
    sparks = faint[width : width + _BAR_BLOCK_PX]
    return width + (len(sparks) if sparks.all() else int(np.argmin(sparks)))


def _run(flags: NDArray[np.bool_]) -> int:
    width = int(np.argmin(flags))
    return width if width >= _BAR_MIN_PX else 0


@dataclass
class PictureAnalysis:
    """Feed it every frame of a file in order; ask for measures of stretches at the end."""

    step_s: float
    differences: list[float] = field(default_factory=list)
    """Per frame: mean difference to the frame before, grey levels (0 for the first, repeated)."""
    flows: list[float] = field(default_factory=list)
    """Per frame: mean length of the flow from the frame before, short sides a second; nan where
    it was not measured."""
    cuts: list[int] = field(default_factory=list)
    """Frames that begin a new shot (0 is not listed)."""
    bars: list[tuple[int, Bars]] = field(default_factory=list)
    """(first frame, bars) per shot."""
    hashes: list[tuple[int, int]] = field(default_factory=list)
    """(frame, 64-bit hash), `HASH_HZ` a second, counted from the file's first frame."""

    def __post_init__(self) -> None:
        self._finder = CutFinder()
        self._flow = quick_flow()
        self._previous: NDArray[np.uint8] | None = None
        self._pending: list[int] = []  # frames whose cut decision is still to come
        self._luma: dict[int, NDArray[np.uint8]] = {}
        self._last_flow = -(10**9)
        self._last_change = 0  # newest frame that was not a repeat
        self._every = max(1, round(1 / FLOW_PAIRS_HZ / self.step_s))
        self._next_hash = 0

    def push(
        self, index: int, luma: NDArray[np.uint8], *, repeated: bool, restart: bool
    ) -> list[int]:
        """Adds frame `index` (uint8 [h, w], its brightness) and gives the cuts now sure."""
        if repeated:
            self.differences.append(0.0)
            self.flows.append(float("nan"))
            return []
        small = small_grey(luma)
        previous = self._previous
        if previous is None:
            self.differences.append(0.0)
            self.flows.append(float("nan"))
        else:
            difference = cv2.norm(small, previous, cv2.NORM_L1) / small.size
            self.differences.append(difference)
            due = index - self._last_flow >= self._every and not restart
            self.flows.append(self._measure_flow(previous, small, index) if due else float("nan"))
            if due:
                self._last_flow = index
        while index * self.step_s * HASH_HZ >= self._next_hash - 1e-9:
            self.hashes.append((index, picture_hash(small)))
            self._next_hash += 1
        self._previous = small
        self._last_change = index
        self._pending.append(index)
        found = self._finder.push(small, difference=self.differences[-1])
        # bars wait with the decision, so that no picture of the next shot widens a shot's range
        self._luma[index] = luma
        return self._settle([] if found is None else [found])

    @property
    def first_undecided(self) -> int | None:
        """The oldest frame of which it is not yet known whether it begins a shot."""
        return self._pending[0] if self._pending else None

    def finish(self) -> list[int]:
        """Ends the file and gives the last cuts."""
        return self._settle(self._finder.flush())

    def _measure_flow(
        self, before: NDArray[np.uint8], after: NDArray[np.uint8], index: int
    ) -> float:
        flow = self._flow.calc(before, after, None)
        length_px = float(cv2.magnitude(flow[..., 0], flow[..., 1]).mean())
        return length_px / min(after.shape) / ((index - self._last_change) * self.step_s)

    def _settle(self, decisions: list[bool]) -> list[int]:
        cuts: list[int] = []
        for is_cut in decisions:
            index = self._pending.pop(0)
            luma = self._luma.pop(index)
            if is_cut:
                cuts.append(index)
                self.flows[index] = float("nan")  # flow across a cut means nothing
            if is_cut or not self.bars:
                self.bars.append((index, Bars.of(luma)))
                self._num_in_shot = 0
            elif self._num_in_shot % 8 == 0:
                self.bars[-1][1].add(luma)
            self._num_in_shot += 1
        self.cuts.extend(cuts)
        return cuts

    def borders_px(self, first: int, end: int) -> tuple[int, int, int, int]:
        """Gives the bars (left, top, right, bottom) common to all shots in frames [first, end)."""
        starts = [start for start, _ in self.bars] + [end]
        inside = [
            bars.widths_px()
            for number, (start, bars) in enumerate(self.bars)
            if start < end and starts[number + 1] > first
        ]
        left, top, right, bottom = (min(widths) for widths in zip(*inside, strict=True))
        return left, top, right, bottom

    def motion(self, first: int, end: int, *, window_s: float) -> NDArray[np.float64]:
        """Gives the mean flow in each window of frames [first, end), short sides a second."""
        values = np.asarray(self.flows[first:end], dtype=np.float64)
        still = np.asarray(self.differences[first:end]) == 0.0
        values[still & np.isnan(values)] = 0.0
        number = window_numbers(end - first, step_s=self.step_s, window_s=window_s)
        known = ~np.isnan(values)
        known[0] = False  # it belongs to the pair across the clip's start
        num_windows = int(number[-1]) + 1
        counts = np.bincount(number[known], minlength=num_windows)
        sums = np.bincount(number[known], weights=values[known], minlength=num_windows)
        with np.errstate(invalid="ignore"):
            means = sums / counts
        empty = counts == 0
        if empty.all():
            return np.zeros(num_windows)
        places = np.arange(num_windows)
        means[empty] = np.interp(places[empty], places[~empty], means[~empty])
        return means

    def still_spans_s(self, first: int, end: int) -> NDArray[np.float64]:
        """Gives float64 [k, 2]: stretches of `MIN_STILL_S` or more in which nothing changes."""
        still = np.asarray(self.differences[first:end]) <= STILL_LEVELS
        still[0] = False
        edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(int)))
        spans = []
        for begin, stop in zip(edges[::2], edges[1::2], strict=True):
            # frame `begin` equals the one before it, so the stretch begins there
            span = ((begin - 1) * self.step_s, stop * self.step_s)
            if span[1] - span[0] >= MIN_STILL_S:
                spans.append(span)
        return np.asarray(spans, dtype=np.float64).reshape(-1, 2)


def window_numbers(num_frames: int, *, step_s: float, window_s: float) -> NDArray[np.int64]:
    """Gives the window in which each frame lies, int64 [num_frames]."""
    times_s = np.arange(num_frames) * step_s
    return np.floor(times_s / window_s + 1e-9).astype(np.int64)


def small_grey(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrinks a picture's brightness by a whole number, to a short side near `SMALL_SIDE_PX`.

    By a whole number, so that every small pixel is the mean of equally many.
    """
    height, width = luma.shape
    factor = max(1, round(min(height, width) / SMALL_SIDE_PX))
    size = (width // factor, height // factor)
    whole = luma[: size[1] * factor, : size[0] * factor]
    small: Any = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return small


def picture_hash(small: NDArray[np.uint8]) -> int:
    """Gives 64 bits that stay when a picture is re-encoded or scaled: signs of its low DCT.

    A picture without structure (plain colour) has hash 0, which matches nothing.
    """
    square = cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    if square.std() < 4.0:
        return 0
    low = cv2.dct(square)[:8, :8].ravel()
    bits = low[1:] > np.median(low[1:])
    return int.from_bytes(np.packbits(np.concatenate([[True], bits])).tobytes(), "big")


__all__ = ["LOOKAHEAD", "Bars", "PictureAnalysis", "picture_hash", "small_grey", "window_numbers"]
