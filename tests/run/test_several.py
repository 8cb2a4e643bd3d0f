"""Several tasks at once: exact like one, and no task touches what is another's."""

import copy
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.data import Batches, BatchKey, Share
from avssl.model import load_encoder
from avssl.run import checkpoint
from avssl.run import train as loop
from avssl.run.log import last_scores, read_lines
from avssl.run.parallel import Processes
from avssl.run.pretext_eval import evaluate_pretext
from avssl.run.stopping import Stopped
from avssl.run.train import build_learner, train
from avssl.run.turns import Turns

HERE = Processes(device=torch.device("cpu"))
NAMES = ("toy", "toy-rows")
PROGRESS = {"task.balance": "progress", "task.compare_rounds": 1}


def _state(config: TrainConfig, step: int) -> dict[str, torch.Tensor]:
    return checkpoint.read_state(checkpoint.checkpoint_path(config.out, step))


def _contents(config: TrainConfig) -> dict[str, bytes]:
    newest = checkpoint.list_checkpoints(config.out)[-1]
    kept = [Path(config.out) / n for n in ("metrics.jsonl", "vision_encoder.safetensors")]
    return {path.name: path.read_bytes() for path in (*kept, newest)}


def _batch(config: TrainConfig, name: str, number: int = 0) -> dict[str, torch.Tensor]:
    batches = Batches(
        task=config.task, train=Catalog.read(config.data).select(split="train"), validation=None,
        seed=config.seed, share=Share(batch_size=config.batch_size),
    )  # fmt: skip
    return batches[BatchKey(split="train", task=name, number=number)]


def _whose(config: TrainConfig) -> list[str]:
    """Whose turn each step of a uniform run is."""
    turns = Turns(config, HERE)
    found = []
    for step in range(config.steps):
        found.append(turns.at(step)[0])
        turns.note(found[-1], {"loss": torch.ones(2, dtype=torch.float64) * config.batch_size})
        turns.done(step + 1)
    return found


def _train_until(config: TrainConfig, last: int) -> None:
    """Stops after step `last` as by a signal: finished, saved."""
    inner = loop.learning_rate

    def rate(optim, *, step, steps):
        if step == last - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(optim, step=step, steps=steps)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop, "learning_rate", rate)
        train(config, quiet=True)


@pytest.mark.parametrize(
    "balance", [{}, {"task.balance": "loss-scale"}, PROGRESS], ids=["uniform", "scale", "progress"]
)
def test_stopped_in_the_middle_of_a_round_ends_bit_equal(balance, make_several) -> None:
    rich = {
        "ema_decay": 0.9, "optim.clip_norm": 0.5, "accumulate": 2, "task.toy.dropout": 0.3,
        "vision": "small-bn", "steps": 17, "log_every": 3, "evaluate_every": 0, **balance,
    }  # fmt: skip
    whole, stopped = (make_several(name, **rich) for name in ("whole", "stopped"))
    train(whole, quiet=True)
    for last in (2, 5, 14):  # rounds of 4: in the first, the second and the fourth
        _train_until(stopped, last)
    train(stopped, quiet=True)
    assert _contents(stopped) == _contents(whole)
    record = _state(whole, 17)["turns/record"]
    assert record.shape == (4, 2, 2)
    assert torch.equal(record[..., 1].sum(1), torch.full((4,), 4.0 * 8, dtype=torch.float64))


def test_workers_change_nothing_though_progress_decides_as_it_goes(make_several) -> None:
    runs = [make_several(f"w{n}", workers=n, steps=18, **PROGRESS) for n in (0, 1, 2)]
    for config in runs:
        train(config, quiet=True)
    assert _contents(runs[1]) == _contents(runs[0]) == _contents(runs[2])
    uniform = make_several("uniform", steps=18)
    train(uniform, quiet=True)  # so the record did decide something
    assert _contents(uniform)["metrics.jsonl"] != _contents(runs[0])["metrics.jsonl"]


