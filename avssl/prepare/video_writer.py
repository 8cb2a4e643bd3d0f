"""Writes the prepared picture: H.264 with short closed groups, or MJPEG. The same every time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags
from av.video.frame import VideoFrame

from avssl.prepare.settings import PrepareSettings


def suffix_of(settings: PrepareSettings) -> str:
    """Gives the container's suffix: ".mov" holds MJPEG, ".mp4" H.264."""
    return ".mov" if settings.gop == 1 else ".mp4"


def x264_params(settings: PrepareSettings) -> str:
    """Gives x264's parameters for short closed groups whose bytes are the same every time.

    Macroblock tree is off: its vector code reads beyond small pictures, so that one encoding in
    twenty came out differently (0 of 150 without it), and in groups of 8 it gains little.
    Arithmetic coding and weighted prediction are off too: a frame decodes in 0.6 to 0.75 of the
    time, for 8 % more bytes (docs/prepare.md). The deblocking filter stays: edges of blocks on an
    8-pixel grid would tell a network where it is.
    """
    return (
        f"keyint={settings.gop}:min-keyint={settings.gop}:scenecut=0:open-gop=0:bframes=0:"
        "mbtree=0:rc-lookahead=0:sync-lookahead=0:cabac=0:weightp=0"
    )


class VideoWriter:
    """One prepared stream, from its first frame at time zero, one `step` apart."""

    def __init__(
        self,
        path: Path,
        *,
        settings: PrepareSettings,
        step: Fraction,
        size_px: tuple[int, int],
        space_code: int,
    ) -> None:
        self._container = av.open(
            str(path),
            "w",
            format="mov" if settings.gop == 1 else "mp4",
            # bitexact: no version strings, so the bytes depend on the pictures alone
            options={"fflags": "+bitexact", "movflags": "+faststart"},
        )
        codec = "mjpeg" if settings.gop == 1 else "libx264"
        stream: Any = self._container.add_stream(codec, rate=1 / step)
        self._stream = stream
        stream.width, stream.height = size_px
        context = stream.codec_context
        context.time_base = step
        stream.time_base = step
        context.thread_count = 1
        context.flags |= Flags.bitexact
        context.colorspace = space_code
        if settings.gop == 1:
            stream.pix_fmt = "yuvj420p"
            context.color_range = 2
            # x the quantiser, in the units of FFmpeg's lambda
            context.options = {"qmin": str(settings.jpeg_q), "qmax": str(settings.jpeg_q)}
        else:
            stream.pix_fmt = "yuv420p"
            context.color_range = 1
            context.gop_size = settings.gop
            context.max_b_frames = 0
            context.options = {
                "preset": settings.preset,
                "crf": str(settings.crf),
                "forced-idr": "1",
                "x264-params": x264_params(settings),
            }
        self._step = step
        self.num_frames = 0

    def write(self, frame: VideoFrame, *, key: bool = False) -> None:
        """Adds one frame; `key` starts a new group at it."""
        frame.pts = self.num_frames
        frame.time_base = self._step
        # 0: the encoder decides; the source's own I and P must not reach it
        frame.pict_type = 1 if key else 0  # type: ignore[assignment]
        self._container.mux(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Writes what is left and closes the file."""
        if self.num_frames:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Closes the file as it is."""
        self._container.close()


def cut_video(
    path: Path, *, starts: list[int], targets: list[Path], settings: PrepareSettings
) -> None:
    """Copies a prepared stream, without decoding it, into one file a stretch.

    Args:
        path: what a `VideoWriter` wrote.
        starts: number of each stretch's first frame, a key frame; the first is 0.
        targets: one path a stretch.
        settings: those of the writer.
    """
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        target: Any = None
        copy: Any = None
        part = -1
        number = 0
        try:
            for packet in source.demux(stream):
                if packet.pts is None or packet.size == 0:
                    continue
                if part + 1 < len(starts) and number == starts[part + 1]:
                    if target is not None:
                        target.close()
                    part += 1
                    first_pts = packet.pts
                    target = av.open(
                        str(targets[part]),
                        "w",
                        format="mov" if settings.gop == 1 else "mp4",
                        options={"fflags": "+bitexact", "movflags": "+faststart"},
                    )
                    copy = target.add_stream_from_template(stream)
                    copy.time_base = stream.time_base
                packet.pts -= first_pts
                packet.dts = packet.pts
                packet.stream = copy
                target.mux(packet)
                number += 1
        finally:
            if target is not None:
                target.close()
