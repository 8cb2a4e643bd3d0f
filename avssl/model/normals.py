"""Unit normals for every pixel from several maps of an encoder, and angles between directions.

    maps ── feature pyramid (`avssl.model.pyramid`) ── 1×1 ── enlarged ── length 1 → [B, 3, H, W]

Shapes: B pictures of H x W px; directions stand along axis 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.model.pyramid import Pyramid


class NormalHead(nn.Module):
    """Maps → unit normals; see the file's head."""

    def __init__(self, channels: Sequence[int], *, width: int, stride: int) -> None:
        """Builds the layers.

        Args:
            channels: of each map, the finest first.
            width: channels of the pyramid.
            stride: px from one place of what the pyramid gives to the next.
        """
        super().__init__()
        self.stride = stride
        self.pyramid = Pyramid(channels, width=width)
        self.last = nn.Conv2d(width, 3, 1)
        nn.init.normal_(self.last.weight, std=0.01)
        with torch.no_grad():  # at first everything faces the camera
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
            self.last.bias[2] = -1.0  # type: ignore[index]

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Gives [B, 3, *size] of length 1 from maps [B, channels, h, w], the finest first."""
        coarse = tuple(-(-side // self.stride) for side in size)
        found = self.last(self.pyramid(maps, (coarse[0], coarse[1]))).float()
        found = functional.interpolate(found, size=size, mode="bilinear", align_corners=False)
        return functional.normalize(found, dim=1, eps=1e-6)


def decoded(coded: Tensor) -> tuple[Tensor, Tensor]:
    """Gives unit normals float [B, 3, H, W] and where they are known, bool [B, H, W].

    Args:
        coded: uint8 [B, 3, H, W], see `avssl.labels.surfaces`.
    """
    known = (coded != 0).any(dim=1)
    values = functional.normalize((coded.float() - 128) / 127, dim=1, eps=1e-6)
    return values * known[:, None], known


def angles(one: Tensor, other: Tensor) -> Tensor:
    """Gives the angles between unit vectors along axis 1, radians.

    2 · atan2(|a − b|, |a + b|): exact for small angles too, where the arc cosine is not; its
    gradient stays bounded at 0 and at a half turn.
    """
    apart = (one - other).square().sum(dim=1).clamp_min(1e-12).sqrt()
    along = (one + other).square().sum(dim=1).clamp_min(1e-12).sqrt()
    return 2 * torch.atan2(apart, along)


def normals_loss(answer: Tensor, truth: Tensor, known: Tensor, *, kind: str) -> Tensor:
    """Gives the mean over known pixels, tensor [].

    Args:
        answer: unit vectors [B, 3, H, W].
        truth: unit vectors.
        known: bool [B, H, W].
        kind: "cosine" (1 − cosine) or "angle" (radians).
    """
    each = angles(answer, truth) if kind == "angle" else 1 - (answer * truth).sum(dim=1)
    return (each * known).sum() / known.sum().clamp_min(1)
