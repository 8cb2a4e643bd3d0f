"""What every pretext task promises of runs; walks the registry, as the tests of the contract do.

Any number of workers gives the same batches, a stopped run ends bit-equal to one that was not, two
processes equal one. No file is read: what a data set shows is drawn (`from_memory`).
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_recipe, read_config, replaced, write_config
from avssl.data import Batches, BatchKey, Share, load
from avssl.pretext import TASKS
from avssl.run.parallel import Processes, processes, reduce_sums, wrap
from avssl.run.train import build_learner, resume, train
from avssl.task import Learner

NAMES = sorted(TASKS)
BATCH_SIZE = 4
SETTINGS = {
    "steps": 4, "batch_size": BATCH_SIZE, "workers": 0, "device": "cpu", "tensorboard": False,
    "save_every": 2, "keep_checkpoints": 0, "log_every": 1, "evaluate_every": 4,
    "num_evaluation_samples": 4, "optim.schedule": "constant", "optim.warmup_steps": 0,
}  # fmt: skip
OTHER_NETWORK = "small-vit-class"
"""Tried with every task that reads maps of pictures: it has weights behind them."""


def asked_of(request: pytest.FixtureRequest, test: str, parameter: str) -> list[Any]:
    """Gives what the tests of that name which are to run here are asked of.

    What costs a start of processes is done once for all of them.
    """
    items = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and (item.originalname, item.module) == (test, request.module)
    ]
    return [item.callspec.params[parameter] for item in items]


def small_config(name: str, data: str, out: Path, **changes: Any) -> TrainConfig:
    return config_from_recipe(
        name, "small", data=data, out=str(out / name), **{**SETTINGS, **changes}
    )


def completed(task: Any, catalog: Catalog) -> Any:
    return task.completed(catalog) if hasattr(task, "completed") else task


def batches_of(task: Any, catalog: Catalog, **share: int) -> Batches:
    return Batches(
        task=task,
        train=catalog.select(split="train"),
        validation=catalog.select(split="validation"),
        seed=3,
        share=Share(batch_size=BATCH_SIZE, **share),
        num_evaluation_samples=BATCH_SIZE,
    )


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest,
    data: str,
    from_memory: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[BatchKey, list[dict[str, Tensor]]]:
    """Gives key → its batch by 0, 1 and 2 workers, of all tasks that are asked together."""
    names = asked_of(request, "test_any_number_of_workers_gives_the_same_batches", "name")
    catalog, out = Catalog.read(data), tmp_path_factory.mktemp("out")
    with from_memory():
        parts = {name: completed(small_config(name, data, out).task, catalog) for name in names}
        batches = batches_of(SimpleNamespace(parts=parts), catalog)
        keys = [
            BatchKey(split=split, task=name, number=number)
            for name in names
            for split, number in (("train", 0), ("validation", 0), ("train", 5))
        ]
        made = [
            list(load(batches, iter(keys), num_workers=num, pin_memory=False)) for num in (0, 1, 2)
        ]
    return {key: list(each) for key, *each in zip(keys, *made, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_workers_gives_the_same_batches(
    name: str, made: dict[BatchKey, list[dict[str, Tensor]]]
) -> None:
    own = {key: batches for key, batches in made.items() if key.task == name}
    assert len(own) == 3
    for key, (first, *others) in own.items():
        assert first and all(array.startswith(f"{name}/") for array in first)
        assert len(others) == 2
        for other in others:
            assert first.keys() == other.keys()
            assert all(torch.equal(first[array], other[array]) for array in first), key


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_ends_bit_equal(name: str, data: str, tmp_path: Path) -> None:
    whole = Path(train(small_config(name, data, tmp_path), quiet=True))
    stopped = tmp_path / "stopped"
    shutil.copytree(whole, stopped)
    for path in [*stopped.glob("checkpoints/*0004.*"), *stopped.glob("*_encoder.*")]:
        path.unlink()
    resume(stopped, quiet=True)
    kept = ["metrics.jsonl", *(f"{stream}_encoder.safetensors" for stream in TASKS[name].streams)]
    kept += [str(p.relative_to(whole)) for p in whole.glob("checkpoints/*.safetensors")]
    assert len(kept) >= 4
    for file in kept:
        assert (stopped / file).read_bytes() == (whole / file).read_bytes(), file


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Makes float numbers float64: halves of a batch round differently, and the gradient of a
    maximum then goes elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        patch.setattr(torch, "float32", torch.float64)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float)


def still(learner: Learner) -> Learner:
    """Leaves out what halves of a batch have by themselves: what is drawn, and statistics."""
    learner.to(torch.get_default_dtype())
    for layer in learner.modules():
        if isinstance(layer, nn.Dropout | nn.modules.batchnorm._BatchNorm):
            layer.eval()
    return learner


def write_cases(case: Any, data: str, catalog: Catalog, cases: Path) -> None:
    """Writes a case with its networks, and with `OTHER_NETWORK` if it reads maps of pictures."""
    config = small_config(case.name, data, cases)
    networks = {
        stream: case.networks.get(stream, getattr(config, stream)).removesuffix("-bn")
        for stream in config.task.streams
    }
    task = completed(case.task, catalog)
    knobs = {field.name for field in dataclasses.fields(task)}
    task = replaced(task, {knob: 0.0 for knob in knobs if "dropout" in knob})
    write_case(replaced(config, {**networks, "task": task}), catalog, cases / str(case))
    if networks.get("vision", "").startswith(("small-vit", "pytorchvideo")):
        return
    task = replaced(task, {knob: "" for knob in knobs & {"layer"}})
    changed = replaced(config, {**networks, "vision": OTHER_NETWORK, "task": task})
    write_case(changed, catalog, cases / f"{case} on {OTHER_NETWORK}", partial=True)


def write_case(
    config: TrainConfig, catalog: Catalog, directory: Path, *, partial: bool = False
) -> None:
    """Writes what both processes train on, and what one alone makes of it.

    `partial`: only where weights are left without a gradient.
    """
    key = BatchKey(split="train", number=1)
    whole = batches_of(config.task, catalog)[key]
    halves = [batches_of(config.task, catalog, rank=k, num_processes=2)[key] for k in (0, 1)]
    for name, value in whole.items():
        assert torch.equal(value, torch.cat([half[name] for half in halves]))
    if partial and is_whole(gradients_of(config, {k: v[:2] for k, v in whole.items()})[0]):
        return
    with exact():
        gradients, sums = gradients_of(config, whole)
    assert any(one is not None and one.any() for one in gradients), f"{directory.name}: no loss"
    directory.mkdir()
    write_config(config, directory)
    torch.save({"batch": whole, "sums": sums, "gradients": gradients}, directory / "one.pt")


def gradients_of(config: TrainConfig, batch: dict[str, Tensor]) -> tuple[list[Any], Any]:
    """Gives the gradient of every weight (or None) and the sums of one process."""
    learner = still(build_learner(config))
    torch.manual_seed(0)
    result = learner(batch)
    result.loss.backward()
    return [weight.grad for weight in learner.parameters()], result.sums


def is_whole(gradients: list[Any]) -> bool:
    """Whether every weight has one."""
    return all(gradient is not None for gradient in gradients)


def compare(directory: Path, here: Processes) -> list[str]:
    """Compares gradients and sums of two processes, half a batch each, with those of one."""
    config, one = read_config(directory), torch.load(directory / "one.pt", weights_only=True)
    size = BATCH_SIZE // here.num
    part = {key: value[here.rank * size :][:size] for key, value in one["batch"].items()}
    learner = still(build_learner(config))
    wrapped = wrap(learner, parallel="ddp", processes=here)
    # a weight that was waited for in vain is told of at the next step
    for _ in range(1 if is_whole(one["gradients"]) else 2):
        wrapped.zero_grad()
        torch.manual_seed(0)
        result = wrapped(part)
        result.loss.backward()
    sums = reduce_sums(result.sums)
    wrong = []
    for key, wanted in one["sums"].items() if here.first else ():
        if not torch.allclose(sums[key], wanted, rtol=1e-7, atol=1e-9):
            wrong.append(f"{key} {sums[key].tolist()}, alone {wanted.tolist()}")
    largest = max(float(w.abs().max()) for w in one["gradients"] if w is not None)
    for (key, weight), wanted in zip(learner.named_parameters(), one["gradients"], strict=True):
        found = weight.grad
        if found is None or wanted is None:
            if found is not wanted:
                wrong.append(f"{key} has a gradient {'alone' if found is None else 'in two'} only")
        elif not torch.allclose(found, wanted, rtol=1e-6, atol=1e-7 * largest):
            off = float((found - wanted).abs().max()) / largest
            wrong.append(f"{key} is off by {off:.1e} of the largest gradient {largest}")
    return wrong


@pytest.fixture(scope="module")
def otherwise(
    request: pytest.FixtureRequest,
    data: str,
    from_memory: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[str]]:
    """Gives name → what two processes make otherwise than one, of all cases that are asked."""
    catalog, cases = Catalog.read(data), tmp_path_factory.mktemp("cases")
    told = tmp_path_factory.mktemp("told")
    with from_memory():
        for case in asked_of(request, "test_two_processes_equal_one", "case"):
            write_cases(case, data, catalog, cases)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", __file__, str(cases),
         str(told)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (json.loads((told / f"{rank}.json").read_text()) for rank in (0, 1))
    assert set(one) == set(two) == {path.name for path in cases.iterdir()}
    return {name: [*one[name], *two[name]] for name in one}


@pytest.mark.slow
def test_two_processes_equal_one(case: Any, otherwise: dict[str, list[str]]) -> None:
    """Gradients, loss, and which weights have none; also of a network that ends after its maps."""
    assert otherwise[str(case)] == []
    assert otherwise.get(f"{case} on {OTHER_NETWORK}", []) == []


def test_the_other_network_leaves_weights_without_a_gradient(data: str, tmp_path: Path) -> None:
    config = small_config("reconstruction", data, tmp_path, vision=OTHER_NETWORK)
    vision = build_learner(config).encoders["vision"]
    maps = vision.features(torch.rand(2, 3, 64, 64))
    list(maps.values())[-1].sum().backward()
    assert not is_whole([weight.grad for weight in vision.parameters()])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with exact(), processes("cpu") as here:
        found = {case.name: compare(case, here) for case in sorted(Path(sys.argv[1]).iterdir())}
        (Path(sys.argv[2]) / f"{here.rank}.json").write_text(json.dumps(found))
