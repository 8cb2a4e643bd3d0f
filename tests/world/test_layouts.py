"""The world as FLIC and as MPII: the official structs, and the parsers read the truth back."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.labels.coco import read_coco_keypoints
from avssl.labels.flic import read_flic
from avssl.labels.mpii import read_mpii
from avssl.labels.mpii_people import MPII_JOINTS
from avssl.labels.reading import joined
from avssl.labels.records import LabelledSet, Person
from avssl.world.body import COCO_JOINTS
from avssl.world.layouts import write_layout

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def laid_out(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layouts")
    for layout in ("flic", "mpii"):
        write_layout(small_world, layout, destination=folder / layout, quiet=True)
    return folder


@pytest.fixture(scope="session")
def truths(small_world: Path) -> dict[str, Any]:
    paths = sorted((small_world / "truth").glob("*/*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


@pytest.fixture(scope="session")
def coco(small_world: Path) -> dict[str, Person]:
    """The same people by the world's COCO files: {picture: person}."""
    files = [small_world / "truth" / f"coco_{s}.json" for s in ("train", "validation", "test")]
    found = joined([read_coco_keypoints(path, images_root=small_world) for path in files])
    return {f"{Path(i.path).stem}_{i.frame:06d}.jpg": i.people[0] for i in found.images}


def truth_of(truths: dict[str, Any], name: str) -> tuple[dict[str, Any], int, dict[str, Any]]:
    clip, frame = name.rsplit("_", 1)
    return truths[clip], int(frame[:-4]), truths[clip]["people"][0]


def test_flic_has_the_official_struct(laid_out: Path) -> None:
    examples = loadmat(laid_out / "flic" / "examples.mat")["examples"]
    assert examples.shape[0] == 1 and examples.shape[1] >= 10
    assert examples.dtype.names == (
        "poselet_hit_idx", "moviename", "coords", "filepath", "imgdims", "currframe", "torsobox",
        "istrain", "istest",
    )  # fmt: skip
    first = examples[0, 0]
    assert first["coords"].shape == (2, 29) and first["torsobox"].shape == (1, 4)
    assert first["imgdims"].tolist() == [[64, 86, 3]]
    assert (laid_out / "flic" / "images" / first["filepath"][0]).is_file()
    labelled = {0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16}
    found = {int(c) for e in examples[0] for c in np.flatnonzero(np.isfinite(e["coords"][0]))}
    assert found <= labelled and len(found) > 8
    assert all(e["istrain"][0, 0] + e["istest"][0, 0] == 1 for e in examples[0])


def test_flic_gives_the_truth_back(
    laid_out: Path, truths: dict[str, Any], coco: dict[str, Person]
) -> None:
    found = read_flic(laid_out / "flic")
    assert found.notes == () and len(found.images) >= 10
    assert {image.split for image in found.images} == {"train", "test"}
    for image in found.images:
        name = Path(image.path).name
        truth, frame, person = truth_of(truths, name)
        assert (image.group, image.order) == (truth["clip"], frame)
        assert (image.split == "test") == (truth["split"] == "test")
        (read,) = image.people
        assert read.torso_px is not None
        for joint, joint_name in enumerate(found.skeleton.names):
            place = truth["joint_names"].index(joint_name)
            assert (read.visible[joint] > 0) == (person["visibility"][frame][place] > 0)
            if read.visible[joint]:
                there = np.array(person["keypoints_px"][frame][place]) - 0.5
                np.testing.assert_allclose(read.joints_px[joint], there, atol=1e-9)
                np.testing.assert_allclose(read.joints_px[joint], coco[name].joints_px[place])
                if "shoulder" in joint_name or "hip" in joint_name:
                    x0, y0, x1, y1 = read.torso_px
                    assert x0 < there[0] < x1 and y0 < there[1] < y1


def check_mpii(found: LabelledSet, truths: dict[str, Any], *, hidden_known: bool) -> int:
    num_joints = 0
    for image in found.images:
        truth, frame, person = truth_of(truths, image.path)
        (read,) = image.people
        states = person["visibility"][frame]
        for joint, name in enumerate(MPII_JOINTS):
            named = {"thorax": "neck", "upper_neck": "neck"}.get(name, name)
            place = truth["joint_names"].index(named)
            top = truth["joint_names"].index("head_top")
            state = states[place]
            there = np.array(person["keypoints_px"][frame][place]) - 0.5
            if name in ("upper_neck", "head_top"):  # both or none
                neck = truth["joint_names"].index("neck")
                state = min(states[neck], states[top])
                low = np.array(person["keypoints_px"][frame][neck]) - 0.5
                high = np.array(person["keypoints_px"][frame][top]) - 0.5
                there = high if name == "head_top" else 0.75 * low + 0.25 * high
            if image.split == "test":
                state = 0
            assert (read.visible[joint] > 0) == (state > 0)
            if state:
                num_joints += 1
                np.testing.assert_allclose(read.joints_px[joint], there, atol=2e-3)
                if hidden_known and name not in ("upper_neck", "head_top"):
                    assert read.visible[joint] == state
    return num_joints


