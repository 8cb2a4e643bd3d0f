"""MPII: the release with all its gaps, both JSON flavours, head boxes, five real pictures."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from avssl.errors import InputError
from avssl.labels.mpii import read_mpii

EMPTY = np.zeros((0, 0))
PAIRS = {(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)}


def cell(values: list[Any], shape: tuple[int, int]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


@pytest.fixture
def release(structs, touch, tmp_path: Path) -> Path:
    """Six pictures that hold every trap of the format."""
    seen = [("1", 2), ("0", 1), (1.0, 2), (0.0, 1), (EMPTY, 1), (np.uint8(1), 2)]
    points = [
        {"x": 10.0 + n, "y": 20.0 + n, "id": float(15 - n), "is_visible": value}
        for n, (value, _) in enumerate(seen)
    ]
    bare = [{"x": 5.0, "y": 6.0, "id": np.uint8(9)}, {"x": 7.0, "y": 8.0, "id": 16.0}]
    whole = {
        "x1": 101.0, "y1": 51.0, "x2": 131.0, "y2": 91.0,
        "annopoints": structs([{"point": structs(points)}]),
        "scale": 2.5, "objpos": structs([{"x": 61.0, "y": 71.0}]),
    }  # fmt: skip
    second = whole | {"annopoints": structs([{"point": structs(bare)}]), "x1": EMPTY}
    unlabelled = whole | {"annopoints": EMPTY, "objpos": EMPTY, "scale": EMPTY}
    tested = {"scale": 1.5, "objpos": structs([{"x": 31.0, "y": 41.0}])}
    rects = [
        structs([whole, unlabelled, second]),
        structs([tested]),
        EMPTY,
        structs([tested | {"objpos": EMPTY}]),
        structs([unlabelled]),
        structs([whole]),
    ]
    annolist = [
        {
            "image": structs([{"name": f"{n:09d}.jpg"}]),
            "annorect": rect,
            "frame_sec": 1.5 if n == 0 else EMPTY,
            "vidx": 2.0 if n in (0, 5) else EMPTY,
        }
        for n, rect in enumerate(rects)
    ]
    content = {
        "annolist": structs(annolist),
        "img_train": np.array([[1, 0, 1, 0, 1, 1]]),
        "version": "12",
        "single_person": cell([np.array([[3.0]]), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY], (6, 1)),
        "act": structs([{"act_name": EMPTY, "cat_name": EMPTY, "act_id": -1.0}] * 6).reshape(6, 1),
        "video_list": cell(["first", "second"], (1, 2)),
    }
    path = tmp_path / "mpii_human_pose_v1_u12_1.mat"
    savemat(path, {"RELEASE": structs([content])}, do_compression=True, long_field_names=True)
    touch(tmp_path / "images", *(f"{n:09d}.jpg" for n in range(6)))
    return path


def test_the_release(release: Path) -> None:
    found = read_mpii(release)
    assert set(found.skeleton.flip_pairs) == PAIRS and found.skeleton.normaliser == "head"
    assert found.root == release.parent / "images"
    assert [(image.path, image.split, image.group) for image in found.images] == [
        ("000000000.jpg", "train", "second"),
        ("000000001.jpg", "test", "000000001.jpg"),
        ("000000003.jpg", "test", "000000003.jpg"),
        ("000000005.jpg", "train", "second"),
    ]
    assert found.images[0].order == 1500
    first, second = found.images[0].people
    assert first.visible.tolist() == [0] * 10 + [2, 1, 1, 2, 1, 2]  # ids 15 down to 10
    assert first.joints_px[15].tolist() == [9, 19] and first.joints_px[10].tolist() == [14, 24]
    assert first.head_box_px == (100, 50, 130, 90)
    assert (first.centre_px, first.height_px) == ((60, 70), 500)
    assert (first.flags, second.flags) == ((), ("single",))  # the third annorect
    assert second.visible.tolist() == [0] * 9 + [1] + [0] * 6
    assert second.head_box_px is None
    tested, nowhere = found.images[1].people[0], found.images[2].people[0]
    assert not tested.visible.any() and (tested.centre_px, tested.height_px) == ((30, 40), 300)
    assert nowhere.centre_px is None
    assert set(found.notes) == {
        "1 points whose id is none of 0 to 15 (left out)",
        "2 people for training without any joint (left out)",
        "2 pictures without people (left out)",
    }


def test_a_release_that_contradicts_itself(structs, tmp_path: Path) -> None:
    row = {"image": structs([{"name": "../up.jpg"}]), "annorect": EMPTY}
    path = tmp_path / "r.mat"
    for train, message in (([[1]], "leads out"), ([[1, 0]], "1 pictures in annolist and 2")):
        content = structs([{"annolist": structs([row]), "img_train": np.array(train)}])
        savemat(path, {"RELEASE": content})
        with pytest.raises(InputError, match=message):
            read_mpii(path)
    with pytest.raises(InputError, match="no such file"):
        read_mpii(tmp_path / "nothing.mat")


def test_cpm_json(touch, tmp_path: Path) -> None:
    def row(name: str, validation: float, start: float) -> dict[str, Any]:
        joints = [[start + n, start + 2 * n, float(n % 2)] for n in range(16)]
        joints[3] = [0, 0, 0]
        return {
            "dataset": "MPI", "isValidation": validation, "img_paths": name,
            "img_width": 640, "img_height": 480, "objpos": [11.0, 21.0], "joint_self": joints,
            "scale_provided": 2.0, "annolist_index": 1, "people_index": 1, "numOtherPeople": 0,
        }  # fmt: skip

    rows = [row("a.jpg", 0, 1), row("a.jpg", 0, 101), row("b.jpg", 1, 1), row("b.jpg", 0, 1)]
    (tmp_path / "mpii_annotations.json").write_text(json.dumps(rows))
    touch(tmp_path / "images", "a.jpg", "b.jpg")
    found = read_mpii(tmp_path / "mpii_annotations.json")
    assert [(image.path, image.split, len(image.people)) for image in found.images] == [
        ("a.jpg", "train", 2),
        ("b.jpg", "validation", 1),
    ]
    person = found.images[0].people[1]
    assert person.visible.tolist() == [1, 2, 1, 0, *[1, 2] * 6]
    assert person.joints_px[5].tolist() == [105, 110]
    assert (person.centre_px, person.height_px) == ((10, 20), 400)
    assert "1 pictures of the validation left out of training" in found.notes
    assert any(note.startswith("3 people without a head box") for note in found.notes)


def hrnet(folder: Path, touch, name: str, count: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        joints = (200 * rng.random((16, 2)) + 10).round(3)
        joints[number] = -1
        rows.append(
            {
                "image": f"{number}.jpg", "center": [51.0, 61.0], "scale": 1.0,
                "joints": joints.tolist(), "joints_vis": [int(n != number) for n in range(16)],
            }
        )  # fmt: skip
        touch(folder.parent / "images", f"{number}.jpg")
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(rows))
    return rows


def test_hrnet_json_with_head_boxes(touch, tmp_path: Path) -> None:
    rows = hrnet(tmp_path / "annot", touch, "valid.json")
    boxes = np.array([[[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]], [[41.0, 51.0, 61.0], [52.0] * 3]])
    truth = np.array([row["joints"] for row in rows]).transpose(1, 2, 0)
    mat = tmp_path / "annot" / "gt_valid.mat"
    savemat(mat, {"headboxes_src": boxes, "pos_gt_src": truth})
    found = read_mpii(tmp_path / "annot" / "valid.json")
    assert [image.split for image in found.images] == ["validation"] * 3
    assert [image.people[0].head_box_px for image in found.images] == [
        (10, 11, 40, 51),
        (20, 21, 50, 51),
        (30, 31, 60, 51),
    ]
    # HRNet's evaluation: headsizes = 0.6 · ‖headboxes[1] − headboxes[0]‖
    sizes = 0.6 * np.linalg.norm(boxes[1] - boxes[0], axis=0)
    for image, size in zip(found.images, sizes, strict=True):
        x0, y0, x1, y1 = image.people[0].head_box_px or (0, 0, 0, 0)
        assert 0.6 * np.hypot(x1 - x0, y1 - y0) == pytest.approx(size)
    for number, image in enumerate(found.images):
        person = image.people[0]
        assert person.visible.tolist() == [int(n != number) for n in range(16)]
        known = person.visible > 0
        np.testing.assert_allclose(
            person.joints_px[known] + 1, np.array(rows[number]["joints"])[known]
        )

    savemat(mat, {"headboxes_src": boxes, "pos_gt_src": truth[:, :, ::-1]})
    with pytest.raises(InputError, match="lie elsewhere than in the JSON file"):
        read_mpii(tmp_path / "annot" / "valid.json")
    savemat(mat, {"headboxes_src": boxes[:, :, :2], "pos_gt_src": truth})
    with pytest.raises(InputError, match="do not belong to 3 people"):
        read_mpii(tmp_path / "annot" / "valid.json")


@pytest.mark.parametrize(
    "name, split",
    [("train.json", "train"), ("trainval.json", "train"), ("test.json", "test"), ("x.json", "")],
)
def test_hrnet_json_has_its_split_in_the_name(touch, tmp_path: Path, name: str, split: str) -> None:
    rows = hrnet(tmp_path / "annot", touch, name)
    if split == "test":
        rows = [{key: row[key] for key in ("image", "center", "scale")} for row in rows]
        (tmp_path / "annot" / name).write_text(json.dumps(rows))
    found = read_mpii(tmp_path / "annot" / name)
    assert {image.split for image in found.images} == {split}
    assert found.images[0].people[0].visible.any() == (split != "test")
    again = read_mpii(tmp_path / "annot" / name, split="validation")
    assert {image.split for image in again.images} == {"validation"}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "not json",
        "[1]",
        "[[" * 100_000,
        '[{"image": "a.jpg", "center": 3, "scale": 1}]',
        '[{"image": "a.jpg", "center": [1, 2], "scale": 1, "joints": [[1, 2]], "joints_vis": [1]}]',
        '[{"image": "../a.jpg", "center": [1, 2], "scale": 1}]',
        '[{"joint_self": [[1, 2, 3]], "img_paths": "a.jpg"}]',
    ],
)
def test_json_that_is_something_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.json").write_text(text)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError) as caught:
        read_mpii(tmp_path / "train.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_json_with_numbers_that_are_none(touch, tmp_path: Path) -> None:
    rows = hrnet(tmp_path / "annot", touch, "train.json", count=1)
    joints = rows[0]["joints"]
    joints[4], joints[5], joints[6] = [float("nan"), 3], [float("inf"), 3], [1e12, 3]
    rows[0] |= {"center": [None, 2], "scale": float("nan")}
    (tmp_path / "annot" / "train.json").write_text(json.dumps(rows))
    found = read_mpii(tmp_path / "annot" / "train.json")
    person = found.images[0].people[0]
    assert person.visible.tolist() == [0, 1, 1, 1, 0, 0, 0, *[1] * 9]
    assert person.centre_px is None and person.height_px is None
    assert any("2 joints beyond" in note for note in found.notes)


def test_five_real_pictures(shared_data: Path) -> None:
    folder = shared_data / "pose" / "mpii_sample"
    found = read_mpii(folder / "test_mpii.json")
    raw = json.loads((folder / "test_mpii.json").read_text())
    assert len(found.images) == len({row["image"] for row in raw}) == 5
    assert sum(len(image.people) for image in found.images) == len(raw)
    for image in found.images:
        picture = cv2.imread(str(found.root / image.path))
        assert picture is not None
        for person in image.people:
            points = person.joints_px[person.visible > 0]
            assert ((points >= 0) & (points < picture.shape[1::-1])).all()
            # the head's top lies above the neck on all five, and the two are a head apart
            top, neck = person.joints_px[9], person.joints_px[8]
            assert person.height_px is not None
            assert 0.05 < np.linalg.norm(top - neck) / person.height_px < 0.3
