"""Which stretches of a file become clips, and what the catalogue says of their pictures."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.decode.packets import packet_table
from avssl.prepare.encode import Encoded
from avssl.prepare.rate import Grid
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.timing import sha256_of


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One clip of a file: frames [first, end) of its prepared stream."""

    first: int
    end: int
    source_start_s: float
    cuts: tuple[int, ...]


def divide_file(encoded: Encoded, *, grid: Grid, settings: PrepareSettings) -> list[Stretch]:
    """Divides a file: at holes always; else at cuts, then evenly, only where it is too long."""
    num_frames = len(encoded.source_times_s)
    most = max(1, int(settings.max_clip_s / float(grid.step) + 1e-6))
    starts: list[int] = []
    bounds = [*encoded.restarts, num_frames]
    for first, end in itertools.pairwise(bounds):
        starts.extend(_divide(first, end, cuts=encoded.analysis.cuts, keys=encoded.keys, most=most))
    ends = [*starts[1:], num_frames]
    return [
        Stretch(
            first=first,
            end=end,
            source_start_s=encoded.due_times_s[first],
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
    for begin, stop in itertools.pairwise(shots):
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


def picture_cells(
    stretch: Stretch, path: Path, encoded: Encoded, *, grid: Grid, settings: PrepareSettings
) -> dict[str, Any]:
    """Gives the cells of a clip's catalogue row that concern its pictures, as JSON values."""
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
