"""A run's networks as its newest checkpoint holds them: encoders, head and all."""

import torch
from safetensors.torch import load_file

from avssl.config import TrainConfig
from avssl.errors import InputError
from avssl.run.checkpoint import list_checkpoints
from avssl.run.train import build_learner
from avssl.task import Learner


def trained_learner(config: TrainConfig) -> tuple[Learner, int]:
    """Gives what was trained, in evaluation mode on the CPU, and after how many steps.

    The running mean of the weights where the run keeps one.

    Args:
        config: of the run; `out` is its folder.

    Raises:
        InputError: the run has no checkpoint yet.
    """
    saved = list_checkpoints(config.out)
    if not saved:
        raise InputError(f"{config.out}: no checkpoint yet; `avssl resume {config.out}`")
    with torch.random.fork_rng():
        learner = build_learner(config).eval()
    prefix = "ema/" if config.ema_decay else "model/"
    state = load_file(saved[-1])
    learner.load_state_dict(
        {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    )
    return learner, int(saved[-1].stem.rpartition("_")[2])
