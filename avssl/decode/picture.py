"""From a decoded picture to upright RGB with square pixels, in one pass.

Colour: the matrix and the range that the stream names. Where it names no matrix, BT.709 for coded
heights of 720 lines and more, else BT.601 (what players do); no range means limited, except for
the full-range JPEG formats.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from avssl.errors import InputError

# AVColorSpace (ISO/IEC 23091-2) → swscale's matrix and our name.
_MATRICES = {
    1: (Colorspace.ITU709, "bt709"),
    4: (Colorspace.FCC, "fcc"),
    5: (Colorspace.ITU601, "bt601"),
    6: (Colorspace.ITU601, "bt601"),
    7: (Colorspace.SMPTE240M, "smpte240m"),
    9: (Colorspace.BT2020, "bt2020"),
    10: (Colorspace.BT2020, "bt2020"),
}
HD_HEIGHT_PX = 720
# Chroma is interpolated to every pixel of the result: half the error of the default.
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_PLAIN = Interpolation.BILINEAR
_MAX_PARTS = 16


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a coded picture becomes an upright one with square pixels."""

    coded_width_px: int
    coded_height_px: int
    pixel_aspect: Fraction = Fraction(1)
    """Width of a stored pixel divided by its height."""
    turns: int = 0
    """Quarter turns anticlockwise that make it upright."""
    flipped: bool = False
    """Mirrored left to right after turning."""

    @property
    def square_size(self) -> tuple[int, int]:
        """(width, height) with square pixels, before turning; no pixel is thrown away."""
        width, height = self.coded_width_px, self.coded_height_px
        if self.pixel_aspect > 1:
            width = max(1, round(width * self.pixel_aspect))
        elif self.pixel_aspect < 1:
            height = max(1, round(height / self.pixel_aspect))
        return width, height

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        width, height = self.square_size
        return (height, width) if self.turns % 2 else (width, height)

    def scaled_size(self, short_side_px: int | None) -> tuple[int, int]:
        """(width, height) before turning, with the short side at `short_side_px`."""
        width, height = self.square_size
        if short_side_px is None:
            return width, height
        if short_side_px < 1:
            raise InputError(f"short_side_px {short_side_px}: must be at least 1")
        short = min(width, height)
        return (
            max(1, round(width * short_side_px / short)),
            max(1, round(height * short_side_px / short)),
        )


def matrix_of(frame: VideoFrame) -> tuple[Colorspace, str]:
    """Gives the matrix to convert a frame with, and its name."""
    found = _MATRICES.get(int(frame.colorspace))
    if found is not None:
        return found
    return _MATRICES[1] if frame.height >= HD_HEIGHT_PX else _MATRICES[5]


def range_of(frame: VideoFrame) -> ColorRange:
    """Gives the range of a frame: full for JPEG, else what it says, else limited."""
    if frame.format.name.startswith("yuvj") or int(frame.color_range) == ColorRange.JPEG:
        return ColorRange.JPEG
    return ColorRange.MPEG


def pixel_aspect_of(value: Fraction | None) -> Fraction:
    """Gives a believable shape of pixels: nonsense and less than 1 % off count as square."""
    if not value or value <= 0 or not Fraction(1, 4) <= value <= 4:
        return Fraction(1)
    return Fraction(1) if abs(float(value) - 1) < 0.01 else Fraction(value)


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Reads the display matrix: (quarter turns anticlockwise, then mirrored left to right).

    Angles between quarter turns do not occur in practice and count as the nearest one.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(data), dtype="<i4")[:5].astype(float)
    flipped = a * d - b * c < 0
    if flipped:  # undo the mirroring of x, which is applied last
        a, c = -a, -c
    turns = round(np.degrees(np.arctan2(-b, a)) / 90) % 4
    return int(turns), bool(flipped)


class Painter:
    """Converts frames of one stream; keeps the scaler's tables between frames."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._reformatter = VideoReformatter()
        self._part_reformatter = VideoReformatter()
        self._parts: dict[tuple[int, int, str], VideoFrame] = {}

    def rgb(self, frame: VideoFrame, *, short_side_px: int | None = None) -> NDArray[np.uint8]:
        """Gives uint8 [3, H, W], RGB, upright (a view of interleaved memory)."""
        width, height = self.geometry.scaled_size(short_side_px)
        same_size = (width, height) == (frame.width, frame.height)
        picture = to_rgb24(
            self._reformatter, frame, width, height, _PLAIN if same_size else _SCALING
        )
        if self.geometry.turns:
            picture = np.rot90(picture, self.geometry.turns)
        if self.geometry.flipped:
            picture = picture[:, ::-1]
        return picture.transpose(2, 0, 1)

    def rgb_part(self, frame: VideoFrame, *, area: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Gives uint8 [3, height, width] of `area` (left, top, width, height), as stored.

        The same values as the part of `rgb`, but only the part is converted. For frames that need
        no turning.
        """
        left, top, width, height = area
        if frame.format.name not in ("yuv420p", "yuvj420p"):
            return self.rgb(frame)[:, top : top + height, left : left + width]
        # Whole blocks of colour, and a width that the converter's vector loop likes.
        x, y = left // 2 * 2, top // 2 * 2
        part_width = min((left + width - x + 15) // 16 * 16, (frame.width + 1) // 2 * 2 - x)
        part_height = min((top + height - y + 1) // 2 * 2, (frame.height + 1) // 2 * 2 - y)
        part_width, part_height = (
            min(part_width, frame.width - x),
            min(part_height, frame.height - y),
        )
        key = (part_width, part_height, frame.format.name)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = VideoFrame(part_width, part_height, frame.format.name)
            if len(self._parts) > _MAX_PARTS:
                del self._parts[next(iter(self._parts))]
        part.colorspace, part.color_range = frame.colorspace, frame.color_range
        for number, (source, target) in enumerate(zip(frame.planes, part.planes, strict=True)):
            half = min(number, 1)
            rows, into = _plane(source), _plane(target)
            wide, tall = (part_width + half) >> half, (part_height + half) >> half
            into[:tall, :wide] = rows[
                y >> half : (y >> half) + tall, x >> half : (x >> half) + wide
            ]
        matrix = matrix_of(frame)[0]  # by the whole frame's height
        picture = to_rgb24(
            self._part_reformatter, part, part_width, part_height, _PLAIN, matrix=matrix
        )
        picture = picture[top - y : top - y + height, left - x : left - x + width]
        return picture.transpose(2, 0, 1)


def _plane(plane: Any) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)


def to_rgb24(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    width: int,
    height: int,
    how: Interpolation,
    *,
    matrix: Colorspace | None = None,
) -> NDArray[np.uint8]:
    """Gives uint8 [height, width, 3] RGB, scaled and converted in one pass."""
    is_rgb = frame.format.is_rgb
    converted = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=None if is_rgb else matrix or matrix_of(frame)[0],
        src_color_range=None if is_rgb else range_of(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=how,
        threads=1,
    )
    return cast("NDArray[np.uint8]", converted.to_ndarray())


def scale_rgb(
    reformatter: VideoReformatter, picture: NDArray[np.uint8], width: int, height: int
) -> NDArray[np.uint8]:
    """Scales uint8 [H, W, 3] as frames are scaled."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    scaled = reformatter.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=_SCALING, threads=1
    )
    return cast("NDArray[np.uint8]", scaled.to_ndarray())
