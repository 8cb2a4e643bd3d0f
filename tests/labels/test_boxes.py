"""VOC's and COCO's boxes in their official layouts, their quirks, and wrong files."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.labels.boxes import clipped
from avssl.labels.coco_boxes import read_coco_boxes
from avssl.labels.voc import read_objects, read_voc
from avssl.labels.world_boxes import read_world_boxes
from avssl.prepare.boxes import write_boxes

XML = """<annotation>
  <folder>VOC2007</folder><filename>{name}.jpg</filename>
  <source><database>The VOC2007 Database</database></source>
  <size><width>50</width><height>40</height><depth>3</depth></size><segmented>0</segmented>
  {objects}
</annotation>"""
OBJECT = """<object><name>{name}</name><pose>Left</pose><truncated>1</truncated>{difficult}
  <bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>
  {more}</object>"""
PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>"  # noqa: E501
HARD = "<difficult>{}</difficult>"


def thing(name: str, *box: float, difficult: str = HARD.format(0), more: str = "") -> str:
    x0, y0, x1, y1 = box
    return OBJECT.format(name=name, x0=x0, y0=y0, x1=x1, y1=y1, difficult=difficult, more=more)


def picture(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOCdevkit with five pictures: 2 train, 1 val, 2 test, one of them without its file."""
    root = tmp_path / "VOCdevkit" / "VOC2007"
    lists = {"train": "000001\n000002\n", "val": "000003\n", "test": "000004\n\n000005\n"}
    lists["trainval"] = lists["train"] + lists["val"]
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "Annotations").mkdir()
    for name, text in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    # flags of one class: ids with −1, 0 or 1, which are no list of ours
    (root / "ImageSets" / "Main" / "cat_train.txt").write_text("000001 -1\n000002  1\n")
    objects = {
        1: [thing("person", 1, 1, 50, 40, more=PART), thing("cat", 11, 6, 20, 25)],
        2: [thing("dog", 3.5, 4.25, 60, 30, difficult="")],  # beyond the edge, no `difficult`
        3: [thing("cat", 2, 2, 9, 9, difficult=HARD.format(1))],
        4: [],
        5: [thing("bird", 5, 5, 6, 6)],
    }
    for number, own in objects.items():
        text = XML.format(name=f"{number:06d}", objects="".join(own))
        (root / "Annotations" / f"{number:06d}.xml").write_text(text)
        if number != 5:
            picture(root / "JPEGImages" / f"{number:06d}.jpg", number)
    return tmp_path


def test_voc_in_its_official_layout(voc: Path) -> None:
    found = read_voc(voc)
    assert len(found.classes) == 20 and found.root.name == "VOC2007"
    by_name = {Path(image.path).stem: image for image in found.images}
    assert {name: image.split for name, image in by_name.items()} == {
        "000001": "train", "000002": "train", "000003": "validation", "000004": "test",
    }  # fmt: skip
    # a thing over the whole picture, corners 1 to 50 and 1 to 40, both inside: 50 x 40 px
    first = by_name["000001"].things
    assert [one.label for one in first] == ["person", "cat"]  # the head is a part, no object
    assert first[0].box_px == (0, 0, 50, 40) and first[1].box_px == (10, 5, 20, 25)
    (second,) = by_name["000002"].things
    assert second.box_px == (2.5, 3.25, 50, 30) and not second.ignored
    assert by_name["000003"].things[0].ignored and by_name["000004"].things == ()
    assert any("1 pictures whose file is not there" in note for note in found.notes)
    again = read_voc(voc / "VOCdevkit" / "VOC2007", trainval=True)
    assert [image.split for image in again.images] == ["train", "train", "train", "test"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("<annotation><size>", "not XML"),
        ('<!DOCTYPE a [<!ENTITY b "cc">]><annotation>&b;</annotation>', "declares entities"),
        ("<annotations/>", "begins with <annotations>"),
        (XML.format(name="a", objects=thing("unicorn", 1, 1, 5, 5)), "none of VOC's 20 classes"),
        (XML.format(name="a", objects=thing("cat", 1, 1, 5, 5).replace("xmax", "x")), "no number"),
        (XML.format(name="a", objects=thing("cat", 1, "one", 5, 5)), "no number bndbox/ymin"),
        (XML.format(name="a", objects=thing("cat", 1, "inf", 5, 5)), "no number bndbox/ymin"),
    ],
)
def test_other_xml_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    from collections import Counter

    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_objects(path, Counter())
    assert len(str(caught.value).splitlines()) == 1


def test_entities_in_other_encodings_and_huge_files_are_refused(tmp_path: Path) -> None:
    from collections import Counter

    path = tmp_path / "a.xml"
    bomb = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "cc">]><annotation/>'
    path.write_bytes(bomb.encode("utf-16"))
    with pytest.raises(InputError, match="in UTF-8"):
        read_objects(path, Counter())
    hidden = b'<?xml version="1.0" encoding="cp037"?>' + "<!DOCTYPE a><annotation/>".encode("cp037")
    path.write_bytes(hidden)
    with pytest.raises(InputError):
        read_objects(path, Counter())
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_objects(path, Counter())


