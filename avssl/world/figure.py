"""The solids of a person: trunk, head, limbs and clothes around the joints of a skeleton.

Shapes: T frames.
"""

import numpy as np
from numpy.typing import NDArray

from avssl.world.body import SIDES, Body, Skeleton
from avssl.world.geometry import apply, bone_frames
from avssl.world.solids import ELLIPSOID, Material, SolidBuilder

Floats = NDArray[np.float64]


def _add_head(builder: SolidBuilder, body: Body, skeleton: Skeleton) -> None:
    skull, head = skeleton.joints["_skull"], skeleton.head
    size = 0.0625 * body.height_m * body.head

    def part(half: tuple[float, ...], at: tuple[float, ...], material: Material) -> None:
        builder.add(
            ELLIPSOID,
            tuple(size * value for value in half),
            skull + size * apply(head, at),
            head,
            material,
            casts=half[1] > 0.8,
        )

    part((0.80, 1.12, 0.92), (0.0, 0.0, 0.0), body.skin)
    part((0.16, 0.22, 0.20), (0.0, -0.12, 0.88), body.skin)
    white = Material(colour=(0.85, 0.85, 0.85), shine=0.5)
    dark = Material(colour=(0.02, 0.02, 0.03), shine=0.6)
    for sign in (1.0, -1.0):
        part((0.17, 0.12, 0.12), (0.36 * sign, 0.12, 0.76), white)
        part((0.09, 0.10, 0.09), (0.36 * sign, 0.12, 0.83), dark)
        part((0.10, 0.24, 0.16), (0.80 * sign, -0.02, 0.0), body.skin)
    part((0.30, 0.07, 0.12), (0.0, -0.52, 0.72), Material(colour=(0.35, 0.08, 0.07)))
    style = body.hair_style
    if style != "bald":
        part((0.86, 0.95, 0.96), (0.0, 0.30, -0.14), body.hair)
    if style == "cap":
        part((0.62, 0.10, 0.62), (0.0, 0.48, 0.78), body.hair)
    elif style == "long":
        part((0.84, 1.35, 0.50), (0.0, -0.45, -0.52), body.hair)
    elif style == "bun":
        part((0.42, 0.42, 0.42), (0.0, 0.95, -0.75), body.hair)


def dress(builder: SolidBuilder, body: Body, skeleton: Skeleton) -> None:
    """Adds the person's solids under the builder's present owner."""
    joints, girth = skeleton.joints, body.girth * body.height_m / 1.75
    across = skeleton.chest[..., 0]

    def blob(half: tuple[float, float, float], at: Floats, turn: Floats, what: Material) -> None:
        builder.add(ELLIPSOID, half, at, turn, what)

    # Trunk: hips, belly and chest overlap so that bending shows no gap.
    wide = body.length_m("shoulder") * 0.80
    trunk = body.length_m("trunk")
    pelvis, waist, neck = joints["pelvis"], joints["_waist"], joints["neck"]
    blob(
        (0.155 * girth, 0.115 * girth, 0.118 * girth),
        pelvis + apply(skeleton.pelvis, (0.0, 0.015, 0.0)),
        skeleton.pelvis,
        body.trousers,
    )
    blob(
        (0.138 * girth, 0.42 * trunk, 0.108 * girth),
        waist + apply(skeleton.chest, (0.0, -0.04 * trunk, 0.0)),
        skeleton.chest,
        body.shirt,
    )
    blob(
        (max(wide, 0.13 * girth), 0.38 * trunk, 0.118 * girth),
        waist + apply(skeleton.chest, (0.0, 0.27 * trunk, 0.0)),
        skeleton.chest,
        body.shirt,
    )
    builder.limb(
        neck + apply(skeleton.chest, (0.0, -0.12 * trunk, 0.0)),
        neck + apply(skeleton.chest, (0.0, 0.28 * trunk, 0.0)),
        across,
        (0.058 * girth, 0.050 * girth),
        body.skin,
        ends=(False, True),
    )
    _add_head(builder, body, skeleton)

    for side in SIDES:
        arm = body.shirt if body.sleeves != "none" else body.skin
        forearm = body.shirt if body.sleeves == "long" else body.skin
        leg, shank = body.trousers, body.skin if body.shorts else body.trousers
        hip, knee, ankle = (joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        shoulder, elbow, wrist = (
            joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist")
        )
        thick = {
            "thigh": 0.083, "knee": 0.056, "ankle": 0.040, "shoulder": 0.056, "elbow": 0.041,
            "wrist": 0.031,
        }  # fmt: skip
        thick = {name: value * girth for name, value in thick.items()}
        hip_side = skeleton.pelvis[..., 0]
        builder.limb(hip, knee, hip_side, (thick["thigh"], thick["knee"]), leg)
        builder.limb(
            knee, ankle, hip_side, (thick["knee"] * 0.98, thick["ankle"]), shank, ends=(True, True)
        )
        calf = knee + 0.30 * (ankle - knee)
        shank_turn = bone_frames(knee, ankle, hip_side)
        forward = skeleton.facing[..., 2]
        blob(
            (0.055 * girth, 0.30 * body.length_m("shank"), 0.056 * girth),
            calf - 0.016 * girth * forward,
            shank_turn,
            shank,
        )
        foot = skeleton.feet[side]
        long_m = 0.075 * body.height_m
        blob(
            (0.046 * girth, 0.042, long_m),
            ankle + apply(foot, (0.0, -0.6 * body.length_m("ankle"), 0.52 * long_m)),
            foot,
            body.shoes,
        )
        # The slope from the neck, and the muscle over the shoulder.
        collar = neck + apply(skeleton.chest, (0.0, -0.10 * trunk, 0.0))
        builder.limb(
            collar,
            shoulder,
            skeleton.chest[..., 1],
            (0.072 * girth, thick["shoulder"] * 1.02),
            body.shirt,
            ends=(True, True),
        )
        builder.limb(shoulder, elbow, across, (thick["shoulder"], thick["elbow"]), arm)
        builder.limb(elbow, wrist, across, (thick["elbow"] * 0.97, thick["wrist"]), forearm)
        hand_turn = bone_frames(elbow, wrist, across)
        blob(
            (0.036 * girth, 0.062 * body.height_m / 1.75, 0.026 * girth),
            wrist + 0.055 * body.height_m / 1.75 * hand_turn[..., 1],
            hand_turn,
            body.skin,
        )
