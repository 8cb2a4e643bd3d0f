"""The probes of `avssl doctor` that read and write a little video and sound.

Each runs in a process of its own (`avssl.run.doctor`).
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from importlib import metadata, util
from pathlib import Path
from typing import Any

from avssl.run.doctor_probes import Finding, pip_fix, reason

NUM_FRAMES = 8
LEVEL_STEP = 24
"""Frame k of the probe's video is grey of level 32 + 24 k, so that a wrong frame shows."""

# FFmpeg's name of the encoder (None: only read), of the decoder, and whether `prepare` needs both.
CODECS: tuple[tuple[str, str | None, str, bool], ...] = (
    ("H.264", "libx264", "h264", True),
    ("MJPEG", "mjpeg", "mjpeg", True),
    ("H.265", "libx265", "hevc", False),
    ("VP8", "libvpx", "vp8", False),
    ("VP9", "libvpx-vp9", "vp9", False),
    ("AV1", "libsvtav1", "libdav1d", False),
    ("MPEG-4", "mpeg4", "mpeg4", False),
    ("MPEG-2", "mpeg2video", "mpeg2video", False),
    ("Theora", None, "theora", False),
    ("WMV", None, "wmv3", False),
    ("FLAC", "flac", "flac", True),
    ("AAC", "aac", "aac", False),
    ("Opus", "libopus", "opus", False),
    ("MP3", "libmp3lame", "mp3", False),
    ("Vorbis", None, "vorbis", False),
)


def write_video(path: Path) -> None:
    """Writes `NUM_FRAMES` grey frames of known levels as H.264 with PyAV."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(NUM_FRAMES):
            picture = np.full((48, 64, 3), 32 + LEVEL_STEP * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def look_at_backend(name: str, *, core: bool) -> Iterator[Finding]:
    """Decodes a tiny video through back end `name` and compares every frame with the truth."""
    module = {"pyav": "av"}.get(name, name)
    whole: dict[str, Any] = {"group": "reading video", "part": name, "core": core}
    absent = name == "decord" and not (
        sys.platform == "linux" and os.uname().machine == "x86_64"  # the only wheels there are
    )
    if absent:
        yield Finding(**whole, state="absent", found="no wheel for this machine; pyav does it all")
        return
    fix = pip_fix(module)
    if name == "torchcodec":
        fix += " and FFmpeg's libraries (Debian: apt install ffmpeg; macOS: brew install ffmpeg)"
    if util.find_spec(module) is None:
        yield Finding(**whole, state="broken" if core else "absent", fix=fix)
        return
    try:
        import avssl

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.mp4"
            write_video(path)
            reader = avssl.open_video(path, backend=name)
            wanted = [5, 2, NUM_FRAMES - 1, 0]
            levels = reader.frames_by_index(wanted).mean(axis=(1, 2, 3))
        wrong = [
            index
            for index, level in zip(wanted, levels, strict=True)
            if abs(level - (32 + LEVEL_STEP * index)) > LEVEL_STEP / 4
        ]
        version = metadata.version(module)
        if wrong:
            yield Finding(
                **whole, state="broken", found=f"{version}: wrong frames {wrong}", fix=fix
            )
        else:
            yield Finding(**whole, state="works", found=f"{version}, frames as written")
    except Exception as error:
        yield Finding(**whole, state="broken", found=reason(error), fix=fix)


def round_trip(encoder: str, decoder: str) -> int:
    """Encodes two short pictures or stretches of sound, decodes them, gives how many came back."""
    import av
    import numpy as np

    out: Any = av.CodecContext.create(encoder, "w")
    if out.type == "video":
        out.width, out.height, out.time_base = 64, 64, Fraction(1, 10)
        formats = [item.name for item in out.codec.video_formats or ()]
        wanted = ("yuvj420p", "yuv420p")  # MJPEG refuses the short range
        out.pix_fmt = next((item for item in wanted if item in formats), formats[0])
        picture = np.full((64, 64, 3), 128, dtype=np.uint8)
        frames: list[Any] = [
            av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=out.pix_fmt)
            for _ in range(2)
        ]
    else:
        rates = out.codec.audio_rates or [48000]
        out.sample_rate = 48000 if 48000 in rates else rates[0]
        out.layout, out.format = "mono", out.codec.audio_formats[0].name
        out.open()
        num = out.frame_size or 1024
        frames = [
            av.AudioFrame(format=out.format.name, layout="mono", samples=num) for _ in range(2)
        ]
        for frame in frames:
            frame.sample_rate = out.sample_rate
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
    packets = []
    for index, frame in enumerate(frames):
        frame.pts = index * (frame.samples if out.type == "audio" else 1)
        packets += out.encode(frame)
    packets += out.encode(None)
    back: Any = av.CodecContext.create(decoder, "r")
    if out.extradata:
        back.extradata = out.extradata
    if out.type == "audio":
        back.sample_rate, back.layout = out.sample_rate, "mono"
    num_back = sum(len(back.decode(packet)) for packet in packets if packet.size)
    return num_back + len(back.decode(None))


def look_at_codecs() -> Iterator[Finding]:
    """Encodes and decodes a little with every codec of the FFmpeg inside PyAV."""
    from av import Codec
    from av.logging import PANIC, set_level

    set_level(PANIC)
    for title, encoder, decoder, core in CODECS:
        whole: dict[str, Any] = {"group": "codecs", "part": title, "core": core}
        fix = pip_fix("av")
        try:
            Codec(decoder, "r")
        except Exception:
            yield Finding(
                **whole, state="broken" if core else "absent", found="no decoder", fix=fix
            )
            continue
        if encoder is None:
            yield Finding(**whole, state="works", found=f"reads ({decoder})")
            continue
        try:
            num_back = round_trip(encoder, decoder)
            if not num_back:
                raise RuntimeError("nothing came back from the decoder")
            yield Finding(**whole, state="works", found=f"reads ({decoder}) and writes ({encoder})")
        except Exception as error:
            state = "broken" if core else "works"
            found = f"reads ({decoder}); cannot write with {encoder}: {reason(error)}"
            yield Finding(**whole, state=state, found=found, fix=fix if core else "")
