"""The command line: what a person types and gets, and what is refused in one line."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import config_from_recipe, read_config
from avssl.pretext import TASKS
from avssl.run.log import read_lines

TOY = Path(__file__).with_name("toy.py")


@pytest.fixture
def words(toy, toy_data: str, tmp_path: Path) -> list[str]:
    return ["train", "toy", "--data", toy_data, "--out", str(tmp_path / "run"), "--steps", "4"]


def test_train_leaves_what_the_design_lists(words, tmp_path, capsys) -> None:
    flags = ["--task.contrast", "60", "--optim.lr", "0.01", "--tensorboard", "--ema-decay", "0.9"]
    assert main([*words, *flags]) == 0
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json", "run.json", "metrics.jsonl", "timings.jsonl", "checkpoints", "tensorboard",
        "vision_encoder.safetensors", "vision_encoder.json", "report.html",
    }  # fmt: skip
    config = read_config(run)
    assert (config.task.contrast, config.optim.lr, config.steps) == (60.0, 0.01, 4)
    described = json.loads((run / "vision_encoder.json").read_text())["metadata"]
    assert described["trivial"] == {"accuracy": 0.5}
    assert set(described["scores"]) == {"loss", "accuracy"}
    assert described["weights"] == "running mean"
    assert (
        described["data_fingerprint"]
        == json.loads((run / "run.json").read_text())["data_fingerprint"]
    )
    lines = read_lines(run / "metrics.jsonl")
    assert [(line["step"], line["split"]) for line in lines] == [
        (2, "train"), (4, "train"), (4, "validation"),
    ]  # fmt: skip
    captured = capsys.readouterr()
    assert "done" in captured.out
    assert "accuracy" in captured.err and "blind 0.500" in captured.err


def test_curves_for_tensorboard_agree_with_the_metrics(words, tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main([*words, "--tensorboard"]) == 0
    assert main(["resume", str(tmp_path / "run"), "--steps", "6"]) == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    lines = [x for x in read_lines(tmp_path / "run" / "metrics.jsonl") if x["split"] == "train"]
    seen = {event.step: event.value for event in events.Scalars("loss/train")}
    assert seen == {line["step"]: pytest.approx(line["loss"]) for line in lines}


def test_the_same_command_twice_is_one_run(words, tmp_path, capsys) -> None:
    assert main(words) == 0
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert main(words) == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


WRONG = {
    "no such task": (["train", "tyo"], "no task 'tyo'; did you mean 'toy'?"),
    "typo in a flag": (["--task.contarst", "3"], "did you mean --task.contrast?"),
    "typo in a run flag": (["--stesp", "3"], "did you mean --steps?"),
    "wrong type": (["--steps", "1.5"], "--steps"),
    "wrong choice": (["--precision", "fp16"], "must be one of 'fp32', 'bf16'"),
    "a task's own rule": (["--task.contrast", "-3"], "task.contrast -3.0: must be 0 or more"),
    "a rule of the run": (["--accumulate", "3"], "accumulate 3: must divide batch_size 8"),
    "no such recipe": (["--recipe", "smal"], "did you mean 'small'?"),
    "no such network": (["--vision", "resnt18"], "resnt18"),
    "no such initial weights": (["--init", "/nowhere/x.safetensors"], "no such file"),
    "no GPU": (["--device", "cuda"], "torch finds no GPU here"),
    "fsdp2 alone": (["--parallel", "fsdp2"], "needs torchrun"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_and_exit_code_2(name, words, tmp_path, capsys) -> None:
    flags, message = WRONG[name]
    if name == "no GPU":
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")
    assert main([*words, *flags] if flags[0] != "train" else [*flags, *words[2:]]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.strip().count("\n") == 0, captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "run").exists(), "a refused command must leave nothing behind"


def test_missing_and_foreign_folders(toy, toy_data, tmp_path, capsys) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    cases = [
        (["train", "toy", "--data", toy_data], "--out RUN"),
        (["train", "toy", "--data", "/nowhere", "--out", str(tmp_path / "x")], "avssl prepare"),
        (["train", "toy", "--data", toy_data, "--out", str(tmp_path / "other")], "not empty"),
        (["train", "toy", "--data", toy_data, "--out", "/proc/run"], "cannot be written"),
        (["resume", str(tmp_path / "other")], "not the folder of a run"),
        (["resume", str(tmp_path / "other"), "--stps", "3"], "--stps"),
        (["resume", str(tmp_path / "other"), "--steps", "x"], "whole number"),
        (["train", "--data", "x"], "before the task"),
    ]
    for given, message in cases:
        assert main(given) == 2, given
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count("\n") == 1, captured.err
    assert (tmp_path / "other" / "thesis.tex").read_text() == "precious"


def test_another_run_in_the_folder_is_refused_and_named(words, tmp_path, capsys) -> None:
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--optim.lr", "0.5"]) == 2
    assert "optim.lr: 0.003 there, 0.5 here" in capsys.readouterr().err
    assert main(["resume", str(tmp_path / "run"), "--steps", "2"]) == 2
    assert "has already done 4" in capsys.readouterr().err


def test_other_data_is_refused_on_resume(words, toy, tmp_path, capsys) -> None:
    assert main(words) == 0
    other = toy.write_data(tmp_path / "other", num_train=12)
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run"), "--steps", "9", "--data", str(other)]) == 2
    assert "not the data set that the run began with" in capsys.readouterr().err


def test_help_lists_tasks_recipes_and_knobs(toy, capsys) -> None:
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "toy" in text and "shuffle-and-learn" in text and "blind guess: accuracy 0.5" in text
    with pytest.raises(SystemExit) as stop:
        main(["train", "toy", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--task.contrast" in text and "Levels between the halves." in text
    assert "recipe small: a test" in text
    assert main(["tasks"]) == 0
    assert "is the left or the right half brighter" in capsys.readouterr().out


_EITHER = {"balanced_accuracy": 1 / 2, "auc": 1 / 2}
BLIND: dict[str, dict[str, float]] = {
    "shuffle-and-learn": _EITHER,
    "audio-visual-correspondence": _EITHER,
    "audio-visual-contrast": _EITHER,
    "audio-visual-sync": _EITHER,
    "reconstruction": {"explained": 0},
    "relative-position": {"accuracy": 1 / 8, "within_one": 3 / 8},  # a place and its two neighbours
    "rotation": {"accuracy": 1 / 4, "all_right": 1 / 4**4, "upright": 1 / 2},
    # ten orders of nine tiles: the best fixed one has nine right, and one in each of the other nine
    "jigsaw": {"accuracy": 1 / 10, "tiles_right": (9 + 9 * 1) / (10 * 9)},
    "colorization": {"explained": 0, "color_explained": 0},
    "inpainting": {"explained": 0, "interpolation_explained": 0},
    "arrow-of-time": _EITHER,
    "odd-one-out": {"accuracy": 1 / 3},
    "clip-order": {"accuracy": 1 / 6, "accuracy_up_to_reversal": 2 / 6},  # three clips, 3! orders
    "frame-fill-in": {"accuracy": 1 / 3},
    "masked-autoencoding": {"explained": 0},
    "frame-contrast": _EITHER,
    "tracking": {"returned": 1 / 9},  # 3 x 3 nodes to come back to
    "tracking-by-colorization": {"accuracy_gain": 0, "nll_gain": 0},
}
"""What answers without looking reach where each task is set as its first recipe sets it."""


def test_the_list_of_tasks_says_what_a_blind_guess_reaches(capsys) -> None:
    """Of the task that `avssl train TASK` trains: its recipe's knobs, not those of the class."""
    assert set(BLIND) == set(TASKS)
    assert main(["tasks"]) == 0
    listed = {}
    for line in capsys.readouterr().out.splitlines():
        name, *_, told = re.split(r"  +|\(blind guess: ", line.strip().removesuffix(")"))
        listed[name] = told
    for name, wanted in BLIND.items():
        scores = dict(part.rsplit(" ", 1) for part in listed.pop(name).split(", "))
        assert {key: float(value) for key, value in scores.items()} == pytest.approx(
            wanted, abs=1e-6
        )
        config = config_from_recipe(name, data="d", out="o")  # what is then trained
        assert config.task.trivial(Catalog.from_rows([])) == pytest.approx(wanted)
    assert listed.pop("multi") == "of each"
    assert set(listed.values()) == {"depends on the data"}


