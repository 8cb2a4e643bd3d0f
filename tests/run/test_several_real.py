"""Several tasks at once, real ones: trained on clips that were made, prepared and are decoded."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import TrainConfig, read_config
from avssl.data import Batches, BatchKey, Share
from avssl.model import load_encoder
from avssl.run import checkpoint
from avssl.run import train as loop
from avssl.run.log import last_scores
from avssl.run.parallel import Processes
from avssl.run.train import build_learner
from avssl.run.turns import Turns

IMAGES = ("rotation", "relative-position")
SIDE_PX = 64
ROUND_STEPS = 4
PATCHES = {"task.relative-position.patch-px": 16, "task.relative-position.gap-px": 4,
           "task.relative-position.size-px": SIDE_PX}  # fmt: skip
BALANCES = {
    "uniform": {},
    "loss-scale": {"task.balance": "loss-scale"},
    "progress": {"task.balance": "progress", "task.compare-rounds": 1, "task.least-share": 0.5},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared set of eight clips of a second and a half with sound: 4, 2 and 2 of the splits."""
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data = (tmp_path_factory.mktemp("several") / name for name in ("world", "data"))
    make_world(world, num_train=4, num_validation=2, num_test=2, seed=1, short_side_px=72,
               duration_s=1.5, workers=1, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=72, gop=1), jobs=1, quiet=True)
    shutil.rmtree(world)
    return data


def words_of(data: Path, out: Path, *tasks: str, **flags: object) -> list[str]:
    """Gives what a person types; flags are those of a quick run, with what is given on top."""
    settings = {"steps": 18, "batch-size": 4, "workers": 0, "log-every": 4, "evaluate-every": 0,
                "num-evaluation-samples": 6, "task.round-steps": ROUND_STEPS,
                "optim.warmup-steps": 0}  # fmt: skip
    chosen = ["--tasks", *tasks] if tasks else []
    found = [word for k, v in {**settings, **flags}.items() for word in (f"--{k}", str(v))]
    return ["train", "multi", *chosen, "--data", str(data), "--out", str(out), "--no-tensorboard",
            *found]  # fmt: skip


def stopped_after(step: int, words: list[str]) -> None:
    """Runs a command that gets a signal in that step: it finishes the step and saves."""
    inner = loop.learning_rate

    def rate(optim, *, step: int, steps: int, _last: int = step) -> float:
        if step == _last - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(optim, step=step, steps=steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "learning_rate", rate)
        assert main(words) == 143


def contents(run: Path) -> dict[str, bytes]:
    kept = [run / "metrics.jsonl", *run.glob("*_encoder.safetensors"), *run.glob("head.*")]
    return {path.name: path.read_bytes() for path in (*kept, checkpoint.list_checkpoints(run)[-1])}


def whose_turn(config: TrainConfig) -> list[str]:
    """Whose turn each step of a uniform run is."""
    turns = Turns(config, Processes(device=torch.device("cpu")))
    found = []
    for step in range(config.steps):
        found.append(turns.at(step)[0])
        turns.note(found[-1], {"loss": torch.ones(2, dtype=torch.float64) * config.batch_size})
        turns.done(step + 1)
    return found


def batches_of(config: TrainConfig) -> Batches:
    return Batches(
        task=config.task, train=Catalog.read(config.data).select(split="train"), validation=None,
        seed=config.seed, share=Share(batch_size=config.batch_size),
    )  # fmt: skip


def first_losses(config: TrainConfig) -> list[float]:
    """Each task's loss of its first batch, with the first weights."""
    batches, found = batches_of(config), []
    for name in config.task.parts:
        learner = build_learner(config)  # anew: a pass moves running statistics
        torch.manual_seed(config.seed)
        found.append(learner(batches[BatchKey(split="train", task=name, number=0)]).loss.item())
    return found


