"""Video frames and sound at exact times, whatever the container, the codec and the back end.

with open_video("clip.mkv") as video:
    video.frame_times_s                         # float64 [num_frames]
    video.frames_at([1.0, 2.5], short_side_px=128)   # uint8 [2, 3, H, W], upright RGB
    video.sound(start_s=1.0, duration_s=1.0, rate_hz=16000)
"""

import os
from typing import TYPE_CHECKING

from avssl.errors import InputError

if TYPE_CHECKING:
    from avssl.decode.index import VideoIndex
    from avssl.decode.reader import Reader

BACKENDS = ("auto", "pyav", "decord", "torchcodec")


def open_video(
    path: str | os.PathLike[str],
    *,
    backend: str = "auto",
    index: "VideoIndex | None" = None,
    num_threads: int = 1,
) -> "Reader":
    """Opens a video file; close it when done, or use it in a `with` block.

    Args:
        path: the file.
        backend: "auto" takes the fastest one that is exact for this file; "pyav", "decord" and
            "torchcodec" ask for one, which is refused where it would give wrong frames.
        index: what `avssl.decode.index.build_index` made of this very file; with it nothing is
            scanned at opening.
        num_threads: decoding threads (1 is right inside loader workers).

    Raises:
        MediaError: the file cannot be read, or not by this back end; says why.
        MissingPartError: the back end does not work on this machine; says what to install.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r}: one of {', '.join(BACKENDS)}")
    from avssl.decode.video import VideoReader

    return VideoReader(path, backend=backend, index=index, num_threads=num_threads)
