"""What is known of a file before anything is decoded: its bytes' hash, the times of its packets."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from avssl.decode.info import open_container, picture_stream

Report = Callable[[float], None]
"""Told the seconds of the source that are done; also the sign of life that a time limit watches."""

_NO_VIDEO_FORMATS = ("tty", "hls", "concat", "sdp", "dash", "lrc", "ass", "srt", "webvtt")


class RefusedError(Exception):
    """The file is not used; `stage` says where that was found."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What the packets say about time, before anything is decoded."""

    times_s: NDArray[np.float64]
    """float64 [n], sorted; empty where the container carries none."""
    rate: Fraction | None
    last_s: float


def read_timing(path: str) -> Timing:
    """Reads the times of a file's pictures from its packets (no decoding)."""
    with open_container(path) as container:
        if container.format.name.split(",")[0] in _NO_VIDEO_FORMATS:
            raise RefusedError("open", f"{container.format.name}: a text or a playlist")
        stream = picture_stream(container, path=path)
        if container.format.name.endswith("_pipe") or container.format.name == "image2":
            raise RefusedError("open", "a single picture, not a video")
        base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate
        times: list[int] = []
        last = 0
        whole = True
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.pts is None:
                    whole = False
                    break
                times.append(packet.pts)
                last = packet.duration or 0
        except FFmpegError:
            pass  # damaged: the pass that decodes says how
    ticks = np.unique(np.asarray(times if whole else [], dtype=np.int64))
    return Timing(
        times_s=np.asarray(ticks * float(base), dtype=np.float64),
        rate=Fraction(rate) if rate else None,
        last_s=last * float(base),
    )


def sha256_of(path: str, report: Report | None = None) -> str:
    """Gives the hash of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
            if report is not None:
                report(0.0)
    return digest.hexdigest()
