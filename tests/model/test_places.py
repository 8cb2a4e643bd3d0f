"""The join place by place: what it must not depend on, and what it must see."""

import pytest
import torch

from avssl.model.places import PlacesFusion


@pytest.fixture
def fusion() -> PlacesFusion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PlacesFusion(channels=5, num_pictures=3, num_outputs=2, embedding=4, hidden=6).eval()


def blob(rows: list[int], column: int = 6) -> torch.Tensor:
    """Maps [1, 3, 5, 14, 14] of zeros with one spot, at the given row of each picture."""
    maps = torch.zeros(1, 3, 5, 14, 14)
    for picture, row in enumerate(rows):
        maps[0, picture, :, row, column] = torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0])
    return maps


def test_where_it_happens_does_not_matter(fusion: PlacesFusion) -> None:
    """Two layers of 3 x 3 reach two places far: farther from the rim all places are alike."""
    with torch.no_grad():
        here, there = fusion(blob([4, 5, 6])), fusion(blob([5, 6, 7], column=9))
    assert torch.allclose(here, there, atol=1e-6)


def test_the_way_it_goes_matters(fusion: PlacesFusion) -> None:
    """Of vectors that forget where things are, sinking and rising would be the same."""
    sinking, rising = blob([4, 5, 6]), blob([6, 5, 4])
    assert torch.equal(sinking.mean(dim=(3, 4)), rising.mean(dim=(3, 4)))
    with torch.no_grad():
        assert (fusion(sinking) - fusion(rising)).abs().max() > 1e-4


def test_brightness_of_the_change_does_not_matter_to_its_share(fusion: PlacesFusion) -> None:
    """Differences are in proportion to their root mean square: twice the contrast is the same."""
    faint, strong = blob([4, 5, 6]), 2 * blob([4, 5, 6])
    with torch.no_grad():
        first = fusion.compare[0]
        assert isinstance(first, torch.nn.Conv2d)
        first.weight[:, -4:] = 0  # the mean map keeps its size, so it is left out
        assert torch.allclose(fusion(faint), fusion(strong), atol=1e-4)


def test_pictures_that_are_all_alike_give_a_number_and_gradients(fusion: PlacesFusion) -> None:
    maps = blob([5, 5, 5]).requires_grad_()
    fusion(maps).sum().backward()
    assert maps.grad is not None and bool(torch.isfinite(maps.grad).all())
