"""The three back ends that fetch frames by index, and where each of them may not be used.

decord and torchcodec are only asked for frames where they were found to give the right ones (the
table in docs/media.md); everywhere else they are refused with the reason. All sound, all times and
all sequential reading are PyAV's, whatever the back end.
"""

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from avssl.decode.cursor import Cursor
from avssl.decode.index import VideoIndex
from avssl.decode.picture import Painter, scale_rgb
from avssl.errors import MediaError, MissingPartError

_DECORD_CODECS = frozenset({"h264", "vp8", "vp9", "mpeg4", "mjpeg"})
_PLAIN_FORMATS = frozenset({"yuv420p", "yuvj420p"})
_OTHERS_CONTAINERS = frozenset({"mov", "matroska", "avi", "flv"})


class FrameSource(Protocol):
    """What a back end has to do."""

    name: str

    @property
    def num_decoded(self) -> int | None:
        """Frames decoded so far, None where the back end does not tell."""
        ...

    def pictures(
        self, indices: Sequence[int], short_side_px: int | None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields uint8 [3, H, W] RGB upright for ascending, distinct indices."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


def refusal(backend: str, index: VideoIndex) -> str | None:
    """Gives the reason why a back end must not be used for a file; None where it may."""
    if backend == "pyav":
        return None
    info = index.info
    formats = info.container.split(",")
    if not _OTHERS_CONTAINERS.intersection(formats):
        return f"it gives wrong frames from {formats[0]} containers"
    if not index.seekable:
        return "the file has no usable presentation times (AVI with B-frames)"
    if index.damage or ("mov" in formats and _claim_is_wrong(index)):
        return "the file holds fewer frames than it claims"
    if index.method == "decoding" and {"mov", "matroska"}.intersection(formats):
        return "the packets of the file do not tell its frames"
    if info.geometry.flipped:
        return "it does not mirror pictures as the file asks"
    if info.geometry.pixel_aspect != 1:
        return "it does not make square pixels"
    if info.pixel_format not in _PLAIN_FORMATS:
        return f"it converts {info.pixel_format} differently"
    if not info.color_space_named and info.color_space != "bt601":
        return "it takes the colours of large pictures for BT.601"
    if backend == "decord" and info.codec not in _DECORD_CODECS:
        return f"it gives wrong frames or none for {info.codec}"
    if (backend == "decord" or info.codec == "h264") and index.open_groups:
        return "it gives wrong frames from open groups of pictures"
    return None


def missing_part(backend: str) -> str | None:
    """Gives why a back end does not work on this machine, with the remedy; None where it does."""
    if backend == "pyav":
        return None
    if importlib.util.find_spec(backend) is None:
        extra = " (Linux x86_64 only)" if backend == "decord" else ""
        return f"{backend} is not installed{extra}; `pip install {backend}`, or backend='pyav'"
    try:
        if backend == "decord":
            importlib.import_module("decord")
        else:
            importlib.import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = "install FFmpeg's shared libraries (Debian: `apt-get install libavdevice59`)"
        if backend == "decord":
            remedy = "reinstall it"
        return f"{backend} does not load ({first[:120]}); {remedy}, or backend='pyav'"
    return None


def make_source(
    backend: str, path: str, index: VideoIndex, *, num_threads: int = 1
) -> "FrameSource":
    """Opens a file with a back end.

    Raises:
        MissingPartError: it does not work on this machine.
        MediaError: it would give wrong frames for this file.
    """
    if backend == "pyav":
        return PyavFrames(path, index, num_threads=num_threads)
    lacking = missing_part(backend)
    if lacking:
        raise MissingPartError(lacking)
    reason = refusal(backend, index)
    if reason:
        raise MediaError(f"{path}: backend {backend!r} is refused: {reason}; use backend='pyav'")
    if backend == "decord":
        return DecordFrames(path, index)
    return TorchcodecFrames(path, index, num_threads=num_threads)


def fastest(index: VideoIndex) -> str:
    """Names the fastest back end that is exact for a file (measured: docs/media.md)."""
    return "pyav"


class PyavFrames:
    """FFmpeg through PyAV, whose wheel brings its own codecs: exact for every file."""

    name = "pyav"

    def __init__(self, path: str, index: VideoIndex, *, num_threads: int = 1) -> None:
        self._cursor = Cursor(path, index, num_threads=num_threads)
        self._painter = Painter(index.info.geometry)

    @property
    def num_decoded(self) -> int | None:
        """Frames decoded so far."""
        return self._cursor.num_decoded

    def pictures(
        self, indices: Sequence[int], short_side_px: int | None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields uint8 [3, H, W]; converted and scaled in one pass."""
        for _, frame in self._cursor.frames(indices):
            yield self._painter.rgb(frame, short_side_px=short_side_px)

    def close(self) -> None:
        """Closes the file."""
        self._cursor.close()


class DecordFrames:
    """decord with one thread; it is sent back to the start after every call.

    Its decoder thread otherwise runs ahead and fills the memory with frames.
    """

    name = "decord"
    num_decoded: int | None = None

    def __init__(self, path: str, index: VideoIndex) -> None:
        import decord

        self._path = path
        self._geometry = index.info.geometry
        self._scaler = VideoReformatter()
        try:
            self._video: Any = decord.VideoReader(path, num_threads=1)
            count = len(self._video)
        except (decord.DECORDError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1][:120]
            raise MediaError(f"{path}: decord cannot open it ({reason})") from error
        if count != index.num_frames:
            raise MediaError(
                f"{path}: backend 'decord' is refused: it finds {count} frames where "
                f"{index.num_frames} decode; use backend='pyav'"
            )

    def pictures(
        self, indices: Sequence[int], short_side_px: int | None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields uint8 [3, H, W]; scaled after conversion to RGB."""
        try:
            for index in indices:
                picture = self._video[index].asnumpy()
                yield _fitted(picture, self._geometry, self._scaler, short_side_px)
        finally:
            with contextlib.suppress(Exception):
                self._video.seek(0)

    def close(self) -> None:
        """Closes the file."""
        self._video = None


class TorchcodecFrames:
    """torchcodec with the file's index, so that nothing is scanned where it accepts it."""

    name = "torchcodec"
    num_decoded: int | None = None

    def __init__(self, path: str, index: VideoIndex, *, num_threads: int = 1) -> None:
        from torchcodec.decoders import VideoDecoder

        durations = np.append(np.diff(index.ticks), index.last_ticks).tolist()
        keys = np.isin(np.arange(index.num_frames), index.key_frames).astype(int).tolist()
        frames = [
            {"pts": pts, "duration": duration, "key_frame": key}
            for pts, duration, key in zip(index.ticks.tolist(), durations, keys, strict=True)
        ]
        self._path = path
        self._geometry = index.info.geometry
        self._scaler = VideoReformatter()
        options = {"num_ffmpeg_threads": num_threads, "dimension_order": "NHWC"}
        try:
            self._video: Any = VideoDecoder(
                path, custom_frame_mappings=json.dumps({"frames": frames}), **options
            )
            if len(self._video) != index.num_frames:  # it multiplies length by rate; count instead
                self._video = VideoDecoder(path, seek_mode="exact", **options)
            count = len(self._video)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise MediaError(f"{path}: torchcodec cannot open it ({reason})") from error
        if count != index.num_frames:
            raise MediaError(
                f"{path}: backend 'torchcodec' is refused: it finds {count} frames where "
                f"{index.num_frames} decode; use backend='pyav'"
            )

    def pictures(
        self, indices: Sequence[int], short_side_px: int | None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yields uint8 [3, H, W]; scaled after conversion to RGB."""
        if not len(indices):
            return
        try:
            batch = self._video.get_frames_at(list(indices)).data.numpy()
        except (RuntimeError, IndexError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise MediaError(f"{self._path}: torchcodec cannot decode it ({reason})") from error
        for picture in batch:
            yield _fitted(picture, self._geometry, self._scaler, short_side_px)

    def close(self) -> None:
        """Closes the file."""
        self._video = None


def _fitted(
    picture: NDArray[np.uint8], geometry: Any, scaler: VideoReformatter, short_side_px: int | None
) -> NDArray[np.uint8]:
    if short_side_px is not None:
        width, height = geometry.scaled_size(short_side_px)
        if geometry.turns % 2:
            width, height = height, width
        picture = scale_rgb(scaler, picture, width, height)
    return picture.transpose(2, 0, 1)


def _claim_is_wrong(index: VideoIndex) -> bool:
    claimed = index.info.num_frames_claimed
    return claimed is not None and claimed != index.num_frames
