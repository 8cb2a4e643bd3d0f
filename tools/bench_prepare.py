"""How fast `avssl prepare` is beside plain ffmpeg, what memory it takes, how true its motion is.

python tools/bench_prepare.py speed [--folder DIR]     # both on the same files and cores, in turns
python tools/bench_prepare.py memory                   # one short and one long file
python tools/bench_prepare.py motion WORLD             # a folder made by tools/make_world.py

Needs the package imageio-ffmpeg (in the dev dependencies) for `speed`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.decode import open_video
from avssl.prepare import PrepareSettings, prepare
from avssl.prepare.flow import quick_flow
from avssl.prepare.picture import prepared_size
from avssl.prepare.scan import scan
from avssl.prepare.video_writer import x264_params


def make_video(path: Path, *, width: int, height: int, seconds: float, seed: int) -> Path:
    """Writes a 30 fps H.264 file: a textured scene under a moving camera, moving patches, sound."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8, width // 6, 3), dtype=np.uint8)
    scene: Any = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    patch = rng.integers(0, 255, (height // 5, width // 8, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        heard: Any = out.add_stream("aac", rate=48000, layout="stereo")
        for number in range(round(seconds * 30)):
            x = round(width / 2 * (1 + np.sin(number / 90)))
            y = round(height / 2 * (1 + np.cos(number / 70)))
            picture = scene[y : y + height, x : x + width].copy()
            at = (number * 5) % (width - patch.shape[1])
            picture[height // 3 : height // 3 + patch.shape[0], at : at + patch.shape[1]] = patch
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
            tone = 0.2 * np.sin(np.arange(number * 1600, number * 1600 + 1600) * (0.02 + seed / 99))
            block = av.AudioFrame.from_ndarray(
                np.stack([tone, tone]).astype(np.float32), format="fltp", layout="stereo"
            )
            block.sample_rate = 48000
            block.pts = number * 1600
            out.mux(heard.encode(block))
        out.mux(stream.encode(None))
        out.mux(heard.encode(None))
    return path


def plain_ffmpeg(paths: list[Path], target: Path, *, settings: PrepareSettings, jobs: int) -> None:
    """Re-encodes with the ffmpeg command line: same scale, x264 settings, sound to FLAC."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()

    def one(path: Path) -> None:
        with open_video(path) as video:
            width, height = prepared_size(video.info, short_side_px=settings.short_side_px)
            sound = video.info.has_sound
        stem = target / f"{path.parent.name}_{path.name}"
        words = [program, "-y", "-v", "error", "-threads", "1", "-i", str(path)]
        words += ["-map", "0:v:0", "-vf", f"scale={width}:{height}:flags=area+accurate_rnd"]
        words += ["-fpsmax", str(settings.fps), "-c:v", "libx264", "-preset", settings.preset]
        words += ["-crf", str(settings.crf), "-pix_fmt", "yuv420p", "-threads", "1"]
        words += ["-filter_threads", "1", "-x264-params", x264_params(settings), f"{stem}.mp4"]
        if sound:
            words += ["-map", "0:a:0", "-ac", "1", "-ar", "48000", "-c:a", "flac", f"{stem}.flac"]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, paths))


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Gives (wall, processor) seconds of `work`, its child processes included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time()
    start_s = time.monotonic()
    work()
    wall_s = time.monotonic() - start_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    return wall_s, used + time.process_time() - own


def speed(folder: Path | None, *, seconds: float, rounds: int, jobs: int) -> None:
    """Times both in turns on the same files; the best round of each counts."""
    settings = PrepareSettings()
    with tempfile.TemporaryDirectory(prefix="avssl-bench-") as name:
        root = Path(name)
        if folder is None:
            folder = root / "videos"
            folder.mkdir()
            for number in range(4):
                path = folder / f"{number}.mp4"
                make_video(path, width=1280, height=720, seconds=seconds, seed=number)
        paths = [Path(item.path) for item in scan(folder).sources]
        results: dict[str, list[tuple[float, float]]] = {"prepare": [], "ffmpeg": []}
        for number in range(rounds):
            target = root / f"plain{number}"
            target.mkdir()
            results["ffmpeg"].append(
                timed(lambda t=target: plain_ffmpeg(paths, t, settings=settings, jobs=jobs))
            )
            done = root / f"set{number}"
            results["prepare"].append(
                timed(lambda t=done: prepare(folder, t, settings=settings, jobs=jobs, quiet=True))
            )
        for kind, times in results.items():
            print(kind, " ".join(f"{wall:.1f} s wall/{cpu:.1f} s cpu" for wall, cpu in times))
        best = {kind: np.min(times, axis=0) for kind, times in results.items()}
        ratio = best["ffmpeg"] / best["prepare"]
        print(
            f"{len(paths)} files, {jobs} processes: prepare runs at {ratio[0]:.2f}x the speed of "
            f"plain ffmpeg by the clock, {ratio[1]:.2f}x by processor time"
        )


_ONE_FILE = """
import json, resource, sys, tempfile
from pathlib import Path
from avssl.prepare.one_file import prepare_file
from avssl.prepare.settings import PrepareSettings
with tempfile.TemporaryDirectory() as folder:
    result = prepare_file(sys.argv[1], Path(folder), settings=PrepareSettings(),
                          report=lambda seconds: None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([result["status"], len(result["clips"]), peak / 1024]))
"""


def memory() -> None:
    """Prints the most memory that a worker ever held, for a short and a long file."""
    with tempfile.TemporaryDirectory(prefix="avssl-bench-") as name:
        for minutes in (2, 20):
            path = make_video(
                Path(name) / "x.mp4", width=320, height=180, seconds=60 * minutes, seed=1
            )
            words = [sys.executable, "-c", _ONE_FILE, str(path)]
            out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            status, clips, peak_mb = json.loads(out)
            print(f"{minutes} minutes: {status}, {clips} clips, at most {peak_mb:.0f} MB")


def vectors_motion(path: Path, *, num_frames: int) -> tuple[NDArray[np.float64], float]:
    """Gives the mean length of the codec's motion vectors per frame (px), and ms a frame."""
    values = np.full(num_frames, np.nan)
    start_s = time.process_time()
    with av.open(str(path), options={"flags2": "+export_mvs"}) as file:
        stream = file.streams.video[0]
        stream.codec_context.options = {"flags2": "+export_mvs"}
        stream.thread_count = 1
        area = stream.width * stream.height
        for number, frame in enumerate(file.decode(stream)):
            found = frame.side_data.get("MOTION_VECTORS")
            if found is None:
                continue
            data = found.to_ndarray()
            length = np.hypot(data["motion_x"], data["motion_y"]) / np.maximum(
                data["motion_scale"], 1
            )
            values[number] = float((length * data["w"] * data["h"]).sum() / area)
    return values, (time.process_time() - start_s) / num_frames * 1e3


def flow_motion(
    greys: Sequence[NDArray[Any]], flow: Any, *, side_px: int, every: int
) -> tuple[NDArray[np.float64], float]:
    """Gives the mean optical flow of every n-th pair (short sides a frame), and ms a frame."""
    values = np.full(len(greys), np.nan)
    scale = side_px / min(greys[0].shape)
    size = (round(greys[0].shape[1] * scale), round(greys[0].shape[0] * scale))
    start_s = time.process_time()
    small = [cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for grey in greys]
    for number in range(every, len(small), every):
        field = flow.calc(small[number - 1], small[number], None)
        values[number] = cv2.magnitude(field[..., 0], field[..., 1]).mean() / side_px
    return values, (time.process_time() - start_s) / len(greys) * 1e3


def windowed(values: NDArray[np.float64], *, per_window: int) -> NDArray[np.float64]:
    """Gives the mean of what is known in each window."""
    usable = values[: len(values) // per_window * per_window].reshape(-1, per_window)
    with np.errstate(invalid="ignore"):
        return np.nanmean(usable, axis=1)


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Gives Spearman's correlation of what is known in both."""
    from scipy.stats import rankdata

    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3:
        return float("nan")
    return float(np.corrcoef(rankdata(one[known]), rankdata(other[known]))[0, 1])


def motion(world: Path) -> None:
    """Compares estimates of motion with the world's true flow, in windows of 0.24 s."""
    cv2.setNumThreads(1)
    presets = {"ultrafast": 0, "fast": 1}
    methods: dict[str, Any] = {"ours, 64 px": (quick_flow(), 64)} | {
        f"preset {name}, {side} px": (cv2.DISOpticalFlow_create(preset), side)  # type: ignore[attr-defined]
        for side in (32, 64, 96)
        for name, preset in presets.items()
    }
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in methods}
    found |= {"codec's vectors, as filmed": [], "codec's vectors, prepared": []}
    cost: dict[str, list[float]] = {name: [] for name in found}
    true: list[NDArray[np.float64]] = []
    for path in sorted(world.glob("*/*.mp4")):
        truth = json.loads((world / "truth" / path.parent.name / f"{path.stem}.json").read_text())
        greys = [
            np.asarray(cv2.cvtColor(picture.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY))
            for _, picture in open_video(path).iter_frames()
        ]
        moved = np.concatenate([[np.nan], truth["flow_px"]]) / min(greys[0].shape)
        per_window = round(0.24 * truth["fps"])
        true.append(windowed(moved, per_window=per_window))
        for name, (flow, side) in methods.items():
            values, spent = flow_motion(greys, flow, side_px=side, every=2)
            found[name].append(windowed(values, per_window=per_window))
            cost[name].append(spent)
        with tempfile.TemporaryDirectory() as folder:
            prepare(path, Path(folder) / "set", jobs=1, quiet=True)
            [store] = (Path(folder) / "set" / "shards").iterdir()
            with store.open("rb") as stream:
                stream.seek(512)
                prepared = Path(folder) / "x.mp4"
                prepared.write_bytes(stream.read())
            for name, file in (("as filmed", path), ("prepared", prepared)):
                values, spent = vectors_motion(file, num_frames=len(greys))
                values = values / min(greys[0].shape)
                found[f"codec's vectors, {name}"].append(windowed(values, per_window=per_window))
                cost[f"codec's vectors, {name}"].append(spent)
    truth_all = np.concatenate(true)
    print("method | Pearson | Spearman | within a clip (median Spearman) | bias | ms a frame")
    for name, parts in found.items():
        values = np.concatenate(parts)
        known = np.isfinite(values) & np.isfinite(truth_all)
        inside = [rank_correlation(part, own) for part, own in zip(parts, true, strict=True)]
        print(
            f"{name} | {np.corrcoef(values[known], truth_all[known])[0, 1]:.3f} | "
            f"{rank_correlation(values, truth_all):.3f} | "
            f"{np.nanmedian(inside):.3f} | "
            f"{values[known].mean() / truth_all[known].mean():.2f} | {np.mean(cost[name]):.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    fast = kinds.add_parser("speed")
    fast.add_argument("--folder", type=Path, help="videos; four made 720p files if not given")
    fast.add_argument("--seconds", type=float, default=120.0, help="length of the made files")
    fast.add_argument("--rounds", type=int, default=2)
    fast.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    kinds.add_parser("memory")
    kinds.add_parser("motion").add_argument("world", type=Path)
    asked = parser.parse_args()
    if asked.kind == "speed":
        speed(asked.folder, seconds=asked.seconds, rounds=asked.rounds, jobs=asked.jobs)
    elif asked.kind == "memory":
        memory()
    else:
        motion(asked.world)


if __name__ == "__main__":
    main()
