"""Named motions of a person, each with its own speed, size and timing.

Movements are asymmetric in time where real ones are: a squat goes down slowly and up quickly, a
jump crouches, springs and absorbs, a dancer snaps into a pose and eases out. All curves have
bounded acceleration. Shapes: T frames.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.body import SIDES, SIGNS, Body, Posture
from avssl.world.geometry import ease, keyed, phase_of, rotation, wander

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A posture over time and where the person's own frame goes in the world."""

    posture: Posture
    place: Floats  # [T, 3], offset from the person's spot
    yaw: Floats  # [T], added to the person's own direction
    beats_s: Floats
    """Times at which a foot lands, seconds (walk, jump and dance), else empty."""


def standing(rng: np.random.Generator, body: Body, times_s: Floats) -> Posture:
    """Gives a person standing at ease: breathing, shifting the weight, looking about."""
    count = len(times_s)
    apart = rng.uniform(0.9, 1.7) * body.length_m("hip")
    turn_out = rng.uniform(0.05, 0.35)
    pelvis = np.zeros((count, 3))
    pelvis[:, 0] = wander(rng, times_s, period_s=3.5, size=0.018)
    pelvis[:, 1] = 0.985 * body.standing_m
    pelvis[:, 2] = wander(rng, times_s, period_s=4.0, size=0.01)

    def sway(size: float, period_s: float = 3.0) -> Floats:
        return wander(rng, times_s, period_s=period_s, size=size)

    arms = {}
    for side in SIDES:
        rest = [rng.uniform(-0.05, 0.2), rng.uniform(0.08, 0.22), rng.uniform(-0.2, 0.5)]
        arms[side] = np.stack(
            [rest[0] + sway(0.04), rest[1] + sway(0.025), rest[2] + sway(0.05),
             rng.uniform(0.2, 0.5) + sway(0.05)], axis=-1,
        )  # fmt: skip
    return Posture(
        pelvis=pelvis,
        ankles={
            side: np.tile([SIGNS[side] * apart, body.length_m("ankle"), 0.0], (count, 1))
            for side in SIDES
        },
        feet_yaw={side: np.full(count, SIGNS[side] * turn_out) for side in SIDES},
        feet_pitch={side: np.zeros(count) for side in SIDES},
        pelvis_turn=np.stack([sway(0.015), sway(0.03), sway(0.015)], axis=-1),
        spine=np.stack([0.04 + sway(0.025), sway(0.05), sway(0.025)], axis=-1),
        neck=np.stack([sway(0.06), sway(0.22, 4.0), sway(0.04)], axis=-1),
        arms=arms,
    )


def _stay(times_s: Floats) -> tuple[Floats, Floats, Floats]:
    return np.zeros((len(times_s), 3)), np.zeros(len(times_s)), np.zeros(0)


