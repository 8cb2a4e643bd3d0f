"""One pass over a file: decode, scale, measure, encode. Memory does not grow with its length."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.decode.reader import Reader
from avssl.prepare.analysis import PictureAnalysis
from avssl.prepare.picture import Scaler, plane_view
from avssl.prepare.rate import Grid, Placed, place
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.timing import RefusedError, Report, Timing
from avssl.prepare.video_writer import VideoWriter


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The prepared stream of a whole file."""

    analysis: PictureAnalysis
    num_decoded: int
    """Frames that the source gave."""
    source_times_s: list[float]
    """Per prepared frame: the time of the source's frame that it shows, on the source's clock."""
    due_times_s: list[float]
    """Per prepared frame: the time at which it is shown, on the source's clock."""
    repeated: NDArray[np.int64]
    restarts: list[int]
    """Frames at which the clock jumps over a hole; 0 is the first."""
    keys: list[int]
    size_px: tuple[int, int]
    damage: str | None


def encode(
    reader: Reader,
    spool: Path | None,
    *,
    grid: Grid,
    timing: Timing,
    settings: PrepareSettings,
    report: Report,
) -> Encoded:
    """Puts a file's frames on `grid`, measures them, and writes them as one stream to `spool`.

    In a file longer than a clip may be, every shot begins with a key frame, so that it can be cut
    there without decoding.

    Args:
        reader: the open file.
        spool: the stream's path; None measures only.
        grid: from `choose_grid`.
        timing: from `read_timing`.
        settings: see there.
        report: called with the seconds done.

    Raises:
        RefusedError: no frame decodes, or the file gives absurdly many.
    """
    span_s = float(np.ptp(timing.times_s)) + timing.last_s if len(timing.times_s) else np.inf
    long = span_s > settings.max_clip_s
    info = reader.info
    scaler = Scaler(info, short_side_px=settings.short_side_px, full_range=settings.gop == 1)
    size_px = (scaler.width_px, scaler.height_px)
    step_s = float(grid.step)
    analysis = PictureAnalysis(step_s=step_s)
    writer = None
    if spool is not None:
        writer = VideoWriter(
            spool, settings=settings, step=grid.step, size_px=size_px, space_code=scaler.space_code
        )
    waiting: deque[tuple[Placed, Any]] = deque()
    cuts: set[int] = set()
    due_times_s: list[float] = []
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
            if writer is not None:
                writer.write(picture, key=forced)

    def frames() -> Iterator[tuple[float, Any]]:
        limit = max(len(timing.times_s) * 4, 1000) if len(timing.times_s) else None
        nonlocal num_decoded
        for number, (time_s, frame) in enumerate(reader.iter_av_frames()):
            if limit is not None and number > limit:
                raise RefusedError(
                    "decode", f"gives more than {limit} frames, four for each packet"
                )
            num_decoded = number + 1
            yield time_s, frame

    last_s = timing.last_s or step_s
    finished = False
    num_decoded = 0
    try:
        picture = None
        for placed in place(frames(), grid, last_s=last_s):
            if not placed.repeated:
                picture = scaler(placed.frame)  # type: ignore[arg-type]
            assert picture is not None
            source_times_s.append(placed.source_time_s)
            due_times_s.append(placed.due_s)
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
        if writer is not None:
            writer.close() if finished else writer.abandon()
    if not source_times_s:
        raise RefusedError("decode", f"no frame decodes ({reader.damage or 'no picture in it'})")
    return Encoded(
        analysis=analysis,
        num_decoded=num_decoded,
        source_times_s=source_times_s,
        due_times_s=due_times_s,
        repeated=np.asarray(repeated, dtype=np.int64),
        restarts=restarts,
        keys=keys,
        size_px=size_px,
        damage=reader.damage,
    )
