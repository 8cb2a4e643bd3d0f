"""Drawn sounds against tones whose place is known; verdicts against their words and colours."""

import numpy as np
import pytest

from avssl.transform.drawing_pairs import draw_pairs, spectrogram_picture
from avssl.transform.drawing_strips import RIGHT, WRONG, draw_verdicts, verdict

RATE_HZ = 16_000


def tone(frequency_hz: float, *, from_s: float, to_s: float) -> np.ndarray:
    at_s = np.arange(RATE_HZ) / RATE_HZ
    return (np.sin(2 * np.pi * frequency_hz * at_s) * ((at_s >= from_s) & (at_s < to_s))).astype(
        np.float32
    )


@pytest.mark.parametrize("frequency_hz", [200.0, 1000.0, 5000.0])
def test_a_tone_is_bright_at_its_frequency_and_time(frequency_hz: float) -> None:
    sound = tone(frequency_hz, from_s=0.5, to_s=1.0)
    picture = spectrogram_picture(sound, rate_hz=RATE_HZ, width_px=200, height_px=96)
    assert picture.shape == (96, 200, 3) and picture.dtype == np.uint8
    light = picture.sum(axis=2).astype(float)
    assert light[:, :90].max() < 30  # silence before it
    rows = light[:, 120:190].mean(axis=1)
    # rows are even on a logarithmic scale of bins of 40 Hz, from 1 to 200, from the bottom
    expected = 95 - 95 * np.log(frequency_hz / 40) / np.log(200)
    assert abs(int(rows.argmax()) - expected) < 6


def test_silence_is_black() -> None:
    picture = spectrogram_picture(np.zeros(400, np.float32), rate_hz=8000, width_px=20, height_px=9)
    assert picture.shape == (9, 20, 3) and not picture.any()


@pytest.mark.parametrize(
    ("odds", "label", "words", "color"),
    [
        (np.log(3), 1, "it says yes (75%), it is yes", RIGHT),
        (np.log(3), 0, "it says yes (75%), it is no", WRONG),
        (-np.log(9), 0, "it says no (90%), it is no", RIGHT),
        (-1e4, 1, "it says no (100%), it is yes", WRONG),
    ],
)
def test_verdicts(odds: float, label: int, words: str, color: tuple[int, int, int]) -> None:
    assert verdict(odds, label, ("no", "yes")) == (words, color)


def test_pairs_and_runs_are_framed_by_their_verdict() -> None:
    odds, labels = np.array([2.0, 2.0]), np.array([1, 0])
    frames = np.full((2, 3, 32, 32), 77, np.uint8)
    sounds = np.stack([tone(440, from_s=0, to_s=1)] * 2)
    pairs = draw_pairs(frames, sounds, odds, labels, ("no", "yes"), rate_hz=RATE_HZ)
    clips = np.repeat(frames[:, :, None], 8, axis=2)
    moving = draw_pairs(clips, sounds, odds, labels, ("no", "yes"), rate_hz=RATE_HZ)
    runs = draw_verdicts(np.repeat(frames[:, None], 3, axis=1), odds, labels, ("no", "yes"))
    for sheets, num_pictures in ((pairs, 1), (moving, 4), (runs, 3)):
        for sheet, color in zip(sheets, (RIGHT, WRONG), strict=True):
            rim = sheet[19]  # first line below the words: the upper rims
            assert np.all(rim == color, axis=1).sum() == num_pictures * (96 + 6)
            assert np.all(sheet == 77, axis=2).sum() >= num_pictures * 96 * 96
