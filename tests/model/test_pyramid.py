"""Which layers a head on maps reads, that it reads them all, and codes of colourings."""

import numpy as np
import pytest
import torch

from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.model.color_heads import LatentHead, code_nats
from avssl.model.pyramid import Pyramid, used_layers
from avssl.task import widths_of


def test_layers_by_stride_and_name() -> None:
    widths = widths_of({"vision": build_encoder("small", seed=0)})
    every = {"finest_stride": 4, "laterals": True}
    assert used_layers(widths, "", **every) == ["res2", "res3", "res4", "res5"]
    assert used_layers(widths, "res4", **every) == ["res2", "res3", "res4"]
    assert used_layers(widths, "", finest_stride=8, laterals=True) == ["res3", "res4", "res5"]
    assert used_layers(widths, "", finest_stride=4, laterals=False) == ["res5"]
    with pytest.raises(InputError, match="'res9': the vision encoder has res2, res3"):
        used_layers(widths, "res9", **every)


def test_every_map_matters_and_sizes_need_not_be_doubles() -> None:
    torch.manual_seed(0)
    head = Pyramid((3, 5, 7), width=8)
    maps = [torch.randn(2, 3, 11, 11), torch.randn(2, 5, 5, 5), torch.randn(2, 7, 3, 3)]
    for one in maps:
        one.requires_grad_()
    found = head(maps, (14, 14))
    assert found.shape == (2, 8, 14, 14)
    found.square().sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in maps)


def test_the_price_of_a_code_is_the_divergence_from_the_normal_one() -> None:
    mean, log_variance = torch.tensor([[0.3, -1.0]]), torch.tensor([[-0.5, 0.7]])
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    unit = torch.distributions.Normal(torch.zeros(1, 2), torch.ones(1, 2))
    expected = torch.distributions.kl_divergence(own, unit).sum(dim=1)
    assert torch.allclose(code_nats(mean, log_variance), expected)


def test_each_code_is_drawn_by_itself() -> None:
    torch.manual_seed(0)
    head = LatentHead((4,), width=8, latent=3)
    base, codes = torch.randn(2, 8, 5, 5), torch.randn(2, 4, 3)
    drawn = head.colors(base, codes)
    assert drawn.shape == (2, 4, 2, 5, 5)
    for k in range(4):
        one = head.colors(base, codes[:, k : k + 1])
        assert np.allclose(one[:, 0].detach(), drawn[:, k].detach(), atol=1e-4)