def walk(rng: np.random.Generator, body: Body, times_s: Floats) -> Motion:
    """Walks on a circle, to and fro past the camera, or on the spot as on a treadmill.

    Feet on the ground do not slip: they are planted at places along the path and swing between.
    """
    posture = standing(rng, body, times_s)
    rate_hz = rng.uniform(0.75, 1.15)  # full cycles, two steps each
    stride = rng.uniform(0.55, 0.8) * body.height_m * rng.uniform(0.8, 1.0)
    cycle = phase_of(rng, times_s, rate_hz=rate_hz, unsteady=0.12)
    route = str(rng.choice(["circle", "across", "treadmill"], p=[0.45, 0.35, 0.2]))
    radius = rng.uniform(0.55, 0.95)
    direction = rng.choice([-1.0, 1.0])
    start = rng.uniform(0, 2 * np.pi)
    if route == "across":  # slow enough to stay in view
        speed = rng.uniform(1.5, 2.2) / max(times_s[-1], 1.0)
        stride = min(stride, speed / rate_hz)
    middle = stride * cycle.mean()

    def path(along: Floats) -> tuple[Floats, Floats]:
        """Distance gone [T] → place [T, 3] and heading [T]."""
        if route == "circle":
            angle = start + direction * along / radius
            place = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1) * radius
            return place, angle + direction * np.pi / 2
        gone = along - (middle if route == "across" else 0.0)
        heading = np.full_like(along, direction * np.deg2rad(80) if route == "across" else 0.0)
        if route == "across":
            heading += 0.25 * np.sin(start)
        return gone[:, None] * np.stack([np.sin(heading), 0 * gone, np.cos(heading)], -1), heading

    place, yaw = path(stride * cycle)
    back = np.swapaxes(rotation("y", yaw), -1, -2)
    stance = rng.uniform(0.58, 0.66)
    lift = rng.uniform(0.07, 0.16)
    apart = rng.uniform(0.5, 1.1) * body.length_m("hip")
    landings = []
    for number, side in enumerate(SIDES):
        own = cycle + 0.5 * number
        step, share = np.floor(own), own % 1.0
        swing = ease((share - stance) / (1.0 - stance))
        ahead = stride * (step + swing + 0.5 * stance - 0.5 * number)
        spot, heading = path(ahead)
        outward = np.stack([np.cos(heading), 0 * heading, -np.sin(heading)], -1)
        spot = spot + SIGNS[side] * apart * outward
        arc = np.sin(np.pi * np.clip((share - stance) / (1.0 - stance), 0, 1)) ** 2
        spot[:, 1] = body.length_m("ankle") + lift * arc
        posture.ankles[side] = np.einsum("tij,tj->ti", back, spot - place)
        posture.feet_yaw[side] = heading - yaw + 0.1 * SIGNS[side]
        push = np.sin(np.pi * np.clip((share - stance + 0.2) / 0.45, 0, 1)) ** 2
        posture.feet_pitch[side] = 0.55 * push
        posture.ankles[side][:, 1] += 0.035 * push
        landings += [
            float(np.interp(whole, own, times_s))
            for whole in range(int(np.ceil(own[0])), int(own[-1]) + 1)
        ]
    angle = 2 * np.pi * cycle
    bounce = rng.uniform(0.012, 0.028)
    posture.pelvis[:, 1] += bounce * np.cos(2 * (angle - 0.9)) - 0.03
    posture.pelvis[:, 0] += 0.02 * np.sin(angle)
    posture.pelvis_turn[:, 1] += 0.1 * np.cos(angle)
    posture.pelvis_turn[:, 2] += 0.04 * np.sin(angle)
    posture.spine[:, 1] -= 0.2 * np.cos(angle)
    posture.spine[:, 0] += rng.uniform(0.0, 0.12)
    reach = rng.uniform(0.3, 0.75)
    for side in SIDES:
        beat = -SIGNS[side] * np.cos(angle + rng.normal(0, 0.1))
        posture.arms[side][:, 0] += reach * beat + 0.05
        posture.arms[side][:, 3] += 0.25 * (1 + beat) * reach + 0.1
    if route == "treadmill":
        place = np.zeros_like(place)
    return Motion(posture=posture, place=place, yaw=yaw, beats_s=np.sort(landings))


def wave(rng: np.random.Generator, body: Body, times_s: Floats) -> Motion:
    """Lifts an arm (or both), waves with the forearm for a while, lets it sink, and again."""
    posture = standing(rng, body, times_s)
    length_s = float(times_s[-1])
    chosen = SIDES if rng.random() < 0.25 else (str(rng.choice(SIDES)),)
    for side in chosen:
        keys, held, at_s = [-9.0], [0.0], rng.uniform(-1.0, 0.6)
        while at_s < length_s:
            for pause_s, value in (
                (0.0, 0.0),
                (rng.uniform(0.45, 0.8), 1.0),
                (rng.uniform(1.4, 3.0), 1.0),
                (rng.uniform(0.8, 1.5), 0.0),
            ):
                at_s += pause_s
                keys.append(at_s)
                held.append(value)
            at_s += rng.uniform(0.3, 1.2)
        up = keyed(times_s, [*keys, keys[-1] + 60.0], [*held, held[-1]])
        cycle = phase_of(rng, times_s, rate_hz=rng.uniform(0.9, 1.9), unsteady=0.2)
        swing = np.sin(2 * np.pi * cycle + 0.35 * np.sin(2 * np.pi * cycle))
        arm = posture.arms[side]
        raised = np.stack(
            [
                rng.uniform(0.0, 0.35) + 0.05 * swing,
                rng.uniform(1.25, 2.1) + rng.uniform(0.05, 0.2) * swing,
                np.full_like(up, -1.5 + rng.normal(0, 0.15)),
                rng.uniform(0.9, 1.4) + rng.uniform(0.35, 0.65) * swing,
            ],
            axis=-1,
        )
        posture.arms[side] = arm + up[:, None] * (raised - arm)
        posture.spine[:, 2] += 0.07 * SIGNS[side] * up
    if rng.random() < 0.4:  # the other hand on the hip
        for side in set(SIDES) - set(chosen):
            posture.arms[side][:] = [-0.25, 0.75, 0.9, 1.75]
    place, yaw, beats = _stay(times_s)
    return Motion(posture=posture, place=place, yaw=yaw, beats_s=beats)


