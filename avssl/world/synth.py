"""Sounds of things, made note by note: decaying partials, plucked strings, breath, noise bursts.

Every note starts exactly at its time: nothing of it is heard before, and its energy rises within
a few milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Note:
    """One sound event."""

    time_s: float
    strength: float
    """0…1: how hard."""
    pitch: float = 0.5
    """0…1: from the lowest to the highest that the instrument plays."""
    length_s: float = 0.3
    """How long a sustained note is held; struck things ring by themselves."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What makes one instrument sound different from another of its kind."""

    base_hz: float
    """Lowest pitch."""
    octaves: float
    """From the lowest to the highest pitch."""
    decay_s: float
    bright: float
    """0…1: share of the high partials."""
    partials: tuple[float, ...]
    """Frequencies of the partials against the first."""
    noise: float
    """Strength of the noise in the attack."""


_PARTIALS = {
    "drum": (1.0, 1.59, 2.14, 2.30, 2.65),
    "cymbal": (1.0, 1.34, 1.87, 2.41, 3.13, 3.77, 4.31, 5.23, 6.47, 7.9),
    "bell": (0.5, 1.0, 1.19, 1.5, 2.0, 2.66, 3.01, 4.1),
    "xylophone": (1.0, 3.93, 9.24),
    "keyboard": (1.0, 2.001, 3.004, 4.01, 5.02, 6.035),
    "guitar": (1.0,),
    "flute": (1.0, 2.0, 3.0, 4.0),
    "ball": (1.0, 1.71, 2.6),
    "clock": (1.0, 1.53, 2.31, 3.7),
    "hammer": (1.0, 1.47, 2.09, 2.56, 3.9, 5.1),
    "footsteps": (1.0, 1.8),
}
_RANGES = {  # base Hz, octaves, decay s, bright, noise
    "drum": ((70, 170), 0.4, (0.12, 0.35), (0.3, 0.6), (0.3, 0.7)),
    "cymbal": ((900, 2200), 0.2, (0.35, 1.1), (0.7, 1.0), (0.8, 1.2)),
    "bell": ((380, 1100), 0.0, (0.5, 1.4), (0.4, 0.8), (0.02, 0.08)),
    "xylophone": ((420, 780), 1.5, (0.12, 0.32), (0.2, 0.5), (0.05, 0.15)),
    "keyboard": ((150, 280), 1.6, (0.35, 0.8), (0.3, 0.7), (0.02, 0.08)),
    "guitar": ((95, 180), 1.5, (0.3, 0.9), (0.3, 0.8), (0.0, 0.05)),
    "flute": ((420, 720), 1.2, (0.05, 0.08), (0.1, 0.35), (0.04, 0.12)),
    "ball": ((90, 240), 0.3, (0.05, 0.11), (0.2, 0.5), (0.2, 0.5)),
    "clock": ((1500, 3200), 0.15, (0.012, 0.03), (0.5, 0.9), (0.3, 0.6)),
    "hammer": ((700, 1700), 0.1, (0.12, 0.35), (0.6, 1.0), (0.3, 0.6)),
    "footsteps": ((60, 120), 0.2, (0.03, 0.07), (0.1, 0.3), (0.5, 0.9)),
}
KINDS = tuple(_PARTIALS)


def draw_voice(rng: np.random.Generator, kind: str) -> Voice:
    """Draws the voice of one instrument of a kind."""
    (low, high), octaves, decay, bright, noise = _RANGES[kind]
    detuned = [value * np.exp(rng.normal(0, 0.012)) for value in _PARTIALS[kind]]
    return Voice(
        base_hz=float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        octaves=octaves,
        decay_s=rng.uniform(*decay),
        bright=rng.uniform(*bright),
        partials=(_PARTIALS[kind][0], *(float(value) for value in detuned[1:])),
        noise=rng.uniform(*noise),
    )


def _attack(times_s: Floats, rise_s: float) -> Floats:
    return np.minimum(times_s / rise_s, 1.0)


def _noise(rng: np.random.Generator, count: int, *, low_hz: float, high_hz: float) -> Floats:
    """Noise between two frequencies, standard deviation 1."""
    size = 1 << max(count - 1, 1).bit_length()  # fast to transform
    spectrum = np.fft.rfft(rng.standard_normal(size))
    freq = np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum[(freq < low_hz) | (freq > high_hz)] = 0
    result = np.fft.irfft(spectrum, size)[:count]
    return result / (result.std() + 1e-12)