@pytest.mark.parametrize("balance", BALANCES)
def test_rotation_and_places_stopped_and_resumed_are_bit_equal(
    balance: str, clips: Path, tmp_path: Path
) -> None:
    flags = {"ema-decay": 0.9, **PATCHES, **BALANCES[balance]}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(words_of(clips, whole, *IMAGES, **flags)) == 0
    for step in (2, 14):  # in the first round, and in the fourth
        stopped_after(step, words_of(clips, stopped, *IMAGES, **flags))
    assert main(["resume", str(stopped)]) == 0
    assert contents(stopped) == contents(whole)
    scores = last_scores(whole)
    assert set(scores) == {
        "loss", "rotation/loss", "rotation/accuracy", "rotation/all_right", "rotation/upright",
        "relative-position/loss", "relative-position/accuracy", "relative-position/within_one",
    }  # fmt: skip
    state = checkpoint.read_state(checkpoint.list_checkpoints(whole)[-1])
    # four rounds of four steps of four samples are over, of the fifth two steps
    record = state["turns/record"].numpy()
    steps = record[..., 1] / 4
    assert steps.sum(axis=1).tolist() == [ROUND_STEPS] * 4
    assert state["turns/row"][:, 1].sum() == 2 * 4
    if balance != "progress":
        assert (steps == ROUND_STEPS / 2).all()
    else:  # rounds 0 to 2 know nothing; round 3 has rounds 0 and 1 behind it
        before, after = (record[k, :, 0] / record[k, :, 1] for k in (0, 1))
        fall = ((before - after) / before).clip(0)
        shares = 0.25 + 0.5 * fall / fall.sum()
        assert (steps[:3] == ROUND_STEPS / 2).all() and fall.any()
        assert (abs(steps[3] - ROUND_STEPS * shares) < 1).all()
    scales = state["turns/scales"].tolist()
    if balance != "loss-scale":
        assert scales == [1, 1]
    else:
        assert scales == pytest.approx(first_losses(read_config(whole)), rel=1e-5)


