"""The learning rate, the decay groups and the running mean, against closed forms."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from avssl.config import OptimConfig
from avssl.run.optim import build_optimizer, ema_decay, learning_rate, update_ema


def test_learning_rate_by_hand() -> None:
    cosine = OptimConfig(lr=2.0, schedule="cosine", warmup_steps=4)
    course = [learning_rate(cosine, step=step, steps=12) for step in range(12)]
    assert course[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert course[8] == pytest.approx(1.0)  # half way down: 4 of 8 steps after warming up
    assert course[6] == pytest.approx(1 + math.sqrt(0.5))
    step = OptimConfig(lr=1.0, schedule="step", step_at=(3, 5), step_factor=0.5)
    assert [learning_rate(step, step=s, steps=9) for s in range(7)] == [
        1,
        1,
        1,
        0.5,
        0.5,
        0.25,
        0.25,
    ]
    flat = OptimConfig(lr=0.3, schedule="constant", warmup_steps=1)
    assert {learning_rate(flat, step=s, steps=9) for s in range(9)} == {0.3}


@given(
    lr=st.floats(1e-6, 10),
    warmup=st.integers(0, 50),
    steps=st.integers(1, 500),
    schedule=st.sampled_from(["constant", "cosine"]),
)
def test_learning_rate_stays_below_its_height_and_falls_after_warming_up(
    lr: float, warmup: int, steps: int, schedule: str
) -> None:
    config = OptimConfig(lr=lr, warmup_steps=warmup, schedule=schedule)  # type: ignore[arg-type]
    course = [learning_rate(config, step=step, steps=steps) for step in range(steps)]
    assert all(0 < value <= lr * (1 + 1e-12) for value in course)
    after = course[warmup:]
    assert all(one >= two for one, two in itertools.pairwise(after))
    assert all(
        value == pytest.approx(lr * (step + 1) / warmup)
        for step, value in enumerate(course[:warmup])
    )


def test_biases_and_normalisation_do_not_decay() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4, 2))
    net[3].bias.requires_grad_(False)
    optimizer = build_optimizer(net, OptimConfig(weight_decay=0.1))
    decays = {
        weight: group["weight_decay"]
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    named = {name: decays.get(weight) for name, weight in net.named_parameters()}
    assert named == {
        "0.weight": 0.1, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0,
        "3.weight": 0.1, "3.bias": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_one_step_of_each_optimizer_by_hand(name: str) -> None:
    """From weight 2 with gradient 3 and decay 0.1: first steps have closed forms."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    config = OptimConfig(name=name, lr=0.01, weight_decay=0.1)  # type: ignore[arg-type]
    optimizer = build_optimizer(layer, config)
    layer.weight.grad = torch.tensor([[3.0]])
    optimizer.step()
    wanted = {
        "sgd": 2 - 0.01 * (3 + 0.1 * 2),
        "adam": 2 - 0.01,  # m / sqrt(v) = 1 in the first step
        "adamw": 2 * (1 - 0.01 * 0.1) - 0.01,
    }[name]
    assert layer.weight.item() == pytest.approx(wanted, rel=1e-6)


@given(decay=st.floats(0.01, 0.999), values=st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_running_mean_is_the_weighted_sum_of_its_past(decay: float, values: list[float]) -> None:
    net, mean = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for module in (net, mean):
        module.register_buffer("seen", torch.zeros(1))
    nn.init.constant_(mean.weight, 7.0)
    decays = [ema_decay(decay, step) for step in range(len(values))]
    for value, factor in zip(values, decays, strict=True):
        with torch.no_grad():
            net.weight.fill_(value)
            net.seen.fill_(value)  # type: ignore[operator]
        update_ema(mean, net, factor)
    wanted = 7.0 * math.prod(decays) + sum(
        value * (1 - decays[k]) * math.prod(decays[k + 1 :]) for k, value in enumerate(values)
    )
    assert mean.weight.item() == pytest.approx(wanted, abs=1e-4)
    assert mean.seen.item() == pytest.approx(values[-1])  # type: ignore[operator]


def test_running_mean_forgets_the_start_early_on() -> None:
    assert [ema_decay(0.999, step) for step in (0, 8, 90)] == [0.1, 0.5, 0.91]
    assert ema_decay(0.9, 1000) == 0.9
