"""The box that follows a person: inside the picture, and not thrown off by one wrong answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.downstream import pose_model
from avssl.downstream.pose_model import Pose

SIDES = st.tuples(st.integers(20, 400), st.integers(20, 400))
NUMBERS = st.floats(-1e4, 1e4)


@given(shape=SIDES, one=st.tuples(*[NUMBERS] * 4), other=st.tuples(*[NUMBERS] * 4))
def test_the_box_stays_inside_and_near(shape, one, other) -> None:
    def ordered(box):
        return (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))

    first = pose_model._held(ordered(one), None, shape)
    assert first is not None
    then = pose_model._held(ordered(other), first, shape)
    assert then is not None
    for x0, y0, x1, y1 in (first, then):
        assert -0.51 <= x0 < x1 <= shape[1] - 0.49 and -0.51 <= y0 < y1 <= shape[0] - 0.49
        assert x1 - x0 >= 15.9 and y1 - y0 >= 15.9
    (a0, b0, a1, b1), (x0, y0, x1, y1) = first, then
    for before, after in ((a1 - a0, x1 - x0), (b1 - b0, y1 - y0)):
        assert before / 1.081 <= after <= before * 1.081
    # a tenth of the longer side, and what the picture's edge takes from a box that grows
    most = 0.1 * max(a1 - a0, b1 - b0) + 0.04 * max(a1 - a0, b1 - b0) + 1e-6
    assert abs((x0 + x1) - (a0 + a1)) / 2 <= most and abs((y0 + y1) - (b0 + b1)) / 2 <= most


def test_one_wild_answer_does_not_lose_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person walks by 2 px a frame; every fourth answer is nonsense, given as sure."""
    pose = Pose.__new__(Pose)
    pose.task = type("Task", (), {"crop": "person"})()  # type: ignore[assignment]
    seen: list[tuple[float, float, float, float]] = []

    def predict(frames, boxes_px=None, *, flip_test=True):
        if boxes_px is not None:
            seen.append(tuple(boxes_px[0]))
        number = len(seen)
        x = 60 + 2 * number
        joints = np.array([[x - 15, 40, 1], [x + 15, 40, 1], [x, 100, 1]], np.float32)
        if number % 4 == 3:
            joints = np.array([[-900, 0, 1], [900, 5, 1], [10, 900, 1]], np.float32)
        return joints[None]

    monkeypatch.setattr(pose, "predict", predict, raising=False)
    frames = [np.zeros((3, 128, 200), np.uint8)] * 40
    assert len(list(pose.follow(frames))) == 40
    for number, (x0, y0, x1, y1) in enumerate(seen[6:], start=7):
        x = 60 + 2 * number
        assert x0 - 8 <= x - 15 and x + 15 <= x1 + 8 and y0 - 8 <= 40 and y1 + 8 >= 100
        assert x1 - x0 < 90 and y1 - y0 < 110
