"""The package as a whole: layers, sizes, the wheel, the command line, the scripts."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from avssl.cli import COMMANDS, main

MAX_LINES = 350


def _run(
    *words: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True
    )


# --- layers and files ---------------------------------------------------------------------------


def test_the_layers_hold(root: Path) -> None:
    done = _run(
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
        cwd=root,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_pretext_task_imports_another(root: Path) -> None:
    """Not through a file that several share either; the list of tasks is the registry's."""
    import grimp

    from avssl.pretext import REGISTRY, TASKS

    files = {kind.__module__ for kind in TASKS.values()}
    assert len(files) == len(REGISTRY), "one file, one task"
    graph = grimp.build_graph("avssl", exclude_type_checking_imports=True, cache_dir=None)
    assert files <= graph.modules
    for one in sorted(files):
        assert graph.find_modules_directly_imported_by(one), f"{one}: nothing was read"
        for other in sorted(files - {one}):
            chain = graph.find_shortest_chain(importer=one, imported=other)
            assert chain is None, " → ".join(chain or ())


def test_every_package_is_listed_for_the_wheel(root: Path) -> None:
    import tomllib

    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(root).parts) for path in (root / "avssl").rglob("*.py")
    }
    assert found == set(listed)


def test_no_module_is_long(root: Path) -> None:
    long = {
        str(path.relative_to(root)): count
        for path in (root / "avssl").rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long, f"more than {MAX_LINES} lines: {long}"


@pytest.mark.parametrize("folder", ["datasets", "tests", "tools"])
def test_folders_beside_the_package_are_no_packages(root: Path, folder: str) -> None:
    assert not list((root / folder).rglob("__init__.py"))


def test_nothing_in_avssl_imports_the_folders_beside_it(root: Path) -> None:
    for path in (root / "avssl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [item.name for item in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.partition(".")[0] not in ("datasets", "tools", "tests"), path


def test_no_global_randomness_in_the_package(root: Path) -> None:
    """Every random function takes `rng`; `np.random.Generator` and `default_rng` are the way."""
    allowed = {"Generator", "default_rng", "SeedSequence", "Philox", "PCG64", "PCG64DXSM"}
    for path in (root / "avssl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert "random" not in [item.name for item in node.names], path
            assert not (isinstance(node, ast.ImportFrom) and node.module == "random"), path
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "random"
                and isinstance(node.value.value, ast.Name)
                and node.value.value.id in ("np", "numpy")
            ):
                assert node.attr in allowed, f"{path}:{node.lineno}: np.random.{node.attr}"


# --- imports ------------------------------------------------------------------------------------


def test_import_avssl_is_light() -> None:
    heavy = "torch torchvision torchaudio av cv2 librosa pandas matplotlib sklearn scipy pyarrow"
    code = (
        "import sys, avssl, avssl.cli\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = _run(sys.executable, "-c", code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_public_name_can_be_had() -> None:
    code = (
        "import avssl, avssl.run.train, types\n"  # modules of the same name must not get in the way
        "print([name for name in avssl.__all__\n"
        "       if isinstance(getattr(avssl, name), types.ModuleType | types.NoneType)])"
    )
    done = _run(sys.executable, "-c", code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_folder_datasets_shadows_no_package(root: Path) -> None:
    """With '' first in sys.path, as in a notebook at the repository's root."""
    code = (
        "import sys; sys.path.insert(0, '')\n"
        "import importlib.util as u\n"
        "import timm, huggingface_hub\n"
        "found = u.find_spec('datasets')\n"  # a folder without __init__.py loses to any package
        "print(timm.__file__, huggingface_hub.__file__, found and found.origin, sep='|')"
    )
    done = _run(sys.executable, "-c", code, cwd=root)
    assert done.returncode == 0, done.stderr
    timm, hub, datasets = done.stdout.strip().split("|")
    assert "site-packages" in timm
    assert "site-packages" in hub
    assert datasets == "None" or "site-packages" in datasets


# --- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    done = _run(sys.executable, "-m", "avssl", command, "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 5
    assert "Traceback" not in done.stderr


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"avssl {command}" in shown for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    import tomllib

    assert main(["--version"]) == 0
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out.strip() == f"avssl {wanted}"


def test_an_unknown_command_is_one_line_and_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert "did you mean `avssl train`?" in shown.err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_an_unknown_flag_is_two_and_no_traceback(command: str) -> None:
    done = _run(sys.executable, "-m", "avssl", command, "--no-such-flag-at-all")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# --- the wheel ----------------------------------------------------------------------------------


def test_the_wheel_holds_avssl_alone_and_works_outside_the_clone(
    root: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone with spaces"
    clone.mkdir()
    files = _run("git", "ls-files", "-co", "--exclude-standard", cwd=root).stdout.splitlines()
    for name in files:  # without what an earlier build left behind
        if name.startswith(("avssl/", "datasets/", "tools/", "tests/", "docs/")) or "/" not in name:
            target = clone / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (root / name).is_file():
                target.write_bytes((root / name).read_bytes())
    done = _run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(clone),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"avssl"}
    modules = {name for name in names if name.endswith(".py")}
    assert modules == {name for name in files if name.startswith("avssl/") and name[-3:] == ".py"}
    assert "avssl/run/report.html.j2" in names
    assert "avssl/py.typed" in names

    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    done = _run(*pip, "--target", str(target), str(wheel))
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {"PYTHONPATH": str(target)}
    where = _run(
        sys.executable, "-c", "import avssl; print(avssl.__file__)", cwd=elsewhere, env=env
    )
    assert where.stdout.startswith(str(target))
    script = target / "bin" / "avssl"
    done = _run(sys.executable, str(script), "tasks", cwd=elsewhere, env=env)
    assert done.returncode == 0, done.stderr
    assert "shuffle-and-learn" in done.stdout
