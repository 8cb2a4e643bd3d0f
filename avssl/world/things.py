"""Instruments and other things: how they look, move and when they sound.

A thing stands in its own frame (origin on the floor below it, y up, z to its front). Struck
things are hit by a mallet on an arm of its own or by a player; what is seen meets what is heard
at the time of each `Note`. Shapes: T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import apply, bump, rotation
from avssl.world.solids import BOX, ELLIPSOID, Material, SolidBuilder
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
    height[first] = rest * bump((times_s[first] - at[0] + 0.7) / 1.4 + 0.0, lean=1.0)
    height[first & (times_s < at[0] - 0.35)] = rest
    before = first & (times_s >= at[0] - 0.35)
    height[before] = rest * (1 - bump(0.5 * (times_s[before] - at[0] + 0.35) / 0.35, lean=1.0))
    for now, then in zip(at[:-1], at[1:], strict=True):
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
    from avssl.world.geometry import keyed

    keys, values = [-10.0], [notes[0].pitch]
    for now, then in zip(notes[:-1], notes[1:], strict=True):
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


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a thing is: its own frame in the world."""

    place: Floats  # [3] or [T, 3]
    turn: Floats  # [3, 3] or [T, 3, 3]

    def out(self, points: Floats | tuple[float, float, float]) -> Floats:
        """Own coordinates → the world."""
        return self.place + apply(self.turn, points)


def _legs(builder: SolidBuilder, at: Standing, metal: Material, *, high: float, wide: float):
    for x, z in ((-wide, -0.12), (wide, -0.12), (-wide, 0.12), (wide, 0.12)):
        builder.rod(at.out((1.15 * x, 0.0, 1.3 * z)), at.out((x, high, z)), 0.014, metal)


def mallet(
    builder: SolidBuilder, thing: Thing, grip: Floats, tip: Floats, *, head_m: float = 0.032
) -> None:
    """Draws a stick from `grip` to `tip` (world, [T, 3], at a constant distance)."""
    builder.rod(grip, tip, 0.011, thing.accent)
    builder.ball(head_m, tip, np.eye(3), thing.accent)


def _arm(builder: SolidBuilder, thing: Thing, at: Standing, notes: Sequence[Note], t: Floats):
    """A mallet that swings about a post behind the thing."""
    target = strike_point(thing, aim(notes, t))
    long_m = 0.42 * thing.scale
    if thing.kind == "hammer":
        long_m = 0.5 * thing.scale
    pivot = target + np.array([0.0, 0.03, -long_m])
    angle = 0.85 * stick_height(notes, t, rest=0.45)
    swing = rotation("x", -angle)
    head = 0.032 if thing.kind != "hammer" else 0.045
    tip = pivot + apply(swing, (0.0, head - 0.03, long_m))
    if thing.kind == "hammer":
        turn = at.turn @ swing
        builder.rod(at.out(pivot), at.out(tip), 0.018, thing.accent)
        builder.add(BOX, (0.05, 0.06, 0.09), at.out(tip + [0, 0.02, 0]), turn, thing.metal)
    else:
        mallet(builder, thing, at.out(pivot), at.out(tip), head_m=head)
    foot = pivot * [1.0, 0.0, 1.0]
    middle = foot.mean(axis=0)
    builder.rod(at.out(tuple(middle)), at.out((*[middle[0], pivot[0, 1]], middle[2])), 0.022,
                thing.metal)  # fmt: skip
    if np.ptp(pivot[:, 0]) > 0.02:
        builder.ball(0.05, at.out(pivot), at.turn, thing.metal)


