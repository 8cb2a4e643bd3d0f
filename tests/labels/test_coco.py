"""COCO's layout: names and lines from the file, crowds, boxes, the frames of the world."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.errors import InputError
from avssl.labels.coco import read_coco_keypoints
from avssl.labels.reading import joined

PERSON = {
    "id": 1,
    "name": "person",
    "keypoints": ["nose", "left_eye", "right_eye"],
    "skeleton": [[1, 2], [1, 3]],
}


def annotation(image: int, keypoints: list[float], **changes: Any) -> dict[str, Any]:
    row = {"id": 1, "image_id": image, "category_id": 1, "keypoints": keypoints}
    return row | {"bbox": [10.0, 20.0, 30.0, 40.0], "iscrowd": 0} | changes


@pytest.fixture
def write(touch, tmp_path: Path):
    def make(name: str = "person_keypoints_val2017.json", **changes: Any) -> Path:
        images = [{"id": n, "file_name": f"{n:03d}.jpg", "width": 64, "height": 48} for n in (7, 8)]
        data = {
            "images": images,
            "annotations": [annotation(7, [1, 2, 2, 3, 4, 1, 0, 0, 0])],
            "categories": [PERSON, {"id": 2, "name": "cup"}],
        } | changes
        touch(tmp_path / "pictures", "007.jpg", "008.jpg", "v/clip.mp4")
        (tmp_path / name).write_text(json.dumps(data))
        return tmp_path / name

    return make


def read(path: Path, **more: Any):
    return read_coco_keypoints(path, images_root=path.parent / "pictures", **more)


def test_names_lines_flips_joints_and_boxes(write) -> None:
    found = read(write())
    assert found.skeleton.names == ("nose", "left_eye", "right_eye")
    assert found.skeleton.edges == ((0, 1), (0, 2))
    assert found.skeleton.flip_pairs == ((1, 2),)
    assert found.skeleton.normaliser == "box"
    (image,) = found.images
    assert (image.path, image.split, image.group, image.frame) == (
        "007.jpg", "validation", "007.jpg", None,
    )  # fmt: skip
    (person,) = image.people
    assert person.visible.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(person.joints_px, [[1, 2], [3, 4], [np.nan, np.nan]])
    # the box's edges are half a pixel beyond the centres of its outermost pixels
    assert person.box_px == (9.5, 19.5, 39.5, 59.5)
    assert found.notes == ("1 pictures in which nobody has a joint (left out)",)
    assert read(write(), split="test").images[0].split == "test"


def test_crowds_and_people_without_keypoints(write) -> None:
    rows = [
        annotation(7, [1, 2, 2] * 3),
        annotation(7, [1, 2, 2] * 3, iscrowd=1),
        annotation(7, [0] * 9),
        annotation(8, [0] * 9),
        annotation(9, [1, 2, 2] * 3),
        annotation(7, [1, 2, 2] * 3, category_id=2),
    ]
    found = read(write(annotations=rows))
    (image,) = found.images
    assert [person.flags for person in image.people] == [(), ("crowd",), ()]
    assert [int((person.visible > 0).sum()) for person in image.people] == [3, 0, 0]
    assert all(person.box_px for person in image.people)
    assert set(found.notes) == {
        "1 crowds (kept as boxes without joints)",
        "2 people without labelled keypoints (kept as boxes)",
        "1 people whose picture is not listed (left out)",
        "1 pictures in which nobody has a joint (left out)",
    }


def test_frames_of_the_world_are_measured_from_the_corner(write) -> None:
    images = [
        {"id": n, "file_name": f"clip_{n:06d}.jpg", "video": "v/clip.mp4", "frame_index": n}
        for n in (7, 8)
    ]
    rows = [annotation(n, [1, 2, 2, 3, 4, 1, 0, 0, 0]) for n in (7, 8)]
    info = {"description": "avssl world, version 4"}
    found = read(write("coco_train.json", images=images, annotations=rows, info=info))
    assert [(i.path, i.frame, i.order, i.group, i.split) for i in found.images] == [
        ("v/clip.mp4", n, n, "v/clip.mp4", "train") for n in (7, 8)
    ]
    person = found.images[0].people[0]
    np.testing.assert_array_equal(person.joints_px[:2], [[0.5, 1.5], [2.5, 3.5]])
    assert found.skeleton.normaliser == "left_shoulder-right_hip"
    both = joined([found, read(write("x_test.json", images=images, annotations=rows, info=info))])
    assert [image.split for image in both.images] == ["train"] * 2 + ["test"] * 2
    with pytest.raises(InputError, match="other joints"):
        joined([found, read(write("y_test.json"))])


def test_files_whose_pictures_lie_in_folders_of_their_own(write, touch, tmp_path: Path) -> None:
    train, val = write("train.json"), write("val.json")
    touch(tmp_path / "more", "007.jpg")
    sets = [read(train), read_coco_keypoints(val, images_root=tmp_path / "more")]
    both = joined(sets)
    assert [(image.path, image.split) for image in both.images] == [
        ("pictures/007.jpg", "train"),
        ("more/007.jpg", "validation"),
    ]
    assert all((both.root / image.path).is_file() for image in both.images)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": {}},
        {"categories": []},
        {"categories": [PERSON, PERSON | {"id": 2, "keypoints": ["tail"]}]},
        {"categories": [PERSON | {"skeleton": [[1, 9]]}]},
        {"categories": [PERSON | {"keypoints": ["nose", "nose"]}]},
        {"annotations": [annotation(7, [1, 2, 2])]},
        {"annotations": [annotation(7, [1, 2, 2] * 3, bbox=["a", 1, 2, 3])]},
        {"annotations": [{"category_id": 1}]},
        {"annotations": [3]},
        {"images": [{"id": 7, "file_name": "../../etc/passwd"}]},
        {"images": [{"id": 7, "file_name": "007.jpg"}] * 2},
        {"images": [{"id": 7, "file_name": "a.jpg", "video": "/v/clip.mp4", "frame_index": 1}]},
        {"images": [{"id": 7, "file_name": "a.jpg", "video": "v/clip.mp4", "frame_index": -1}]},
        {"images": [{"id": 7, "file_name": "not there.jpg"}]},
    ],
)
def test_files_of_another_kind_are_one_line(write, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        read(write(**changes))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_numbers_that_are_none(write) -> None:
    nan, inf = float("nan"), float("inf")
    rows = [
        annotation(7, [nan, 2, 2, inf, 4, 2, 5, 6, 9], bbox=[nan, 0, 1, 1]),
        annotation(7, [1, 2, nan, 1e9, 4, 2, 5, 6, 1], bbox=[0, 0, -3, 1]),
        annotation(7, [1, 2, 2] * 3, bbox=[]),
    ]
    found = read(write(annotations=rows))
    assert [p.visible.tolist() for p in found.images[0].people] == [
        [0, 0, 2],
        [0, 0, 1],
        [2, 2, 2],
    ]
    assert all(person.box_px is None for person in found.images[0].people)
    assert any(note.startswith("2 joints beyond") for note in found.notes)
