"""When each frame is shown and from where it can be decoded: made once, then kept.

Matroska and MP4 tell this by their packets, without decoding; the first and the last group of
pictures are decoded as a check. Everything else (no presentation times, missing or unordered ones,
counts that are not true) is decoded once from front to back, which is the truth.
"""

import base64
import dataclasses
import json
import os
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.decode.forward import (
    Pass,
    decode_forward,
    decode_with_times,
    frame_step,
    missing_end,
)
from avssl.decode.info import VideoInfo, info_of, open_container, picture_stream
from avssl.decode.picture import Geometry
from avssl.errors import InputError, MediaError

INDEX_VERSION = 1
PACKET_FORMATS = frozenset({"mov", "matroska"})
"""Containers whose packets are trusted with the times of frames, after the check."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoIndex:
    """The frames of a file that decode, in the order in which they are shown."""

    info: VideoInfo
    ticks: NDArray[np.int64]
    """int64 [num_frames]: time of each frame in units of `info.time_base`, ascending."""
    last_ticks: int
    """Duration of the last frame."""
    key_frames: NDArray[np.int64]
    """Indices of frames from which decoding can start."""
    restarts: NDArray[np.int64]
    """int64 [num_frames]: the key frame to start from to reach each frame."""
    open_groups: bool
    """True where pictures that follow a key frame in the file are shown before it."""
    seekable: bool
    """False where only decoding from the start of the file leads to the right frames."""
    method: str
    """"packets" or "decoding": where the times come from."""
    damage: str | None
    """Why the file ends before it should; None where it is well (as far as was decoded)."""
    file_num_bytes: int
    file_mtime_ns: int

    @property
    def num_frames(self) -> int:
        """Frames that decode."""
        return len(self.ticks)

    @property
    def frame_times_s(self) -> NDArray[np.float64]:
        """float64 [num_frames]: time of each frame."""
        return ticks_to_s(self.ticks, self.info.time_base)

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        last = self.ticks[-1:] + self.last_ticks
        return float(ticks_to_s(last, self.info.time_base)[0])

    def check(self, path: str | os.PathLike[str]) -> None:
        """Checks that the file is still the one that was indexed (size and time of change).

        Raises:
            InputError: it is not.
        """
        num_bytes, mtime_ns = _stamp(path)
        if (num_bytes, mtime_ns) != (self.file_num_bytes, self.file_mtime_ns):
            raise InputError(
                f"{path}: has changed since its index was made "
                f"({self.file_num_bytes} → {num_bytes} bytes); make the index again"
            )

    def to_json(self) -> str:
        """Gives the index as JSON text."""
        value = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        value["info"] = _info_to_json(self.info)
        for name in ("ticks", "key_frames", "restarts"):
            packed = zlib.compress(np.diff(value[name], prepend=0).astype("<i8").tobytes())
            value[name] = base64.b85encode(packed).decode()
        return json.dumps({"version": INDEX_VERSION, **value})

    @classmethod
    def from_json(cls, text: str | bytes) -> "VideoIndex":
        """Reads what `to_json` wrote.

        Raises:
            InputError: another version wrote it, or it is damaged.
        """
        try:
            value = json.loads(text)
            if value.pop("version") != INDEX_VERSION:
                raise InputError("this index is of another version; make it again")
            for name in ("ticks", "key_frames", "restarts"):
                packed = zlib.decompress(base64.b85decode(value[name]))
                value[name] = np.cumsum(np.frombuffer(packed, "<i8").astype(np.int64))
            return cls(**{**value, "info": _info_from_json(value["info"])})
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise InputError(f"not an index of a video ({error}); make it again") from error

    def to_bytes(self) -> bytes:
        """Gives the index as bytes."""
        return zlib.compress(self.to_json().encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> "VideoIndex":
        """Reads what `to_bytes` wrote."""
        try:
            return cls.from_json(zlib.decompress(data))
        except zlib.error as error:
            raise InputError(f"not an index of a video ({error}); make it again") from error


def build_index(
    path: str | os.PathLike[str], *, method: str = "auto", num_threads: int = 1
) -> VideoIndex:
    """Finds the frames of a file.

    Args:
        path: the file.
        method: "auto"; "decoding" to decode every frame even where packets would be trusted (the
            only way to find damage in the middle); "packets" to refuse where they are not.
        num_threads: threads of the decoder.

    Raises:
        MediaError: the file cannot be read, no frame decodes, or "packets" was asked for and they
            cannot be trusted.
    """
    if method not in ("auto", "packets", "decoding"):
        raise InputError(f"method {method!r}: one of 'auto', 'packets', 'decoding'")
    name = os.fspath(path)
    reason = "asked for"
    if method != "decoding":
        with open_container(path) as container:
            stream = picture_stream(container, path=name, num_threads=num_threads)
            found = _from_packets(container, stream, path=name)
        if isinstance(found, VideoIndex):
            return found
        reason = found
    if method == "packets":
        raise MediaError(f"{name}: its packets do not tell the frames' times: {reason}")
    with open_container(path) as container:
        stream = picture_stream(container, path=name, num_threads=num_threads)
        return _from_decoding(container, stream, path=name)


def ticks_to_s(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.float64]:
    """Gives seconds, correctly rounded wherever the product fits float64."""
    return ticks.astype(np.float64) * time_base.numerator / time_base.denominator


def _stamp(path: str | os.PathLike[str]) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from error
    return found.st_size, found.st_mtime_ns


def _info_to_json(info: VideoInfo) -> dict[str, Any]:
    value = {item.name: getattr(info, item.name) for item in dataclasses.fields(info)}
    value["time_base"] = str(info.time_base)
    value["geometry"] = {**vars(info.geometry), "pixel_aspect": str(info.geometry.pixel_aspect)}
    return value


def _info_from_json(value: dict[str, Any]) -> VideoInfo:
    geometry = value["geometry"]
    geometry = Geometry(**{**geometry, "pixel_aspect": Fraction(geometry["pixel_aspect"])})
    return VideoInfo(**{**value, "geometry": geometry, "time_base": Fraction(value["time_base"])})


def _from_packets(container: InputContainer, stream: VideoStream, *, path: str) -> VideoIndex | str:
    """Gives the index, or why the packets cannot be trusted."""
    formats = container.format.name.split(",")
    if not PACKET_FORMATS.intersection(formats):
        return f"the container {formats[0]} is not trusted with them"
    pts: list[int] = []
    keys: list[bool] = []
    num_hidden = 0
    duration = 0
    whole = Pass()
    try:
        for packet in container.demux([stream, *container.streams.audio[:1]]):
            if not packet.size:
                continue
            if packet.pts is not None:
                packet_end = (packet.pts + (packet.duration or 0)) * float(packet.time_base)
                whole.end_s = max(whole.end_s, packet_end)
            if packet.stream_index != stream.index:
                continue
            if packet.is_corrupt:
                return "a packet is cut off"
            if packet.pts is None:
                return "a packet has no presentation time"
            if packet.is_discard:
                num_hidden += 1
                continue
            pts.append(packet.pts)
            keys.append(packet.is_keyframe)
            duration = packet.duration or duration
    except FFmpegError as error:
        return f"the container breaks off ({error.strerror})"
    if not pts:
        return "there are none"
    if stream.frames and stream.frames != len(pts) + num_hidden:
        return f"{stream.frames} are claimed and {len(pts) + num_hidden} are there"
    in_order = np.asarray(pts, dtype=np.int64)
    rank = np.empty(len(pts), dtype=np.int64)
    order = np.argsort(in_order, kind="stable")
    rank[order] = np.arange(len(pts))
    ticks = in_order[order]
    if np.any(np.diff(ticks) <= 0):
        return "two frames have one time"
    keys_at = np.flatnonzero(keys)  # in decoding order
    if num_hidden and (len(keys_at) == 0 or keys_at[0] != 0):
        keys_at = np.concatenate([[int(order[0])], keys_at])
        # The hidden pictures hold the key frame; the first one shown is reached from the start.
        keys_at = np.unique(keys_at)
    if len(keys_at) == 0:
        return "there is no key frame"
    restarts = _restarts(rank=rank, keys_at=keys_at)
    key_frames = np.sort(rank[keys_at])

    # The first and the last group of pictures must decode to exactly these times.
    last_key = int(restarts[-1])
    info: VideoInfo | None = None
    for first in dict.fromkeys((0, last_key)):
        num_wanted = min(24, len(ticks)) if first == 0 and last_key else len(ticks) - first
        seen: list[int | None] = []
        container.seek(int(ticks[first]), stream=stream, backward=True)
        state = Pass()
        for frame in decode_forward(container, stream, state=state):
            info = info or info_of(container, stream, frame, path=path)
            if frame.pts is not None and frame.pts >= ticks[first]:
                seen.append(frame.pts)
            if len(seen) >= num_wanted + (first != 0):
                break
        if seen != ticks[first : first + num_wanted].tolist() or state.damage:
            return "decoding gives other times"
    assert info is not None
    num_bytes, mtime_ns = _stamp(path)
    return VideoIndex(
        info=info,
        ticks=ticks,
        last_ticks=duration or frame_step(stream),
        key_frames=key_frames,
        restarts=restarts,
        open_groups=_open_groups(rank=rank, keys_at=keys_at),
        seekable=True,
        method="packets",
        damage=missing_end(container, whole),
        file_num_bytes=num_bytes,
        file_mtime_ns=mtime_ns,
    )


def _open_groups(*, rank: NDArray[np.int64], keys_at: NDArray[np.int64]) -> bool:
    earliest_after = np.minimum.accumulate(rank[::-1])[::-1]
    return bool(np.any(earliest_after[keys_at] < rank[keys_at]))


def _restarts(*, rank: NDArray[np.int64], keys_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gives for each frame (as shown) the key frame (as shown) from which it can be decoded.

    That is the last key frame that comes no later in decoding order and is shown no later: the
    pictures of an open group that are shown before its key frame need the group before.
    """
    num_frames = len(rank)
    restarts = np.zeros(num_frames, dtype=np.int64)
    before = rank[keys_at[0]]
    key = before
    is_key = np.zeros(num_frames, dtype=bool)
    is_key[keys_at] = True
    for position in range(num_frames):
        shown = rank[position]
        if is_key[position]:
            before, key = key, shown
        restarts[shown] = key if shown >= key else min(before, shown)
    return restarts


