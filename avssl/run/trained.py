"""The whole of what a run trained, heads included: a checkpoint, read back."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from avssl.config import TrainConfig
from avssl.errors import InputError
from avssl.run.checkpoint import list_checkpoints
from avssl.run.train import build_learner
from avssl.task import Learner


def trained_learner(config: TrainConfig, path: Path | None = None) -> tuple[Learner, int]:
    """Gives encoders and head as a checkpoint has them, in evaluation mode, and its step.

    With `ema_decay` these are the running means, as everywhere that something is handed on.

    Args:
        config: of the run.
        path: one of `list_checkpoints`; None: the newest.

    Raises:
        InputError: there is no checkpoint, or it does not fit the configuration.
    """
    if path is None:
        saved = list_checkpoints(config.out)
        if not saved:
            raise InputError(f"{config.out}: no checkpoint yet; `avssl resume {config.out}`")
        path = saved[-1]
    with torch.random.fork_rng():
        learner = build_learner(config).eval()
    prefix = "ema/" if config.ema_decay else "model/"
    state = load_file(path)
    try:
        learner.load_state_dict(
            {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        )
    except RuntimeError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from error
    return learner, int(path.stem.rpartition("_")[2])
