"""What a file says about itself, and what its first frame adds: size, orientation, colour."""

import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.decode.picture import (
    Geometry,
    matrix_of,
    orientation_of,
    pixel_aspect_of,
    range_of,
)
from avssl.errors import MediaError

MAX_PIXELS = 16384 * 16384 // 4
"""Pictures above this (64 Mpx) are refused: a lying header must not claim gigabytes."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video file in words and numbers. Claims are the container's and may be wrong."""

    path: str
    container: str
    """FFmpeg's name of the format, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
    codec: str
    """FFmpeg's name of the codec, such as "h264"."""
    width_px: int
    """Upright, square pixels: the size of the frames that are given."""
    height_px: int
    geometry: Geometry
    """How a coded picture becomes an upright one."""
    rotation_deg: int
    """Quarter turns clockwise, in degrees, that make the coded picture upright."""
    pixel_format: str
    color_space: str
    """Matrix used: "bt601", "bt709", "bt2020"…"""
    color_space_named: bool
    """False where the file names no matrix and the size decided."""
    color_range: str
    """"limited" or "full"."""
    average_fps: float
    """0 where unknown."""
    time_base: Fraction = field(default=Fraction(1, 1000))
    """Seconds a tick of the picture's timestamps."""
    duration_claimed_s: float | None = None
    num_frames_claimed: int | None = None
    sound_codec: str | None = None
    """None where the file has no sound track."""
    sound_rate_hz: int | None = None
    sound_channels: int | None = None
    sound_start_s: float | None = None
    """Claimed time of the first sample on the container's clock."""

    @property
    def coded_width_px(self) -> int:
        """Width of the coded picture."""
        return self.geometry.coded_width_px

    @property
    def coded_height_px(self) -> int:
        """Height of the coded picture."""
        return self.geometry.coded_height_px

    @property
    def has_sound(self) -> bool:
        """True where there is a sound track (which may still be silent)."""
        return self.sound_codec is not None


def reason_of(error: BaseException) -> str:
    """Gives the reason of an error of the media library, without its numbers and the path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def open_container(path: str | os.PathLike[str]) -> InputContainer:
    """Opens a file for reading.

    Raises:
        MediaError: it is missing, or no format is recognised.
    """
    try:
        return av.open(os.fspath(path), mode="r", metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path}: cannot be opened ({reason_of(error)}); is it a video file?"
        ) from error


def picture_stream(container: InputContainer, *, path: str, num_threads: int = 1) -> VideoStream:
    """Gives the first moving picture (cover art does not count), set up for exact decoding.

    Raises:
        MediaError: there is none, or no decoder for it.
    """
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            tag = "unknown"
            raise MediaError(f"{path}: no decoder for its picture (codec {tag})")
        stream.thread_count = num_threads
        stream.thread_type = "AUTO" if num_threads != 1 else "SLICE"  # type: ignore[assignment]
        return stream
    raise MediaError(f"{path}: has no video stream")


def info_of(
    container: InputContainer, stream: VideoStream, frame: VideoFrame, *, path: str
) -> VideoInfo:
    """Puts together what the container and its first frame say."""
    if frame.width * frame.height > MAX_PIXELS:
        raise MediaError(f"{path}: pictures of {frame.width}x{frame.height} are refused as too big")
    turns, flipped = orientation_of(frame)
    geometry = Geometry(
        coded_width_px=frame.width,
        coded_height_px=frame.height,
        pixel_aspect=pixel_aspect_of(stream.sample_aspect_ratio),
        turns=turns,
        flipped=flipped,
    )
    width, height = geometry.upright_size
    sound: dict[str, Any] = {}
    heard = next((item for item in container.streams.audio if item.codec_context), None)
    if heard is not None:
        sound = {
            "sound_codec": heard.codec_context.name,
            "sound_rate_hz": heard.codec_context.sample_rate,
            "sound_channels": heard.codec_context.channels,
        }
        if heard.start_time is not None and heard.time_base is not None:
            sound["sound_start_s"] = float(heard.start_time * heard.time_base)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width_px=width,
        height_px=height,
        geometry=geometry,
        rotation_deg=(-turns % 4) * 90,
        pixel_format=frame.format.name,
        color_space=matrix_of(frame)[1],
        color_space_named=int(frame.colorspace) not in (2, 3),
        color_range="full" if range_of(frame) == 2 else "limited",
        average_fps=float(stream.average_rate or 0),
        time_base=stream.time_base or Fraction(1, 1000),
        duration_claimed_s=None if container.duration is None else container.duration / 1e6,
        num_frames_claimed=stream.frames or None,
        **sound,
    )