def test_a_loss_that_is_not_finite_names_the_step_and_is_exit_code_1(
    words, tmp_path, capsys
) -> None:
    # Passes 1-2 train; 3 is step 3. Evaluation comes only after step 4 here.
    assert main([*words, "--task.nan-from", "2", "--save-every", "1"]) == 1
    error = capsys.readouterr().err
    assert "step 3: the loss is not finite" in error and "Traceback" not in error
    assert "--optim.lr 0.003 may be too high: try a tenth of it" in error
    assert "step_00000002.safetensors" in error  # what there is from before
    assert [p.name for p in sorted((tmp_path / "run" / "checkpoints").iterdir())] == [
        "step_00000001.safetensors", "step_00000002.safetensors",
    ]  # fmt: skip


def test_a_rate_far_above_the_recipes_is_named(words, capsys) -> None:
    assert main([*words, "--optim.lr", "1e30"]) == 1
    error = capsys.readouterr().err
    assert "--optim.lr 1e+30 may be too high: try 0.003, the recipe's" in error
    assert "is from before it" not in error


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_fits_into_no_memory_is_one_line(words, workers, capsys) -> None:
    huge = str(8 * 10**13)
    assert main([*words, "--batch-size", huge, "--workers", str(workers)]) == 1
    error = capsys.readouterr().err
    assert "out of memory" in error and f"try a --batch-size below {huge}" in error
    assert "Traceback" not in error


