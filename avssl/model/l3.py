"""The tower of L3-Net and AVE-Net, for pictures (3 channels) and spectrograms (1 channel).

Arandjelović and Zisserman, ICCV 2017 and ECCV 2018; layers as papers.md §2.1 gives them.

    conv1_1, conv1_2   64 x 3x3     stride 2 in conv1_1 for AVE-Net, 1 for L3-Net
    pool, conv2_1, _2  128          every convolution with BatchNorm and ReLU
    pool, conv3_1, _2  256
    pool, conv4_1, _2  512          28 x 28 of 224 px (L3-Net), 14 x 14 (AVE-Net)
    highest value over all places → vector [batch, 512]
"""

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 512)
INPUT_SIZE_PX = 224


def layers_of(first_stride: int) -> dict[str, tuple[int, int]]:
    """Gives layer name → (width, stride in px)."""
    return {f"conv{k + 1}": (width, first_stride * 2**k) for k, width in enumerate(WIDTHS)}


class L3Net(nn.Module):
    """Eight convolutions; see the file's head."""

    def __init__(self, *, channels: int = 3, first_stride: int = 2) -> None:
        super().__init__()
        blocks = []
        for width_in, width in zip((channels, *WIDTHS), WIDTHS, strict=False):
            stride = first_stride if not blocks else 1
            blocks.append(
                nn.Sequential(
                    nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                )
            )
        self.blocks = nn.ModuleList(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Takes normalised [batch, channels, h, w] to the vector [batch, 512] and the maps."""
        maps = {}
        for number, block in enumerate(self.blocks, start=1):
            x = block(x if number == 1 else functional.max_pool2d(x, 2))
            maps[f"conv{number}"] = x
        return x.amax(dim=(2, 3)), maps
