"""Finds shot cuts while frames stream by: hard cuts, not fades or dissolves.

A cut is a difference that stands alone (its neighbours in time are much smaller, which clears
flashes and shaking), that is not a change of brightness or of a part alone, and that no motion
explains (the earlier picture, moved along its optical flow, stays unlike the later one, and not
in a part alone).
"""

import itertools
from collections import deque
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.prepare.flow import careful_flow

LOOKAHEAD = 2
"""Frames that a decision waits for."""

# Ours, tuned on made cuts and on real clips without cuts (docs/prepare.md).
MIN_DIFFERENCE = 6.0  # grey levels, mean
MIN_RATIO = 1.5  # to the largest difference among the two neighbours on each side
MIN_RATIO_UNEXPLAINED = 2.2  # the same, of what the flow leaves
CHANGED_LEVELS = 4
MIN_CHANGED = 0.45  # share of the pixels: a caption or a screen in the scene is not the scene
MAX_ALIKE = 0.85  # correlation of the two pictures
MIN_UNEXPLAINED = 0.45  # share of the difference that is left after following the flow
MIN_UNEXPLAINED_AREA = 0.25  # share of the pixels that the flow leaves changed: not a graphic alone


class CutFinder:
    """Feed it small grey pictures in order; it says, `LOOKAHEAD` pictures later, which are cuts."""

    def __init__(self) -> None:
        self._pictures: deque[NDArray[np.uint8]] = deque(maxlen=2 * LOOKAHEAD + 2)
        self._differences: deque[float] = deque(maxlen=2 * LOOKAHEAD + 1)
        self._flow: Any = None
        self._num = 0

    def push(self, picture: NDArray[np.uint8], *, difference: float) -> bool | None:
        """Takes the next picture; gives whether the one `LOOKAHEAD` before it begins a new shot.

        Args:
            picture: uint8 [h, w].
            difference: mean absolute difference to the picture before, grey levels.
        """
        if self._pictures:
            self._differences.append(difference)
        self._pictures.append(picture)
        self._num += 1
        return self._judge(back=LOOKAHEAD) if self._num > LOOKAHEAD else None

    def flush(self) -> list[bool]:
        """Gives the decisions still waiting, oldest first."""
        return [self._judge(back=back) for back in range(min(LOOKAHEAD, self._num) - 1, -1, -1)]

    def _judge(self, *, back: int) -> bool:
        """Decides on the picture `back` before the newest."""
        place = len(self._differences) - 1 - back
        if place < 0:
            return False  # the first picture of all
        difference = self._differences[place]
        near = [
            value
            for other, value in enumerate(self._differences)
            if other != place and abs(other - place) <= LOOKAHEAD
        ]
        if difference < MIN_DIFFERENCE or difference < MIN_RATIO * max(near, default=0.0):
            return False
        after = self._pictures[len(self._pictures) - 1 - back]
        before = self._pictures[len(self._pictures) - 2 - back]
        if np.mean(cv2.absdiff(before, after) > CHANGED_LEVELS) < MIN_CHANGED:
            return False
        if _correlation(before, after) > MAX_ALIKE:
            return False
        rest = self._unexplained(before, after)
        left = float(rest.mean())
        if left < MIN_UNEXPLAINED * difference:
            return False
        if np.mean(rest > CHANGED_LEVELS) < MIN_UNEXPLAINED_AREA:
            return False
        pairs = list(itertools.pairwise(self._pictures))
        beside = [len(pairs) - 1 - back + step for step in (-2, -1, 1, 2)]
        others = [self._unexplained(*pairs[at]).mean() for at in beside if 0 <= at < len(pairs)]
        return bool(left > MIN_RATIO_UNEXPLAINED * max(others, default=0.0))

    def _unexplained(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray:
        """Gives the difference, uint8 [h, w], left when `before` is moved to fit `after`."""
        if self._flow is None:
            self._flow = careful_flow()
        flow = self._flow.calc(after, before, None)
        height, width = after.shape
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        moved = cv2.remap(
            before,
            columns + flow[..., 0],
            rows + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(cv2.absdiff(moved, after))


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a = one.astype(np.float64) - one.mean()
    b = other.astype(np.float64) - other.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0
