"""The optimiser, and the learning rate as a pure function of the step."""

import math
from typing import Any

import torch
from torch import nn

from avssl.config import OptimConfig


def learning_rate(config: OptimConfig, *, step: int, steps: int) -> float:
    """Gives the learning rate of step `step` (0 ≤ step < steps).

    With w warm-up steps, lr₀ the height and u = (step − w) / (steps − w):

        step < w    lr₀ · (step + 1) / w
        constant    lr₀
        cosine      lr₀ · (1 + cos πu) / 2
        step        lr₀ · factor^(number of `step_at` ≤ step)
    """
    warmup = config.warmup_steps
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    return config.lr * config.step_factor ** sum(at <= step for at in config.step_at)


def build_optimizer(learner: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Builds the optimiser over all weights that have a gradient.

    Biases and the weights of normalisation (at most one dimension) do not decay, as in CaffeNet's
    and the usual later recipes.
    """
    named = [(name, w) for name, w in learner.named_parameters() if w.requires_grad]
    trained = [weight for _, weight in named]
    groups: list[dict[str, Any]] = []
    for part in ("encoders", "others"):
        own = [w for name, w in named if name.startswith("encoders.") == (part == "encoders")]
        for decay, kind in ((config.weight_decay, True), (0.0, False)):
            weights = [weight for weight in own if (weight.ndim > 1) == kind]
            groups.append({"params": weights, "weight_decay": decay, "part": part})
    groups = [group for group in groups if group["params"]]
    fused = all(weight.is_cuda for weight in trained)
    how: dict[str, Any] = {"lr": config.lr, "fused": True} if fused else {"lr": config.lr}
    if config.name == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, **how)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, betas=config.betas, **how)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: OptimConfig, *, rate: float, step: int
) -> None:
    """Sets the rate of step `step`; the encoders' is smaller, or none yet, where that is asked."""
    begun = step >= config.encoder_from_step
    for group in optimizer.param_groups:
        own = (config.encoder_lr_factor if begun else 0.0) if group["part"] == "encoders" else 1.0
        group["lr"] = rate * own


def ema_decay(decay: float, step: int) -> float:
    """Gives the decay of the running mean of the weights after step `step` (from 0).

    min(decay, (1 + step) / (10 + step)), so that a short run forgets the weights it began with.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_ema(ema: nn.Module, learner: nn.Module, decay: float) -> None:
    """Moves the running mean: ema ← decay · ema + (1 − decay) · weights; buffers are copied."""
    mean, now = list(ema.parameters()), list(learner.parameters())
    torch._foreach_lerp_(_local(mean), _local(now), 1 - decay)  # type: ignore[attr-defined]
    for to, source in zip(ema.buffers(), learner.buffers(), strict=True):
        to.copy_(source)


def _local(weights: list[nn.Parameter]) -> list[torch.Tensor]:
    return [w.to_local() if hasattr(w, "to_local") else w for w in weights]  # type: ignore[operator]
