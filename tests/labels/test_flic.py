"""FLIC: columns by number as in MODEC's lookupPart.m, flags, subsets, people seen from behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from avssl.errors import InputError
from avssl.labels.flic import read_flic

# MODEC lookupPart.m, columns counted from 1
LOOKUP = {
    "left_shoulder": 1, "left_elbow": 2, "left_wrist": 3, "right_shoulder": 4, "right_elbow": 5,
    "right_wrist": 6, "left_hip": 7, "right_hip": 10, "left_eye": 13, "right_eye": 14, "nose": 17,
}  # fmt: skip


def example(number: int, **changes: Any) -> dict[str, Any]:
    # Column c lies at x = 300 - c, y = 10 c, so that everybody faces the camera.
    column = np.arange(1, 30, dtype=float)
    row = {
        "poselet_hit_idx": np.array([[3, 9]], dtype=np.uint16),
        "moviename": f"film-{number % 2}",
        "coords": np.stack([300 - column, 10 * column]),
        "filepath": f"film-{number:03d}.jpg",
        "imgdims": np.array([[480.0, 720.0, 3.0]]),
        "currframe": float(10 * number),
        "torsobox": np.array([[11.0, 21.0, 101.0, 201.0]]),
        "istrain": np.bool_(number % 3 != 0),
        "istest": np.bool_(number % 3 == 0),
    }
    return row | changes


@pytest.fixture
def write(structs, touch):
    def make(root: Path, rows: list[dict[str, Any]], plus: Any = None) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        savemat(root / "examples.mat", {"examples": structs(rows)}, do_compression=True)
        if plus is not None:
            savemat(root / "tr_plus_indices.mat", {"tr_plus_indices": plus})
        for row in rows:
            if ".." not in row["filepath"] and not row["filepath"].startswith("/"):
                touch(root / "images", row["filepath"])
        return root

    return make


def test_columns_splits_groups_and_boxes(write, tmp_path: Path) -> None:
    found = read_flic(write(tmp_path, [example(n) for n in range(5)]))
    assert found.skeleton.normaliser == "torso"
    assert set(found.skeleton.names) == set(LOOKUP)
    assert [image.split for image in found.images] == ["test", "train", "train", "test", "train"]
    assert [image.group for image in found.images] == [f"film-{n % 2}" for n in range(5)]
    assert [image.order for image in found.images] == [0, 10, 20, 30, 40]
    person = found.images[0].people[0]
    for name, column in LOOKUP.items():
        joint = found.skeleton.names.index(name)
        assert person.joints_px[joint].tolist() == [300 - column - 1, 10 * column - 1]
    assert (person.visible == 1).all()
    assert person.torso_px == (10, 20, 100, 200)
    assert found.root / found.images[0].path == tmp_path / "images" / "film-000.jpg"
    pairs = {(found.skeleton.names[a], found.skeleton.names[b]) for a, b in
             found.skeleton.flip_pairs}  # fmt: skip
    parts = ("shoulder", "elbow", "wrist", "hip", "eye")
    assert pairs == {(f"left_{part}", f"right_{part}") for part in parts}


def test_head_is_the_mean_of_eyes_and_nose_where_all_are_there(write, tmp_path: Path) -> None:
    blind = example(1)["coords"].copy()
    blind[:, 12] = np.nan
    found = read_flic(write(tmp_path, [example(0), example(1, coords=blind)]), head=True)
    assert found.skeleton.names[-1] == "head" and len(found.skeleton.names) == 12
    whole, without = (image.people[0] for image in found.images)
    mean = np.mean([13, 14, 17])
    np.testing.assert_allclose(whole.joints_px[-1], [300 - mean - 1, 10 * mean - 1])
    assert without.visible[-1] == 0 and np.isnan(without.joints_px[-1]).all()


def test_people_seen_from_behind_change_arms_and_nothing_else(write, tmp_path: Path) -> None:
    behind = example(1)["coords"].copy()
    behind[:, [0, 1, 2, 3, 4, 5]] = behind[:, [3, 4, 5, 0, 1, 2]]
    partly = behind.copy()
    partly[:, 2] = np.nan  # one wrist unknown: not all three lie left
    rows = [example(0), example(1, coords=behind), example(2, coords=partly)]
    plain = read_flic(write(tmp_path, rows))
    swapped = read_flic(tmp_path, observer_centric=True)
    front, back, unknown = (image.people[0].joints_px for image in swapped.images)
    np.testing.assert_array_equal(front, plain.images[0].people[0].joints_px)
    np.testing.assert_array_equal(unknown, plain.images[2].people[0].joints_px)
    np.testing.assert_array_equal(back, front)  # hips, eyes and nose were never exchanged
    assert any(note.startswith("1 people seen from behind") for note in swapped.notes)


def test_full_and_plus_count_from_one(write, tmp_path: Path) -> None:
    rows = [
        example(n, istrain=np.bool_(n == 1), isbad=np.bool_(n == 2), isunchecked=np.bool_(n > 3))
        for n in range(6)
    ]
    root = write(tmp_path / "FLIC-full", rows, plus=np.array([[2.0], [3.0], [4.0]]))
    full = read_flic(tmp_path, subset="full")
    assert [image.split for image in full.images] == [
        "test", "train", "train", "test", "train", "train",
    ]  # fmt: skip
    flags = [image.people[0].flags for image in full.images]
    assert flags == [(), (), ("bad",), (), ("unchecked",), ("unchecked",)]
    plus = read_flic(root, subset="plus")
    # MATLAB's 2, 3, 4 are rows 1, 2, 3; row 3 is of the test and stays there
    assert [(image.path[-7:-4], image.split) for image in plus.images] == [
        ("000", "test"), ("001", "train"), ("002", "train"), ("003", "test"),
    ]  # fmt: skip
    assert any(note.startswith("2 examples in no split") for note in plus.notes)
    for wrong in ([[0.0], [1.0]], [[7.0]], [[1.5]]):
        savemat(root / "tr_plus_indices.mat", {"tr_plus_indices": np.array(wrong)})
        with pytest.raises(InputError, match="indices"):
            read_flic(root, subset="plus")


def test_examples_of_one_picture_are_its_people_and_the_test_stays_unseen(
    write, tmp_path: Path
) -> None:
    rows = [
        example(1),
        example(2, filepath="film-001.jpg"),
        example(4, filepath="shared.jpg"),
        example(0, filepath="shared.jpg"),
    ]
    found = read_flic(write(tmp_path, rows))
    assert [(image.path, image.split, len(image.people)) for image in found.images] == [
        ("images/film-001.jpg", "train", 2),
        ("images/shared.jpg", "test", 1),
    ]
    assert "1 pictures of the test left out of training" in found.notes


def test_hostile_values(write, tmp_path: Path) -> None:
    coords = example(1)["coords"].copy()
    coords[0, 0], coords[1, 1], coords[0, 2] = np.inf, 1e300, np.nan
    found = read_flic(
        write(
            tmp_path / "a",
            [example(1, coords=coords, torsobox=np.array([[np.nan, 1, 2, 3]]), currframe=np.inf)],
        )
    )
    person = found.images[0].people[0]
    assert person.visible.tolist() == [0, 0, 0] + [1] * 8
    assert person.torso_px is None and found.images[0].order == 0
    assert any("2 joints beyond" in note for note in found.notes)

    for name in ("../secret.jpg", "/etc/passwd", "C:\\x.jpg", "..\\x.jpg"):
        with pytest.raises(InputError, match="leads out of the data set"):
            read_flic(write(tmp_path / "b", [example(1, filepath=name)]))
    with pytest.raises(InputError, match=r"example 1 .*coords are"):
        read_flic(write(tmp_path / "c", [example(1, coords=np.zeros((2, 14)))]))


def test_missing_pictures_are_counted_and_none_at_all_is_refused(write, tmp_path: Path) -> None:
    root = write(tmp_path, [example(n) for n in range(4)])
    (root / "images" / "film-002.jpg").unlink()
    found = read_flic(root)
    assert len(found.images) == 3
    assert found.notes == ("1 pictures whose file is not there (such as images/film-002.jpg)",)
    for path in (root / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="none of the 4 pictures is there"):
        read_flic(root)
    with pytest.raises(InputError, match=r"no examples\.mat"):
        read_flic(tmp_path / "nothing")
