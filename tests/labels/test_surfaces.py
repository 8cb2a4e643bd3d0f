"""Planes fitted to depth against closed forms; NYUv2's file as it is laid out, and wrong ones."""

import runpy
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.labels import nyuv2
from avssl.labels.planes import Pinhole, normals_of_depth
from avssl.labels.surfaces import decode_normals, encode_normals

CAMERA = Pinhole(fx_px=50.0, fy_px=52.0, cx_px=30.5, cy_px=21.0)


def plane_depth(normal: np.ndarray, distance: float, camera: Pinhole, size: tuple[int, int]):
    """n · P = −distance along each ray: the depth in closed form."""
    rays = camera.rays(*size)
    return -distance / (rays @ normal[:2] + normal[2])


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((one * other).sum(-1), -1, 1)))


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(0.5, 8))
def test_a_plane_has_its_own_normal_everywhere(x: float, y: float, distance: float) -> None:
    normal = np.array([x, y, -1.0])
    normal /= np.linalg.norm(normal)
    depth = plane_depth(normal, distance, CAMERA, (40, 60))
    assert (depth > 0).all()
    found = normals_of_depth(depth, CAMERA, radius_px=2, max_step=10.0)
    assert degrees(found, np.broadcast_to(normal, found.shape)).max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)


def test_the_fit_is_numpys_least_squares() -> None:
    """Every window by `lstsq` on rays and inverse depth, holes and steps left out by hand."""
    rng = np.random.default_rng(0)
    depth = plane_depth(np.array([0.3, -0.4, -0.866]), 2.0, CAMERA, (14, 18))
    depth = depth * rng.uniform(0.98, 1.02, depth.shape)
    depth[:, 9:] += 1.0  # a step: neither side may count on the other
    known = rng.random(depth.shape) > 0.2
    found = normals_of_depth(depth, CAMERA, known=known, radius_px=2, max_step=0.2)
    rays, checked = CAMERA.rays(*depth.shape), 0
    for j in range(14):
        for i in range(18):
            part = [
                (a, b)
                for a in range(max(0, j - 2), min(14, j + 3))
                for b in range(max(0, i - 2), min(18, i + 3))
                if known[a, b] and abs(depth[a, b] - depth[j, i]) <= 0.2 * depth[j, i]
            ]
            if not known[j, i] or len(part) < 0.3 * 25:
                assert not found[j, i].any()
                continue
            lines = np.array([[*rays[a, b], 1.0] for a, b in part])
            answer = np.linalg.lstsq(lines, [1 / depth[a, b] for a, b in part], rcond=None)[0]
            answer = -answer / np.linalg.norm(answer)
            if found[j, i].any():
                np.testing.assert_allclose(found[j, i], answer, atol=1e-4)
                checked += 1
    assert checked > 100


def test_nothing_is_known_without_depth_or_from_one_line() -> None:
    depth = np.full((9, 9), 2.0)
    depth[3:6, :] = [0.0]
    depth[0, 0], depth[8, 8] = np.nan, np.inf
    found = normals_of_depth(depth, CAMERA, radius_px=1)
    assert not found[3:6].any() and not found[0, 0].any() and not found[8, 8].any()
    line = np.zeros((9, 9))
    line[4] = 2.0  # a row of pixels fixes one direction only
    assert not normals_of_depth(line, CAMERA, radius_px=1).any()


def test_a_coded_normal_comes_back_within_half_a_degree() -> None:
    values = np.random.default_rng(0).normal(size=(500, 3))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    coded = encode_normals(values)
    assert degrees(decode_normals(coded), values).max() < 0.5
    assert coded.min() >= 1
    assert not encode_normals(np.array([[0, 0, 0], [np.nan, 0, 1]])).any()
    assert not decode_normals(np.zeros((2, 3), dtype=np.uint8)).any()


# NYUv2: N pictures of 80 x 60 px, an eighth of the official size, of one tilted plane each.
NORMALS = np.array([[0.0, 0.0, -1.0], [0.0, -0.6, -0.8], [0.6, 0.0, -0.8], [-0.48, -0.36, -0.8]])
SCENES = ("kitchen_0001a", "kitchen_0001b", "office_0002", "office_0003")
SMALL = (80, 60)


def write_nyu(folder: Path, **changes: Any) -> Path:
    """The official layout; `changes` replace data sets, None leaves one out."""
    width, height = SMALL
    camera = nyuv2.CAMERA.scaled(width / 640)
    depth = np.stack([plane_depth(n, 3.0, camera, (height, width)).T for n in NORMALS])
    raw = depth.copy()
    raw[:, 30:34, 20:24] = 0  # columns 30 to 33, rows 20 to 23
    images = np.zeros((4, 3, width, height), dtype=np.uint8)
    images[:, 0] = np.arange(width)[:, None]  # red tells the column, green the row
    images[:, 1] = np.arange(height)
    data = {
        "images": images, "depths": depth.astype(np.float32), "rawDepths": raw.astype(np.float32)
    } | changes  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / nyuv2.LABELLED, "w", userblock_size=512) as file:
        for name, values in data.items():
            if values is not None and name != "scenes":
                file.create_dataset(name, data=values, chunks=True, compression="gzip")
        if changes.get("scenes", "") is not None:
            cells = file.create_dataset("scenes", (1, 4), dtype=h5py.ref_dtype)
            for k, name in enumerate(SCENES):
                letters = np.array([[ord(c)] for c in name], dtype=np.uint16)
                cells[0, k] = file.create_dataset(f"#refs#/{k}", data=letters).ref
    with (folder / nyuv2.LABELLED).open("r+b") as stream:  # as MATLAB begins its files
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + b" HDF5 schema 1.00 .")
    lists = {"trainNdxs": np.array([[1], [2], [3]]), "testNdxs": np.array([[4]])}
    savemat(folder / nyuv2.SPLITS, lists)
    return folder


