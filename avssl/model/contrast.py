"""Contrast of two views: InfoNCE over a batch, and what embeds the views.

Shapes: B pairs, E the length of an embedding, D that of an encoder's vector.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_FAR = -1e4  # the logit of a pair that does not count
_QUICK = 20.0
"""The two numbers that make log odds of a cosine move so many times as fast as weights: at Adam's
steps they would still be on their way when a short run ends."""


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Gives the mean of the values where the second tensor is true; 0 where it never is."""
    return (values * where).sum() / where.sum().clamp_min(1)


def info_nce(
    one: Tensor, other: Tensor, *, groups: tuple[Tensor, Tensor], label: Tensor, temperature: float
) -> Tensor:
    """Gives the mean cross-entropy of finding each frame's partner among all frames of the batch.

    Both views are asked for the other, and both views of the others are negatives (SimCLR's
    NT-Xent); frames of the same group are none, and pairs of label 0 are not asked for.

    Args:
        one: first views, float [B, E] of length 1.
        other: second views, the same.
        groups: int64 [B] of the first views and of the second.
        label: int64 [B], 1 where the two belong together.
        temperature: divides the cosines.
    """
    count = len(one)
    both, group = torch.cat([one, other]), torch.cat(groups)
    partner = torch.arange(2 * count, device=one.device).roll(count)
    counts = group[:, None] != group[None]
    counts[torch.arange(2 * count, device=one.device), partner] = True
    logits = (both @ both.T / temperature).masked_fill(~counts, _FAR)
    each = functional.cross_entropy(logits, partner, reduction="none")
    weight = label.float().repeat(2)
    return (each * weight).sum() / weight.sum().clamp_min(1.0)


class Projections(nn.Module):
    """Vectors to embeddings of length 1: of a picture, and of nine patches in a row.

    Nine patches go through one layer each, side by side through another (PIRL's g).
    """

    def __init__(self, *, width: int, hidden: int, embedding: int, num_patches: int) -> None:
        super().__init__()
        self.picture: nn.Module = nn.Linear(width, embedding)
        if hidden:
            self.picture = nn.Sequential(
                nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, embedding)
            )
        self.patches: nn.Module | None = None
        if num_patches:
            self.patches = nn.Sequential(
                nn.Linear(width, embedding),
                nn.Flatten(),
                nn.Linear(num_patches * embedding, embedding),
            )
        self.calibration = nn.Parameter(torch.tensor([5.0, -1.0]) / _QUICK)

    def forward(self, seen: Tensor, again: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Takes vectors [B, D] and [B, D] or [B, 9, D] to embeddings [B, E], and two numbers."""
        join: Any = self.patches or self.picture
        one = functional.normalize(self.picture(seen), dim=1)
        return one, functional.normalize(join(again), dim=1), _QUICK * self.calibration
