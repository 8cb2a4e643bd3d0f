"""Cuts a stream of sound blocks at the bounds of clips, to the sample, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.records import Sound


def cut_sound(
    blocks: Iterable[Sound], bounds_s: Sequence[tuple[float, float]], *, rate_hz: int
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Yields for each stretch (time of its first sample, float32 [n]); n is 0 where there is none.

    A sample belongs to the stretch in which its time lies; nothing is shifted and nothing padded,
    so sound that starts late or ends early stays so. At most one stretch is held at a time.

    Args:
        blocks: contiguous blocks of `rate_hz`, in order.
        bounds_s: (start, end) per stretch on the same clock, ascending, not overlapping.
        rate_hz: samples a second.
    """
    source = iter(blocks)
    held: list[tuple[float, NDArray[np.float32]]] = []  # (start_s, samples) not yet given out
    done = False
    for start_s, end_s in bounds_s:
        while not done and (not held or _end_s(held[-1], rate_hz) < end_s):
            block = next(source, None)
            if block is None:
                done = True
            elif (
                block.samples.shape[1]
                and _end_s((block.start_s, block.samples[0]), rate_hz) > start_s
            ):
                held.append((block.start_s, block.samples[0]))
        parts: list[NDArray[np.float32]] = []
        first_s = start_s
        rest: list[tuple[float, NDArray[np.float32]]] = []
        for begin_s, samples in held:
            low = _first_at(start_s, begin_s, rate_hz, len(samples))
            high = _first_at(end_s, begin_s, rate_hz, len(samples))
            if high > low:
                if not parts:
                    first_s = begin_s + low / rate_hz
                parts.append(samples[low:high])
            if high < len(samples):
                rest.append((begin_s + high / rate_hz, samples[high:]))
        held = rest
        yield first_s, np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _end_s(block: tuple[float, NDArray[np.float32]], rate_hz: int) -> float:
    return block[0] + len(block[1]) / rate_hz


def _first_at(time_s: float, begin_s: float, rate_hz: int, length: int) -> int:
    """Gives the number of the first sample at or after `time_s`; 1 ns of rounding is forgiven."""
    number = int(np.ceil((time_s - begin_s) * rate_hz - 1e-4))
    return min(max(number, 0), length)