def add_thing(
    builder: SolidBuilder,
    thing: Thing,
    at: Standing,
    notes: Sequence[Note],
    times_s: Floats,
    *,
    by_player: bool = False,
) -> None:
    """Adds the thing's solids under the builder's present owner; without notes it is at rest."""
    scale, tall = thing.scale, thing.tall
    if thing.kind == "drum":
        radius, deep, top = 0.20 * scale, 0.24 * scale, 0.74 * tall
        skin = Material(colour=(0.78, 0.75, 0.68), shine=0.1)
        builder.can(
            at.out((0, top - deep, 0)), at.turn, (0.93 * radius, radius, deep), thing.main, skin
        )
        builder.can(
            at.out((0, top - 0.03, 0)), at.turn, (1.04 * radius, 1.04 * radius, 0.026),
            thing.metal, skin,
        )  # fmt: skip
        _legs(builder, at, thing.metal, high=top - deep, wide=0.13 * scale)
    elif thing.kind == "cymbal":
        top = 1.0 * tall
        tip = 0.16 * ring(notes, times_s, rate_hz=2.2, decay_s=0.45)
        turn = at.turn @ rotation("x", 0.12 + tip)
        builder.add(
            ELLIPSOID, (0.24 * scale, 0.012, 0.24 * scale), at.out((0, top, 0)), turn, thing.metal
        )
        builder.add(
            ELLIPSOID, (0.07 * scale, 0.04, 0.07 * scale), at.out((0, top, 0)), turn, thing.metal
        )
        builder.rod(at.out((0, 0.12, 0)), at.out((0, top - 0.01, 0)), 0.016, thing.accent)
        for angle in (0.3, 2.4, 4.5):
            foot = (0.24 * np.cos(angle), 0.0, 0.24 * np.sin(angle))
            builder.rod(at.out(foot), at.out((0, 0.3, 0)), 0.013, thing.accent)
    elif thing.kind == "xylophone":
        top, count = 0.78 * tall, 8
        for number in range(count):
            along = (number / (count - 1) - 0.5) * 0.78 * scale
            deep = (0.20 - 0.011 * number) * scale
            colour = colour_of(number / count * 0.8 + thing.voice.base_hz % 1.0, 0.75, 0.9)
            bar = thing.main if thing.main.pattern == 0 else Material(colour=colour, shine=0.3)
            builder.add(BOX, (0.042 * scale, 0.014, deep), at.out((along, top, 0)), at.turn, bar)
        for z in (-0.1, 0.1):
            builder.rod(
                at.out((-0.46 * scale, top - 0.03, z)), at.out((0.46 * scale, top - 0.03, z)),
                0.02, thing.accent,
            )  # fmt: skip
        _legs(builder, at, thing.metal, high=top - 0.03, wide=0.38 * scale)
    elif thing.kind == "keyboard":
        top = 0.86 * tall
        builder.add(
            BOX, (0.52 * scale, 0.05, 0.17), at.out((0, top - 0.06, -0.02)), at.turn, thing.main
        )
        keys = Material(
            colour=(0.85, 0.85, 0.82), second=(0.02, 0.02, 0.02), pattern=1, repeats_per_m=5.0
        )
        builder.add(
            BOX, (0.47 * scale, 0.012, 0.075), at.out((0, top - 0.01, 0.075)), at.turn, keys
        )
        # The panel towards the audience
        builder.add(
            BOX, (0.40 * scale, 0.045, 0.012), at.out((0, top - 0.05, -0.19)), at.turn, thing.accent
        )
        _legs(builder, at, thing.metal, high=top - 0.1, wide=0.42 * scale)
    elif thing.kind == "bell":
        high = 1.12 * tall
        angle = np.zeros(len(times_s))
        if len(notes) > 1:
            gap_s = notes[1].time_s - notes[0].time_s
            angle = 0.55 * np.cos(np.pi * (times_s - notes[0].time_s) / gap_s)
        turn = at.turn @ rotation("z", angle)
        hang = at.out((0, high - 0.04, 0))
        size = 0.21 * scale
        builder.can(
            hang + apply(turn, (0, -1.75 * size, 0)), turn, (size, 0.52 * size, 1.2 * size),
            thing.metal, bottom=Material(colour=(0.05, 0.04, 0.02)),
        )  # fmt: skip
        builder.ball(0.53 * size, hang + apply(turn, (0, -0.56 * size, 0)), turn, thing.metal)
        builder.rod(hang, hang + apply(turn, (0, -0.1 * size - 0.02, 0)), 0.02, thing.accent)
        clapper = hang + apply(turn @ rotation("z", 0.35 * angle), (0, -1.85 * size, 0))
        builder.ball(0.25 * size, clapper, turn, thing.accent)
        wide = 0.42 * scale
        for x in (-wide, wide):
            builder.rod(at.out((x, 0, 0)), at.out((x, high, 0)), 0.028, thing.main)
        builder.add(BOX, (wide + 0.05, 0.032, 0.04), at.out((0, high, 0)), at.turn, thing.main)
    elif thing.kind == "ball":
        radius = 0.15 * scale
        height = np.zeros(len(times_s))
        if notes:
            strikes = [note.time_s for note in notes]
            gaps = [*np.diff(strikes), 0.6]
            starts = [strikes[0] - 0.7, *strikes]
            for start, gap in zip(starts, [0.7, *gaps], strict=True):
                since = times_s - start
                part = (since >= 0) & (since < gap)
                height[part] = 0.5 * 9.81 * since[part] * (gap - since[part])
        spin = rotation("x", 0.6 * times_s if notes else 0 * times_s)
        centre = at.place + np.stack([0 * height, radius + height, 0 * height], axis=-1)
        pattern = thing.main.pattern or 3
        look = Material(
            colour=thing.main.colour, second=thing.accent.colour, pattern=pattern,
            repeats_per_m=1.6, shine=0.3,
        )  # fmt: skip
        builder.add(ELLIPSOID, (radius,) * 3, centre, at.turn @ spin, look)
    elif thing.kind == "clock":
        high = 1.35 * tall
        wide = 0.17 * scale
        angle = np.zeros(len(times_s))
        if len(notes) > 1:
            gap_s = notes[1].time_s - notes[0].time_s
            angle = 0.42 * np.sin(np.pi * (times_s - notes[0].time_s) / gap_s)
        case = thing.main
        dark = Material(colour=tuple(0.25 * value for value in case.colour))  # type: ignore[arg-type]
        builder.add(BOX, (wide, 0.08 * high, 0.12), at.out((0, 0.08 * high, 0)), at.turn, case)
        builder.add(BOX, (wide, 0.5 * high, 0.02), at.out((0, 0.5 * high, -0.1)), at.turn, dark)
        for x in (-wide, wide):
            builder.add(BOX, (0.02, 0.5 * high, 0.11), at.out((x, 0.5 * high, 0)), at.turn, case)
        builder.add(
            BOX, (1.1 * wide, 0.15 * high, 0.12), at.out((0, 0.86 * high, 0)), at.turn, case
        )
        face = at.turn @ rotation("x", np.pi / 2)
        front = at.out((0, 0.86 * high, 0.125))
        builder.can(
            front, face, (0.8 * wide, 0.8 * wide, 0.012), thing.metal,
            Material(colour=(0.85, 0.84, 0.78)),
        )  # fmt: skip
        for rate, long_m in ((0.9, 0.62 * wide), (0.075, 0.42 * wide)):
            hand = rotation("z", -rate * times_s if notes else np.full(len(times_s), rate))
            start = at.out((0, 0.86 * high, 0.145))
            builder.rod(
                start, start + apply(at.turn @ hand, (0, long_m, 0)), 0.011,
                Material(colour=(0.03, 0.03, 0.03)),
            )  # fmt: skip
        swing = at.turn @ rotation("z", angle)
        hook = at.out((0, 0.70 * high, 0.02))
        bob = hook + apply(swing, (0, -0.42 * high, 0))
        builder.rod(hook, bob, 0.011, thing.metal)
        builder.add(ELLIPSOID, (0.085 * scale, 0.085 * scale, 0.03), bob, swing, thing.metal)
    elif thing.kind == "hammer":
        top = 0.62 * tall
        iron = Material(colour=(0.09, 0.09, 0.11), shine=0.6)
        builder.add(BOX, (0.16, 0.06, 0.11), at.out((0, top - 0.06, 0)), at.turn, iron)
        builder.add(BOX, (0.09, 0.07, 0.08), at.out((0, top - 0.17, 0)), at.turn, iron)
        builder.can(
            at.out((0, 0, 0)), at.turn, (0.19 * scale, 0.18 * scale, top - 0.22), thing.main
        )
    if thing.kind in STRUCK and not by_player:
        _arm(builder, thing, at, notes, times_s)
