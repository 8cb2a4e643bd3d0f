"""The world's surfaces: the same geometry by another way, and a catalogue made of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.decode import open_video
from avssl.errors import InputError
from avssl.labels.planes import Pinhole, normals_of_depth
from avssl.labels.surfaces import decode_normals
from avssl.labels.world_surfaces import read_surface_file, read_world_surfaces
from avssl.prepare import surfaces as prepared
from avssl.world.clip import ClipSpec, stage
from avssl.world.surfaces import write_surfaces


@pytest.fixture(scope="module")
def with_surfaces(small_world: Path) -> Path:
    write_surfaces(small_world, every_frames=20, quiet=True)
    return small_world


def test_normals_agree_with_planes_fitted_to_the_depth(with_surfaces: Path) -> None:
    """Depth and normals are written by different code; a fit to one gives the other back."""
    settings = json.loads((with_surfaces / "world.json").read_text())["settings"]
    settings.pop("world_version")
    shares = []
    for index in range(3):
        staged = stage(ClipSpec(split="train", index=index, **settings))
        path = with_surfaces / "truth" / "surfaces" / "train" / f"train_{index:05d}.npz"
        truth = read_surface_file(path)
        for frame, depth, coded in zip(
            truth["frames"], truth["depth_mm"], truth["normals"], strict=True
        ):
            height, width = depth.shape
            focal = float(staged.camera.focal[frame]) * min(width, height)
            camera = Pinhole(
                fx_px=focal, fy_px=focal, cx_px=(width - 1) / 2, cy_px=(height - 1) / 2
            )
            fitted = normals_of_depth(depth / 1000, camera, radius_px=1, max_step=0.02)
            known = decode_normals(coded)
            both = fitted.any(-1) & known.any(-1)
            assert both.mean() > 0.3
            rays = np.dstack([camera.rays(height, width), np.ones((height, width))])
            assert ((known * rays).sum(-1)[known.any(-1)] <= 1e-2).all()  # towards the camera
            cosine = (fitted[both] * known[both]).sum(-1)
            shares.append(np.mean(cosine > np.cos(np.radians(10))))
    assert np.mean(shares) > 0.85  # the rest are small round things, three pixels wide


def test_frames_and_truth_stay_together_in_the_catalogue(
    with_surfaces: Path, tmp_path: Path
) -> None:
    _, pictures = read_world_surfaces(with_surfaces)
    out = prepared.write_surfaces(pictures, tmp_path / "set", quiet=True)
    catalog = Catalog.read(out)
    assert set(catalog.column("split")) == {"train", "validation", "test"}
    row = catalog.row(1)
    video, frame = row.source.split("#")
    with open_video(with_surfaces / video) as reader:
        (expected,) = reader.frames_by_index([int(frame)])
    assert (row.width_px, row.height_px) == (expected.shape[2], expected.shape[1])
    with pytest.raises(InputError, match="not empty"):
        prepared.write_surfaces([], out)


def test_worlds_without_are_one_clear_line(small_world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--surfaces"):
        read_world_surfaces(tmp_path)
    with pytest.raises(InputError, match="no finished world"):
        write_surfaces(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="not depth and normals"):
        read_surface_file(tmp_path / "bad.npz")
