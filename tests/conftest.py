"""What every test shares: one thread a process, no global randomness, the real files."""

import os

# Before torch is imported anywhere: sums come out the same on every machine, and test processes
# do not fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


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
    """Every random function takes `rng`: a test that leaves the global generators changed fails."""
    before = np.random.get_state(legacy=False)["state"]
    python_before = random.getstate()
    yield
    after = np.random.get_state(legacy=False)["state"]
    same = before["pos"] == after["pos"] and np.array_equal(before["key"], after["key"])
    assert same, "numpy's global generator was used; take an rng instead"
    assert python_before == random.getstate(), "Python's global generator was used; take an rng"
