"""The prepared picture: scaled once, upright, square pixels, ready for the encoder.

H.264 keeps the source's matrix (no needless conversion) in limited range; MJPEG is full-range
BT.601, which is what JPEG means. Both name what they are in the stream.
"""

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from avssl.decode.info import VideoInfo
from avssl.decode.picture import matrix_of, range_of
from avssl.errors import MediaError

# As the reader scales: no colour cast, and quicker than the default (1.7 to 4.9 ms for 720p → 128).
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND
_SPACE_CODES = {"bt709": 1, "fcc": 4, "bt601": 6, "smpte240m": 7, "bt2020": 9}


def prepared_size(info: VideoInfo, *, short_side_px: int) -> tuple[int, int]:
    """Gives the (width, height) of the upright prepared picture: even, never enlarged."""
    short = min(info.width_px, info.height_px)
    scale = min(1.0, short_side_px / short)
    sides = (info.width_px, info.height_px)
    width, height = (max(2, 2 * round(side * scale / 2)) for side in sides)
    return width, height


class Scaler:
    """Turns decoded frames into prepared ones; keeps the scaler's tables between frames."""

    def __init__(self, info: VideoInfo, *, short_side_px: int, full_range: bool) -> None:
        self.width_px, self.height_px = prepared_size(info, short_side_px=short_side_px)
        self.full_range = full_range
        self._geometry = info.geometry
        self._reformatter = VideoReformatter()
        self.space_code = 5 if full_range else _SPACE_CODES.get(info.color_space, 6)
        """AVColorSpace of the prepared picture."""

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Gives the prepared frame: planar 4:2:0, `width_px` x `height_px`."""
        turned = self._geometry.turns % 2 == 1
        width, height = self.width_px, self.height_px
        if turned:
            width, height = height, width
        source_matrix, name = matrix_of(frame)
        is_rgb = frame.format.is_rgb
        space = Colorspace.ITU601 if self.full_range or is_rgb else source_matrix
        if not self.full_range and not is_rgb and _SPACE_CODES[name] != self.space_code:
            raise MediaError(f"the colour matrix changes to {name} inside the file")
        out = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuvj420p" if self.full_range else "yuv420p",
            src_colorspace=None if is_rgb else source_matrix,
            dst_colorspace=space,
            src_color_range=None if is_rgb else range_of(frame),
            dst_color_range=ColorRange.JPEG if self.full_range else ColorRange.MPEG,
            interpolation=_SCALING,
            threads=1,
        )
        if self._geometry.turns or self._geometry.flipped:
            out = _turned(out, turns=self._geometry.turns, flipped=self._geometry.flipped)
        elif out is frame:
            # the frame belongs to the decoder's caller; the encoder's stamps must not reach it
            out.pict_type = 0  # type: ignore[assignment]
        return out


def plane_view(frame: VideoFrame, number: int = 0) -> NDArray[np.uint8]:
    """Gives plane `number` as uint8 [h, w] without copying."""
    plane = frame.planes[number]
    flat: Any = np.frombuffer(plane, dtype=np.uint8)  # type: ignore[call-overload]
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _turned(frame: VideoFrame, *, turns: int, flipped: bool) -> VideoFrame:
    width, height = frame.width, frame.height
    if turns % 2:
        width, height = height, width
    out: Any = VideoFrame(width, height, frame.format.name)
    for number in range(3):
        picture = np.rot90(plane_view(frame, number), turns)
        if flipped:
            picture = picture[:, ::-1]
        target = np.frombuffer(memoryview(out.planes[number]), dtype=np.uint8)
        target = target.reshape(-1, out.planes[number].line_size)
        target[: picture.shape[0], : picture.shape[1]] = picture
    return out
