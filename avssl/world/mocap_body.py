"""The figure that motion-captured movements move: bones, clothes, and meshes to draw it with.

The skeleton is that of pybullet's humanoid (`humanoid.urdf` at a scale of 0.25); a figure may have
longer legs, narrower shoulders and so on. Axes of every bone when standing: x forward, y up, z to
the figure's right. Metres. Joints are where bones turn, which is what `JOINTS` names.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.geometry import apply
from avssl.world.mocap_motion import TURNS, Motion, matrices, multiply

Floats = NDArray[np.float64]

JOINTS = (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "pelvis",
    "chest",
    "neck",
    "head",
    "head_top",
)
"""COCO's names where they mean the same. `chest` is where the trunk bends, `head` the middle of
the head; eyes, ears and nose are not known."""
EDGES = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "pelvis"),
    ("right_hip", "pelvis"),
    ("pelvis", "chest"),
    ("chest", "neck"),
    ("neck", "head"),
    ("head", "head_top"),
    ("left_shoulder", "neck"),
    ("right_shoulder", "neck"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
)
_HEAD_M, _TOP_M, _SOLE_M = 0.172, 0.275, 0.075

# Each bone's parent and where it starts in the parent's axes (humanoid.urdf, times 0.25). The
# letters say which proportion stretches it.
_BONES: dict[str, tuple[str, tuple[float, float, float], str]] = {
    "chest": ("root", (0.0, 0.236151, 0.0), "trunk"),
    "neck": ("chest", (0.0, 0.223894, 0.0), "trunk"),
    "right_hip": ("root", (0.0, 0.0, 0.084887), "hips"),
    "right_knee": ("right_hip", (0.0, -0.421546, 0.0), "legs"),
    "right_ankle": ("right_knee", (0.0, -0.409870, 0.0), "legs"),
    "right_shoulder": ("chest", (-0.024050, 0.243500, 0.183110), "shoulders"),
    "right_elbow": ("right_shoulder", (0.0, -0.274788, 0.0), "arms"),
    "right_wrist": ("right_elbow", (0.0, -0.258947, 0.0), "arms"),
    "left_hip": ("root", (0.0, 0.0, -0.084887), "hips"),
    "left_knee": ("left_hip", (0.0, -0.421546, 0.0), "legs"),
    "left_ankle": ("left_knee", (0.0, -0.409870, 0.0), "legs"),
    "left_shoulder": ("chest", (-0.024050, 0.243500, -0.183110), "shoulders"),
    "left_elbow": ("left_shoulder", (0.0, -0.274788, 0.0), "arms"),
    "left_wrist": ("left_elbow", (0.0, -0.258947, 0.0), "arms"),
}
SKIN_M = {"hip": 0.15, "shoulder": 0.11, "pelvis": 0.16, "chest": 0.16, "neck": 0.16, "head": 0.15}
"""How deep a joint lies under what covers it, by the last part of its name; else 0.09."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A body and what it wears. Proportions are shares of pybullet's humanoid."""

    name: str
    size: float = 1.0
    legs: float = 1.0
    arms: float = 1.0
    trunk: float = 1.0
    shoulders: float = 1.0
    hips: float = 1.0
    girth: float = 1.0
    sleeves: str = "long"  # "long", "short"
    trousers: str = "long"  # "long", "short"
    bald: bool = False

    @property
    def height_m(self) -> float:
        """From the soles to the top of the head."""
        legs, trunk = 0.421546 + 0.409870, 0.236151 + 0.223894
        return self.size * (legs * self.legs + trunk * self.trunk + _TOP_M + _SOLE_M)

    def offset_m(self, bone: str) -> Floats:
        """Where a bone starts in its parent's axes, [3]."""
        _, start, stretch = _BONES[bone]
        scale = np.full(3, getattr(self, stretch))
        if stretch == "shoulders":
            scale = np.array([1.0, self.trunk, self.shoulders])
        return np.asarray(start) * scale * self.size


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One part of a figure: a mesh that moves with a bone."""

    bone: str
    cloth: str
    """"shirt", "trousers", "skin", "hair" or "shoes"."""
    vertices: Floats  # [n, 3] in the bone's axes
    normals: Floats  # [n, 3]
    uvs: Floats  # [n, 2]
    triangles: NDArray[np.int64]  # [m, 3]


def draw_figure(rng: np.random.Generator, name: str) -> Figure:
    """Draws somebody: 1.45 to 1.9 m tall, of any build."""
    return Figure(
        name=name,
        size=rng.uniform(0.9, 1.12),
        legs=rng.uniform(0.93, 1.07),
        arms=rng.uniform(0.92, 1.08),
        trunk=rng.uniform(0.94, 1.08),
        shoulders=rng.uniform(0.86, 1.1),
        hips=rng.uniform(0.9, 1.2),
        girth=rng.uniform(0.82, 1.28),
        sleeves=str(rng.choice(["long", "short"])),
        trousers=str(rng.choice(["long", "long", "short"])),
        bald=bool(rng.random() < 0.15),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """Where every bone is, by name, for T frames."""

    places: dict[str, Floats]  # [T, 3]
    turns: dict[str, Floats]  # [T, 4], w, x, y, z
    rotations: dict[str, Floats]  # [T, 3, 3], bone → world


def pose(figure: Figure, motion: Motion) -> Posed:
    """Moves the figure; its root stands where the movement says, times the length of its legs."""
    places = {"root": motion.root * figure.size * figure.legs}
    turns = {"root": motion.turns[:, 0]}
    rotations = {"root": matrices(turns["root"])}
    for bone, (parent, _, _) in _BONES.items():
        places[bone] = places[parent] + apply(rotations[parent], figure.offset_m(bone))
        turns[bone] = turns[parent]
        if bone in TURNS:
            turns[bone] = multiply(turns[parent], motion.turns[:, TURNS.index(bone)])
        rotations[bone] = matrices(turns[bone])
    return Posed(places=places, turns=turns, rotations=rotations)


def joints_of(figure: Figure, posed: Posed) -> Floats:
    """Gives the joints [T, len(JOINTS), 3] in the world."""
    points = {name: posed.places[name] for name in JOINTS if name in posed.places}
    points["pelvis"] = posed.places["root"]
    for name, up_m in (("head", _HEAD_M), ("head_top", _TOP_M)):
        above = np.array([0.0, up_m * figure.size, 0.0])
        points[name] = posed.places["neck"] + apply(posed.rotations["neck"], above)
    return np.stack([points[name] for name in JOINTS], axis=1)


def lathe(
    profile: Floats, *, squash: tuple[float, float] = (1.0, 1.0), num_around: int = 14
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Turns a profile [n, 2] of (height y, radius), from the top down, about the y axis.

    Args:
        profile: metres.
        squash: times the radius along x and z.
        num_around: corners of the round.

    Returns:
        Vertices, normals [v, 3], texture coordinates [v, 2] (metres of cloth), triangles [m, 3].
    """
    angle = np.linspace(0, 2 * np.pi, num_around + 1)
    cos, sin = np.cos(angle), np.sin(angle)
    y, radius = profile.T
    slope = np.gradient(profile, axis=0)
    length = np.maximum(np.linalg.norm(slope, axis=1), 1e-9)
    outward, upward = -slope[:, 0] / length, slope[:, 1] / length  # the profile goes down: dy < 0
    vertices = np.stack(
        [
            radius[:, None] * cos * squash[0],
            np.broadcast_to(y[:, None], (len(y), len(angle))),
            radius[:, None] * sin * squash[1],
        ],
        axis=-1,
    )
    normals = np.stack(
        [
            outward[:, None] * cos / squash[0],
            np.broadcast_to(upward[:, None], (len(y), len(angle))),
            outward[:, None] * sin / squash[1],
        ],
        axis=-1,
    )
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    down = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    around = angle / (2 * np.pi) * np.round(max(2 * np.pi * radius.max() / 0.25, 1))
    uvs = np.stack(np.broadcast_arrays(around, (down / 0.25)[:, None]), axis=-1)
    row, column = np.mgrid[0 : len(y) - 1, 0:num_around]
    a = row * (num_around + 1) + column
    b = a + num_around + 1
    triangles = np.stack([a, a + 1, b, a + 1, b + 1, b], axis=-1).reshape(-1, 3)
    return vertices.reshape(-1, 3), normals.reshape(-1, 3), uvs.reshape(-1, 2), triangles


