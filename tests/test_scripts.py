"""tools/setup.sh: finds a Python, says what is missing, hides programs, sets up once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def _bash(code: str, *, path: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    words = {**os.environ, **env, **({} if path is None else {"PATH": path})}
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, "-euo", "pipefail", "-c", code], env=words, capture_output=True, text=True
    )


def _program(path: Path, code: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)


def _tools(folder: Path) -> None:
    """Links the few programs that setup.sh itself uses into an else empty folder."""
    for name in ("cat", "dirname", "grep", "ln", "mkdir", "rm", "sh"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)


def test_an_old_python_and_none_at_all_are_one_clear_line(root: Path, tmp_path: Path) -> None:
    _tools(tmp_path)
    code = f'source "{root}/tools/setup.sh"; find_python'
    done = _bash(code, path=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "found: none" in done.stderr and "Python 3.11 or newer" in done.stderr

    _program(tmp_path / "python3", "echo 3.9; exit 1")
    done = _bash(code, path=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "found: 3.9" in done.stderr


def test_a_name_that_does_not_run_is_passed_over(root: Path, tmp_path: Path) -> None:
    _tools(tmp_path)
    _program(tmp_path / "python3.11", "echo 'not selected' >&2; exit 127")
    _program(tmp_path / "python3", "echo 3.13")
    done = _bash(f'source "{root}/tools/setup.sh"; find_python', path=str(tmp_path))
    assert done.stdout.strip() == str(tmp_path / "python3"), done.stderr


def test_the_python_that_is_named_comes_first(root: Path, tmp_path: Path) -> None:
    _tools(tmp_path)
    _program(tmp_path / "python3.11", "echo 3.11")
    _program(tmp_path / "my own" / "python", "echo 3.12")
    named = str(tmp_path / "my own" / "python")
    done = _bash(f'source "{root}/tools/setup.sh"; find_python', path=str(tmp_path), PYTHON=named)
    assert done.stdout.strip() == named, done.stderr


def test_a_program_is_hidden_and_its_neighbours_stay(root: Path, tmp_path: Path) -> None:
    for name in ("ffmpeg", "ffprobe", "other"):
        _program(tmp_path / "a folder" / name, f"echo {name}")
    _program(tmp_path / "second" / "third", "echo third")
    path = f"{tmp_path / 'a folder'}:{tmp_path / 'second'}:{os.environ['PATH']}"
    code = (
        f'source "{root}/tools/setup.sh"; '
        f'PATH="$(path_without "{tmp_path}/scratch" ffmpeg ffprobe)"; '
        "other; third; command -v ffmpeg ffprobe || echo hidden"
    )
    done = _bash(code, path=path)
    assert done.stdout.split() == ["other", "third", "hidden"], done.stderr


def test_no_ffmpeg_on_the_path_of_the_test_script(root: Path) -> None:
    if "AVSSL_TEST_SCRIPT" not in os.environ:
        pytest.skip("not started by tools/test.sh")
    assert shutil.which("ffmpeg") is None and shutil.which("ffprobe") is None


def _environment(tmp_path: Path, root: Path) -> tuple[Path, Path]:
    """A clone in a folder with spaces whose Python and pip only write down what they are asked."""
    clone = tmp_path / "a clone with spaces"
    (clone / "tools").mkdir(parents=True)
    shutil.copy(root / "tools" / "setup.sh", clone / "tools" / "setup.sh")
    (clone / "pyproject.toml").write_text("[project]\n")
    (clone / "constraints.txt").write_text("numpy==2\n")
    log = tmp_path / "log"
    fake = f'''
if [ "$1 $2" = "-m pip" ]; then echo "pip: $*" >>"{log}"; exit 0; fi
if [ "$1 $2" = "-m venv" ]; then
    echo "venv" >>"{log}"; for last; do :; done
    mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; echo "#!$last/bin/python" >"$last/bin/pip"
    exit 0
fi
exec "{sys.executable}" "$@"'''
    _program(tmp_path / "bin" / "python3.11", fake)
    return clone, log


def test_the_second_run_installs_nothing_and_a_change_does(root: Path, tmp_path: Path) -> None:
    clone, log = _environment(tmp_path, root)
    python = str(tmp_path / "bin" / "python3.11")

    def set_up() -> list[str]:
        log.write_text("")
        code = f'source "{clone}/tools/setup.sh"; set_up'
        done = _bash(code, PYTHON=python, PIP_ARGS="--index-url https://example.org/simple -q")
        assert done.returncode == 0, done.stderr
        return log.read_text().splitlines()

    first = set_up()
    assert first[0] == "venv"
    assert "--index-url https://example.org/simple -q -c constraints.txt -e .[dev]" in first[1]
    assert set_up() == []
    (clone / "constraints.txt").write_text("numpy==3\n")
    changed = set_up()
    assert len(changed) == 1 and changed[0].startswith("pip:")
    assert set_up() == []
    moved = clone.with_name("moved")
    clone.rename(moved)
    clone = moved
    assert set_up()[0] == "venv"


def test_an_installation_that_failed_is_tried_again(root: Path, tmp_path: Path) -> None:
    clone, log = _environment(tmp_path, root)
    python = tmp_path / "bin" / "python3.11"
    python.write_text(
        python.read_text().replace(
            '>>"' + str(log) + '"; exit 0; fi', '>>"' + str(log) + '"; exit 1; fi', 1
        )
    )
    code = f'source "{clone}/tools/setup.sh"; set_up'
    for _ in range(2):
        log.write_text("")
        assert _bash(code, PYTHON=str(python)).returncode != 0
        assert "pip:" in log.read_text()
