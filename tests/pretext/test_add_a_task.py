"""docs/add_a_task.md, done: its file is put in the registry, meets the contract, trains."""

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import avssl.pretext
from avssl.cli import main

NAME = "upside-down"


@pytest.fixture
def module(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    text = (root / "docs" / "add_a_task.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    file = tmp_path / "upside_down.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("avssl.pretext.upside_down", file)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, made)
    spec.loader.exec_module(made)
    monkeypatch.setitem(avssl.pretext.TASKS, NAME, made.UpsideDown)
    recipes = dict(avssl.pretext.RECIPES) | {NAME: made.RECIPES}
    monkeypatch.setattr(avssl.pretext, "RECIPES", recipes)
    yield made


def read_anew(root: Path, name: str) -> ModuleType:
    """Gives a file of tests that walk the registry, read with the task in it."""
    path = root / "tests" / "pretext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_with_the_new_task", path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    assert NAME in found.NAMES
    return found


GIVEN = ("catalog", "held_out", "barred", "fetch", "no_files", "data", "tmp_path")


@pytest.mark.parametrize("file", ["test_contract", "test_contract_runs", "test_shortcuts"])
def test_the_task_of_the_page_meets_the_contract(
    file: str, root: Path, module: ModuleType, request: pytest.FixtureRequest
) -> None:
    """Every test of a file that is asked of one task, or of one recipe, is asked of this one."""
    given = {name: request.getfixturevalue(name) for name in GIVEN}
    num_asked = 0
    for name, test in inspect.getmembers(read_anew(root, file), inspect.isfunction):
        wanted = set(inspect.signature(test).parameters)
        if not name.startswith("test_") or "name" not in wanted:
            continue
        for recipe_name in module.RECIPES if "recipe_name" in wanted else ("small",):
            known = {**given, "name": NAME, "recipe_name": recipe_name}
            test(**{key: known[key] for key in wanted})
            num_asked += 1
    assert num_asked >= {"test_contract": 12, "test_contract_runs": 1, "test_shortcuts": 2}[file]


def test_label_1_is_the_picture_on_its_head(module, catalog, fetch) -> None:
    task = module.UpsideDown(size_px=32)
    turned = 0
    for seed in range(12):
        plan = task.sample(catalog, 0, np.random.default_rng(seed))
        shown = task.transform(fetch(catalog, plan), plan, np.random.default_rng(seed)).arrays
        upright = task.picture(fetch(catalog, plan), plan, np.random.default_rng(seed))
        rows = range(31, -1, -1) if shown["label"] else range(32)
        assert all((shown["frames"][:, k] == upright[:, row]).all() for k, row in enumerate(rows))
        turned += int(shown["label"])
    assert 0 < turned < 12


@pytest.mark.slow
def test_it_trains_from_the_command_line(module, tmp_path, capsys) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data, run = tmp_path / "world", tmp_path / "data", tmp_path / "run"
    make_world(world, num_train=3, num_validation=1, num_test=1, seed=1, short_side_px=64,
               duration_s=3.0, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    assert main(["tasks"]) == 0 and NAME in capsys.readouterr().out
    words = ["train", NAME, "--data", str(data), "--out", str(run), "--steps", "3"]
    words += ["--batch-size", "4", "--task.hidden", "8", "--num-evaluation-samples", "8"]
    assert main([*words, "--no-tensorboard"]) == 0
    done = json.loads((run / "run.json").read_text())
    assert done["status"] == "done" and set(done["scores"]) >= {"balanced_accuracy", "auc"}
    assert (run / "vision_encoder.safetensors").is_file()
    # a wrong value: one line
    assert main([*words[:4], "--out", str(tmp_path / "b"), "--task.crop-scale", "0.9", "0.2"]) == 2
    assert "crop_scale" in capsys.readouterr().err
