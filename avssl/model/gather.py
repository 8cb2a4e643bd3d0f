"""Rows of all processes, with gradients, for losses that compare across the whole batch."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _AllRows(torch.autograd.Function):
    """Gathers forwards, sums and takes the own part backwards.

    torch's own `all_gather` with gradients reads gradients that are not contiguous as if they were
    (torch 2.11, gloo): what comes back is wrong, without an error.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.num_rows = len(values)
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.num_rows
        return total[first : first + ctx.num_rows]


def all_rows(values: Tensor) -> Tensor:
    """Gives the rows of all processes, in the order of the ranks; alone, the values themselves.

    Each process then computes the same loss of the whole batch. What flows back sums over
    processes and data-parallel training takes the mean, so the gradient is that of one process
    with the whole batch. All processes must have as many rows.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    return _AllRows.apply(values.contiguous())  # type: ignore[return-value]


def own_rows(values: Tensor, num: int) -> Tensor:
    """Gives the `num` rows that are this process's, of those that `all_rows` gathered."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    return values[dist.get_rank() * num : (dist.get_rank() + 1) * num]
