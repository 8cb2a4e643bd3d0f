"""What happens in one clip: who, where, which things, which of them sounds, how it is filmed.

A clip is a pure function of its `ClipSpec`. Bodies, places, things and textures come from pools
that belong to one split, so nothing that is seen or heard in training returns in the test.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.world.body import Body, Skeleton, draw_body, joints_of
from avssl.world.camera import MOVES, Camera, plan_camera
from avssl.world.falling import throw_balls
from avssl.world.figure import dress
from avssl.world.geometry import rotation
from avssl.world.leaks import check_leaks
from avssl.world.motion import MOTIONS
from avssl.world.playing import play_thing
from avssl.world.scene import Scene, add_distractor, add_furniture, draw_scene
from avssl.world.shapes import Standing, add_thing
from avssl.world.solids import BOX, CONE, Material, SolidBuilder, Solids
from avssl.world.synth import Note, Voice, draw_voice
from avssl.world.textures import colour_of
from avssl.world.themes import THEMES
from avssl.world.things import ALONE, PLAYED, Thing, draw_rhythm, draw_thing

Floats = NDArray[np.float64]
SPLITS = ("train", "validation", "test")
POOL_SIZES = {"train": 240, "validation": 80, "test": 80}
"""How many bodies, places and things of each kind a split has."""
ACTIONS = tuple(MOTIONS)
_STREAMS = ("clip", "body", "scene", "thing", "voice", "sound", "leak")


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """Everything that a clip depends on."""

    seed: int
    split: str
    index: int
    """Number of the clip in its split."""
    short_side_px: int = 128
    fps: int = 25
    duration_s: float = 7.0
    """Clips are up to a seventh shorter or longer."""
    theme: str = "people"
    """What clips are about: a name in `themes.THEMES`."""
    leaks: tuple[str, ...] = ()
    """What is planted in them: names in `leaks.LEAKS`."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"split {self.split!r}: must be one of {', '.join(SPLITS)}")
        if not 64 <= self.short_side_px <= 1080 or self.short_side_px % 2:
            raise InputError(f"short side {self.short_side_px}: must be even, 64 to 1080 pixels")
        if not 5 <= self.fps <= 120:
            raise InputError(f"fps {self.fps}: must be 5 to 120")
        if not 1.0 <= self.duration_s <= 60.0:
            raise InputError(f"duration {self.duration_s} s: must be 1 to 60 seconds")
        if self.theme not in THEMES:
            raise InputError(f"theme {self.theme!r}: must be one of {', '.join(THEMES)}")
        check_leaks(self.leaks)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height, 4 to 3."""
        return 2 * round(self.short_side_px * 2 / 3), self.short_side_px

    @property
    def clip_id(self) -> str:
        """Name of the clip's files, without suffix."""
        return f"{self.split}_{self.index:05d}"


def rng_of(seed: int, split: str, stream: str, *numbers: int) -> np.random.Generator:
    """Gives the generator of one stream of one split; streams never share numbers."""
    key = (SPLITS.index(split), _STREAMS.index(stream), *numbers)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a clip."""

    body: Body
    action: str
    """A motion's name or "play"."""
    skeleton: Skeleton
    owner: int


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A thing in a clip."""

    thing: Thing
    owner: int
    notes: tuple[Note, ...]
    """When it sounds; empty where it is silent."""
    played: bool
    """Whether a person plays it."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A clip before it is rendered."""

    spec: ClipSpec
    times_s: Floats
    scene: Scene
    camera: Camera
    camera_move: str
    solids: Solids
    people: tuple[Person, ...]
    things: tuple[Placed, ...]
    steps: tuple[Note, ...]
    """Footsteps of the first person, when those are what sounds."""
    step_voice: Voice
    distractors: tuple[str, ...]
    sounding: int
    """Owner number of what sounds."""


@functools.lru_cache(maxsize=4)
def _scene(seed: int, split: str, number: int, px_per_m: float) -> Scene:
    rng = rng_of(seed, split, "scene", number)
    return draw_scene(rng, f"{split}-scene-{number:03d}", px_per_m=px_per_m)


def pool_body(seed: int, split: str, number: int) -> Body:
    """Gives body `number` of a split."""
    return draw_body(rng_of(seed, split, "body", number), f"{split}-body-{number:03d}")


