"""Clues of patches, each on a picture where the answer is known."""

import numpy as np
import pytest

from avssl.transform.patch_clues import (
    NEIGHBOURS,
    across,
    bars,
    color_shifts,
    corner_marks,
    letterbox,
    light,
    seams,
)


def smooth(size_px: int, *, seed: int = 0, down: float = 0.0, right: float = 0.0) -> np.ndarray:
    """A sum of waves, moved by (down, right) px: float64 [size_px, size_px], 30 to 220."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size_px, :size_px].astype(float)
    total = np.zeros((size_px, size_px))
    for _ in range(12):
        fy, fx, phase = rng.normal(0, 0.25), rng.normal(0, 0.25), rng.uniform(0, 7)
        total += np.cos(fy * (y - down) + fx * (x - right) + phase)
    return 125 + 95 * np.tanh(total / 4)


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(picture)[None], 3, axis=0).astype(np.uint8)


@pytest.mark.parametrize("place", range(8))
def test_what_touches_fits_best_where_it_was(place: int) -> None:
    coarse = np.random.default_rng(place).integers(20, 236, size=(24, 24))
    whole = grey(coarse.repeat(3, axis=0).repeat(3, axis=1))
    whole = whole[:, 1:-2, 1:-2]  # so that the patches' borders run through what is of one level
    whole = np.pad(whole, ((0, 0), (0, 3), (0, 3)), mode="edge")
    down, right = NEIGHBOURS[place]
    top, left = 24 * (1 + down), 24 * (1 + right)
    centre, other = whole[:, 24:48, 24:48], whole[:, top : top + 24, left : left + 24]
    straight = [1, 3, 4, 6]
    found = across(centre, other)
    assert found.shape == (8,)
    if place in straight:
        assert int(found[straight].argmin()) == straight.index(place)
    # Asked the other way round, the places are opposite.
    assert np.allclose(across(other, centre), found[::-1])


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.6, -0.4), (-0.8, 0.3)])
def test_shifts_of_red_and_blue_are_measured(shift: tuple[float, float]) -> None:
    down, right = shift
    planes = [smooth(48, down=k * down, right=k * right) for k in (1, 0, -1)]
    found = color_shifts(np.rint(np.stack(planes)).astype(np.uint8))
    assert found == pytest.approx([down, right, -down, -right], abs=0.12)


def test_colours_that_have_nothing_in_common_have_no_great_shift() -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(3, 40, 40)).astype(np.uint8)
    assert np.abs(color_shifts(noise)).max() < 0.1
    assert np.array_equal(color_shifts(np.full((3, 8, 8), 90, np.uint8)), np.zeros(4))


def test_light_of_a_ramp() -> None:
    ramp = np.zeros((3, 11, 21), np.uint8) + np.linspace(50, 150, 21).astype(np.uint8)
    mean, deviation, down, right = light(ramp)
    assert mean == pytest.approx(100 / 255) and down == pytest.approx(0, abs=1e-9)
    assert right == pytest.approx(100 / 255, rel=1e-6)
    even = light(ramp, standardised=True)
    assert even[:2] == pytest.approx([0, 1], abs=1e-9)
    assert even[3] == pytest.approx(right / deviation)


def test_bars_are_measured_side_by_side_and_pictures_have_none() -> None:
    picture = grey(smooth(40))
    assert np.array_equal(bars(picture), np.zeros(4))
    noise = np.random.default_rng(1).integers(14, 18, size=(3, 40, 40))
    picture[:, :6], picture[:, :, 30:] = noise[:, :6], noise[:, :, 30:]
    assert bars(picture) == pytest.approx([0, 6 / 40, 10 / 40, 0])
    picture[1] = np.random.default_rng(2).integers(0, 255, size=(40, 40))  # one colour is enough
    assert bars(picture) == pytest.approx([0, 6 / 40, 10 / 40, 0])
    assert bars(np.zeros((3, 10, 10), np.uint8)) == pytest.approx([1, 1, 1, 1])


def test_seams_stand_at_the_phase_of_the_grid() -> None:
    rng = np.random.default_rng(0)
    blocks = np.repeat(rng.integers(40, 200, size=(8, 64)), 8, axis=0)  # rows change every 8th
    found = seams(grey(blocks), period_px=8)
    columns, rows = found[:8], found[8:]
    assert np.abs(columns).max() < 0.5
    # A second difference bends on both sides of the step: the lines 7 and 0 of each block.
    assert rows[[0, 7]] == pytest.approx([3, 3], abs=0.6)
    assert rows[1:7] == pytest.approx(-np.ones(6), abs=1e-9)


def test_a_letterbox_is_dark_even_and_ends_at_once() -> None:
    picture = grey(smooth(40))
    assert not letterbox(picture).any()
    barred = picture.copy()
    barred[:, :6], barred[:, :, 30:] = 16, 16
    assert letterbox(barred).tolist() == [0, 6 / 40, 10 / 40, 0]
    lifted = np.maximum(barred, 60)
    assert not letterbox(lifted).any()
    assert letterbox(lifted, dark_levels=64).tolist() == [0, 6 / 40, 10 / 40, 0]
    tinted = barred.copy()
    tinted[2, :6, :30] = 90  # a bar is dark in all colours
    assert letterbox(tinted).tolist() == [0, 0, 10 / 40, 0]
    dusk = grey(np.linspace(0, 100, 40)[:, None].repeat(40, axis=1))
    assert not letterbox(dusk).any() and bars(dusk)[1] > 0.2  # dark above, with no end to it
    half = picture.copy()
    half[:, :20] = 0
    assert not letterbox(half).any() and bars(half)[1] == 0.5


def test_a_letterbox_is_known_by_what_is_seen_of_it() -> None:
    picture, seen = grey(smooth(40)), np.zeros((40, 40), dtype=bool)
    picture[:, :5] = 0
    seen[:, 10:20] = True
    assert letterbox(picture, seen=seen).tolist() == [0, 5 / 40, 0, 0]
    seen[:3] = False  # the outermost lines are hidden: nobody knows
    assert not letterbox(picture, seen=seen).any()
    seen[:3, 10:14] = True  # a tenth of a line is too little
    assert not letterbox(picture, seen=seen).any()


def test_marks_of_corners_stand_in_their_place() -> None:
    picture = np.full((3, 36, 36), 100, np.uint8)
    assert np.allclose(corner_marks(picture), 0)
    picture[0, :6, -6:] = 200  # the upper right corner is redder
    found = corner_marks(picture)
    assert found[1] == pytest.approx(100 / 255 * (1 - 1 / 36)) and np.argmax(found) == 1
    picture[:, -6:-3, :6] = 0  # half of the lower left one is black
    found = corner_marks(picture)
    assert found[2] > 0.15 and found[6] == pytest.approx(50 / 255) and np.argmax(found[4:]) == 2
