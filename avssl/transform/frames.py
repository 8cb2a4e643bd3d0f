"""Pictures, cut and changed at random: uint8 in, uint8 out, fast enough for a loader's worker.

Shapes: frames uint8 [T, 3, H, W] (RGB). Boxes are (left, top, side) in px, real numbers allowed.
All random functions take `rng` and draw the same number of values whatever their strength: turning
one knob leaves all other draws as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Box = tuple[float, float, float]
"""(left, top, side) of a square, in px."""

# ITU-R BT.601 weights, those of PIL and torchvision.
_LUMA = np.array([0.299, 0.587, 0.114])


def draw_box(
    *,
    height_px: int,
    width_px: int,
    scale: tuple[float, float],
    rng: np.random.Generator,
    borders_px: Sequence[float] = (0, 0, 0, 0),
) -> Box:
    """Draws a square inside the picture, clear of its still bars.

    Args:
        height_px: of the picture.
        width_px: of the picture.
        scale: the side is drawn evenly from this range, as a share of the short side.
        rng: three values are drawn.
        borders_px: bars left, top, right, bottom that must stay out.
    """
    left, top, right, bottom = borders_px
    inner_width, inner_height = width_px - left - right, height_px - top - bottom
    draws = rng.random(3)
    low, high = scale
    side = min(inner_width, inner_height) * (low + (high - low) * draws[0])
    return (
        float(left + (inner_width - side) * draws[1]),
        float(top + (inner_height - side) * draws[2]),
        float(side),
    )


def within_margin(
    borders_px: Sequence[float], *, margin: float, height_px: int, width_px: int
) -> tuple[float, float, float, float]:
    """Gives what stays out at each edge (left, top, right, bottom), px: a bar, or a margin.

    Args:
        borders_px: bars left, top, right, bottom.
        margin: share of the short side that stays out at every edge.
        height_px: of the picture.
        width_px: of the picture.
    """
    least = margin * min(height_px, width_px)
    left, top, right, bottom = (max(float(border), least) for border in borders_px)
    return left, top, right, bottom


def jitter_box(
    box: Box,
    *,
    height_px: int,
    width_px: int,
    jitter: float,
    rng: np.random.Generator,
    borders_px: Sequence[float] = (0, 0, 0, 0),
) -> Box:
    """Moves and scales a square by at most `jitter` of its side, kept inside the picture.

    Args:
        box: the square to start from.
        height_px: of the picture.
        width_px: of the picture.
        jitter: largest shift along each axis, and change of the side, as a share of the side.
        rng: three values are drawn.
        borders_px: bars left, top, right, bottom that must stay out.
    """
    left, top, side = box
    border_left, border_top, border_right, border_bottom = borders_px
    moves = (2 * rng.random(3) - 1) * jitter
    inner_width = width_px - border_left - border_right
    inner_height = height_px - border_top - border_bottom
    new_side = min(side * (1 + moves[0]), inner_width, inner_height)
    new_left = left + side * moves[1] + (side - new_side) / 2
    new_top = top + side * moves[2] + (side - new_side) / 2
    return (
        float(min(max(new_left, border_left), border_left + inner_width - new_side)),
        float(min(max(new_top, border_top), border_top + inner_height - new_side)),
        float(new_side),
    )


def crop_resize(frames: Frames, box: Box, *, size_px: int, flip: bool = False) -> Frames:
    """Cuts a square out of all frames and scales it, uint8 [T, 3, size_px, size_px].

    The square is rounded to whole pixels. Shrinking averages over areas (no aliasing, which moving
    edges would turn into flicker); enlarging is bilinear.

    Args:
        frames: uint8 [T, 3, H, W].
        box: (left, top, side) in px, inside the picture.
        size_px: side of the result.
        flip: mirror left and right.
    """
    num_frames, _, height_px, width_px = frames.shape
    side = max(1, min(round(box[2]), height_px, width_px))
    left = max(0, min(round(box[0]), width_px - side))
    top = max(0, min(round(box[1]), height_px - side))
    cut = frames[:, :, top : top + side, left : left + side]
    if side == size_px:
        out = cut.copy()
    else:
        method = cv2.INTER_AREA if size_px < side else cv2.INTER_LINEAR
        out = np.empty((num_frames, 3, size_px, size_px), dtype=np.uint8)
        for index in range(num_frames):
            for channel in range(3):  # planes as they are: quicker than turning them to H, W, 3
                plane = cut[index, channel]
                cv2.resize(plane, (size_px, size_px), out[index, channel], interpolation=method)
    return np.ascontiguousarray(out[..., ::-1]) if flip else out


@dataclass(frozen=True, kw_only=True)
class ColorChange:
    """One drawn change of colour; `apply` gives the same to any frames."""

    brightness: float = 1.0
    """Factor on all values."""
    contrast: float = 1.0
    """Factor on the distance from the mean grey of the frame."""
    saturation: float = 1.0
    """Factor on the distance from the pixel's own grey; 0 is grey."""
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor per channel."""
    channel_shifts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added per channel, in levels of 255."""

    def matrix(self, grey: float) -> NDArray[np.float64]:
        """Gives the change as one affine map of colours, [3, 4], for a frame of mean grey `grey`.

        Brightness, contrast, saturation in this order with torchvision's factors, then the
        channels; one map, so values are clipped to 0–255 once, at the end.
        """
        mixed = self.saturation * np.eye(3) + (1 - self.saturation) * _LUMA[None, :]
        gains = np.asarray(self.channel_gains)
        change = np.empty((3, 4))
        change[:, :3] = gains[:, None] * mixed * (self.contrast * self.brightness)
        change[:, 3] = gains * ((1 - self.contrast) * self.brightness * grey) + self.channel_shifts
        return change

    def apply(self, frames: Frames) -> Frames:
        """Gives the changed frames, uint8 as they were; contrast turns about each frame's mean."""
        if self == ColorChange():
            return frames
        out = np.empty_like(frames)
        for index, frame in enumerate(frames):
            values = frame.reshape(3, -1).astype(np.float32)
            change = self.matrix(float(values.mean(axis=1) @ _LUMA)).astype(np.float32)
            changed = change[:, :3] @ values + change[:, 3:] + 0.5  # + ½ and cut off: rounded
            np.maximum(changed, 0, out=changed)
            np.minimum(changed, 255, out=changed)
            out[index] = changed.reshape(frame.shape)
        return out


