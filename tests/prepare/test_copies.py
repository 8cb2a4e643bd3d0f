"""Near-copies among hashes with known errors."""

import numpy as np
import pytest

from avssl.prepare.copies import Prints, near_copies


def pictures(rng, num: int) -> np.ndarray:
    return rng.integers(1, 2**64, size=num, dtype=np.uint64)


def worn(rng, values: np.ndarray, share: float, bits: int) -> np.ndarray:
    """Flips each bit with probability `share`, as another codec does."""
    flips = rng.random((len(values), bits)) < share
    mask = (flips.astype(np.uint64) << np.arange(bits, dtype=np.uint64)).sum(1, dtype=np.uint64)
    return (values.astype(np.uint64) ^ mask).astype(values.dtype)


NO_SOUND = np.zeros(0, dtype=np.uint32)
NO_PICTURE = np.zeros(0, dtype=np.uint64)


def test_reencoded_trimmed_and_unrelated() -> None:
    rng = np.random.default_rng(0)
    film = pictures(rng, 120)
    prints = {
        "film": Prints(pictures=film, sounds=NO_SOUND),
        "reencoded": Prints(pictures=worn(rng, film, 0.06, 64), sounds=NO_SOUND),
        "trimmed": Prints(pictures=worn(rng, film[40:90], 0.06, 64), sounds=NO_SOUND),
        "a few frames": Prints(pictures=np.r_[film[50:60], pictures(rng, 110)], sounds=NO_SOUND),
        **{f"other{k}": Prints(pictures=pictures(rng, 120), sounds=NO_SOUND) for k in range(60)},
    }
    assert near_copies(prints) == [
        ("film", "reencoded"),
        ("film", "trimmed"),
        ("reencoded", "trimmed"),
    ]


def test_sound_alone_tells_and_offsets_are_found() -> None:
    rng = np.random.default_rng(1)
    song = rng.integers(1, 2**32, size=900, dtype=np.uint32)
    prints = {
        "near camera": Prints(pictures=pictures(rng, 100), sounds=song),
        "far camera": Prints(pictures=pictures(rng, 100), sounds=worn(rng, song[70:], 0.15, 32)),
        "other song": Prints(
            pictures=pictures(rng, 100), sounds=rng.integers(1, 2**32, size=900, dtype=np.uint32)
        ),
    }
    assert near_copies(prints) == [("near camera", "far camera")]


@pytest.mark.parametrize("value", [0, 5])
def test_black_and_one_static_view_prove_nothing(value) -> None:
    same = np.full(100, value, dtype=np.uint64)
    silence = np.zeros(900, dtype=np.uint32)
    prints = {name: Prints(pictures=same, sounds=silence) for name in "ab"}
    assert near_copies(prints) == []


def test_files_without_anything() -> None:
    assert near_copies({name: Prints(pictures=NO_PICTURE, sounds=NO_SOUND) for name in "ab"}) == []
