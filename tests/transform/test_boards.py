"""Boards for people: every cell where it belongs, frames and words beside them."""

import numpy as np
import pytest

from avssl.transform import boards


def flat(level: int, side_px: int = 10) -> np.ndarray:
    return np.full((side_px, side_px, 3), level, np.uint8)


def test_cells_lie_row_by_row_with_gaps() -> None:
    cells = [flat(100), None, flat(120), flat(130)]
    found = boards.board(cells, num_columns=2, gap_px=2)
    assert found.shape == (22, 22, 3)
    assert (found[:10, :10] == 100).all() and (found[:10, 12:] == boards.EMPTY).all()
    assert (found[12:, :10] == 120).all() and (found[12:, 12:] == 130).all()
    assert (found[10:12] == 16).all()


def test_small_patches_grow_in_whole_pixels() -> None:
    patch = np.arange(12, dtype=np.uint8).reshape(3, 2, 2) * 20
    found = boards.enlarged(patch, side_px=8)
    assert np.array_equal(found, patch.transpose(1, 2, 0).repeat(4, axis=0).repeat(4, axis=1))
    assert (boards.enlarged(np.full((3, 9, 9), 77, np.uint8), side_px=4) == 77).all()


def test_a_frame_covers_the_rim_and_nothing_else() -> None:
    found = boards.framed(flat(50), boards.RIGHT, width_px=2, inset_px=1)
    rim = (found == boards.RIGHT).all(axis=2)
    wanted = np.zeros((10, 10), bool)
    wanted[1:9, 1:9] = True
    wanted[3:7, 3:7] = False
    assert np.array_equal(rim, wanted)


@pytest.mark.parametrize("direction", [(-1, 0), (1, 0), (0, -1), (0, 1)])
def test_arrows_point_where_they_say(direction: tuple[int, int]) -> None:
    found = boards.arrow(flat(100, 60), direction, boards.WRONG, width_px=3)
    inked = np.argwhere((found != 100).any(axis=2)).mean(axis=0) - 30
    along = int(np.abs(inked).argmax())
    assert inked[along] * direction[along] > 5 and abs(inked[1 - along]) < 1


def test_headings_and_gaps() -> None:
    found = boards.beside([boards.headed(flat(9, 40), "ab", height_px=14), flat(9, 54)[:, :40]])
    assert found.shape == (54, 88, 3)
    assert (found[:14, :40] > 100).any() and (found[14:, :40] == 9).all()
    assert (found[:, 40:48] == 16).all()
