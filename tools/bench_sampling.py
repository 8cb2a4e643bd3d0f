"""How fast random triplets are read: prepared sets against every reader on the original file.

    python tools/bench_sampling.py [--seconds 4] [--memory-reads 10000]

One process on one core. The file is made here: 60 s, 640x360, H.264 with a key frame every 250
frames. A sample is three frames within 2 s, of each a 128-pixel crop. Rates are triplets a second
of processor time; each way runs for `--seconds`, in turns (six rounds, the best counts), so that
all meet the same machine. Prints the table for docs/benchmarks.md.
"""

import argparse
import contextlib
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

LENGTH_S = 60.0
CROP_PX = 128
SPAN_S = 2.0
Read = Callable[[list[float], int, int], Any]


def make_original(path: Path) -> None:
    """Makes the 60 s file."""
    import imageio_ffmpeg

    picture = f"testsrc2=size=640x360:rate=30:duration={LENGTH_S},noise=alls=8:allf=t:all_seed=1"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "lavfi",
        "-i", picture, "-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-keyint_min", "250",
        "-sc_threshold", "0", "-pix_fmt", "yuv420p", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def triplet(rng: np.random.Generator, size: tuple[int, int]) -> tuple[list[float], int, int]:
    """Draws three times within 2 s, and the corner of a crop."""
    start_s = rng.uniform(0, LENGTH_S - SPAN_S - 0.1)
    times_s = sorted((start_s + rng.uniform(0, SPAN_S, 3)).tolist())
    return (
        times_s,
        int(rng.integers(0, size[0] - CROP_PX + 1)),
        int(rng.integers(0, size[1] - CROP_PX + 1)),
    )


def cut(pictures: NDArray[np.uint8], left: int, top: int) -> NDArray[np.uint8]:
    """Crops interleaved pictures [T, H, W, 3]."""
    return np.ascontiguousarray(pictures[:, top : top + CROP_PX, left : left + CROP_PX])


def pyav_loop(path: Path) -> Read:
    """The loop that every repository writes: seek, decode up to the time, convert."""
    import av

    container = av.open(str(path))
    stream = container.streams.video[0]
    stream.thread_count = 1
    assert stream.time_base is not None
    time_base = float(stream.time_base)

    def read(times_s: list[float], left: int, top: int) -> Any:
        found = []
        for time_s in times_s:
            container.seek(int(time_s / time_base), stream=stream)
            last = None
            for frame in container.decode(stream):
                if last is not None and frame.time > time_s:
                    break
                last = frame
            assert last is not None
            found.append(last.to_ndarray(format="rgb24"))
        return cut(np.stack(found), left, top)

    return read


def avssl_reader(path: Path) -> Read:
    """`open_video` on the file, with its index."""
    from avssl.decode import open_video

    video = open_video(path)
    _ = video.frame_times_s

    def read(times_s: list[float], left: int, top: int) -> Any:
        pictures = video.frames_at(times_s)
        return pictures[:, :, top : top + CROP_PX, left : left + CROP_PX]

    return read


def decord_reader(path: Path) -> Read:
    """decord, kept open, one thread."""
    import decord

    video = decord.VideoReader(str(path), num_threads=1)

    def read(times_s: list[float], left: int, top: int) -> Any:
        pictures = video.get_batch([int(t * 30) for t in times_s]).asnumpy()
        video.seek(0)
        return cut(pictures, left, top)

    return read


def torchcodec_reader(path: Path) -> Read:
    """torchcodec, kept open, one thread."""
    from torchcodec.decoders import VideoDecoder

    video = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)

    def read(times_s: list[float], left: int, top: int) -> Any:
        return cut(video.get_frames_played_at(times_s).data.numpy(), left, top)

    return read


def pytorchvideo_reader(path: Path) -> Read:
    """pytorchvideo's clip of the span, of which three frames are kept."""
    from pytorchvideo.data.encoded_video import EncodedVideo

    video: Any = EncodedVideo.from_path(str(path), decode_audio=False)

    def read(times_s: list[float], left: int, top: int) -> Any:
        clip = video.get_clip(times_s[0], times_s[-1] + 0.04)["video"]  # [3, T, H, W], float
        last = clip.shape[1] - 1
        keep = [min(last, int((t - times_s[0]) * 30)) for t in times_s]
        return clip[:, keep, top : top + CROP_PX, left : left + CROP_PX].clone()

    return read


def prepared_reader(directory: Path) -> tuple[Read, Any, Any]:
    """Training's own path on a prepared set."""
    from avssl.catalog import Catalog
    from avssl.decode.fetch import Fetcher

    row = Catalog.read(directory).row(0)
    fetcher = Fetcher(directory)

    def read(times_s: list[float], left: int, top: int) -> Any:
        return fetcher.frames(row, times_s, crop=(left, top, CROP_PX, CROP_PX)).frames

    return read, row, fetcher


