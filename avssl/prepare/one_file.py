"""One source file → its clips and measures. A pure function of the file and the settings.

Decoded once, front to back, in bounded memory: scaled, measured, encoded into one stream; then cut
into clips without decoding again, and the sound written per clip.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.decode import open_video
from avssl.decode.info import open_container, picture_stream
from avssl.errors import MediaError
from avssl.prepare import hearing
from avssl.prepare.analysis import PictureAnalysis
from avssl.prepare.picture import Scaler, plane_view
from avssl.prepare.rate import Grid, Placed, choose_grid, place
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.sound_writer import RATE_HZ, SoundWriter
from avssl.prepare.video_writer import VideoWriter, cut_video, suffix_of

MIN_PREFIX_S = 1.0
"""A damaged file is used from this decodable length on."""
Report = Callable[[float], None]
"""Told the seconds of the source that are done; also the sign of life that a time limit watches."""

_NO_VIDEO_FORMATS = ("tty", "hls", "concat", "sdp", "dash", "lrc", "ass", "srt", "webvtt")


class Refused(Exception):
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
            raise Refused("open", f"{container.format.name}: a text or a playlist, not a video")
        stream = picture_stream(container, path=path)
        if container.format.name.endswith("_pipe") or container.format.name == "image2":
            raise Refused("open", "a single picture, not a video")
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
        except OSError:
            pass  # damaged: the pass that decodes says how
    ticks = np.unique(np.asarray(times if whole else [], dtype=np.int64))
    return Timing(
        times_s=ticks * float(base),
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


def prepare_file(
    path: str, folder: Path, *, settings: PrepareSettings, report: Report
) -> dict[str, Any]:
    """Prepares one file into `folder` and gives its result as JSON values.

    Args:
        path: the source.
        folder: an empty folder for the media.
        settings: see there.
        report: called often with the seconds of video done.

    Returns:
        {"status": "done", "source_sha256", "clips": [cells of the rows], "picture_hashes", …} or
        {"status": "quarantined", "stage", "reason"}.
    """
    try:
        sha256 = sha256_of(path, report)
    except OSError as error:
        return _quarantined("read", f"not readable: {error.strerror}")
    try:
        return {"source_sha256": sha256, **_prepare(path, folder, settings, report)}
    except Refused as refusal:
        return {"source_sha256": sha256, **_quarantined(refusal.stage, refusal.reason)}
    except MediaError as error:
        return {"source_sha256": sha256, **_quarantined("open", _without_path(str(error), path))}
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno in (28, 122) and not hasattr(error, "log"):
            raise  # the disk is full: not the file's fault
        reason = f"{type(error).__name__}: {_without_path(str(error), path)}"
        return {"source_sha256": sha256, **_quarantined("decode", reason)}


def _quarantined(stage: str, reason: str) -> dict[str, Any]:
    return {"status": "quarantined", "stage": stage, "reason": reason}


def _without_path(text: str, path: str) -> str:
    return text.replace(f"{path}: ", "").replace(path, os.path.basename(path))  # noqa: PTH119


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One clip of a file: frames [first, end) of its prepared stream."""

    first: int
    end: int
    source_start_s: float
    cuts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The prepared stream of a whole file."""

    analysis: PictureAnalysis
    source_times_s: list[float]
    repeated: NDArray[np.int64]
    restarts: list[int]
    """Frames at which the clock jumps over a hole; 0 is the first."""
    keys: list[int]
    size_px: tuple[int, int]
    damage: str | None


def _prepare(path: str, folder: Path, settings: PrepareSettings, report: Report) -> dict[str, Any]:
    timing = read_timing(path)
    report(0.0)
    with open_video(path, backend="pyav") as reader:
        info = reader.info
        grid = choose_grid(timing.times_s, claimed_rate=timing.rate, max_rate=settings.fps)
        spool = folder / f"whole{suffix_of(settings)}"
        long = len(timing.times_s) == 0 or (
            float(timing.times_s[-1] - timing.times_s[0]) + timing.last_s > settings.max_clip_s
        )
        encoded = _encode(
            reader, spool, grid=grid, timing=timing, settings=settings, long=long, report=report
        )
        num_frames = len(encoded.source_times_s)
        if encoded.damage is not None and num_frames * float(grid.step) < MIN_PREFIX_S:
            raise Refused(
                "decode",
                f"damaged ({encoded.damage}): only {num_frames * float(grid.step):.2f} s decode, "
                f"{MIN_PREFIX_S:g} s are needed",
            )
        stretches = _stretches(encoded, grid=grid, settings=settings)
        names = [f"{number:04d}{suffix_of(settings)}" for number in range(len(stretches))]
        if len(stretches) == 1:
            spool.rename(folder / names[0])
        else:
            cut_video(
                spool,
                starts=[stretch.first for stretch in stretches],
                targets=[folder / name for name in names],
                settings=settings,
            )
            spool.unlink()
        sounds = _write_sounds(
            reader, folder, stretches, step=grid.step, window_s=settings.window_s, report=report
        )
        damage = reader.damage
        clips = [
            _picture_cells(stretch, folder / name, encoded, grid=grid, settings=settings)
            | cells
            | {"number": number, "truncated": damage is not None}
            for number, (stretch, name, (cells, _)) in enumerate(
                zip(stretches, names, sounds, strict=True)
            )
        ]
    return {
        "status": "done",
        "clips": clips,
        "damage": damage,
        "num_frames_claimed": info.num_frames_claimed,
        "regular": grid.regular,
        "hash_step_s": 0.5,
        "picture_hashes": [f"{value:016x}" for _, value in encoded.analysis.hashes],
        "sound_hashes": [[f"{value:08x}" for value in prints] for _, prints in sounds],
    }


def _encode(
    reader: Any,
    spool: Path,
    *,
    grid: Grid,
    timing: Timing,
    settings: PrepareSettings,
    long: bool,
    report: Report,
) -> Encoded:
    info = reader.info
    scaler = Scaler(info, short_side_px=settings.short_side_px, full_range=settings.gop == 1)
    size_px = (scaler.width_px, scaler.height_px)
    step_s = float(grid.step)
    analysis = PictureAnalysis(step_s=step_s)
    writer = VideoWriter(
        spool, settings=settings, step=grid.step, size_px=size_px, space_code=scaler.space_code
    )
    waiting: deque[tuple[Placed, Any]] = deque()
    cuts: set[int] = set()
    source_times_s: list[float] = []
    repeated: list[int] = []
    restarts: list[int] = []
    keys: list[int] = []

    def release(before: int | None) -> None:
        while waiting and (before is None or waiting[0][0].index < before):
            placed, picture = waiting.popleft()
            forced = placed.restart or (long and placed.index in cuts)
            if forced or placed.index - keys[-1] >= settings.gop:
                keys.append(placed.index)
            writer.write(picture, key=forced)

    def frames() -> Iterator[tuple[float, Any]]:
        limit = max(len(timing.times_s) * 4, 1000) if len(timing.times_s) else None
        for number, (time_s, frame) in enumerate(reader.iter_av_frames()):
            if limit is not None and number > limit:
                raise Refused("decode", f"gives more than {limit} frames, four times its packets")
            yield time_s, frame

    last_s = timing.last_s or (step_s if grid.regular else float(grid.step))
    finished = False
    try:
        picture = None
        for placed in place(frames(), grid, last_s=last_s):
            if not placed.repeated:
                picture = scaler(placed.frame)  # type: ignore[arg-type]
            assert picture is not None
            source_times_s.append(placed.source_time_s)
            if placed.repeated:
                repeated.append(placed.index)
            if placed.restart:
                restarts.append(placed.index)
            cuts.update(
                analysis.push(
                    placed.index,
                    plane_view(picture),
                    repeated=placed.repeated,
                    restart=placed.restart,
                )
            )
            waiting.append((placed, picture))
            release(analysis.first_undecided)
            if placed.index % 8 == 0:
                report(placed.index * step_s)
        cuts.update(analysis.finish())
        release(None)
        finished = True
    finally:
        writer.close() if finished else writer.abandon()
    if not source_times_s:
        raise Refused("decode", f"no frame decodes ({reader.damage or 'no picture in it'})")
    return Encoded(
        analysis=analysis,
        source_times_s=source_times_s,
        repeated=np.asarray(repeated, dtype=np.int64),
        restarts=restarts,
        keys=keys,
        size_px=size_px,
        damage=reader.damage,
    )


def _stretches(encoded: Encoded, *, grid: Grid, settings: PrepareSettings) -> list[Stretch]:
    """Divides a file: at holes always; else at cuts, then evenly, only where it is too long."""
    num_frames = len(encoded.source_times_s)
    most = max(1, int(settings.max_clip_s / float(grid.step) + 1e-6))
    starts: list[int] = []
    bounds = [*encoded.restarts, num_frames]
    for first, end in zip(bounds[:-1], bounds[1:], strict=True):
        starts.extend(_divide(first, end, cuts=encoded.analysis.cuts, keys=encoded.keys, most=most))
    ends = [*starts[1:], num_frames]
    return [
        Stretch(
            first=first,
            end=end,
            source_start_s=encoded.source_times_s[first],
            cuts=tuple(cut for cut in encoded.analysis.cuts if first < cut < end),
        )
        for first, end in zip(starts, ends, strict=True)
    ]


def _divide(first: int, end: int, *, cuts: list[int], keys: list[int], most: int) -> list[int]:
    """Gives the first frames of the clips of [first, end): shots are packed up to `most` frames."""
    if end - first <= most:
        return [first]
    starts = [first]
    shots = [first, *(cut for cut in cuts if first < cut < end), end]
    for begin, stop in zip(shots[:-1], shots[1:], strict=True):
        if stop - starts[-1] <= most:
            continue
        if begin > starts[-1]:
            starts.append(begin)
        parts = -(-(stop - begin) // most)
        known = np.asarray(keys)
        for part in range(1, parts):
            wanted = begin + (stop - begin) * part // parts
            inside = known[(known > starts[-1]) & (known < stop)]
            if len(inside):
                nearest = inside[inside <= max(wanted, int(inside[0]))][-1]
                starts.append(int(nearest))
    return starts


def _picture_cells(
    stretch: Stretch, path: Path, encoded: Encoded, *, grid: Grid, settings: PrepareSettings
) -> dict[str, Any]:
    from avssl.decode.packets import packet_table

    table = packet_table(path)
    num_frames = stretch.end - stretch.first
    if len(table.offsets) != num_frames:
        raise RuntimeError(f"{len(table.offsets)} packets were written for {num_frames} frames")
    step_s = float(grid.step)
    inside = encoded.repeated[(encoded.repeated > stretch.first) & (encoded.repeated < stretch.end)]
    analysis = encoded.analysis
    return {
        "source_start_s": stretch.source_start_s,
        "source_end_s": stretch.source_start_s + num_frames * step_s,
        "video_num_bytes": path.stat().st_size,
        "video_sha256": sha256_of(str(path)),
        "video_suffix": path.suffix,
        "codec": table.codec,
        "codec_config": table.codec_config.hex(),
        "width_px": encoded.size_px[0],
        "height_px": encoded.size_px[1],
        "start_s": 0.0,
        "step_s": step_s,
        "num_frames": num_frames,
        "last_frame_s": step_s,
        "packet_offsets": table.offsets.tolist(),
        "packet_num_bytes": table.num_bytes.tolist(),
        "key_frames": table.key_frames.tolist(),
        "repeated_frames": (inside - stretch.first).tolist(),
        "window_s": settings.window_s,
        "motion": analysis.motion(stretch.first, stretch.end, window_s=settings.window_s).tolist(),
        "cuts_s": [(cut - stretch.first) * step_s for cut in stretch.cuts],
        "borders_px": list(analysis.borders_px(stretch.first, stretch.end)),
        "still_spans_s": analysis.still_spans_s(stretch.first, stretch.end).reshape(-1).tolist(),
    }


def _write_sounds(
    reader: Any,
    folder: Path,
    stretches: list[Stretch],
    *,
    step: Fraction,
    window_s: float,
    report: Report,
) -> list[tuple[dict[str, Any], list[int]]]:
    """Writes each clip's sound; gives the `sound_…` cells with loudness, onsets, fingerprint."""
    from avssl.prepare.sound_cutter import cut_sound

    absent: tuple[dict[str, Any], list[int]] = ({"sound_state": "absent"}, [])
    if not reader.info.has_sound:
        return [absent for _ in stretches]
    bounds = [
        (
            stretch.source_start_s,
            stretch.source_start_s + float((stretch.end - stretch.first) * step),
        )
        for stretch in stretches
    ]
    results: list[tuple[dict[str, Any], list[int]]] = []

    def blocks() -> Iterator[Any]:
        for block in reader.iter_sound(rate_hz=RATE_HZ, block_s=1.0):
            report(0.0)
            yield block

    for number, (begin_s, samples) in enumerate(cut_sound(blocks(), bounds, rate_hz=RATE_HZ)):
        if len(samples) == 0:
            results.append(absent)
            continue
        duration_s = bounds[number][1] - bounds[number][0]
        start_s = begin_s - bounds[number][0]
        writer = SoundWriter(folder / f"{number:04d}.flac")
        for at in range(0, len(samples), RATE_HZ):
            writer.write(samples[at : at + RATE_HZ])
        cells = writer.close()
        cells["sound_sha256"] = sha256_of(str(folder / f"{number:04d}.flac"))
        loudness = hearing.loudness_db(
            samples, rate_hz=RATE_HZ, start_s=start_s, duration_s=duration_s, window_s=window_s
        )
        report(0.0)
        cells |= {
            "sound_state": hearing.state_of(loudness),
            "sound_start_s": start_s,
            "loudness_db": loudness.tolist(),
            "onsets_s": hearing.onsets_s(samples, rate_hz=RATE_HZ, start_s=start_s).tolist(),
        }
        report(0.0)
        results.append((cells, hearing.fingerprint(samples, rate_hz=RATE_HZ).tolist()))
    return results
