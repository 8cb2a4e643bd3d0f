"""Lab against scikit-image and OpenCV, the bins against the published ones, encoding by hand."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from avssl.model import lab

# The published bins, row by row of a: from which b to which (pts_in_hull.npy, papers.md §5.1).
PUBLISHED = {
    -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100), -40: (-40, 100),
    -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100), 10: (-80, 90),
    20: (-80, 90), 30: (-90, 90), 40: (-100, 90), 50: (-100, 80), 60: (-110, 80), 70: (-110, 80),
    80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
}  # fmt: skip


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(40, 30, 3), dtype=np.uint8)


def to_lab(picture: np.ndarray) -> np.ndarray:
    return lab.rgb_to_lab(torch.from_numpy(picture).movedim(-1, -3)).movedim(-3, -1).numpy()


def test_lab_is_that_of_scikit_image() -> None:
    # Near-black too, where the cube root and the gamma turn into lines.
    dark = np.arange(12, dtype=np.uint8).repeat(3).reshape(1, 12, 3)
    for picture in (pictures(), dark):
        assert np.abs(to_lab(picture) - rgb2lab(picture)).max() < 2e-4


def test_lab_is_that_of_opencv_to_its_levels() -> None:
    levels = cv2.cvtColor(pictures(), cv2.COLOR_RGB2LAB).astype(np.float64)
    ours = to_lab(pictures())
    # The 8-bit convention of papers.md §5.1: L · 100 / 255, ab − 128.
    assert np.abs(levels[..., 0] * 100 / 255 - ours[..., 0]).max() < 1.0
    assert np.abs(levels[..., 1:] - 128 - ours[..., 1:]).max() < 1.5


def test_back_to_rgb() -> None:
    colors = torch.from_numpy(to_lab(pictures())).movedim(-1, -3)
    back = lab.lab_to_rgb(colors).movedim(-3, -1).numpy()
    assert np.abs(back - pictures() / 255).max() < 1e-4
    # What no screen shows is clipped where scikit-image clips it.
    wild = torch.tensor([[50.0, 90.0, 90.0], [95.0, -80.0, -40.0]]).T[:, None]
    theirs = lab2rgb(wild.movedim(0, -1).numpy())
    assert np.abs(lab.lab_to_rgb(wild).movedim(0, -1).numpy() - theirs).max() < 1e-4


def test_the_bins_are_the_published_ones() -> None:
    bins = lab.ab_bins()
    expected = [(a, b) for a, (low, high) in PUBLISHED.items() for b in range(low, high + 1, 10)]
    assert len(expected) == 313
    assert np.array_equal(bins, np.array(expected, dtype=np.float64))


def test_every_colour_lies_between_bins() -> None:
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    square = np.floor(rgb2lab(cube)[0, :, 1:] / 10) * 10
    known = {tuple(one) for one in lab.ab_bins()}
    for step in ((0, 0), (0, 10), (10, 0), (10, 10)):
        assert {tuple(one) for one in square + step} <= known


@settings(max_examples=30, deadline=None)
@given(a=st.floats(-85, 95), b=st.floats(-105, 90), num=st.integers(1, 10), sigma=st.floats(1, 30))
def test_soft_bins_by_hand(a: float, b: float, num: int, sigma: float) -> None:
    found, shares = lab.soft_bins(torch.tensor([[a, b]]), num_nearest=num, sigma=sigma)
    distance = np.hypot(*(lab.ab_bins() - [a, b]).T)
    nearest = np.sort(distance)[:num]
    assert np.allclose(distance[found[0].numpy()], nearest, atol=1e-3)
    weight = np.exp(-((nearest**2) - nearest[0] ** 2) / (2 * sigma**2))
    assert np.allclose(shares[0].numpy(), weight / weight.sum(), atol=2e-3)


def test_a_colour_on_a_bin_is_mostly_that_bin() -> None:
    found, shares = lab.soft_bins(torch.tensor([[[10.0, -20.0]]]))
    assert lab.ab_bins()[found[0, 0, 0]].tolist() == [10, -20]
    # e⁰ and four neighbours at 10: e^(−100 / 50).
    assert shares[0, 0, 0].item() == pytest.approx(1 / (1 + 4 * np.exp(-2)), rel=1e-4)


def test_the_spread_of_bins_is_the_mean_of_many_colours() -> None:
    spread = lab.spread_of_bins()
    assert np.allclose(spread.sum(axis=1), 1)
    number = int(np.flatnonzero((lab.ab_bins() == [0, 0]).all(axis=1))[0])
    rng = np.random.default_rng(0)
    found, shares = lab.soft_bins(torch.from_numpy(rng.uniform(-5, 5, size=(4000, 2))))
    many = np.bincount(found.numpy().ravel(), shares.numpy().ravel(), minlength=313) / 4000
    assert np.abs(many - spread[number]).max() < 0.02


def test_rebalancing_by_the_paper() -> None:
    prior = np.random.default_rng(0).random(313) ** 4
    bins = lab.ab_bins()
    smooth = np.zeros(313)
    for k in range(313):  # each bin's share is handed round by its own Gaussian
        kernel = np.exp(-np.square(bins - bins[k]).sum(axis=1) / 50)
        smooth += prior[k] / prior.sum() * kernel / kernel.sum()
    assert np.allclose(lab.smoothed(prior), smooth)
    weights = lab.rebalancing_weights(prior)
    ratio = weights * (0.5 * smooth + 0.5 / 313)
    assert np.allclose(ratio, ratio[0]) and np.isclose(smooth @ weights, 1)
    assert np.allclose(lab.rebalancing_weights(prior, mix=1.0), 1)


def test_the_annealed_mean_goes_from_mean_to_mode() -> None:
    logits = torch.randn(2, 313, 3, 3, generator=torch.Generator().manual_seed(0)) * 3
    bins = torch.from_numpy(lab.ab_bins()).float()
    mean = torch.einsum("bkhw,kc->bchw", logits.softmax(dim=1), bins)
    assert torch.allclose(lab.annealed_mean(logits, temperature=1.0), mean, atol=1e-4)
    mode = bins[logits.argmax(dim=1)].movedim(-1, 1)
    assert torch.allclose(lab.annealed_mean(logits, temperature=0.01), mode, atol=1e-2)
    # f_T(z) = exp(log z / T) / Σ, papers.md §5.1 with T 0.38.
    powered = logits.softmax(dim=1) ** (1 / 0.38)
    expected = torch.einsum("bkhw,kc->bchw", powered / powered.sum(dim=1, keepdim=True), bins)
    assert torch.allclose(lab.annealed_mean(logits), expected, atol=1e-3)
