"""Cuts that were made are found at their frame; flashes, shakes, pans and captions are not cuts."""

import itertools

import numpy as np
import pytest

from avssl.prepare.analysis import Bars, PictureAnalysis, small_grey
from avssl.prepare.shots import LOOKAHEAD, CutFinder


def cuts_of(pictures) -> list[int]:
    finder = CutFinder()
    small = [small_grey(picture) for picture in pictures]
    steps = [0.0, *(np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(small))]
    decisions = [finder.push(a, difference=step) for a, step in zip(small, steps, strict=True)]
    flat = [decision for decision in decisions if decision is not None] + finder.flush()
    assert len(flat) == len(pictures)
    return [k for k, is_cut in enumerate(flat) if is_cut]


@pytest.fixture
def scenes(tools):
    return [tools.background(np.random.default_rng(seed)) for seed in range(20, 28)]


@pytest.mark.parametrize("speed_px", [0, 1, 4])
def test_made_cuts(scenes, speed_px) -> None:
    rng = np.random.default_rng(0)
    pictures, truth = [], []
    for scene in scenes:
        truth.append(len(pictures))
        for k in range(int(rng.integers(6, 30))):
            left = k * speed_px % 160
            pictures.append(scene[:, left : left + 160])
    assert cuts_of(pictures) == truth[1:]


def test_no_cut_in_flash_pan_fade_noise_and_caption(scenes) -> None:
    scene = scenes[0]
    rng = np.random.default_rng(1)
    still = [scene[:, :160]] * 12
    flash = [*still, np.full_like(still[0], 250), *still]
    two_flashes = [*still, *[np.full_like(still[0], 250)] * 2, *still]
    pan = [scene[:, 6 * k : 6 * k + 160] for k in range(26)]
    fade = [(scene[:, :160] * (1 - k / 30)).astype(np.uint8) for k in range(30)]
    noise = [
        np.clip(scene[:, :160] + rng.normal(scale=12, size=(96, 160)), 0, 255).astype(np.uint8)
        for _ in range(30)
    ]
    captioned = scene[:, :160].copy()
    captioned[70:] = 255
    caption = [*still, *[captioned] * 12]
    darker = [*still, *[(scene[:, :160] * 0.6).astype(np.uint8)] * 12]
    for pictures in (flash, two_flashes, pan, fade, noise, caption, darker):
        assert cuts_of(pictures) == []


@pytest.mark.parametrize("num", [1, 2, LOOKAHEAD + 1])
def test_very_short_files(scenes, num) -> None:
    pictures = [scene[:, :160] for scene in scenes[:num]]
    cuts_of(pictures)


def test_motion_of_a_pan_is_what_it_is(scenes) -> None:
    for speed_px in (1, 2, 4):
        analysis = PictureAnalysis(step_s=1 / 25)
        for k in range(40):
            left = k * speed_px
            analysis.push(k, scenes[1][:, left : left + 160], repeated=False, restart=k == 0)
        analysis.finish()
        motion = analysis.motion(0, 40, window_s=0.25)
        assert len(motion) == 7
        # speed_px pixels a frame, 25 frames a second, 96 pixels a short side
        np.testing.assert_allclose(np.median(motion), speed_px * 25 / 96, rtol=0.25)


def test_motion_does_not_count_cuts_and_repeats(scenes) -> None:
    analysis = PictureAnalysis(step_s=1 / 25)
    for k in range(40):
        picture = scenes[2 if k < 20 else 3][:, :160]
        analysis.push(k, picture, repeated=k % 4 == 3, restart=k == 0)
    analysis.finish()
    assert analysis.cuts == [20]
    assert analysis.motion(0, 40, window_s=0.25).max() < 0.01


def test_a_bar_rings_beside_the_picture() -> None:
    """Lines that ring are bar where they adjoin one; a dark scene without a bar has none."""
    luma = np.full((40, 50), 120, np.uint8)
    luma[:9] = 2
    luma[6:9, ::2] = 35  # rings: too uneven for a bar of its own
    luma[9, 3] = 90  # the picture begins
    assert Bars.of(luma).widths_px() == (0, 9, 0, 0)
    luma[:9] = 120
    luma[37:] = 2
    luma[37:, ::2] = 35  # no even core: dark uneven lines alone are a scene
    assert Bars.of(luma).widths_px() == (0, 0, 0, 0)


def test_a_dark_shot_keeps_its_even_bars_alone() -> None:
    luma = np.full((40, 50), 5, np.uint8)
    luma[6:30, ::2] = 38  # a night scene, nowhere bright
    assert Bars.of(luma).widths_px() == (0, 6, 0, 10)
    assert Bars.of(np.zeros((40, 50), np.uint8)).widths_px() == (0, 0, 0, 0)


def test_sparks_of_the_picture_in_a_bar_s_last_block_are_bar() -> None:
    """A few lit pixels within a block of the codec do not end a bar; a picture's line does."""
    pictures = [np.full((60, 400), 120, np.uint8) for _ in range(10)]
    for picture in pictures:
        picture[:20] = 2
    pictures[3][12, 7] = 200  # one of 4000 pixels of its line
    bars = Bars.of(pictures[0])
    for picture in pictures[1:]:
        bars.add(picture)
    assert bars.widths_px() == (0, 20, 0, 0)
    for picture in pictures[:5]:
        picture[12, :8] = 200  # 40 of 4000: something is to be seen there
    bars = Bars.of(pictures[0])
    for picture in pictures[1:]:
        bars.add(picture)
    assert bars.widths_px() == (0, 12, 0, 0)


def test_sparks_are_bar_within_one_block_only() -> None:
    picture = np.full((60, 400), 120, np.uint8)
    picture[:50] = 2
    picture[10:50, 3] = 90  # 0.25 % of the pixels of 40 lines: more lines than a block has
    assert Bars.of(picture).widths_px() == (0, 10 + 16, 0, 0)