def bare_jpeg(directory: Path, row: Any) -> Read:
    """libjpeg-turbo alone on the same bytes, which lie in memory."""
    import simplejpeg

    with (directory / row.store).open("rb") as stream:
        data = stream.read()
    pieces = [
        data[offset : offset + num_bytes]
        for offset, num_bytes in zip(row.packet_offsets, row.packet_num_bytes, strict=True)
    ]

    def read(times_s: list[float], left: int, top: int) -> Any:
        return [simplejpeg.decode_jpeg(pieces[int(t * 30)], fastupsample=True) for t in times_s]

    return read


def rate_of(read: Read, *, size: tuple[int, int], seconds: float, seed: int) -> float:
    """Gives triplets a second of processor time (other processes do not count)."""
    rng = np.random.default_rng(seed)
    read(*triplet(rng, size))
    count, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        read(*triplet(rng, size))
        count += 1
    return count / spent


def memory_mib() -> float:
    """Gives the resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--memory-reads", type=int, default=10000)
    options = parser.parse_args()
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from avssl.prepare.run import prepare
    from avssl.prepare.settings import PrepareSettings

    with tempfile.TemporaryDirectory() as folder:
        source, work = Path(folder, "source"), Path(folder)
        source.mkdir()
        original = source / "original.mp4"
        make_original(original)
        for gop in (8, 1):
            settings = PrepareSettings(gop=gop, fps=30.0)
            prepare(source, work / f"gop{gop}", settings=settings, jobs=1, quiet=True)
        gop8, row8, fetcher8 = prepared_reader(work / "gop8")
        gop1, row1, fetcher1 = prepared_reader(work / "gop1")
        prepared = work / "prepared.mp4"
        with (work / "gop8" / row8.store).open("rb") as stream:
            stream.seek(row8.video_offset)
            prepared.write_bytes(stream.read(row8.video_num_bytes))
        small, large = (row8.width_px, row8.height_px), (640, 360)
        ways: dict[str, tuple[Read, tuple[int, int]]] = {
            "prepared, GOP 1": (gop1, small),
            "libjpeg-turbo alone, same bytes": (bare_jpeg(work / "gop1", row1), small),
            "prepared, GOP 8": (gop8, small),
            "PyAV seek loop on the prepared file": (pyav_loop(prepared), small),
            "open_video on the prepared file": (avssl_reader(prepared), small),
            "original: open_video": (avssl_reader(original), large),
            "original: PyAV seek loop": (pyav_loop(original), large),
        }
        makers = {"decord": decord_reader, "torchcodec": torchcodec_reader}
        for name, maker in {**makers, "pytorchvideo": pytorchvideo_reader}.items():
            try:
                ways[f"original: {name}"] = (maker(original), large)
            except Exception as error:
                print(f"{name}: not measured ({str(error).strip().splitlines()[0][:100]})")
        rates = dict.fromkeys(ways, 0.0)
        for turn in range(6):
            for name, (read, size) in ways.items():
                found = rate_of(read, size=size, seconds=options.seconds / 6, seed=turn)
                rates[name] = max(rates[name], found)
        print(f"{platform.processor() or platform.machine()}, {cpu_name()}, one core\n")
        print("| way | triplets a second |\n|---|---|")
        for name, rate in rates.items():
            print(f"| {name} | {rate:.1f} |")
        best = max(
            rate
            for name, rate in rates.items()
            if name.startswith("original") and "open_video" not in name
        )
        gop1_rate, gop8_rate = rates["prepared, GOP 1"], rates["prepared, GOP 8"]
        alone = rates["libjpeg-turbo alone, same bytes"]
        loop = rates["PyAV seek loop on the prepared file"]
        print("\n| bar | found |\n|---|---|")
        print(f"| GOP 1 ≥ 0.8 × libjpeg-turbo alone | {gop1_rate / alone:.2f} × |")
        print(f"| GOP 8 ≥ 1.5 × PyAV seek loop on the same file | {gop8_rate / loop:.2f} × |")
        print(
            f"| GOP 1 ≥ 20 × the best reader on the original | {gop1_rate / best:.1f} × |",
            flush=True,
        )
        for name, read in (("GOP 1", gop1), ("GOP 8", gop8)):
            print(f"| memory over {options.memory_reads} random reads, {name} | ", end="")
            print(memory_over(read, size=small, num_reads=options.memory_reads) + " |", flush=True)
        fetcher8.close()
        fetcher1.close()


def memory_over(read: Read, *, size: tuple[int, int], num_reads: int) -> str:
    """Reads `num_reads` frames at random; says how the resident memory went."""
    rng = np.random.default_rng(9)
    for _ in range(max(1, num_reads // 60)):
        read(*triplet(rng, size))
    before = memory_mib()
    for _ in range(num_reads // 3):
        read(*triplet(rng, size))
    return f"{before:.0f} → {memory_mib():.0f} MiB"


def cpu_name() -> str:
    """Gives the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return "unknown processor"


if __name__ == "__main__":
    main()
