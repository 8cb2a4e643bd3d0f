"""Spectrograms against torchaudio, librosa and a plain sum over samples."""

import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.model.spectrogram import FRONT_ENDS, FrontEnd, Masks, mel_filters


def noise(rate_hz: int, *, num: int = 2, seconds: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    times_s = torch.arange(int(rate_hz * seconds)) / rate_hz
    tones = 0.3 * torch.sin(2 * math.pi * torch.tensor([[440.0], [1234.5]])[:num] * times_s)
    return tones + 0.05 * torch.randn(num, len(times_s), generator=generator)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("l3", (257, 199)),  # the paper's formula: (48000 - 480) / 240 + 1
        ("openl3-linear", (257, 197)),  # the papers' notes, papers.md 2.2
        ("openl3-mel128", (128, 199)),
        ("openl3-mel256", (256, 199)),
        ("logmel16k", (64, 98)),
    ],
)
def test_one_second_has_the_papers_size(name: str, shape: tuple[int, int]) -> None:
    front = FrontEnd(name)
    samples = noise(front.settings.rate_hz)
    seen = front(samples)
    assert seen.shape == (2, 1, *shape) and seen.dtype == torch.float32
    assert (front.num_bands, front.num_frames(samples.shape[1])) == shape
    assert torch.equal(seen, front(samples[:, None]))
    assert not list(front.parameters()) and not front.state_dict()


@pytest.mark.filterwarnings("ignore:Empty filters")  # of OpenL3's 256 bands: so it is
@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_equals_librosa_and_torchaudio(name: str) -> None:
    front, own = FrontEnd(name), FRONT_ENDS[name]
    samples = noise(own.rate_hz)
    length = samples.shape[1]
    before = (own.num_fft - own.window) // 2
    after = before
    if own.padding == "same":  # Keras: the odd one goes to the end
        total = (math.ceil(length / own.hop) - 1) * own.hop + own.window - length
        before, after = before + total // 2, after + total - total // 2
    padded = torch.nn.functional.pad(samples, (before, after))
    power = torchaudio.transforms.Spectrogram(
        n_fft=own.num_fft, win_length=own.window, hop_length=own.hop, center=False, power=2.0
    )(padded)
    ours = front.raw(samples)[:, 0].double().numpy()
    spectra = np.stack(
        [
            librosa.stft(
                row.double().numpy(), n_fft=own.num_fft, win_length=own.window,
                hop_length=own.hop, center=False,
            )
            for row in padded
        ]
    )  # fmt: skip
    for found in (power.double().numpy(), np.abs(spectra) ** 2):
        if own.num_mels:
            bank = librosa.filters.mel(
                sr=own.rate_hz, n_fft=own.num_fft, n_mels=own.num_mels, htk=True, norm="slaney",
                dtype=np.float64,
            )  # fmt: skip
            found = np.einsum("mf,bft->bmt", bank, found)
        if own.scale == "log power":
            wanted, got = np.maximum(found, own.floor), np.exp(ours)
        elif own.scale == "log amplitude":
            wanted, got = np.maximum(np.sqrt(found), own.floor), np.exp(ours)
        else:
            amplitude = np.maximum(np.sqrt(found), own.floor)
            relative = amplitude / amplitude.max(axis=(1, 2), keepdims=True)
            wanted, got = np.maximum(relative, 1e-8), 10.0 ** (ours / 10)
        # 1e-4 of the value, or of the mean where a cell is nearly empty (float32)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * wanted.mean())


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_filters_are_torchaudios_too() -> None:
    for rate_hz, num_fft, num_mels in ((16_000, 512, 64), (48_000, 2048, 256)):
        wanted = torchaudio.functional.melscale_fbanks(
            num_fft // 2 + 1, 0.0, rate_hz / 2, num_mels, rate_hz, norm="slaney", mel_scale="htk"
        )
        found = mel_filters(rate_hz=rate_hz, num_fft=num_fft, num_mels=num_mels)
        # torchaudio computes its edges in float32: 1e-6 of peaks of 0.01 to 0.1
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_window_is_the_plain_sum() -> None:
    """Window 7 of "l3" is that of samples 7 * 240 … + 480, wherever the FFT's zeros stand."""
    samples = noise(48_000, num=1)
    part = samples[0, 7 * 240 : 7 * 240 + 480].double()
    place = torch.arange(480, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * place / 480)
    turn = torch.exp(-2j * math.pi * 31 * place / 512)
    wanted = (part * window * turn).sum().abs().log()
    found = FrontEnd("l3").raw(samples)[0, 0, 31, 7].double()
    assert abs(float(found - wanted)) < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(FRONT_ENDS)), st.integers(2048, 9000))
def test_any_length_gives_the_frames_that_are_said(name: str, length: int) -> None:
    front = FrontEnd(name)
    assert front(torch.zeros(1, length)).shape[-1] == front.num_frames(length)


def test_silence_and_wrong_shapes() -> None:
    for name in FRONT_ENDS:
        front = FrontEnd(name)
        assert torch.isfinite(front(torch.zeros(1, 48_000))).all()
        for shape in ((48_000,), (2, 2, 48_000), (1, front.settings.window - 1)):
            with pytest.raises(InputError, match=r"takes \[batch, n\]"):
                front(torch.zeros(*shape))
    with pytest.raises(InputError, match="must be one of l3, openl3-linear"):
        FrontEnd("l4")


def test_masks_blank_one_strip_of_bands_and_frames_of_each_sample() -> None:
    pictures = torch.ones(400, 1, 64, 98)
    torch.manual_seed(3)
    found = Masks(bands=0.25, frames=0.1)(pictures)[:, 0]
    torch.manual_seed(3)
    assert torch.equal(found, Masks(bands=0.25, frames=0.1)(pictures)[:, 0])
    bands, frames = (found.amax(dim=axis) == 0 for axis in (2, 1))
    for empty, widest in ((bands, 16), (frames, 10)):
        widths = empty.sum(dim=1)
        assert widths.max() <= widest and widths.min() == 0
        assert float(widths.float().mean()) == pytest.approx(widest / 2, rel=0.15)  # drawn evenly
        starts = (empty.int().diff(dim=1) == 1).sum(dim=1) + empty[:, 0]
        assert starts.max() == 1  # one strip
    assert torch.equal(found == 0, bands[:, :, None] | frames[:, None, :])  # and nothing else
    assert torch.equal(Masks()(pictures), pictures)


def test_masks_are_for_training_only() -> None:
    encoder = build_encoder("logmel16k/small", stream="sound", seed=0)
    samples, masks = noise(16_000), Masks(bands=0.5, frames=0.5)
    torch.manual_seed(1)
    encoder.train()
    assert not torch.equal(encoder(samples, masks), encoder(samples))
    encoder.eval()
    assert torch.equal(encoder(samples, masks), encoder(samples))
