"""`avssl train multi`: what a person types and gets."""

import json
from pathlib import Path

import pytest

from avssl.cli import main
from avssl.config import read_config
from avssl.errors import InputError
from avssl.run.log import last_scores
from avssl.run.train import train

TOYS = ["toy", "toy-rows"]


@pytest.fixture
def words(toy, toy_data: str, tmp_path: Path) -> list[str]:
    settings = {"steps": 6, "batch-size": 8, "workers": 0, "log-every": 3, "evaluate-every": 0,
                "num-evaluation-samples": 20, "vision": "small", "task.round-steps": 4}  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return ["train", "multi", "--tasks", *TOYS, "--data", toy_data, "--out", str(tmp_path / "run"),
            "--no-tensorboard", *flags]  # fmt: skip


def test_a_run_its_knobs_its_report_and_the_same_again(words, tmp_path, capsys) -> None:
    knobs = [
        "--task.balance",
        "loss-scale",
        "--task.toy-rows.size",
        "2",
        "--task.toy.contrast",
        "9",
    ]
    assert main([*words, *knobs]) == 0
    run = tmp_path / "run"
    config = read_config(run)
    assert list(config.task.parts) == TOYS and config.task.balance == "loss-scale"
    assert (config.task.parts["toy-rows"].size, config.task.parts["toy"].contrast) == (2.0, 9.0)
    assert set(last_scores(run)) >= {"loss", "toy/accuracy", "toy-rows/accuracy"}
    notes = json.loads((run / "run.json").read_text())
    assert notes["trivial"] == {"toy/accuracy": 0.5, "toy-rows/accuracy": 0.5}
    assert notes["described"].startswith("multi(toy(contrast=9.0), toy-rows(size=2.0), balance=")
    shown = (run / "report.html").read_text()
    assert all(f"{name}/accuracy" in shown and f"{name}: label" in shown for name in TOYS)
    assert shown.count("answer: ") == 12  # a picture each, the answers of each task's own head
    said = capsys.readouterr()
    assert "toy-rows/accuracy" in said.err and "blind 0.500" in said.err
    before = (run / "metrics.jsonl").read_bytes()
    assert main([*words, *knobs]) == 0
    assert (run / "metrics.jsonl").read_bytes() == before
    turned = [*words[:2], "--tasks", *TOYS[::-1], *words[5:], *knobs]
    assert main(turned) == 2
    assert "holds another run (task.tasks: " in capsys.readouterr().err
    asked = ["eval", "pretext", str(run), "--data", words[6], "--samples", "8", "--quiet"]
    assert main(asked) == 2 and "no clips in the split 'test'" in capsys.readouterr().err
    assert main([*asked, "--split", "validation"]) == 0
    assert "toy-rows/accuracy" in capsys.readouterr().out


