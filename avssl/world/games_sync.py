"""Are picture and sound of a game in step? Measured with twins, without assuming anything.

The engines are deterministic. A game is played twice with the same keys, but from one frame on the
fire button is held in one of the two. What differs then is what the button did: the first picture
that differs and the first sample that differs are compared. Frames, not seconds, are the unit of
pictures: they change once a frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.world.games_atari import Atari
from avssl.world.games_doom import Doom
from avssl.world.games_play import GameOver, Holding, Session, Step

LEAST_LEVELS = 24
"""Of 255: pixels that differ less are equal."""
LEAST_SOUND = 0.004
"""Of full scale: samples that differ less are equal (ViZDoom's mixer adds 0.00002 of noise)."""


@dataclass(frozen=True, kw_only=True)
class Lag:
    """Where twins part."""

    picture_frame: int
    """Number of the first frame whose picture differs."""
    sound_frames: float
    """Time of the first sample that differs, in frames."""

    @property
    def frames(self) -> float:
        """From the picture to its sound: 0 to 1 is in step, below 0 the sound comes first."""
        return self.sound_frames - self.picture_frame


def lag_of(one: Sequence[Step], other: Sequence[Step]) -> Lag | None:
    """Compares twins frame by frame; None where pictures or sounds stay equal."""
    seen: int | None = None
    heard: float | None = None
    for frame, (a, b) in enumerate(zip(one, other, strict=False)):
        apart = np.abs(a.picture.astype(np.int16) - b.picture)
        if seen is None and (apart > LEAST_LEVELS).any():
            seen = frame
        samples: NDArray[np.intp] = np.flatnonzero(np.abs(a.sound - b.sound) > LEAST_SOUND)
        if heard is None and len(samples):
            heard = frame + int(samples[0]) / len(a.sound)
        if seen is not None and heard is not None:
            return Lag(picture_frame=seen, sound_frames=heard)
    return None


def _play(session: Session, actions: Sequence[str], *, from_frame: int) -> list[Step]:
    steps = []
    try:
        for frame, action in enumerate(actions):
            step = session.step(action)
            if frame >= from_frame:
                steps.append(step)
    except GameOver:
        pass
    return steps


def twin_lag(
    start: Callable[[], Session], actions: Sequence[str], *, at_frame: int, pressed: Sequence[str]
) -> Lag | None:
    """Plays `actions`, and again with those from `at_frame` on replaced by `pressed`."""
    changed = [*actions[:at_frame], *pressed, *actions[at_frame + len(pressed) :]]
    found = []
    for keys in (actions, changed):
        with start() as session:
            found.append(_play(session, keys[: len(actions)], from_frame=at_frame))
    return lag_of(*found)


def doom_lags(level: str, weapon: str, *, num_twins: int, seed: int = 0) -> list[Lag]:
    """Measures shots of a weapon by somebody who stands still; one pair of twins a seed.

    Monsters near by wake up when the button is pressed, which may be heard before the shot: choose
    a level that begins in peace.
    """
    found = []
    for number in range(num_twins):

        def start(number: int = number) -> Session:
            return Doom(level, weapon, seed=seed + number, short_side_px=120)

        lag = twin_lag(start, [""] * 110, at_frame=70 + number, pressed=["ATTACK"] * 20)
        found += [lag] if lag else []
    return found


def atari_lags(game: str, *, num_twins: int, seed: int = 0) -> list[Lag]:
    """Measures what the fire button does in a game; in twins both hold still but for it."""
    found = []
    for number in range(num_twins):
        rng = np.random.default_rng([seed, number])

        def start(number: int = number) -> Atari:
            return Atari(game, seed=seed + number)

        with start() as session:
            agent = Holding(rng, session.actions, hold_frames=(4, 25))
            if "FIRE" not in session.actions:
                raise InputError(f"game {game!r}: has no fire button; name another")
        before = [agent.choose(False) for _ in range(int(rng.integers(120, 480)))]
        lag = twin_lag(
            start, [*before, *["NOOP"] * 50], at_frame=len(before) + 12, pressed=["FIRE"] * 12
        )
        found += [lag] if lag else []
    return found