def test_each_task_meets_all_its_samples_in_an_order_of_its_own(make_several) -> None:
    config = make_several(batch_size=13)  # as many as there are clips: an epoch a batch
    rows = {name: [_batch(config, name, k)[f"{name}/row"] for k in range(2)] for name in NAMES}
    for own in rows.values():
        assert all(sorted(batch.tolist()) == list(range(13)) for batch in own)
        assert not torch.equal(own[0], own[1])
    assert not torch.equal(*(rows[name][0] for name in NAMES))


def test_a_task_of_several_is_evaluated_on_the_samples_that_it_has_alone(
    make_several, make_config
) -> None:
    keys = [BatchKey(split="validation", task=name, number=1) for name in ("toy", "")]
    found = []
    for config, key in zip((make_several(), make_config()), keys, strict=True):
        catalog = Catalog.read(config.data)
        batches = Batches(
            task=config.task, train=catalog.select(split="train"), seed=config.seed,
            validation=catalog.select(split="validation"), share=Share(batch_size=8),
            num_evaluation_samples=20,
        )  # fmt: skip
        found.append(batches[key])
    assert torch.equal(found[0]["toy/frames"], found[1]["frames"])


@pytest.mark.parametrize("optim", ["sgd", "adamw"])
def test_an_idle_head_has_no_gradient_momentum_or_decay(optim, make_several) -> None:
    config = make_several(
        steps=7, save_every=1, keep_checkpoints=0, evaluate_every=0, num_evaluation_samples=0,
        **{"optim.name": optim, "optim.weight_decay": 0.3, "optim.momentum": 0.9,
           "optim.schedule": "constant", "optim.warmup_steps": 0},
    )  # fmt: skip
    train(config, quiet=True)
    whose = _whose(config)
    assert set(whose[:4]) == set(NAMES)
    states = [_state(config, step) for step in range(1, 8)]
    for before, after, active in zip(states, states[1:], whose[1:], strict=False):
        for name in before:
            if not name.startswith(("model/", "optimizer/")):
                continue
            same = torch.equal(before[name], after[name])
            idle = ".toy." in name if active == "toy-rows" else ".toy-rows." in name
            assert same == idle, (name, active)


def test_running_statistics_are_apart_and_the_first_ones_go_on(make_several) -> None:
    """The first layer's by hand: 0.9 of what was, and 0.1 of the batch's means."""
    learner = build_learner(make_several(vision="small-bn"))
    network = learner.encoders["vision"].network
    config = make_several(vision="small-bn")
    means = {}
    for name in (*NAMES, NAMES[1]):
        batch = _batch(config, name)
        shown = learner.encoders["vision"].normalise(batch[f"{name}/frames"])  # type: ignore[operator]
        mean = functional.conv2d(shown, network.stem.weight, stride=2, padding=2)  # type: ignore
        means[name] = 0.9 * means.get(name, 0) + 0.1 * mean.mean(dim=(0, 2, 3)).detach()
        learner(batch)
    own = dict(learner.statistics.named_buffers())  # type: ignore[union-attr]
    torch.testing.assert_close(network.stem_norm.running_mean, means["toy"])  # type: ignore
    torch.testing.assert_close(
        own["toy-rows/vision/network/stem_norm/running_mean"], means["toy-rows"]
    )
    assert network.stem_norm.num_batches_tracked == 1  # type: ignore[union-attr]
    assert own["toy-rows/vision/network/stem_norm/num_batches_tracked"] == 2
    # a copy, as the running mean of the weights is one, is about its own layers
    copied = copy.deepcopy(learner)
    copied(_batch(config, "toy-rows"))
    assert network.stem_norm.num_batches_tracked == 1  # type: ignore[union-attr]
    assert copied.encoders["vision"].network.stem_norm.num_batches_tracked == 1  # type: ignore
    key = "statistics.toy-rows/vision/network/stem_norm/num_batches_tracked"
    assert (learner.state_dict()[key], copied.state_dict()[key]) == (2, 3)
    # and each task is judged with its own
    learner.eval()
    batch = _batch(config, "toy-rows")
    with torch.no_grad():
        found = learner.outputs(batch)["logits"]
        assert learner.statistics is not None
        learner.encoders.load_state_dict(
            {
                f"vision.{name.removeprefix('toy-rows/vision/').replace('/', '.')}": value
                for name, value in own.items()
            },
            strict=False,
        )
        toys = learner.encoders["vision"](batch["toy-rows/frames"])
        torch.testing.assert_close(learner.head["toy-rows"](toys), found)  # type: ignore[index]


