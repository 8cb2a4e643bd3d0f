"""Mistakes in a command line: one line with value, rule and way out; targets that cannot be."""

import argparse
from pathlib import Path

import pytest

from avssl.cli import main
from avssl.errors import InputError
from avssl.files import check_target, replacing, watching_targets, write_text

WRONG = {
    "a choice": (["eval", "probe", "r", "--data", "d", "--split", "tst"],
                 "--split 'tst': must be one of validation, test; did you mean test?"),
    "a whole number": (["eval", "probe", "r", "--data", "d", "--untrained", "abc"],
                       "--untrained 'abc': must be a whole number"),
    "a number": (["eval", "propagation", "r", "--data", "d", "--seconds", "x"],
                 "--seconds 'x': must be a number"),
    "what is needed": (["eval", "probe"], "REF, --data are needed; `avssl eval probe --help`"),
    "one that is needed": (["report"], "RUN is needed; `avssl report --help`"),
    "no value": (["eval", "probe", "r", "--data", "d", "--labels"], "needs at least one value"),
    "an unknown flag": (["eval", "probe", "r", "--data", "d", "--lables", "1"],
                        "no flag --lables; did you mean --labels?"),
    "a word too many": (["eval", "probe", "r", "x", "--data", "d"], "'x' is one word too many"),
    "several flags": (["eval", "probe", "r", "--data", "d", "--l", "1"], "write it in full"),
    "a word of a sub-command": (["pose", "predikt"], "must be one of predict, curve"),
    "the table's name": (["eval", "retrieval", "r", "--data", "d", "-o", "x.md"],
                         "-o x.md: must end in .json"),
    "tyro, whole": (["train", "rotation", "--data", "d", "--out", "o", "--steps", "abc"],
                    "--steps 'abc': must be a whole number"),
    "tyro, number": (["train", "rotation", "--data", "d", "--out", "o", "--optim.lr", "x"],
                     "--optim.lr 'x': must be a number"),
    "tyro, choice": (["train", "rotation", "--data", "d", "--out", "o", "--precision", "fp8"],
                     "--precision 'fp8': must be one of 'fp32', 'bf16'"),
    "tyro, no value": (["train", "rotation", "--data", "d", "--out", "o", "--steps"],
                       "--steps: needs a value"),
    "tyro, too few": (["train", "rotation", "--data", "d", "--out", "o", "--optim.betas", "0.9"],
                      "--optim.betas: needs 2 values"),
    "tyro, unknown": (["train", "rotation", "--data", "d", "--out", "o", "--stesp", "3"],
                      "no flag --stesp; did you mean --steps?"),
    "tyro, unlike any": (["train", "rotation", "--data", "d", "--out", "o", "--xyzzy=3"],
                         "no flag --xyzzy; `avssl train rotation --help` lists them"),
    "audit, unlike any": (["audit", "rotation", "--data", "d", "--xyzzy=3"],
                          "no flag --xyzzy; `avssl audit rotation --help` lists them"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = WRONG[name]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.strip().count("\n") == 0, error
    assert "Traceback" not in error and "usage:" not in error


def test_help_of_an_audit_lists_the_knobs_of_its_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "rotation", "--help"])
    shown = capsys.readouterr().out
    assert "--task.exact-turns" in shown and "--samples" in shown


def test_argparse_is_left_as_it_was() -> None:
    before = argparse.ArgumentParser.error
    main(["report"])
    assert argparse.ArgumentParser.error is before


@pytest.mark.parametrize(
    "words",
    [
        ["report", "nowhere", "-o", "{}"],
        ["audit", "rotation", "--data", "nowhere", "-o", "{}"],
        ["audit", "rotation", "--data", "nowhere", "--out={}"],
        ["localize", "nowhere", "nothing.mp4", "-o", "{}"],
        ["localize", "nowhere", "nothing.mp4", "--csv", "{}"],
        ["pose", "predict", "nowhere", "nothing.mp4", "-o", "{}"],
        ["export", "nowhere", "--format", "onnx", "-o", "{}"],
        ["eval", "neighbours", "nowhere", "--data", "nowhere", "-o", "{}"],
    ],
)
def test_a_folder_is_refused_before_anything_is_read(words, tmp_path: Path, capsys) -> None:
    suffix = {"localize": ".mp4", "pose": ".mp4", "export": ".onnx"}.get(words[0], ".json")
    folder = tmp_path / f"there{suffix}"
    folder.mkdir()
    assert main([word.replace("{}", str(folder)) for word in words]) == 2
    error = capsys.readouterr().err
    assert f"{folder}: is a folder; name a file" in error and error.count("\n") == 1, error


def test_targets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is a file and holds no others"):
        check_target(tmp_path / "file" / "below" / "x.json")
    with pytest.raises(InputError, match="is a folder"), replacing(tmp_path):
        pytest.fail("must not begin")
    assert check_target(tmp_path / "new" / "x.json") == tmp_path / "new" / "x.json"
    assert not (tmp_path / "new").exists()
    with watching_targets() as written:
        write_text(tmp_path / "file", "y")
        write_text(tmp_path / "new.txt", "z")
        write_text(tmp_path / "new.txt", "zz")  # twice in one go replaces nothing of before
    assert written == {tmp_path / "file": True, tmp_path / "new.txt": False}
