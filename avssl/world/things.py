"""Instruments and other things: their kinds and makes, when they sound, where they are hit.

What is seen meets what is heard at the time of each `Note`. Shapes: T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import bump, keyed
from avssl.world.solids import Material
from avssl.world.synth import Note, Voice, draw_voice
from avssl.world.textures import PATTERNS, colour_of

Floats = NDArray[np.float64]
STRUCK = ("drum", "cymbal", "xylophone", "hammer")
ALONE = ("drum", "cymbal", "xylophone", "bell", "ball", "clock", "hammer")
"""Kinds that sound with no player."""
PLAYED = ("drum", "cymbal", "xylophone", "keyboard", "guitar", "flute")
"""Kinds that a person plays."""
CLASSES = {
    "drum": "playing drum",
    "cymbal": "playing cymbal",
    "xylophone": "playing xylophone",
    "bell": "church bell ringing",
    "ball": "ball bouncing",
    "clock": "clock ticking",
    "hammer": "hammering on anvil",
    "keyboard": "playing keyboard",
    "guitar": "playing guitar",
    "flute": "playing flute",
    "footsteps": "people stepping",
}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing: its kind, its make (disjoint between splits) and its voice."""

    kind: str
    name: str
    main: Material
    accent: Material
    metal: Material
    scale: float
    tall: float
    """Height of what stands on legs, against the average."""
    voice: Voice


def draw_thing(rng: np.random.Generator, kind: str, name: str) -> Thing:
    """Draws one instrument or thing."""
    hue = rng.random()
    wood = rng.random() < 0.35
    main = Material(
        colour=colour_of(rng.uniform(0.04, 0.11) if wood else hue, rng.uniform(0.5, 0.9),
                         rng.uniform(0.45, 0.95)),
        second=colour_of(hue + rng.uniform(0.2, 0.8), rng.uniform(0, 0.8), rng.uniform(0.2, 1.0)),
        pattern=0 if rng.random() < 0.5 else int(rng.integers(1, len(PATTERNS))),
        repeats_per_m=rng.uniform(1.5, 4.0),
        shine=rng.uniform(0.1, 0.5),
    )  # fmt: skip
    return Thing(
        kind=kind,
        name=name,
        main=main,
        accent=Material(
            colour=colour_of(hue + rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.9), 0.9), shine=0.2
        ),
        metal=Material(
            colour=colour_of(rng.choice([0.11, 0.13, 0.6]), rng.uniform(0.05, 0.6), 0.85),
            shine=0.8,
        ),
        scale=rng.uniform(0.85, 1.25),
        tall=rng.uniform(0.88, 1.12),
        voice=draw_voice(rng, kind),
    )


def draw_rhythm(
    rng: np.random.Generator, kind: str, *, duration_s: float, rate_hz: float | None = None
) -> tuple[Note, ...]:
    """Draws when a thing sounds: a beat with rests, doubled beats and uneven strength."""
    if kind in ("clock", "bell"):  # pendulums do not rest
        period_s = rng.uniform(0.42, 0.75) if kind == "clock" else rng.uniform(0.55, 0.95)
        times = np.arange(rng.uniform(0.05, period_s), duration_s, period_s)
        return tuple(
            Note(time_s=float(at), strength=0.75 + 0.1 * (n % 2), pitch=0.2 + 0.5 * (n % 2))
            for n, at in enumerate(times)
        )
    if kind == "ball":
        notes, at_s, fall = [], rng.uniform(0.0, 0.5), 0.0
        while at_s < duration_s:
            notes.append(Note(time_s=at_s, strength=float(np.clip(0.35 + fall, 0.2, 1.0))))
            high_m = rng.uniform(0.3, 0.95)
            fall = 0.6 * high_m
            at_s += float(np.sqrt(8 * high_m / 9.81))
        return tuple(notes)
    beat_s = 1.0 / (rate_hz or rng.uniform(1.3, 2.6))
    if kind == "flute":
        beat_s *= 1.5
    notes, at_s, pitch = [], rng.uniform(0.1, 0.6), rng.random()
    while at_s < duration_s - 0.05:
        gap = float(rng.choice([0.5, 1.0, 2.0], p=[0.15, 0.65, 0.2])) * beat_s
        gap = max(gap, 0.22) * rng.uniform(0.97, 1.03)
        notes.append(
            Note(
                time_s=float(at_s),
                strength=rng.uniform(0.45, 1.0),
                pitch=float(pitch),
                length_s=0.8 * gap,
            )
        )
        pitch = float(np.clip(pitch + rng.choice([-1, 1]) * rng.uniform(0.1, 0.5), 0, 1))
        at_s += gap
    return tuple(notes)


def stick_height(notes: Sequence[Note], times_s: Floats, *, rest: float = 0.25) -> Floats:
    """Height [T] of a mallet above what it hits: 0 at each note, a high late peak between."""
    height = np.full(len(times_s), rest)
    if not notes:
        return height
    at = np.array([note.time_s for note in notes])
    first = times_s < at[0]
    before = first & (times_s >= at[0] - 0.35)
    height[before] = rest * (1 - bump(0.5 * (times_s[before] - at[0] + 0.35) / 0.35, lean=1.0))
    for now, then in pairwise(at):
        part = (times_s >= now) & (times_s < then)
        high = min(1.0, 0.35 + 0.9 * (then - now))
        height[part] = high * bump((times_s[part] - now) / (then - now), lean=1.7)
    after = times_s >= at[-1]
    height[after] = rest * bump(np.minimum((times_s[after] - at[-1]) / 0.9, 0.5), lean=1.0)
    return height


def aim(notes: Sequence[Note], times_s: Floats) -> Floats:
    """Pitch [T] that the player is at: at each note its own, moving early towards the next."""
    if not notes:
        return np.full(len(times_s), 0.5)
    keys, values = [-10.0], [notes[0].pitch]
    for now, then in pairwise(notes):
        gap = then.time_s - now.time_s
        keys += [now.time_s + 0.1 * gap, then.time_s - 0.25 * gap]
        values += [now.pitch, then.pitch]
    return keyed(times_s, [*keys, 1e3], [*values, notes[-1].pitch])


def ring(notes: Sequence[Note], times_s: Floats, *, rate_hz: float, decay_s: float) -> Floats:
    """A damped swing [T] after each note (a cymbal that tips when hit)."""
    swing = np.zeros(len(times_s))
    for note in notes:
        since = np.maximum(times_s - note.time_s, 0.0)
        swing += note.strength * np.exp(-since / decay_s) * np.sin(2 * np.pi * rate_hz * since)
    return swing


def strike_point(thing: Thing, pitch: Floats) -> Floats:
    """Where [T, 3] a struck thing is hit, in its own frame, for pitches [T]."""
    scale, count = thing.scale, len(pitch)
    if thing.kind == "xylophone":
        along = (pitch - 0.5) * 0.78 * scale
        return np.stack(
            [along, np.full(count, 0.78 * thing.tall + 0.035), np.zeros(count)], axis=-1
        )
    at = {
        "drum": (0.03, 0.74 * thing.tall + 0.01, -0.04),
        "cymbal": (0.0, 1.0 * thing.tall + 0.02, 0.14 * scale),
        "hammer": (0.0, 0.62 * thing.tall, 0.0),
        "keyboard": (0.0, 0.86 * thing.tall, 0.06),
    }[thing.kind]
    point = np.tile(np.asarray(at, np.float64), (count, 1))
    if thing.kind == "keyboard":
        point[:, 0] = (pitch - 0.5) * 0.8 * scale
    return point