def test_the_named_tasks_statistics_go_on_and_change_no_weight(make_several) -> None:
    how = {"vision": "small-bn", "steps": 5, "evaluate_every": 0, "num_evaluation_samples": 0}
    runs = [make_several(name, **how, **{"task.statistics_of": name}) for name in NAMES]
    shared = make_several("shared", **how, **{"task.own_statistics": False})
    for config in (*runs, shared):
        train(config, quiet=True)
    one, two, both = (load_encoder(c.out).network.state_dict() for c in (*runs, shared))
    apart = _state(runs[0], 5)
    for name, value in one.items():
        if "running_" not in name:
            assert "num_batches" in name or torch.equal(value, two[name])
            assert "num_batches" in name or torch.equal(value, both[name])
            continue
        assert not torch.equal(value, two[name]) and not torch.equal(value, both[name])
        key = f"model/statistics.toy-rows/vision/network/{name.replace('.', '/')}"
        assert torch.equal(apart[key], two[name])
    counts = [state["stem_norm.num_batches_tracked"].item() for state in (one, two, both)]
    assert counts[0] + counts[1] == counts[2] == 5


def test_a_loss_is_divided_by_what_it_was_before_the_first_step(make_several) -> None:
    changes = {
        "task.balance": "loss-scale", "task.toy_rows.size": 50.0, "steps": 1, "log_every": 1,
        "vision": "small-bn", "optim.name": "sgd", "optim.schedule": "constant", "optim.lr": 0.1,
        "optim.weight_decay": 0.0, "optim.warmup_steps": 0, "evaluate_every": 0,
        "channels_last": False,
    }  # fmt: skip
    config = make_several(**changes)
    train(config, quiet=True)
    found = _state(config, 1)
    losses = {}
    for name in NAMES:
        learner = build_learner(config)
        losses[name] = learner(_batch(config, name)).loss
    torch.testing.assert_close(
        found["turns/scales"],
        torch.tensor([losses[name].item() for name in NAMES]).double(),
        rtol=1e-5, atol=0,
    )  # fmt: skip
    assert losses["toy-rows"] > 10 * losses["toy"]
    (active,) = _whose(config)
    learner = build_learner(config)
    (learner(_batch(config, active)).loss / losses[active].detach()).backward()
    for name, weight in learner.named_parameters():
        moved = weight if weight.grad is None else weight - 0.1 * weight.grad
        torch.testing.assert_close(found[f"model/{name}"], moved.detach(), rtol=1e-5, atol=1e-6)
    # what is written down is the loss itself; measuring left no trace in the statistics
    line = read_lines(Path(config.out) / "metrics.jsonl")[0]
    assert line[f"{active}/loss"] == pytest.approx(losses[active].item(), rel=1e-5)
    count = "encoders.vision.network.stem_norm.num_batches_tracked"
    other = "statistics.toy-rows/vision/network/stem_norm/num_batches_tracked"
    assert found[f"model/{count}"] + found[f"model/{other}"] == 1


def test_a_weight_scales_the_loss_of_its_task_alone(make_several) -> None:
    """A step of plain gradient descent moves each weight by rate x factor x gradient."""
    config = make_several(**{
        "task.weights": (0.5, 0.03), "steps": 2, "vision": "small-bn", "optim.name": "sgd",
        "optim.schedule": "constant", "optim.lr": 0.1, "optim.weight_decay": 0.0,
        "optim.momentum": 0.0, "optim.warmup_steps": 0, "evaluate_every": 0, "save_every": 1,
        "keep_checkpoints": 0, "channels_last": False,
    })  # fmt: skip
    train(config, quiet=True)
    factors = dict(zip(NAMES, (0.5, 0.03), strict=True))
    learner, done = build_learner(config), dict.fromkeys(NAMES, 0)
    for step, active in enumerate(_whose(config), start=1):
        learner.zero_grad()
        loss = learner(_batch(config, active, done[active])).loss
        done[active] += 1
        (loss * factors[active]).backward()
        with torch.no_grad():
            for weight in learner.parameters():
                if weight.grad is not None:
                    weight -= 0.1 * weight.grad
        found = _state(config, step)
        for name, weight in learner.named_parameters():
            torch.testing.assert_close(
                found[f"model/{name}"], weight.detach(), rtol=1e-4, atol=1e-6
            )


