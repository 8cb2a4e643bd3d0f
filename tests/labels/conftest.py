"""Small pictures and MATLAB structs for the parsers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def _structs(rows: Sequence[dict[str, Any]]) -> Any:
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for place, row in enumerate(rows):
        array[0, place] = tuple(row.values())
    return array


@pytest.fixture(scope="session")
def structs() -> Callable[[Sequence[dict[str, Any]]], Any]:
    """Gives a 1×n struct array for scipy.io.savemat."""
    return _structs


@pytest.fixture(scope="session")
def touch() -> Callable[..., None]:
    """Makes empty files: touch(folder, "a.jpg", "b/c.jpg")."""

    def make(folder: Path, *names: str) -> None:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make