def test_help_says_what_recipe_and_vision_are(toy, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", "toy", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "changes nothing" not in text and "Recipe that the settings start from" in text
    assert "small-bn" in text and "docs/models.md" in text


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_file_ends_the_run_with_its_name_and_reason(workers, words, capsys) -> None:
    assert main([*words, "--task.broken-row", "3", "--workers", str(workers)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "avssl train: clip003.mp4: cut off after 3 frames"


def test_a_full_disk_is_one_line(words, tmp_path, capsys, monkeypatch) -> None:
    from safetensors import SafetensorError

    from avssl.run import checkpoint

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    assert main(words) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No space left on device" in error and "avssl resume" in error
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(
    name, code, make_config, toy_data, tmp_path
) -> None:
    """The real command line, stopped in the middle and resumed, against one that was not."""
    whole = make_config("whole", steps=10)
    from avssl.run.train import train

    train(whole, quiet=True)
    out = str(tmp_path / "stopped")
    words = ["train", "toy", "--data", toy_data, "--out", out, "--steps", "10", "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOY_STOP_AT": f"{name}:4"}
    done = subprocess.run(
        [sys.executable, str(TOY), *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert f"stopped by {name} and saved at step 5; `avssl resume {out}`" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((Path(out) / "run.json").read_text())["status"] == "stopped"
    assert main(["resume", out]) == 0
    for file in ("metrics.jsonl", "vision_encoder.safetensors"):
        assert (Path(out) / file).read_bytes() == (Path(whole.out) / file).read_bytes()


def test_a_second_interrupt_ends_at_once(make_config) -> None:
    from avssl.run.stopping import StopSignals

    with pytest.raises(KeyboardInterrupt), StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.number == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
