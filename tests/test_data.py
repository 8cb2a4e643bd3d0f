"""Batches: pure in their position, the same for any workers and processes, never substituted."""

import pickle
import time
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avssl.catalog import Catalog, ClipRow
from avssl.data import (
    Batches,
    BatchKey,
    Share,
    choose_num_workers,
    dead_workers_in_one_line,
    load,
    make_example,
)
from avssl.errors import AvsslError, InputError, MediaError
from avssl.records import Clip, Example, FrameSpan, Plan, Sound, SoundSpan


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Examples that tell where they come from, and what was drawn for them."""

    name: ClassVar[str] = "numbers"

    guarded: bool = True
    """Whether planning draws one number more."""
    broken_row: int = -1
    """Row that cannot be read."""
    dies_at: int = -1
    """Row at which the process dies."""

    def items(self, catalog):
        if not len(catalog):
            raise InputError("nothing to sample from")
        return np.repeat(np.arange(len(catalog)), 2)  # every row has two shares

    def sample(self, catalog, index, rng):
        if index == self.broken_row:
            raise MediaError(f"{catalog.row(index).source}: no key frame before 0.4 s")
        if index == self.dies_at:
            import os

            os._exit(9)
        draws = rng.integers(2**40, size=2 if self.guarded else 1)
        return Plan(spans=(), target={"row": index, "drawn": int(draws[0])})

    def transform(self, clips, plan, rng):
        values = [plan.target["row"], plan.target["drawn"], rng.integers(2**40)]
        pixels = rng.integers(256, size=(3, 5, 4), dtype=np.uint8)
        return Example(arrays={"values": np.array(values, np.int64), "frames": pixels})


@pytest.fixture(scope="module")
def make_row() -> "object":
    """The toy's row, from the loop's tests."""
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parent / "run" / "toy.py"
    spec = importlib.util.spec_from_file_location("toy_for_data", path)
    assert spec and spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["toy_for_data"] = module
    spec.loader.exec_module(module)
    return module.make_row


@pytest.fixture(scope="module")
def catalog(make_row, tmp_path_factory) -> Catalog:
    folder = tmp_path_factory.mktemp("data")
    rows = [make_row(n) for n in range(7)] + [make_row(n, "validation") for n in range(7, 11)]
    Catalog.from_rows(rows, directory=folder).write(folder)
    return Catalog.read(folder)


def make(catalog: Catalog, share: Share | None = None, task=None, seed: int = 3) -> Batches:
    return Batches(
        task=task or Numbers(),
        train=catalog.select(split="train"),
        validation=catalog.select(split="validation"),
        seed=seed,
        share=share or Share(batch_size=6),
        num_evaluation_samples=10,
    )


pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

KEYS = [
    *(BatchKey(split="train", number=n) for n in range(4)),
    *(BatchKey(split="validation", number=n) for n in range(2)),
    *(BatchKey(split="train", number=n) for n in range(4, 7)),
]


def test_the_same_batches_for_0_1_and_4_workers(catalog) -> None:
    direct = [make(catalog)[key] for key in KEYS]
    for num_workers in (0, 1, 4):
        found = list(load(make(catalog), KEYS, num_workers=num_workers, pin_memory=False))
        assert len(found) == len(direct)
        for one, two in zip(direct, found, strict=True):
            assert one.keys() == two.keys() == {"values", "frames"}
            assert all(torch.equal(one[name], two[name]) for name in one)
            assert two["frames"].dtype == torch.uint8


def test_a_batch_does_not_depend_on_what_came_before(catalog) -> None:
    late = make(catalog)[BatchKey(split="train", number=6)]
    assert torch.equal(late["values"], make(catalog)[KEYS[-1]]["values"])
    moved = pickle.loads(pickle.dumps(make(catalog)))[KEYS[-1]]  # as workers that are spawned do
    assert torch.equal(late["values"], moved["values"])


@given(num=st.sampled_from([1, 2, 3, 6]), number=st.integers(0, 10**6))
def test_the_processes_shares_make_up_the_batch(num: int, number: int) -> None:
    whole = Share(batch_size=12).positions(number)
    parts = [Share(batch_size=12, rank=r, num_processes=num).positions(number) for r in range(num)]
    assert [position for part in parts for position in part] == list(whole)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_two_processes_see_what_one_sees(catalog, split) -> None:
    key = BatchKey(split=split, number=1)
    whole = make(catalog)[key]["values"]
    shares = [Share(batch_size=6, rank=rank, num_processes=2) for rank in range(2)]
    parts = [make(catalog, share)[key]["values"] for share in shares]
    assert torch.equal(torch.cat(parts), whole)


def test_every_item_once_an_epoch_and_new_draws_in_the_next(catalog) -> None:
    batches = make(catalog, Share(batch_size=7))  # 14 items: two batches an epoch
    epochs = [
        torch.cat([batches[BatchKey(split="train", number=2 * e + n)]["values"] for n in range(2)])
        for e in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch[:, 0].tolist()) == sorted([*range(7)] * 2)
    drawn = torch.cat(epochs)[:, 1:]
    assert len(set(drawn.flatten().tolist())) == drawn.numel()
    assert not torch.equal(epochs[0][:, 0], epochs[1][:, 0])


def test_seeds_change_training_and_never_evaluation(catalog) -> None:
    one, two = make(catalog, seed=3), make(catalog, seed=4)
    train, validation = (BatchKey(split=name, number=0) for name in ("train", "validation"))
    assert not torch.equal(one[train]["values"], two[train]["values"])
    assert torch.equal(one[validation]["values"], two[validation]["values"])
    # The evaluation wraps round, so that the processes have equal shares.
    again = make(catalog, Share(batch_size=10))
    first, second = (again[BatchKey(split="validation", number=n)]["values"] for n in (0, 1))
    assert torch.equal(first, second)


def test_evaluation_takes_every_validation_row_equally_often(catalog) -> None:
    batches = make(catalog, Share(batch_size=8))
    batches.num_evaluation_samples = 8
    rows = batches[BatchKey(split="validation", number=0)]["values"][:, 0].tolist()
    assert sorted(rows) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_switching_a_guard_off_leaves_the_other_draws(catalog) -> None:
    key = BatchKey(split="train", number=2)
    on, off = (make(catalog, task=Numbers(guarded=guarded))[key] for guarded in (True, False))
    assert torch.equal(on["values"], off["values"])
    assert torch.equal(on["frames"], off["frames"])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_cannot_be_read_ends_the_stream_with_its_reason(catalog, num_workers) -> None:
    stream = load(
        make(catalog, task=Numbers(broken_row=4)), KEYS, num_workers=num_workers, pin_memory=False
    )
    with pytest.raises(MediaError) as error:
        list(stream)
    assert str(error.value) == "clip004.mp4: no key frame before 0.4 s"


def test_a_worker_that_dies_is_one_line(catalog) -> None:
    stream = load(make(catalog, task=Numbers(dies_at=2)), KEYS, num_workers=1, pin_memory=False)
    with pytest.raises(AvsslError, match="a process that makes batches died") as error:
        list(stream)
    assert "\n" not in str(error.value)


def test_a_worker_that_dies_while_the_main_process_computes_is_one_line(catalog) -> None:
    """torch raises it from a signal handler, wherever the main process is."""
    stream = load(make(catalog, task=Numbers(dies_at=2)), KEYS, num_workers=1, pin_memory=False)
    died = pytest.raises(AvsslError, match="a process that makes batches died")
    with died as error, dead_workers_in_one_line():
        next(stream)
        time.sleep(60)  # a long step
    assert "\n" not in str(error.value)
    with pytest.raises(RuntimeError, match=r"^shapes$"), dead_workers_in_one_line():
        raise RuntimeError("shapes")


def test_an_error_of_the_task_keeps_its_traceback(catalog) -> None:
    class Wrong(Numbers):
        def transform(self, clips, plan, rng):
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match=r"(?s)in transform.*a bug"):
        list(load(make(catalog, task=Wrong()), KEYS, num_workers=1, pin_memory=False))


def test_the_plan_decides_what_is_fetched(catalog) -> None:
    """Frames and sound of the rows that the plan names, in its order, through one fetcher."""
    asked = []

    class Fetcher:
        def frames(self, row: ClipRow, times_s) -> Clip:
            asked.append((row.clip_id, times_s))
            return Clip(frames=np.zeros((len(times_s), 3, 2, 2), np.uint8), times_s=np.zeros(1))

        def sound(self, row: ClipRow, start_s, duration_s, rate_hz) -> Clip:
            asked.append((row.clip_id, start_s, duration_s, rate_hz))
            samples = np.zeros((1, int(duration_s * rate_hz)), np.float32)
            return Clip(sound=Sound(samples=samples, rate_hz=rate_hz, start_s=start_s))

    class Both(Numbers):
        def sample(self, catalog, index, rng):
            other = SoundSpan(row=5, start_s=0.5, duration_s=1.0, rate_hz=100)
            return Plan(spans=(FrameSpan(row=index, times_s=(0.1, 0.3)), other))

        def transform(self, clips, plan, rng):
            sizes = [clips[0].frames.shape[0], clips[1].sound.samples.shape[1]]
            return Example(arrays={"sizes": np.array(sizes)})

    rng = np.random.default_rng(0)
    plan, example = make_example(Both(), catalog, Fetcher, index=2, rng=rng)  # type: ignore[arg-type]
    assert asked == [("clip002", (0.1, 0.3)), ("clip005", 0.5, 1.0, 100)]
    assert example.arrays["sizes"].tolist() == [2, 100]
    assert len(plan.spans) == 2


def test_number_of_workers(monkeypatch) -> None:
    assert choose_num_workers(0, num_processes=1) == 0
    assert choose_num_workers(7, num_processes=4) == 7
    assert choose_num_workers(-1, num_processes=10**6) == 1
    monkeypatch.setattr("avssl.data.num_cores", lambda: 16)
    assert choose_num_workers(-1, num_processes=1) == 4
    assert choose_num_workers(-1, num_processes=2, on_gpu=True) == 7
