"""A second domain with known joints: motion-captured people, drawn by pybullet (an optional extra).

    from avssl.world.mocap import make_mocap
    make_mocap("mocap", num_train=60, num_validation=20, num_test=20)

Same folders and truth as `avssl.world` (docs/mocap.md says what differs), no sound, no things. Each
split has its own movements, figures, clothes, places and cameras.
"""

import functools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing, write_text
from avssl.world.camera import Camera
from avssl.world.clip import SPLITS, ClipSpec
from avssl.world.encode import write_mp4
from avssl.world.folder import clip_paths, fill_folder
from avssl.world.mocap_body import (
    EDGES,
    JOINTS,
    SKIN_M,
    Figure,
    Floats,
    Piece,
    Posed,
    draw_figure,
    joints_of,
    on_the_floor,
    pieces_of,
    pose,
)
from avssl.world.mocap_motion import MOTIONS, perform
from avssl.world.mocap_place import Block, Place, clothes, draw_blocks, draw_place, plan_camera
from avssl.world.mocap_studio import FINE, Studio, bullet
from avssl.world.truth import COCO_EVERY_FRAMES

MOCAP_VERSION = 1
POOL_SIZES = {"train": 240, "validation": 80, "test": 80}
"""How many figures and places a split has."""
_STREAMS = ("clip", "figure", "place", "camera")
_IN_VIEW = 0.93
"""A camera is drawn again until this share of the joints falls into the picture."""


def _rng(spec: ClipSpec, stream: str, number: int) -> np.random.Generator:
    key = (SPLITS.index(spec.split), _STREAMS.index(stream), number)
    return np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(77, *key)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Staged:
    """A clip before it is drawn."""

    spec: ClipSpec
    times_s: Floats
    action: str
    figure: Figure
    pieces: list[Piece]
    looks: dict[str, NDArray[np.uint8]]
    posed: Posed
    joints: Floats  # [T, J, 3]
    place: Place
    camera: Camera
    blocks: list[Block]

    @functools.cached_property
    def joints_px(self) -> Floats:
        """Columns, rows (px; a pixel's centre is at its number + 0.5) and depth (m), [T, J, 3]."""
        width, height = self.spec.size_px
        return self.camera.project(self.joints, width_px=width, height_px=height)


def stage(spec: ClipSpec) -> Staged:
    """Draws what happens in a clip: a pure function of its spec."""
    rng = _rng(spec, "clip", spec.index)
    seconds = spec.duration_s * rng.uniform(6 / 7, 8 / 7)
    times_s = np.arange(max(round(seconds * spec.fps), 2)) / spec.fps
    names = MOTIONS[spec.split]
    action = names[spec.index % len(names)]
    number = int(rng.integers(POOL_SIZES[spec.split]))
    body = _rng(spec, "figure", number)
    figure = draw_figure(body, f"{spec.split}-figure-{number:03d}")
    looks = clothes(body)
    number = int(rng.integers(POOL_SIZES[spec.split]))
    place = draw_place(_rng(spec, "place", number), f"{spec.split}-place-{number:03d}")
    pieces = pieces_of(figure)
    motion = perform(rng, action, times_s)
    posed = on_the_floor(pieces, pose(figure, motion), motion)
    joints = joints_of(figure, posed)
    middle = joints.mean(axis=1)
    around_m = float(np.linalg.norm(middle[:, [0, 2]], axis=1).max())
    width, height = spec.size_px
    film = _rng(spec, "camera", spec.index)
    best: tuple[float, Camera] | None = None
    for _ in range(30):
        camera = plan_camera(film, times_s, middle=middle, around_m=around_m, reach_m=place.reach_m)
        x, y, deep = np.moveaxis(camera.project(joints, width_px=width, height_px=height), -1, 0)
        inside = (x > 0) & (x < width) & (y > 0) & (y < height) & (deep > 0.5)
        if best is None or inside.mean() > best[0]:
            best = (float(inside.mean()), camera)
        if best[0] >= _IN_VIEW:
            break
    assert best is not None
    blocks = draw_blocks(rng, times_s, around_m=around_m, reach_m=place.reach_m, camera=best[1])
    return Staged(
        spec=spec,
        times_s=times_s,
        action=action,
        figure=figure,
        pieces=pieces,
        looks=looks,
        posed=posed,
        joints=joints,
        place=place,
        camera=best[1],
        blocks=blocks,
    )


