"""Rows of all processes, with gradients, for losses that compare across the whole batch."""

import torch
import torch.distributed as dist
from torch import Tensor


def all_rows(values: Tensor) -> Tensor:
    """Gives the rows of all processes, in the order of the ranks; alone, the values themselves.

    Each process then computes the same loss of the whole batch. What flows back sums over
    processes and data-parallel training takes the mean, so the gradient is that of one process
    with the whole batch.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    if not values.requires_grad:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(values.contiguous())))
