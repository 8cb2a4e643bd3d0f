"""Labelled pictures become rows: pixels, places, splits and refusals."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.labels import LabelledImage, LabelledSet, Skeleton, person_of
from avssl.prepare.images import write_labelled

SKELETON = Skeleton(names=("a", "b"), edges=((0, 1),), normaliser="a-b")


def spot(path: Path, x: int, y: int, *, size=(200, 160)) -> None:
    """A picture that is black but for a white square of 8 px around (x, y)."""
    picture = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    picture[y - 4 : y + 5, x - 4 : x + 5] = 255
    cv2.imwrite(str(path), picture)


def image(path: str, joints, *, split: str = "train", **more) -> LabelledImage:
    return LabelledImage(path=path, people=(person_of(joints, **more),), split=split)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("max_side_px", [0, 100])
def test_joints_stay_on_their_pixels(tmp_path, suffix, max_side_px) -> None:
    spot(tmp_path / f"x{suffix}", 120, 50)
    labelled = LabelledSet(
        skeleton=SKELETON,
        root=tmp_path,
        images=[image(f"x{suffix}", [[120, 50], [np.nan, 3]], box_px=(100.0, 40.0, 140.0, 60.0))],
    )
    target = write_labelled(labelled, tmp_path / "set", max_side_px=max_side_px, quiet=True)
    row = Catalog.read(target).row(0)
    scale = 0.5 if max_side_px else 1.0
    assert (row.width_px, row.height_px) == (200 * scale, 160 * scale)
    cells = row.labels["keypoints"]
    assert cells["visible"] == [1, 0] and cells["joints_px"][1] is None
    assert cells["names"] == ["a", "b"] and cells["normaliser"] == "a-b"
    frame = Fetcher(target).frames(row, (row.start_s,)).frames[0, 0].astype(float)
    frame[frame < 40] = 0  # ringing of the JPEG
    rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
    found = [(columns * frame).sum() / frame.sum(), (rows * frame).sum() / frame.sum()]
    np.testing.assert_allclose(cells["joints_px"][0], found, atol=0.1)
    if suffix == ".jpg" and not max_side_px:  # kept byte for byte
        data = (target / row.store).read_bytes()
        own = data[row.video_offset : row.video_offset + row.video_num_bytes]
        assert own == (tmp_path / "x.jpg").read_bytes()


def test_two_people_share_one_picture_and_bad_files_are_listed(tmp_path) -> None:
    spot(tmp_path / "good.png", 50, 50)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG rubbish")
    people = (
        person_of([[1, 2], [3, 4]]),
        person_of([[5, 6], [7, 8]]),
        person_of([[np.nan] * 2] * 2),
    )
    labelled = LabelledSet(
        skeleton=SKELETON,
        root=tmp_path,
        images=[
            LabelledImage(path="good.png", people=people, split="test"),
            image("bad.png", [[1, 1], [2, 2]]),
            image("missing.png", [[1, 1], [2, 2]]),
        ],
    )
    target = write_labelled(labelled, tmp_path / "set", quiet=True)
    rows = Catalog.read(target).rows()
    assert len(rows) == 2  # the third has no joints
    assert rows[0].video_offset == rows[1].video_offset and rows[0].clip_id != rows[1].clip_id
    assert {row.split for row in rows} == {"test"}
    lines = [json.loads(line) for line in (target / "quarantine.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["bad.png", "missing.png"]
    assert json.loads((target / "prepare.json").read_text())["num_quarantined"] == 2


def test_refusals(tmp_path) -> None:
    labelled = LabelledSet(
        skeleton=SKELETON, root=tmp_path, images=[image("no.png", [[1, 1], [2, 2]])]
    )
    with pytest.raises(InputError, match=r"no picture with a labelled person.*no\.png"):
        write_labelled(labelled, tmp_path / "one", quiet=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InputError, match="not empty"):
        write_labelled(labelled, tmp_path / "full", quiet=True)
    with pytest.raises(InputError, match="max_side_px 3"):
        write_labelled(labelled, tmp_path / "two", max_side_px=3, quiet=True)