def _seen(
    staged: Staged, frame: int, depth: Floats, own: NDArray[np.bool_]
) -> tuple[list[int], list[float], float]:
    """Gives the joints' visibility (0 outside, 1 hidden, 2 seen), the box and the area in px."""
    column, row, far = staged.joints_px[frame].T
    height, width = own.shape
    x, y = np.floor(column * FINE).astype(int), np.floor(row * FINE).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (far > 0)
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    skin = np.array([SKIN_M.get(name.split("_")[-1], 0.09) for name in JOINTS])
    near = far - depth[y, x] < skin * staged.figure.size * max(staged.figure.girth, 1.0)
    state = np.where(inside, np.where(own[y, x] & near, 2, 1), 0).tolist()
    if not own.any():
        return state, [0.0] * 4, 0.0
    columns, rows = np.nonzero(own.any(axis=0))[0], np.nonzero(own.any(axis=1))[0]
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / FINE
    return state, box.tolist(), float(own.sum() / FINE**2)


def draw_frames(staged: Staged, truth: list[dict[str, Any]]) -> Iterator[NDArray[np.uint8]]:
    """Draws frame by frame (uint8 [H, W, 3]); at the end the clip's truth is put in `truth`."""
    spec = staged.spec
    width, height = spec.size_px
    states, boxes, areas = [], [], []
    with Studio(staged.place, width_px=width, height_px=height) as studio:
        studio.add_figure(staged.pieces, staged.looks)
        for block in staged.blocks:
            studio.add_block(block)
        figure = np.array(list(studio.bones))
        for frame in range(len(staged.times_s)):
            studio.move(frame, staged.posed)
            picture, depth, bodies = studio.shoot(staged.camera, frame)
            state, box, area = _seen(staged, frame, depth, np.isin(bodies, figure))
            states.append(state)
            boxes.append(box)
            areas.append(area)
            yield picture
    person = {
        "body": staged.figure.name,
        "action": staged.action,
        "height_m": round(staged.figure.height_m, 4),
        "sounding": False,
        "boxes_px": boxes,
        "areas_px": areas,
        "keypoints_px": np.round(staged.joints_px[..., :2], 2).tolist(),
        "visibility": states,
        "depth_m": np.round(staged.joints_px[..., 2], 3).tolist(),
    }
    truth.append(
        {
            "mocap_version": MOCAP_VERSION,
            "clip": spec.clip_id,
            "split": spec.split,
            "video": f"{spec.split}/{spec.clip_id}.mp4",
            "width_px": width,
            "height_px": height,
            "fps": spec.fps,
            "num_frames": len(staged.times_s),
            "action": staged.action,
            "scene": staged.place.name,
            "scene_kind": staged.place.kind,
            "joint_names": list(JOINTS),
            "people": [person],
            "things": [],
        }
    )


