"""The fusions against their definitions written as loops."""

import pytest
import torch

from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion

SIZES = {"width": 5, "num_vectors": 3, "num_outputs": 2}


def vectors() -> torch.Tensor:
    return torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))


def test_concat_is_one_linear_layer_on_all_vectors() -> None:
    torch.manual_seed(0)
    head = build_fusion("concat", **SIZES)
    weight, bias = dict(head.named_parameters()).values()
    x = vectors()
    for sample, found in zip(x, head(x), strict=True):
        expected = weight @ torch.cat([sample[0], sample[1], sample[2]]) + bias
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["difference", "relative"])
def test_difference_sees_squared_differences_of_every_pair(name: str) -> None:
    torch.manual_seed(0)
    head = build_fusion(name, **SIZES, embedding=4, hidden=6)
    x = vectors()
    with torch.no_grad():
        for sample, found in zip(x, head(x), strict=True):
            one, two, three = (head.embed(part) for part in sample)
            pairs = torch.cat([(one - two) ** 2, (one - three) ** 2, (two - three) ** 2])
            if name == "relative":
                pairs = pairs / pairs.mean()
            assert torch.allclose(found, head.net(pairs), atol=1e-5)


def test_relative_differences_do_not_depend_on_the_scale_of_the_vectors() -> None:
    torch.manual_seed(0)
    head = build_fusion("relative", **SIZES)
    x = vectors()
    assert torch.allclose(head(x), head(7 * x - 3), atol=1e-4)
    assert bool(head(torch.ones(1, 3, 5)).isfinite().all())


@pytest.mark.parametrize("name", FUSIONS)
def test_every_weight_of_a_fusion_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    head = build_fusion(name, **SIZES)
    logits = head(vectors())
    assert logits.shape == (4, 2)
    logits.square().sum().backward()
    assert all(weight.grad is not None for weight in head.parameters())


def test_an_unknown_fusion_is_refused() -> None:
    with pytest.raises(InputError, match="must be one of concat"):
        build_fusion("sum", **SIZES)


def test_concat_adds_up_what_each_vector_says_by_itself() -> None:
    """So it cannot compare vectors: changing one moves the logits alike, whatever the others."""
    torch.manual_seed(0)
    head = build_fusion("concat", **SIZES)
    x = vectors()
    changed = x.clone()
    changed[:, 1] += 1.0
    moved = head(changed) - head(x)
    assert torch.allclose(moved, moved[:1].expand_as(moved), atol=1e-6)
