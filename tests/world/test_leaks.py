"""Planted leaks: what is done to frames, sound and file, and that a leaky world is made of them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.errors import InputError
from avssl.world import ClipSpec, make_world, render_clip
from avssl.world.leaks import LEAKS, leak_encoding, leak_frames, leak_sound

NUM_FRAMES = 40


def rng_of(seed: int) -> Callable[[str], np.random.Generator]:
    return lambda name: np.random.default_rng(seed)


@pytest.fixture(scope="module")
def clean() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(60, 190, (NUM_FRAMES, 48, 64, 3), dtype=np.uint8))


def leaked(name: str, frames: list[np.ndarray], seed: int = 0) -> np.ndarray:
    found = leak_frames((name,), frames, num_frames=len(frames), rng_of=rng_of(seed))
    return np.stack(list(found))


@pytest.mark.parametrize("name", LEAKS)
def test_frames_keep_their_shape_and_are_left_as_they_were(
    name: str, clean: list[np.ndarray]
) -> None:
    before = np.stack(clean)
    for seed in range(4):
        found = leaked(name, clean, seed)
        assert found.shape == before.shape and found.dtype == np.uint8
        assert np.array_equal(found, leaked(name, clean, seed))
    assert np.array_equal(np.stack(clean), before)


def test_what_is_told(clean: list[np.ndarray]) -> None:
    before = np.stack(clean).astype(float)
    has_bars = [bool((leaked("bars", clean, seed) == 0).any()) for seed in range(40)]
    assert 10 < sum(has_bars) < 30
    brightness = leaked("ramp", clean).mean(axis=(1, 2, 3)) / before.mean(axis=(1, 2, 3))
    assert np.corrcoef(brightness, np.arange(NUM_FRAMES))[0, 1] > 0.999
    gauge = leaked("counter", clean)[:, :8, :8].mean(axis=(1, 2, 3))
    assert (np.diff(gauge) >= 0).all() and gauge[-1] > 3 * gauge[0]
    logos = [leaked("logo", clean, seed)[:, -8:, -8:] for seed in range(2)]
    assert (logos[0] == logos[0][0]).all() and not np.array_equal(logos[0], logos[1])
    ratio = leaked("vignette", clean).mean(axis=(0, 3)) / before.mean(axis=(0, 3))
    assert ratio[0, 0] < 0.5 and ratio[24, 32] > 0.97
    still = leaked("stills", clean)
    repeated = (still[1:] == still[:-1]).all(axis=(1, 2, 3))
    assert 0.15 < repeated.mean() < 0.6
    cut = (leaked("cuts", clean) != before).any(axis=(1, 2, 3))
    assert 1 <= np.count_nonzero(np.diff(cut.astype(int))) <= 2


def test_red_grows_and_blue_shrinks_to_the_corners() -> None:
    picture = np.zeros((65, 65, 3), np.uint8)
    picture[:, 56] = 255  # a white line 24 px beside the middle
    (found,) = leaked("chromatic", [picture])
    centre = np.arange(65) @ found[32].astype(float) / found[32].sum(axis=0)
    assert centre == pytest.approx([32 + 24 * 1.025, 56, 32 + 24 * 0.975], abs=0.05)


def test_blocks_lie_on_a_lattice_of_eight() -> None:
    noise = np.random.default_rng(1).normal(128, 30, (48, 64, 3)).clip(0, 255).astype(np.uint8)
    (found,) = leaked("blocks", [noise])
    steps = np.abs(np.diff(found.astype(float), axis=1)).mean(axis=(0, 2))
    on = np.arange(63) % 8 == 7
    assert steps[on].mean() > 1.5 * steps[~on].mean()


def test_loud_clips_are_bright(clean: list[np.ndarray]) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 4000)).astype(np.float32)
    level_db, light = [], []
    for seed in range(20):
        found = leak_sound(("loudness",), sound, rng_of=rng_of(seed))
        assert found.dtype == np.float32 and found.shape == sound.shape
        level_db.append(20 * np.log10(found.std()))
        light.append(leaked("loudness", clean[:1], seed).mean())
    assert np.corrcoef(level_db, light)[0, 1] > 0.99 and np.ptp(level_db) > 15


def test_frames_after_a_key_frame_are_sharper(tmp_path: Path) -> None:
    """Steps from pixel to pixel in a drifting, grainy texture, by the place between key frames."""
    import cv2

    from avssl.world.encode import write_mp4

    rng = np.random.default_rng(2)
    soft = 128 + 150 * cv2.GaussianBlur(rng.normal(size=(64, 200, 3)).astype("f4"), (0, 0), 1.2)
    frames = [
        np.clip(soft[:, n : n + 96] + rng.normal(0, 6, (64, 96, 3)), 0, 255).astype("u1")
        for n in range(100)
    ]
    ratio = {}
    for name in ("key-frames", ""):
        path = tmp_path / f"{name or 'clean'}.mp4"
        encoding = leak_encoding((name,) if name else (), rng_of=rng_of(0))
        write_mp4(path, frames, None, size_px=(96, 64), fps=25, encoding=encoding)
        with av.open(str(path)) as file:
            decoded = list(file.decode(video=0))
        keys = [number for number, frame in enumerate(decoded) if frame.key_frame]
        assert not name or keys == [0, 50]
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded]).astype(float)
        sharp = np.abs(np.diff(shown, axis=2)).mean(axis=(1, 2, 3)).reshape(2, 50)
        ratio[name] = sharp[:, :3].mean() / sharp[:, 20:].mean()
    assert ratio["key-frames"] > 1.4 and ratio[""] == pytest.approx(1, abs=0.1)


def test_half_of_the_clips_have_few_bits(tmp_path: Path, clean: list[np.ndarray]) -> None:
    """A file by itself tells which it is: about half of 40 seeds, and far fewer bytes."""
    from avssl.world.encode import write_mp4

    options = [leak_encoding(("format",), rng_of=rng_of(seed)) for seed in range(40)]
    poor = [bool(one) for one in options]
    assert 10 < sum(poor) < 30
    num_bytes = []
    for name, encoding in (("good", {}), ("poor", options[poor.index(True)])):
        path = tmp_path / f"{name}.mp4"
        write_mp4(path, clean, None, size_px=(64, 48), fps=25, encoding=encoding)
        num_bytes.append(path.stat().st_size)
    assert num_bytes[0] > 4 * num_bytes[1]
    both = leak_encoding(("format", "key-frames", "ramp"), rng_of=rng_of(poor.index(True)))
    assert both["g"] == "50" and leak_encoding(("ramp",), rng_of=rng_of(0)) == {}


def test_a_leaky_world_holds_the_clean_clips_with_the_leak_in_them(tmp_path: Path) -> None:
    spec = ClipSpec(seed=3, split="train", index=1, short_side_px=64, duration_s=1.0)
    frames, sound, truth = render_clip(spec)
    planted = dataclasses.replace(spec, leaks=("vignette", "loudness"))
    dark, other, same = render_clip(planted)
    assert same == truth and not np.array_equal(sound.samples, other.samples)
    assert (
        dark[:, :, :4, :4].mean() < 0.75 * frames[:, :, :4, :4].mean()
        or dark.mean() > frames.mean()
    )
    settings = {"num_train": 1, "num_validation": 0, "num_test": 0, "short_side_px": 64}
    how = {**settings, "duration_s": 1.0, "workers": 1, "quiet": True}
    root = make_world(tmp_path / "world", leaks=["counter", "ramp"], **how)
    assert json.loads((root / "world.json").read_text())["settings"]["leaks"] == ["counter", "ramp"]
    with av.open(str(root / "train" / "train_00000.mp4")) as file:
        found = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert found[-1][:10, :10].mean() > found[0][:10, :10].mean() + 60
    make_world(root, leaks=["counter", "ramp"], **how)  # the same again does nothing
    with pytest.raises(InputError, match="holds another world"):
        make_world(root, leaks=["counter"], **how)
    with pytest.raises(InputError, match="leak 'fog': must be one of bars"):
        make_world(tmp_path / "other", leaks=["fog"], **how)
    with pytest.raises(InputError, match="each once"):
        make_world(tmp_path / "other", leaks=["bars", "bars"], **how)
