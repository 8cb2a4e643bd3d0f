"""Depth and normals of a finished world's frames, written beside its truth.

The clips are staged again from the world's settings; only rays are traced, nothing is painted. A
picture's pixel is met by 2 x 2 rays: its normal is their mean direction, unknown where they
disagree (edges); its depth is their mean. The backdrop of open country is sky: unknown.

The layout of the files: `avssl.labels.world_surfaces`.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing
from avssl.labels.surfaces import encode_normals
from avssl.labels.world_surfaces import FOLDER
from avssl.progress import progress_bar
from avssl.world.clip import SPLITS, ClipSpec, Stage, stage
from avssl.world.folder import MANIFEST
from avssl.world.render import FINE, Renderer
from avssl.world.truth import WORLD_VERSION

EVERY_FRAMES = 10
"""Every tenth frame, from the fifth."""
_AGREED = 0.9
"""Least length of the mean of a pixel's four unit normals."""
_MAX_MM = 65_535


def write_surfaces(
    world: str | os.PathLike[str], *, every_frames: int = EVERY_FRAMES, quiet: bool = False
) -> Path:
    """Writes `truth/surfaces/<split>/<clip>.npz` of every clip; files that are there stay.

    Args:
        world: a folder that `make_world` has finished.
        every_frames: distance of the frames.
        quiet: show no progress.

    Raises:
        InputError: no finished world of this version.
    """
    root = Path(world)
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        settings, counts = dict(manifest["settings"]), manifest["counts"]
        ready = manifest["complete"] and settings.pop("world_version") == WORLD_VERSION
    except (OSError, ValueError, KeyError, TypeError):
        ready, settings, counts = False, {}, {}
    if not ready or "seed" not in settings:
        raise InputError(f"{root}: no finished world of version {WORLD_VERSION}; make one first")
    settings["leaks"] = tuple(settings.get("leaks", ()))
    specs = [
        ClipSpec(split=split, index=index, **settings)
        for split in SPLITS
        for index in range(counts.get(split, 0))
    ]
    with progress_bar("surfaces", total=len(specs), unit="clip", quiet=quiet) as bar:
        for spec in specs:
            path = root / FOLDER / spec.split / f"{spec.clip_id}.npz"
            if not path.is_file():
                with replacing(path) as temporary:
                    truth: dict[str, Any] = surfaces_of(stage(spec), every_frames)
                    np.savez_compressed(temporary, **truth)
            bar.advance()
    return root / FOLDER


def surfaces_of(staged: Stage, every_frames: int = EVERY_FRAMES) -> dict[str, NDArray[Any]]:
    """Gives what a clip's file holds."""
    width, height = staged.spec.size_px
    renderer = Renderer(
        solids=staged.solids, scene=staged.scene, camera=staged.camera,
        width_px=width, height_px=height,
    )  # fmt: skip
    frames = np.arange(every_frames // 2, len(staged.times_s), every_frames)
    depths = np.zeros((len(frames), height, width), dtype=np.uint16)
    normals = np.zeros((len(frames), height, width, 3), dtype=np.uint8)
    for place, frame in enumerate(frames):
        hits = renderer.trace(int(frame))
        depth, facing = renderer.surface(int(frame), hits)
        columns, rows = renderer.rays(int(frame))
        along = facing[..., 0] * columns + facing[..., 1] * rows[:, None] + facing[..., 2]
        facing = np.where(along[..., None] > 0, -facing, facing)  # discs have two sides
        known = np.isfinite(depth) & (depth > 0)
        if staged.scene.kind == "open":
            wall = staged.camera.rotation[frame] @ np.array([0.0, 0.0, 1.0])
            known &= (hits.ids >= 0) | (np.abs(facing @ wall) < 0.999)
        seen = _quartered(known).all(axis=-1)
        mean = _quartered(np.where(known[..., None], facing, 0)).mean(axis=-1)
        seen &= np.linalg.norm(mean, axis=-1) > _AGREED
        metres = _quartered(np.where(known, depth, 0)).mean(axis=-1)
        millimetres = np.where(metres * 1000 <= _MAX_MM, np.rint(metres * 1000), 0)
        depths[place] = np.where(_quartered(known).all(axis=-1), millimetres, 0)
        normals[place] = encode_normals(np.where(seen[..., None], mean, 0))
    return {"frames": frames, "depth_mm": depths, "normals": normals}


def _quartered(fine: NDArray[Any]) -> NDArray[Any]:
    """Gives [h, w, …] fine pixels as [h / 2, w / 2, …, 4]."""
    parts = [fine[down::FINE, right::FINE] for down in range(FINE) for right in range(FINE)]
    return np.stack(parts, axis=-1)
