"""Context encoders: from an encoder's maps back to a picture, and what judges it.

Pathak and others, CVPR 2016 (papers.md §5.1). Between the maps and the drawing all places must
meet, or a hole would be filled from its rim alone:

    "full"          all numbers → `hidden` → the first maps of the drawing (the released code: 4000)
    "channel-wise"  places meet within each channel, then channels within each place (the AlexNet
                    variant: m n⁴ weights instead of m² n⁴, for m channels of n x n places)

Shapes: B pictures, maps [B, channels, h, w] → drawings [B, 3, side, side].
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_FIRST_PX = 4
_LEAST_WIDTH = 16


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:  # type: ignore[override]
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -ctx.scale * gradient, None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """Gives `x` as it is; on the way back the gradient is multiplied by −scale.

    So one step of one optimiser makes a judge better and what it judges harder to tell (Ganin and
    Lempitsky, ICML 2015).
    """
    return _Reversed.apply(x, scale)


class ChannelWise(nn.Module):
    """Full connection of all places within each channel, then a 1x1 convolution."""

    def __init__(self, *, channels: int, places: int, width: int) -> None:
        """Builds the layers.

        Args:
            channels: of the maps.
            places: side of the maps.
            width: channels of what comes out.
        """
        super().__init__()
        num = places**2
        self.weight = nn.Parameter(torch.empty(channels, num, num))
        self.bias = nn.Parameter(torch.zeros(channels, num))
        nn.init.normal_(self.weight, std=math.sqrt(2 / num))
        self.across = nn.Conv2d(channels, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Takes [B, channels, places, places] to [B, width, places, places]."""
        flat = torch.einsum("bcp,cpq->bcq", maps.flatten(2), self.weight) + self.bias
        return functional.relu(self.across(functional.relu(flat.unflatten(2, maps.shape[2:]))))


class ContextHead(nn.Module):
    """Bottleneck and drawing half, and the judge where the adversarial term is on."""

    def __init__(
        self,
        *,
        channels: int,
        places: int,
        bottleneck: str,
        hidden: int,
        width: int,
        side_px: int,
        judged: bool,
    ) -> None:
        """Builds the layers.

        Args:
            channels: of the encoder's maps.
            places: side to which larger maps are pooled.
            bottleneck: "full" or "channel-wise".
            hidden: numbers of the bottleneck "full".
            width: channels of the first maps of the drawing; halved at each doubling of the side.
            side_px: of the drawing.
            judged: with a judge.
        """
        super().__init__()
        self.places = places
        start_px = places if bottleneck == "channel-wise" else _FIRST_PX
        if bottleneck == "channel-wise":
            self.join: nn.Module = ChannelWise(channels=channels, places=places, width=width)
        else:
            self.join = nn.Sequential(
                nn.Flatten(),
                nn.Linear(channels * places**2, hidden),
                nn.ReLU(),
                nn.Linear(hidden, width * _FIRST_PX**2),
                nn.ReLU(),
                nn.Unflatten(1, (width, _FIRST_PX, _FIRST_PX)),
            )
        parts: list[nn.Module] = []
        while 3 * start_px <= 2 * side_px:  # the rest is interpolated
            narrower = max(_LEAST_WIDTH, width // 2)
            parts += [
                nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1, bias=False),
                nn.GroupNorm(max(1, narrower // 8), narrower),
                nn.ReLU(),
            ]
            start_px, width = 2 * start_px, narrower
        self.grow = nn.Sequential(*parts)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.side_px = side_px
        self.judge = Judge(side_px) if judged else None

    def forward(self, maps: Tensor) -> Tensor:
        """Gives the drawing [B, 3, side_px, side_px], 0 for the mean of usual pictures."""
        if maps.shape[-1] != self.places or maps.shape[-2] != self.places:
            maps = functional.adaptive_avg_pool2d(maps, self.places)
        drawn = self.last(self.grow(self.join(maps)))
        size = (self.side_px, self.side_px)
        if tuple(drawn.shape[-2:]) != size:
            drawn = functional.interpolate(drawn, size=size, mode="bilinear", align_corners=False)
        return drawn


class Judge(nn.Module):
    """Tells true pictures from drawn ones: strided convolutions down to one number.

    It sees the drawing alone, not what surrounds it: one that does finds the seam (papers.md §5.1).
    No normalisation over the batch: true and drawn pictures come in batches of their own.
    """

    def __init__(self, side_px: int, *, width: int = 32) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        channels = 3
        while side_px > _FIRST_PX:
            parts += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            channels, width, side_px = width, min(2 * width, 256), side_px // 2
        self.net = nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * side_px**2, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Takes [B, 3, side_px, side_px] to the log odds of "true", [B]."""
        return self.net(pictures)[:, 0]


def harmonic_fill(colors: Tensor, known: Tensor, *, num_steps: int = 24) -> Tensor:
    """Fills what is not known smoothly from its rim: nearly the harmonic function.

    Each unknown place is the mean of its four neighbours; found from coarse to fine.

    Args:
        colors: [B, C, h, w]; of no meaning where not known.
        known: bool [B, 1, h, w].
        num_steps: of relaxation, at every size.

    Returns:
        [B, C, h, w]; known places as they were. Where nothing at all is known: 0.
    """
    weight = known.to(colors.dtype)
    if min(colors.shape[-2:]) > 1 and not bool(known.all()):
        share = functional.avg_pool2d(weight, 2, ceil_mode=True)
        coarse = functional.avg_pool2d(colors * weight, 2, ceil_mode=True) / share.clamp_min(1e-6)
        coarse = harmonic_fill(coarse, share > 0, num_steps=num_steps)
        size = (colors.shape[-2], colors.shape[-1])
        guess = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    else:
        guess = torch.zeros_like(colors)
    filled = torch.where(known, colors, guess)
    if bool(known.all()):
        return filled
    for _ in range(num_steps):
        wide = functional.pad(filled, (1, 1, 1, 1), mode="replicate")
        mean = wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1] + wide[..., 1:-1, :-2]
        filled = torch.where(known, colors, (mean + wide[..., 1:-1, 2:]) / 4)
    return filled
