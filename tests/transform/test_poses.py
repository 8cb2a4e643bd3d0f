"""Views of a person: joints go where their pixels go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.transform.poses import View, box_around, inverse, move, show, swapped


def dots(points: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """uint8 [3, H, W]: a soft bright spot at each point."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.zeros((height, width))
    for x, y in points:
        picture = np.maximum(picture, 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18))
    return np.repeat(picture[None], 3, axis=0).astype(np.uint8)


@pytest.mark.parametrize("side", [48.0, 96.0, 230.0, 400.0])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle_deg", [0.0, -25.0])
def test_the_bright_spot_is_where_the_joint_is_said_to_be(side, flip, angle_deg) -> None:
    joint = np.array([[131.0, 77.0]])
    frame = dots(joint, height=200, width=260)
    view = View(
        centre_px=(125.0, 83.0), sides_px=(side, side), size_px=64, angle_deg=angle_deg, flip=flip
    )
    shown = show(frame, view)
    assert shown.shape == (3, 64, 64)
    told = move(joint, view.matrix())[0]
    weights = shown[0].astype(float)
    rows, columns = np.mgrid[:64, :64]
    # beyond the picture all is grey: only the surroundings of the joint count
    weights[(columns - told[0]) ** 2 + (rows - told[1]) ** 2 > max(5.0, 900 / side * 2) ** 2] = 0
    weights[weights < 20] = 0
    found = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
    np.testing.assert_allclose(found, told, atol=0.12)


def test_squeezed_sides() -> None:
    view = View(centre_px=(50.0, 20.0), sides_px=(100.0, 40.0), size_px=20)
    corners = move(np.array([[0.0, 0.0], [100.0, 40.0], [50.0, 20.0]]), view.matrix())
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [19.5, 19.5], [9.5, 9.5]])


def test_turning_is_clockwise_and_the_mirror_comes_after() -> None:
    view = View(centre_px=(0.0, 0.0), sides_px=(10.0, 10.0), size_px=10, angle_deg=90.0)
    right = move(np.array([[1.0, 0.0]]), view.matrix())[0] - 4.5
    np.testing.assert_allclose(right, [0.0, 1.0], atol=1e-12)  # to the right → downwards
    mirrored = View(
        centre_px=(0.0, 0.0), sides_px=(10.0, 10.0), size_px=10, angle_deg=45.0, flip=True
    )
    place = move(np.array([[1.0, 0.0]]), mirrored.matrix())[0] - 4.5
    np.testing.assert_allclose(place, [-np.sqrt(0.5), np.sqrt(0.5)])


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-500, 500), st.floats(-500, 500), st.floats(8, 2000), st.integers(16, 300),
    st.floats(-180, 180), st.booleans(),
)  # fmt: skip
def test_there_and_back(x, y, side, size_px, angle_deg, flip) -> None:
    view = View(
        centre_px=(x, y), sides_px=(side, side), size_px=size_px, angle_deg=angle_deg, flip=flip
    )
    points = np.array([[0.0, 0.0], [x, y], [300.0, -20.0], [np.nan, 5.0]])
    back = move(move(points, view.matrix()), inverse(view.matrix()))
    np.testing.assert_allclose(back[:3], points[:3], atol=1e-6)
    assert np.isnan(back[3]).any()
    np.testing.assert_allclose(move(points[1:2], view.matrix())[0], (size_px - 1) / 2, atol=1e-6)


def test_shrinking_keeps_the_mean_of_fine_patterns() -> None:
    """A chessboard of single pixels, shrunk by 8, is its mean grey, not another pattern."""
    board = (np.indices((256, 256)).sum(0) % 2 * 200).astype(np.uint8)
    shown = show(
        np.repeat(board[None], 3, 0),
        View(centre_px=(127.5, 127.5), sides_px=(256, 256), size_px=32),
    )
    assert np.abs(shown.astype(int) - 100).max() <= 1


def test_pairs_change_places_and_twice_is_nothing() -> None:
    values = np.arange(5)
    assert swapped(values, [(0, 1), (2, 4)]).tolist() == [1, 0, 4, 3, 2]
    assert swapped(swapped(values, [(0, 1), (2, 4)]), [(0, 1), (2, 4)]).tolist() == [0, 1, 2, 3, 4]


def test_box_around_labelled_joints() -> None:
    joints = np.array([[3.0, 9.0], [np.nan, np.nan], [-1.0, 4.0]])
    assert box_around(joints) == (-1.0, 4.0, 3.0, 9.0)
    assert box_around(np.full((2, 2), np.nan)) is None
