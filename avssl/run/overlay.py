"""Pictures drawn into a video, its sound kept as it is where mp4 can hold it."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from avssl.decode.reader import Reader
from avssl.errors import AvsslError
from avssl.files import PARTIAL_SUFFIX

_COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac")
"""Sound that an mp4 holds as it is; any other is coded again as AAC."""
_CLOCK = Fraction(1, 90_000)
_ROUNDED_S = 0.004


class OverlayWriter:
    """Writes an mp4 (H.264, the frames' own times) with the sound of its source, all or nothing."""

    def __init__(self, path: str | os.PathLike[str], *, source: str | Path, reader: Reader) -> None:
        self.target = Path(path)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.target.with_name(f".{self.target.stem}{PARTIAL_SUFFIX}.mp4")
        self._source = os.fspath(source)
        self._has_sound = reader.info.has_sound
        self._begun = False
        self._out: Any = None
        self._video: Any = None
        self._start_s = 0.0

    def write(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Adds a frame, uint8 [H, W, 3]; sizes are rounded down to even numbers."""
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if not self._begun:
            self._begin(width, height, time_s)
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture[:height, :width]), format="rgb24"
        )
        frame.pts = round((time_s - self._start_s) / _CLOCK)
        frame.time_base = _CLOCK
        self._out.mux(self._video.encode(frame))

    def _begin(self, width: int, height: int, time_s: float) -> None:
        try:
            self._out = av.open(str(self._partial), "w", options={"movflags": "+faststart"})
        except OSError as error:
            raise AvsslError(f"{self.target}: cannot be written ({error.strerror})") from error
        self._begun, self._start_s = True, time_s
        video: Any = self._out.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = video.time_base = _CLOCK
        video.codec_context.options = {"preset": "veryfast", "crf": "20"}
        self._video = video
        if self._has_sound:
            self._copy_sound_stream()

    def _copy_sound_stream(self) -> None:
        # the stream has to be there before the first packet is written
        with av.open(self._source) as file:
            stream = file.streams.audio[0]
            if stream.codec_context.name in _COPIED:
                self._sound = self._out.add_stream_from_template(stream)
                self._coded_again = False
            else:
                rate = stream.codec_context.sample_rate or 48000
                self._sound = self._out.add_stream("aac", rate=rate, layout="stereo")
                self._coded_again = True

    def _write_sound(self) -> None:
        with av.open(self._source) as file:
            stream = file.streams.audio[0]
            rate = stream.codec_context.sample_rate or 48000
            base = stream.time_base or Fraction(1, rate)
            shift = round(self._start_s / base)
            if not self._coded_again:
                self._copy_packets(file, stream, rate=rate)
                return
            for frame in file.decode(stream):
                if frame.pts is None or frame.pts < shift:
                    continue
                frame.pts -= shift
                for packet in self._sound.encode(frame):
                    self._out.mux(packet)
            for packet in self._sound.encode(None):
                self._out.mux(packet)

    def _copy_packets(self, file: Any, stream: Any, *, rate: int) -> None:
        """Copies the coded sound; times that a container rounded become exact again."""
        size, follows = stream.codec_context.frame_size, None
        for packet in file.demux(stream):
            if packet.pts is None or packet.size == 0:
                continue
            told = float(packet.pts * packet.time_base - self._start_s) * rate
            length = size or round((packet.duration or 0) * packet.time_base * rate)
            if told + length <= 0 and told < -rate // 10:
                continue  # heard before the first picture
            near = follows is not None and abs(told - follows) < _ROUNDED_S * rate
            whole = round(told / length) * length if length else told
            first = whole if abs(told - whole) < float(packet.time_base) * rate else told
            at = follows if near and follows is not None else round(first)
            follows = at + length
            packet.time_base = Fraction(1, rate)
            packet.pts = packet.dts = at
            packet.duration = length
            packet.stream = self._sound
            self._out.mux(packet)

    def close(self) -> None:
        """Ends the file and puts it in its place.

        Raises:
            AvsslError: no frame was written, or the sound cannot be kept.
        """
        if self._out is None:
            raise AvsslError(f"{self.target}: no frame was written")
        for packet in self._video.encode(None):
            self._out.mux(packet)
        if self._has_sound:
            try:
                self._write_sound()
            except FFmpegError as error:
                raise AvsslError(f"{self._source}: its sound cannot be kept ({error})") from error
        self._out.close()
        self._out = None
        self._partial.replace(self.target)

    def abandon(self) -> None:
        """Removes what is unfinished; does nothing after `close`."""
        if self._out is not None:
            self._out.close()
            self._out = None
        self._partial.unlink(missing_ok=True)