def _limb(length_m: float, top_m: float, middle_m: float, end_m: float) -> Floats:
    """A profile from a round top at y = 0 down to a round end at -length."""
    bend = np.linspace(np.pi / 2, 0, 5)
    upper = np.stack([top_m * np.sin(bend), top_m * np.cos(bend)], axis=-1)
    inner = np.array([[-0.4 * length_m, middle_m]])
    lower = np.stack([-length_m - end_m * np.sin(bend), end_m * np.cos(bend)], axis=-1)[::-1]
    return np.concatenate([upper, inner, lower])


def _ball(centre: tuple[float, float, float], half: tuple[float, float, float]) -> tuple:
    bend = np.linspace(np.pi / 2, -np.pi / 2, 9)
    profile = np.stack([half[1] * np.sin(bend), half[1] * np.cos(bend)], axis=-1)
    vertices, normals, uvs, triangles = lathe(
        profile, squash=(half[0] / half[1], half[2] / half[1])
    )
    return vertices + centre, normals, uvs, triangles


def pieces_of(figure: Figure) -> list[Piece]:
    """Gives the parts of a figure."""
    g, s = figure.girth * figure.size, figure.size
    thick = np.sqrt(figure.girth) * s
    found: list[Piece] = []

    def add(bone: str, cloth: str, mesh: tuple) -> None:
        vertices, normals, uvs, triangles = mesh
        found.append(
            Piece(
                bone=bone,
                cloth=cloth,
                vertices=vertices,
                normals=normals,
                uvs=uvs,
                triangles=triangles,
            )
        )

    hips_m = 0.085 * figure.hips * s
    waist_m = figure.offset_m("chest")[1]
    width = (hips_m + 0.075 * g) / (0.115 * g)
    trunk = np.array(
        [
            [waist_m + 0.03 * s, 0.02 * g],
            [waist_m, 0.098 * g],
            [0.5 * waist_m, 0.105 * g],
            [0.02, 0.115 * g],
            [-0.06 * s, 0.10 * g],
            [-0.10 * s, 0.03 * g],
        ]
    )
    cut = 0.55 * waist_m  # the shirt's hem
    above = trunk[trunk[:, 0] > cut]
    hem = np.array([[cut, 0.107 * g]])
    add("root", "shirt", lathe(np.concatenate([above, hem]), squash=(0.95, width)))
    below = trunk[trunk[:, 0] < cut]
    add("root", "trousers", lathe(np.concatenate([hem * [1, 0.99], below]), squash=(0.95, width)))

    high = figure.offset_m("right_shoulder")[1]
    broad = figure.offset_m("right_shoulder")[2] / (0.125 * s)
    ribs = np.array(
        [
            [high + 0.075 * s, 0.03 * s],
            [high + 0.055 * s, 0.075 * s],
            [high + 0.02 * s, 0.112 * s],
            [0.75 * high, 0.122 * g],
            [0.35 * high, 0.115 * g],
            [0.0, 0.10 * g],
            [-0.05 * s, 0.09 * g],
            [-0.08 * s, 0.03 * g],
        ]
    )
    vertices, normals, uvs, triangles = lathe(ribs, squash=(0.92, broad))
    narrow = np.interp(vertices[:, 1], [-0.05 * s, high], [width / broad, 1.0])
    vertices[:, 2] *= narrow
    vertices[:, 0] -= 0.012 * s
    add("chest", "shirt", (vertices, normals, uvs, triangles))
    add("neck", "skin", lathe(np.array([[0.12, 0.05], [0.0, 0.055], [-0.05, 0.06]]) * thick))
    add("neck", "skin", _ball((0.012 * s, 0.172 * s, 0.0), (0.092 * s, 0.115 * s, 0.08 * s)))
    add("neck", "skin", _ball((0.105 * s, 0.16 * s, 0.0), (0.022 * s, 0.022 * s, 0.014 * s)))
    if not figure.bald:
        add("neck", "hair", _ball((-0.018 * s, 0.195 * s, 0.0), (0.09 * s, 0.1 * s, 0.09 * s)))
    for side in ("right", "left"):
        upper, lower = -figure.offset_m(f"{side}_knee")[1], -figure.offset_m(f"{side}_ankle")[1]
        shin = "trousers" if figure.trousers == "long" else "skin"
        add(f"{side}_hip", "trousers", lathe(_limb(upper, 0.085 * g, 0.078 * g, 0.056 * g)))
        add(f"{side}_knee", shin, lathe(_limb(lower, 0.055 * g, 0.054 * g, 0.036 * thick)))
        foot = _ball((0.05 * s, -0.03 * s, 0.0), (0.13 * s, 0.045 * s, 0.045 * s))
        add(f"{side}_ankle", "shoes", foot)
        upper, lower = -figure.offset_m(f"{side}_elbow")[1], -figure.offset_m(f"{side}_wrist")[1]
        fore = "shirt" if figure.sleeves == "long" else "skin"
        add(f"{side}_shoulder", "shirt", lathe(_limb(upper, 0.058 * g, 0.046 * g, 0.038 * g)))
        add(f"{side}_elbow", fore, lathe(_limb(lower, 0.039 * g, 0.037 * g, 0.027 * thick)))
        hand = _ball((0.0, -0.06 * s, 0.0), (0.038 * s, 0.075 * s, 0.02 * s))
        add(f"{side}_wrist", "skin", hand)
    return found