def test_mpii_release(laid_out: Path, truths: dict[str, Any]) -> None:
    path = laid_out / "mpii" / "mpii_human_pose_v1_u12_1.mat"
    release = loadmat(path)["RELEASE"]
    assert release.shape == (1, 1)
    assert release.dtype.names == (
        "annolist", "img_train", "version", "single_person", "act", "video_list",
    )  # fmt: skip
    content = release[0, 0]
    count = content["annolist"].shape[1]
    assert content["img_train"].shape == (1, count)
    assert content["single_person"].shape == content["act"].shape == (count, 1)
    assert content["annolist"].dtype.names == ("image", "annorect", "frame_sec", "vidx")
    found = read_mpii(path)
    assert found.notes == () and len(found.images) == count >= 10
    assert check_mpii(found, truths, hidden_known=False) > 100
    for image in found.images:
        truth, frame, _ = truth_of(truths, image.path)
        assert (image.group, image.order) == (truth["clip"], 40 * frame)  # 25 frames a second
        (person,) = image.people
        assert person.flags == ("single",) and person.centre_px and person.height_px
        assert (person.head_box_px is None) == (image.split == "test")
        if person.visible[9] and person.head_box_px is not None:
            x0, y0, x1, y1 = person.head_box_px
            for joint in (8, 9):
                x, y = person.joints_px[joint]
                assert x0 - 2e-3 <= x <= x1 + 2e-3 and y0 - 2e-3 <= y <= y1 + 2e-3
            length = np.linalg.norm(person.joints_px[9] - person.joints_px[8])
            assert 0.8 * length <= x1 - x0 + 2e-3 and np.hypot(x1 - x0, y1 - y0) < 2 * length + 2


def test_mpii_json_flavours(laid_out: Path, truths: dict[str, Any]) -> None:
    release = read_mpii(laid_out / "mpii" / "mpii_human_pose_v1_u12_1.mat")
    heads = {image.path: image.people[0].head_box_px for image in release.images}
    cpm = read_mpii(laid_out / "mpii" / "mpii_annotations.json")
    assert check_mpii(cpm, truths, hidden_known=True) > 100
    counts: dict[str, int] = {}
    for name, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        one = read_mpii(laid_out / "mpii" / "annot" / f"{name}.json")
        counts[split] = len(one.images)
        assert {image.split for image in one.images} == {split}
        assert {truth_of(truths, image.path)[0]["split"] for image in one.images} == {split}
        assert (check_mpii(one, truths, hidden_known=False) > 0) == (split != "test")
        if split == "validation":
            for image in one.images:
                assert image.people[0].head_box_px == pytest.approx(heads[image.path])
    both = read_mpii(laid_out / "mpii" / "annot" / "trainval.json")
    assert len(both.images) == len(cpm.images) == counts["train"] + counts["validation"]
    assert len(release.images) == sum(counts.values())
    truth = loadmat(laid_out / "mpii" / "annot" / "gt_valid.mat")
    assert truth["pos_gt_src"].shape == (16, 2, counts["validation"])
    assert truth["headboxes_src"].shape == (2, 2, counts["validation"])
    assert truth["jnt_missing"].shape == (16, counts["validation"])
    named = [str(one[0]) for one in truth["dataset_joints"][0]]
    assert named[:2] + named[9:10] == ["rank", "rkne", "head"]


def test_pictures_are_the_frames(laid_out: Path, small_world: Path, truths: dict[str, Any]) -> None:
    names = [path.name for path in sorted((laid_out / "mpii" / "images").iterdir())]
    assert len(names) >= 10
    for name in names[::7]:
        truth, frame, _ = truth_of(truths, name)
        with av.open(str(small_world / truth["video"])) as container:
            frames = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
        picture = cv2.imread(str(laid_out / "mpii" / "images" / name))
        assert picture is not None
        apart = [np.abs(picture.astype(float) - other).mean() for other in frames]
        assert apart[frame] < 4 and apart[frame] <= min(apart) + 0.05, (name, apart)