def draw_color(
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    rng: np.random.Generator,
    channel_gain: float = 0.0,
    channel_shift: float = 0.0,
    grey_probability: float = 0.0,
) -> ColorChange:
    """Draws a change of colour; every strength 0 gives none.

    Args:
        brightness: factor drawn evenly from 1 ± this.
        contrast: the same for contrast.
        saturation: the same for saturation.
        channel_gain: factor of each channel drawn evenly from 1 ± this.
        channel_shift: levels added to each channel, drawn evenly from ± this.
        grey_probability: chance of no colour at all.
        rng: ten values are drawn.
    """
    draws = 2 * rng.random(10) - 1
    gains, shifts = 1 + channel_gain * draws[3:6], channel_shift * draws[6:9]
    is_grey = (draws[9] + 1) / 2 < grey_probability
    if is_grey:  # a grey picture stays grey: one gain and one shift for all channels
        gains, shifts = np.full(3, gains[0]), np.full(3, shifts[0])
    return ColorChange(
        brightness=float(1 + brightness * draws[0]),
        contrast=float(1 + contrast * draws[1]),
        saturation=0.0 if is_grey else float(1 + saturation * draws[2]),
        channel_gains=(float(gains[0]), float(gains[1]), float(gains[2])),
        channel_shifts=(float(shifts[0]), float(shifts[1]), float(shifts[2])),
    )
