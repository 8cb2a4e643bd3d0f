"""What is drawn is where the formulas say: projection, depth, normals, masks, flow."""

import cv2
import numpy as np
import pytest

from avssl.world.body import JOINTS
from avssl.world.camera import Camera
from avssl.world.clip import ClipSpec, Stage, pool_scene, stage
from avssl.world.render import FINE, FLOW_STEP_PX, Renderer, to_screen
from avssl.world.solids import BOX, CONE, ELLIPSOID, Material, SolidBuilder
from avssl.world.truth import FrameTruth

GREY = Material(colour=(0.4, 0.4, 0.4))
WIDTH, HEIGHT, FOCAL = 120, 90, 1.5


def straight_camera(count: int) -> Camera:
    """At (0, 1, 5), looking along -z."""
    return Camera(
        position=np.tile([0.0, 1.0, 5.0], (count, 1)),
        rotation=np.tile(np.diag([1.0, -1.0, -1.0]), (count, 1, 1)),
        focal=np.full(count, FOCAL),
    )


def renderer_of(builder: SolidBuilder, camera: Camera) -> Renderer:
    scene = pool_scene(0, "train", 0, short_side_px=64)
    return Renderer(
        solids=builder.build(), scene=scene, camera=camera, width_px=WIDTH, height_px=HEIGHT
    )


@pytest.fixture(scope="module")
def staged() -> Stage:
    return stage(ClipSpec(seed=3, split="train", index=2, short_side_px=96, duration_s=2.0))


@pytest.fixture(scope="module")
def rendered(staged: Stage) -> Renderer:
    width, height = staged.spec.size_px
    return Renderer(
        solids=staged.solids, scene=staged.scene, camera=staged.camera,
        width_px=width, height_px=height,
    )  # fmt: skip


def test_a_ball_has_the_depth_normals_and_outline_of_a_ball():
    builder = SolidBuilder(num_frames=1)
    centre, radius = np.array([0.3, 1.2, 0.5]), 0.4
    builder.ball(radius, centre, np.eye(3), GREY)
    renderer = renderer_of(builder, straight_camera(1))
    hits = renderer.trace(0)
    depth, normals = renderer.surface(0, hits)
    rows, columns = np.mgrid[0 : FINE * HEIGHT, 0 : FINE * WIDTH] + 0.5
    focal = FOCAL * FINE * HEIGHT
    ray = np.stack([(columns - FINE * WIDTH / 2) / focal, (rows - FINE * HEIGHT / 2) / focal,
                    np.ones_like(rows)], axis=-1)  # fmt: skip
    middle = np.array([0.3, -0.2, 4.5])  # in camera axes
    # Nearest approach of the ray to the centre decides the outline.
    on_ray = (ray @ middle) / (ray**2).sum(-1)
    away = np.linalg.norm(ray * on_ray[..., None] - middle, axis=-1)
    np.testing.assert_array_equal(hits.ids == 0, away < radius)
    seen = hits.ids == 0
    points = ray * depth[..., None]
    np.testing.assert_allclose(np.linalg.norm(points[seen] - middle, axis=-1), radius, rtol=1e-6)
    np.testing.assert_allclose(normals[seen], (points[seen] - middle) / radius, atol=1e-6)
    assert (np.sum(normals[seen] * ray[seen], -1) < 0).all()  # towards the camera