def jump(rng: np.random.Generator, body: Body, times_s: Floats) -> Motion:
    """Crouches, springs, flies, lands softly, straightens; now and then as a jumping jack."""
    posture = standing(rng, body, times_s)
    length_s = float(times_s[-1])
    jack = rng.random() < 0.35
    crouch = rng.uniform(0.16, 0.34) * (0.5 if jack else 1.0)
    keys, heights, arms, spread, landings = [-5.0], [0.0], [0.0], [0.0], []
    at_s = rng.uniform(-0.8, 0.4)
    while at_s < length_s + 1.0:
        high = rng.uniform(0.14, 0.34)
        rise_s = np.sqrt(2 * high / 9.81)
        for pause_s, height, arm, legs in (
            (0.0, 0.0, 0.0, 0.0),
            (rng.uniform(0.45, 0.75), -crouch, -0.7, 0.0),
            (rng.uniform(0.20, 0.30) + rise_s, high, 1.0, 1.0),
            (rise_s + rng.uniform(0.16, 0.24), -0.8 * crouch, 0.3, 0.6 if jack else 0.15),
            (rng.uniform(0.4, 0.7), 0.0, 0.0, 0.0),
        ):
            at_s += pause_s
            keys.append(at_s)
            heights.append(height)
            arms.append(arm)
            spread.append(legs)
        landings.append(at_s)
        at_s += rng.uniform(0.05, 0.6)
    keys.append(keys[-1] + 60.0)
    tall = keyed(times_s, keys, [*heights, heights[-1]])
    swing = keyed(times_s, keys, [*arms, arms[-1]])
    apart = keyed(times_s, keys, [*spread, spread[-1]]) * (0.28 if jack else 0.03)
    posture.pelvis[:, 1] += tall
    # Off the ground the feet hang below the pelvis; on it they stay where they are.
    slack = 0.012
    air = np.logaddexp(0.0, (tall - 0.02) / slack) * slack
    low = np.clip(-tall / crouch, 0.0, 1.0)
    low = low * low * (3 - 2 * low)  # no kink where the crouch begins and ends
    far = np.sqrt(swing**2 + 0.02) - np.sqrt(0.02)  # |swing|, smooth
    for side in SIDES:
        posture.ankles[side][:, 1] += air
        posture.ankles[side][:, 0] += SIGNS[side] * apart
        posture.feet_pitch[side] += 0.7 * ease(air / 0.12)
        if jack:
            posture.arms[side][:, 1] += 1.05 * (far + swing)
        else:
            posture.arms[side][:, 0] += 1.3 * swing + 0.4 * far
            posture.arms[side][:, 3] += 0.4 * far
    posture.pelvis_turn[:, 0] += 0.35 * low
    posture.spine[:, 0] += 0.35 * low
    posture.pelvis[:, 2] -= 0.28 * crouch * low
    rising = np.diff(air > 0.03, prepend=False)
    beats = times_s[rising & (air <= 0.03)]
    place, yaw, _ = _stay(times_s)
    return Motion(posture=posture, place=place, yaw=yaw, beats_s=beats)


def squat(rng: np.random.Generator, body: Body, times_s: Floats) -> Motion:
    """Sinks slowly with the arms forward, holds, and comes up quickly."""
    posture = standing(rng, body, times_s)
    length_s = float(times_s[-1])
    keys, lows, at_s = [-5.0], [0.0], rng.uniform(-1.5, 0.4)
    while at_s < length_s:
        deep = rng.uniform(0.6, 1.0)
        for pause_s, low in (
            (0.0, 0.0),
            (rng.uniform(0.95, 1.6), deep),
            (rng.uniform(0.1, 0.5), deep * rng.uniform(0.93, 1.0)),
            (rng.uniform(0.4, 0.7), 0.0),
        ):
            at_s += pause_s
            keys.append(at_s)
            lows.append(low)
        at_s += rng.uniform(0.2, 0.7)
    low = keyed(times_s, [*keys, keys[-1] + 60.0], [*lows, lows[-1]])
    wide = rng.uniform(1.0, 2.2)
    for side in SIDES:
        posture.ankles[side][:, 0] *= wide
        posture.feet_yaw[side] += 0.2 * SIGNS[side] * wide
    depth = rng.uniform(0.5, 0.72) * body.length_m("thigh") * 1.35
    posture.pelvis[:, 1] -= depth * low
    posture.pelvis[:, 2] -= 0.16 * low
    posture.pelvis_turn[:, 0] += rng.uniform(0.3, 0.55) * low
    posture.spine[:, 0] += rng.uniform(0.15, 0.4) * low
    posture.neck[:, 0] -= 0.5 * low
    style = str(rng.choice(["forward", "crossed", "hang"], p=[0.6, 0.2, 0.2]))
    for side in SIDES:
        if style == "forward":
            posture.arms[side][:, 0] += rng.uniform(1.6, 2.0) * low
        elif style == "crossed":
            posture.arms[side][:, 0] += 1.0 * low
            posture.arms[side][:, 2] += 0.9 * low
            posture.arms[side][:, 3] += 1.5 * low
    place, yaw, beats = _stay(times_s)
    return Motion(posture=posture, place=place, yaw=yaw, beats_s=beats)


