"""How a network could cheat on pictures with sound, what stops it, and numbers that show it.

A probe takes (plan, example) to float64 [k]; see `avssl.records.Shortcut`.
"""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import measure
from avssl.transform.sound import rms

_NUM_BITS = 12
_TINY = 1e-12


def probe_grid(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Sine and cosine of where the sound starts between two frames, and in its codec's packet."""
    target: Any = plan.target
    angles = (2 * math.pi * target["frame_phase"], 2 * math.pi * target["packet_phase"])
    return np.array([turn(angle) for angle in angles for turn in (math.sin, math.cos)])


def probe_recording(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Twelve digits ±1 that stand for the recording whose sound is heard."""
    number = int(plan.target["sound_group"])  # type: ignore[arg-type]
    return np.array([2.0 * (number >> bit & 1) - 1 for bit in range(_NUM_BITS)])


def probe_spectrogram(plan: Plan, example: Example) -> NDArray[np.float64]:
    """The sound alone: ln power in eight bands of octaves times eight stretches of time."""
    samples = example.arrays["sound"].astype(np.float64)
    length = len(samples) // 8
    power = np.abs(np.fft.rfft(samples[: 8 * length].reshape(8, length), axis=1)) ** 2
    edges = (power.shape[1] * 0.5 ** np.arange(8, -1, -1)).astype(int)
    edges[0] = 0
    bands = [power[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)]
    return np.log(np.stack(bands) + _TINY).ravel()


def probe_loudness(plan: Plan, example: Example) -> NDArray[np.float64]:
    """RMS and peak of the sound, dB, beside the picture's brightness, and their products."""
    samples = example.arrays["sound"]
    level = 20 * math.log10(rms(samples) + _TINY)
    peak = 20 * math.log10(float(np.abs(samples).max()) + _TINY)
    light = float(measure.brightness(_stills(example)).mean())
    return np.array([level, peak, light, level * light, peak * light])


def probe_place(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How late in its file the sound is, 0–1."""
    return np.array([float(plan.target["sound_place"])])  # type: ignore[arg-type]


def probe_fades(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How bright the picture is, how the sound swells, dB from its first to its last quarter, and
    their products: what beginnings and ends look and sound like.
    """
    samples = example.arrays["sound"]
    part = max(1, len(samples) // 4)
    ends_db = [20 * math.log10(rms(piece) + _TINY) for piece in (samples[:part], samples[-part:])]
    swells = ends_db[1] - ends_db[0]
    light = float(measure.brightness(_stills(example)).mean())
    return np.array([light, swells, abs(swells), light * swells, light * abs(swells)])


def probe_format(plan: Plan, example: Example) -> NDArray[np.float64]:
    """1 if picture and sound are of files of one container, codec and sampling rate."""
    formats = plan.target["formats"]
    assert isinstance(formats, tuple)
    return np.array([float(formats[0] == formats[1])])


def probe_device(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Share of the highest quarter of the frequencies, sharpness of the picture, their product."""
    power = np.abs(np.fft.rfft(example.arrays["sound"].astype(np.float64))) ** 2
    high = math.log10((power[-len(power) // 4 :].sum() + _TINY) / (power.sum() + _TINY) + _TINY)
    picture = _stills(example)[0].mean(axis=0, dtype=np.float64)
    edges = np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean()
    sharpness = math.log10(edges / (picture.std() + 1.0) + 1e-3)
    return np.array([high, sharpness, high * sharpness])


def _stills(example: Example) -> NDArray[np.uint8]:
    frames = example.arrays["frames"]
    return frames[None] if frames.ndim == 3 else frames.transpose(1, 0, 2, 3)


SHORTCUTS = (
    Shortcut(
        name="sound grid",
        kind="bookkeeping",
        leak="Sound that starts between two frames is never a positive's: its phase tells.",
        guard="Mismatched sound starts on its own file's frames, as positive sound does.",
        probe=probe_grid,
        one_clip=True,
        off={"on_grid": False},
    ),
    Shortcut(
        name="sound alone",
        kind="bookkeeping",
        leak="What is heard, or where it begins, differs between the two kinds of pairs.",
        guard="Sound has the same distribution of recordings and places in both kinds of pairs.",
        probe=probe_spectrogram,
        one_clip=True,
        off={"on_grid": False, "balanced_groups": False},
    ),
    Shortcut(
        name="frequent recordings",
        kind="bookkeeping",
        leak="Where groups differ in size, small ones are heard more often in mismatched pairs.",
        guard="Partners are drawn so that every group is heard as often as it is seen.",
        probe=probe_recording,
        one_clip=True,
        off={"balanced_groups": False},
    ),
    Shortcut(
        name="loudness",
        kind="content",
        leak="How loud a recording is goes with how it looks: level tells which file it is.",
        guard="Every stretch is brought to the same RMS, without its mean.",
        probe=probe_loudness,
        off={"equal_loudness": False},
    ),
    Shortcut(
        name="format",
        kind="bookkeeping",
        leak="Files of two formats differ in bandwidth and blocks: two parts of one go together.",
        guard="Partners have the same codec and sampling rate, where two groups have them.",
        probe=probe_format,
        off={"match_format": False},
    ),
    Shortcut(
        name="device",
        kind="content",
        leak="A device's microphone goes with its camera: bandwidth and sharpness match.",
        guard="Partners have the same codec and sampling rate, as far as those tell the device.",
        probe=probe_device,
        off={"match_format": False},
    ),
    Shortcut(
        name="place in the file",
        kind="bookkeeping",
        leak="Were mismatched sound from elsewhere in its file, fades and jingles would tell.",
        guard="How late in its file the sound is has one distribution in both kinds of pairs.",
        probe=probe_place,
        one_clip=True,
        off={"balanced_places": False},
    ),
    Shortcut(
        name="beginnings and ends",
        kind="content",
        leak="Pictures and sound fade in and out together: what begins goes with what begins.",
        guard="None by default; with `match_place` another file's sound is as late in it. The "
        "other time of the same file cannot be.",
        probe=probe_fades,
        off={"match_place": False},
        closes={"match_place": True},
    ),
)
