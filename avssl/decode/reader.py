"""The one interface behind which the back ends stand."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avssl.decode.index import VideoIndex
from avssl.decode.info import VideoInfo
from avssl.decode.times import Edge
from avssl.records import Sound


class Reader(Protocol):
    """An open video. `avssl.decode.video.VideoReader` documents every member."""

    path: str
    damage: str | None

    def __enter__(self) -> "Reader": ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Closes the file."""
        ...

    @property
    def backend(self) -> str:
        """The back end that gives the frames."""
        ...

    @property
    def num_decoded(self) -> int:
        """Frames decoded so far to answer `frames_at` and `frames_by_index` (PyAV only)."""
        ...

    @property
    def info(self) -> VideoInfo:
        """What the file is."""
        ...

    @property
    def index(self) -> VideoIndex:
        """When each frame is shown."""
        ...

    @property
    def frame_times_s(self) -> NDArray[np.float64]:
        """float64 [num_frames]: true times of the frames that decode."""
        ...

    @property
    def frame_durations(self) -> NDArray[np.float64]:
        """float64 [num_frames]: seconds for which each frame is shown."""
        ...

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames that decode."""
        ...

    def frames_at(
        self,
        times_s: Sequence[float] | NDArray[np.floating],
        short_side_px: int | None = None,
        edge: Edge = "raise",
    ) -> NDArray[np.uint8]:
        """Gives for each time the last frame with time ≤ t: uint8 [T, 3, H, W]."""
        ...

    def frames_by_index(
        self, indices: Sequence[int] | NDArray[np.integer], short_side_px: int | None = None
    ) -> NDArray[np.uint8]:
        """Gives frames by index: uint8 [T, 3, H, W]."""
        ...

    def sound(self, *, start_s: float, duration_s: float, rate_hz: int) -> Sound:
        """Gives a stretch of mono sound on the same clock."""
        ...

    def iter_sound(self, *, rate_hz: int, block_s: float = 1.0) -> Iterator[Sound]:
        """Yields the whole sound in contiguous blocks."""
        ...

    def iter_frames(
        self, *, start_s: float | None = None, short_side_px: int | None = None
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Yields (time_s, uint8 [3, H, W]) front to back."""
        ...

    def iter_av_frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yields (time_s, frame as coded) front to back."""
        ...
