"""A convolutional head on several maps of an encoder, the coarse ones carried into the fine ones.

    res5  192 ×  2 ×  2 ──1×1──→ width ─┐
    res4   96 ×  4 ×  4 ──1×1──→   +  ←─┘ enlarged ─ 3×3 ─┐
    res3   48 ×  8 ×  8 ──1×1──→   +  ←────────────────────┘ …

A feature pyramid (Lin and others, CVPR 2017); that colour is told by all layers of a network at
once is the point of hypercolumns (Larsson and others, ECCV 2016).

Shapes: B pictures; maps [B, channels, h, w], the finest one first.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError


def used_layers(
    widths: Mapping[str, int], last: str, *, finest_stride: int, laterals: bool
) -> list[str]:
    """Names the layers that a head on layer `last` reads, the finest first.

    Args:
        widths: see `avssl.task.widths_of`.
        last: the coarsest layer that is read; "" is the encoder's last.
        finest_stride: layers finer than this are left out (px).
        laterals: off: `last` alone.

    Raises:
        InputError: the encoder has no such layer.
    """
    prefix, suffix = "vision.", ".channels"
    names = [
        key.removeprefix(prefix).removesuffix(suffix)
        for key in widths
        if key.startswith(prefix) and key.endswith(suffix)
    ]
    last = last or names[-1]
    if last not in names:
        raise InputError(f"layer {last!r}: the vision encoder has {', '.join(names)}")
    before = names[: names.index(last)] if laterals else []
    return [name for name in before if widths[f"vision.{name}.stride"] >= finest_stride] + [last]


class Pyramid(nn.Module):
    """Maps → one map of `width` channels with as many places as asked for."""

    def __init__(self, channels: Sequence[int], *, width: int) -> None:
        """Builds the layers.

        Args:
            channels: of each map, the finest first.
            width: channels of what comes out.
        """
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(own, width, 1) for own in channels)
        self.mix = nn.ModuleList(_mix(width) for _ in channels)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Gives [B, width, *size] of maps [B, channels, h, w], the finest first."""
        carried: Tensor | None = None
        for number in reversed(range(len(maps))):
            here = self.across[number](maps[number])
            if carried is not None:
                here = here + _enlarged(carried, (here.shape[-2], here.shape[-1]))
            if number == 0:
                here = _enlarged(here, size)
            carried = self.mix[number](here)
        assert carried is not None
        return carried


def _mix(width: int) -> nn.Module:
    groups = max(1, width // 8)
    return nn.Sequential(
        nn.GroupNorm(groups, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
    )


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[-2:]) == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
