"""What every test shares: one thread a process, no global randomness, the real files."""

import os

# Before torch is imported anywhere: sums come out the same on every machine, and test processes
# do not fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.catalog import ClipRow

ROOT = Path(__file__).resolve().parent.parent

# A job in the background of a script inherits a switched-off interrupt and hands it on to what it
# starts; tests that interrupt a command need it as at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings beside the repository; tests that need them skip where they are not."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real files are not here ({folder})")
    return folder


@pytest.fixture(autouse=True)
def no_global_randomness() -> Iterator[None]:
    """Every random function takes `rng`: a test that leaves numpy's global one changed fails."""
    before = np.random.get_state(legacy=False)["state"]
    yield
    after = np.random.get_state(legacy=False)["state"]
    same = before["pos"] == after["pos"] and np.array_equal(before["key"], after["key"])
    assert same, "numpy's global generator was used; take an rng instead"


def _make_row(
    *, number: int = 0, num_frames: int = 120, fps: float = 30.0, **changes: Any
) -> ClipRow:
    num_windows = int(np.ceil(num_frames / fps / 0.25))
    fields: dict[str, Any] = {
        "clip_id": f"clip{number:04d}",
        "source": f"clip{number:04d}.mp4",
        "source_sha256": f"{number:064x}",
        "source_start_s": 0.0,
        "source_end_s": num_frames / fps,
        "group_id": f"group{number:04d}",
        "split": "train",
        "store": "shards/000.tar",
        "video_offset": 512,
        "video_num_bytes": 1000,
        "video_suffix": ".mp4",
        "codec": "h264",
        "width_px": 128,
        "height_px": 96,
        "start_s": 0.0,
        "step_s": 1 / fps,
        "num_frames": num_frames,
        "last_frame_s": 1 / fps,
        "key_frames": np.arange(0, num_frames, 8),
        "sound_state": "present",
        "sound_suffix": ".flac",
        "sound_rate_hz": 48_000,
        "sound_num_samples": round(48_000 * num_frames / fps),
        "sound_packet_num_samples": 1152,
        "window_s": 0.25,
        "loudness_db": np.full(num_windows, -30.0),
        "motion": 0.2 + np.random.default_rng(number).random(num_windows),
    }
    return ClipRow(**{**fields, **changes})


@pytest.fixture(scope="session")
def make_row() -> Callable[..., ClipRow]:
    """Gives a catalogue's row for tests that decode nothing: make_row(number=…, field=…)."""
    return _make_row