def test_cone_box_and_ball_agree_with_points_sampled_on_their_surfaces():
    """Points drawn on each surface fall on its pixels, none nearer to the camera than drawn."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    for kind, size in ((CONE, (0.3, 0.1, 0.8)), (BOX, (0.3, 0.2, 0.4)),
                       (ELLIPSOID, (0.5, 0.2, 0.3))):  # fmt: skip
        builder = SolidBuilder(num_frames=1)
        centre = np.array([-0.1, 0.9, 1.0])
        if kind == CONE:  # with its lids, since an open one shows nothing through its ends
            builder.can(centre, turn, size, GREY)
        else:
            builder.add(kind, size, centre, turn, GREY)
        renderer = renderer_of(builder, straight_camera(1))
        hits = renderer.trace(0)
        if kind == CONE:
            angle, high = rng.uniform(0, 2 * np.pi, 4000), rng.uniform(0, size[2], 4000)
            radius = size[0] + (size[1] - size[0]) * high / size[2]
            own = np.stack([radius * np.cos(angle), high, radius * np.sin(angle)], -1)
        elif kind == BOX:
            own = rng.uniform(-1, 1, (4000, 3))
            own[np.arange(4000), rng.integers(0, 3, 4000)] = rng.choice([-1, 1], 4000)
            own *= size
        else:
            own = rng.standard_normal((4000, 3))
            own *= np.array(size) / np.linalg.norm(own, axis=-1, keepdims=True)
        world = own @ turn.T + centre
        x, y, z = world[:, 0], 1.0 - world[:, 1], 5.0 - world[:, 2]
        focal = FOCAL * FINE * HEIGHT
        column = np.floor(focal * x / z + FINE * WIDTH / 2).astype(int)
        row = np.floor(focal * y / z + FINE * HEIGHT / 2).astype(int)
        hit = hits.ids[row, column] >= 0
        near = cv2.dilate((hits.ids >= 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert near[row, column].all(), kind  # a point on the very edge may miss by one pixel
        assert hit.mean() > 0.9, kind
        # No point of the surface is nearer than what is drawn there (or on the pixel beside).
        nearest = cv2.erode(np.minimum(hits.depth, 99.0), np.ones((3, 3), np.uint8))
        assert np.mean(z[hit] - nearest[row, column][hit] > -0.002) > 0.99, kind
        front = np.abs(z[hit] - hits.depth[row, column][hit]) < 0.03
        assert 0.15 < front.mean() < 0.75, kind  # a part of a closed surface is seen
        # Every pixel that is drawn has a surface point near it.
        count = np.zeros(hits.ids.shape)
        np.add.at(count, (row, column), 1)
        assert count[hits.ids == 0].mean() > 0.2, kind


def test_joints_are_projected_by_the_pinhole_formula(staged: Stage):
    width, height = staged.spec.size_px
    truth = FrameTruth(staged, None)  # type: ignore[arg-type]
    camera, joints = staged.camera, staged.people[0].skeleton.joints
    for frame in (0, 17, 40):
        for number, name in enumerate(JOINTS):
            right, down, forward = camera.rotation[frame]
            gap = joints[name][frame] - camera.position[frame]
            focal = camera.focal[frame] * min(width, height)
            x = width / 2 + focal * (gap @ right) / (gap @ forward)
            y = height / 2 + focal * (gap @ down) / (gap @ forward)
            np.testing.assert_allclose(truth.joints[0][frame, number, :2], [x, y], atol=1e-9)
        np.testing.assert_allclose(np.cross(*camera.rotation[frame][:2]), forward, atol=1e-9)


def test_visible_joints_lie_on_the_person_and_boxes_hold_its_pixels(
    staged: Stage, rendered: Renderer
):
    truth = FrameTruth(staged, rendered)
    person = staged.people[0]
    num_visible = 0
    for frame in range(0, len(staged.times_s), 7):
        hits = rendered.trace(frame)
        truth.add(frame, hits)
        owner = np.where(hits.ids >= 0, staged.solids.owners[hits.ids], -1)
        rows, columns = np.nonzero(owner == person.owner)
        box = truth.boxes[person.owner][frame] * FINE
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert truth.areas[person.owner][frame] == len(rows) / FINE**2
        for number in range(len(JOINTS)):
            x, y = np.floor(truth.joints[0][frame, number, :2] * FINE).astype(int)
            inside = 0 <= x < owner.shape[1] and 0 <= y < owner.shape[0]
            seen = truth.visibility[0][frame, number]
            assert (seen > 0) == inside
            if seen == 2:
                num_visible += 1
                assert owner[y, x] == person.owner
    assert num_visible > 60


def test_a_joint_behind_something_is_marked_hidden():
    spec = ClipSpec(seed=3, split="train", index=2, short_side_px=96, duration_s=1.0)
    staged = stage(spec)
    width, height = spec.size_px
    # A board right before the camera hides everything.
    camera = staged.camera
    builder = SolidBuilder(num_frames=len(staged.times_s), owner=99)
    place = camera.position + 0.5 * camera.rotation[:, 2]
    builder.add(BOX, (2.0, 2.0, 0.01), place, np.swapaxes(camera.rotation, 1, 2), GREY)
    board, old = builder.build(), staged.solids
    solids = type(old)(
        kinds=np.append(old.kinds, board.kinds), sizes=np.append(old.sizes, board.sizes, axis=0),
        centres=np.append(old.centres, board.centres, axis=1),
        rotations=np.append(old.rotations, board.rotations, axis=1),
        owners=np.append(old.owners, board.owners), casts=np.append(old.casts, board.casts),
        materials=old.materials + board.materials,
    )  # fmt: skip
    hidden = type(staged)(**{**staged.__dict__, "solids": solids})
    renderer = Renderer(
        solids=solids, scene=staged.scene, camera=camera, width_px=width, height_px=height
    )
    truth = FrameTruth(hidden, renderer)
    truth.owners.append(99)
    truth.boxes[99], truth.areas[99] = np.zeros((99, 4)), np.zeros(99)
    truth.add(0, renderer.trace(0))
    assert set(truth.visibility[0][0]) <= {0, 1}


def test_flow_of_a_board_that_slides_is_focal_times_shift_over_depth():
    builder = SolidBuilder(num_frames=2)
    places = np.array([[0.0, 1.0, 1.0], [0.1, 1.05, 1.0]])
    builder.add(BOX, (9.0, 9.0, 0.05), places, np.eye(3), GREY)
    renderer = renderer_of(builder, straight_camera(2))
    flow = renderer.flow(0, renderer.trace(0))
    depth = 5.0 - 1.05
    expected = FOCAL * HEIGHT * np.array([0.1, -0.05]) / depth
    np.testing.assert_allclose(flow, np.broadcast_to(expected, flow.shape), atol=1e-6)


def test_flow_equals_the_difference_of_projected_points(staged: Stage, rendered: Renderer):
    """Every grid point is carried to the next frame by hand, with matrices written anew."""
    frame, width, height = 12, *staged.spec.size_px
    hits = rendered.trace(frame)
    depth, _ = rendered.surface(frame, hits)
    flow = rendered.flow(frame, hits)
    camera, solids = staged.camera, staged.solids
    every, checked = FINE * FLOW_STEP_PX, 0
    for a in range(0, flow.shape[0], 3):
        for b in range(0, flow.shape[1], 3):
            j, i = every // 2 + a * every, every // 2 + b * every
            x, y = (i + 0.5) / FINE, (j + 0.5) / FINE
            focal = camera.focal[frame] * min(width, height)
            seen = depth[j, i] * np.array([(x - width / 2) / focal, (y - height / 2) / focal, 1.0])
            point = camera.rotation[frame].T @ seen + camera.position[frame]
            n = hits.ids[j, i]
            if n >= 0:
                own = solids.rotations[frame, n].T @ (point - solids.centres[frame, n])
                point = solids.rotations[frame + 1, n] @ own + solids.centres[frame + 1, n]
            else:
                assert min(abs(point[1]), abs(point[2] + staged.scene.back_m)) < 1e-6
            gap = camera.rotation[frame + 1] @ (point - camera.position[frame + 1])
            focal = camera.focal[frame + 1] * min(width, height)
            after = np.array([width / 2, height / 2]) + focal * gap[:2] / gap[2]
            np.testing.assert_allclose(flow[a, b], after - [x, y], atol=1e-6)
            checked += 1
    assert checked > 20


def test_the_screen_curve_and_the_light():
    assert to_screen(np.float32([0.0, 1.0, 2.0])).tolist() == [0, 255, 255]
    assert to_screen(np.float32([0.2140411]))[0] == pytest.approx(
        255 * 0.2140411 ** (1 / 2.2), abs=1
    )
    builder = SolidBuilder(num_frames=1)
    builder.ball(0.5, (0.0, 1.2, 1.0), np.eye(3), Material(colour=(0.5, 0.5, 0.5), shine=0.0))
    renderer = renderer_of(builder, straight_camera(1))
    hits = renderer.trace(0)
    _, normals = renderer.surface(0, hits)
    picture = renderer.linear(0, hits).mean(axis=-1)
    towards = np.diag([1.0, -1.0, -1.0]) @ renderer.scene.light.towards
    lambert = (normals @ towards)[::FINE, ::FINE]
    inside = (hits.ids >= 0)[::FINE, ::FINE]
    # The half that faces the lamp is brighter than the half that does not.
    assert picture[inside & (lambert > 0.5)].mean() > 1.5 * picture[inside & (lambert < 0)].mean()
