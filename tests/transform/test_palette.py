"""Colours against scikit-image, the nearest by brute force, and a palette of known colours."""

from pathlib import Path

import numpy as np
import pytest
from skimage import color

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.records import Clip
from avssl.transform import palette as colors_of


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 3, 24, 24)).astype(np.uint8)


def test_lab_is_that_of_skimage(frames: np.ndarray) -> None:
    expected = color.rgb2lab(frames.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    found = colors_of.lab_of(frames)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.5  # OpenCV's tables; a level of 255 is 0.4 of L
    light = colors_of.light_of(frames)
    assert light.dtype == np.uint8 and light.shape == (3, 1, 24, 24)
    assert np.abs(light / 2.55 - expected[:, :1]).max() < 0.5


def test_coarse_colours_are_those_of_mean_colours(frames: np.ndarray) -> None:
    found = colors_of.coarse_ab(frames, answer_px=4)
    mean = frames[1, :, 6:12, 18:24].reshape(3, -1).mean(axis=1).round() / 255
    assert found.shape == (3, 2, 4, 4)
    assert found[1, :, 1, 3] == pytest.approx(color.rgb2lab(mean)[1:], abs=1.0)


def test_nearest_and_back(frames: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    palette = [tuple(ab) for ab in rng.uniform(-60, 60, (7, 2))]
    ab = rng.uniform(-80, 80, (2, 2, 5, 5))
    found = colors_of.nearest(ab, palette)
    for t, y, x in ((0, 0, 0), (1, 4, 2), (0, 3, 3)):
        distances = [np.hypot(*(ab[t, :, y, x] - one)) for one in palette]
        assert found[t, y, x] == int(np.argmin(distances))
    own = colors_of.lab_of(frames)[0, 1:]
    again = colors_of.painted(colors_of.light_of(frames)[0, 0], own)
    assert np.abs(again.astype(int) - frames[0].transpose(1, 2, 0)).max() <= 6


def test_a_palette_finds_the_colours_there_are(
    make_row, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four paints, each over a quarter of the frames: four centres, the same each time."""
    paints = np.array([[200, 40, 40], [40, 180, 60], [50, 60, 200], [128, 128, 128]], np.uint8)

    def painted(self: Fetcher, row, times_s, **_) -> Clip:
        frame = np.empty((3, 16, 20), np.uint8)
        for place, paint in enumerate(paints):
            frame[:, 8 * (place // 2) :, 2 + 8 * (place % 2) :] = paint[:, None, None]
        frame[:, 8:, 2:10] = paints[2][:, None, None]
        frame[:, :8, 10:] = paints[1][:, None, None]
        return Clip(frames=frame[None], times_s=np.array(times_s))

    monkeypatch.setattr(Fetcher, "frames", painted)
    catalog = Catalog.from_rows([make_row(number=k) for k in range(3)], directory=tmp_path)
    found = colors_of.fit_palette(catalog, num_colors=4, answer_px=16)
    expected = sorted(tuple(color.rgb2lab(paint / 255)[1:]) for paint in paints)
    assert np.abs(np.array(found) - expected).max() < 0.6
    assert found == colors_of.fit_palette(catalog, num_colors=4, answer_px=16)
    # fewer colours than asked for, or no frames: an even palette
    even = colors_of.even_palette(16)
    assert colors_of.fit_palette(catalog, num_colors=16, answer_px=16) == even
    assert colors_of.fit_palette(Catalog.from_rows([]), num_colors=16, answer_px=16) == even
    assert len(set(even)) == 16
