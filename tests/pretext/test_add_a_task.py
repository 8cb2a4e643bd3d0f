"""docs/add_a_task.md, done as a reader does it: in a copy of the package, file and line are put in
their places, and everything after that runs in processes of their own."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pytest

NAME, FILE = "upside-down", "upside_down.py"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def page(root: Path) -> tuple[str, str]:
    """The file and the line."""
    text = (root / "docs" / "add_a_task.md").read_text()
    code, line = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert FILE in text and len(line.splitlines()) == 1
    return code, line


@pytest.fixture(scope="module")
def clone(root: Path, page: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of the tests of the contract, with the task in it."""
    made = tmp_path_factory.mktemp("clone")
    shutil.copytree(root / "avssl", made / "avssl", ignore=shutil.ignore_patterns("__pycache__"))
    found = sorted((root / "tests" / "pretext").glob("test_contract*.py"))
    assert len(found) >= 4
    for path in (
        *found,
        root / "tests" / "conftest.py",
        root / "tests" / "test_skeleton.py",
        root / "tests" / "pretext" / "conftest.py",
        root / "tests" / "pretext" / "test_shortcuts.py",
        root / "pyproject.toml",
    ):
        target = made / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    code, line = page
    (made / "avssl" / "pretext" / FILE).write_text(code)
    registry = made / "avssl" / "pretext" / "__init__.py"
    before, opened, rest = registry.read_text().partition("REGISTRY: dict[str, str] = {\n")
    inside, closed, after = rest.partition("}\n")
    assert opened and closed and inside.count("\n") >= 18
    registry.write_text(before + opened + inside + line + closed + after)
    return made


@pytest.fixture(scope="module")
def run(clone: Path) -> Run:
    """Runs `python -m WORDS` there; gives what it said."""

    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=clone,
            env={**os.environ, "PYTHONPATH": str(clone), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == status, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    return run


@pytest.mark.slow
def test_the_contract_holds(clone: Path, run: Run) -> None:
    """Every test of the contract is asked of the task, also those of workers and processes."""
    report = clone / "report.xml"
    words = ["-k", NAME, "-p", "no:cacheprovider", "--no-header", f"--junitxml={report}"]
    run("pytest", "tests/pretext", *words)
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    assert all(NAME in str(case.get("name")) and not len(case) for case in cases), "all passed"
    asked = {str(case.get("name")).partition("[")[0] for case in cases}
    about_all = {  # and motion is no knob of pictures
        "test_both_tables_follow_the_registry_and_wrong_lines_are_told",
        "test_every_setting_of_a_run_goes_through_json_and_its_flag",
        "test_moments_are_as_likely_as_they_move",
        "test_the_other_network_leaves_weights_without_a_gradient",
    }
    for path in (clone / "tests" / "pretext").glob("test_*.py"):
        tests = [one for one in ast.walk(ast.parse(path.read_text())) if is_test(one)]
        wanted = {one.name for one in tests} - about_all
        if path.stem == "test_shortcuts":
            wanted = {one.name for one in tests if "name" in [a.arg for a in one.args.args]}
        assert wanted and wanted <= asked, wanted - asked
    assert not about_all & asked


def is_test(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


@pytest.mark.slow
def test_layers_and_style_hold(clone: Path, run: Run, tmp_path: Path) -> None:
    """The file is formatted, typed, in its layer; and one that imports another task is told."""
    run("ruff", "format", "--check", "avssl/pretext")
    run("ruff", "check", "avssl/pretext")
    run("pyright", "--pythonpath", sys.executable, f"avssl/pretext/{FILE}")
    words = ["tests/test_skeleton.py", "-p", "no:cacheprovider", "-k"]
    run("pytest", *words, "layers_hold or imports_another or no_module_is_long or randomness")
    path = clone / "avssl" / "pretext" / FILE
    kept = path.read_text()
    path.write_text(f"from avssl.pretext import rotation as rotation\n{kept}")
    told = run("pytest", *words, "imports_another", status=1).stdout
    path.write_text(kept)
    assert "avssl.pretext.upside_down → avssl.pretext.rotation" in told


@pytest.fixture(scope="module")
def module(page: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file alone, which nothing knows of."""
    file = tmp_path_factory.mktemp("alone") / FILE
    file.write_text(page[0])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, made)
        spec.loader.exec_module(made)
        yield made


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
def test_it_trains_from_the_command_line(clone: Path, run: Run, tmp_path: Path) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data, out = tmp_path / "world", tmp_path / "data", tmp_path / "run"
    make_world(world, num_train=3, num_validation=1, num_test=1, seed=1, short_side_px=64,
               duration_s=3.0, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    listed = run("avssl", "tasks").stdout
    assert f"  {NAME} " in listed and "does this picture stand on its head?" in listed
    words = ["avssl", "train", NAME, "--data", str(data), "--out", str(out), "--steps", "3"]
    words += ["--batch-size", "4", "--task.hidden", "8", "--num-evaluation-samples", "8"]
    run(*words, "--no-tensorboard")
    done = json.loads((out / "run.json").read_text())
    assert done["status"] == "done" and set(done["scores"]) >= {"balanced_accuracy", "auc"}
    assert (out / "vision_encoder.safetensors").is_file()
    # a wrong value: one line
    told = run(
        *words[:5], "--out", str(tmp_path / "b"), "--task.crop-scale", "0.9", "0.2", status=2
    )
    assert "crop_scale" in told.stderr and len(told.stderr.splitlines()) == 1
