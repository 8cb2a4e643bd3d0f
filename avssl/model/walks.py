"""Walks from frame to frame and back, over nodes that look alike (Jabri 2020, papers.md §6.3).

    frame 0      1      2      1      0         there and back again: a palindrome
      i ── A₀ ─▶ ── A₁ ─▶ ── B₁ ─▶ ── B₀ ─▶ i   the walk should end where it began

Shapes: B samples, T frames, N nodes, D numbers each.
"""

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-12
"""Added to probabilities before their logarithm."""


def transitions(
    nodes: Tensor, *, temperature: float, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Gives the chances of every step forwards and backwards in time.

    Args:
        nodes: [B, T, N, D], of any length: they are made unit vectors.
        temperature: cosines are divided by it.
        dropout: chance that an edge is cut, each direction by itself, drawn from torch's generator.

    Returns:
        Float32 [B, T - 1, N, N] twice: from the node in row i of frame t to those of frame t + 1,
        and from those of frame t + 1 to those of frame t. Rows sum to 1.
    """
    unit = functional.normalize(nodes.float(), dim=-1)
    alike = unit[:, :-1] @ unit[:, 1:].transpose(-1, -2) / temperature
    return _chances(alike, dropout), _chances(alike.transpose(-1, -2), dropout)


def _chances(alike: Tensor, dropout: float) -> Tensor:
    if dropout > 0:
        # A row all of whose edges are cut goes anywhere, which is finite and hardly ever happens.
        alike = alike.masked_fill(torch.rand_like(alike) < dropout, -1e4)
    return alike.softmax(dim=-1)


def returns(forward: Tensor, backward: Tensor) -> Tensor:
    """Gives where palindromes end: float32 [B, T - 1, N, N].

    Entry [b, k, i, j] is the chance that a walk from node i of frame 0 over k + 1 steps, and the
    same steps back, ends in node j of frame 0.

    Args:
        forward: see `transitions`.
        backward: see `transitions`.
    """
    ends = []
    there = back = torch.eye(forward.shape[-1], device=forward.device)
    for step in range(forward.shape[1]):
        there = there @ forward[:, step]
        back = backward[:, step] @ back
        ends.append(there @ back)
    return torch.stack(ends, dim=1)


def return_loss(ends: Tensor) -> Tensor:
    """Gives the negative log-likelihood of coming home, [B]: mean over lengths and nodes."""
    home = ends.diagonal(dim1=-2, dim2=-1)
    return -(home + _TINY).log().mean(dim=(1, 2))


def ranking(
    first: Tensor,
    last: Tensor,
    *,
    group: Tensor,
    margin: float,
    num_negatives: int,
    hard_share: float,
) -> tuple[Tensor, Tensor]:
    """Ranks tracked patches against those of other samples (Wang and Gupta 2015, papers.md §6.1).

    D(x, y) = 1 - cos; loss of a pair: the mean over K others z of max(0, D(x, y) - D(x, z) + M).

    Args:
        first: [B, D], first patch of each track.
        last: [B, D], last patch of each track; those of other groups are the negatives.
        group: int64 [B]; tracks of one group may show the same thing, so neither teaches the other.
        margin: M.
        num_negatives: K; fewer where there are no more.
        hard_share: share of K that are those with the highest loss in the batch; the others are the
            next samples of the batch, whose order is random. None is taken twice.

    Returns:
        Losses [B], and the share of all samples of other groups that are farther than the own
        patch [B]; 0 and ½ where all are of one group.
    """
    cosine = (
        functional.normalize(first.float(), dim=1) @ functional.normalize(last.float(), dim=1).T
    )
    num = len(cosine)
    if num < 2:
        return cosine.sum(dim=1) * 0, torch.full_like(cosine[:, 0], 0.5)
    distance = 1 - cosine
    own = distance.diagonal()
    places = torch.arange(num, device=cosine.device)
    others = (places[:, None] + torch.arange(1, num, device=cosine.device)) % num
    counts = group[others] != group[:, None]
    apart = own[:, None] - distance.gather(1, others)  # below 0: ranked right
    cost = functional.relu(apart + margin)
    taken = min(num_negatives, num - 1)
    num_hard = round(hard_share * taken)
    following = counts.int().argsort(dim=1, descending=True, stable=True)[:, : taken - num_hard]
    left = counts.scatter(1, following, False)
    hard = cost.masked_fill(~left, -1).topk(num_hard, dim=1).indices
    chosen = torch.cat([following, hard], dim=1)
    weight = counts.gather(1, chosen).float()
    mean = (cost.gather(1, chosen) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
    right = ((apart < 0).float() + 0.5 * (apart == 0).float()) * counts
    share = right.sum(dim=1) / counts.sum(dim=1).clamp(min=1)
    return mean, torch.where(counts.any(dim=1), share, 0.5).detach()
