"""Libraries that compile themselves on first use, loaded by one process at a time."""

import contextlib
import fcntl
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Holds the lock `name` among this user's processes; without a place for it, goes on."""
    path = Path(tempfile.gettempdir()) / f"avssl-{os.getuid()}-{name}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@functools.cache
def load_librosa() -> Any:
    """Gives librosa, its compiled parts ready: some 20 s once an installation, then 2 s a process.

    numba compiles librosa's loops at import and keeps them beside the package, in two files for
    each loop. Processes that do so at once leave files that do not belong together, and whoever
    reads them later dies of a segmentation fault: so it is done under a lock.
    """
    with _alone("librosa"):
        import librosa

        click = np.zeros(12000, dtype=np.float32)
        click[6000] = 1.0
        envelope = librosa.onset.onset_strength(y=click, sr=24000, hop_length=256, n_fft=1024)
        librosa.onset.onset_detect(onset_envelope=envelope, sr=24000, hop_length=256)
    return librosa
