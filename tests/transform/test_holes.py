"""Holes: their size, that they are one fixed pattern's, and dilation by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.transform.holes import centre_hole, draw_regions, grown


def test_the_middle_is_the_papers() -> None:
    hole = centre_hole(128, inner_px=64)  # papers.md §5.1: "128 in, centre 64 hole"
    assert hole.sum() == 64**2 and hole[32:96, 32:96].all()


@settings(max_examples=30, deadline=None)
@given(size_px=st.integers(16, 160), share=st.floats(0.05, 0.6), seed=st.integers(0, 99))
def test_regions_have_exactly_their_share(size_px: int, share: float, seed: int) -> None:
    hole = draw_regions(size_px, np.random.default_rng(seed), share=share)
    assert hole.shape == (size_px, size_px) and set(np.unique(hole)) <= {0, 1}
    assert hole.sum() == round(share * size_px**2)


def test_regions_are_everywhere_alike_and_have_no_fixed_place() -> None:
    rng = np.random.default_rng(0)
    holes = np.stack([draw_regions(32, rng) for _ in range(1500)])
    mean = holes.mean(axis=0)
    # Places are hidden a quarter of the time each: 6 standard errors of 1500 draws.
    assert np.abs(mean - 0.25).max() < 6 * np.sqrt(0.25 * 0.75 / 1500)
    # Neighbours belong together: a region is some px wide, not a sprinkling.
    together = (holes[:, :, 1:] & holes[:, :, :-1]).mean() / 0.25
    assert together > 0.75
    assert len({hole.tobytes() for hole in holes}) == 1500


def test_regions_do_not_depend_on_the_pictures_size() -> None:
    """The same window at twice the size is the same regions, twice as large."""
    for seed in range(4):
        small = draw_regions(64, np.random.default_rng(seed))
        large = draw_regions(128, np.random.default_rng(seed))
        assert (small.repeat(2, axis=0).repeat(2, axis=1) == large).mean() > 0.95


@pytest.mark.parametrize("by_px", [0, 1, 3])
def test_growing_by_hand(by_px: int) -> None:
    rng = np.random.default_rng(1)
    hole = (rng.random((14, 17)) < 0.04).astype(np.uint8)
    expected = np.zeros_like(hole)
    for y, x in zip(*np.nonzero(hole), strict=True):
        expected[max(0, y - by_px) : y + by_px + 1, max(0, x - by_px) : x + by_px + 1] = 1
    assert np.array_equal(grown(hole, by_px), expected)
