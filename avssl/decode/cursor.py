"""Reaches any frame of a file by its index: seek, decode forward, and check every frame's time."""

import contextlib
from collections.abc import Iterator, Sequence

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.decode.forward import Pass, decode_forward, decode_with_times
from avssl.decode.index import VideoIndex
from avssl.decode.info import open_container, picture_stream
from avssl.errors import MediaError

_STEPS_BACK_S = (0.0, 1.0, 4.0, 16.0)
"""Seeking may land behind the key frame (MPEG-TS); then it is tried from further back."""


class Cursor:
    """A place in a file: the container, and the frame that was decoded last."""

    def __init__(self, path: str, index: VideoIndex, *, num_threads: int = 1) -> None:
        self.path = path
        self.index = index
        self.num_decoded = 0
        """Frames decoded since it was made."""
        self._num_threads = num_threads
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._frames: Iterator[VideoFrame] | None = None
        self._state = Pass()
        self._last: VideoFrame | None = None
        self._position = -1  # index of `_last`

    def close(self) -> None:
        """Closes the file."""
        self._frames = self._last = None
        if self._container is not None:
            self._container.close()
        self._container = None

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yields (index, frame) for ascending `indices`; each group is decoded at most once.

        Raises:
            MediaError: a frame cannot be decoded; it is never replaced by another.
        """
        for wanted in indices:
            restart = int(self.index.restarts[wanted]) if self.index.seekable else 0
            if not (self._frames is not None and restart <= self._position <= wanted):
                # What lies between here and the key frame need not be decoded.
                self._go_to(restart)
            if not self._run_to(wanted):
                self._from_start()
                if not self._run_to(wanted):
                    self.close()
                    raise MediaError(
                        f"{self.path}: frame {wanted} at "
                        f"{self.index.frame_times_s[wanted]:.6f} s cannot be decoded "
                        f"({self._state.damage or 'it is missing'}); index the file again with "
                        "method='decoding'"
                    )
            assert self._last is not None
            yield wanted, self._last

    def _run_to(self, wanted: int) -> bool:
        ticks = self.index.ticks
        while self._position < wanted:
            frame = self._next()
            if frame is None or (self.index.seekable and frame.pts != ticks[self._position + 1]):
                return False
            self._position += 1
            self._last = frame
        return True

    def _next(self) -> VideoFrame | None:
        frame = next(self._frames, None) if self._frames is not None else None
        if frame is not None:
            self.num_decoded += 1
        return frame

    def _go_to(self, key: int) -> None:
        """Places the cursor on key frame `key`, or just before the first frame."""
        container, stream = self._open()
        if key == 0 or not self.index.seekable:
            self._from_start()
            return
        target = int(self.index.ticks[key])
        first = int(self.index.ticks[0])
        for back_s in _STEPS_BACK_S:
            aim = max(target - round(back_s / self.index.info.time_base), first)
            with contextlib.suppress(FFmpegError):
                container.seek(aim, stream=stream, backward=True)
                self._state = Pass()
                self._frames = decode_forward(container, stream, state=self._state)
                frame = self._next()
                while frame is not None and (frame.pts is None or frame.pts < target):
                    frame = self._next()
                if frame is not None and frame.pts == target:
                    self._position, self._last = key, frame
                    return
            if aim == first:
                break
        self._from_start()

    def _from_start(self) -> None:
        if self._frames is not None:
            self.close()  # a fresh container: not every format can seek to its start
        container, stream = self._open()
        self._state = Pass()
        self._frames = (
            frame for _, frame in decode_with_times(container, stream, state=self._state)
        )
        self._position, self._last = -1, None

    def _open(self) -> tuple[InputContainer, VideoStream]:
        if self._container is None or self._stream is None:
            self._container = open_container(self.path)
            self._stream = picture_stream(
                self._container, path=self.path, num_threads=self._num_threads
            )
            self._frames = None
        return self._container, self._stream
