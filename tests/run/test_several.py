"""Several tasks at once: exact like one, and no task touches what is another's."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_json, config_to_json
from avssl.data import Batches, BatchKey, Share
from avssl.errors import InputError
from avssl.model import load_encoder
from avssl.run import checkpoint
from avssl.run.feed import batch_keys
from avssl.run.log import last_scores, read_lines
from avssl.run.parallel import Processes
from avssl.run.train import build_learner, resume, train
from avssl.run.turns import Turns
from avssl.task import describe

BALANCES = ("uniform", "loss-scale", "progress")
HERE = Processes(device=torch.device("cpu"))
NAMES = ("toy", "toy-rows")


def _state(config: TrainConfig, step: int | None = None) -> dict[str, torch.Tensor]:
    saved = checkpoint.list_checkpoints(config.out)
    return checkpoint.read_state(
        saved[-1] if step is None else checkpoint.checkpoint_path(config.out, step)
    )


def _contents(config: TrainConfig) -> dict[str, bytes]:
    names = ("metrics.jsonl", "vision_encoder.safetensors")
    newest = checkpoint.list_checkpoints(config.out)[-1]
    return {name: (Path(config.out) / name).read_bytes() for name in names} | {
        newest.name: newest.read_bytes()
    }


def _turns(config: TrainConfig, num_steps: int, **record) -> list[tuple[str, int]]:
    """Whose turn each step is where every loss is 1."""
    turns = Turns(config, HERE)
    found = []
    for step in range(num_steps):
        found.append(turns.at(step))
        pair = torch.tensor([1.0 * config.batch_size, config.batch_size], dtype=torch.float64)
        turns.note(found[-1][0], {"loss": pair})
        turns.done(step + 1)
    return found


# --- reproducible like a single task ------------------------------------------------------------


@pytest.mark.parametrize("balance", BALANCES)
def test_stopped_in_the_middle_of_a_round_ends_bit_equal(balance, make_several) -> None:
    rich = {
        "ema_decay": 0.9, "optim.clip_norm": 0.5, "accumulate": 2, "task.toy.dropout": 0.3,
        "optim.schedule": "constant", "task.balance": balance, "task.compare_rounds": 1,
        "vision": "small-bn",
    }  # fmt: skip
    whole = make_several("whole", steps=22, **rich)
    train(whole, quiet=True)
    stopped = make_several("stopped", steps=3, evaluate_every=0, **rich)
    stopped = dataclasses.replace(stopped, num_evaluation_samples=0)
    stopped = make_several("stopped", steps=22, **rich)
    for last in (5, 10, 14):  # within rounds of 4, some after two that count for "progress"
        _train_until(stopped, last)
    train(stopped, quiet=True)
    assert _contents(stopped) == _contents(whole)


def _train_until(config: TrainConfig, last: int) -> None:
    """Stops as by a signal after step `last`, saved."""
    import os
    import signal

    from avssl.run import train as loop
    from avssl.run.stopping import Stopped

    inner = loop.learning_rate

    def rate(optim, *, step, steps):
        if step == last - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(optim, step=step, steps=steps)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop, "learning_rate", rate)
        train(config, quiet=True)


@pytest.mark.parametrize("balance", ["loss-scale", "progress"])
def test_workers_change_nothing(balance, make_several) -> None:
    changes = {"task.balance": balance, "task.compare_rounds": 1, "steps": 18}
    runs = [make_several(f"w{n}", workers=n, **changes) for n in (0, 1, 2)]
    for config in runs:
        train(config, quiet=True)
    assert _contents(runs[1]) == _contents(runs[0]) == _contents(runs[2])
