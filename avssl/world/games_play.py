"""What both game engines share: a step of play, agents that hold their keys, sound of a stretch.

Shapes: H, W of a picture in px; n samples of sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

QUIET_DB = -50.0
"""A frame whose RMS (dB of full scale) lies below is not counted as sounding."""
LEAST_SOUNDING = 0.2
"""A clip with a smaller share of sounding frames is silent, and drawn again."""
_BLOCKER = 0.995
"""Pole of the filter that takes the constant part away: 24 Hz at 30,720 Hz."""


class GameOver(Exception):  # noqa: N818 (no error: games end)
    """The game ended; `reason` is counted in the truth."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One frame of play: what is seen, and heard while it is seen."""

    picture: NDArray[np.uint8]
    """[H, W, 3], RGB."""
    sound: NDArray[np.float32]
    """[n], mono, −1 to 1, as the engine gave it."""
    events: tuple[str, ...] = ()
    """What happened: shot, hit, kill, item, hurt, score, life."""


class Session(Protocol):
    """A running game; closes with `with`."""

    stuck: bool
    """Whether the last steps led nowhere."""

    def step(self, action: str) -> Step:
        """Plays one frame with these keys held.

        Raises:
            GameOver: the game ended before the frame was played.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Holding:
    """An agent that draws keys at random and holds them, as people do, not a new key each frame."""

    def __init__(
        self, rng: np.random.Generator, actions: Sequence[str], *, hold_frames: tuple[int, int]
    ) -> None:
        """Plays `actions` by `rng`, each held for a number of frames from this range."""
        self.rng, self.actions, self.hold_frames = rng, tuple(actions), hold_frames
        self._now, self._left = self.actions[0], 0

    def choose(self, stuck: bool) -> str:
        """Gives the keys of the next frame; `stuck` draws new ones at once."""
        if stuck or self._left <= 0:
            self._now = self.draw(stuck)
            self._left = int(self.rng.integers(*self.hold_frames))
        self._left -= 1
        return self._now

    def draw(self, stuck: bool) -> str:
        """Draws the next keys."""
        return self.actions[int(self.rng.integers(len(self.actions)))]


def without_offset(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Takes the constant part of float32 [n] away, as the coupling of a television does.

    y[k] = x[k] − x[k−1] + p·y[k−1], as if the first sample had lasted for ever.
    """
    from scipy.signal import lfilter

    state = -samples[:1].astype(np.float64)
    found, _ = lfilter([1.0, -1.0], [1.0, -_BLOCKER], samples.astype(np.float64), zi=state)
    return np.asarray(found, np.float32)


def resampled(
    samples: NDArray[np.float32], *, from_hz: int, to_hz: int, num_samples: int
) -> NDArray[np.float32]:
    """Brings a whole clip, float32 [n], to another rate at once: no seams, no drift.

    Args:
        samples: the clip's sound.
        from_hz: its rate.
        to_hz: the rate wanted.
        num_samples: wanted; filled up with 0 or cut where the resampler rounds otherwise.
    """
    import soxr

    found = samples if from_hz == to_hz else soxr.resample(samples, from_hz, to_hz, quality="VHQ")
    out = np.zeros(num_samples, np.float32)
    out[: min(num_samples, len(found))] = found[:num_samples]
    return np.clip(out, -1.0, 1.0)


def sounding_share(samples: NDArray[np.float32], *, num_frames: int) -> float:
    """Gives the share of frames louder than `QUIET_DB`; samples float32 [n]."""
    loud = [
        len(part) > 0 and float(np.mean(part.astype(np.float64) ** 2)) > 10 ** (QUIET_DB / 10)
        for part in np.array_split(samples, num_frames)
    ]
    return float(np.mean(loud))
