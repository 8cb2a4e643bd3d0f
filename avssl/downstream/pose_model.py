"""A trained pose network on whole frames: joints in source pixels.

pose = avssl.load_pose(run)
pose.predict(frames)                     # float32 [T, K, 3]: x, y, confidence
pose.predict(frames, boxes_px=boxes)     # somebody says where the person is
for joints in pose.follow(stream): …     # a video: the box follows the joints
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.downstream.keypoints import Keypoints
from avssl.downstream.keypoints_data import BOX_MARGIN
from avssl.errors import InputError
from avssl.transform.poses import View, inverse, move, show, swapped

Box = tuple[float, float, float, float]
SURE = 0.3
"""Confidence from which a joint helps to say where the person is."""
_BATCH = 32
_FOLLOW_MARGIN = 1.35  # the joints' box is smaller than the person's: head and hands stand out
_MOST_SHIFT, _MOST_GROWTH, _LEAST_HALF_PX = 0.1, 1.08, 8.0
"""Of the box that is followed, from frame to frame: as a share of its side, and as a factor."""


class Pose:
    """Encoder and head with what they were trained for."""

    def __init__(self, task: Keypoints, encoders: Mapping[str, nn.Module], head: nn.Module) -> None:
        self.task = task
        self.encoders = dict(encoders)
        self.head = head
        for module in (*self.encoders.values(), head):
            module.eval()

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, in the order of the results."""
        return self.task.joints

    def predict(
        self,
        frames: NDArray[np.uint8],
        *,
        boxes_px: Sequence[Box] | NDArray[np.floating] | None = None,
        flip_test: bool = True,
    ) -> NDArray[np.float32]:
        """Gives joints in pixels of the frames: float32 [T, K, 3], x, y and confidence (0 to 1).

        Args:
            frames: uint8 [T, 3, H, W], RGB.
            boxes_px: [T, 4] x0, y0, x1, y1 of the person in each frame; None: the whole frame.
            flip_test: answer for the mirrored picture too, and give the mean (where the joints have
                pairs).

        Raises:
            InputError: wrong shapes.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or frames.dtype != np.uint8:
            raise InputError(f"frames must be uint8 [T, 3, H, W], got {list(frames.shape)}")
        if boxes_px is not None and np.shape(boxes_px) != (len(frames), 4):
            raise InputError(f"boxes_px must be [{len(frames)}, 4], got {list(np.shape(boxes_px))}")
        height, width = frames.shape[2:]
        views = [
            self.view_of_box((0.0, 0.0, width - 1.0, height - 1.0), margin=1.0)
            if boxes_px is None
            else self.view_of_box(tuple(map(float, boxes_px[k])))  # type: ignore[arg-type]
            for k in range(len(frames))
        ]
        return self.predict_views(list(frames), views, flip_test=flip_test)

    def predict_views(
        self, frames: Sequence[NDArray[np.uint8]], views: Sequence[View], *, flip_test: bool = True
    ) -> NDArray[np.float32]:
        """Gives joints in pixels of the frames [3, H, W] of any sizes, each through its view."""
        found = np.zeros((len(frames), len(self.task.joints), 3), dtype=np.float32)
        for start in range(0, len(frames), _BATCH):
            part = range(start, min(start + _BATCH, len(frames)))
            crops = np.stack([show(frames[k], views[k]) for k in part])
            points, confidence = self._answer(torch.from_numpy(crops), flip_test=flip_test)
            for k, own, sure in zip(part, points, confidence, strict=True):
                found[k, :, :2] = move(own, inverse(views[k].matrix()))
                found[k, :, 2] = sure
        return found

    def view_of_box(self, box_px: Box, *, margin: float = BOX_MARGIN) -> View:
        """Gives the square around a box."""
        x0, y0, x1, y1 = box_px
        side = max(x1 - x0, y1 - y0, 8.0) * margin
        return View(
            centre_px=((x0 + x1) / 2, (y0 + y1) / 2),
            sides_px=(side, side),
            size_px=self.task.size_px,
        )

    @torch.no_grad()
    def _answer(
        self, crops: Tensor, *, flip_test: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        where = next(self.head.parameters()).device
        batch = {"frames": crops.to(where)}
        out: dict[str, Any] = dict(self.task.predict(self.encoders, self.head, batch))
        pairs = self.task.flip_pairs
        if flip_test and pairs:
            order = swapped(np.arange(len(self.task.joints)), pairs).tolist()
            mirrored = {"frames": batch["frames"].flip(3)}
            other = self.task.predict(self.encoders, self.head, mirrored)
            if "maps" in out:
                out["maps"] = (out["maps"] + other["maps"][:, order].flip(3)) / 2
            else:
                back = other["points"][:, order].clone()
                back[..., 0] = self.task.size_px - 1 - back[..., 0]
                out["points"] = (out["points"] + back) / 2
        points, confidence = self.task.decode(out)
        return points.cpu().double().numpy(), confidence.cpu().double().numpy()

    def follow(
        self, frames: Iterable[NDArray[np.uint8]], *, box_px: Box | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yields the joints [K, 3] of each frame [3, H, W] of a video with one person.

        A network trained on persons' boxes looks at the whole frame first, then around the joints
        that it is sure of, then around those of the frame before; where it is sure of fewer than
        three, it begins again with the whole frame. From frame to frame the box moves and grows by
        little and never leaves the picture: one wrong answer, given with full confidence, cannot
        throw it off. One trained on whole pictures just looks.

        Args:
            frames: one after another, all of one size.
            box_px: where the person is in the first frame.
        """
        box = box_px
        for frame in frames:
            whole = frame[None]
            if self.task.crop == "picture":
                yield self.predict(whole)[0]
                continue
            if box is None:
                box = self._around(self.predict(whole)[0])
            joints = self.predict(whole, boxes_px=None if box is None else [box])[0]
            box = _held(self._around(joints), box, frame.shape[1:])
            yield joints

    def _around(self, joints: NDArray[np.float32]) -> Box | None:
        sure = joints[joints[:, 2] >= SURE, :2]
        if len(sure) < 3:
            return None
        (x0, y0), (x1, y1) = sure.min(0), sure.max(0)
        more = (_FOLLOW_MARGIN - 1) / 2 * max(x1 - x0, y1 - y0, 8.0)
        return float(x0 - more), float(y0 - more), float(x1 + more), float(y1 + more)


def _held(found: Box | None, before: Box | None, shape: Sequence[int]) -> Box | None:
    """Gives the box for the next frame: near the one before, inside the picture [H, W]."""
    if found is None:
        return None
    middle = np.array([found[0] + found[2], found[1] + found[3]]) / 2
    half = np.array([found[2] - found[0], found[3] - found[1]]) / 2
    if before is not None:
        middle_before = np.array([before[0] + before[2], before[1] + before[3]]) / 2
        half_before = np.array([before[2] - before[0], before[3] - before[1]]) / 2
        reach = _MOST_SHIFT * 2 * half_before.max()
        middle = middle_before + np.clip(middle - middle_before, -reach, reach)
        half = half_before * np.clip(half / half_before, 1 / _MOST_GROWTH, _MOST_GROWTH)
    size = np.array([shape[1], shape[0]], dtype=np.float64)
    half = np.clip(half, _LEAST_HALF_PX, size / 2)
    middle = np.clip(middle, half - 0.5, size - half - 0.5)  # whole numbers: centres of pixels
    low, high = (middle - half).tolist(), (middle + half).tolist()
    return low[0], low[1], high[0], high[1]
