"""Several tasks in two processes equal the same in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avssl.config import write_config
from avssl.run import checkpoint
from avssl.run.log import read_lines
from avssl.run.train import train

TOY = Path(__file__).with_name("toy.py")
# Plain gradient descent, since Adam turns the sign of a gradient near zero into a whole step.
# Of the last batch of an evaluation the second process has no sample.
SETTINGS = {
    "vision": "small", "steps": 15, "num_evaluation_samples": 19, "save_every": 6,
    "evaluate_every": 0, "accumulate": 2, "channels_last": False, "keep_checkpoints": 0,
    "optim.name": "sgd", "optim.lr": 0.01, "optim.clip_norm": 1.0, "optim.warmup_steps": 0,
    "optim.schedule": "constant", "task.compare_rounds": 1, "task.toy_rows.size": 3.0,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallel", "balance"), [("ddp", "progress"), ("ddp", "loss-scale"), ("fsdp2", "uniform")]
)
def test_two_processes_equal_one(parallel, balance, make_several, tmp_path) -> None:
    one = make_several("one", **SETTINGS, **{"task.balance": balance})
    train(one, quiet=True)
    two = make_several("two", **SETTINGS, parallel=parallel, **{"task.balance": balance})
    Path(two.out).mkdir()
    write_config(two, two.out)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint",
         "localhost:0", str(TOY), "resume", two.out],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for step in (6, 15):
        wanted, found = (
            checkpoint.read_state(checkpoint.checkpoint_path(c.out, step)) for c in (one, two)
        )
        assert wanted.keys() == found.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(
                found[name], value, rtol=1e-5, atol=1e-6,
                msg=lambda text, name=name: f"{name}: {text}",
            )  # fmt: skip
    lines = [read_lines(Path(c.out) / "metrics.jsonl") for c in (one, two)]
    for first, second in zip(*lines, strict=True):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert second[key] == (
                value if isinstance(value, str) else pytest.approx(value, rel=1e-4)
            )
