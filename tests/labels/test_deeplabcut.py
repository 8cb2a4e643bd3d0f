"""DeepLabCut and Lightning Pose: header rows, names in one or three cells, individuals, gaps."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from avssl.errors import InputError
from avssl.labels.deeplabcut import read_deeplabcut

HEADER = "scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"


@pytest.fixture
def project(touch, tmp_path: Path) -> Path:
    touch(tmp_path / "labeled-data", *(f"day1/img{n:02d}.png" for n in range(5)))
    return tmp_path


def write(folder: Path, rows: str, *, header: str = HEADER, name: str = "CollectedData.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(header + rows)


def test_lightning_pose_with_gaps(project: Path) -> None:
    write(
        project,
        "labeled-data/day1/img03.png,1.5,2.5,,\n"
        "labeled-data/day1/img01.png,10,20,30,nan\n"
        "\n"
        "labeled-data/day1/img02.png,,,,\n"
        "labeled-data/day1/img04.png,4,5\n"
        "labeled-data/day1/img99.png,4,5,6,7\n",
    )
    found = read_deeplabcut(project)
    assert found.skeleton.names == ("nose", "tail") and not found.skeleton.flip_pairs
    assert [(i.path[-9:], i.order, i.group, i.split) for i in found.images] == [
        (f"img0{n}.png", n, "day1", "") for n in (3, 1, 4)
    ]
    for image in found.images:
        assert image.people[0].visible.tolist() == [1, 0]
    assert found.images[0].people[0].joints_px[0].tolist() == [1.5, 2.5]
    assert set(found.notes) == {
        "1 pictures without any label (left out)",
        "1 pictures whose file is not there (such as labeled-data/day1/img99.png)",
    }


def test_deeplabcut_with_a_folder_a_video_and_names_in_three_cells(project: Path, touch) -> None:
    header = "scorer,,,me,me\nbodyparts,,,nose,nose\ncoords,,,x,y\n"
    for day in ("day1", "day2"):
        folder = project / "labeled-data" / day
        touch(folder, "img01.png")
        write(
            folder,
            f"labeled-data,{day},img01.png,1,2\n",
            header=header,
            name="CollectedData_me.csv",
        )
    found = read_deeplabcut(project, normaliser="picture")
    assert [(image.path, image.group) for image in found.images] == [
        (f"labeled-data/{day}/img01.png", day) for day in ("day1", "day2")
    ]
    assert found.skeleton.normaliser == "picture"
    one = read_deeplabcut(project / "labeled-data" / "day2" / "CollectedData_me.csv")
    assert [image.group for image in one.images] == ["day2"] and one.root == project


def test_names_with_backslashes(project: Path) -> None:
    write(project, "labeled-data\\day1\\img01.png,1,2,3,4\n")
    assert read_deeplabcut(project).images[0].path == "labeled-data/day1/img01.png"


def test_individuals_are_people(project: Path) -> None:
    header = (
        "scorer,me,me,me,me,me,me\nindividuals,a,a,a,a,single,single\n"
        "bodyparts,nose,nose,tail,tail,corner,corner\ncoords,x,y,x,y,x,y\n"
    )
    write(
        project,
        "labeled-data/day1/img01.png,1,2,3,4,5,6\nlabeled-data/day1/img02.png,,,,,5,6\n",
        header=header,
    )
    found = read_deeplabcut(project, flip_pairs=[("nose", "tail")])
    assert found.skeleton.names == ("nose", "tail", "corner")
    assert found.skeleton.flip_pairs == ((0, 1),)
    assert [[p.visible.tolist() for p in i.people] for i in found.images] == [
        [[1, 1, 0], [0, 0, 1]],
        [[0, 0, 1]],
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "header rows"),
        ("a,b\n1,2\n", "header rows"),
        (HEADER.replace("coords,x,y", "coords,y,x"), "begins no new pair"),
        (HEADER.replace("tail,tail", "tail,nose"), "begins no new pair"),
        (HEADER.replace("tail,tail", "nose,nose"), "begins no new pair"),
        (HEADER.replace("x,y\n", "likelihood,y\n"), "not a file of predictions"),
        (HEADER.replace("coords,x", "coords,x,x"), "different or absurd length"),
        ("scorer,me\nbodyparts,\ncoords,\n", "body parts after"),
        (HEADER + "labeled-data/day1/img01.png,one,2,3,4\n", "row 4"),
        (HEADER + "../img01.png,1,2,3,4\n", "leads out"),
        (HEADER + "/labeled-data/img01.png,1,2,3,4\n", "leads out"),
        (HEADER + ",1,2,3,4\n", "no file name"),
        (HEADER + "labeled-data/day1/img01.png,1,2,3,4\n" * 2, "labelled twice"),
        (HEADER + "elsewhere.png,1,2,3,4\n", "none of the 1 pictures"),
        (HEADER + '"' + "x" * 200_000, "not a CSV file"),
    ],
)
def test_other_tables_are_one_line(project: Path, text: str, message: str) -> None:
    (project / "CollectedData.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_deeplabcut(project)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_bytes_that_are_no_text(project: Path) -> None:
    (project / "CollectedData.csv").write_bytes(b"\x93\xff\x00\x01" * 50)
    with pytest.raises(InputError, match="not a CSV file"):
        read_deeplabcut(project)


def test_numbers_that_are_none(project: Path) -> None:
    write(project, "labeled-data/day1/img01.png,inf,2,1e30,4\nlabeled-data/day1/img02.png,1,2,,\n")
    found = read_deeplabcut(project)
    assert [image.order for image in found.images] == [2]
    assert any(note.startswith("2 joints beyond") for note in found.notes)


def test_which_file(project: Path) -> None:
    with pytest.raises(InputError, match=r"no CollectedData\*\.csv"):
        read_deeplabcut(project)
    (project / "CollectedData_me.h5").touch()
    for source in (project, project / "CollectedData_me.h5"):
        with pytest.raises(InputError, match="export the CSV"):
            read_deeplabcut(source)
    for name in ("CollectedData_a.csv", "CollectedData_b.csv"):
        write(project, "labeled-data/day1/img01.png,1,2,3,4\n", name=name)
    with pytest.raises(InputError, match="2 files CollectedData"):
        read_deeplabcut(project)
    assert len(read_deeplabcut(project / "CollectedData_b.csv").images) == 1
    with pytest.raises(InputError, match="no such part"):
        read_deeplabcut(project / "CollectedData_b.csv", flip_pairs=[("nose", "ear")])


def test_the_mouse(shared_data: Path) -> None:
    folder = shared_data / "pose" / "mirror_mouse"
    found = read_deeplabcut(folder)
    with (folder / "CollectedData.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))[3:]
    assert len(found.images) == len(rows) == 90 and len(found.skeleton.names) == 17
    assert found.notes == ()
    for image, row in zip(found.images, rows, strict=True):
        picture = cv2.imread(str(found.root / image.path))
        assert picture is not None and image.order == int(row[0][-6:-4])
        person = image.people[0]
        cells = np.array([float(cell) if cell else np.nan for cell in row[1:]]).reshape(17, 2)
        np.testing.assert_array_equal(person.joints_px, cells)
        inside = person.joints_px[person.visible > 0]
        assert ((inside >= -0.5) & (inside <= np.array(picture.shape[1::-1]))).all()
    assert {image.group for image in found.images} == {"labeled-data"}
