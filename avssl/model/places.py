"""The join of several pictures place by place: what moved where, before anything is pooled.

A vector of a whole picture has lost where things are: that a ball is higher in one picture than in
another shows in it hardly at all. So maps [batch, num_pictures, channels, h, w] are compared at
each place, and layers over neighbouring places see which way the change went.
"""

import itertools

import torch
from torch import Tensor, nn

_TINY = 1e-6


class PlacesFusion(nn.Module):
    """Differences of every pair of maps with signs and squared, two 3 x 3 layers, mean and maximum.

    Differences are in proportion to the sample's root mean square, as in `OrderedFusion`.
    """

    def __init__(
        self, *, channels: int, num_pictures: int, num_outputs: int, embedding: int, hidden: int
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, embedding, 1)
        pairs = torch.tensor(list(itertools.combinations(range(num_pictures), 2)))
        self.register_buffer("pairs", pairs, persistent=False)
        self.pairs: Tensor
        self.compare = nn.Sequential(
            nn.Conv2d(embedding * (2 * len(pairs) + 1), hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
        )
        self.last = nn.Linear(2 * hidden, num_outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Gives logits [batch, num_outputs] of maps [batch, num_pictures, channels, h, w]."""
        leading = maps.shape[:2]
        embedded = self.embed(maps.flatten(end_dim=1)).unflatten(0, leading)
        difference = embedded[:, self.pairs[:, 1]] - embedded[:, self.pairs[:, 0]]
        size = difference.square().mean(dim=(1, 2, 3, 4), keepdim=True)
        signed = (difference / torch.sqrt(size + _TINY**2)).flatten(1, 2)
        seen = self.compare(torch.cat([signed, signed.square(), embedded.mean(dim=1)], dim=1))
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1)
        return self.last(pooled)
