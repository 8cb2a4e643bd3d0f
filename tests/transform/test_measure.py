"""The cheap numbers of the probes against their definitions."""

import numpy as np
import pytest

from avssl.transform import measure


def test_differences_ignore_brightness_and_contrast() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(60, 120, size=(3, 64, 64), dtype=np.uint8)
    brighter = (one.astype(int) * 2 + 10).astype(np.uint8)
    other = rng.integers(60, 120, size=(3, 64, 64), dtype=np.uint8)
    same, first, second = measure.standardised_differences(np.stack([one, brighter, other]))
    assert same < 0.02
    # Two independent standard normal pictures differ by 2 / √π on the mean.
    assert first == pytest.approx(2 / np.sqrt(np.pi), abs=0.2)
    assert second == pytest.approx(first, abs=0.02)


def test_flat_pictures_do_not_divide_by_zero() -> None:
    flat = np.full((2, 3, 32, 32), 7, dtype=np.uint8)
    assert measure.standardised_differences(flat).tolist() == [0.0]


def test_brightness_and_root_mean_square() -> None:
    frames = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    frames[1] = 51
    frames[1, 0, 0, 0] = 255
    assert measure.brightness(frames) == pytest.approx([0, (51 * 47 + 255) / 48 / 255])
    expected = np.sqrt((51**2 * 47 + 255**2) / 48)
    assert measure.root_mean_square(frames[0], frames[1]) == pytest.approx(expected, rel=1e-6)