def render_clip(spec: ClipSpec) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Draws one clip in memory: frames uint8 [T, 3, H, W] and its truth."""
    truth: list[dict[str, Any]] = []
    frames = np.stack(list(draw_frames(stage(spec), truth))).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(frames), truth[0]


def _make_clip(directory: Path, spec: ClipSpec) -> None:
    """Writes one clip and its truth (last: it marks the clip as done)."""
    cv2.setNumThreads(1)
    video, truth_path = clip_paths(directory, spec)
    truth: list[dict[str, Any]] = []
    with replacing(video) as temporary:
        write_mp4(
            temporary, draw_frames(stage(spec), truth), None, size_px=spec.size_px, fps=spec.fps
        )
    write_text(truth_path, json.dumps(truth[0], separators=(",", ":"), allow_nan=False))


def coco_of(truths: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gives a COCO keypoints file with `JOINTS` as its keypoints, every fifth frame of the clips.

    Images are named and placed as the world's (`video`, `frame_index`, `time_s`).
    """
    images, annotations = [], []
    for truth in truths:
        person = truth["people"][0]
        for frame in range(2, truth["num_frames"], COCO_EVERY_FRAMES):
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": f"{truth['clip']}_{frame:06d}.jpg",
                    "width": truth["width_px"],
                    "height": truth["height_px"],
                    "video": truth["video"],
                    "frame_index": frame,
                    "time_s": round(frame / truth["fps"], 6),
                }
            )
            points = []
            for (x, y), state in zip(
                person["keypoints_px"][frame], person["visibility"][frame], strict=True
            ):
                points += [x, y, state] if state else [0, 0, 0]
            x0, y0, x1, y1 = person["boxes_px"][frame]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "keypoints": points,
                    "num_keypoints": sum(state > 0 for state in points[2::3]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": person["areas_px"][frame],
                    "iscrowd": 0,
                }
            )
    skeleton = [[JOINTS.index(a) + 1, JOINTS.index(b) + 1] for a, b in EDGES]
    category = {"id": 1, "name": "person", "supercategory": "person"}
    return {
        "info": {"description": f"avssl motion capture, version {MOCAP_VERSION}"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{**category, "keypoints": list(JOINTS), "skeleton": skeleton}],
    }


def _write_labels(directory: Path, specs: Sequence[ClipSpec]) -> None:
    for split in SPLITS:
        mine = [spec for spec in specs if spec.split == split]
        truths = [json.loads(clip_paths(directory, spec)[1].read_text("utf-8")) for spec in mine]
        text = json.dumps(coco_of(truths), separators=(",", ":"), allow_nan=False)
        write_text(directory / "truth" / f"coco_{split}.json", text)


def make_mocap(
    directory: str | os.PathLike[str],
    *,
    num_train: int = 60,
    num_validation: int = 20,
    num_test: int = 20,
    seed: int = 0,
    short_side_px: int = 128,
    fps: int = 25,
    duration_s: float = 7.0,
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Makes a folder of silent videos of motion-captured people, and their truth.

    Layout and rules are those of `avssl.world.make_world`: the same call again does nothing, after
    a stop it goes on clip by clip, larger counts extend the folder, other settings are refused.

    Args:
        directory: an empty folder, a new one, or one that holds these clips in part.
        num_train: clips in the split; the movements of the split take turns.
        num_validation: as `num_train`.
        num_test: as `num_train`.
        seed: another seed is other people, places, cameras and ways to play the movements.
        short_side_px: height of the pictures, even; they are 4 to 3.
        fps: frames per second.
        duration_s: mean length of a clip; each is up to a seventh shorter or longer.
        workers: processes, by default one for each core.
        quiet: show no progress.

    Raises:
        InputError: pybullet is missing, a setting is out of range, or the folder holds something
            else.
    """
    bullet()
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise InputError(f"clips {counts}: at least one clip, none below 0")
    if seed < 0 or (workers is not None and workers < 1):
        raise InputError(f"seed {seed}, workers {workers}: seed from 0, workers from 1")
    specs = [
        ClipSpec(
            seed=seed,
            split=split,
            index=index,
            short_side_px=short_side_px,
            fps=fps,
            duration_s=duration_s,
        )
        for split, count in counts.items()
        for index in range(count)
    ]
    shared = {k: v for k, v in asdict(specs[0]).items() if k not in ("split", "index", "leaks")}
    return fill_folder(
        Path(directory),
        specs,
        settings={"mocap_version": MOCAP_VERSION, **shared},
        counts=counts,
        make_clip=_make_clip,
        write_labels=_write_labels,
        title="filming the moves",
        workers=workers,
        quiet=quiet,
    )
