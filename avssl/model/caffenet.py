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
"""

import torch
from torch import Tensor, nn

INPUT_SIZE_PX = 227
LAYERS = {
    "conv1": (96, 4),
    "conv2": (256, 8),
    "conv3": (384, 16),
    "conv4": (384, 16),
    "conv5": (256, 16),
    "fc7": (4096, INPUT_SIZE_PX),
}
"""Layer name → (width, stride in px)."""


def _stage(layer: nn.Module, width: int, *, batch_norm: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(width) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(width)
    return nn.Sequential(layer, norm if batch_norm else nn.Identity(), nn.ReLU())


class CaffeNet(nn.Module):
    """The trunk; see the file's head."""

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        lrn = nn.Identity if batch_norm else lambda: nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv1 = _stage(nn.Conv2d(3, 96, 11, stride=4), 96, batch_norm=batch_norm)
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, 2), lrn())
        self.conv2 = _stage(nn.Conv2d(96, 256, 5, padding=2, groups=2), 256, batch_norm=batch_norm)
        self.pool2 = nn.Sequential(nn.MaxPool2d(3, 2), lrn())
        self.conv3 = _stage(nn.Conv2d(256, 384, 3, padding=1), 384, batch_norm=batch_norm)
        self.conv4 = _stage(nn.Conv2d(384, 384, 3, padding=1, groups=2), 384, batch_norm=batch_norm)
        self.conv5 = _stage(nn.Conv2d(384, 256, 3, padding=1, groups=2), 256, batch_norm=batch_norm)
        self.pool5 = nn.MaxPool2d(3, 2)
        self.fc6 = _stage(nn.Linear(256 * 6 * 6, 4096), 4096, batch_norm=batch_norm)
        self.fc7 = _stage(nn.Linear(4096, 4096), 4096, batch_norm=batch_norm)
        self.dropout = nn.Identity() if batch_norm else nn.Dropout(0.5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spread = 0.01 if isinstance(module, nn.Conv2d) else 0.005
                nn.init.normal_(module.weight, std=spread)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Takes normalised [batch, 3, 227, 227] to fc7 [batch, 4096] and the maps by name."""
        conv1 = self.conv1(x)
        conv2 = self.conv2(self.pool1(conv1))
        conv3 = self.conv3(self.pool2(conv2))
        conv4 = self.conv4(conv3)
        conv5 = self.conv5(conv4)
        fc6 = self.dropout(self.fc6(torch.flatten(self.pool5(conv5), start_dim=1)))
        fc7 = self.dropout(self.fc7(fc6))
        maps = {"conv1": conv1, "conv2": conv2, "conv3": conv3, "conv4": conv4, "conv5": conv5}
        return fc7, {**maps, "fc7": fc7[:, :, None, None]}
