"""A small residual network for two cores and pictures of 64 to 128 px.

    stem  5x5 conv, stride 2     → 32 px of 64
    res2  block, stride 2        → 16 px
    res3  block, stride 2        →  8 px
    res4  block, stride 2        →  4 px
    res5  block, stride 2        →  2 px, mean over places → vector

GroupNorm by default: a sample's result does not depend on its batch, so two processes equal one.
"""

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 48, 96, 192)
STEM_WIDTH = 16
GROUP_WIDTH = 8


def norm_layer(width: int, *, batch_norm: bool) -> nn.Module:
    """Builds the normalisation: BatchNorm, or GroupNorm with groups of 8 channels."""
    if batch_norm:
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(max(1, width // GROUP_WIDTH), width)


class Block(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, and a pooled 1x1 way around them."""

    def __init__(self, width_in: int, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=2, padding=1, bias=False)
        self.norm1 = norm_layer(width, batch_norm=batch_norm)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm_layer(width, batch_norm=batch_norm)
        self.around = nn.Conv2d(width_in, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Takes [batch, width_in, h, w] to [batch, width, ceil(h / 2), ceil(w / 2)]."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        pooled = functional.avg_pool2d(x, 2, ceil_mode=True)
        return functional.relu(y + self.around(pooled))


class SmallNet(nn.Module):
    """Stem and four blocks; see the file's head."""

    def __init__(self, *, batch_norm: bool = False, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, STEM_WIDTH, 5, stride=2, padding=2, bias=False)
        self.stem_norm = norm_layer(STEM_WIDTH, batch_norm=batch_norm)
        widths = (STEM_WIDTH, *WIDTHS)
        self.blocks = nn.ModuleList(
            Block(width_in, width, batch_norm=batch_norm)
            for width_in, width in zip(widths, WIDTHS, strict=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Takes normalised [batch, channels, h, w] to the vector [batch, 192] and the maps."""
        x = functional.relu(self.stem_norm(self.stem(x)))
        maps = {}
        for stage, block in enumerate(self.blocks, start=2):
            x = block(x)
            maps[f"res{stage}"] = x
        return x.mean(dim=(2, 3)), maps


LAYERS = {f"res{stage}": (width, 2**stage) for stage, width in enumerate(WIDTHS, start=2)}
"""Layer name → (width, stride in px)."""