@pytest.fixture
def catalogue(root: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*arguments: object) -> int:
        path = root / "datasets" / "nyuv2" / "make_catalog.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(path), run_name="__main__")
        return int(done.value.code or 0)

    return run


def test_nyu_becomes_a_catalogue_of_upright_pictures_with_their_normals(
    tmp_path: Path, catalogue
) -> None:
    source = write_nyu(tmp_path / "nyu")
    out = tmp_path / "out"
    assert catalogue(source, out, "--validation", 0.4, "--quiet") == 0
    catalog = Catalog.read(out)
    rows = catalog.rows()
    assert [row.source for row in rows] == [f"{nyuv2.LABELLED}#{k}" for k in (1, 2, 3, 4)]
    # kitchen_0001 has two recordings, which stay together; office_0002 alone fits into 0.4 of 3
    assert [row.split for row in rows] == ["train", "train", "validation", "test"]
    assert [row.group_id for row in rows[:2]] == ["kitchen_0001"] * 2
    fetcher = Fetcher(out)
    for row, normal in zip(rows, NORMALS, strict=True):
        frames = fetcher.frames(row, (row.start_s,)).frames
        coded = fetcher.label_map(row, "normals").frames
        assert frames is not None and coded is not None
        assert frames.shape == coded.shape == (1, 3, 53, 70)  # an eighth of 426 x 560
        # the frame is cut off: rows 44 of 480 and columns 40 of 640 are 5.5 and 5 of an eighth
        assert abs(int(frames[0, 0, 10, 20]) - (20 + 5)) <= 4
        assert abs(int(frames[0, 1, 10, 20]) - (10 + 6)) <= 4
        found = decode_normals(coded[0].transpose(1, 2, 0))
        hole = found[20 - 6 : 24 - 6, 30 - 5 : 34 - 5]
        assert not hole.any()
        known = found.any(axis=-1)
        assert known.sum() == known.size - 16
        assert degrees(found[known], np.broadcast_to(normal, found[known].shape)).max() < 0.6


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"depths": None}, "holds no depths"),
        ({"images": np.zeros((4, 60, 80, 3), dtype=np.uint8)}, "axes were exchanged"),
        ({"images": np.zeros((4, 3, 60, 80), dtype=np.uint8)}, "axes were exchanged"),
        ({"images": np.zeros((4, 3, 80, 60), dtype=np.float32)}, "is float32"),
        ({"depths": np.zeros((4, 60, 80), dtype=np.float32)}, "depths is float32"),
        ({"scenes": None}, "holds no scenes"),
    ],
)
def test_another_layout_is_one_clear_line(
    tmp_path: Path, catalogue, capsys, changes, words
) -> None:
    source = write_nyu(tmp_path / "nyu", **changes)
    assert catalogue(source, tmp_path / "out", "--quiet") == 2
    shown = capsys.readouterr().err
    assert words in shown and len(shown.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_wrong_files_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no nyu_depth_v2_labeled"):
        nyuv2.read_nyuv2(tmp_path)
    source = write_nyu(tmp_path / "nyu")
    savemat(source / nyuv2.SPLITS, {"trainNdxs": [[0]], "testNdxs": [[4]]})
    with pytest.raises(InputError, match="do not belong together"):
        nyuv2.read_nyuv2(source)
    savemat(source / nyuv2.SPLITS, {"trainNdxs": [[4]], "testNdxs": [[4]]})
    with pytest.raises(InputError, match="listed twice"):
        nyuv2.read_nyuv2(source)
    (source / nyuv2.SPLITS).unlink()
    with pytest.raises(InputError, match=r"no splits\.mat"):
        nyuv2.read_nyuv2(source)
    savemat(source / nyuv2.SPLITS, {"trainNdxs": [[1]], "testNdxs": [[4]]})
    whole = (source / nyuv2.LABELLED).read_bytes()
    (source / nyuv2.LABELLED).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off"):
        nyuv2.read_nyuv2(source)
    savemat(source / nyuv2.LABELLED, {"images": np.zeros(3)})
    with pytest.raises(InputError, match="MATLAB 5, the official file is"):
        nyuv2.read_nyuv2(source)


def test_what_points_out_of_the_file_is_refused(tmp_path: Path) -> None:
    source = write_nyu(tmp_path / "nyu", depths=None)
    other = write_nyu(tmp_path / "other")
    with h5py.File(source / nyuv2.LABELLED, "r+") as file:
        file["depths"] = h5py.ExternalLink(str(other / nyuv2.LABELLED), "depths")
    with pytest.raises(InputError, match="holds no depths"):
        nyuv2.read_nyuv2(source)
