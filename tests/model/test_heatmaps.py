"""Heat maps: a point goes into a map and comes out again; losses against closed forms."""

import math

import pytest
import torch
from torch import nn

from avssl.errors import InputError
from avssl.model.heatmaps import HeatmapHead, cells_of, gaussians, map_loss, peaks, pixels_of


@pytest.mark.parametrize("kind", ["mse", "softmax"])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_point_comes_back_to_a_hundredth_of_a_pixel(kind, stride) -> None:
    """A parabola through the logarithm of a Gaussian is exact."""
    points = torch.tensor([[[20.3, 33.8], [40.0, 12.49], [31.5, 31.5]]])
    maps = gaussians(
        cells_of(points, stride=stride), height=64 // stride, width=64 // stride, sigma=1.5
    )
    if kind == "softmax":
        maps = maps.clamp_min(1e-20).log() + 3.0  # logits: any constant may be added
    cells, confidence = peaks(maps, kind=kind)
    torch.testing.assert_close(pixels_of(cells, stride=stride), points, atol=0.02, rtol=0)
    assert bool((confidence > 0.5).all())
    assert bool((confidence <= 1).all())


def test_a_peak_at_the_rim_stays_in_the_map() -> None:
    maps = torch.zeros(1, 2, 8, 8)
    maps[0, 0, 0, 7] = 1.0
    maps[0, 1, 7, 3] = 1.0
    cells, _ = peaks(maps, kind="mse")
    assert cells[0, 0].tolist() == [7.0, 0.0]
    assert cells[0, 1, 1] == 7.0


def test_a_flat_map_is_unsure() -> None:
    _, confidence = peaks(torch.zeros(1, 1, 16, 16), kind="softmax")
    assert float(confidence) < 0.11


def test_losses_in_closed_form() -> None:
    points = torch.tensor([[[3.0, 2.0], [1.0, 1.0]]])
    targets = gaussians(points, height=6, width=7, sigma=1.0)
    assert float(targets[0, 0, 2, 3]) == 1.0
    assert float(targets[0, 0, 2, 5]) == pytest.approx(math.exp(-2.0))
    weight = torch.tensor([[1.0, 0.0]])
    nothing = torch.zeros(1, 2, 6, 7)
    by_hand = 0.5 * float((targets[0, 0] ** 2).mean()) / 2  # two joints, one of weight 0
    assert float(map_loss(nothing, targets, weight, kind="mse")) == pytest.approx(by_hand)
    # all places equally likely: log of their number
    assert float(map_loss(nothing, targets, weight, kind="softmax")) == pytest.approx(math.log(42))
    assert float(map_loss(nothing, targets, 0 * weight, kind="softmax")) == 0.0


@pytest.mark.parametrize(("stride", "num_up"), [(32, 3), (8, 1), (4, 0), (2, 0)])
def test_the_head_doubles_up_to_a_stride_of_four(stride, num_up) -> None:
    head = HeatmapHead(channels=5, stride=stride, num_joints=3, width=8)
    assert sum(isinstance(part, nn.ConvTranspose2d) for part in head.grow) == num_up
    side = 64 // stride
    out = head(torch.zeros(2, 5, side, side))
    assert out.shape == (2, 3, side * 2**num_up, side * 2**num_up)
    assert head.stride == stride // 2**num_up


def test_an_odd_stride_is_refused() -> None:
    with pytest.raises(InputError, match="power of two"):
        HeatmapHead(channels=5, stride=14, num_joints=3)
