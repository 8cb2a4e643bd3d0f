"""`--in-place`: the catalogue's row of a file that is left as it is."""

from pathlib import Path
from typing import Any

import numpy as np

from avssl.decode.packets import packet_table
from avssl.decode.reader import Reader
from avssl.errors import MediaError
from avssl.prepare.encode import Encoded
from avssl.prepare.rate import Grid
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.sounds import hear, laid_out
from avssl.prepare.timing import Report

_MAX_TABLE_NUM_BYTES = 1 << 30
"""Packets of larger files are not listed: listing holds the file in memory."""
_EVEN_S = 1e-6
"""Times this close to an even grid are stored as one step."""


def index_in_place(
    reader: Reader, encoded: Encoded, *, grid: Grid, settings: PrepareSettings, report: Report
) -> tuple[list[dict[str, Any]], list[int]]:
    """Gives the cells of a file's one row (on the file's own clock) and its sound fingerprints.

    The byte range of each packet is listed where packets are stored in the order in which they are
    shown, so that a frame can be read without opening the file; else the reader opens it.
    """
    path = Path(reader.path)
    index = reader.index
    times_s = index.frame_times_s
    start_s, num_frames = float(times_s[0]), len(times_s)
    last_frame_s = max(0.0, index.end_s - float(times_s[-1]))
    even_s = start_s + float(grid.step) * np.arange(num_frames)
    even = grid.regular and float(np.abs(times_s - even_s).max()) < _EVEN_S
    info = reader.info
    analysis = encoded.analysis
    span = (0, len(encoded.source_times_s))
    cells: dict[str, Any] = {
        "source_start_s": start_s,
        "source_end_s": index.end_s,
        "video_offset": 0,
        "video_num_bytes": path.stat().st_size,
        "video_suffix": path.suffix,
        "codec": info.codec,
        "video_index": index.to_bytes().hex(),
        "width_px": info.width_px,
        "height_px": info.height_px,
        "start_s": start_s,
        "step_s": float(grid.step) if even else 0.0,
        "num_frames": num_frames,
        "irregular_times_s": [] if even else times_s.tolist(),
        "last_frame_s": last_frame_s,
        "window_s": settings.window_s,
        "motion": analysis.motion(*span, window_s=settings.window_s).tolist(),
        "cuts_s": [encoded.source_times_s[cut] for cut in analysis.cuts],
        "still_spans_s": (start_s + analysis.still_spans_s(*span)).reshape(-1).tolist(),
        "borders_px": _scaled(
            analysis.borders_px(*span), by=min(info.width_px, info.height_px) / min(encoded.size_px)
        ),
    }
    cells |= _packets(path, reader, num_frames=num_frames)
    # one stretch at a time is in memory; they end on windows, so that the windows join up
    length_s = max(1, round(settings.max_clip_s / settings.window_s)) * settings.window_s
    edges_s = np.append(np.arange(start_s, index.end_s - 1e-9, length_s), index.end_s)
    bounds_s = list(zip(edges_s[:-1].tolist(), edges_s[1:].tolist(), strict=True))
    heard = hear(
        reader, bounds_s, folder=None, suffix="", window_s=settings.window_s, report=report
    )
    full = [part for part in heard if part.num_samples]
    if not full:
        return [cells | {"sound_state": "absent"}], []
    loudness: list[float] = []
    onsets: list[float] = []
    for (zero_s, end_s), part in zip(bounds_s, heard, strict=True):
        quiet = [-120.0] * max(1, int(np.ceil((end_s - zero_s) / settings.window_s - 1e-9)))
        loudness += part.cells.get("loudness_db", quiet)
        onsets += [zero_s + time_s for time_s in part.cells.get("onsets_s", [])]
    rate_hz = info.sound_rate_hz or 48000
    sound_s = full[-1].start_s + full[-1].num_samples / 48000 - full[0].start_s
    cells |= {
        "sound_state": "present"
        if any(part.cells["sound_state"] == "present" for part in full)
        else "silent",
        "sound_offset": 0,
        "sound_num_bytes": path.stat().st_size,
        "sound_suffix": path.suffix,
        "sound_rate_hz": rate_hz,
        "sound_start_s": full[0].start_s,
        "sound_num_samples": round(sound_s * rate_hz),
        "loudness_db": loudness,
        "onsets_s": onsets,
    }
    return [cells], laid_out(heard, zero_s=start_s)


def _packets(path: Path, reader: Reader, *, num_frames: int) -> dict[str, Any]:
    """Lists the packets, where a decoder can be fed with them alone; else gives nothing."""
    geometry = reader.info.geometry
    plain = geometry.turns == 0 and not geometry.flipped and geometry.pixel_aspect == 1
    if not plain or reader.damage is not None or path.stat().st_size > _MAX_TABLE_NUM_BYTES:
        return {}
    # Where each frame is reached from the last start before it (not so with open groups of
    # pictures or intra refresh), the starts are all that a decoder needs to know.
    restarts = reader.index.restarts
    starts = np.unique(restarts)
    last_start = starts[np.searchsorted(starts, np.arange(num_frames), side="right") - 1]
    if not reader.index.seekable or not np.array_equal(last_start, restarts):
        return {}
    try:
        table = packet_table(path)
    except MediaError:
        return {}
    if len(table.offsets) != num_frames or np.abs(table.pts_s - reader.frame_times_s).max() > 1e-3:
        return {}
    return {
        "codec_config": table.codec_config.hex(),
        "packet_offsets": table.offsets.tolist(),
        "packet_num_bytes": table.num_bytes.tolist(),
        "key_frames": starts.tolist(),
    }


def _scaled(widths_px: tuple[int, ...], *, by: float) -> list[int]:
    return [round(width * by) for width in widths_px]