def test_wrong_folders_are_one_clear_line(voc: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ImageSets/Main"):
        read_voc(tmp_path / "nothing")
    main = voc / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main"
    (main / "train.txt").write_text("../../secret\n")
    with pytest.raises(InputError, match="leads out of the data set"):
        read_voc(voc)
    (main / "train.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="not a text file"):
        read_voc(voc)


def coco(**changes) -> dict:
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 50, "height": 40},
            {"id": 9, "file_name": "b.jpg", "width": 50, "height": 40},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [1.5, 2, 10, 20], "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 50, 40], "iscrowd": 1},
            {"image_id": 7, "category_id": 1, "bbox": [5, 5, 0, 3], "iscrowd": 0},
            {"image_id": 8, "category_id": 1, "bbox": [5, 5, 3, 3], "iscrowd": 0},
        ],
    } | changes


def test_coco_in_its_official_layout(tmp_path: Path) -> None:
    files = []
    for name in ("train2017", "val2017"):
        picture(tmp_path / name / "a.jpg")
        picture(tmp_path / name / "b.jpg")
        files.append(tmp_path / f"instances_{name}.json")
        files[-1].write_text(json.dumps(coco()))
    found = read_coco_boxes(files, images_root=tmp_path)
    assert found.classes == ("person", "toothbrush")
    assert [image.split for image in found.images] == ["train"] * 2 + ["validation"] * 2
    assert found.images[0].path == "train2017/a.jpg"
    one, crowd = found.images[0].things
    assert one.label == "toothbrush" and one.box_px == (1.5, 2, 11.5, 22) and not one.ignored
    assert crowd.ignored and found.images[1].things == ()
    assert sorted(note[:7] for note in found.notes) == ["2 boxes", "2 boxes"]


@pytest.mark.parametrize(
    "data, words",
    [
        ([], "not in COCO's layout"),
        (coco(categories=[{"id": 1}]), "categories is not as the format says"),
        (coco(annotations=[{"image_id": 7, "category_id": 5, "bbox": [1, 1, 5, 5]}]), "annotation"),
        (coco(annotations=[{"image_id": 7, "category_id": 1, "bbox": [1, 1]}]), "annotation 1"),
        (coco(images=[{"id": 7}]), "annotation 1 is not .* .no .width"),
    ],
)
def test_other_json_is_one_clear_line(tmp_path: Path, data, words: str) -> None:
    path = tmp_path / "instances_val2017.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=words):
        read_coco_boxes([path], images_root=tmp_path)


def test_boxes_are_cut_to_the_picture() -> None:
    assert clipped((-3, 5, 20, 90), (10, 40)) == (0, 5, 10, 40)
    assert clipped((12, 5, 20, 9), (10, 40)) is None


def test_the_scripts_write_catalogues(voc: Path, root: Path, monkeypatch, capsys) -> None:
    def run(name: str, *words: object) -> int:
        path = root / "datasets" / name / "make_catalog.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, words)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(path), run_name="__main__")
        return int(done.value.code or 0)

    assert run("voc07", voc, voc / "out", "--max-side", 25, "--quiet") == 0
    catalog = Catalog.read(voc / "out")
    cell = catalog.row(0).labels["boxes"]
    assert (catalog.row(0).width_px, catalog.row(0).height_px) == (25, 20)
    assert cell["scale"] == 0.5 and cell["boxes_px"] == [[0, 0, 25, 20], [5, 2.5, 10, 12.5]]
    assert [cell["names"][k] for k in cell["classes"]] == ["person", "cat"]
    path = voc / "instances_val2017.json"
    path.write_text(json.dumps(coco()))
    picture(voc / "val2017" / "a.jpg")
    assert run("coco_boxes", path, voc / "out2", "--images", voc, "--quiet") == 0
    assert Catalog.read(voc / "out2").column("split") == ["validation"]
    capsys.readouterr()
    assert run("voc07", voc / "out", voc / "out3") == 2
    assert run("coco_boxes", path, voc / "out4", "--images", voc / "out") == 2
    assert run("world_truth", voc, voc / "out5", "--labels", "boxes") == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_the_worlds_boxes_hold_what_is_seen(tmp_path: Path) -> None:
    truth = {
        "video": "train/c.mp4", "width_px": 64, "height_px": 32, "num_frames": 20,
        "people": [{"boxes_px": [[1, 2, 11.5, 30]] * 20, "areas_px": [200.0] * 20}],
        "things": [
            {"kind": "bell", "boxes_px": [[0, 0, 0, 0]] * 20, "areas_px": [0.0] * 20},
            {"kind": "ball", "boxes_px": [[60, 2, 64, 3]] * 20, "areas_px": [3.9] * 20},
        ],
    }  # fmt: skip
    path = tmp_path / "truth" / "train" / "c.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(truth))
    found = read_world_boxes(tmp_path)
    assert found.classes == ("person", "ball") and [i.frame for i in found.images] == [6, 18]
    person, ball = found.images[0].things
    assert person.box_px == (1, 2, 11.5, 30) and not person.ignored
    assert ball.ignored  # below the 2 x 2 px that a sixteenth of 32 px makes
    with pytest.raises(InputError, match="none of the 1"):  # a video that is not there
        from avssl.labels.boxes import present

        present(found.images, tmp_path)
    with pytest.raises(InputError, match="not empty"):
        write_boxes(found, tmp_path)
