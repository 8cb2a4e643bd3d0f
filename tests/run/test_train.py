"""The loop in one process: it learns, accumulates, averages, evaluates, in every precision."""

import dataclasses
import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import avssl
from avssl.config import TrainConfig
from avssl.model import load_encoder
from avssl.run import checkpoint
from avssl.run.log import last_scores, read_lines
from avssl.run.train import build_learner, resume, train

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create", "ignore::DeprecationWarning:torch"
)


def _state(config: TrainConfig) -> dict[str, torch.Tensor]:
    return checkpoint.read_state(checkpoint.list_checkpoints(config.out)[-1])


def _run(config: TrainConfig) -> dict[str, torch.Tensor]:
    train(config, quiet=True)
    return _state(config)


def _close(one: dict, two: dict, *, part: str = "model/", **how: float) -> None:
    names = [name for name in one if name.startswith(part)]
    assert names and names == [name for name in two if name.startswith(part)]
    for name in names:
        told = functools.partial("{}: {}".format, name)
        torch.testing.assert_close(one[name], two[name], msg=told, **how)  # type: ignore[arg-type]


def test_it_learns_and_hands_on_the_encoder_that_it_trained(make_config) -> None:
    changes = {"task.contrast": 80.0, "optim.lr": 3e-3, "optim.warmup_steps": 5}
    config = make_config(steps=40, batch_size=16, evaluate_every=20, log_every=20, **changes)
    directory = avssl.train(config, quiet=True)
    assert last_scores(directory)["accuracy"] > 0.85
    first, second = (
        x["loss"] for x in read_lines(directory / "metrics.jsonl") if x["split"] == "train"
    )
    assert second < first
    encoder = load_encoder(directory)
    learner = build_learner(config)
    state = _state(config)
    learner.load_state_dict(
        {k.removeprefix("model/"): v for k, v in state.items() if k.startswith("model/")}
    )
    frames = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(encoder(frames), learner.encoders["vision"].eval()(frames))


def test_the_first_step_by_hand(make_config) -> None:
    """One step of plain sgd equals weights − lr · gradient of the first batch, built apart."""
    from avssl.catalog import Catalog
    from avssl.data import Batches, BatchKey, Share

    config = make_config(
        steps=1, **{"optim.name": "sgd", "optim.schedule": "constant", "optim.lr": 0.1,
                    "optim.weight_decay": 0.0}
    )  # fmt: skip
    learner = build_learner(config)
    catalog = Catalog.read(config.data).select(split="train")
    batches = Batches(
        task=config.task, train=catalog, validation=None, seed=config.seed,
        share=Share(batch_size=config.batch_size),
    )  # fmt: skip
    batch = batches[BatchKey(split="train", number=0)]
    logits = learner.head(learner.encoders["vision"](batch["frames"]))
    chosen = torch.log_softmax(logits, 1)[torch.arange(8), batch["label"]]
    (-chosen.mean()).backward()
    wanted = {f"model/{n}": (w - 0.1 * w.grad).detach() for n, w in learner.named_parameters()}  # type: ignore[operator]
    found = _run(config)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
    line = read_lines(Path(config.out) / "metrics.jsonl")[0]
    assert line["loss"] == pytest.approx(-chosen.mean().item(), rel=1e-6)
    assert line["correct"] == pytest.approx(
        (logits.argmax(1) == batch["label"]).float().mean().item()
    )
    assert line["learning_rate"] == 0.1


def test_accumulating_equals_the_whole_batch(make_config) -> None:
    changes = {"optim.name": "sgd", "optim.lr": 0.02, "optim.clip_norm": 1.0, "steps": 6}
    whole, parts = (make_config(f"a{n}", accumulate=n, **changes) for n in (1, 4))
    _close(_run(whole), _run(parts), rtol=1e-5, atol=1e-6)
    one, two = (read_lines(Path(c.out) / "metrics.jsonl") for c in (whole, parts))
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        assert [a[key] for key in a if key != "split"] == [
            pytest.approx(b[key], rel=1e-4) for key in a if key != "split"
        ]


def test_clipping_bounds_the_gradient_and_reports_its_length(make_config) -> None:
    changes = {"optim.name": "sgd", "optim.momentum": 0.0, "optim.weight_decay": 0.0}
    config = make_config(
        steps=1, log_every=1, **{**changes, "optim.lr": 1.0, "optim.clip_norm": 0.01},
        **{"optim.schedule": "constant"},
    )  # fmt: skip
    before = {
        f"model/{name}": w.detach().clone() for name, w in build_learner(config).named_parameters()
    }
    after = _run(config)
    moved = torch.sqrt(sum(((after[name] - before[name]) ** 2).sum() for name in before))  # type: ignore[arg-type]
    assert moved.item() == pytest.approx(0.01, rel=1e-3)
    assert read_lines(Path(config.out) / "metrics.jsonl")[0]["gradient_norm"] > 0.01


