"""Makes the table of docs/media.md: wrong frames and sound error of every reader and kind of file.

    python tools/make_backend_table.py > table.md

Each reader runs in a process of its own that is killed when a file takes too long. The libraries
are asked plainly, as people ask them; `avssl` is `open_video(path)`.
"""

import importlib.util
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from conformance import CASES, Case, burst_error_s, make_files

NUM_ASKED = 40
LIMIT_S = 60.0


def with_avssl(path: str, times_s: list[float]) -> list[Any]:
    """What this package gives."""
    from avssl.decode import open_video

    with open_video(path) as video:
        return list(video.frames_at(times_s))


def with_pyav_loop(path: str, times_s: list[float]) -> list[Any]:
    """Seek, decode through, take the last frame with time ≤ t."""
    import av

    found = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        for time_s in times_s:
            container.seek(int(time_s / stream.time_base), stream=stream)
            last = None
            for frame in container.decode(stream):
                if last is not None and (frame.time or 0) > time_s:
                    break
                last = frame
            assert last is not None
            found.append(last.to_ndarray(format="rgb24").transpose(2, 0, 1))
    return found


def with_decord(path: str, times_s: list[float]) -> list[Any]:
    """By index, from the time and the average rate."""
    import decord

    video = decord.VideoReader(path, num_threads=1)
    stamps = video.get_frame_timestamp(range(len(video)))[:, 0]
    places = np.clip(np.searchsorted(stamps, times_s, side="right") - 1, 0, len(video) - 1)
    found = []
    for place in places:
        found.append(video[int(place)].asnumpy().transpose(2, 0, 1))
        video.seek(0)
    return found


def with_torchcodec(path: str, times_s: list[float]) -> list[Any]:
    """In its exact mode."""
    from torchcodec.decoders import VideoDecoder

    video = VideoDecoder(path, num_ffmpeg_threads=1)
    return [video.get_frame_played_at(time_s).data.numpy() for time_s in times_s]


def with_pytorchvideo(path: str, times_s: list[float]) -> list[Any]:
    """The last frame of a short clip that ends at the time."""
    from pytorchvideo.data.encoded_video import EncodedVideo

    video: Any = EncodedVideo.from_path(path, decode_audio=False)
    found = []
    for time_s in times_s:
        clip = video.get_clip(max(0.0, time_s - 0.2), time_s)["video"]
        found.append(clip[:, -1].numpy().astype(np.uint8))
    return found


READERS: dict[str, Callable[[str, list[float]], list[Any]]] = {
    "avssl": with_avssl,
    "PyAV loop": with_pyav_loop,
    "decord": with_decord,
    "torchcodec": with_torchcodec,
    "pytorchvideo": with_pytorchvideo,
}


def judge(case: Case, path: str, reader: str) -> str:
    """Gives "wrong of asked", or the error."""
    numbers = case.numbers if not case.truncated else case.numbers[:40]
    rng = np.random.default_rng(1)
    asked = rng.permutation(np.asarray(numbers))[:NUM_ASKED]
    times_s = [case.time_s(int(number)) + 0.012 for number in asked]
    try:
        pictures = READERS[reader](path, times_s)
    except Exception as error:
        return f"error ({type(error).__name__})"
    wrong = sum(
        case.number_of(picture) != number for picture, number in zip(pictures, asked, strict=True)
    )
    return f"{wrong} of {len(asked)}" if wrong else "0"


def judge_sound(case: Case, path: str, reader: str) -> str:
    """Gives the largest error in milliseconds."""
    if not case.sound or case.truncated or reader not in ("avssl", "pytorchvideo"):
        return ""
    worst = 0.0
    for true_s in case.bursts_s:
        start_s = true_s - 0.4
        if reader == "avssl":
            from avssl.decode import open_video

            with open_video(path) as video:
                samples = video.sound(start_s=start_s, duration_s=0.6, rate_hz=44100).samples[0]
        else:
            from pytorchvideo.data.encoded_video import EncodedVideo

            try:
                video = EncodedVideo.from_path(path)
                samples = video.get_clip(start_s, start_s + 0.6)["audio"].numpy()  # type: ignore
            except Exception:
                return "error"
        rate_hz = 48000 if "opus" in case.sound and reader != "avssl" else 44100
        error_s = burst_error_s(
            np.asarray(samples, np.float32), rate_hz=rate_hz, start_s=start_s, true_s=true_s
        )
        if np.isnan(error_s):
            return "burst not there"
        worst = max(worst, abs(error_s))
    return f"{1000 * worst:.1f} ms"


def serve(pipe: Any, reader: str) -> None:
    """Answers until it is killed."""
    while True:
        case, path = pipe.recv()
        pipe.send((judge(case, path, reader), judge_sound(case, path, reader)))


def column(reader: str, files: dict[str, Path]) -> dict[str, tuple[str, str]]:
    """Asks one reader about all files."""
    if reader in ("decord", "torchcodec"):
        from avssl.decode.backends import missing_part

        if missing_part(reader):
            return {name: ("not measured", "") for name in files}
    elif reader == "pytorchvideo" and importlib.util.find_spec(reader) is None:
        return {name: ("not measured", "") for name in files}
    spawn = multiprocessing.get_context("spawn")
    found = {}
    process = ours = None
    for case in CASES:
        if process is None or not process.is_alive():
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=serve, args=(theirs, reader), daemon=True)
            process.start()
            theirs.close()
        assert ours is not None
        ours.send((case, str(files[case.name])))
        try:
            found[case.name] = ours.recv() if ours.poll(LIMIT_S) else None
        except EOFError:
            found[case.name] = ("died", "")
        if found[case.name] is None:
            found[case.name] = ("hangs", "")
            process.kill()
            process.join()
    if process is not None:
        process.kill()
    return found


def refusals(files: dict[str, Path], backend: str) -> dict[str, str]:
    """What `open_video(path, backend=…)` says."""
    from avssl.decode import open_video
    from avssl.errors import AvsslError

    found = {}
    for name, path in files.items():
        try:
            with open_video(path, backend=backend):
                found[name] = ""
        except AvsslError as error:
            text = str(error).split("refused: ")[-1].split("; use backend")[0]
            found[name] = text.split(": ")[-1] if "refused" not in str(error) else text
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        columns = {reader: column(reader, files) for reader in READERS}
        print("| kind of file |", " | ".join(READERS), "| sound: avssl | pytorchvideo |")
        print("|---" * (len(READERS) + 3) + "|")
        for case in CASES:
            cells = [columns[reader][case.name][0] for reader in READERS]
            cells += [columns[reader][case.name][1] for reader in ("avssl", "pytorchvideo")]
            print(f"| {case.name} |", " | ".join(cells), "|")
        print("\n| kind of file | decord is refused because | torchcodec is refused because |")
        print("|---|---|---|")
        both = [refusals(files, backend) for backend in ("decord", "torchcodec")]
        for name in files:
            if any(item[name] for item in both):
                print(f"| {name} | {both[0][name]} | {both[1][name]} |")


if __name__ == "__main__":
    main()