def _struck(rng: np.random.Generator, kind: str, voice: Voice, note: Note, hz: float) -> Floats:
    count = int(min(6.0 * voice.decay_s, 3.0) * RATE_HZ)
    times_s = np.arange(count) / RATE_HZ
    sweep = 1.0
    if kind in ("drum", "ball", "footsteps"):  # the skin is tighter just after the blow
        sweep = 1.0 + 0.5 * 0.03 / np.maximum(times_s, 1e-4) * (1 - np.exp(-times_s / 0.03))
    sound = np.zeros(count)
    for number, ratio in enumerate(voice.partials):
        if hz * ratio > 0.42 * RATE_HZ:
            continue
        level = voice.bright ** (number * (1.6 - note.strength))
        fade = np.exp(-times_s * (1 + 0.55 * number) / voice.decay_s)
        phase = rng.uniform(0, 2 * np.pi)
        sound += level * fade * np.sin(2 * np.pi * hz * ratio * times_s * sweep + phase)
    sound /= np.sqrt(len(voice.partials))
    low, high, hiss_s = {
        "cymbal": (3000.0, 16000.0, 0.8 * voice.decay_s),
        "hammer": (1500.0, 12000.0, 0.02),
        "clock": (1800.0, 9000.0, 0.006),
        "footsteps": (80.0, 2500.0, 0.03),
    }.get(kind, (200.0, 6000.0, 0.018))
    sound += voice.noise * _noise(rng, count, low_hz=low, high_hz=high) * np.exp(-times_s / hiss_s)
    return sound * _attack(times_s, 0.0008)


def _plucked(rng: np.random.Generator, voice: Voice, note: Note, hz: float) -> Floats:
    """A string after Karplus and Strong, one period at a time."""
    count = int(min(5.0 * voice.decay_s, 2.5) * RATE_HZ)
    period = max(round(RATE_HZ / hz), 2)
    wave = rng.uniform(-1, 1, period)
    softness = 0.5 * (1 - voice.bright)
    wave = (1 - softness) * wave + softness * np.roll(wave, 1)
    periods = []
    loss = np.exp(-period / RATE_HZ / voice.decay_s)
    for _ in range(count // period + 1):
        periods.append(wave)
        wave = loss * (0.5 * wave + 0.5 * np.roll(wave, 1))
    sound = np.concatenate(periods)[:count]
    return 1.6 * sound * _attack(np.arange(count) / RATE_HZ, 0.0008)


def _blown(rng: np.random.Generator, voice: Voice, note: Note, hz: float) -> Floats:
    count = int((note.length_s + 0.08) * RATE_HZ)
    times_s = np.arange(count) / RATE_HZ
    vibrato = 0.004 * np.sin(2 * np.pi * 5.2 * times_s + rng.uniform(0, 6.0))
    phase = 2 * np.pi * np.cumsum(hz * (1 + vibrato)) / RATE_HZ
    sound = sum(voice.bright**n * np.sin((n + 1) * phase) for n in range(len(voice.partials)))
    sound = sound + voice.noise * _noise(rng, count, low_hz=hz, high_hz=9000.0)
    fade = np.clip((count / RATE_HZ - times_s) / 0.07, 0.0, 1.0)
    return 0.6 * sound * _attack(times_s, 0.012) * fade


def play(
    rng: np.random.Generator,
    kind: str,
    voice: Voice,
    notes: Sequence[Note],
    *,
    num_samples: int,
) -> Floats:
    """Gives float64 [num_samples] at `RATE_HZ`: all the notes of one thing."""
    sound = np.zeros(num_samples)
    for note in notes:
        start = round(note.time_s * RATE_HZ)
        if not 0 <= start < num_samples:
            continue
        hz = voice.base_hz * 2.0 ** (voice.octaves * note.pitch)
        if kind == "guitar":
            piece = _plucked(rng, voice, note, hz)
        elif kind == "flute":
            piece = _blown(rng, voice, note, hz)
        else:
            piece = _struck(rng, kind, voice, note, hz)
        piece = piece[: num_samples - start]
        sound[start : start + len(piece)] += (0.25 + 0.75 * note.strength) * piece
    return sound


def finish(
    rng: np.random.Generator, sound: Floats, *, room_s: float, wet: float, hiss_db: float
) -> NDArray[np.float32]:
    """Adds the room's echo and a quiet hiss, limits, gives float32 [1, n]."""
    from scipy.signal import fftconvolve

    peak = np.abs(sound).max()
    if peak > 0:
        sound = sound * (0.5 / peak)
    tail = np.arange(int(room_s * RATE_HZ)) / RATE_HZ
    echo = rng.standard_normal(len(tail)) * np.exp(-6.9 * tail / room_s)
    echo[: int(0.004 * RATE_HZ)] = 0.0
    echo *= wet / np.linalg.norm(echo)
    sound = sound + fftconvolve(sound, echo)[: len(sound)]
    sound = sound + 10 ** (hiss_db / 20) * rng.standard_normal(len(sound))
    return np.tanh(sound).astype(np.float32)[None]
