"""Processes and devices: what torchrun says, and how the learner is wrapped for it."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.config import TrainConfig
from avssl.data import choose_num_workers, num_cores
from avssl.errors import InputError
from avssl.records import Step
from avssl.task import Batch, Learner, parts_of


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among all of the run."""

    rank: int = 0
    num: int = 1
    """How many there are."""
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0


@contextlib.contextmanager
def processes(device: str, parallel: str = "ddp") -> Iterator[Processes]:
    """Joins the processes that torchrun started, or is alone.

    Args:
        device: "auto", "cpu" or "cuda".
        parallel: "ddp" or "fsdp2".

    Raises:
        InputError: cuda is asked for and there is none, or fsdp2 without torchrun.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda': torch finds no GPU here; see `avssl doctor`")
    if parallel == "fsdp2" and "WORLD_SIZE" not in os.environ and not dist.is_initialized():
        raise InputError(
            "parallel 'fsdp2': needs torchrun, as in `torchrun --nproc-per-node 2 -m avssl train …`"
        )
    use_gpu = device != "cpu" and torch.cuda.is_available()
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", local_rank) if use_gpu else torch.device("cpu")
    if use_gpu:
        torch.cuda.set_device(chosen)
    joined_here = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if joined_here:
        dist.init_process_group("nccl" if use_gpu else "gloo")
    try:
        if dist.is_initialized():
            yield Processes(rank=dist.get_rank(), num=dist.get_world_size(), device=chosen)
        else:
            yield Processes(device=chosen)
    finally:
        if joined_here:
            dist.destroy_process_group()


def autocast(config: TrainConfig, device: torch.device) -> Any:
    """Gives the context of the run's arithmetic."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


@contextlib.contextmanager
def threads_beside_loaders(here: Processes) -> Iterator[None]:
    """Leaves cores to the loaders: networks on the CPU use the others, OMP_NUM_THREADS as given.

    A thread on every core and loaders beside them wait for each other at every layer: on two cores
    a step took 405 and 491 ms (MJPEG, H.264), with one thread 340 and 371 (docs/benchmarks.md). On
    a busy machine waiting threads cost far more: 100 frames of `pose predict` took 94 s, not 9. The
    number follows from the cores alone, so that `workers` changes no sum.
    """
    if here.device.type != "cpu" or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    before = torch.get_num_threads()
    cores = num_cores() // here.num
    torch.set_num_threads(max(1, cores - choose_num_workers(-1, num_processes=here.num)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wrap(learner: Learner, *, parallel: str, processes: Processes) -> nn.Module:
    """Wraps the learner for several processes: its forward pass then averages the gradients.

    "fsdp2" puts each encoder, each head and the whole in shards; "ddp" copies.

    Copies look for weights without a gradient at every step, whatever the task: one that reads maps
    leaves unused what an encoder has after them (`layer`; a ViT's last normalisation, a network's
    last linear layers), one of several the heads of the others, and neither knows what it is given.
    Looking costs nothing that can be measured: 42, 256 and 450 ms a step with and without on two
    cores (small-bn, ResNet-50, small-vit; differences below 3 % of either sign).
    """
    if parallel == "fsdp2":
        shard(learner, processes=processes)
        return learner
    if processes.num == 1:
        return learner
    from torch.nn.parallel import DistributedDataParallel

    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(
        _WithSpare(learner),
        device_ids=ids,
        gradient_as_bucket_view=True,
        find_unused_parameters=True,
    )


class _WithSpare(nn.Module):
    """A learner and a weight that is never used: where looking finds nothing unused, torch advises
    on the terminal of every run not to look."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner
        self.spare = nn.Parameter(next(learner.parameters()).detach().new_zeros(1))

    def forward(self, batch: Batch) -> Step:
        """See `Learner`."""
        return self.learner(batch)


def shard(learner: Learner, *, processes: Processes) -> None:
    """Puts the weights in shards, in place (FSDP2)."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(processes.device.type, (processes.num,))
    several = len(parts_of(learner.task)) > 1
    heads = learner.head.children() if several else (learner.head,)
    for part in (*learner.encoders.values(), *heads):
        if any(True for _ in part.parameters()):
            fully_shard(part, mesh=mesh)
    fully_shard(learner, mesh=mesh)
    register_fsdp_forward_method(learner, "outputs")
    for encoder in learner.encoders.values():
        for method in ("features", "tokens"):  # other ways through an encoder than its forward()
            if hasattr(encoder, method):
                register_fsdp_forward_method(encoder, method)


@contextlib.contextmanager
def without_sync(wrapped: nn.Module, active: bool) -> Iterator[None]:
    """Leaves the gradients of this pass unsynchronised (all passes of a step but the last)."""
    if active and hasattr(wrapped, "no_sync"):
        with wrapped.no_sync():  # type: ignore[operator]
            yield
    elif hasattr(wrapped, "set_requires_gradient_sync"):
        wrapped.set_requires_gradient_sync(not active)  # type: ignore[operator]
        yield
    else:
        yield


def reduce_sums(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adds up (sum, count) pairs over all processes: afterwards the first process holds the totals
    and the others zeros, so that adding on and reducing again stays right."""
    if not sums or not dist.is_initialized():
        return dict(sums)
    total = torch.stack(list(sums.values()))
    dist.all_reduce(total)
    if dist.get_rank() != 0:
        total.zero_()
    return dict(zip(sums, total, strict=True))


def any_process(flag: bool, processes: Processes) -> bool:
    """Whether the flag is up in any process."""
    if processes.num == 1:
        return flag
    value = torch.tensor(float(flag), device=processes.device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value.item())


def gather_rows(column: Tensor) -> NDArray[np.float64]:
    """Joins per-sample numbers, tensor [share], of all processes in the order of their ranks."""
    column = column.detach().double().contiguous()
    if dist.is_initialized() and dist.get_world_size() > 1:
        parts = [torch.empty_like(column) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, column)
        column = torch.cat(parts)
    return column.cpu().numpy()
