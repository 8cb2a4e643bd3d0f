"""A person playing an instrument: hands meet it at the time of each note.

Shapes: T frames. Places are in the person's own frame (x to the left, y up, z forward).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avssl.world.body import SIDES, SIGNS, Body, Posture, Skeleton, joints_of
from avssl.world.geometry import apply, bone_frames, keyed, rotation, unit, wander
from avssl.world.motion import Motion, standing
from avssl.world.shapes import Standing, add_thing, mallet
from avssl.world.solids import BOX, ELLIPSOID, Material, SolidBuilder
from avssl.world.synth import Note
from avssl.world.things import Thing, aim, stick_height, strike_point

Floats = NDArray[np.float64]
STICK_M = 0.34
AWAY_M = {"drum": 0.56, "cymbal": 0.62, "xylophone": 0.52, "keyboard": 0.42}


@dataclass(frozen=True, kw_only=True)
class Playing:
    """A motion, and how to draw the instrument (under the builder's present owner)."""

    motion: Motion
    draw: Callable[[SolidBuilder, Skeleton, Standing], None]
    """(builder, the posed player, the player's own frame in the world)"""


def _hands_of(notes: Sequence[Note], *, both: bool) -> dict[str, list[Note]]:
    """Shares the notes between the hands: by turns, or by place on a wide instrument."""
    shared: dict[str, list[Note]] = {side: [] for side in SIDES}
    for number, note in enumerate(notes):
        by_place = "left" if note.pitch < 0.5 else "right"
        side = by_place if both else SIDES[number % 2]
        shared[side].append(note)
    return shared


def _motion(posture: Posture, times_s: Floats) -> Motion:
    count = len(times_s)
    return Motion(
        posture=posture, place=np.zeros((count, 3)), yaw=np.zeros(count), beats_s=np.zeros(0)
    )


def _lean(rng: np.random.Generator, posture: Posture, notes: Sequence[Note], t: Floats) -> None:
    """Lets the trunk and the head go with the beat."""
    size = rng.uniform(0.03, 0.12)
    if len(notes) > 2:
        beat_s = float(np.median(np.diff([note.time_s for note in notes])))
        beat = np.pi * (t - notes[0].time_s) / beat_s
        posture.neck[:, 0] += 0.12 + size * np.cos(beat)
        posture.pelvis[:, 1] += -0.03 + 0.2 * size * np.cos(beat)
        posture.pelvis_turn[:, 2] += 0.4 * size * np.sin(0.5 * beat)
    posture.spine[:, 0] += 0.1 + wander(rng, t, period_s=2.5, size=0.04)


def play_struck(
    rng: np.random.Generator, body: Body, thing: Thing, notes: Sequence[Note], times_s: Floats
) -> Playing:
    """Plays a drum, cymbal or xylophone with sticks, or a keyboard with the hands."""
    posture = standing(rng, body, times_s)
    _lean(rng, posture, notes, times_s)
    away = AWAY_M[thing.kind]
    keys = thing.kind == "keyboard"
    wide = thing.kind in ("xylophone", "keyboard")
    shared = _hands_of(notes, both=wide)
    tips: dict[str, Floats] = {}
    for side in SIDES:
        own, sign = shared[side], SIGNS[side]
        pitch = aim(own, times_s)
        if wide and not own:
            pitch = np.full(len(times_s), 0.3 if side == "left" else 0.7)
        spot = strike_point(thing, pitch) * [-1.0, 1.0, -1.0] + [0.0, 0.0, away]
        if not wide:
            spot = spot + np.array([0.05 * sign, 0.0, 0.0])
        high = stick_height(own, times_s, rest=0.3)
        if keys:
            tips[side] = spot
            posture.hands[side] = spot + np.stack(
                [0.04 * sign + 0 * high, 0.06 + 0.14 * high, -0.12 + 0 * high], axis=-1
            )
        else:
            tips[side] = spot + np.stack([0 * high, 0.032 + 0.5 * high, -0.06 * high], axis=-1)
            toward = unit(np.array([0.45 * sign, 0.42, -1.0]))
            posture.hands[side] = (
                spot + STICK_M * toward + np.stack([0 * high, 0.28 * high, -0.03 * high], -1)
            )
        posture.elbows_out[side] = np.array([0.8 * sign, -0.9, -0.5])

    def draw(builder: SolidBuilder, skeleton: Skeleton, at: Standing) -> None:
        place = at.out((0.0, 0.0, away))
        turn = at.turn @ rotation("y", np.pi)
        add_thing(builder, thing, Standing(place=place, turn=turn), notes, times_s, by_player=True)
        if keys:
            return
        for side in SIDES:
            wrist, elbow = skeleton.joints[f"{side}_wrist"], skeleton.joints[f"{side}_elbow"]
            grip = wrist + 0.05 * unit(wrist - elbow)
            tip = at.out(tips[side])
            mallet(builder, thing, grip, grip + STICK_M * unit(tip - grip))

    return Playing(motion=_motion(posture, times_s), draw=draw)


def _at_rest(body: Body, posture: Posture, times_s: Floats) -> Skeleton:
    count = len(times_s)
    return joints_of(body, posture, place=np.zeros((count, 3)), yaw=np.zeros(count))


def play_guitar(
    rng: np.random.Generator, body: Body, thing: Thing, notes: Sequence[Note], times_s: Floats
) -> Playing:
    """Strums with the right hand, one stroke a note; the left hand slides to the pitch."""
    posture = standing(rng, body, times_s)
    _lean(rng, posture, notes, times_s)
    rest = _at_rest(body, posture, times_s)
    chest, scale = rest.chest, 0.9 * thing.scale
    slope = rng.uniform(0.15, 0.5)
    neck = unit(np.array([0.95, slope, 0.12]))
    middle = rest.joints["pelvis"] + apply(chest, (-0.11, 0.17, 0.175 * body.girth))
    along = apply(chest, neck)
    stroke = np.zeros(len(times_s))
    if notes:
        keys, values = [-9.0], [0.6]
        for note in notes:
            keys += [note.time_s - 0.06, note.time_s + 0.06]
            values += [0.5 + 0.5 * note.strength, -0.5 - 0.5 * note.strength]
        stroke = keyed(times_s, [*keys, 1e3], [*values, values[-1]])
    front = chest[..., 2]
    posture.hands["right"] = (
        middle + apply(chest, (-0.05, 0.03, 0.0)) + 0.095 * front
        + 0.085 * stroke[:, None] * chest[..., 1]
    )  # fmt: skip
    reach = (0.52 - 0.22 * aim(notes, times_s)) * scale
    posture.hands["left"] = middle + along * reach[:, None] + apply(chest, (0.0, -0.06, 0.035))
    posture.elbows_out = {
        "left": np.array([0.5, -1.0, -0.3]),
        "right": np.array([-1.0, -0.15, -0.5]),
    }
    wood = thing.main

    def draw(builder: SolidBuilder, skeleton: Skeleton, at: Standing) -> None:
        axis = apply(at.turn, along)
        face = apply(at.turn, front)
        where = at.out(middle)
        up = np.cross(face, axis)
        turn = np.stack([axis, unit(up), np.cross(axis, unit(up))], axis=-1)
        thin = 0.045 * scale
        for far, half, deep in ((-0.07, 0.155, 0.14), (0.11, 0.115, 0.105)):
            builder.add(
                ELLIPSOID, (half * scale, deep * scale, thin), where + far * scale * axis, turn,
                wood,
            )  # fmt: skip
        dark = Material(colour=(0.02, 0.015, 0.01), shine=0.1)
        builder.add(
            ELLIPSOID, (0.045 * scale, 0.045 * scale, 0.008),
            where + 0.035 * scale * axis + (thin - 0.003) * turn[..., 2], turn, dark,
        )  # fmt: skip
        builder.add(
            BOX, (0.26 * scale, 0.023, 0.012),
            where + 0.36 * scale * axis + 0.8 * thin * turn[..., 2], turn, thing.accent,
        )  # fmt: skip
        builder.add(
            BOX, (0.05 * scale, 0.035, 0.012),
            where + 0.66 * scale * axis + 0.7 * thin * turn[..., 2], turn, thing.metal,
        )  # fmt: skip

    return Playing(motion=_motion(posture, times_s), draw=draw)


def play_flute(
    rng: np.random.Generator, body: Body, thing: Thing, notes: Sequence[Note], times_s: Floats
) -> Playing:
    """Holds a flute to the mouth and bows with the notes; the right hand slides to the pitch."""
    posture = standing(rng, body, times_s)
    _lean(rng, posture, notes, times_s)
    for note in notes:
        since = times_s - note.time_s + 0.12
        part = np.clip(since / max(note.length_s + 0.3, 0.3), 0, 1)
        posture.spine[:, 0] += 0.10 * note.strength * np.sin(np.pi * part) ** 2
    posture.spine[:, 0] -= 0.12
    rest = _at_rest(body, posture, times_s)
    pitch = aim(notes, times_s)
    lift = 0.10 * (pitch - 0.5)
    turn_out = rotation("z", lift)
    mouth = rest.joints["nose"] + apply(rest.head, (0.0, -0.045, 0.015))
    along = apply(rest.head @ turn_out, unit(np.array([-0.93, -0.12, 0.3])))
    chest = rest.chest
    far = (0.20 + 0.16 * (1 - pitch))[:, None]
    posture.hands["left"] = mouth + 0.10 * along + apply(chest, (0.0, -0.075, 0.05))
    posture.hands["right"] = mouth + far * along + apply(chest, (0.0, -0.085, 0.02))
    posture.elbows_out = {
        "left": np.array([0.7, -1.0, 0.3]),
        "right": np.array([-0.9, -1.0, -0.1]),
    }
    long_m = 0.56 * thing.scale

    def draw(builder: SolidBuilder, skeleton: Skeleton, at: Standing) -> None:
        start, axis = at.out(mouth), apply(at.turn, along)
        turn = bone_frames(start, start + axis, np.broadcast_to([0.0, 1.0, 0.0], start.shape))
        builder.can(start - 0.07 * axis, turn, (0.021, 0.021, long_m), thing.metal, thing.accent)
        for share in (0.45, 0.62, 0.95):
            ring = start + (share * long_m - 0.07) * axis
            builder.can(ring, turn, (0.026, 0.026, 0.03), thing.accent)

    return Playing(motion=_motion(posture, times_s), draw=draw)


def play_thing(
    rng: np.random.Generator, body: Body, thing: Thing, notes: Sequence[Note], times_s: Floats
) -> Playing:
    """Gives a person playing `thing`, which must be of a kind in `things.PLAYED`."""
    if thing.kind == "guitar":
        return play_guitar(rng, body, thing, notes, times_s)
    if thing.kind == "flute":
        return play_flute(rng, body, thing, notes, times_s)
    # The instrument stands at a height that suits the player.
    fitting = replace(thing, tall=thing.tall * body.height_m / 1.75)
    return play_struck(rng, body, fitting, notes, times_s)
