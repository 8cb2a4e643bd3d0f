"""A small world, made once."""

from pathlib import Path

import pytest

from avssl.world import make_world

SETTINGS = {
    "num_train": 3,
    "num_validation": 2,
    "num_test": 2,
    "seed": 5,
    "short_side_px": 64,
    "duration_s": 2.0,
    "workers": 1,
    "quiet": True,
}


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world") / "small", **SETTINGS)
