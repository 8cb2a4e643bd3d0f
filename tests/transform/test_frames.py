"""Crops and colours against PIL and torchvision, and the promises about their draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from avssl.transform.frames import ColorChange, crop_resize, draw_box, draw_color, jitter_box


def smooth_frames(num: int = 2, height_px: int = 96, width_px: int = 128) -> np.ndarray:
    """Pictures with soft structure in the middle of the range, uint8 [T, 3, H, W]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(70, 180, size=(num, height_px // 8, width_px // 8, 3), dtype=np.uint8)
    big = [
        np.asarray(Image.fromarray(one).resize((width_px, height_px), Image.Resampling.BICUBIC))
        for one in coarse
    ]
    return np.stack(big).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("side", "size_px"), [(96, 48), (96, 32), (90, 30), (64, 64)])
def test_shrinking_by_whole_numbers_is_the_mean_of_areas(side: int, size_px: int) -> None:
    frames = np.random.default_rng(1).integers(0, 256, size=(2, 3, 96, 128), dtype=np.uint8)
    found = crop_resize(frames, (8, 3 if side < 93 else 0, side), size_px=size_px)
    top = 3 if side < 93 else 0
    n = side // size_px
    blocks = frames[:, :, top : top + side, 8 : 8 + side].reshape(2, 3, size_px, n, size_px, n)
    assert np.abs(found - blocks.mean(axis=(3, 5))).max() <= 0.5 + 1e-9


def test_any_shrinking_equals_pillow() -> None:
    frames = smooth_frames()
    found = crop_resize(frames, (10, 5, 83), size_px=64)
    for frame, ours in zip(frames, found, strict=True):
        cut = Image.fromarray(frame.transpose(1, 2, 0)).crop((10, 5, 93, 88))
        reference = np.asarray(cut.resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        difference = np.abs(ours.astype(int) - reference)
        assert difference.mean() < 1 and difference.max() <= 6


def test_enlarging_equals_torchvision() -> None:
    frames = smooth_frames()
    found = crop_resize(frames, (20, 10, 50), size_px=80)
    cut = torch.from_numpy(frames[:, :, 10:60, 20:70])
    reference = tv.resize(cut, [80, 80], antialias=False).numpy()
    assert np.abs(found.astype(int) - reference).max() <= 1


def test_flip_mirrors_and_the_source_stays_as_it_was() -> None:
    frames = smooth_frames()
    before = frames.copy()
    plain = crop_resize(frames, (0, 0, 96), size_px=96)
    flipped = crop_resize(frames, (0, 0, 96), size_px=96, flip=True)
    assert np.array_equal(plain, frames[..., :96])
    assert np.array_equal(flipped, plain[..., ::-1])
    plain[:] = 0
    assert np.array_equal(frames, before)


@pytest.mark.parametrize(
    ("change", "reference"),
    [
        (ColorChange(brightness=1.25), lambda x: tv.adjust_brightness(x, 1.25)),
        (ColorChange(contrast=0.6), lambda x: tv.adjust_contrast(x, 0.6)),
        (ColorChange(contrast=1.3), lambda x: tv.adjust_contrast(x, 1.3)),
        (ColorChange(saturation=0.0), lambda x: tv.rgb_to_grayscale(x, num_output_channels=3)),
        (ColorChange(saturation=1.4), lambda x: tv.adjust_saturation(x, 1.4)),
        (
            ColorChange(brightness=0.9, contrast=1.2, saturation=0.7),
            lambda x: tv.adjust_saturation(
                tv.adjust_contrast(tv.adjust_brightness(x, 0.9), 1.2), 0.7
            ),
        ),
    ],
)
def test_colour_changes_equal_torchvision(change: ColorChange, reference) -> None:
    frames = smooth_frames()
    # In floating point: on uint8 torchvision cuts off after every step.
    expected = 255 * reference(torch.from_numpy(frames).float() / 255).numpy()
    assert np.abs(change.apply(frames) - expected).max() <= 0.55


def test_channels_are_scaled_shifted_and_clipped() -> None:
    frames = np.array([0, 100, 250], dtype=np.uint8).reshape(1, 3, 1, 1).repeat(4, axis=3)
    change = ColorChange(channel_gains=(1.0, 0.8, 1.2), channel_shifts=(-5.0, 3.0, 5.0))
    assert change.apply(frames)[0, :, 0, 0].tolist() == [0, 83, 255]


def test_no_strength_is_no_change() -> None:
    rng = np.random.default_rng(0)
    strengths = dict.fromkeys(
        ("brightness", "contrast", "saturation", "channel_gain", "channel_shift"), 0.0
    )
    change = draw_color(**strengths, grey_probability=0.0, rng=rng)
    assert change == ColorChange()
    frames = smooth_frames()
    assert np.array_equal(change.apply(frames), frames)


def test_a_grey_picture_stays_grey_under_channel_changes() -> None:
    change = draw_color(
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        channel_gain=0.2,
        channel_shift=5,
        grey_probability=1.0,
        rng=np.random.default_rng(2),
    )
    grey = change.apply(smooth_frames()).astype(int)
    assert np.abs(grey - grey.mean(axis=1, keepdims=True)).max() <= 1


def test_strengths_do_not_move_the_draws_that_follow() -> None:
    def following(strength: float) -> float:
        rng = np.random.default_rng(3)
        draw_color(
            brightness=strength,
            contrast=strength,
            saturation=strength,
            channel_gain=strength,
            channel_shift=strength,
            grey_probability=strength,
            rng=rng,
        )
        box = draw_box(height_px=90, width_px=120, scale=(1 - strength, 1), rng=rng)
        jitter_box(box, height_px=90, width_px=120, jitter=strength, rng=rng)
        return rng.random()

    assert following(0.0) == following(0.3) == following(0.9)


@given(
    height_px=st.integers(8, 300),
    width_px=st.integers(8, 300),
    low=st.floats(0.1, 1),
    high=st.floats(0, 1),
    jitter=st.floats(0, 0.5),
    bars=st.tuples(*[st.integers(0, 3)] * 4),
    seed=st.integers(0, 999),
)
@settings(max_examples=150, deadline=None)
def test_boxes_stay_inside_the_picture_and_clear_of_bars(
    height_px: int,
    width_px: int,
    low: float,
    high: float,
    jitter: float,
    bars: tuple[int, ...],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    place = {"height_px": height_px, "width_px": width_px, "borders_px": bars}
    scale = (low, max(low, high))
    box = draw_box(scale=scale, rng=rng, **place)  # type: ignore[arg-type]
    short = min(width_px - bars[0] - bars[2], height_px - bars[1] - bars[3])
    assert scale[0] * short - 1e-6 <= box[2] <= scale[1] * short + 1e-6
    moved = jitter_box(box, jitter=jitter, rng=rng, **place)  # type: ignore[arg-type]
    for left, top, side in (box, moved):
        assert left >= bars[0] - 1e-6 and top >= bars[1] - 1e-6
        assert left + side <= width_px - bars[2] + 1e-6
        assert top + side <= height_px - bars[3] + 1e-6
    assert abs(moved[2] - box[2]) <= jitter * box[2] + 1e-6
    frames = np.zeros((1, 3, height_px, width_px), dtype=np.uint8)
    assert crop_resize(frames, moved, size_px=5).shape == (1, 3, 5, 5)
