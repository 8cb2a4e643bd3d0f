"""What instruments and other things are made of, and how they move with their notes.

A thing stands in its own frame (origin on the floor below it, y up, z to its front). Struck
things are hit by a mallet on an arm of their own or by a player. Shapes: T frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import apply, rotation
from avssl.world.solids import BOX, ELLIPSOID, Material, SolidBuilder
from avssl.world.synth import Note
from avssl.world.textures import colour_of
from avssl.world.things import STRUCK, Thing, aim, ring, stick_height, strike_point

Floats = NDArray[np.float64]
Notes = Sequence[Note]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a thing is: its own frame in the world."""

    place: Floats  # [3] or [T, 3]
    turn: Floats  # [3, 3] or [T, 3, 3]

    def out(self, points: Floats | tuple[float, float, float]) -> Floats:
        """Own coordinates → the world."""
        return self.place + apply(self.turn, points)


def _legs(
    builder: SolidBuilder, at: Standing, metal: Material, *, high: float, wide: float
) -> None:
    for x, z in ((-wide, -0.12), (wide, -0.12), (-wide, 0.12), (wide, 0.12)):
        builder.rod(at.out((1.15 * x, 0.0, 1.3 * z)), at.out((x, high, z)), 0.014, metal)


def mallet(
    builder: SolidBuilder, thing: Thing, grip: Floats, tip: Floats, *, head_m: float = 0.032
) -> None:
    """Draws a stick from `grip` to `tip` (world, [T, 3], at a constant distance)."""
    builder.rod(grip, tip, 0.011, thing.accent)
    builder.ball(head_m, tip, np.eye(3), thing.accent)


def _arm(builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, t: Floats) -> None:
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
        builder.add(
            BOX, (0.05, 0.06, 0.09), at.out(tip + np.array([0.0, 0.02, 0.0])), turn, thing.metal
        )
    else:
        mallet(builder, thing, at.out(pivot), at.out(tip), head_m=head)
    foot = pivot * [1.0, 0.0, 1.0]
    middle = foot.mean(axis=0)
    top = np.array([middle[0], pivot[0, 1], middle[2]])
    builder.rod(at.out(middle), at.out(top), 0.022, thing.metal)
    if np.ptp(pivot[:, 0]) > 0.02:
        builder.ball(0.05, at.out(pivot), at.turn, thing.metal)


def _drum(builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats) -> None:
    """A kettle on four legs."""
    scale = thing.scale
    tall = thing.tall
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


def _cymbal(
    builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats
) -> None:
    """A plate on a tripod that tips when hit."""
    scale = thing.scale
    tall = thing.tall
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


def _xylophone(
    builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats
) -> None:
    """Eight bars on a frame, the lowest at one end."""
    scale = thing.scale
    tall = thing.tall
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


def _keyboard(
    builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats
) -> None:
    """A piano on legs, keys towards the player."""
    scale = thing.scale
    tall = thing.tall
    top = 0.86 * tall
    builder.add(
        BOX, (0.52 * scale, 0.05, 0.17), at.out((0, top - 0.06, -0.02)), at.turn, thing.main
    )
    keys = Material(
        colour=(0.85, 0.85, 0.82), second=(0.02, 0.02, 0.02), pattern=1, repeats_per_m=5.0
    )
    builder.add(BOX, (0.47 * scale, 0.012, 0.075), at.out((0, top - 0.01, 0.075)), at.turn, keys)
    # The panel towards the audience
    builder.add(
        BOX, (0.40 * scale, 0.045, 0.012), at.out((0, top - 0.05, -0.19)), at.turn, thing.accent
    )
    _legs(builder, at, thing.metal, high=top - 0.1, wide=0.42 * scale)


def _bell(builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats) -> None:
    """A bell that swings in a frame: its clapper strikes at both ends."""
    scale = thing.scale
    tall = thing.tall
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


def _ball(builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats) -> None:
    """A ball that leaps from the floor at every note."""
    scale = thing.scale
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


def _clock(
    builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats
) -> None:
    """A standing clock whose pendulum is lowest at every tick."""
    scale = thing.scale
    tall = thing.tall
    high = 1.35 * tall
    wide = 0.17 * scale
    angle = np.zeros(len(times_s))
    if len(notes) > 1:
        gap_s = notes[1].time_s - notes[0].time_s
        angle = 0.2 * np.sin(np.pi * (times_s - notes[0].time_s) / gap_s)
    case = thing.main
    red, green, blue = case.colour
    dark = Material(colour=(0.25 * red, 0.25 * green, 0.25 * blue))
    builder.add(BOX, (wide, 0.08 * high, 0.12), at.out((0, 0.08 * high, 0)), at.turn, case)
    builder.add(BOX, (wide, 0.5 * high, 0.02), at.out((0, 0.5 * high, -0.1)), at.turn, dark)
    for x in (-wide, wide):
        builder.add(BOX, (0.02, 0.5 * high, 0.11), at.out((x, 0.5 * high, 0)), at.turn, case)
    builder.add(BOX, (1.1 * wide, 0.15 * high, 0.12), at.out((0, 0.86 * high, 0)), at.turn, case)
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


def _hammer(
    builder: SolidBuilder, thing: Thing, at: Standing, notes: Notes, times_s: Floats
) -> None:
    """An anvil on a block, and the hammer over it."""
    scale = thing.scale
    tall = thing.tall
    top = 0.62 * tall
    iron = Material(colour=(0.09, 0.09, 0.11), shine=0.6)
    builder.add(BOX, (0.16, 0.06, 0.11), at.out((0, top - 0.06, 0)), at.turn, iron)
    builder.add(BOX, (0.09, 0.07, 0.08), at.out((0, top - 0.17, 0)), at.turn, iron)
    builder.can(at.out((0, 0, 0)), at.turn, (0.19 * scale, 0.18 * scale, top - 0.22), thing.main)


_SHAPES: dict[str, Callable[[SolidBuilder, Thing, Standing, Notes, Floats], None]] = {
    "drum": _drum,
    "cymbal": _cymbal,
    "xylophone": _xylophone,
    "keyboard": _keyboard,
    "bell": _bell,
    "ball": _ball,
    "clock": _clock,
    "hammer": _hammer,
}


def add_thing(
    builder: SolidBuilder,
    thing: Thing,
    at: Standing,
    notes: Notes,
    times_s: Floats,
    *,
    by_player: bool = False,
) -> None:
    """Adds the thing's solids under the builder's present owner; without notes it is at rest."""
    _SHAPES[thing.kind](builder, thing, at, notes, times_s)
    if thing.kind in STRUCK and not by_player:
        _arm(builder, thing, at, notes, times_s)
