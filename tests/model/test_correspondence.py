"""Joins of picture and sound against plain sums; their maps against their answers."""

import numpy as np
import pytest
import torch

from avssl.errors import InputError
from avssl.model.correspondence import (
    FUSIONS,
    AveFusion,
    SimilarityMaps,
    Standardised,
    balanced_pair_loss,
    build_correspondence,
)


def features(num: int = 3, side: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(num, 24, side, side, generator=generator).relu()
    return maps, torch.randn(num, 16, generator=generator).relu()


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("name", FUSIONS)
def test_one_place_is_the_whole_picture(name: str, standardise: bool) -> None:
    torch.manual_seed(1)
    join = build_correspondence(name, vision=24, sound=16, standardise=standardise).eval()
    maps, sound = features(side=1)
    logits = join(maps, sound)
    assert logits.shape == (3, 2)
    torch.testing.assert_close(join.at(maps, sound)[:, 0, 0], logits[:, 1] - logits[:, 0])
    seen, heard = join.embed(maps, sound)
    assert len(seen) == len(heard) == 3


def test_avol_is_the_best_place() -> None:
    torch.manual_seed(1)
    join = build_correspondence("avol", vision=24, sound=16)
    maps, sound = features()
    each = join.at(maps, sound)
    assert each.shape == (3, 4, 4)
    logits = join(maps, sound)
    assert torch.equal(logits[:, 0], torch.zeros(3))
    # place by place in a plain loop
    for b in range(3):
        best = -np.inf
        for y in range(4):
            for x in range(4):
                one = join.vision(maps[b, :, y, x]) @ join.sound(sound[b])
                best = max(best, float((one * join.scale + join.bias).detach()))
        assert abs(best - float(logits[b, 1].detach())) < 1e-4


def test_ave_says_together_where_the_embeddings_are_near() -> None:
    torch.manual_seed(1)
    join = AveFusion(vision=24, sound=16)
    maps, sound = features()
    seen, heard = join.embed(maps, sound)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(3))
    logits = join(maps, sound)
    distance = (seen - heard).norm(dim=1)
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], 6 - 6 * distance, rtol=1e-4, atol=1e-4)
    # equal embeddings have a gradient, not NaN
    join.sound, join.vision = torch.nn.Identity(), torch.nn.Identity()
    same = torch.ones(2, 16, requires_grad=True)
    join(same[:, :, None, None], same).sum().backward()
    assert same.grad is not None and torch.isfinite(same.grad).all()


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("name", FUSIONS)
def test_all_pairs_are_the_pairs_one_by_one(name: str, standardise: bool) -> None:
    torch.manual_seed(1)
    join = build_correspondence(name, vision=24, sound=16, standardise=standardise).eval()
    maps, sound = features()
    odds = join.pairs(maps, sound)
    for picture in range(3):
        for heard in range(3):
            logits = join(maps[picture : picture + 1], sound[heard : heard + 1])[0]
            torch.testing.assert_close(odds[picture, heard], logits[1] - logits[0])


def test_own_and_other_pairs_weigh_as_much() -> None:
    generator = torch.Generator().manual_seed(2)
    odds = torch.randn(4, 4, generator=generator)
    group = torch.tensor([5, 6, 7, 7])  # the last two are of one group
    own, other = [], []
    for i in range(4):
        for j in range(4):
            together = 1 / (1 + np.exp(-float(odds[i, j])))
            if i == j:
                own.append(-np.log(together))
            elif group[i] != group[j]:
                other.append(-np.log(1 - together))
    assert len(other) == 10
    expected = (np.mean(own) + np.mean(other)) / 2
    assert float(balanced_pair_loss(odds, group)) == pytest.approx(expected, rel=1e-5)
    # one group alone: there is nothing to compare with, and no division by zero
    assert float(balanced_pair_loss(odds, torch.zeros(4))) == pytest.approx(
        np.mean(own) / 2, rel=1e-5
    )


def test_features_are_standardised_by_the_batch_then_by_running_numbers() -> None:
    torch.manual_seed(1)
    join = build_correspondence("l3", vision=24, sound=16, standardise=True)
    assert isinstance(join, Standardised)
    maps, sound = features(num=64)
    plain = join.join(
        (maps - maps.mean((0, 2, 3), keepdim=True))
        / (maps.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt(),
        (sound - sound.mean(0)) / (sound.var(0, unbiased=False) + 1e-5).sqrt(),
    )
    torch.testing.assert_close(join.train()(maps, sound), plain, rtol=1e-4, atol=1e-4)
    before = join.eval()(maps[:4], sound[:4])
    torch.testing.assert_close(join(maps, sound)[:4], before)


def test_similarity_maps_are_cosines() -> None:
    torch.manual_seed(1)
    maps, sound = features()
    for pooling, num in (("max", 16), ("mean", 1)):
        join = SimilarityMaps(vision=24, sound=16, temperature=0.1, pooling=pooling)
        seen, heard = join(maps, sound)
        assert seen.shape == (3, num, 128) and heard.shape == (3, 128)
        torch.testing.assert_close(seen.norm(dim=2), torch.ones(3, num), rtol=1e-5, atol=1e-5)
        cosine = torch.nn.functional.cosine_similarity(
            join.vision(maps[1, :, 2, 3]), join.sound(sound[1]), dim=0
        )
        at = join.at(maps, sound)
        torch.testing.assert_close(at[1, 2, 3], 5.0 * cosine - 1.0)  # as it begins
    assert float(join.log_temperature.detach().exp()) == pytest.approx(0.1)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="must be one of l3, ave, avol"):
        build_correspondence("mean", vision=1, sound=1)
    with pytest.raises(InputError, match="must be max or mean"):
        SimilarityMaps(vision=1, sound=1, temperature=0.1, pooling="least")