def dance(rng: np.random.Generator, body: Body, times_s: Floats) -> Motion:
    """Steps from side to side and snaps from pose to pose on the beat, easing out between."""
    posture = standing(rng, body, times_s)
    length_s = float(times_s[-1])
    beat_s = rng.uniform(0.42, 0.68)
    offset_s = rng.uniform(0, beat_s)
    per_pose = int(rng.integers(1, 3))
    num_poses = int(length_s / (beat_s * per_pose)) + 4
    vocabulary = int(rng.integers(3, 6))
    pool = {
        side: np.stack(
            [rng.uniform(-0.4, 2.4, vocabulary), rng.uniform(0.1, 2.0, vocabulary),
             rng.uniform(-0.9, 0.9, vocabulary), rng.uniform(0.2, 2.2, vocabulary)], axis=-1,
        )
        for side in SIDES
    }  # fmt: skip
    choice = rng.integers(0, vocabulary, num_poses)
    snap = rng.uniform(0.35, 0.7)
    keys, order = [], []
    for number in range(num_poses):
        at_s = (number - 1) * beat_s * per_pose - offset_s
        keys += [at_s - snap * beat_s, at_s]
        order += [choice[number - 1], choice[number]]
    for side in SIDES:
        drift = 0.12 * np.stack(
            [wander(rng, times_s, period_s=1.5, size=1.0) for _ in range(4)], axis=-1
        )
        posture.arms[side] = keyed(times_s, keys, pool[side][order]) + drift
    beat = 2 * np.pi * (times_s + offset_s) / beat_s
    hips = rng.uniform(0.03, 0.09)
    step = rng.uniform(0.05, 0.2)
    lift = rng.uniform(0.04, 0.14)
    posture.pelvis[:, 1] += -0.05 + 0.022 * np.cos(beat + 0.4 * np.sin(beat))
    side_to_side = np.sin(beat / 4)
    posture.pelvis[:, 0] += hips * np.sin(beat / 2) + step * side_to_side
    posture.pelvis_turn[:, 2] += rng.uniform(0.03, 0.12) * np.sin(beat / 2)
    posture.pelvis_turn[:, 1] += rng.uniform(0.0, 0.35) * np.sin(beat / 4 + 1.0)
    posture.spine[:, 1] += rng.uniform(0.05, 0.35) * np.sin(beat / 2 + 0.6)
    posture.spine[:, 2] += rng.uniform(0.0, 0.14) * np.sin(beat / 2 + 2.0)
    posture.neck[:, 0] += rng.uniform(0.03, 0.14) * np.cos(beat)
    for number, side in enumerate(SIDES):
        raised = np.maximum(np.sin(beat / 2 + np.pi * number), 0.0) ** 2
        posture.ankles[side][:, 1] += lift * raised
        posture.ankles[side][:, 0] += step * np.sin(beat / 4 - 0.35 * (1 + number))
        posture.ankles[side][:, 2] += 0.3 * lift * raised
        posture.feet_pitch[side] += 0.5 * raised
    place, yaw, _ = _stay(times_s)
    if rng.random() < 0.35:  # turns as well
        yaw = yaw + rng.choice([-1, 1]) * rng.uniform(0.3, 0.8) * np.sin(beat / 8)
    beats = np.arange(-offset_s, length_s, beat_s)
    return Motion(posture=posture, place=place, yaw=yaw, beats_s=beats[beats > 0])


MOTIONS: dict[str, Callable[[np.random.Generator, Body, Floats], Motion]] = {
    "walk": walk,
    "wave": wave,
    "jump": jump,
    "squat": squat,
    "dance": dance,
}