WRONG = {
    "no tasks": (["train", "multi"], "which tasks? --tasks NAME NAME"),
    "no names": (["train", "multi", "--tasks"], "--tasks needs names"),
    "one": (["train", "multi", "--tasks", "toy"], "name two or more"),
    "typo": (["train", "multi", "--tasks", "toy", "toy-row"], "did you mean 'toy-rows'?"),
    "not several": (["train", "toy", "--tasks", *TOYS], "only `avssl train multi` takes it"),
    "knob": (
        ["train", "multi", "--tasks", *TOYS, "--task.toy-rows.contarst", "3"],
        "did you mean --task.toy-rows.contrast?",
    ),
    "rule": (
        ["train", "multi", "--tasks", *TOYS, "--task.toy-rows.contrast", "-3"],
        "task.contrast -3.0: must be 0 or more",
    ),
    "no tasks, but weights": (["train", "multi", "--task.weights", "1", "2"], "which tasks?"),
    "no tasks, but a name": (["train", "multi", "--task.statistics-of", "toy"], "which tasks?"),
    "tasks twice": (["train", "multi", "--tasks", *TOYS, "--tasks=toy"], "--tasks: given twice"),
    "recipe twice": (["train", "toy", "--recipe=a", "--recipe", "small"], "--recipe: given twice"),
    "joined by =": (["train", "multi", "--tasks=toy", "toy-row"], "did you mean 'toy-rows'?"),
    "audit": (["audit", "multi"], "audited one by one"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_and_exit_code_2(name, toy, toy_data, tmp_path, capsys) -> None:
    flags, message = WRONG[name]
    out = [] if flags[0] == "audit" else ["--out", str(tmp_path / "run")]
    assert main([*flags, "--data", toy_data, *out]) == 2
    error = capsys.readouterr().err
    assert message in error and error.strip().count("\n") == 0
    assert not (tmp_path / "run").exists()


def test_a_task_without_validation_clips_is_named_and_the_others_are_evaluated(
    make_several, toy, monkeypatch, capsys
) -> None:
    plain = toy.Rows.items

    def none_to_validate(self, catalog):
        if len(catalog) < 13:
            raise InputError(
                "all clips are of one group; prepare more, or give --task.others clips"
            )
        return plain(self, catalog)

    monkeypatch.setattr(toy.Rows, "items", none_to_validate)
    config = make_several()
    train(config)
    said = capsys.readouterr().err
    assert "no evaluation of toy-rows: all clips are of one group (validation split)" in said
    assert "--task.others" not in said and "toy/accuracy" in said
    scores = last_scores(config.out)
    assert set(scores) == {"loss", "toy/loss", "toy/accuracy"}
    assert scores["loss"] == scores["toy/loss"]
    notes = json.loads((Path(config.out) / "run.json").read_text())
    assert notes["trivial"] == {"toy/accuracy": 0.5}
    monkeypatch.setattr(toy.Toy, "items", none_to_validate)
    config = make_several("neither")
    train(config)
    assert "no evaluation of toy:" in capsys.readouterr().err and not last_scores(config.out)

    def none(self, catalog):
        raise InputError("all clips are of one group; give --task.others clips")

    monkeypatch.setattr(toy.Rows, "items", none)  # a flag that there is, of several tasks
    with pytest.raises(InputError, match=r"^toy-rows: .*give --task\.toy-rows\.others clips$"):
        train(make_several("none"), quiet=True)


def test_a_task_without_clips_in_a_split_is_named_and_the_others_are_judged(
    make_several, toy, monkeypatch, capsys, tmp_path
) -> None:
    """`avssl eval pretext`: as in training."""
    config = make_several(steps=2)
    train(config, quiet=True)
    asked = ["eval", "pretext", config.out, "--data", config.data, "--split", "validation"]
    asked += ["--samples", "20", "--quiet"]
    assert main(asked) == 0
    both = json.loads((Path(config.out) / "pretext_validation.json").read_text())
    assert both["left_out"] == {} and both["scores"] == pytest.approx(last_scores(config.out))
    plain = toy.Rows.items

    def none_to_validate(self, catalog):
        if len(catalog) < 13:
            raise InputError("no clip is long enough; give --task.contrast 0")
        return plain(self, catalog)

    monkeypatch.setattr(toy.Rows, "items", none_to_validate)
    capsys.readouterr()
    out = tmp_path / "one.json"
    assert main([*asked, "-o", str(out)]) == 0
    line = "no evaluation of toy-rows: no clip is long enough (validation split); with more videos"
    assert capsys.readouterr().out.startswith(line)
    one = json.loads(out.read_text())
    assert list(one["left_out"]) == ["toy-rows"] and one["trivial"] == {"toy/accuracy": 0.5}
    kept = {key: value for key, value in both["scores"].items() if key.startswith("toy/")}
    assert one["scores"] == {**kept, "loss": kept["toy/loss"]}
    monkeypatch.setattr(toy.Toy, "items", none_to_validate)
    assert main(asked) == 2
    error = capsys.readouterr().err
    assert error.count("no clip is long enough") == 2 and error.count("\n") == 1
    assert "toy: " in error and "toy-rows: " in error


def test_help_lists_the_knobs_of_each_task(toy, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "multi", "--tasks", *TOYS, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--task.balance" in text and "--task.toy-rows.size" in text and "--task.toy." in text
    assert "Levels between the halves." in text and "Steps for which turns are drawn" in text
    assert main(["tasks"]) == 0
    assert "several tasks in turns on one encoder" in capsys.readouterr().out


@pytest.mark.slow
def test_pictures_order_and_sound_on_true_clips(tmp_path, capsys) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data, run = (tmp_path / name for name in ("world", "data", "run"))
    make_world(world, num_train=2, num_validation=2, num_test=2, seed=1, short_side_px=64,
               duration_s=2.0, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    names = ["reconstruction", "shuffle-and-learn", "audio-visual-correspondence"]
    sizes = [w for name in names for w in (f"--task.{name}.size-px", "32")]
    words = ["train", "multi", "--tasks", *names, "--data", str(data), "--out", str(run), *sizes,
             "--steps", "7", "--batch-size", "4", "--num-evaluation-samples", "8", "--workers", "0",
             "--task.round-steps", "6", "--vision", "small-bn", "--no-tensorboard"]  # fmt: skip
    assert main(words) == 0
    scores = last_scores(run)
    assert {"reconstruction/explained", "shuffle-and-learn/auc",
            "audio-visual-correspondence/auc"} <= set(scores)  # fmt: skip
    assert {path.name for path in run.glob("*_encoder.safetensors")} == {
        "vision_encoder.safetensors", "sound_encoder.safetensors",
    }  # fmt: skip
    capsys.readouterr()
    assert main(["eval", "pretext", str(run), "--data", str(data), "--samples", "8"]) == 0
    shown = capsys.readouterr().out
    assert "reconstruction/explained" in shown and "(without looking: 0.500)" in shown
    report = (run / "report.html").read_text()
    assert "shuffle-and-learn: " in report and "reconstruction: " in report
