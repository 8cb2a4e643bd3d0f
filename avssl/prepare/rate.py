"""The constant frame rate of a prepared clip, and the source frame that each of its times shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Frame = TypeVar("Frame")

_STANDARD = (
    *(Fraction(rate) for rate in (5, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)),
    *(Fraction(rate * 1000, 1001) for rate in (12, 15, 24, 30, 48, 60, 120, 240)),
)
_REGULAR_JITTER = 0.25  # of a step: a source this close to an even grid counts as even
_CLOCK_JITTER_S = 0.001  # containers that count milliseconds round their times
MAX_GAP_S = 10.0
"""A hole in the times longer than this is not filled with repeated frames: a new clip begins."""
MAX_LAST_FRAME_S = 1.0
"""Longest duration that is believed of a last frame."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The even times of a prepared clip: zero, `step`, 2 · `step`, …"""

    step: Fraction
    """Seconds from one prepared frame to the next."""
    tolerance_s: float
    """A source frame counts as shown already this long before its time."""
    regular: bool
    """The source itself is evenly spaced; then every prepared frame is a source frame of its own,
    unless frames are missing."""


def choose_grid(
    times_s: NDArray[np.float64], *, claimed_rate: Fraction | None, max_rate: float
) -> Grid:
    """Chooses the constant rate for frames at `times_s`.

    An evenly spaced source keeps its rate, or every n-th frame with the smallest n that brings the
    rate to `max_rate` or below (60 → 30, 50 → 25, 250 → 27.78), so that no frame is repeated and
    each keeps its exact time. A source of variable rate goes to the rate of its median step, at
    most `max_rate`, each time showing the last frame that is not later.

    Args:
        times_s: float64 [n] presentation times of the source, ascending.
        claimed_rate: frames per second that the container states, if any.
        max_rate: the cap, frames per second.
    """
    gaps = np.diff(times_s)
    gaps = gaps[gaps > 0]
    if len(gaps) == 0:
        rate = claimed_rate if claimed_rate and claimed_rate > 0 else Fraction(25)
        return _every_nth(rate, max_rate)
    rate = _even_rate(times_s, claimed_rate)
    if rate is not None:
        return _every_nth(rate, max_rate)
    median_s = float(np.median(gaps))
    # the container's word first, where the steps bear it out: a clock of milliseconds is too coarse
    # to tell 24 from 23.976
    if claimed_rate and abs(float(claimed_rate) * median_s - 1) <= 0.03:
        near = claimed_rate
    else:
        near = min(_STANDARD, key=lambda standard: abs(float(standard) * median_s - 1))
    if abs(float(near) * median_s - 1) > 0.03:
        near = Fraction(1 / median_s).limit_denominator(1001)
    limit = Fraction(max_rate).limit_denominator(1001)
    return Grid(step=1 / min(near, limit), tolerance_s=_CLOCK_JITTER_S, regular=False)


def _every_nth(rate: Fraction, max_rate: float) -> Grid:
    # 30.0003 against a cap of 30 is the rounding of a clock, not a reason to halve the rate
    nth = max(1, int(np.ceil(float(rate) / max_rate * (1 - 1e-3))))
    return Grid(step=nth / rate, tolerance_s=_REGULAR_JITTER * 1.6 / float(rate), regular=True)


def _even_rate(times_s: NDArray[np.float64], claimed_rate: Fraction | None) -> Fraction | None:
    """Gives the rate of which `times_s` is an even grid, up to jitter; None where it is not one."""
    since_s = times_s - times_s[0]
    counts = np.arange(len(times_s))
    mean_rate = (len(times_s) - 1) / since_s[-1]
    candidates = [rate for rate in _STANDARD if abs(float(rate) / mean_rate - 1) < 0.05]
    if claimed_rate and abs(float(claimed_rate) / mean_rate - 1) < 0.05:
        candidates.insert(0, claimed_rate)
    candidates.append(Fraction(mean_rate).limit_denominator(1001))
    errors_s = [float(np.abs(since_s - counts / float(rate)).max()) for rate in candidates]
    smallest_s = min(errors_s)
    # the first that is as good as the best: the claimed rate, then the standard ones
    best = next(i for i, error_s in enumerate(errors_s) if error_s <= smallest_s + _CLOCK_JITTER_S)
    rate = candidates[best]
    return rate if errors_s[best] <= _REGULAR_JITTER / float(rate) else None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One frame of the constant-rate stream."""

    frame: object
    index: int
    """Number in the stream of the file."""
    source_time_s: float
    """The source frame's time on the source's clock."""
    due_s: float
    """The time at which it is shown, on the source's clock: never before `source_time_s`, but for
    the grid's tolerance."""
    repeated: bool
    """It only repeats the frame before."""
    restart: bool
    """First frame after a hole in the times: its time is a new zero."""


def place(frames: Iterator[tuple[float, Frame]], grid: Grid, *, last_s: float) -> Iterator[Placed]:
    """Puts source frames on the grid: at each time the last frame that is not later.

    Args:
        frames: (time in seconds, frame), ascending; a frame that goes back in time is left out.
        grid: from `choose_grid`.
        last_s: duration of the last frame.
    """
    count = index = 0  # index in the file; count since the last restart
    zero_s = previous_s = 0.0
    previous: Frame | None = None
    shown = restart = False
    step_s = float(grid.step)
    numerator, denominator = grid.step.numerator, grid.step.denominator

    def due_s() -> float:
        return zero_s + count * numerator / denominator  # Fractions take 10 times as long

    for time_s, frame in frames:
        if previous is None:
            zero_s = previous_s = time_s
            previous, restart = frame, True
            continue
        if time_s <= previous_s:
            continue
        hole = time_s - previous_s > max(MAX_GAP_S, 3 * step_s)
        until_s = previous_s + step_s if hole else time_s
        while due_s() < until_s - grid.tolerance_s:
            yield Placed(
                frame=previous,
                index=index,
                source_time_s=previous_s,
                due_s=due_s(),
                repeated=shown,
                restart=restart,
            )
            shown, restart = True, False
            count, index = count + 1, index + 1
        if hole:
            zero_s, count, restart = time_s, 0, True
        previous, previous_s, shown = frame, time_s, False
    if previous is None:
        return
    until_s = previous_s + max(min(last_s, MAX_LAST_FRAME_S), grid.tolerance_s * 1.01)
    while due_s() < until_s - grid.tolerance_s or (count == 0 and not shown):
        yield Placed(
            frame=previous,
            index=index,
            source_time_s=previous_s,
            due_s=due_s(),
            repeated=shown,
            restart=restart,
        )
        shown, restart = True, False
        count, index = count + 1, index + 1
