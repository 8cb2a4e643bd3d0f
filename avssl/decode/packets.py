"""Where each packet of a finished file lies, so that a sample can read just its bytes."""

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from avssl.errors import MediaError


@dataclass(frozen=True, kw_only=True, eq=False)
class PacketTable:
    """The packets of one stream, in the order of the file. Verified: the bytes are the packets."""

    codec: str
    """Name of FFmpeg's decoder."""
    codec_config: bytes
    """Extra data of the codec; with the packets it is all that a decoder needs."""
    offsets: NDArray[np.int64]
    """First byte of each packet in the file."""
    num_bytes: NDArray[np.int64]
    pts_s: NDArray[np.float64]
    durations_s: NDArray[np.float64]
    key_frames: NDArray[np.int64]
    """Numbers of packets at which decoding can start."""
    num_samples: NDArray[np.int64]
    """Samples of each packet, for sound (before the decoder trims any)."""
    rate_hz: int = 0
    """Of sound; 0 for a picture."""
    num_channels: int = 0


def packet_table(source: str | os.PathLike[str] | bytes, *, kind: str = "video") -> PacketTable:
    """Lists the packets of the first stream of a kind and checks their bytes.

    Args:
        source: path, or the whole file.
        kind: "video" or "audio".

    Raises:
        MediaError: no such stream, a packet without a place or a time, packets that are shown in
            another order than they are stored, or bytes in the file that are not the packet's
            (the container interleaves or escapes them).
    """
    name = "file in memory" if isinstance(source, bytes) else os.fspath(source)
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            streams = container.streams.video if kind == "video" else container.streams.audio
            if not streams:
                raise MediaError(f"{name}: has no {kind} stream")
            return _table(container, streams[0], data, name=name)
    except FFmpegError as error:
        raise MediaError(f"{name}: cannot be read ({error.strerror})") from error


def _table(container: Any, stream: Any, data: bytes, *, name: str) -> PacketTable:
    offsets: list[int] = []
    sizes: list[int] = []
    pts: list[int] = []
    durations: list[int] = []
    keys: list[int] = []
    time_base: Fraction = stream.time_base
    context = stream.codec_context
    for packet in container.demux(stream):
        if not packet.size:
            continue
        number = len(offsets)
        if packet.pts is None or packet.pos is None or packet.pos < 0:
            raise MediaError(f"{name}: packet {number} has no place or no time")
        if pts and packet.pts <= pts[-1]:
            raise MediaError(f"{name}: packet {number} is shown before the one it follows")
        place = _place(data, bytes(packet), packet.pos)
        if place is None:
            raise MediaError(f"{name}: the bytes of packet {number} do not stand in the file")
        if packet.is_keyframe:
            keys.append(number)
        offsets.append(place)
        sizes.append(packet.size)
        pts.append(packet.pts)
        durations.append(packet.duration or 0)
    rate_hz = int(getattr(context, "sample_rate", 0) or 0) if stream.type == "audio" else 0
    ticks = np.asarray(durations, dtype=np.float64)
    seconds = ticks * time_base.numerator / time_base.denominator
    return PacketTable(
        codec=context.codec.canonical_name,
        codec_config=bytes(context.extradata or b""),
        offsets=np.asarray(offsets, dtype=np.int64),
        num_bytes=np.asarray(sizes, dtype=np.int64),
        pts_s=np.asarray(pts, dtype=np.float64) * time_base.numerator / time_base.denominator,
        durations_s=seconds,
        key_frames=np.asarray(keys, dtype=np.int64),
        num_samples=np.rint(seconds * rate_hz).astype(np.int64),
        rate_hz=rate_hz,
        num_channels=int(context.channels) if stream.type == "audio" else 0,
    )


def _place(data: bytes, packet: bytes, claimed: int) -> int | None:
    """Gives where the packet's bytes stand: where claimed, or within a header's length after."""
    if data[claimed : claimed + len(packet)] == packet:
        return claimed
    found = data.find(packet, claimed, claimed + len(packet) + 64)
    return None if found < 0 else found
