"""One source file → its clips and measures. A pure function of the file and the settings.

Decoded once, front to back, in bounded memory: scaled, measured, encoded into one stream; then cut
into clips without decoding again, and the sound written per clip.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from avssl.decode import open_video
from avssl.decode.reader import Reader
from avssl.errors import MediaError
from avssl.prepare.encode import Encoded, encode
from avssl.prepare.in_place import index_in_place
from avssl.prepare.rate import Grid, choose_grid
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.sounds import hear, laid_out
from avssl.prepare.stretches import divide_file, picture_cells
from avssl.prepare.timing import RefusedError, Report, Timing, read_timing, sha256_of
from avssl.prepare.video_writer import cut_video, suffix_of

MIN_PREFIX_S = 1.0
"""A damaged file is used from this decodable length on."""
_OUR_FAULT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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
        {"status": "done", "source_sha256", "clips": [cells of the rows], "picture_hashes",
        "sound_hashes", …} or {"status": "quarantined", "stage", "reason", …}.

    Raises:
        OSError: the disk is full or the like, which is not the file's fault.
    """
    result: dict[str, Any] = {"picture_hashes": [], "sound_hashes": []}
    try:
        result["source_sha256"] = sha256_of(path, report)
    except OSError as error:
        return result | _quarantined("read", f"not readable: {error.strerror}")
    try:
        return result | _prepare(path, folder, settings, report)
    except RefusedError as refusal:
        return result | _quarantined(refusal.stage, refusal.reason) | _heard_only(path, report)
    except MediaError as error:
        return result | _quarantined("open", _without_path(str(error), path))
    except Exception as error:  # whatever a file provokes: it must not stop the others
        if getattr(error, "errno", None) in _OUR_FAULT:
            raise
        reason = f"{type(error).__name__}: {_without_path(str(error), path)}"
        return result | _quarantined("decode", reason)


def _prepare(path: str, folder: Path, settings: PrepareSettings, report: Report) -> dict[str, Any]:
    timing = read_timing(path)
    report(0.0)
    max_rate = 1e6 if settings.in_place else settings.fps
    grid = choose_grid(timing.times_s, claimed_rate=timing.rate, max_rate=max_rate)
    with open_video(path, backend="pyav") as reader:
        spool = None if settings.in_place else folder / f"whole{suffix_of(settings)}"
        encoded = encode(reader, spool, grid=grid, timing=timing, settings=settings, report=report)
        decoded_s = len(encoded.source_times_s) * float(grid.step)
        if encoded.damage is not None and decoded_s < MIN_PREFIX_S:
            raise RefusedError(
                "decode",
                f"damaged ({encoded.damage}): only {decoded_s:.2f} s decode, "
                f"{MIN_PREFIX_S:g} s are needed",
            )
        if spool is None:
            clips, prints = index_in_place(
                reader, encoded, grid=grid, settings=settings, report=report
            )
        else:
            clips, prints = _clips(
                reader, spool, encoded, grid=grid, settings=settings, report=report
            )
        for number, clip in enumerate(clips):
            clip |= {"number": number, "truncated": reader.damage is not None}
        return {
            "status": "done",
            "clips": clips,
            "damage": reader.damage,
            "num_decoded": encoded.num_decoded,
            "num_frames_claimed": reader.info.num_frames_claimed,
            "regular": grid.regular,
            "picture_hashes": [f"{value:016x}" for _, value in encoded.analysis.hashes],
            "sound_hashes": [f"{value:08x}" for value in prints],
        }


def _clips(
    reader: Reader,
    spool: Path,
    encoded: Encoded,
    *,
    grid: Grid,
    settings: PrepareSettings,
    report: Report,
) -> tuple[list[dict[str, Any]], list[int]]:
    """Gives the cells of each clip of a re-encoded file, and the file's sound fingerprints."""
    folder = spool.parent
    stretches = divide_file(encoded, grid=grid, settings=settings)
    paths = [folder / f"{number:04d}{suffix_of(settings)}" for number in range(len(stretches))]
    if len(stretches) == 1:
        spool.rename(paths[0])
    else:
        cut_video(
            spool,
            starts=[stretch.first for stretch in stretches],
            targets=paths,
            settings=settings,
        )
        spool.unlink()
    report(0.0)
    bounds_s = [
        (part.source_start_s, part.source_start_s + (part.end - part.first) * float(grid.step))
        for part in stretches
    ]
    heard = hear(
        reader,
        bounds_s,
        folder=folder,
        suffix=settings.sound_suffix,
        window_s=settings.window_s,
        report=report,
    )
    clips = [
        picture_cells(stretch, path, encoded, grid=grid, settings=settings) | part.cells
        for stretch, path, part in zip(stretches, paths, heard, strict=True)
    ]
    return clips, laid_out(heard, zero_s=stretches[0].source_start_s)


def _heard_only(path: str, report: Report) -> dict[str, Any]:
    """Fingerprints the sound of a file whose picture is refused: it may be a copy of another."""
    with contextlib.suppress(MediaError, FFmpegError, OSError), open_video(path) as reader:
        heard = hear(reader, [(-1e9, 600.0)], folder=None, suffix="", window_s=1e9, report=report)
        return {"sound_hashes": [f"{value:08x}" for value in heard[0].prints]}
    return {}


def _quarantined(stage: str, reason: str) -> dict[str, Any]:
    return {"status": "quarantined", "stage": stage, "reason": reason}


def _without_path(text: str, path: str) -> str:
    return text.replace(f"{path}: ", "").replace(path, os.path.basename(path))  # noqa: PTH119


__all__ = ["MIN_PREFIX_S", "Timing", "prepare_file"]
