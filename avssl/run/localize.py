"""`avssl.load_localizer` and `avssl localize`: where in a video what is heard comes from."""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.config import TrainConfig, read_config
from avssl.decode import open_video
from avssl.decode.reader import Reader
from avssl.downstream.localizer import THOROUGH, Localizer
from avssl.errors import InputError
from avssl.files import check_target, replacing, write_json
from avssl.prepare.analysis import Bars
from avssl.progress import progress_bar
from avssl.run.folder import HEAD_FILE
from avssl.run.overlay import OverlayWriter
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.task import widths_of
from avssl.transform.drawing_sound import SoundStrip, glow_over, mark_peak, strip_height

_BATCH = 16
_SMOOTH_S = 0.12
"""Width of the Gaussian over time that maps and strengths are smoothed with."""
_LEAST_WIDTH_PX = 480
_NUM_BAR_FRAMES = 12


def load_localizer(run: str | Path, **how: Any) -> Localizer:
    """Gives the trained audio-visual network of a run's folder, on the CPU; `how`: see `Localizer`.

    Raises:
        InputError: no finished run of an audio-visual task there.
    """
    from safetensors.torch import load_file

    from avssl.model import load_encoder

    config: TrainConfig = read_config(run)
    if not hasattr(config.task, "locate"):
        raise InputError(
            f"{run}: a run of {config.task.name}; sound is localised by runs of "
            "audio-visual-correspondence, audio-visual-contrast"
        )
    path = Path(run) / HEAD_FILE
    if not path.is_file():
        raise InputError(f"{run}: no {HEAD_FILE} yet; finish it with `avssl resume {run}`")
    encoders = {stream: load_encoder(run, stream) for stream in config.task.streams}
    head = config.task.head(widths_of(encoders))
    head.load_state_dict(load_file(path))
    return Localizer(config.task, encoders, head, **how)


