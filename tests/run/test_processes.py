"""Several processes, started by torchrun, equal one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.run import checkpoint
from avssl.run.feed import make_batches
from avssl.run.log import read_lines
from avssl.run.parallel import Processes
from avssl.run.train import resume, train

TOY = Path(__file__).with_name("toy.py")
# Plain gradient descent, since Adam turns the sign of a gradient near zero into a whole step.
SETTINGS = {
    "steps": 5, "ema_decay": 0.8, "num_evaluation_samples": 21, "save_every": 2,
    "optim.name": "sgd", "optim.lr": 0.01, "optim.clip_norm": 1.0,
}  # fmt: skip


def _torchrun(out: Path, data: str, *more: str, command: str = "train") -> str:
    """Runs the toy in two processes and gives what they said."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    words = ["train", "toy", "--data", data, "--out", str(out), *flags, *more]
    if command == "resume":
        words = ["resume", str(out), *more]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint",
         "localhost:0", str(TOY), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "find_unused" not in done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallel", "changes"),
    [
        ("ddp", {}),
        ("ddp", {"task.maps": True, "vision": "small-vit"}),
        ("fsdp2", {"task.maps": True, "vision": "small-vit"}),
    ],
)
def test_two_processes_equal_one(parallel, changes, make_config, toy_data, tmp_path) -> None:
    """Also where maps are read, so that what the encoder has after them has no gradient."""
    one = make_config("one", **SETTINGS, **changes)
    train(one, quiet=True)
    two = tmp_path / "two"
    more = [f"--{key}" if value is True else f"--{key}={value}" for key, value in changes.items()]
    _torchrun(two, toy_data, f"--parallel={parallel}", "--accumulate=2", *more)

    wanted, found = (
        checkpoint.read_state(checkpoint.checkpoint_path(out, 5)) for out in (one.out, two)
    )
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    lines = [read_lines(Path(out) / "metrics.jsonl") for out in (one.out, two)]
    assert len(lines[0]) == len(lines[1])
    for first, second in zip(*lines, strict=True):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert second[key] == (
                value if isinstance(value, str) else pytest.approx(value, rel=1e-4)
            )
    assert json.loads((two / "run.json").read_text())["num_processes"] == 2

    # What two processes saved, one goes on with: a checkpoint knows of no processes.
    if parallel == "ddp":
        resume(one.out, steps=7, quiet=True)
        _torchrun(two, toy_data, "--steps", "7", command="resume")
        wanted, found = (
            checkpoint.read_state(checkpoint.checkpoint_path(out, 7)) for out in (one.out, two)
        )
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("num", "accumulate", "fits"), [(2, 2, True), (3, 1, False), (2, 8, False)]
)
def test_a_batch_that_cannot_be_shared_is_refused(num, accumulate, fits, make_config) -> None:
    config = make_config(batch_size=8, accumulate=accumulate)
    here = Processes(rank=0, num=num, device=torch.device("cpu"))
    catalog = Catalog.read(config.data)
    if fits:
        share = make_batches(config, catalog, here, quiet=True).share
        assert list(share.positions(1)) == [8, 9, 10, 11]
    else:
        with pytest.raises(InputError, match="must be divisible by processes × accumulate"):
            make_batches(config, catalog, here, quiet=True)
