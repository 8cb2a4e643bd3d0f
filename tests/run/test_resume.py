"""A run that is stopped, in any way and at any moment, ends bit-equal to one that was not."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from avssl.config import TrainConfig
from avssl.errors import InputError
from avssl.run import checkpoint, log
from avssl.run.train import resume, train

TOY = Path(__file__).with_name("toy.py")
NUM_KILLS = 20
KEPT = ("metrics.jsonl", "vision_encoder.safetensors", "checkpoints")
"""What must come out the same, byte by byte."""


def _contents(directory: str | Path) -> dict[str, bytes]:
    """Gives path → bytes of everything in a run that is not about time or place."""
    directory = Path(directory)
    files = [path for path in directory.rglob("*") if path.is_file()]
    names = {str(path.relative_to(directory)): path.read_bytes() for path in files}
    return {name: data for name, data in names.items() if name.startswith(KEPT)}


# The whole state of a run counts: momentum, running mean, dropout, clipping, sums under way.
RICH = {
    "ema_decay": 0.9, "task.dropout": 0.3, "optim.clip_norm": 0.5, "optim.warmup_steps": 3,
    "accumulate": 2,
}  # fmt: skip


def test_stopping_between_two_logs_changes_nothing(make_config) -> None:
    # A constant schedule, so that a shorter run is the beginning of a longer one.
    constant = {**RICH, "optim.schedule": "constant", "log_every": 4, "evaluate_every": 0}
    whole = make_config("whole", steps=10, **constant)
    train(whole, quiet=True)
    stopped = make_config("stopped", steps=8, **constant)
    train(stopped, quiet=True)
    resume(stopped.out, steps=10, quiet=True)
    assert _numbers(stopped)[-1] == _numbers(whole)[-1]
    one, two = (_contents(c.out)["checkpoints/step_00000010.safetensors"] for c in (whole, stopped))
    assert one == two


def test_a_run_goes_on_when_its_initial_weights_are_gone(make_config) -> None:
    first = make_config("first", steps=2)
    train(first, quiet=True)
    constant = {"optim.schedule": "constant", "evaluate_every": 0, "init": first.out}
    whole = make_config("whole", steps=6, **constant)
    train(whole, quiet=True)
    stopped = make_config("stopped", steps=3, **constant)
    train(stopped, quiet=True)
    new = make_config("new", steps=6, **constant)
    shutil.rmtree(first.out)
    resume(stopped.out, steps=6, quiet=True)
    name = "checkpoints/step_00000006.safetensors"
    assert _contents(stopped.out)[name] == _contents(whole.out)[name]
    with pytest.raises(InputError, match="first"):  # one that has not begun does need them
        train(new, quiet=True)


def _numbers(config: TrainConfig) -> list[dict]:
    return log.read_lines(Path(config.out) / "metrics.jsonl")


def _train_and_leave(config: TrainConfig) -> None:
    torch.set_num_threads(1)
    train(config, quiet=True)
    os._exit(0)


def test_killed_at_random_moments_twenty_times_ends_bit_equal(make_config) -> None:
    """kill -9 of a true process, wherever it is: starting, learning, writing, finishing."""
    settings = {**RICH, "steps": 40, "save_every": 4, "log_every": 3, "evaluate_every": 7}
    forked = multiprocessing.get_context("fork")
    whole = make_config("whole", **settings)
    began_s = time.monotonic()
    child = forked.Process(target=_train_and_leave, args=(whole,))
    child.start()
    child.join()
    assert child.exitcode == 0
    took_s = time.monotonic() - began_s

    rng = np.random.default_rng(0)
    num_kills, num_runs, found_at = 0, 0, set()
    while num_kills < NUM_KILLS:
        config = make_config(f"killed{num_runs}", **settings)
        num_runs += 1
        while True:
            child = forked.Process(target=_train_and_leave, args=(config,))
            child.start()
            child.join(timeout=float(rng.uniform(0.02, 0.6)) * took_s)
            if child.exitcode is None:
                child.kill()  # SIGKILL
                child.join()
                num_kills += 1
                saved = checkpoint.list_checkpoints(config.out)
                found_at.add(checkpoint.read_facts(saved[-1])["step"] if saved else 0)
                assert num_kills < 200, "the run never comes to its end"
                continue
            assert child.exitcode == 0
            break
        assert _contents(config.out) == _contents(whole.out)
    assert len(found_at) >= 4, f"the kills must come at different places, came at {found_at}"


def test_kill_nine_of_the_command_line(make_config, toy_data, tmp_path) -> None:
    whole = make_config("whole", steps=10)
    train(whole, quiet=True)
    out = str(tmp_path / "killed")
    words = ["train", "toy", "--data", toy_data, "--out", out, "--steps", "10"]
    done = subprocess.run(
        [sys.executable, str(TOY), *words, "--workers", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOY_STOP_AT": "SIGKILL:7"},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(_numbers(dataclasses.replace(whole, out=out))) > 0
    resume(out, quiet=True)
    assert _contents(out) == _contents(whole.out)


def test_resume_reads_the_newest_checkpoint_and_old_ones_go(make_config) -> None:
    config = make_config(steps=9, save_every=2, keep_checkpoints=2)
    train(config, quiet=True)
    names = [path.name for path in checkpoint.list_checkpoints(config.out)]
    assert names == ["step_00000008.safetensors", "step_00000009.safetensors"]
    before = _contents(config.out)
    resume(config.out, quiet=True)  # nothing left to do
    assert _contents(config.out) == before
    keep_all = make_config("all", steps=5, save_every=2, keep_checkpoints=0)
    train(keep_all, quiet=True)
    assert len(checkpoint.list_checkpoints(keep_all.out)) == 3


def test_a_run_without_a_checkpoint_says_that_it_begins_again(make_config, capsys) -> None:
    config = make_config(steps=3)
    train(config)
    assert "begins again" not in capsys.readouterr().err
    shutil.rmtree(Path(config.out) / "checkpoints")
    resume(config.out)
    assert "has no checkpoint to go on from; begins again at step 0" in capsys.readouterr().err
    resume(config.out)
    assert "begins again" not in capsys.readouterr().err


def test_a_run_killed_while_it_handed_on_its_encoder_finishes(make_config) -> None:
    config = make_config(steps=4)
    train(config, quiet=True)
    before = _contents(config.out)
    (Path(config.out) / "vision_encoder.safetensors").unlink()
    resume(config.out, quiet=True)
    assert _contents(config.out) == before


def test_a_damaged_or_foreign_checkpoint_is_named(make_config) -> None:
    config = make_config(steps=4, save_every=2)
    train(config, quiet=True)
    newest = checkpoint.list_checkpoints(config.out)[-1]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"damaged.*delete it"):
        resume(config.out, quiet=True)
    newest.unlink()
    resume(config.out, quiet=True)
    assert newest.read_bytes() == whole


def test_what_a_killed_process_left_half_written_is_swept_away(make_config) -> None:
    config = make_config(steps=4)
    train(config, quiet=True)
    before = _contents(config.out)
    halves = ("checkpoints/.step_9.12.partial.safetensors", "checkpoints/.tmpAb3x9z")
    for name in (*halves, ".vision_encoder.12.partial.safetensors", ".tmpAAAAAA"):
        (Path(config.out) / name).write_bytes(b"half")
    resume(config.out, quiet=True)
    assert _contents(config.out) == before
    assert not list(Path(config.out).glob(".*"))


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [b'{"step": 2}\n', b'{"step": 4}\n', b'{"step": 4, "split": "v"}\n', b'{"step": 6}\n']
    for torn in (b"", b'{"step": 8, "lo', b'{"step": 8}', b"\0\0\0"):
        path.write_bytes(b"".join(lines) + torn)
        log.cut_back(path, step=4)
        assert path.read_bytes() == b"".join(lines[:3])
    log.cut_back(path, step=0)
    assert path.read_bytes() == b""
    log.cut_back(tmp_path / "none.jsonl", step=3)
    assert not (tmp_path / "none.jsonl").exists()
