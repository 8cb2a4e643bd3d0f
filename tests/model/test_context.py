"""Context encoders: channel-wise layers and filling by brute force, reversed gradients by hand."""

import numpy as np
import pytest
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from avssl.model.context import ChannelWise, ContextHead, harmonic_fill, reverse_gradient
from avssl.transform.holes import centre_hole, draw_regions


def test_a_channel_wise_layer_joins_places_of_one_channel_only() -> None:
    torch.manual_seed(0)
    layer = ChannelWise(channels=3, places=2, width=5)
    maps = torch.randn(2, 3, 2, 2)
    flat = maps.reshape(2, 3, 4).detach().numpy()
    joined = np.zeros((2, 3, 4))
    for c in range(3):
        joined[:, c] = flat[:, c] @ layer.weight[c].detach().numpy()
    joined = np.maximum(joined, 0).reshape(2, 3, 2, 2)
    across = layer.across.weight[:, :, 0, 0].detach().numpy()
    bias = layer.across.bias.detach().numpy()  # type: ignore[union-attr]
    expected = np.einsum("oc,bchw->bohw", across, joined) + bias[:, None, None]
    assert np.allclose(layer(maps).detach().numpy(), np.maximum(expected, 0), atol=1e-5)
    # m n⁴ weights and m n² biases, m channels of n x n places.
    assert layer.weight.numel() == 3 * 2**4


def test_a_reversed_gradient() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-0.75, -0.75]


@pytest.mark.parametrize("bottleneck", ["full", "channel-wise"])
@pytest.mark.parametrize("side_px", [16, 32, 57])
def test_drawings_have_the_side_asked_for(bottleneck: str, side_px: int) -> None:
    kept = {"channels": 6, "hidden": 10, "width": 32, "judged": True}
    head = ContextHead(places=3, bottleneck=bottleneck, side_px=side_px, **kept)
    drawn = head(torch.randn(2, 6, 4, 4))
    assert drawn.shape == (2, 3, side_px, side_px)
    assert head.judge is not None and head.judge(drawn).shape == (2,)


def exact_fill(colors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solves for: unknown = mean of the four neighbours, an edge standing in for what is beyond."""
    height, width = known.shape
    matrix, right = lil_matrix((known.size, known.size)), np.zeros(known.size)
    for y in range(height):
        for x in range(width):
            k = y * width + x
            matrix[k, k] += 1
            if known[y, x]:
                right[k] = colors[y, x]
                continue
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                ny, nx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                matrix[k, ny * width + nx] -= 0.25
    return spsolve(matrix.tocsr(), right).reshape(height, width)


@pytest.mark.parametrize("kind", ["centre", "regions"])
def test_filling_is_harmonic(kind: str) -> None:
    rng = np.random.default_rng(0)
    hole = centre_hole(32, inner_px=16) if kind == "centre" else draw_regions(32, rng)
    y, x = np.mgrid[:32, :32] / 32
    colors = np.stack([np.sin(5 * x) * y, 2 * x - y, rng.random((32, 32))])
    known = torch.from_numpy(hole == 0)[None, None]
    shown = torch.from_numpy(colors)[None].float() * known
    found = harmonic_fill(shown, known)[0].numpy()
    for channel in range(3):
        exact = exact_fill(colors[channel], hole == 0)
        error = np.sqrt(np.square(found[channel] - exact).mean())
        assert error < 0.05 * colors[channel].std()
        assert np.allclose(found[channel][hole == 0], colors[channel][hole == 0], atol=1e-6)


def test_nothing_known_gives_nothing() -> None:
    assert not harmonic_fill(torch.randn(1, 3, 8, 8), torch.zeros(1, 1, 8, 8) > 0).any()