def pool_thing(seed: int, split: str, kind: str, number: int) -> Thing:
    """Gives thing `number` of a kind and split."""
    kinds = sorted({*ALONE, *PLAYED})
    rng = rng_of(seed, split, "thing", kinds.index(kind), number)
    return draw_thing(rng, kind, f"{split}-{kind}-{number:03d}")


def pool_scene(seed: int, split: str, number: int, *, short_side_px: int = 128) -> Scene:
    """Gives place `number` of a split, textured for a picture size."""
    return _scene(seed, split, number, px_per_m=min(0.62 * short_side_px, 160.0))


def _draw_thing(rng: np.random.Generator, spec: ClipSpec, kind: str) -> Thing:
    number = int(rng.integers(POOL_SIZES[spec.split]))
    return pool_thing(spec.seed, spec.split, kind, number)


def _spots(
    rng: np.random.Generator,
    *,
    count: int,
    middle_x: float,
    person: bool,
    beside_m: tuple[float, float],
) -> list[Floats]:
    """Places on the floor [3] for things, apart from each other and from the person."""
    sides = [-1.0, 1.0]
    rng.shuffle(sides)
    if person:
        slots = [side * rng.uniform(0.72, 1.0) for side in sides] + [sides[0] * 1.45]
    else:
        slots = [side * rng.uniform(*beside_m) for side in sides] + [rng.uniform(-0.1, 0.1)]
    return [np.array([middle_x + slot, 0.0, rng.uniform(-0.5, 0.35)]) for slot in slots[:count]]


def _add_occluder(rng: np.random.Generator, builder: SolidBuilder, middle_x: float) -> str:
    """Puts something between the camera and what is filmed: a box, a post or a plant pot."""
    look = Material(
        colour=colour_of(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.8)),
        second=colour_of(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.8)),
        pattern=int(rng.integers(0, 6)), shine=0.1,
    )  # fmt: skip
    kind = str(rng.choice(["box", "post", "low wall"], p=[0.4, 0.3, 0.3]))
    x, z = middle_x + rng.uniform(-0.7, 0.7), rng.uniform(0.95, 1.35)
    if kind == "box":
        half = (rng.uniform(0.15, 0.3), rng.uniform(0.15, 0.32), 0.15)
        builder.add(BOX, half, (x, half[1], z), rotation("y", rng.normal(0, 0.3)), look)
    elif kind == "post":
        builder.add(CONE, (0.05, 0.05, 2.6), (x, 0.0, z), np.eye(3), look)
    else:
        half = (rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.24), 0.06)
        builder.add(BOX, half, (x, half[1], z), np.eye(3), look)
    return kind


def _aim(
    rng: np.random.Generator, *, source_x: float, middle_x: float, beside_m: tuple[float, float]
) -> float:
    """Where the camera looks: at what sounds in half of the clips, well beside it in the others."""
    if rng.random() < 0.5:
        aim_x = source_x + rng.normal(0, 0.1)
    else:
        side = np.sign(middle_x - source_x) or rng.choice([-1.0, 1.0])  # keep people in view
        aim_x = source_x + side * rng.uniform(*beside_m)
    return float(np.clip(aim_x, middle_x - 1.0, middle_x + 1.0))


def _show_of(spec: ClipSpec) -> tuple[str, int]:
    """What the clip is about, and how many clips of the split before it were about the same."""
    shows = THEMES[spec.theme].shows
    rounds, rest = divmod(spec.index, len(shows))
    return shows[rest], rounds * shows.count(shows[rest]) + shows[:rest].count(shows[rest])


