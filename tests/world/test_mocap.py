"""Motion-captured people: joints against pybullet's kinematics and pictures; splits."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from avssl.world import ClipSpec

pybullet = pytest.importorskip("pybullet", reason="the extra avssl[mocap] is not installed")

from avssl.world.camera import Camera, look_at  # noqa: E402
from avssl.world.mocap import (  # noqa: E402
    POOL_SIZES,
    coco_of,
    render_clip,
    stage,
)
from avssl.world.mocap_body import JOINTS, Figure, draw_figure, joints_of, lathe, pose  # noqa: E402
from avssl.world.mocap_motion import (  # noqa: E402
    MOTIONS,
    TURNS,
    at_times,
    matrices,
    mirrored,
    perform,
    read_motion,
    repeat,
)
from avssl.world.mocap_place import Block  # noqa: E402
from avssl.world.mocap_studio import (  # noqa: E402
    FINE,
    Studio,
    projection_matrix,
    view_matrix,
)

ROOT = Path(__file__).parents[2]
SPEC = ClipSpec(seed=3, split="train", index=0, short_side_px=64, duration_s=1.0)
NAMES = [name for names in MOTIONS.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_joints_are_where_pybullets_own_humanoid_has_them(name: str):
    """Its URDF, posed from the file's numbers by its own kinematics, at keys all over."""
    import pybullet_data

    client = pybullet.connect(pybullet.DIRECT)
    try:
        path = Path(pybullet_data.getDataPath())
        humanoid = pybullet.loadURDF(
            str(path / "humanoid" / "humanoid.urdf"), globalScaling=0.25, physicsClientId=client
        )
        joints = {
            pybullet.getJointInfo(humanoid, n, physicsClientId=client)[1].decode(): n
            for n in range(pybullet.getNumJoints(humanoid, physicsClientId=client))
        }
        rows = json.loads((path / "data" / "motions" / f"humanoid3d_{name}.txt").read_text())
        motion = read_motion(name)
        found = joints_of(Figure(name="as it is"), pose(Figure(name="as it is"), motion))
        for frame in range(0, len(motion.root), max(len(motion.root) // 7, 1)):
            row = rows["Frames"][frame]
            w, x, y, z = np.array(row[4:8]) / np.linalg.norm(row[4:8])
            pybullet.resetBasePositionAndOrientation(
                humanoid, row[1:4], [x, y, z, w], physicsClientId=client
            )
            at = 8
            for joint in TURNS[1:]:
                if joint.endswith(("knee", "elbow")):
                    pybullet.resetJointState(
                        humanoid, joints[joint], row[at], physicsClientId=client
                    )
                    at += 1
                else:
                    quaternion = np.array(row[at : at + 4])  # up to 12 % off length one
                    w, x, y, z = quaternion / np.linalg.norm(quaternion)
                    pybullet.resetJointStateMultiDof(
                        humanoid, joints[joint], [x, y, z, w], physicsClientId=client
                    )
                    at += 4
            for number, joint in enumerate(JOINTS[:15]):
                link = joints["root" if joint == "pelvis" else joint]
                there = pybullet.getLinkState(
                    humanoid, link, computeForwardKinematics=True, physicsClientId=client
                )[4]
                np.testing.assert_allclose(found[frame, number], there, atol=2e-4, err_msg=joint)
    finally:
        pybullet.disconnect(client)


def test_projection_agrees_with_pybullets_matrices():
    eye, target = np.array([2.0, 1.5, 3.0]), np.array([0.1, 0.9, -0.2])
    camera = Camera(
        position=eye[None], rotation=look_at(eye[None], target[None], np.zeros(1)), focal=np.ones(1)
    )
    view = pybullet.computeViewMatrix(eye.tolist(), target.tolist(), [0, 1, 0])
    assert view_matrix(camera, 0) == pytest.approx(view, abs=1e-5)
    fov_deg = float(np.rad2deg(2 * np.arctan(0.5)))  # focal length of one picture's height
    lens = pybullet.computeProjectionMatrixFOV(fov_deg, 4 / 3, 0.1, 100.0)
    mine = projection_matrix(1.0, width_px=160, height_px=120)
    assert mine == pytest.approx(lens, abs=1e-4)
    points = np.random.default_rng(0).uniform([-1, 0, -1], [1, 2, 1], (1, 20, 3))
    found = camera.project(points, width_px=160, height_px=120)[0]
    matrix = np.reshape(lens, (4, 4)).T @ np.reshape(view, (4, 4)).T
    clip = np.concatenate([points[0], np.ones((20, 1))], axis=1) @ matrix.T
    x, y = (clip[:, 0] / clip[:, 3] + 1) / 2 * 160, (1 - clip[:, 1] / clip[:, 3]) / 2 * 120
    np.testing.assert_allclose(found, np.stack([x, y, clip[:, 3]], axis=1), rtol=1e-4, atol=1e-3)


def _ball(radius_m: float):
    bend = np.linspace(np.pi / 2, -np.pi / 2, 13)
    return lathe(radius_m * np.stack([np.sin(bend), np.cos(bend)], axis=-1))


def test_small_balls_at_the_joints_are_drawn_where_the_truth_says():
    """The renderer's own pictures: the middle of each ball's pixels, within 0.15 px."""
    staged = stage(dataclasses.replace(SPEC, short_side_px=128))
    empty = dataclasses.replace(staged.place, slabs=())
    width, height = 170, 128
    off = []
    with Studio(empty, width_px=width, height_px=height) as studio:
        texture = studio.add_texture(np.full((8, 8, 3), 255, np.uint8))
        body = studio.add_mesh(*_ball(0.06), texture)
        for frame in (0, 7, 15):
            for number in range(len(JOINTS)):
                column, row, deep = staged.joints_px[frame, number]
                if not (5 < column < width - 5 and 5 < row < height - 5):
                    continue
                pybullet.resetBasePositionAndOrientation(
                    body,
                    staged.joints[frame, number].tolist(),
                    [0, 0, 0, 1],
                    physicsClientId=studio.client,
                )
                _, depth, bodies = studio.shoot(staged.camera, frame)
                rows, columns = np.nonzero(bodies == body)
                middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / FINE
                off.append(middle - [column, row])
                assert depth[rows, columns].min() == pytest.approx(deep - 0.06, abs=0.005)
    assert len(off) > 35 and np.abs(off).max() < 0.15
    assert np.abs(np.mean(off, axis=0)).max() < 0.02  # no half pixel hides in it


def test_a_mirrored_movement_is_the_movement_in_a_mirror():
    motion = read_motion("cartwheel")
    figure = Figure(name="as it is")
    there = joints_of(figure, pose(figure, motion))
    back = joints_of(figure, pose(figure, mirrored(motion)))
    for number, name in enumerate(JOINTS):
        side, _, rest = name.partition("_")
        other = {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)
        np.testing.assert_allclose(
            back[:, JOINTS.index(other)], there[:, number] * [1, 1, -1], atol=1e-9
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_repeated_movement_does_not_jump(name: str):
    """Where one time ends and the next begins no joint turns faster than 5.7 rad/s (minimum jerk
    at 3 rad/s on average has a peak of 5.6), and the figure is not thrown elsewhere."""
    motion = read_motion(name)
    whole = repeat(motion, 8.0)
    assert whole.times_s[-1] >= 8.0 and (np.diff(whole.times_s) > 0).all()
    cosine = np.abs(np.sum(whole.turns[1:] * whole.turns[:-1], axis=-1)).clip(0, 1)
    rate = (2 * np.arccos(cosine)).max(axis=1) / np.diff(whole.times_s)
    keys = np.searchsorted(whole.times_s, motion.times_s[-1] + 1e-9)
    seam = whole.times_s[1:] > motion.times_s[-1] + 1e-9
    first = np.flatnonzero(seam)[: max(int(1.2 * 60), 1)]
    own = rate[: keys - 1].max()
    assert rate[first].max() <= max(5.7, own + 0.1)
    step = np.linalg.norm(np.diff(whole.root, axis=0), axis=1) / np.diff(whole.times_s)
    assert step.max() <= max(step[: keys - 1].max(), 2.5) + 0.1


def test_bones_keep_their_lengths_and_times_between_keys_lie_between():
    rng = np.random.default_rng(1)
    figure = draw_figure(rng, "somebody")
    times_s = np.arange(60) / 25
    joints = joints_of(figure, pose(figure, perform(rng, "walk", times_s)))
    for a, b in (("left_knee", "left_ankle"), ("right_elbow", "right_wrist"), ("chest", "neck")):
        length = np.linalg.norm(joints[:, JOINTS.index(a)] - joints[:, JOINTS.index(b)], axis=1)
        assert np.ptp(length) < 1e-9 and length[0] > 0.15
    motion = read_motion("run")
    keys = at_times(motion, motion.times_s)
    np.testing.assert_allclose(matrices(keys.turns), matrices(motion.turns), atol=1e-9)


def test_a_clip_is_a_function_of_its_spec_alone():
    frames, truth = render_clip(SPEC)
    again, truth_again = render_clip(SPEC)
    assert frames.dtype == np.uint8 and frames.shape == (truth["num_frames"], 3, 64, 86)
    np.testing.assert_array_equal(frames, again)
    assert truth == truth_again
    other, _ = render_clip(dataclasses.replace(SPEC, index=1))
    count = min(len(frames), len(other))
    assert np.abs(frames[:count].astype(int) - other[:count]).mean() > 10


def test_what_stands_in_front_hides_and_what_is_in_the_open_is_seen():
    staged = stage(SPEC)
    eye, body = staged.camera.position[0], staged.joints[0].mean(axis=0)
    forward = (body - eye) / np.linalg.norm(body - eye)
    wall = Block(
        centre=eye + 0.6 * forward,
        half=np.array([0.8, 0.8, 0.02]),
        yaw_rad=float(np.arctan2(forward[0], forward[2])),
        texture=np.full((8, 8, 3), 90, np.uint8),
    )
    states = {}
    for name, blocks in (("open", []), ("wall", [wall])):
        changed = dataclasses.replace(staged, blocks=blocks)
        states[name] = _truth_of(changed)
    inside = np.array(states["open"]) > 0
    assert (np.array(states["wall"])[inside] == 1).mean() > 0.97
    seen = np.array(states["open"]) == 2
    assert seen[inside].mean() > 0.6
    assert seen[:, JOINTS.index("head")].mean() > 0.9


def _truth_of(staged) -> list:
    from avssl.world.mocap import draw_frames

    truth = []
    for _ in draw_frames(staged, truth):
        pass
    return truth[0]["people"][0]["visibility"]


def test_the_box_holds_the_joints_that_are_seen():
    _, truth = render_clip(SPEC)
    person = truth["people"][0]
    points, states = np.array(person["keypoints_px"]), np.array(person["visibility"])
    boxes = np.array(person["boxes_px"])
    for points_of, state, box, area in zip(points, states, boxes, person["areas_px"], strict=True):
        seen = points_of[state == 2]
        assert (seen >= box[:2] - 0.5).all() and (seen <= box[2:] + 0.5).all()
        assert 0.1 < area / np.prod(box[2:] - box[:2]) <= 1.0


def test_splits_share_no_movement_no_figure_and_no_place():
    assert len(NAMES) == len(set(NAMES)) == 15
    seen: dict[object, str] = {}
    places: dict[bytes, str] = {}
    for split in POOL_SIZES:
        for index in range(6):
            staged = stage(dataclasses.replace(SPEC, split=split, index=index))
            assert staged.action in MOTIONS[split]
            looks = staged.looks["shirt"].tobytes() + staged.looks["skin"].tobytes()
            for key in (staged.figure.name, staged.figure.size, staged.place.name, looks):
                assert seen.setdefault(key, split) == split
            texture = staged.place.slabs[0].texture.tobytes() + staged.place.sky.tobytes()
            assert places.setdefault(texture, split) == split


def test_people_are_in_the_picture():
    shares, heights = [], []
    for split, names in MOTIONS.items():
        for index in range(len(names)):
            staged = stage(dataclasses.replace(SPEC, split=split, index=index, duration_s=4.0))
            x, y = staged.joints_px[..., 0], staged.joints_px[..., 1]
            shares.append(((x > 0) & (x < 86) & (y > 0) & (y < 64)).mean())
            heights.append(np.median(np.ptp(y, axis=1)) / 64)
    assert np.mean(shares) > 0.93 and min(shares) > 0.7
    assert 0.3 < np.median(heights) < 0.9


def test_coco_leaves_out_what_is_outside_the_picture():
    person = {
        "keypoints_px": [[[1.0, 2.0], [-5.0, 3.0]]] * 3,
        "visibility": [[2, 0]] * 3,
        "boxes_px": [[0.0, 1.0, 4.0, 8.0]] * 3,
        "areas_px": [9.0] * 3,
    }
    truth = {
        "clip": "train_00000",
        "video": "train/train_00000.mp4",
        "width_px": 86,
        "height_px": 64,
        "fps": 25,
        "num_frames": 3,
        "people": [person],
    }
    row = coco_of([truth])["annotations"][0]
    assert row["keypoints"] == [1.0, 2.0, 2, 0, 0, 0] and row["num_keypoints"] == 1
    assert row["bbox"] == [0.0, 1.0, 4.0, 7.0]
