"""An open video: one reader whose random access stands on one of the back ends."""

import os
from collections.abc import Iterator, Sequence

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avssl.decode.backends import FrameSource, fastest, make_source
from avssl.decode.forward import Pass, decode_with_times
from avssl.decode.index import VideoIndex, build_index
from avssl.decode.info import VideoInfo, info_of, open_container, picture_stream
from avssl.decode.picture import Painter
from avssl.decode.sound import SoundTrack
from avssl.decode.times import Edge, check_indices, frame_durations, frame_indices
from avssl.errors import MediaError
from avssl.records import Sound


class VideoReader:
    """Reads frames and sound at exact times. The index is made when it is first needed."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        backend: str = "auto",
        index: VideoIndex | None = None,
        num_threads: int = 1,
    ) -> None:
        self.path = os.fspath(path)
        self._asked = backend
        self.damage: str | None = None
        """Why the file ended early, as far as it was read; None while it is well."""
        self._num_threads = num_threads
        self._index = index
        self._info: VideoInfo | None = None
        self._source: FrameSource | None = None
        self._track: SoundTrack | None = None
        self._num_decoded = 0
        if index is not None:
            index.check(path)
            self.damage = index.damage
        else:
            self._info = self._look()
        if backend not in ("auto", "pyav"):
            self._source = make_source(backend, self.path, self.index, num_threads=num_threads)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self.info
        return (
            f"{type(self).__name__}({self.path!r}, {info.codec}, {info.width_px}x{info.height_px})"
        )

    def close(self) -> None:
        """Closes the file; a later use opens it again."""
        if self._source is not None:
            self._num_decoded += self._source.num_decoded or 0
            self._source.close()
        if self._track is not None:
            self._track.close()
        self._source = self._track = None

    @property
    def backend(self) -> str:
        """The back end that gives the frames: "pyav", "decord" or "torchcodec"."""
        return self._frames().name

    @property
    def info(self) -> VideoInfo:
        """What the file is."""
        return self._index.info if self._index is not None else self._info  # type: ignore[return-value]

    @property
    def index(self) -> VideoIndex:
        """When each frame is shown; made now where it was not given."""
        if self._index is None:
            self._index = build_index(self.path, num_threads=self._num_threads)
            self.damage = self.damage or self._index.damage
        return self._index

    @property
    def frame_times_s(self) -> NDArray[np.float64]:
        """float64 [num_frames]: true times of the frames that decode."""
        return self.index.frame_times_s

    @property
    def frame_durations(self) -> NDArray[np.float64]:
        """float64 [num_frames]: seconds for which each frame is shown."""
        times_s = self.frame_times_s
        return frame_durations(times_s, last_frame_s=self.end_s - float(times_s[-1]))

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        return self.index.end_s

    @property
    def num_frames(self) -> int:
        """Frames that decode."""
        return self.index.num_frames

    @property
    def num_decoded(self) -> int:
        """Frames decoded so far to answer `frames_at` and `frames_by_index` (PyAV only)."""
        return self._num_decoded + ((self._source.num_decoded or 0) if self._source else 0)

    def frames_at(
        self,
        times_s: Sequence[float] | NDArray[np.floating],
        short_side_px: int | None = None,
        edge: Edge = "raise",
    ) -> NDArray[np.uint8]:
        """Gives for each time the last frame with time ≤ t: uint8 [T, 3, H, W], RGB, upright.

        Args:
            times_s: seconds on the container's clock, in any order.
            short_side_px: scale so that the short side has this length; None keeps the size.
            edge: "raise" or "clamp" for times outside [first frame, end_s).

        Raises:
            InputError: a time is outside, with edge="raise".
            MediaError: a frame cannot be decoded.
        """
        index = self.index
        found = frame_indices(
            times_s,
            frame_times_s=index.frame_times_s,
            end_s=index.end_s,
            edge=edge,
            name=self.path,
        )
        return self._pictures(found, short_side_px)

    def frames_by_index(
        self, indices: Sequence[int] | NDArray[np.integer], short_side_px: int | None = None
    ) -> NDArray[np.uint8]:
        """Gives frames by their place in `frame_times_s`: uint8 [T, 3, H, W], RGB, upright."""
        found = check_indices(indices, num_frames=self.num_frames, name=self.path)
        return self._pictures(found, short_side_px)

    def sound(self, *, start_s: float, duration_s: float, rate_hz: int) -> Sound:
        """Gives a stretch of sound, mono, on the same clock as the frames.

        Raises:
            InputError: the length or the rate is nonsense.
            MediaError: the file has no sound.
        """
        if self._track is None:
            self._track = SoundTrack(self.path)
        return self._track.read(start_s=start_s, duration_s=duration_s, rate_hz=rate_hz)

    def iter_sound(self, *, rate_hz: int, block_s: float = 1.0) -> Iterator[Sound]:
        """Yields the whole sound in contiguous blocks, front to back, in bounded memory."""
        track = SoundTrack(self.path)
        try:
            yield from track.blocks(rate_hz=rate_hz, block_s=block_s)
            self.damage = self.damage or track.damage
        finally:
            track.close()

    def iter_frames(
        self, *, start_s: float | None = None, short_side_px: int | None = None
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Yields (time_s, uint8 [3, H, W] RGB upright) front to back; no index is needed.

        Args:
            start_s: leave out frames that are over before this time.
            short_side_px: as in `frames_at`.
        """
        held: tuple[float, VideoFrame] | None = None
        painter = Painter(self.info.geometry)
        for time_s, frame in self.iter_av_frames():
            if held is not None and (start_s is None or time_s > start_s):
                yield held[0], painter.rgb(held[1], short_side_px=short_side_px)
            held = time_s, frame
        if held is not None:
            yield held[0], painter.rgb(held[1], short_side_px=short_side_px)

    def iter_av_frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yields (time_s, decoded frame as coded: not turned, not scaled), front to back.

        A damaged end stops it; `damage` then says why.
        """
        container = open_container(self.path)
        try:
            stream = picture_stream(container, path=self.path, num_threads=self._num_threads)
            time_base = stream.time_base
            assert time_base is not None
            state = Pass()
            for ticks, frame in decode_with_times(container, stream, state=state):
                yield ticks * time_base.numerator / time_base.denominator, frame
            self.damage = self.damage or state.damage
        finally:
            container.close()

    def _look(self) -> VideoInfo:
        container = open_container(self.path)
        try:
            stream = picture_stream(container, path=self.path)
            state = Pass()
            for _, frame in decode_with_times(container, stream, state=state):
                return info_of(container, stream, frame, path=self.path)
            raise MediaError(
                f"{self.path}: no frame decodes ({state.damage or 'no picture in it'})"
            )
        finally:
            container.close()

    def _pictures(self, indices: NDArray[np.int64], short_side_px: int | None) -> NDArray[np.uint8]:
        wanted, places = np.unique(indices, return_inverse=True)
        width, height = self.info.geometry.scaled_size(short_side_px)
        if self.info.geometry.turns % 2:
            width, height = height, width
        pictures = np.empty((len(indices), 3, height, width), dtype=np.uint8)
        source = self._frames()
        for number, picture in enumerate(source.pictures(wanted.tolist(), short_side_px)):
            pictures[places == number] = picture
        return pictures

    def _frames(self) -> FrameSource:
        if self._source is None:
            name = fastest(self.index) if self._asked == "auto" else self._asked
            self._source = make_source(name, self.path, self.index, num_threads=self._num_threads)
        return self._source