def test_the_running_mean_is_that_of_the_weights_along_the_way(make_config) -> None:
    config = make_config(steps=5, save_every=1, keep_checkpoints=0, ema_decay=0.8)
    train(config, quiet=True)
    name = "head.1.weight"
    mean = dict(build_learner(config).named_parameters())[name].detach()
    for step, path in enumerate(checkpoint.list_checkpoints(config.out)):
        decay = min(0.8, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * checkpoint.read_state(path)[f"model/{name}"]
        torch.testing.assert_close(checkpoint.read_state(path)[f"ema/{name}"], mean)
    encoder = load_encoder(config.out)  # the mean is what is handed on
    name = "blocks.0.conv1.weight"
    state = _state(config)
    assert torch.equal(
        encoder.network.state_dict()[name], state[f"ema/encoders.vision.network.{name}"]
    )
    assert not torch.equal(
        encoder.network.state_dict()[name], state[f"model/encoders.vision.network.{name}"]
    )


def test_workers_change_nothing(make_config) -> None:
    runs = [make_config(f"w{n}", workers=n, steps=6) for n in (0, 1, 4)]
    states = [_run(config) for config in runs]
    for state in states[1:]:
        _close(states[0], state, part="", rtol=0, atol=0)
    files = {(Path(config.out) / "metrics.jsonl").read_bytes() for config in runs}
    assert len(files) == 1


def test_bf16_is_near_fp32_and_keeps_weights_in_fp32(make_config) -> None:
    """Stated tolerance: bf16 has 8 bits, so a loss within 1 %, weights within 5 % of their size."""
    changes = {"optim.name": "sgd", "optim.lr": 0.003, "steps": 4, "log_every": 1}
    full, half = make_config("full", **changes), make_config("half", precision="bf16", **changes)
    one, two = _run(full), _run(half)
    assert all(value.dtype != torch.bfloat16 for value in two.values())
    first, second = (read_lines(Path(c.out) / "metrics.jsonl")[0]["loss"] for c in (full, half))
    assert first == pytest.approx(second, rel=0.01) and first != second
    for name in (name for name in one if name.startswith("model/")):
        assert (one[name] - two[name]).norm() <= 0.05 * one[name].norm() + 1e-3, name


def test_channels_last_gives_the_same_weights_and_resumes_bit_equal(make_config) -> None:
    changes = {"optim.name": "sgd", "optim.lr": 0.003, "optim.schedule": "constant", "steps": 6}
    plain, last = (
        make_config("plain", **changes),
        make_config("last", channels_last=True, **changes),
    )
    wanted = _run(last)
    _close(_run(plain), wanted, rtol=1e-3, atol=1e-5)
    stopped = make_config("stopped", channels_last=True, **{**changes, "steps": 3})
    train(stopped, quiet=True)
    resume(stopped.out, steps=6, quiet=True)
    _close(_state(stopped), wanted, part="", rtol=0, atol=0)


@pytest.mark.slow
def test_compiled_equals_plain(make_config) -> None:
    if not any(shutil.which(name) for name in ("g++", "c++", "clang++")):
        pytest.skip("torch.compile on a CPU needs a C++ compiler; `avssl doctor` says so too")
    changes = {"optim.name": "sgd", "optim.lr": 0.01, "steps": 3, "evaluate_every": 0}
    plain, compiled = (
        make_config("plain", **changes),
        make_config("compiled", compile=True, **changes),
    )
    _close(_run(plain), _run(compiled), rtol=1e-4, atol=1e-5)


def test_without_validation_clips_it_says_so_and_trains(make_config, toy, tmp_path, capsys) -> None:
    data = toy.write_data(tmp_path / "one_group", num_validation=0)
    config = make_config(data=str(data), steps=2)
    train(config)
    assert "no evaluation" in capsys.readouterr().err
    assert {x["split"] for x in read_lines(Path(config.out) / "metrics.jsonl")} == {"train"}


def test_evaluation_is_over_all_samples_in_evaluation_mode(make_config, monkeypatch) -> None:
    """Scores come from per-sample metrics of exactly num_evaluation_samples, without dropout."""
    seen = []
    config = make_config(steps=1, num_evaluation_samples=13, **{"task.dropout": 0.9})
    original = type(config.task).scores

    def scores(self, columns):
        seen.append({name: len(values) for name, values in columns.items()})
        return original(self, columns)

    monkeypatch.setattr(type(config.task), "scores", scores)
    train(config, quiet=True)
    assert seen == [{"correct": 13}]
    again = dataclasses.replace(config, out=config.out + "b")
    train(again, quiet=True)
    assert last_scores(again.out) == last_scores(config.out)


def test_initial_weights_come_from_another_run(make_config) -> None:
    first = make_config("first", steps=2)
    train(first, quiet=True)
    second = make_config("second", init=first.out, steps=1, vision="resnet18")
    learner = build_learner(second)
    loaded = load_encoder(first.out)
    for name, value in loaded.state_dict().items():
        assert torch.equal(learner.encoders["vision"].state_dict()[name], value)
    train(second, quiet=True)
    assert load_encoder(second.out).name == "small"  # the file decides which network it is


def test_the_seed_decides_the_weights(make_config) -> None:
    states = [
        np.concatenate([w.detach().numpy().ravel() for w in build_learner(c).parameters()])
        for c in (make_config(seed=1), make_config(seed=1), make_config(seed=2))
    ]
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


def test_training_leaves_torchs_generator_as_it_was(make_config) -> None:
    before = torch.random.get_rng_state()
    train(make_config(steps=2), quiet=True)
    assert torch.equal(before, torch.random.get_rng_state())
