"""CaffeNet conv1–fc7 at 227 px: the trunk of Shuffle and Learn (reference notes, papers.md §1.2).

    conv1  96 x 11x11 / 4            55 px
    pool, conv2 256 x 5x5, 2 groups  27 px
    pool, conv3 384 x 3x3            13 px
    conv4 384 x 3x3, 2 groups        13 px
    conv5 256 x 3x3, 2 groups        13 px
    pool5 6 px, fc6 4096, fc7 4096

Without `batch_norm` it is the published net: local response normalisation after two pools,
dropout in fc6 and fc7, Gaussian weights. With it (what the paper pre-trains with), BatchNorm stands
before every ReLU; LRN and dropout are left out then: our choice, the notes do not say.

The papers on patches made it for theirs (papers.md §5.1); fc6 then sees what is left of them:

    relative position  96 px, conv1 / 4   22, 10, 4, pool5 1 px   weights of fc6: 256 x 4096
    jigsaw             64 px, conv1 / 2   27, 13, 6, pool5 2 px   4 · 256 x 4096

Pictures of other sizes are brought to what fc6 takes by maxima over areas: our choice, so that maps
can be had of any.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError

SIZES = {"caffenet": (227, 4), "caffenet-96": (96, 4), "caffenet-64": (64, 2)}
"""Name → (side of the pictures in px, stride of conv1)."""


def layers_of(size_px: int, stride: int) -> dict[str, tuple[int, int]]:
    """Gives layer name → (width, stride in px)."""
    return {
        "conv1": (96, stride),
        "conv2": (256, 2 * stride),
        "conv3": (384, 4 * stride),
        "conv4": (384, 4 * stride),
        "conv5": (256, 4 * stride),
        "fc7": (4096, size_px),
    }


def _pooled_px(size_px: int, stride: int) -> int:
    """Gives the side of pool5: conv1 is not padded, and each pool is 3 wide with stride 2."""
    side = (size_px - 11) // stride + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def _stage(layer: nn.Module, width: int, *, batch_norm: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(width) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(width)
    return nn.Sequential(layer, norm if batch_norm else nn.Identity(), nn.ReLU())


class CaffeNet(nn.Module):
    """The trunk; see the file's head."""

    def __init__(self, *, size_px: int = 227, stride: int = 4, batch_norm: bool = False) -> None:
        super().__init__()
        lrn = nn.Identity if batch_norm else lambda: nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv1 = _stage(nn.Conv2d(3, 96, 11, stride=stride), 96, batch_norm=batch_norm)
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, 2), lrn())
        self.conv2 = _stage(nn.Conv2d(96, 256, 5, padding=2, groups=2), 256, batch_norm=batch_norm)
        self.pool2 = nn.Sequential(nn.MaxPool2d(3, 2), lrn())
        self.conv3 = _stage(nn.Conv2d(256, 384, 3, padding=1), 384, batch_norm=batch_norm)
        self.conv4 = _stage(nn.Conv2d(384, 384, 3, padding=1, groups=2), 384, batch_norm=batch_norm)
        self.conv5 = _stage(nn.Conv2d(384, 256, 3, padding=1, groups=2), 256, batch_norm=batch_norm)
        self.pool5 = nn.MaxPool2d(3, 2)
        self.pooled_px = _pooled_px(size_px, stride)
        self.least_px = 11 + 14 * stride  # 15, 7, 3, 1 px after conv1 and the three pools
        self.fc6 = _stage(nn.Linear(256 * self.pooled_px**2, 4096), 4096, batch_norm=batch_norm)
        self.fc7 = _stage(nn.Linear(4096, 4096), 4096, batch_norm=batch_norm)
        self.dropout = nn.Identity() if batch_norm else nn.Dropout(0.5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spread = 0.01 if isinstance(module, nn.Conv2d) else 0.005
                nn.init.normal_(module.weight, std=spread)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Takes normalised [batch, 3, size, size] to fc7 [batch, 4096] and the maps by name."""
        if min(x.shape[-2:]) < self.least_px:
            raise InputError(
                f"CaffeNet: pictures of {x.shape[-1]} x {x.shape[-2]} px, of which its three pools "
                f"leave nothing; give {self.least_px} px or more, or another network"
            )
        conv1 = self.conv1(x)
        conv2 = self.conv2(self.pool1(conv1))
        conv3 = self.conv3(self.pool2(conv2))
        conv4 = self.conv4(conv3)
        conv5 = self.conv5(conv4)
        pool5 = self.pool5(conv5)
        if pool5.shape[-2:] != (self.pooled_px, self.pooled_px):
            pool5 = functional.adaptive_max_pool2d(pool5, self.pooled_px)
        fc6 = self.dropout(self.fc6(torch.flatten(pool5, start_dim=1)))
        fc7 = self.dropout(self.fc7(fc6))
        maps = {"conv1": conv1, "conv2": conv2, "conv3": conv3, "conv4": conv4, "conv5": conv5}
        return fc7, {**maps, "fc7": fc7[:, :, None, None]}
