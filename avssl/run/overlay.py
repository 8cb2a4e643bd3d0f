"""Pictures drawn into a video, beside its sound on the same clock."""

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
from avssl.files import PARTIAL_SUFFIX, check_target, note_target

_COPIED = ("aac", "mp3", "ac3", "eac3", "alac")
"""Sound that an mp4 holds as it is, where its times are whole samples; any other is coded again as
mono AAC from the reader's exact samples (AVI tells no times, Matroska rounds to milliseconds)."""
_RATE_HZ = 48_000
_CLOCK = Fraction(1, 90_000)


class OverlayWriter:
    """Writes an mp4 (H.264, the frames' own times) with its source's sound, all or nothing."""

    def __init__(self, path: str | os.PathLike[str], *, source: str | Path, reader: Reader) -> None:
        self.target = check_target(path)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.target.with_name(f".{self.target.stem}{PARTIAL_SUFFIX}.mp4")
        self._source = os.fspath(source)
        self._reader = reader
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
            self._add_sound_stream()

    def _add_sound_stream(self) -> None:
        # the stream has to be there before the first packet is written
        with av.open(self._source) as file:
            stream = file.streams.audio[0]
            rate = stream.codec_context.sample_rate
            exact = stream.time_base == Fraction(1, rate) if rate else False
            self._copied = exact and stream.codec_context.name in _COPIED
            if self._copied:
                self._sound = self._out.add_stream_from_template(stream)
            else:
                self._sound = self._out.add_stream("aac", rate=_RATE_HZ, layout="mono")

    def _copy_sound(self) -> None:
        with av.open(self._source) as file:
            stream = file.streams.audio[0]
            shift = round(self._start_s / (stream.time_base or Fraction(1, _RATE_HZ)))
            for packet in file.demux(stream):
                if packet.pts is None or packet.dts is None or packet.size == 0:
                    continue
                packet.pts -= shift
                packet.dts -= shift
                if packet.pts + (packet.duration or 0) < -stream.codec_context.sample_rate // 10:
                    continue  # heard before the first picture
                packet.stream = self._sound
                self._out.mux(packet)

    def _code_sound(self) -> None:
        """Codes what the reader hears: its times are exact whatever the container rounds."""
        for block in self._reader.iter_sound(rate_hz=_RATE_HZ):
            at = round((block.start_s - self._start_s) * _RATE_HZ)
            samples = block.samples[:, max(0, -at) :]
            if not samples.shape[1]:
                continue
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = _RATE_HZ, max(0, at)
            frame.time_base = Fraction(1, _RATE_HZ)
            self._out.mux(self._sound.encode(frame))
        self._out.mux(self._sound.encode(None))

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
                self._copy_sound() if self._copied else self._code_sound()
            except FFmpegError as error:
                raise AvsslError(f"{self._source}: its sound cannot be kept ({error})") from error
        self._out.close()
        self._out = None
        note_target(self.target)
        self._partial.replace(self.target)

    def abandon(self) -> None:
        """Removes what is unfinished; does nothing after `close`."""
        if self._out is not None:
            self._out.close()
            self._out = None
        self._partial.unlink(missing_ok=True)
