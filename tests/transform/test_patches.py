"""Patches: where they may lie, and what the guards of colour leave."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avssl.model.patches import standardised
from avssl.transform.patches import (
    cut,
    cut_tiles,
    draw_corners,
    keep_one_channel,
    project_color,
)


@given(
    num_cells=st.integers(1, 4),
    cell_px=st.integers(1, 40),
    over_px=st.integers(0, 3),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_every_patch_lies_in_its_own_cell(
    num_cells: int, cell_px: int, over_px: int, share: float, seed: int
) -> None:
    patch_px = 1 + int(share * (cell_px - 1))
    size_px = num_cells * cell_px + min(over_px, num_cells - 1)
    rng = np.random.default_rng(seed)
    corners = draw_corners(size_px=size_px, num_cells=num_cells, patch_px=patch_px, rng=rng)
    inner = corners - (size_px - num_cells * cell_px) // 2
    rows = np.repeat(np.arange(num_cells), num_cells)
    columns = np.tile(np.arange(num_cells), num_cells)
    assert (inner // cell_px == np.stack([rows, columns], axis=1)).all()
    assert ((inner + patch_px - 1) // cell_px == np.stack([rows, columns], axis=1)).all()
    assert corners.min() >= 0 and corners.max() + patch_px <= size_px


def test_patches_are_where_their_corners_say() -> None:
    picture = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    found = cut(picture, np.array([[0, 0], [3, 5]]), patch_px=3)
    assert np.array_equal(found[1], picture[:, 3:6, 5:8])
    with pytest.raises(ValueError, match="patch_px 5"):
        draw_corners(size_px=8, num_cells=2, patch_px=5, rng=np.random.default_rng(0))


def test_one_channel_stays_and_the_others_are_noise_around_it() -> None:
    rng = np.random.default_rng(3)
    patches = rng.integers(60, 190, size=(200, 3, 12, 12)).astype(np.uint8)
    out = keep_one_channel(patches, rng)
    same = (out == patches).all(axis=(2, 3))
    assert (same.sum(axis=1) == 1).all()
    assert (np.bincount(same.argmax(axis=1), minlength=3) > 40).all()  # 67 of each in the mean
    number = 0
    kept = int(same[number].argmax())
    other = out[number, (kept + 1) % 3].astype(float)
    values = patches[number, kept].astype(float)
    # noise from an even draw of ± half a deviation has a deviation of 1/√12 of it
    assert abs(other.mean() - values.mean()) < 3
    assert other.std() == pytest.approx(values.std() / np.sqrt(12), rel=0.25)
    flat = keep_one_channel(patches, np.random.default_rng(3), noise=0.0)
    spans = flat.max(axis=(2, 3)).astype(int) - flat.min(axis=(2, 3))
    assert ((spans == 0).sum(axis=1) == 2).all()  # the dropped channels are their patch's mean


def test_projection_takes_out_green_against_magenta_and_nothing_else() -> None:
    flat = np.zeros((1, 3, 2, 2), np.uint8) + np.array([90, 120, 70], np.uint8)[None, :, None, None]
    out = project_color(flat).astype(float)[0, :, 0, 0]
    assert abs(out @ [-1, 2, -1]) <= 2  # rounding
    grey = np.full((1, 3, 2, 2), 77, np.uint8)
    assert np.array_equal(project_color(grey), grey)
    assert out[0] - out[2] == pytest.approx(90 - 70, abs=1)  # red against blue stays


def test_standardised_equals_numpy_and_bears_flat_patches() -> None:
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, size=(4, 2, 3, 9, 9)).astype(np.uint8)
    patches[0, 0] = 200
    out = standardised(torch.from_numpy(patches)).numpy()
    values = patches.astype(np.float64)
    for i in range(4):
        for j in range(2):
            deviation = values[i, j].std()
            expected = (values[i, j] - values[i, j].mean()) / max(deviation, 0.5) * 0.25 + 0.45
            assert np.allclose(out[i, j], expected, atol=1e-5)
    assert np.allclose(standardised(torch.from_numpy(patches) / 255).numpy(), out, atol=1e-4)
    each = standardised(torch.from_numpy(patches), each_color=True).numpy()
    of_color = values.reshape(-1, 81)
    deviation = np.maximum(of_color.std(axis=1), 0.5)[:, None]
    expected = (of_color - of_color.mean(axis=1, keepdims=True)) / deviation * 0.25 + 0.45
    assert np.allclose(each.reshape(-1, 81), expected, atol=1e-5)


def test_tiles_are_cells_patches_and_their_colours_move_a_little() -> None:
    """Every pixel says where it is from: red counts rows, green columns, blue both."""
    row, column = np.mgrid[:30, :30]
    picture = np.stack([row, column, row + column]).astype(np.uint8)
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(200):
        plain = cut_tiles(picture, num_cells=3, patch_px=7, rng=rng)
        assert plain.shape == (9, 3, 7, 7)
        tops, lefts = plain[:, 0, 0, 0].astype(int), plain[:, 1, 0, 0].astype(int)
        assert (tops // 10 == np.arange(9) // 3).all() and (lefts // 10 == np.arange(9) % 3).all()
        assert (tops % 10 <= 3).all() and (plain[:, 2, 0, 0] == tops + lefts).all()
    for _ in range(100):
        seed = int(rng.integers(1 << 30))
        still = cut_tiles(picture, num_cells=3, patch_px=7, rng=np.random.default_rng(seed))
        moved = cut_tiles(
            picture,
            num_cells=3,
            patch_px=7,
            rng=np.random.default_rng(seed),
            channel_jitter_px=2,
        )
        shift = moved[:, 0, 0, 0].astype(int) - still[:, 0, 0, 0]
        seen |= set(shift.tolist())
        assert np.array_equal(moved[:, 0].astype(int), still[:, 0] + shift[:, None, None])
    assert seen == {-2, -1, 0, 1, 2}
