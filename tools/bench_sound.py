"""How fast a picture with the second of sound around it is read, and what the sound adds.

    python tools/bench_sound.py [--seconds 4]

One process on one core. The file is made here: 60 s, 640x360, H.264 with a key frame every 250
frames, AAC at 48 kHz. A sample is the picture at a random time, of it a 128-pixel crop, and the
second of mono sound around it. Times are of the processor, the best of six turns in which all ways
take part. Prints the table for docs/benchmarks.md.
"""

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from bench_sampling import CROP_PX, LENGTH_S, cpu_name

Way = Callable[[float, int, int], Any]
SOUND_S = 1.0
SETS: dict[str, tuple[int, Any]] = {
    "GOP 8": (8, "auto"),
    "GOP 8, WAV": (8, "wav"),
    "GOP 1": (1, "auto"),
}
"""Prepared sets: GOP and format of the sound."""


def make_original(path: Path) -> None:
    """Makes the 60 s file: noise and tones, so that the sound is not cheap to code."""
    import imageio_ffmpeg

    picture = f"testsrc2=size=640x360:rate=30:duration={LENGTH_S},noise=alls=8:allf=t:all_seed=1"
    sound = (
        "aevalsrc=0.2*sin(2*PI*(220+40*sin(t))*t)+0.1*sin(2*PI*1330*t)+0.05*(random(0)-0.5)"
        f":s=48000:d={LENGTH_S}"
    )
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "lavfi",
        "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "libx264", "-preset", "veryfast",
        "-g", "250", "-keyint_min", "250", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-b:a", "128k", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def prepared(directory: Path, *, rate_hz: int | None) -> Way:
    """Training's own path on a prepared set; without sound where `rate_hz` is None."""
    from avssl.catalog import Catalog
    from avssl.decode.fetch import Fetcher

    row = Catalog.read(directory).row(0)
    fetcher = Fetcher(directory)

    def read(time_s: float, left: int, top: int) -> Any:
        found = fetcher.frames(row, (time_s,), crop=(left, top, CROP_PX, CROP_PX)).frames
        if rate_hz is None:
            return found
        return found, fetcher.sound(row, time_s - SOUND_S / 2, SOUND_S, rate_hz).sound

    return read


def open_video_reader(path: Path) -> Way:
    """`open_video` on the file, with its index."""
    from avssl.decode import open_video

    video = open_video(path)
    _ = video.frame_times_s

    def read(time_s: float, left: int, top: int) -> Any:
        picture = video.frames_at([time_s])[:, :, top : top + CROP_PX, left : left + CROP_PX]
        return picture, video.sound(
            start_s=time_s - SOUND_S / 2, duration_s=SOUND_S, rate_hz=48_000
        )

    return read


def pyav_loop(path: Path) -> Way:
    """The usual loop: seek, decode up to the time; seek again, decode the sound."""
    import av

    container = av.open(str(path))
    pictures, sounds = container.streams.video[0], container.streams.audio[0]
    pictures.thread_count = sounds.codec_context.thread_count = 1
    assert pictures.time_base is not None and sounds.time_base is not None
    picture_base, sound_base = float(pictures.time_base), float(sounds.time_base)

    def read(time_s: float, left: int, top: int) -> Any:
        container.seek(int(time_s / picture_base), stream=pictures)
        last = None
        for frame in container.decode(pictures):
            if last is not None and frame.time > time_s:
                break
            last = frame
        assert last is not None
        picture = last.to_ndarray(format="rgb24")[top : top + CROP_PX, left : left + CROP_PX]
        begin_s, pieces, first_s = time_s - SOUND_S / 2, [], 0.0
        container.seek(int(max(0.0, begin_s - 0.05) / sound_base), stream=sounds)
        for frame in container.decode(sounds):
            assert frame.time is not None
            if not pieces:
                first_s = frame.time
            pieces.append(frame.to_ndarray().mean(axis=0))
            if frame.time > begin_s + SOUND_S:
                break
        start = round((begin_s - first_s) * 48_000)
        return picture.copy(), np.concatenate(pieces)[start : start + 48_000]

    return read


def pytorchvideo_reader(path: Path) -> Way:
    """pytorchvideo's clip of the second, of which the middle picture is kept."""
    from pytorchvideo.data.encoded_video import EncodedVideo

    video: Any = EncodedVideo.from_path(str(path), decode_audio=True)

    def read(time_s: float, left: int, top: int) -> Any:
        clip = video.get_clip(time_s - SOUND_S / 2, time_s + SOUND_S / 2)
        pictures = clip["video"]  # [3, T, H, W], float
        middle = pictures.shape[1] // 2
        return pictures[:, middle, top : top + CROP_PX, left : left + CROP_PX].clone(), clip[
            "audio"
        ]

    return read


def milliseconds(read: Way, *, size: tuple[int, int], seconds: float, seed: int) -> float:
    """Gives the processor's time a sample."""
    rng = np.random.default_rng(seed)
    count, begin = -1, time.process_time()
    while (spent := time.process_time() - begin) < seconds or count < 3:
        time_s = rng.uniform(1.0, LENGTH_S - 1.0)
        left, top = (int(rng.integers(0, side - CROP_PX + 1)) for side in size)
        read(time_s, left, top)
        count += 1
        if count == 0:  # the first fills caches
            begin = time.process_time()
    return 1e3 * spent / count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from avssl.catalog import Catalog
    from avssl.prepare.run import prepare
    from avssl.prepare.settings import PrepareSettings

    with tempfile.TemporaryDirectory() as folder:
        source, work = Path(folder, "source"), Path(folder)
        source.mkdir()
        original = source / "original.mp4"
        make_original(original)
        for kind, (gop, sound_format) in SETS.items():
            settings = PrepareSettings(gop=gop, fps=30.0, sound_format=sound_format)
            prepare(source, work / kind, settings=settings, jobs=1, quiet=True)
        row = Catalog.read(work / "GOP 8").row(0)
        small, large = (row.width_px, row.height_px), (640, 360)
        ways: dict[str, tuple[Way, tuple[int, int]]] = {}
        for kind in SETS:
            for name, rate_hz in (("picture", None), ("+ 48 kHz", 48_000), ("+ 16 kHz", 16_000)):
                ways[f"prepared, {kind}: {name}"] = (prepared(work / kind, rate_hz=rate_hz), small)
        ways["original: open_video"] = (open_video_reader(original), large)
        ways["original: PyAV seek loop"] = (pyav_loop(original), large)
        try:
            ways["original: pytorchvideo"] = (pytorchvideo_reader(original), large)
        except Exception as error:
            print(f"pytorchvideo: not measured ({str(error).strip().splitlines()[0][:100]})")
        found = dict.fromkeys(ways, np.inf)
        for turn in range(6):
            for name, (read, size) in ways.items():
                spent_ms = milliseconds(read, size=size, seconds=options.seconds / 6, seed=turn)
                found[name] = min(found[name], spent_ms)
    print(f"{cpu_name()}, one core\n\n| way | ms a sample |\n|---|---|")
    for name, spent_ms in found.items():
        print(f"| {name} | {spent_ms:.2f} |")
    print("\n| bar | found |\n|---|---|")
    slow = found.get("original: pytorchvideo", np.inf)
    for kind in SETS:
        alone, both = (found[f"prepared, {kind}: {name}"] for name in ("picture", "+ 48 kHz"))
        print(f"| {kind}: ≥ 10 × pytorchvideo on the original | {slow / both:.1f} × |")
        print(f"| {kind}: with sound ≤ 1.3 × the picture alone | {both / alone:.2f} × |")


if __name__ == "__main__":
    main()
