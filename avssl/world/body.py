"""A person: build, clothes and 20 named joints with exact bone lengths.

A motion gives a `Posture` (what the trunk does, where feet and hands go or how the arms turn);
`joints_of` turns it into joint positions, `figure.dress` into solids. The person's own frame: x
to the person's left, y up, z forward. Shapes: T frames. Metres and radians unless named otherwise.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import apply, rotation, soft_limit, two_bones, unit
from avssl.world.solids import Material
from avssl.world.textures import PATTERNS, colour_of

Floats = NDArray[np.float64]
SIDES = ("left", "right")
SIGNS = {"left": 1.0, "right": -1.0}

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
JOINTS = (*COCO_JOINTS, "pelvis", "neck", "head_top")
COCO_SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip

# How far joints go, degrees: (lowest, highest). Tests hold every motion to these.
LIMITS_DEG = {
    "elbow": (0.0, 150.0),
    "knee": (0.0, 150.0),
    "shoulder_flex": (-60.0, 180.0),
    "shoulder_abduct": (-25.0, 175.0),
    "neck": (-60.0, 60.0),
    "spine": (-35.0, 75.0),
}


@dataclass(frozen=True, kw_only=True)
class Body:
    """One person's build and clothes."""

    name: str
    height_m: float
    girth: float
    """Thickness of trunk and limbs against the average."""
    legs: float
    """Length of the legs against the average."""
    arms: float
    shoulders: float
    head: float
    skin: Material
    hair: Material
    shirt: Material
    sleeves: str
    """"long", "short" or "none"."""
    trousers: Material
    shorts: bool
    shoes: Material
    hair_style: str
    """"short", "long", "bun", "cap" or "bald"."""

    def length_m(self, bone: str) -> float:
        """Gives the length of a bone."""
        share = {
            "thigh": 0.245 * self.legs,
            "shank": 0.246 * self.legs,
            "ankle": 0.042,
            "hip": 0.052,
            "trunk": 0.292,
            "shoulder": 0.112 * self.shoulders,
            "upper_arm": 0.170 * self.arms,
            "forearm": 0.152 * self.arms,
            "neck": 0.050,
        }[bone]
        return share * self.height_m

    @property
    def standing_m(self) -> float:
        """Height of the pelvis when standing straight."""
        return self.length_m("thigh") + self.length_m("shank") + self.length_m("ankle")


def _cloth(rng: np.random.Generator, *, plain: float) -> Material:
    hue = rng.random()
    pattern = 0 if rng.random() < plain else int(rng.integers(1, len(PATTERNS)))
    value = rng.uniform(0.35, 0.95)
    other = rng.uniform(0.75, 1.0) if value < 0.6 else rng.uniform(0.15, 0.45)
    return Material(
        colour=colour_of(hue, rng.uniform(0.15, 0.85), value),
        second=colour_of(hue + rng.uniform(-0.5, 0.5), rng.uniform(0.0, 0.8), other),
        pattern=pattern,
        repeats_per_m=rng.uniform(1.2, 2.6),
        shine=rng.uniform(0.0, 0.12),
    )


def draw_body(rng: np.random.Generator, name: str) -> Body:
    """Draws a person."""
    tan = rng.random()
    skin = colour_of(rng.uniform(0.045, 0.075), 0.28 + 0.37 * tan, 0.98 - 0.56 * tan)
    hair_value = rng.choice([0.1, 0.2, 0.35, 0.55, 0.8], p=[0.3, 0.3, 0.2, 0.1, 0.1])
    dyed = rng.random() < 0.15
    hair_hue = rng.random() if dyed else rng.uniform(0.05, 0.11)
    style = str(rng.choice(["short", "long", "bun", "cap", "bald"], p=[0.4, 0.2, 0.15, 0.15, 0.1]))
    hair = Material(colour=colour_of(hair_hue, 0.55, float(hair_value)), shine=0.25)
    if style == "cap":
        hair = Material(colour=colour_of(rng.random(), 0.8, rng.uniform(0.4, 0.95)), shine=0.05)
    return Body(
        name=name,
        height_m=rng.uniform(1.52, 1.94),
        girth=float(np.exp(rng.normal(0.0, 0.13))),
        legs=rng.uniform(0.95, 1.05),
        arms=rng.uniform(0.95, 1.06),
        shoulders=rng.uniform(0.9, 1.12),
        head=rng.uniform(0.95, 1.1),
        skin=Material(colour=skin, shine=0.18),
        hair=hair,
        shirt=_cloth(rng, plain=0.35),
        sleeves=str(rng.choice(["long", "short", "none"], p=[0.45, 0.4, 0.15])),
        trousers=_cloth(rng, plain=0.65),
        shorts=bool(rng.random() < 0.3),
        shoes=Material(
            colour=colour_of(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.1, 0.95)), shine=0.3
        ),
        hair_style=style,
    )


