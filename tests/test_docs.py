"""The README does what it says: its Python runs, its commands exist, its links lead somewhere."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avssl.cli import COMMANDS, main

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
FENCED = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "datasets/README.md")


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README's reader has it: my_videos, prepared, run."""
    import imageio_ffmpeg

    from avssl.model import build_encoder, save_encoder
    from avssl.prepare import PrepareSettings, prepare

    folder = tmp_path_factory.mktemp("reader")
    (folder / "my_videos").mkdir()
    make = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    make += ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-f", "lavfi", "-i", "sine"]
    subprocess.run([*make, "-t", "4", str(folder / "my_videos" / "one.mp4")], check=True)
    settings = PrepareSettings(split=(1.0, 0.0, 0.0))
    prepare(folder / "my_videos", folder / "prepared", settings=settings, jobs=1, quiet=True)
    save_encoder(build_encoder("small", seed=0), folder / "run", metadata={})
    return folder


def test_the_python_of_the_readme_runs_as_shown(root: Path, user_folder: Path) -> None:
    blocks = _blocks((root / "README.md").read_text(), "python")
    assert len(blocks) >= 3
    checks = (
        "assert frames.shape == (2, 3, 128, 171), frames.shape\n"
        "assert sound.samples.shape == (1, 16000)\n"
        "assert vectors.shape == (2, encoder.width)\n"
        "assert set(maps) == set(encoder.layers)\n"
        "assert row.source.endswith('one.mp4')\n"
    )
    code = "\n".join([*blocks, checks])
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:avssl", "-c", code],
        cwd=user_folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_exist(root: Path) -> None:
    text = (root / "README.md").read_text()
    shown = "\n".join(_blocks(text, "sh")) + "\n" + "\n".join(re.findall(r"`[^`\n]+`", text))
    named = set(re.findall(r"(?:`|^|-m )avssl ([a-z]+)", shown, flags=re.MULTILINE))
    assert {"doctor", "prepare", "train", "resume", "report", "tasks"} <= named <= set(COMMANDS)
    for script in re.findall(r"\./(tools/\w+\.sh)", text):
        assert (root / script).stat().st_mode & 0o111, script


def test_the_flags_of_the_readme_are_understood(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(_blocks((root / "README.md").read_text(), "sh"))
    text += (root / "README.md").read_text()
    for command in ("prepare", "train shuffle-and-learn", "report"):
        with contextlib.suppress(SystemExit):
            main([*command.split(), "--help"])
    known = capsys.readouterr().out
    others = {"--index-url", "--nproc-per-node"}  # pip's and torchrun's
    for flag in set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)) - others:
        assert flag in known, flag


@pytest.mark.parametrize("name", [*DOCS, "docs"])
def test_links_lead_to_files(root: Path, name: str) -> None:
    pages = sorted((root / name).glob("*.md")) if name == "docs" else [root / name]
    broken = [
        f"{page.relative_to(root)}: {link}"
        for page in pages
        for link in LINK.findall(FENCED.sub("", page.read_text()))
        if not (page.parent / link).exists()
    ]
    assert pages
    assert not broken


def test_papers_are_cited_by_their_authors_and_no_file_that_is_not_here(root: Path, capsys) -> None:
    from avssl.cli import main
    from avssl.downstream import RECIPES
    from avssl.run.eval_command import EVALUATORS

    for page in (root / "README.md", *(root / "datasets").rglob("*.md")):
        assert "papers.md" not in page.read_text(), page
    for name, recipes in RECIPES.items():
        assert not [r.about for r in recipes.values() if "papers.md" in r.about], name
    for name in EVALUATORS:
        with pytest.raises(SystemExit):
            main(["eval", name, "--help"])
        assert "papers.md" not in capsys.readouterr().out, name


def test_every_page_of_the_docs_is_in_the_index(root: Path) -> None:
    listed = set(LINK.findall((root / "docs" / "index.md").read_text()))
    found = {page.name for page in (root / "docs").glob("*.md")} - {"index.md"}
    assert found <= listed