def on_the_floor(pieces: list[Piece], posed: Posed, motion: Motion) -> Posed:
    """Lifts or lowers the figure so that its lowest points lie on the floor, y = 0.

    Captured heights wander by up to 15 cm within a movement: what is taken off is the lowest point
    within 0.6 s, smoothed, so leaps stay leaps. In frames made up to join two captured ones the
    lowest point goes evenly between those.
    """
    heights = [
        (piece.vertices @ posed.rotations[piece.bone][:, 1].T).min(axis=0)
        + posed.places[piece.bone][:, 1]
        for piece in pieces
    ]
    lowest = np.min(heights, axis=0)
    captured = np.flatnonzero(~motion.joining)
    wanted = lowest
    if len(captured):
        wanted = np.interp(np.arange(len(lowest)), captured, lowest[captured])
    rate_hz = (len(lowest) - 1) / max(float(np.ptp(motion.times_s)), 1e-9)
    reach = round(0.6 * rate_hz)
    padded = np.pad(wanted, reach, mode="edge")
    level = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.2 * rate_hz)) ** 2)
    level = np.convolve(np.pad(level, reach, mode="edge"), weights / weights.sum(), mode="valid")
    lift = (wanted - lowest - level)[:, None] * [0.0, 1.0, 0.0]
    places = {bone: place + lift for bone, place in posed.places.items()}
    return Posed(places=places, turns=posed.turns, rotations=posed.rotations)