def test_every_task_is_scored_and_a_kept_head_scores_the_same(
    make_several, toy, monkeypatch
) -> None:
    monkeypatch.setattr(toy.Toy, "keeps_head", True, raising=False)
    config = make_several(vision="small-bn", steps=6, log_every=6)
    train(config, quiet=True)
    scores = last_scores(config.out)
    names = {"loss", "toy/loss", "toy-rows/loss", "toy/accuracy", "toy-rows/accuracy"}
    assert set(scores) == names
    assert scores["loss"] == pytest.approx((scores["toy/loss"] + scores["toy-rows/loss"]) / 2)
    found = evaluate_pretext(config.out, config.data, split="validation", num_samples=20)
    assert found["scores"] == pytest.approx(scores)  # with the statistics of each
    assert found["trivial"] == {"toy/accuracy": 0.5, "toy-rows/accuracy": 0.5}
    (line,) = (x for x in read_lines(Path(config.out) / "metrics.jsonl") if x["split"] == "train")
    assert {"toy/loss", "toy/correct", "toy-rows/loss", "toy-rows/correct", "loss"} <= set(line)


def test_each_tasks_step_is_compiled_once_and_equals_the_plain_one(make_several) -> None:
    """The graphs of torch.compile, run as they are: what a compiler makes of them is torch's."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    config = make_several(vision="small-bn")
    plain, compiled = build_learner(config), build_learner(config)
    compiled.compile(backend=backend)
    for number, name in enumerate([*NAMES, *NAMES, NAMES[1]]):
        batch = _batch(config, name, number)
        one, two = plain(batch), compiled(batch)
        assert torch.equal(one.loss, two.loss) and one.sums.keys() == two.sums.keys()
        for learner, step in ((plain, one), (compiled, two)):
            learner.zero_grad()
            step.loss.backward()
        for (key, weight), other in zip(
            plain.named_parameters(), compiled.parameters(), strict=True
        ):
            assert (weight.grad is None) == (other.grad is None), key
            assert weight.grad is None or torch.equal(weight.grad, other.grad), key  # type: ignore
    assert len(graphs) == 2
    for name, value in plain.state_dict().items():  # the running statistics
        assert torch.equal(value, compiled.state_dict()[name]), name


def test_pictures_and_sound_share_the_encoder_of_pictures(make_row) -> None:
    from avssl.config import config_from_recipe

    config = config_from_recipe(
        "multi", data="d", out="o", tasks=("reconstruction", "audio-visual-contrast"),
        **{"task.audio_visual_contrast.size_px": 32, "task.reconstruction.size_px": 32},
    )  # fmt: skip
    assert config.task.streams == ("vision", "sound")
    learner = build_learner(config)
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
    sound = torch.from_numpy(rng.normal(0, 0.1, (4, 16_000)).astype(np.float32))
    both = {"frames": frames, "sound": sound, "label": torch.ones(4, dtype=torch.int64)}
    both["group"] = torch.arange(4)
    reached = {}
    for name, batch in (("reconstruction", {"frames": frames}), ("audio-visual-contrast", both)):
        learner.zero_grad()
        learner({f"{name}/{key}": value for key, value in batch.items()}).loss.backward()
        reached[name] = {
            key.split(".")[1]
            for key, weight in learner.named_parameters()
            if weight.grad is not None and weight.grad.any()
        }
    assert reached["reconstruction"] == {"vision", "reconstruction"}
    assert reached["audio-visual-contrast"] == {"vision", "sound", "audio-visual-contrast"}
