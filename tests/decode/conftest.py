"""Files of known content, made once per session by tools/conformance.py."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "conformance.py"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _load():
    spec = importlib.util.spec_from_file_location("conformance", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


conformance = sys.modules.get("conformance") or _load()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Name of the kind → path."""
    return conformance.make_files(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="session")
def kinds():
    """Name → Case."""
    return {case.name: case for case in conformance.CASES}


@pytest.fixture(scope="session")
def shared():
    """Real recordings, where they are at hand."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return SHARED