@dataclass(frozen=True, kw_only=True)
class Located:
    """What was found in a video."""

    times_s: NDArray[np.float64]
    """float64 [T]."""
    maps: NDArray[np.float32]
    """float32 [T, h, w], log odds, smoothed over time."""
    strengths: NDArray[np.float32]
    """float32 [T], 0…1, smoothed over time."""
    size_px: tuple[int, int]
    """(width, height) of the frames."""
    bars_px: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Black bars: left, top, right, bottom. The maps cover what is between them."""

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns between the bars."""
        (width, height), (left, top, right, bottom) = self.size_px, self.bars_px
        return slice(top, height - bottom), slice(left, width - right)

    def peaks_px(self) -> NDArray[np.float64]:
        """Gives the highest place of each map in pixels of the frame, float64 [T, 2] (x, y)."""
        count, height, width = self.maps.shape
        flat = self.maps.reshape(count, -1).argmax(axis=1)
        rows, columns = self.inner
        x = columns.start + (flat % width + 0.5) / width * (columns.stop - columns.start) - 0.5
        y = rows.start + (flat // width + 0.5) / height * (rows.stop - rows.start) - 0.5
        return np.column_stack([x, y])


def bars_of(reader: Reader) -> tuple[int, int, int, int]:
    """Gives the black bars of a video, px: left, top, right, bottom; from pictures all over it."""
    number = min(_NUM_BAR_FRAMES, reader.num_frames)
    chosen = np.linspace(0, reader.num_frames - 1, number).astype(np.int64)
    bars: Bars | None = None
    for index in np.unique(chosen).tolist():  # one by one: they may be large
        luma = np.rint(reader.frames_by_index([index])[0].mean(axis=0)).astype(np.uint8)
        if bars is None:
            bars = Bars.of(luma)
        else:
            bars.add(luma)
    return (0, 0, 0, 0) if bars is None else bars.widths_px()


class _Stretches:
    """The sound around each of a rising line of times, from one pass over the file."""

    def __init__(self, reader: Reader, *, rate_hz: int, duration_s: float) -> None:
        self._blocks = reader.iter_sound(rate_hz=rate_hz)
        self._rate_hz, self._length = rate_hz, round(duration_s * rate_hz)
        self._first: int | None = None
        self._samples = np.zeros(0, dtype=np.float32)
        self.whole: list[NDArray[np.float32]] = []
        """All blocks so far, for the strip."""
        self.start_s = 0.0

    def around(self, time_s: float) -> NDArray[np.float32]:
        """Gives float32 [n]; zeros where there is no sound."""
        begin = round(time_s * self._rate_hz) - self._length // 2
        end = begin + self._length
        while self._first is None or self._first + len(self._samples) < end:
            block = next(self._blocks, None)
            if block is None:
                break
            if self._first is None:
                self._first, self.start_s = round(block.start_s * self._rate_hz), block.start_s
            self._samples = np.concatenate([self._samples, block.samples[0]])
            self.whole.append(block.samples[0])
        out = np.zeros(self._length, dtype=np.float32)
        if self._first is None:
            return out
        surplus = max(0, min(begin - self._rate_hz - self._first, len(self._samples)))
        self._samples, self._first = self._samples[surplus:], self._first + surplus
        low, high = max(begin, self._first), min(end, self._first + len(self._samples))
        if low < high:
            out[low - begin : high - begin] = self._samples[low - self._first : high - self._first]
        return out


def localize_video(
    where: Localizer, video: str | Path, *, out: str | Path | None = None, quiet: bool = False
) -> Located:
    """Finds where a video's sound comes from, frame by frame, and draws it.

    Args:
        where: the network.
        video: any file with sound that `avssl.open_video` reads.
        out: mp4 with a glow over the picture, a strip below, and the sound kept; None draws none.
        quiet: no progress bar.

    Raises:
        InputError: the video has no sound, or no frame.
    """
    with open_video(video) as reader:
        if not reader.info.has_sound:
            raise InputError(f"{video}: has no sound, so nothing can be heard in it")
        stretches = _Stretches(reader, rate_hz=where.rate_hz, duration_s=where.sound_s)
        times_s: list[float] = []
        maps, strengths, size, bars_px = [], [], (0, 0), (0, 0, 0, 0)
        total = reader.num_frames
        if total:
            bars_px = bars_of(reader)
        left, top, right, bottom = bars_px
        with progress_bar("listen", total=total, unit="frame", quiet=quiet) as bar:
            for part in _batches(reader):
                frames = np.stack([frame for _, frame in part])
                size = (frames.shape[3], frames.shape[2])
                heard = np.stack([stretches.around(time_s) for time_s, _ in part])
                inner = frames[:, :, top : size[1] - bottom, left : size[0] - right]
                found, strength = where(inner, heard)
                maps.append(found)
                strengths.append(strength)
                times_s += [time_s for time_s, _ in part]
                bar.advance(len(part))
        at_s = np.asarray(times_s)
        located = Located(
            times_s=at_s,
            maps=smoothed(np.concatenate(maps), at_s) if maps else np.zeros((0, 1, 1), np.float32),
            strengths=smoothed(np.concatenate(strengths), at_s)
            if maps
            else np.zeros(0, np.float32),
            size_px=size,
            bars_px=bars_px,
        )
        if out is not None:
            _draw(reader, located, stretches, Path(out), video=video, rate_hz=where.rate_hz,
                  quiet=quiet)  # fmt: skip
    return located


def _batches(reader: Reader) -> Iterator[list[tuple[float, NDArray[np.uint8]]]]:
    part: list[tuple[float, NDArray[np.uint8]]] = []
    for time_s, frame in reader.iter_frames():
        part.append((time_s, frame))
        if len(part) == _BATCH:
            yield part
            part = []
    if part:
        yield part


def smoothed(values: NDArray[np.float32], times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Gives values [T, …] averaged over time with a Gaussian of 0.12 s, whatever the frame rate."""
    out = np.empty_like(values)
    for k, now_s in enumerate(times_s):
        low, high = np.searchsorted(times_s, (now_s - 3 * _SMOOTH_S, now_s + 3 * _SMOOTH_S))
        weight = np.exp(-0.5 * ((times_s[low:high] - now_s) / _SMOOTH_S) ** 2)
        out[k] = np.tensordot(weight / weight.sum(), values[low:high], axes=1)
    return out


def _draw(
    reader: Reader,
    located: Located,
    stretches: _Stretches,
    out: Path,
    *,
    video: str | Path,
    rate_hz: int,
    quiet: bool,
) -> None:
    import cv2

    strip = _strip(located, stretches, rate_hz)
    low, high = np.percentile(located.maps, (60, 99.8)) if located.maps.size else (0.0, 1.0)
    shades = np.clip((located.maps - low) / max(1e-6, float(high - low)), 0, 1)
    peaks = located.peaks_px()
    larger = max(1, -(-_LEAST_WIDTH_PX // max(1, located.size_px[0])))
    writer = OverlayWriter(out, source=video, reader=reader)
    try:
        with progress_bar("draw", total=len(shades), unit="frame", quiet=quiet) as bar:
            for k, (time_s, frame) in enumerate(reader.iter_frames()):
                if k >= len(shades):
                    break
                picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
                size = (picture.shape[1] * larger // 2 * 2, picture.shape[0] * larger // 2 * 2)
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
                strength = float(located.strengths[k])
                rows, columns = (
                    slice(larger * part.start, larger * part.stop) for part in located.inner
                )
                picture = picture.astype(np.uint8)
                glowing = glow_over(picture[rows, columns], shades[k], strength=strength)
                picture[rows, columns] = glowing
                x, y = (larger * (value + 0.5) - 0.5 for value in peaks[k].tolist())
                picture = mark_peak(picture, x, y, strength=strength)
                below = strip.draw(time_s, width_px=size[0], height_px=strip_height(size[1]))
                writer.write(np.concatenate([picture, below]), time_s)
                bar.advance()
        writer.close()
    finally:
        writer.abandon()


def _strip(located: Located, stretches: _Stretches, rate_hz: int) -> SoundStrip:
    from avssl.model.spectrogram import FRONT_ENDS, FrontEnd

    # log-mel bands count in samples: at another rate they are other frequencies, as finely drawn
    front = FrontEnd("logmel16k")
    own = FRONT_ENDS["logmel16k"]
    samples = np.concatenate(stretches.whole) if stretches.whole else np.zeros(own.window)
    samples = np.pad(samples, (0, max(0, own.window - len(samples)))).astype(np.float32)
    parts = []
    chunk = own.hop * 6000
    for start in range(0, len(samples), chunk):
        piece = samples[start : start + chunk + own.window - own.hop]
        if len(piece) >= own.window:
            parts.append(front.raw(torch.from_numpy(piece)[None])[0, 0].numpy())
    return SoundStrip(
        np.concatenate(parts, axis=1),
        start_s=stretches.start_s + own.window / 2 / rate_hz,
        step_s=own.hop / rate_hz,
        times_s=located.times_s,
        strengths=located.strengths,
    )


def write_tables(
    located: Located, *, csv_path: Path | None = None, json_path: Path | None = None
) -> None:
    """Writes time, strength and highest place of every frame; the JSON has the maps too."""
    peaks = located.peaks_px()
    if csv_path is not None:
        with replacing(csv_path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["time_s", "strength", "x_px", "y_px"])
            for time_s, strength, (x, y) in zip(
                located.times_s, located.strengths, peaks, strict=True
            ):
                writer.writerow([f"{time_s:.6f}", f"{strength:.4f}", f"{x:.1f}", f"{y:.1f}"])
    if json_path is not None:
        frames: list[dict[str, Any]] = [
            {
                "time_s": round(float(time_s), 6),
                "strength": round(float(strength), 4),
                "peak_px": [round(float(value), 1) for value in peak],
                "log_odds": np.round(one.astype(np.float64), 3).tolist(),
            }
            for time_s, strength, peak, one in zip(
                located.times_s, located.strengths, peaks, located.maps, strict=True
            )
        ]
        write_json(
            json_path,
            {
                "size_px": list(located.size_px),
                "bars_px": list(located.bars_px),
                "frames": frames,
            },
        )


def command(arguments: Sequence[str]) -> int:
    """`avssl localize`.

    Raises:
        InputError: a run or a video that cannot be used.
    """
    parser = argparse.ArgumentParser(prog="avssl localize", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a run of an audio-visual task")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("-o", "--out", metavar="OUT.mp4", help="default: VIDEO_sound.mp4 here")
    parser.add_argument("--csv", metavar="FILE", help="time, strength and place of every frame")
    parser.add_argument("--json", metavar="FILE", help="the same with the maps")
    parser.add_argument("--thorough", action="store_true", help="7 times the pixels; see docs")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    how = THOROUGH if options.thorough else {}
    out = Path(options.out or f"{Path(options.video).stem}_sound.mp4")
    if out.suffix != ".mp4":
        raise InputError(f"{out}: the video that is written must end in .mp4")
    for path in filter(None, (out, options.csv, options.json)):
        check_target(path)
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        located = localize_video(
            load_localizer(options.run, **how), options.video, out=out, quiet=options.quiet
        )
    write_tables(
        located,
        csv_path=Path(options.csv) if options.csv else None,
        json_path=Path(options.json) if options.json else None,
    )
    mean = float(located.strengths.mean()) if len(located.strengths) else 0.0
    print(f"{out}: {len(located.times_s)} frames, mean strength {mean:.2f}")
    return 0
