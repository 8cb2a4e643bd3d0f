"""Bodies hold together: lengths, limits, smoothness, planted feet, sticks that arrive in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.world.body import LIMITS_DEG, SIDES, draw_body, joints_of
from avssl.world.clip import pool_thing
from avssl.world.geometry import bump, keyed, two_bones
from avssl.world.motion import MOTIONS
from avssl.world.playing import play_thing
from avssl.world.things import PLAYED, draw_rhythm, stick_height

RATE_HZ = 100
TIMES_S = np.arange(6 * RATE_HZ) / RATE_HZ
BONES = [
    (f"{side}_{a}", f"{side}_{b}", bone)
    for side in SIDES
    for a, b, bone in (
        ("hip", "knee", "thigh"),
        ("knee", "ankle", "shank"),
        ("shoulder", "elbow", "upper_arm"),
        ("elbow", "wrist", "forearm"),
    )
]


def posed(kind: str, seed: int):
    rng = np.random.default_rng(seed)
    body = draw_body(rng, "body")
    if kind in MOTIONS:
        motion = MOTIONS[kind](rng, body, TIMES_S)
    else:
        thing = pool_thing(seed, "train", kind, 0)
        notes = draw_rhythm(rng, kind, duration_s=6.0)
        motion = play_thing(rng, body, thing, notes, TIMES_S).motion
    return body, motion, joints_of(body, motion.posture, place=motion.place, yaw=motion.yaw)


def angle_deg(a, b, c):
    """How far the joint b is bent: 0 where a, b, c lie on a line."""
    first, second = b - a, c - b
    cos = np.sum(first * second, -1) / np.linalg.norm(first, axis=-1)
    return np.degrees(np.arccos(np.clip(cos / np.linalg.norm(second, axis=-1), -1, 1)))


@pytest.mark.parametrize("kind", [*MOTIONS, *PLAYED])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_body_keeps_its_lengths_its_limits_and_moves_smoothly(kind: str, seed: int):
    body, _, skeleton = posed(kind, seed)
    joints = skeleton.joints
    for a, b, bone in BONES:
        length = np.linalg.norm(joints[a] - joints[b], axis=-1)
        np.testing.assert_allclose(length, body.length_m(bone), rtol=1e-9)
    for side in SIDES:
        hinges = {"elbow": ("shoulder", "elbow", "wrist"), "knee": ("hip", "knee", "ankle")}
        for name, places in hinges.items():
            bent = angle_deg(*(joints[f"{side}_{place}"] for place in places))
            assert bent.max() <= LIMITS_DEG[name][1] + 0.1, (name, bent.max())
        # A knee bends forward: it lies in front of the line from hip to ankle.
        hip, knee, ankle = (joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        along = (ankle - hip) / np.linalg.norm(ankle - hip, axis=-1, keepdims=True)
        off = knee - hip - along * np.sum((knee - hip) * along, -1, keepdims=True)
        forward = np.sum(off * skeleton.facing[..., 2], axis=-1)
        assert forward.min() > -0.05
    for name, path in joints.items():
        speed = np.linalg.norm(np.diff(path, axis=0), axis=-1) * RATE_HZ
        pull = np.linalg.norm(np.diff(path, 2, axis=0), axis=-1) * RATE_HZ**2
        assert speed.max() < 9.0, (name, speed.max())  # a fast arm: 9 m/s
        assert pull.max() < 260.0, (name, pull.max())
    lowest = min(joints[f"{side}_ankle"][:, 1].min() for side in SIDES)
    assert lowest > 0.5 * body.length_m("ankle")


@pytest.mark.parametrize("seed", range(4))
def test_a_walker_does_not_slip(seed: int):
    _, motion, skeleton = posed("walk", seed)
    if not np.any(motion.place):  # a treadmill's belt moves
        return
    for side in SIDES:
        ankle = skeleton.joints[f"{side}_ankle"]
        low = ankle[:, 1] < ankle[:, 1].min() + 0.004
        both = low[1:] & low[:-1]
        slip = np.linalg.norm(np.diff(ankle[:, [0, 2]], axis=0), axis=-1)[both] * RATE_HZ
        assert both.sum() > 20
        assert np.median(slip) < 0.05  # metres per second


def test_movement_is_not_the_same_backwards():
    # The way out of a squat is faster than the way in.
    shares = []
    for seed in range(4):
        _, _, skeleton = posed("squat", seed)
        speed = np.diff(skeleton.joints["pelvis"][:, 1]) * RATE_HZ
        shares.append(speed.max() / -speed.min())
    assert min(shares) > 1.1


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.2, 0.5), st.floats(0.2, 0.5),
    st.tuples(*[st.floats(-1, 1)] * 3), st.tuples(*[st.floats(-1, 1)] * 3),
)  # fmt: skip
def test_two_bones_keep_their_lengths_and_reach_what_is_in_reach(first, second, target, pole):
    goal, out = np.array([target]), np.array([pole])
    if np.linalg.norm(goal) < 0.05 or np.linalg.norm(np.cross(goal, out)) < 0.02:
        return
    middle, end = two_bones(np.zeros((1, 3)), goal, out, first_m=first, second_m=second)
    assert np.linalg.norm(middle) == pytest.approx(first, rel=1e-9)
    assert np.linalg.norm(end - middle) == pytest.approx(second, rel=1e-9)
    away = np.linalg.norm(goal)
    if 0.75 * (first + second) < away < 0.94 * (first + second):
        np.testing.assert_allclose(end, goal, atol=1e-9)


def test_a_stick_is_down_exactly_at_its_notes_and_comes_down_faster_than_it_goes_up():
    rng = np.random.default_rng(1)
    notes = draw_rhythm(rng, "drum", duration_s=6.0)
    at = np.array([note.time_s for note in notes])
    assert np.abs(stick_height(notes, at)).max() < 1e-9
    between = stick_height(notes, (at[:-1] + at[1:]) / 2)
    assert between.min() > 0.1
    u = np.linspace(0, 1, 1001)
    assert u[np.argmax(bump(u, lean=1.7))] > 0.6


def test_keyed_goes_through_its_keys():
    keys, values = [0.0, 1.0, 2.5], [[0.0, 1.0], [2.0, -1.0], [1.0, 0.0]]
    np.testing.assert_allclose(keyed(np.array(keys), keys, values), values)
