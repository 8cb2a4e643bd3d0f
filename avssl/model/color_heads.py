"""What gives colours to a grey picture: classes place by place, or drawings from a latent code.

The second is a small conditional variational autoencoder (Kingma and Welling, ICLR 2014; for
colours Deshpande and others, CVPR 2017): what the grey picture leaves open goes into a code z.

    training    L, ab → recognition → mean, log variance → z ─┐
    afterwards  z from N(0, 1): each z is one colouring ──────┴→ maps of the grey picture → ab

Shapes: B pictures, answers h x w; ab [B, 2, h, w], D drawings a picture, codes of Z numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avssl.model.lab import NUM_BINS
from avssl.model.pyramid import Pyramid

USUAL_LIGHT, USUAL_AB = 50.0, 20.0
"""About the deviations of photographs' L and ab: networks get and give numbers of about 1."""


class BinHead(nn.Module):
    """Maps → logits of the 313 bins of colour at every place."""

    def __init__(self, channels: Sequence[int], *, width: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, width=width)
        self.last = nn.Conv2d(width, NUM_BINS, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Gives [B, 313, *size]."""
        return self.last(self.pyramid(maps, size))


class LatentHead(nn.Module):
    """Maps and a code → ab; and, for training, the code of a true colouring."""

    def __init__(self, channels: Sequence[int], *, width: int, latent: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, width=width)
        # Sees the answer: strided, so that it tells of regions, not of single places.
        self.recognise = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, 2 * latent),
        )
        self.film = nn.Linear(latent, 2 * width)
        self.draw = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.last = nn.Conv2d(width, 2, 1)

    def code(self, light: Tensor, ab: Tensor) -> tuple[Tensor, Tensor]:
        """Gives mean and log variance [B, Z] of the code of a true colouring.

        Args:
            light: L, [B, 1, h, w].
            ab: [B, 2, h, w].
        """
        seen = torch.cat([light / USUAL_LIGHT - 1, ab / USUAL_AB], dim=1)
        mean, log_variance = self.recognise(seen).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)

    def colors(self, base: Tensor, codes: Tensor) -> Tensor:
        """Gives ab [B, D, 2, h, w] of base maps [B, width, h, w] and codes [B, D, Z]."""
        scale, shift = self.film(codes)[..., None, None].chunk(2, dim=2)
        maps = (base[:, None] * (1 + scale) + shift).flatten(end_dim=1)
        return USUAL_AB * self.last(self.draw(maps)).unflatten(0, codes.shape[:2]).float()


def code_nats(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Gives the divergence of N(mean, variance) from N(0, 1) in nats, [B], summed over Z."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