def test_the_command_writes_both_and_refuses_what_is_no_world(
    small_world: Path, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    script = [sys.executable, str(ROOT / "tools" / "make_world.py"), str(world), "--quiet"]
    counts = ["--train", "3", "--validation", "2", "--test", "2", "--seed", "5"]
    size = ["--short-side", "64", "--duration", "2"]
    for _ in range(2):  # the second time changes nothing
        done = subprocess.run(
            [*script, *counts, *size, "--layout", "flic", "--layout", "mpii"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert read_flic(world / "flic").images and read_mpii(world / "mpii" / "annot" / "valid.json")
    assert not list(world.rglob("*.partial*"))
    with pytest.raises(InputError, match="no finished world"):
        write_layout(tmp_path, "flic")
    with pytest.raises(InputError, match="must be one of flic, mpii"):
        write_layout(world, "lsp")


@pytest.mark.parametrize("layout", ["flic", "mpii"])
def test_from_the_official_layout_to_a_catalogue(
    laid_out: Path, coco: dict[str, Person], tmp_path: Path, layout: str
) -> None:
    folder = laid_out / layout
    labels = [folder / "annot" / f"{name}.json" for name in ("train", "valid", "test")]
    script = [sys.executable, str(ROOT / "datasets" / layout / "make_catalog.py"), "--quiet"]
    script += map(str, [folder] if layout == "flic" else labels)
    done = subprocess.run([*script, str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    catalog = Catalog.read(tmp_path / "out")
    labelled = read_flic(folder) if layout == "flic" else joined([read_mpii(p) for p in labels])
    expected = [i for i in labelled.images if i.people[0].visible.any()]
    assert len(catalog) == len(expected) >= 10
    splits = {row.split for row in catalog.rows()}
    assert splits == {"train", "validation"} | ({"test"} if layout == "flic" else set())
    num_joints = 0
    for row in catalog.rows():
        cell = row.labels["keypoints"]
        truth = coco[Path(row.source).name]
        assert cell["normaliser"] == ("torso" if layout == "flic" else "head")
        assert (layout == "flic") or row.split != "validation" or cell["head_box_px"]
        for name, point in zip(cell["names"], cell["joints_px"], strict=True):
            if point is not None and name in COCO_JOINTS:
                joint = COCO_JOINTS.index(name)
                np.testing.assert_allclose(point, truth.joints_px[joint], atol=2e-3)
                num_joints += 1
    assert num_joints > 80
    _train_and_score(tmp_path / "out", tmp_path / "run", layout)


def _train_and_score(data: Path, run: Path, layout: str) -> None:
    """The rest of the way: a few steps of training, and the official figure against a loop."""
    from avssl.cli import main
    from avssl.run.pose import load_pose
    from avssl.run.pose_eval import answers

    split = "test" if layout == "flic" else "validation"
    words = ["train", "keypoints", "--data", str(data), "--out", str(run), "--steps", "3"]
    words += ["--batch-size", "4", "--workers", "0", "--num-evaluation-samples", "4"]
    assert main(words) == 0
    assert main(["eval", "pose", str(run), "--data", str(data), "--split", split, "--quiet"]) == 0
    found = json.loads((run / f"pose_{split}.json").read_text())
    rows = Catalog.read(data).select(split=split)
    pose = load_pose(run)
    names = pose.joint_names
    said = answers(pose, rows, range(len(rows)))
    hits: dict[str, list[bool]] = {name: [] for name in names}
    for predicted, true, row in zip(said.predictions, said.truth, rows.rows(), strict=True):
        if layout == "flic":
            length = np.linalg.norm(
                true[names.index("left_shoulder")] - true[names.index("right_hip")]
            )
        else:
            x0, y0, x1, y1 = row.labels["keypoints"]["head_box_px"]
            length = 0.6 * np.hypot(x1 - x0, y1 - y0)
        for name, one, other in zip(names, predicted, true, strict=True):
            if np.isfinite(other).all():
                limit = 0.2 if layout == "flic" else 0.5
                hits[name].append(bool(np.linalg.norm(one - other) <= limit * length))
    counted = [h for n, own in hits.items() for h in own if n not in ("pelvis", "thorax")]
    if layout == "mpii":
        assert found["official"]["mpii"]["pckh_0.5"] == pytest.approx(np.mean(counted), abs=1e-9)
    else:
        assert set(found["official"]["flic"]) >= {"elbow_auc", "wrist_auc", "elbow_curve"}
    assert found["scores"]["pck_mean"] == pytest.approx(np.mean(counted), abs=1e-9)