def test_each_task_has_the_running_statistics_of_its_own_pictures(
    clips: Path, tmp_path: Path
) -> None:
    """By hand for the first layer, with weights that stand still: 0.9 of what was, 0.1 of each
    batch's mean and variance."""
    out = tmp_path / "run"
    assert main(words_of(clips, out, *IMAGES, **PATCHES, **{"optim.lr": 0, "steps": 6})) == 0
    config = read_config(out)
    state = checkpoint.read_state(checkpoint.list_checkpoints(out)[-1])
    whose = whose_turn(config)
    assert set(whose) == set(IMAGES)
    batches = batches_of(config)
    learner = build_learner(config)
    seen: list[torch.Tensor] = []
    norm = learner.encoders["vision"].network.stem_norm  # type: ignore[union-attr]
    norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))  # type: ignore
    for name, key in zip(
        IMAGES, ("encoders.vision.network.stem_norm.running_", "statistics."
                 "relative-position/vision/network/stem_norm/running_"), strict=True,
    ):  # fmt: skip
        mean, variance = torch.zeros(norm.num_features), torch.ones(norm.num_features)  # type: ignore
        for number in range(whose.count(name)):
            seen.clear()
            learner(batches[BatchKey(split="train", task=name, number=number)])
            for maps in seen:
                mean = 0.9 * mean + 0.1 * maps.mean(dim=(0, 2, 3))
                variance = 0.9 * variance + 0.1 * maps.var(dim=(0, 2, 3))
        torch.testing.assert_close(state[f"model/{key}mean"], mean, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(state[f"model/{key}var"], variance, rtol=1e-4, atol=1e-6)
    own, other = (
        state[f"model/{key}"]
        for key in ("encoders.vision.network.stem_norm.running_mean",
                    "statistics.relative-position/vision/network/stem_norm/running_mean")
    )  # fmt: skip
    assert not torch.allclose(own, other, rtol=0.1)
    assert torch.equal(load_encoder(out).network.stem_norm.running_mean, own)  # type: ignore


def test_pictures_and_sound_share_the_encoder_of_pictures_and_nothing_else(
    clips: Path, tmp_path: Path
) -> None:
    """Every step moves the vision encoder and one head; the sound encoder in its task's steps."""
    names = ("rotation", "audio-visual-correspondence")
    out = tmp_path / "run"
    flags = {"steps": 5, "save-every": 1, "keep-checkpoints": 0, "optim.weight-decay": 0.3,
             "task.audio-visual-correspondence.size-px": SIDE_PX}  # fmt: skip
    assert main(words_of(clips, out, *names, **flags)) == 0
    whose = whose_turn(read_config(out))
    assert set(whose[1:]) == set(names)
    states = [checkpoint.read_state(path) for path in checkpoint.list_checkpoints(out)]
    for before, after, name in zip(states, states[1:], whose[1:], strict=False):
        moved = {
            part
            for part in ("encoders.vision", "encoders.sound", *(f"head.{one}" for one in names))
            for key in before
            if key.startswith(f"model/{part}.") and key.endswith((".weight", ".bias"))
            if not torch.equal(before[key], after[key])
        }
        heard = {"encoders.sound"} if name == names[1] else set()
        assert moved == {"encoders.vision", f"head.{name}"} | heard
    assert {path.name for path in out.glob("*.safetensors")} == {
        "vision_encoder.safetensors", "sound_encoder.safetensors", "head.safetensors",
    }  # fmt: skip
    assert {"rotation/accuracy", "audio-visual-correspondence/loss"} <= set(last_scores(out))


def test_three_tasks_of_different_batches(clips: Path, tmp_path: Path) -> None:
    """Grey pictures, tiles and patches over time: other arrays, other networks behind them."""
    names = ("colorization", "jigsaw", "tracking")
    flags = {"steps": 7, "task.round-steps": 6, "task.colorization.size-px": SIDE_PX,
             "task.jigsaw.size-px": 60, "task.jigsaw.patch-px": 16, "task.jigsaw.gap-px": 4,
             "task.tracking.size-px": SIDE_PX, "task.tracking.patch-px": 24}  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(words_of(clips, whole, *names, **flags)) == 0
    stopped_after(4, words_of(clips, stopped, *names, **flags))
    assert main(["resume", str(stopped), "--workers", "1"]) == 0
    assert contents(stopped) == contents(whole)
    config = read_config(whole)
    assert sum(config.task.parts["colorization"].prior) == pytest.approx(1)  # filled in, and kept
    assert {name: whose_turn(config)[:6].count(name) for name in names} == dict.fromkeys(names, 2)
    batches = batches_of(config)
    keys = [set(batches[BatchKey(split="train", task=name, number=0)]) for name in names]
    assert all(key.startswith(f"{n}/") for n, own in zip(names, keys, strict=True) for key in own)
    assert len({frozenset(key.partition("/")[2] for key in own) for own in keys}) == 3
    wanted = {"colorization/explained", "jigsaw/accuracy", "tracking/returned"}
    assert wanted <= set(last_scores(whole))
    assert {f"{name}/loss" for name in names} <= set(last_scores(whole))


def test_beast_is_trained_stopped_resumed_and_judged(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("masked-autoencoding", "frame-contrast")
    flags = {"recipe": "beast", "steps": 4}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(words_of(clips, whole, **flags)) == 0
    stopped_after(2, words_of(clips, stopped, **flags))
    assert main(["resume", str(stopped)]) == 0
    assert contents(stopped) == contents(whole)
    config = read_config(whole)
    assert tuple(config.task.parts) == parts and config.task.weights == (1.0, 0.03)
    assert set(whose_turn(config)) == set(parts) and config.vision == "small-vit-class"
    assert load_encoder(whole)(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).isfinite().all()
    words = ["eval", "pretext", str(stopped), "--data", str(clips), "--quiet"]
    assert main([*words, "--split", "validation", "--samples", "6"]) == 0
    found = json.loads((stopped / "pretext_validation.json").read_text())
    assert found["scores"] == pytest.approx(last_scores(whole), rel=1e-5)
    capsys.readouterr()
    assert main([*words, "--samples", "5"]) == 0
    shown = capsys.readouterr().out
    assert "masked-autoencoding/explained" in shown and "frame-contrast/loss" in shown
