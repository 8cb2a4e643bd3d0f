"""Pictures and videos of a run's folder, put into the report as they are."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.run.report_samples import Picture, data_uri

MAX_BYTES = 24_000_000
"""A larger file is named, not put in: the page must still open on a phone."""
PICTURE_KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
VIDEO_KINDS = {".mp4": "video/mp4", ".webm": "video/webm"}
WIDELY_PLAYED = {"h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis"}


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video with its words."""

    data_uri: str
    alt: str
    caption: str
    poster: str
    """Its first frame as a picture, shown until it is played; "" where it cannot be read."""


def _uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def _problem(path: Path) -> str:
    if not path.is_file():
        return f"{path.name} is not there"
    if path.stat().st_size > MAX_BYTES:
        return f"{path.name} is left out: {path.stat().st_size / 1e6:.0f} MB"
    return ""


def picture_of(path: Path, *, alt: str = "", caption: str = "") -> tuple[Picture | None, str]:
    """Gives a picture file for the page, or why it is not there."""
    problem = _problem(path)
    kind = PICTURE_KINDS.get(path.suffix.lower(), "")
    if problem or not kind:
        return None, problem or f"{path.name} is no picture that is known here"
    words = alt or f"picture {path.stem.replace('_', ' ')}"
    return Picture(data_uri=_uri(path, kind), alt=words, caption=caption or words), ""


def video_of(path: Path, *, alt: str = "") -> tuple[Video | None, str]:
    """Gives a video file for the page, or why it is not there.

    Its caption tells the codecs, and that a browser may lack them where they are rare.
    """
    problem = _problem(path)
    kind = VIDEO_KINDS.get(path.suffix.lower(), "")
    if problem or not kind:
        return None, problem or f"{path.name} is no video that is known here"
    words = alt or f"video {path.stem.replace('_', ' ')}"
    codecs, poster = _look_into(path)
    caption = f"{words} ({', '.join(codecs) or 'not readable'})"
    if rare := [codec for codec in codecs if codec not in WIDELY_PLAYED]:
        caption += f"; browsers may not play {' and '.join(rare)}"
    return Video(data_uri=_uri(path, kind), alt=words, caption=caption, poster=poster), ""


def _look_into(path: Path) -> tuple[list[str], str]:
    """Gives the codecs of a file and its first frame; nothing of a file that is none."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            streams = [one for one in container.streams if one.type in ("video", "audio")]
            codecs = [stream.codec_context.name for stream in streams]
            frame = next(container.decode(video=0), None) if container.streams.video else None
            picture: Any = None if frame is None else frame.to_ndarray(format="rgb24")
            return codecs, "" if picture is None else data_uri(picture)
    except (FFmpegError, OSError):
        return [], ""


def media_files(folder: Path, *, taken: Iterable[str] = ()) -> tuple[list[Path], list[Path]]:
    """Gives the pictures and the videos that lie in a folder and belong to no result."""
    known = set(taken)
    files = [path for path in sorted(folder.glob("*")) if path.name not in known]
    return (
        [path for path in files if path.suffix.lower() in PICTURE_KINDS],
        [path for path in files if path.suffix.lower() in VIDEO_KINDS],
    )
