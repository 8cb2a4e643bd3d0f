"""The fusions against their definitions written as loops."""

import pytest
import torch

from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion, encode_each

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


def test_ordered_sees_signs_in_proportion_and_where_it_is() -> None:
    torch.manual_seed(0)
    head = build_fusion("ordered", **SIZES, embedding=4, hidden=6)
    x = vectors()
    with torch.no_grad():
        for sample, found in zip(x, head(x), strict=True):
            one, two, three = (head.embed(part) for part in sample)
            signed = torch.cat([two - one, three - one, three - two])
            signed = signed / signed.square().mean().sqrt()
            mean = (one + two + three) / 3
            mean = (mean - mean.mean()) / (mean.var(unbiased=False) + 1e-5).sqrt()
            assert torch.allclose(found, head.net(torch.cat([signed, signed**2, mean])), atol=1e-5)
        assert not torch.allclose(head(x), head(x.flip(1)), atol=1e-3)
    assert bool(head(torch.ones(1, 3, 5)).isfinite().all())


def test_pairs_share_one_layer() -> None:
    torch.manual_seed(0)
    head = build_fusion("pairs", **SIZES, hidden=6)
    x = vectors()
    with torch.no_grad():
        for sample, found in zip(x, head(x), strict=True):
            pairs = [torch.cat([sample[i], sample[j]]) for i, j in ((0, 1), (0, 2), (1, 2))]
            assert torch.allclose(found, head.last(torch.cat([head.each(p) for p in pairs])))


def test_a_single_vector_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="there is one"):
        build_fusion("relative", width=5, num_vectors=1, num_outputs=2)


def test_pictures_are_encoded_one_by_one() -> None:
    frames = torch.arange(2 * 3 * 4 * 3 * 2 * 2).view(2, 3, 4, 3, 2, 2).float()
    found = encode_each(torch.nn.Flatten(), frames, num_leading=3)
    assert found.shape == (2, 3, 4, 12)
    assert torch.equal(found[1, 2, 3], frames[1, 2, 3].flatten())
