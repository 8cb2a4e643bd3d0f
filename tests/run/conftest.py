"""The toy task, in the registry while a test runs, and a folder of data for it."""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import avssl.pretext
from avssl.config import TrainConfig, config_from_recipe
from avssl.task import Recipe


def _load_toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy"] = module  # the task's class must be found by name to be pickled
    spec.loader.exec_module(module)
    return module


_TOY = _load_toy()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy's module, with the toys in the registry."""
    for kind in (_TOY.Toy, _TOY.Rows):
        recipe = Recipe(task=kind(), settings=_TOY.SETTINGS, about="a test")
        monkeypatch.setitem(avssl.pretext.TASKS, kind.name, kind)
        monkeypatch.setitem(avssl.pretext.RECIPES, kind.name, {"small": recipe})
    _TOY.counter.num = 0
    return _TOY


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalogue without media: 13 clips to train on, 5 to validate."""
    return str(_TOY.write_data(tmp_path_factory.mktemp("toy_data")))


@pytest.fixture
def make_config(toy: ModuleType, toy_data: str, tmp_path: Path):
    """Builds the toy's configuration: `make_config("run", steps=3, **{"optim.lr": 0.1})`."""

    def make(name: str = "run", **changes) -> TrainConfig:
        given = {"data": toy_data, "out": str(tmp_path / name)}
        return config_from_recipe("toy", "small", **{**given, **changes})

    return make


@pytest.fixture
def make_several(toy: ModuleType, toy_data: str, tmp_path: Path):
    """Builds the configuration of both toys at once; see `make_config`."""

    def make(name: str = "run", **changes) -> TrainConfig:
        given = {"data": toy_data, "out": str(tmp_path / name), "task.round_steps": 4}
        own = {key: value for key, value in _TOY.SETTINGS.items() if key != "vision"}
        return config_from_recipe(
            "multi", "small", tasks=("toy", "toy-rows"), **{**given, **own, **changes}
        )

    return make


@pytest.fixture(autouse=True)
def no_global_randomness():
    """As for all tests, but rich's progress bar may draw from Python's generator: put it back."""
    before, python_before = np.random.get_state(legacy=False)["state"], random.getstate()
    yield
    after = np.random.get_state(legacy=False)["state"]
    random.setstate(python_before)
    assert before["pos"] == after["pos"] and np.array_equal(before["key"], after["key"])
