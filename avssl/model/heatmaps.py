"""Where things are, as maps: a head of transposed convolutions, targets, losses and decoding.

Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and Tracking" (ECCV 2018): the encoder's
map is doubled by transposed convolutions (4x4, stride 2, 256 channels, BatchNorm) up to a stride of
4 px, then a 1x1 convolution gives one map per joint.

Shapes: B pictures, K joints, maps h x w cells of `stride` px. A point (x, y) in px (whole numbers
are centres of pixels) lies in cell ((x + 0.5) / stride − 0.5).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError


class HeatmapHead(nn.Module):
    """Map of an encoder → heat maps; see the file's head."""

    def __init__(
        self, *, channels: int, stride: int, num_joints: int, width: int = 256, out_stride: int = 4
    ) -> None:
        """Builds the layers.

        Args:
            channels: of the encoder's map.
            stride: of the encoder's map, px.
            num_joints: maps to make.
            width: channels of the transposed convolutions.
            out_stride: of the heat maps, px; a map that is already as fine stays as it is.

        Raises:
            InputError: the stride is not a power of two.
        """
        super().__init__()
        if stride < 1 or stride & (stride - 1):
            raise InputError(f"stride {stride} of the layer: must be a power of two")
        num_up = max(0, int(math.log2(stride / out_stride)))
        self.stride = stride >> num_up
        parts: list[nn.Module] = []
        for number in range(max(1, num_up)):
            width_in = channels if number == 0 else width
            if num_up:
                conv: nn.Module = nn.ConvTranspose2d(
                    width_in, width, 4, stride=2, padding=1, bias=False
                )
            else:
                conv = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
            parts += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.grow = nn.Sequential(*parts)
        self.last = nn.Conv2d(width, num_joints, 1)
        nn.init.normal_(self.last.weight, std=0.001)
        nn.init.constant_(self.last.bias, 0.0)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        """Takes [B, channels, h, w] to [B, K, H, W]."""
        return self.last(self.grow(maps))


def cells_of(points_px: Tensor, *, stride: int) -> Tensor:
    """Gives points in cells of maps of that stride."""
    return (points_px + 0.5) / stride - 0.5


def pixels_of(points_cells: Tensor, *, stride: int) -> Tensor:
    """Gives points in px."""
    return (points_cells + 0.5) * stride - 0.5


def gaussians(points_cells: Tensor, *, height: int, width: int, sigma: float) -> Tensor:
    """Gives maps [B, K, height, width] with a peak of 1 at each point [B, K, 2] (cells)."""
    rows = torch.arange(height, device=points_cells.device, dtype=points_cells.dtype)
    columns = torch.arange(width, device=points_cells.device, dtype=points_cells.dtype)
    across = (columns - points_cells[..., 0:1]) ** 2
    down = (rows - points_cells[..., 1:2]) ** 2
    return torch.exp(-(across[..., None, :] + down[..., :, None]) / (2 * sigma**2))


def map_loss(maps: Tensor, targets: Tensor, weight: Tensor, *, kind: str) -> Tensor:
    """Gives the loss, tensor [].

    Args:
        maps: [B, K, h, w].
        targets: `gaussians` of the true points.
        weight: [B, K], 0 where a joint is not labelled.
        kind: "mse" (the paper: half the mean squared difference over all cells and joints) or
            "softmax" (cross-entropy between each target, as a distribution, and the map's softmax).
    """
    if kind == "mse":
        each = (maps - targets).square().mean(dim=(2, 3))
        return 0.5 * (each * weight).mean()
    shares = targets.flatten(2)
    shares = shares / shares.sum(dim=2, keepdim=True).clamp_min(1e-9)
    each = -(shares * functional.log_softmax(maps.flatten(2), dim=2)).sum(dim=2)
    return (each * weight).sum() / weight.sum().clamp_min(1)


def peaks(maps: Tensor, *, kind: str) -> tuple[Tensor, Tensor]:
    """Gives the highest places, refined below a cell: points [B, K, 2] (cells), confidence [B, K].

    A parabola through the logarithm of the peak and its two neighbours, along each axis, is exact
    for a Gaussian (the idea of Zhang et al., "Distribution-Aware Coordinate Representation", 2020,
    in one dimension at a time). Confidence: the value at the peak ("mse"), or the share of the
    softmax within two cells of it, both 0 to 1.
    """
    height, width = maps.shape[2:]
    flat = maps.flatten(2)
    best, index = flat.max(dim=2)
    row, column = index // width, index % width
    logs = flat if kind == "softmax" else flat.clamp_min(1e-6).log()

    def shift(at: Tensor, size: int, step: int) -> Tensor:
        inside = (at > 0) & (at < size - 1)
        before = logs.gather(2, (index - step).clamp_min(0)[..., None])[..., 0]
        after = logs.gather(2, (index + step).clamp_max(height * width - 1)[..., None])[..., 0]
        middle = logs.gather(2, index[..., None])[..., 0]
        bend = 2 * middle - before - after
        move = ((after - before) / (2 * bend.clamp_min(1e-6))).clamp(-0.5, 0.5)
        return torch.where(inside & (bend > 1e-6), move, torch.zeros_like(move))

    points = torch.stack([column + shift(column, width, 1), row + shift(row, height, width)], dim=2)
    if kind == "mse":
        return points, best.clamp(0, 1)
    shares = functional.softmax(flat, dim=2).unflatten(2, (height, width))
    near = functional.avg_pool2d(shares, 5, stride=1, padding=2, count_include_pad=True) * 25
    confidence = near.flatten(2).gather(2, index[..., None])[..., 0]
    return points, confidence.clamp(0, 1)
