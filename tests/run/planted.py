"""Clips in memory with leaks planted in them, for the tests of the audit.

Every frame is its own cloud of soft noise, so that on clean clips nothing tells anything, and
whatever is told was planted by `avssl.world.leaks`.
"""

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.records import Clip, Shortcut, Sound
from avssl.run import audit_samples
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import draw
from avssl.world.encode import write_mp4
from avssl.world.leaks import leak_encoding, leak_frames, leak_sound

NUM_CLIPS, NUM_FRAMES, FPS, SIDE_PX = 24, 60, 10.0, 48
NUM_JUDGED = 400
COUNTS = 3.5
"""Standard deviations of a guess that count."""
PLAIN: dict[str, Any] = {"size_px": 32, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
Plant = Callable[..., Catalog]


def rng_of(number: int) -> Callable[[str], np.random.Generator]:
    """Gives the generators of a clip's leaks."""
    return lambda name: np.random.default_rng([number, len(name)])


@functools.cache
def frames_of(leak: str, number: int) -> np.ndarray:
    """All frames of a clip, uint8 [T, H, W, 3]."""
    rng = np.random.default_rng(number)
    size = (NUM_FRAMES, SIDE_PX, SIDE_PX)
    noise = rng.normal(size=(*size, 1)) + 0.4 * rng.normal(size=(*size, 3))
    if leak == "cuts":  # what stays the same within a shot
        noise = rng.normal(size=(1, *size[1:], 3)) + 0.2 * noise
    noise = noise.astype(np.float32)
    soft = np.stack([cv2.GaussianBlur(one, (0, 0), 1.5) for one in noise])
    clean = np.clip(110 + 130 * soft, 0, 255).astype(np.uint8)
    names = (leak,) if leak else ()
    return np.stack(list(leak_frames(names, clean, num_frames=NUM_FRAMES, rng_of=rng_of(number))))


@functools.cache
def encoded(leak: str, number: int) -> np.ndarray:
    """Frames of a drifting texture with grain, written with a leak of the encoder and read again.

    uint8 [120, 48, 48, 3] at 25 a second. Every second clip drifts the other way.
    """
    rng = np.random.default_rng(number)
    size, num_frames = (SIDE_PX, SIDE_PX + 120), 120
    soft = 128 + 150 * cv2.GaussianBlur(rng.normal(size=(*size, 3)).astype("f4"), (0, 0), 1.2)
    soft = soft[:, ::-1] if number % 2 else soft
    starts = range(num_frames) if number % 2 else range(num_frames, 0, -1)
    frames = [
        np.clip(soft[:, n : n + SIDE_PX] + rng.normal(0, 6, (SIDE_PX, SIDE_PX, 3)), 0, 255)
        for n in starts
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        encoding = leak_encoding((leak,), rng_of=rng_of(number))
        write_mp4(path, [one.astype(np.uint8) for one in frames], None,
                  size_px=(SIDE_PX, SIDE_PX), fps=25, encoding=encoding)  # fmt: skip
        NUM_BYTES[leak, number] = path.stat().st_size
        with av.open(str(path)) as file:
            return np.stack([one.to_ndarray(format="rgb24") for one in file.decode(video=0)])


NUM_BYTES: dict[tuple[str, int], int] = {}
"""Of the files that `encoded` has written."""


class Memory:
    """Stands for the files of a data set."""

    leak = ""
    read: Any = staticmethod(frames_of)

    def __init__(self, directory: Any) -> None:
        pass

    def frames(self, row: ClipRow, times_s: Any) -> Clip:
        """Gives what a fetcher would."""
        found = np.searchsorted(row.frame_times_s, times_s, side="right") - 1
        frames = self.read(self.leak, int(row.clip_id[-4:]))[found].transpose(0, 3, 1, 2)
        return Clip(frames=np.ascontiguousarray(frames), times_s=row.frame_times_s[found])

    def sound(self, row: ClipRow, start_s: float, duration_s: float, rate_hz: int) -> Clip:
        """Gives noise, with the leak in it."""
        number = int(row.clip_id[-4:])
        rng = np.random.default_rng([number, round(1000 * start_s)])
        samples = rng.normal(0, 0.1, (1, round(duration_s * rate_hz))).astype(np.float32)
        names = (self.leak,) if self.leak else ()
        leaked = leak_sound(names, samples, rng_of=rng_of(number))
        return Clip(sound=Sound(samples=leaked, rate_hz=rate_hz, start_s=start_s))

    def close(self) -> None:
        """Nothing is open."""


def planter(make_row: Callable[..., ClipRow], monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Gives plant(leak, **fields): the catalogue of the clips with a leak.

    A field may be a function of a clip's frames, as a preparation would have measured it.
    """

    def planted(leak: str, *, read: Any = frames_of, fps: float = FPS, **fields: Any) -> Catalog:
        monkeypatch.setattr(Memory, "leak", leak)
        monkeypatch.setattr(Memory, "read", staticmethod(read))
        monkeypatch.setattr(audit_samples, "Fetcher", Memory)
        rows = []
        for number in range(NUM_CLIPS):
            frames = read(leak, number)
            measured = {
                key: value(frames) if callable(value) else value for key, value in fields.items()
            }
            size = {"num_frames": len(frames), "width_px": SIDE_PX, "height_px": SIDE_PX}
            if (leak, number) in NUM_BYTES and read is encoded:
                size["video_num_bytes"] = NUM_BYTES[leak, number]
            rows.append(make_row(number=number, fps=fps, **{**size, **measured}))
        return Catalog.from_rows(rows)

    return planted


def shortcut_of(task: Any, name: str) -> Shortcut:
    """Gives a task's shortcut by its name."""
    (found,) = (one for one in task.shortcuts if one.name == name)
    return found


def told(
    task: Any, shortcut: Shortcut, catalog: Catalog, *, num_judged: int = NUM_JUDGED
) -> Judged:
    """Gives what classifiers make of a probe; they are fitted to half as many more samples."""
    num_fit = num_judged // 2
    (found,) = draw(task, catalog, shortcuts=[shortcut], num_samples=num_judged + num_fit)
    return judge(classes_of(found.answers), found.numbers, num_fit=num_fit)


def check(
    task: Any,
    name: str,
    catalog: Catalog,
    *,
    left: float = 0.0,
    num_judged: int = NUM_JUDGED,
    **guarded: Any,
) -> None:
    """With the guard off the probe beats chance, with it on (`guarded` on top) it does not.

    `left`: of (AUC − ½), where pixels tell something without any leak.
    """
    shortcut = shortcut_of(task, name)
    careless = dataclasses.replace(task, **shortcut.off)
    off = told(careless, shortcut, catalog, num_judged=num_judged)
    closed = dataclasses.replace(task, **{**shortcut.closes, **guarded})
    on = told(closed, shortcut, catalog, num_judged=num_judged)
    assert off.best - 0.5 > COUNTS * off.error, (off.best, off.error)
    limit = COUNTS * on.error + 1e-9 + left * (off.best - 0.5)
    assert on.best - 0.5 < limit, (on.best, on.error, off.best)


def bars_of(frames: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns that are black in every frame: left, top, right, bottom."""
    lit = frames.max(axis=(0, 3)) > 0
    columns, rows = np.flatnonzero(lit.any(axis=0)), np.flatnonzero(lit.any(axis=1))
    ends = SIDE_PX - 1
    return int(columns[0]), int(rows[0]), int(ends - columns[-1]), int(ends - rows[-1])


def repeats_of(frames: np.ndarray) -> np.ndarray:
    """Frames that are the one before again."""
    return 1 + np.flatnonzero((frames[1:] == frames[:-1]).all(axis=(1, 2, 3)))


def motion_of(frames: np.ndarray) -> np.ndarray:
    """How much changes in each quarter of a second, as if it were motion."""
    changes = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3)) / 255
    edges = np.arange(0, (len(frames) - 1) / FPS, 0.25)
    return np.interp(edges + 0.125, (np.arange(len(changes)) + 0.5) / FPS, changes)


def cuts_of(frames: np.ndarray) -> np.ndarray:
    """Times at which the mean level jumps to its opposite (110 ↔ 145)."""
    level = frames.mean(axis=(1, 2, 3)) > 127
    return (1 + np.flatnonzero(level[1:] != level[:-1])) / FPS


def half_planted(leak: str, number: int) -> np.ndarray:
    """Frames of a clip; those of odd numbers are clean."""
    return frames_of("" if number % 2 else leak, number)