@dataclass(kw_only=True)
class Posture:
    """What a motion asks of the body. Angles [T] in radians; places in the person's own frame."""

    pelvis: Floats  # [T, 3]
    ankles: dict[str, Floats]  # side → [T, 3]
    feet_yaw: dict[str, Floats]
    feet_pitch: dict[str, Floats]  # > 0: toes down
    pelvis_turn: Floats  # [T, 3]: lean forward, yaw, roll
    spine: Floats  # [T, 3]: chest against pelvis: lean forward, yaw, roll
    neck: Floats  # [T, 3]: head against chest: nod, yaw, roll
    arms: dict[str, Floats]  # side → [T, 4]: flexion, abduction, twist, elbow
    hands: dict[str, Floats] = field(default_factory=dict)
    """side → [T, 3]: where the wrist goes; takes the place of `arms`."""
    elbows_out: dict[str, Floats] = field(default_factory=dict)
    """side → [3] or [T, 3]: which way the elbow points when `hands` is given."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Where a person is: world positions and the frames of the rigid parts."""

    joints: dict[str, Floats]  # name → [T, 3]
    pelvis: Floats  # [T, 3, 3]
    chest: Floats
    head: Floats
    feet: dict[str, Floats]
    facing: Floats  # [T, 3, 3], the person's frame in the world


def _trunk_turn(angles: Floats) -> Floats:
    return rotation("y", angles[:, 1]) @ rotation("z", angles[:, 2]) @ rotation("x", angles[:, 0])


def _limited(angle: Floats, name: str, *, margin_deg: float = 8.0) -> Floats:
    low, high = np.deg2rad(LIMITS_DEG[name])
    return soft_limit(angle, low, high, margin=np.deg2rad(margin_deg))


def joints_of(body: Body, posture: Posture, *, place: Floats, yaw: Floats) -> Skeleton:
    """Poses a body. `place` [T, 3] and `yaw` [T] put the person's own frame into the world."""
    length = body.length_m
    own: dict[str, Floats] = {"pelvis": posture.pelvis}
    pelvis = _trunk_turn(posture.pelvis_turn)
    spine = posture.spine.copy()
    spine[:, 0] = _limited(spine[:, 0], "spine")
    chest = pelvis @ _trunk_turn(spine)
    neck = posture.neck.copy()
    neck[:, 0] = _limited(neck[:, 0], "neck")
    head = chest @ _trunk_turn(neck)

    # The trunk bends half at the pelvis and half at the chest: two equal pieces.
    half = 0.5 * length("trunk")
    waist = own["pelvis"] + apply(pelvis, (0.0, half, 0.0))
    own["neck"] = waist + apply(chest, (0.0, half, 0.0))
    own["_waist"] = waist
    skull = own["neck"] + apply(head, (0.0, length("neck") + 0.052 * body.height_m * body.head, 0))
    size = 0.0625 * body.height_m * body.head
    own["_skull"] = skull
    for name, at in (
        ("nose", (0.0, -0.15, 1.02)),
        ("left_eye", (0.38, 0.12, 0.80)),
        ("right_eye", (-0.38, 0.12, 0.80)),
        ("left_ear", (0.80, 0.0, 0.05)),
        ("right_ear", (-0.80, 0.0, 0.05)),
        ("head_top", (0.0, 1.12, 0.0)),
    ):
        own[name] = skull + size * apply(head, at)

    feet = {}
    for side in SIDES:
        sign = SIGNS[side]
        hip = own["pelvis"] + apply(pelvis, (sign * length("hip"), 0.0, 0.0))
        yaw_foot = posture.feet_yaw[side]
        outward = np.stack([np.sin(yaw_foot) + 0.12 * sign, 0 * yaw_foot, np.cos(yaw_foot)], -1)
        knee, ankle = two_bones(
            hip,
            posture.ankles[side],
            unit(outward + apply(pelvis, (0.0, 0.0, 0.5))),
            first_m=length("thigh"),
            second_m=length("shank"),
        )
        own[f"{side}_hip"], own[f"{side}_knee"], own[f"{side}_ankle"] = hip, knee, ankle
        feet[side] = rotation("y", yaw_foot) @ rotation("x", posture.feet_pitch[side])

        shoulder = own["neck"] + apply(
            chest, (sign * length("shoulder"), -0.022 * body.height_m, 0.0)
        )
        own[f"{side}_shoulder"] = shoulder
        if side in posture.hands:
            pole = np.broadcast_to(posture.elbows_out[side], shoulder.shape)
            elbow, wrist = two_bones(
                shoulder,
                posture.hands[side],
                pole,
                first_m=length("upper_arm"),
                second_m=length("forearm"),
            )
        else:
            flex, abduct, twist, bend = posture.arms[side].T
            upper = (
                chest
                @ rotation("z", sign * _limited(abduct, "shoulder_abduct"))
                @ rotation("x", -_limited(flex, "shoulder_flex"))
                @ rotation("y", sign * twist)
            )
            elbow = shoulder + apply(upper, (0.0, -length("upper_arm"), 0.0))
            lower = upper @ rotation("x", -_limited(bend, "elbow"))
            wrist = elbow + apply(lower, (0.0, -length("forearm"), 0.0))
        own[f"{side}_elbow"], own[f"{side}_wrist"] = elbow, wrist

    facing = rotation("y", yaw)
    return Skeleton(
        joints={name: place + apply(facing, at) for name, at in own.items()},
        pelvis=facing @ pelvis,
        chest=facing @ chest,
        head=facing @ head,
        feet={side: facing @ turn for side, turn in feet.items()},
        facing=facing,
    )
