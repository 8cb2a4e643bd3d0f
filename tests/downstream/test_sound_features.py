"""Windows, loudness, silence, log-mel statistics against librosa, what files give."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from avssl.downstream.sound_features import (
    Listening,
    cut_sound,
    encode,
    log_mel,
    log_mel_statistics,
    read_samples,
)
from avssl.errors import InputError, MediaError
from avssl.transform.sound import rms

NOISE = (0.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
HOW = Listening(rate_hz=16_000, window_s=1.0, hop_s=0.5, loudness_db=None)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_log_mel_statistics_equal_librosas(rate_hz: int) -> None:
    librosa = pytest.importorskip("librosa")
    sound = NOISE * np.linspace(0.01, 1, len(NOISE), dtype=np.float32)
    window = rate_hz // 40
    # librosa centres a window in a longer FFT: give it each frame by itself, zeros behind
    num_fft = 1 << (window - 1).bit_length()
    frames = librosa.util.frame(sound, frame_length=window, hop_length=rate_hz // 100)
    shaped = frames * librosa.filters.get_window("hann", window, fftbins=True)[:, None]
    spectrum = np.abs(np.fft.fft(shaped, n=num_fft, axis=0)[: num_fft // 2 + 1]) ** 2
    filters = librosa.filters.mel(
        sr=rate_hz, n_fft=num_fft, n_mels=64, htk=True, norm="slaney", dtype=np.float64
    )
    expected = np.log(np.maximum(filters @ spectrum, 1e-8))
    found = log_mel(sound, rate_hz=rate_hz)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-3)
    deltas = librosa.feature.delta(expected, width=9)
    parts = [part for values in (expected, deltas) for part in (values.mean(1), values.std(1))]
    statistics = log_mel_statistics(sound, rate_hz=rate_hz)
    assert statistics.shape == (256,) and statistics.dtype == np.float32
    np.testing.assert_allclose(statistics, np.concatenate(parts), atol=2e-3)


def test_a_delta_is_the_slope_of_a_line() -> None:
    """A tone that fades by 20 dB a second: all deltas are ln(100) / 100 a frame."""
    times_s = np.arange(32_000) / 16_000
    sound = np.sin(2 * np.pi * 1000 * times_s) * 10 ** (-times_s)
    statistics = log_mel_statistics(sound.astype(np.float32), rate_hz=16_000)
    loudest = int(statistics[:64].argmax())
    assert statistics[128 + loudest] == pytest.approx(-np.log(100) / 100, rel=1e-3)
    assert statistics[192 + loudest] == pytest.approx(0, abs=1e-3)


def test_windows_are_evenly_spaced_from_end_to_end() -> None:
    ramp = np.arange(5 * 16_000, dtype=np.float32) % 977 / 977
    cut = cut_sound(ramp, HOW)
    assert cut.windows.shape == (9, 16_000)  # 5 s: every half second
    for number, window in enumerate(cut.windows):
        assert np.array_equal(window, ramp[8000 * number : 8000 * number + 16_000])
    odd = cut_sound(ramp[: 16_000 + 8001], HOW)  # one sample more than two windows reach
    assert len(odd.windows) == 3 and np.array_equal(odd.windows[-1], ramp[8001 : 8001 + 16_000])
    assert cut.audible.all() and odd.audible.all()


def test_a_short_sound_is_repeated() -> None:
    cut = cut_sound(NOISE[:7000], HOW)
    assert np.array_equal(cut.windows, np.tile(NOISE[:7000], 3)[None, :16_000])
    one = cut_sound(np.array([0.5], dtype=np.float32), HOW)
    assert one.silent and one.windows.shape == (1, 16_000)  # a constant: nothing to be heard


def test_silence() -> None:
    """A second of sound among silence, as ESC-50 pads its clips."""
    clip = np.zeros(5 * 16_000, dtype=np.float32)
    clip[16_000:32_000] = NOISE[:16_000]
    cut = cut_sound(clip, HOW)
    assert len(cut.windows) == 3 and cut.num_silent == 6 and not cut.silent
    assert cut.audible.nonzero()[0][[0, -1]].tolist() == [8000, 40_000 - 1]
    floor = log_mel_statistics(cut.samples, rate_hz=16_000, audible=cut.audible)
    alone = log_mel_statistics(clip[8000:40_000], rate_hz=16_000)
    np.testing.assert_allclose(floor[:128], alone[:128], atol=0.1)
    nothing = cut_sound(clip * 0, HOW)
    assert nothing.silent and len(nothing.windows) == 9
    assert np.isfinite(log_mel_statistics(nothing.samples, rate_hz=16_000)).all()


def test_loudness() -> None:
    how = Listening(rate_hz=16_000, window_s=1.0, hop_s=1.0, loudness_db=-20.0)
    quiet, loud = cut_sound(0.01 * NOISE[:16_000] + 0.2, how), cut_sound(NOISE[:16_000] * 3, how)
    np.testing.assert_allclose(quiet.windows, loud.windows, atol=1e-4)
    np.testing.assert_allclose(quiet.samples, loud.samples, atol=1e-4)
    assert rms(quiet.windows[0]) == pytest.approx(0.1, rel=1e-4)
    kept = cut_sound(0.01 * NOISE[:16_000], HOW)
    assert np.array_equal(kept.windows[0], 0.01 * NOISE[:16_000])


class _Fake(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples[:, :5] * self.scale

    def features(self, samples: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"conv4": samples[:, : 2 * 32 * 24].reshape(-1, 2, 32, 24)}


def test_features_of_windows() -> None:
    windows = NOISE[: 40 * 1600].reshape(-1, 1600)
    assert np.array_equal(encode(_Fake(), windows), windows[:, :5])
    # L3-Net: 32 x 24 places, the highest of every 8 x 8
    maps = torch.from_numpy(windows[:, :1536].reshape(-1, 2, 32, 24).copy())
    expected = functional.max_pool2d(maps, 8).flatten(1).numpy()
    found = encode(_Fake(), windows, layer="conv4")
    assert found.shape == (len(windows), 24) and np.array_equal(found, expected)


def write_wav(path: Path, samples: np.ndarray, *, rate_hz: int) -> Path:
    """Writes float [n] or [n, channels] as 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def test_what_files_give(tmp_path: Path) -> None:
    times_s = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * times_s)
    stereo = np.column_stack([tone, 0 * tone])
    found, longer = read_samples(
        write_wav(tmp_path / "a.wav", stereo, rate_hz=44_100), rate_hz=16_000
    )
    assert found.shape == (16_000,) and not longer
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=1e-3)
    hour = write_wav(tmp_path / "b.wav", np.zeros(70 * 8000), rate_hz=8000)
    found, longer = read_samples(hour, rate_hz=8000)
    assert len(found) == 60 * 8000 and longer


def test_files_that_give_no_sound(tmp_path: Path) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "nan.wav", 16_000, np.full(16_000, np.nan, dtype=np.float32))
    write_wav(tmp_path / "empty.wav", np.zeros(0), rate_hz=16_000)
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "zero.wav").touch()
    cases = {
        "nan.wav": "no numbers", "empty.wav": "no sample|cannot be", "text.wav": "cannot be opened",
        "zero.wav": "cannot be opened", "nowhere.wav": "cannot be opened",
    }  # fmt: skip
    for name, reason in cases.items():
        with pytest.raises(MediaError, match=reason) as caught:
            read_samples(tmp_path / name, rate_hz=16_000)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    for wrong in ({"window_s": 0.0}, {"window_s": 1e9}, {"hop_s": float("nan")}):
        with pytest.raises(InputError, match="must be"):
            Listening(**{"rate_hz": 16_000, "window_s": 1.0, "hop_s": 0.5, **wrong})
