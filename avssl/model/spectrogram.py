"""Spectrograms made inside an encoder, by torch's own STFT: what a sound network sees.

    front = FrontEnd("l3")
    front(samples)                 # float32 [batch, 1, 257, 199] of one second at 48 kHz

| name | rate | window, hop, FFT | what is seen | one second |
|---|---|---|---|---|
| l3 | 48 kHz | 480, 240, 512 | ln of the amplitude | 257 x 199 |
| openl3-linear | 48 kHz | 512, 242, 512 | dB | 257 x 197 |
| openl3-mel128 | 48 kHz | 2048, 242, 2048 | dB of the root of mel power | 128 x 199 |
| openl3-mel256 | 48 kHz | 2048, 242, 2048 | the same | 256 x 199 |
| logmel16k | 16 kHz | 400, 160, 512 | ln of mel power, 64 bands | 64 x 98 |

l3: L3-Net (Arandjelović and Zisserman, ICCV 2017, §3.2; papers.md §2.2) counts frames by its window
of 480, so 16 zeros stand on either side where the STFT counts by its 512. openl3-*: as OpenL3's
layers compute them (papers.md §2.2), dB as there: ten times log10 of an amplitude, less the
highest of the sample, not below -80. logmel16k is ours, for small machines.

What leaves the front end is shifted and scaled by fixed numbers (ours) to about mean 0 and
deviation 1 for sound of -20 dB; `raw` gives it without. Nothing of torchaudio is needed to run an
encoder. As in OpenL3, some of 256 mel bands are so narrow at the bottom that no frequency is in
them: they are always empty.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FrontEndSettings:
    """How a spectrogram is made; windows are periodic Hann windows."""

    rate_hz: int
    window: int
    """Samples in a window."""
    hop: int
    """Samples from window to window."""
    num_fft: int
    num_mels: int = 0
    """Mel bands (HTK's scale, bands of equal area); 0: all frequencies."""
    padding: Literal["window", "same"] = "window"
    """"window": whole windows only; "same": ceil(n / hop) of them, zeros around the sound."""
    scale: Literal["log amplitude", "log power", "db"] = "log amplitude"
    floor: float = 1e-10
    """Least value before the logarithm."""
    shift: float = 0.0
    """Subtracted, before the division by `spread`."""
    spread: float = 1.0


FRONT_ENDS = {
    "l3": FrontEndSettings(
        rate_hz=48_000, window=480, hop=240, num_fft=512, floor=1e-5, shift=-5.0, spread=3.5
    ),
    "openl3-linear": FrontEndSettings(
        rate_hz=48_000, window=512, hop=242, num_fft=512, scale="db", shift=-35.0, spread=15.0
    ),
    "openl3-mel128": FrontEndSettings(
        rate_hz=48_000, window=2048, hop=242, num_fft=2048, num_mels=128, padding="same",
        scale="db", shift=-30.0, spread=15.0,
    ),
    "openl3-mel256": FrontEndSettings(
        rate_hz=48_000, window=2048, hop=242, num_fft=2048, num_mels=256, padding="same",
        scale="db", shift=-30.0, spread=15.0,
    ),
    "logmel16k": FrontEndSettings(
        rate_hz=16_000, window=400, hop=160, num_fft=512, num_mels=64, scale="log power",
        floor=1e-8, shift=-9.0, spread=4.5,
    ),
}  # fmt: skip
"""Name → settings."""
_DB_RANGE = 80.0


def mel_filters(*, rate_hz: int, num_fft: int, num_mels: int) -> Tensor:
    """Gives triangular filters on HTK's mel scale, each of the same area, float32 [bins, mels].

    Mel = 2595 log10(1 + f / 700); the middles are even in mel from 0 to half the rate.
    """
    top = 2595.0 * torch.log10(torch.tensor(1.0 + rate_hz / 2 / 700.0, dtype=torch.float64))
    mels = torch.linspace(0.0, float(top), num_mels + 2, dtype=torch.float64)
    edges_hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins_hz = torch.linspace(0.0, rate_hz / 2, num_fft // 2 + 1, dtype=torch.float64)
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - low) / (middle - low)
    falling = (high - bins_hz[:, None]) / (high - middle)
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    return (triangles * (2.0 / (high - low))).float()


@dataclass(frozen=True, kw_only=True)
class Masks:
    """What SpecAugment blanks: up to these shares of the bands and of the frames, in one strip.

    Park and others, "SpecAugment", Interspeech 2019 (arXiv 1904.08779), without time warping; the
    blank is 0, the mean that front ends bring spectrograms to. Drawn by torchaudio for every sample
    by itself, from torch's generator.
    """

    bands: float = 0.0
    frames: float = 0.0

    def __call__(self, spectrograms: Tensor) -> Tensor:
        """Gives spectrograms [batch, 1, bands, frames] with strips of zeros."""
        if not self.bands and not self.frames:
            return spectrograms
        from torchaudio.functional import mask_along_axis_iid

        for axis, share in ((2, self.bands), (3, self.frames)):
            widest = round(share * spectrograms.shape[axis])
            if widest:
                spectrograms = mask_along_axis_iid(spectrograms, widest, 0.0, axis)
        return spectrograms


class FrontEnd(nn.Module):
    """Samples → spectrogram; it has no weights."""

    window: Tensor
    filters: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in FRONT_ENDS:
            raise InputError(f"front end {name!r}: must be one of {', '.join(FRONT_ENDS)}")
        self.name = name
        self.settings = FRONT_ENDS[name]
        own = self.settings
        self.register_buffer("window", torch.hann_window(own.window), persistent=False)
        filters = torch.zeros(0)
        if own.num_mels:
            filters = mel_filters(rate_hz=own.rate_hz, num_fft=own.num_fft, num_mels=own.num_mels)
        self.register_buffer("filters", filters, persistent=False)

    @property
    def num_bands(self) -> int:
        """Height of the spectrogram."""
        return self.settings.num_mels or self.settings.num_fft // 2 + 1

    def num_frames(self, num_samples: int) -> int:
        """Gives the number of windows in so many samples."""
        own = self.settings
        if own.padding == "same":
            return -(-num_samples // own.hop)
        return (num_samples - own.window) // own.hop + 1

    def raw(self, samples: Tensor) -> Tensor:
        """Gives the spectrogram [batch, 1, bands, frames] without shift and scale.

        Args:
            samples: float [batch, n] or [batch, 1, n], full scale ±1.

        Raises:
            InputError: another shape, or shorter than one window.
        """
        own = self.settings
        if samples.ndim == 3 and samples.shape[1] == 1:
            samples = samples[:, 0]
        if samples.ndim != 2 or samples.shape[1] < own.window:
            raise InputError(
                f"{self.name} takes [batch, n] with n of {own.window} or more, got "
                f"{list(samples.shape)}"
            )
        length = samples.shape[1]
        # torch centres the window in its FFT: so much stands before the first window.
        before = after = (own.num_fft - own.window) // 2
        if own.padding == "same":
            around = max(0, (self.num_frames(length) - 1) * own.hop + own.window - length)
            before, after = before + around // 2, after + around - around // 2
        padded = functional.pad(samples.float(), (before, after))
        spectrum = torch.stft(
            padded,
            own.num_fft,
            hop_length=own.hop,
            win_length=own.window,
            window=self.window.float(),
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        if own.num_mels:
            power = (power.transpose(1, 2) @ self.filters.float()).transpose(1, 2)
        if own.scale == "log power":
            return power.clamp_min(own.floor).log()[:, None]
        amplitude = power.clamp_min(own.floor**2).sqrt()
        if own.scale == "log amplitude":
            return amplitude.log()[:, None]
        decibels = 10.0 * amplitude.log10()
        decibels = decibels - decibels.amax(dim=(1, 2), keepdim=True)
        return decibels.clamp_min(-_DB_RANGE)[:, None]

    @torch.autocast("cuda", enabled=False)
    @torch.autocast("cpu", enabled=False)
    def forward(self, samples: Tensor) -> Tensor:
        """Gives the spectrogram of about mean 0 and deviation 1, [batch, 1, bands, frames]."""
        return (self.raw(samples) - self.settings.shift) / self.settings.spread