def _from_decoding(container: InputContainer, stream: VideoStream, *, path: str) -> VideoIndex:
    state = Pass()
    info: VideoInfo | None = None
    ticks: list[int] = []
    keys: list[bool] = []
    seekable = True
    duration = 0
    for time, frame in decode_with_times(container, stream, state=state):
        info = info or info_of(container, stream, frame, path=path)
        seekable = seekable and frame.pts == time
        ticks.append(time)
        keys.append(frame.key_frame)
        duration = frame.duration or 0
    if info is None:
        raise MediaError(f"{path}: no frame decodes ({state.damage or 'no picture in it'})")
    claimed = (info.num_frames_claimed or 0) - state.num_hidden
    if state.damage is None and claimed > len(ticks) + 8 and claimed > 1.05 * len(ticks):
        state.damage = f"{claimed} frames are claimed and {len(ticks)} are there"
    key_frames = np.flatnonzero(keys)
    if len(key_frames) == 0 or key_frames[0] != 0:
        key_frames = np.concatenate([[0], key_frames]).astype(np.int64)
    at = np.searchsorted(key_frames, np.arange(len(ticks)), side="right") - 1
    num_bytes, mtime_ns = _stamp(path)
    return VideoIndex(
        info=info,
        ticks=np.asarray(ticks, dtype=np.int64),
        last_ticks=max(duration, 1) if duration else frame_step(stream),
        key_frames=key_frames.astype(np.int64),
        restarts=key_frames[at].astype(np.int64),
        open_groups=False,
        seekable=seekable,
        method="decoding",
        damage=state.damage,
        file_num_bytes=num_bytes,
        file_mtime_ns=mtime_ns,
    )