def stage(spec: ClipSpec) -> Stage:
    """Draws all that happens in a clip."""
    rng = rng_of(spec.seed, spec.split, "clip", spec.index)
    theme = THEMES[spec.theme]
    show, turn = _show_of(spec)
    num_frames = round(spec.duration_s * rng.uniform(6 / 7, 8 / 7) * spec.fps)
    times_s = np.arange(num_frames) / spec.fps
    length_s = num_frames / spec.fps
    size = POOL_SIZES[spec.split]
    scene = pool_scene(
        spec.seed, spec.split, int(rng.integers(size)), short_side_px=spec.short_side_px
    )
    builder = SolidBuilder(num_frames=num_frames)
    add_furniture(builder, scene)
    middle_x = rng.uniform(-0.4, 0.4)
    people: list[Person] = []
    placed: list[Placed] = []
    owner = 1
    sounding, source_x = 0, middle_x
    steps: tuple[Note, ...] = ()
    counts = {k: int(rng.integers(low, high + 1)) for k, (low, high) in theme.num_things.items()}

    if show != "things":
        body = pool_body(spec.seed, spec.split, int(rng.integers(size)))
        spot = np.array([middle_x, 0.0, rng.uniform(-0.35, 0.25)])
        yaw = np.full(
            num_frames, rng.uniform(-0.9, 0.9) if show == "act" else rng.uniform(-0.6, 0.6)
        )
        playing, thing, notes = None, None, ()
        if show == "act":
            action = ACTIONS[turn % len(ACTIONS)]
            motion = MOTIONS[action](rng, body, times_s)
        else:
            action = "play"
            thing = _draw_thing(rng, spec, PLAYED[turn % len(PLAYED)])
            notes = draw_rhythm(rng, thing.kind, duration_s=length_s)
            playing = play_thing(rng, body, thing, notes, times_s)
            motion = playing.motion
        place = spot + np.einsum("tij,tj->ti", rotation("y", yaw), motion.place)
        skeleton = joints_of(body, motion.posture, place=place, yaw=yaw + motion.yaw)
        builder.owner = owner
        dress(builder, body, skeleton)
        people.append(Person(body=body, action=action, skeleton=skeleton, owner=owner))
        owner += 1
        if playing is not None and thing is not None:
            builder.owner = owner
            playing.draw(builder, skeleton, Standing(place=place, turn=rotation("y", yaw)))
            placed.append(Placed(thing=thing, owner=owner, notes=notes, played=True))
            sounding = owner
            owner += 1
        elif len(motion.beats_s) > 2 and action in ("walk", "jump") and rng.random() < 0.4:
            steps = tuple(
                Note(time_s=float(at), strength=rng.uniform(0.6, 1.0), pitch=rng.random())
                for at in motion.beats_s
            )
            sounding = people[0].owner

    kinds = [kind for kind in rng.permutation(ALONE) if not placed or kind != placed[0].thing.kind]
    spots = _spots(
        rng, count=counts[show], middle_x=middle_x, person=bool(people), beside_m=theme.spot_m
    )
    loud = int(rng.integers(len(spots))) if spots and sounding == 0 else -1
    for number, spot in enumerate(spots):
        thing = _draw_thing(rng, spec, str(kinds[number]))
        sounds = number == loud
        notes = ()
        if sounds or theme.silent_move:
            notes = draw_rhythm(rng, thing.kind, duration_s=length_s)
        builder.owner = owner
        turn_by = rotation("y", rng.uniform(-0.5, 0.5))
        add_thing(builder, thing, Standing(place=spot, turn=turn_by), notes, times_s)
        heard = notes if sounds else ()
        placed.append(Placed(thing=thing, owner=owner, notes=heard, played=False))
        if sounds:
            sounding, source_x = owner, float(spot[0])
        owner += 1

    builder.owner = 0
    distractors = [
        add_distractor(rng, builder, times_s)
        for _ in range(int(rng.choice([0, 1, 2], p=[0.3, 0.45, 0.25])))
    ]
    if rng.random() < 0.25:
        distractors.append(_add_occluder(rng, builder, middle_x))
    if theme.num_thrown[1]:
        count = int(rng.integers(theme.num_thrown[0], theme.num_thrown[1] + 1))
        throw_balls(rng, builder, times_s, count=count, middle_x=middle_x)
        distractors += ["thrown ball"] * count

    move = str(rng.choice(MOVES, p=[0.3, 0.3, 0.13, 0.12, 0.15]))
    if theme.still:
        move = "tripod"
    tall_m = people[0].body.height_m if people else rng.uniform(*theme.things_tall_m)
    aim_x = _aim(rng, source_x=source_x, middle_x=middle_x, beside_m=theme.aim_beside_m)
    camera = plan_camera(
        rng, times_s, move=move, target=np.array([aim_x, 0.5 * tall_m + 0.02, 0.0]),
        distance_m=rng.uniform(3.2, 5.2), tall_m=tall_m, share=rng.uniform(0.64, 0.84),
    )  # fmt: skip
    return Stage(
        spec=spec,
        times_s=times_s,
        scene=scene,
        camera=camera,
        camera_move=move,
        solids=builder.build(),
        people=tuple(people),
        things=tuple(placed),
        steps=steps,
        step_voice=draw_voice(rng_of(spec.seed, spec.split, "voice", spec.index), "footsteps"),
        distractors=tuple(distractors),
        sounding=sounding,
    )
