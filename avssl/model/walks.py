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
    first: Tensor, last: Tensor, *, margin: float, num_negatives: int, hard_share: float
) -> tuple[Tensor, Tensor]:
    """Ranks tracked patches against those of other samples (Wang and Gupta 2015, papers.md §6.1).

    D(x, y) = 1 - cos; loss of a pair: the mean over K others z of max(0, D(x, y) - D(x, z) + M).

    Args:
        first: [B, D], first patch of each track.
        last: [B, D], last patch of each track; the others' are the negatives.
        margin: M.
        num_negatives: K, at most B - 1 are taken.
        hard_share: share of K that are those with the highest loss in the batch; the others are the
            next samples of the batch, whose order is random.

    Returns:
        Losses [B], and the share of all other samples that are farther than the own patch [B].
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
    apart = own[:, None] - distance.gather(1, others)  # below 0: ranked right
    cost = functional.relu(apart + margin)
    taken = min(num_negatives, num - 1)
    num_hard = round(hard_share * taken)
    parts = [cost[:, : taken - num_hard]]
    if num_hard:
        parts.append(cost.topk(num_hard, dim=1).values)
    right = (apart < 0).float() + 0.5 * (apart == 0).float()
    return torch.cat(parts, dim=1).mean(dim=1), right.mean(dim=1).detach()
