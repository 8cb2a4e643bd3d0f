"""How two frames could be matched without seeing what they show, and numbers that tell it.

A probe takes (plan, example) to float64 [k]; see `avssl.records.Shortcut`. What is asked is
`Plan.target["label"]`; in training it is always 1, so audits need held-out clips.
"""

import math

import numpy as np
from numpy.typing import NDArray

from avssl.records import Example, Plan, Shortcut
from avssl.transform import measure, patch_clues, sequence_probes

_DARK_LEVELS = 64.0
"""Up to which a bar may be lifted by the changes of contrast, which are strong here."""


def probe_format(plan: Plan, example: Example) -> NDArray[np.float64]:
    """1 if both files have one codec, size and rate."""
    first, second = _two(plan, "formats")
    return np.array([float(first == second)])


def probe_bits(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Octaves of bits on a pixel of both files, and how many they are apart."""
    first, second = _two(plan, "bits")
    return np.array([first, second, abs(first - second)])


def probe_places(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far apart the frames are in their files, and how they lie between key frames.

    Places are rounded to a fiftieth of the file: quotients of frame numbers would tell how many
    frames it has.
    """
    first, second = np.round(50 * np.array(_two(plan, "places"))) / 50
    phase, other_phase = (2 * math.pi * part for part in _two(plan, "gop_phases"))
    turns = [turn(other_phase - phase) for turn in (math.sin, math.cos)]
    return np.array([second - first, abs(second - first), second, math.sin(other_phase), *turns])


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Bars at the sides of each picture (left, top, right, bottom), and of which sides both have.

    As shares of the side; what lies between is not looked at. Two dark scenes of one film that end
    as sharply as bars look like them: of films by night the guard may be blamed for what they show.
    """
    shown = [_whole(example.arrays[name]) for name in ("frames", "others")]
    found = np.stack([patch_clues.letterbox(one, dark_levels=_DARK_LEVELS) for one in shown])
    has = (found > 0).astype(np.float64)
    return np.concatenate([found.ravel(), has.prod(axis=0), np.abs(has[0] - has[1])])


def probe_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the corners' colours of the two pictures are apart, as they are and mirrored."""
    one, other = (_corner_colors(_whole(example.arrays[name])) for name in ("frames", "others"))
    apart = [np.abs(one - turned).mean(axis=1) for turned in (other, other[[2, 3, 0, 1]])]
    return np.array([*apart[0], *apart[1], np.min(apart), *np.mean(apart, axis=1)])


def probe_color(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the two pictures are apart in mean colour, brightness, and in how much they vary."""
    one = example.arrays["frames"].reshape(3, -1).astype(np.float64) / 255
    parts = example.arrays["others"].astype(np.float64).reshape(-1, 3, *_side(example)) / 255
    other = parts.transpose(1, 0, 2, 3).reshape(3, -1)
    color = np.abs(one.mean(axis=1) - other.mean(axis=1))
    hue = np.abs((one - one.mean(0)).mean(axis=1) - (other - other.mean(0)).mean(axis=1))
    spread = abs(float(one.std()) - float(other.std()))
    return np.array([*color, *hue, color.sum(), spread])


def probe_same_place(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far the pictures differ place by place, each at mean 0 and deviation 1."""
    pair = [example.arrays["frames"], _whole(example.arrays["others"])]
    size_px = min(part.shape[-1] for part in pair)
    near = np.stack([part[:, :size_px, :size_px] for part in pair])
    mirrored = np.stack([near[0], near[1][:, :, ::-1]])
    found = [measure.standardised_differences(one)[0] for one in (near, mirrored)]
    return np.array([*found, min(found)])


def _two(plan: Plan, name: str) -> tuple[float, float]:
    values = plan.target[name]
    assert isinstance(values, tuple)
    return float(values[0]), float(values[1])


def _corner_colors(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives the mean colour of each corner, 0–1: [4, 3]."""
    return np.stack([part.mean(axis=(1, 2)) / 255 for part in sequence_probes.corners(picture)])


def _side(example: Example) -> tuple[int, int]:
    return example.arrays["others"].shape[-2:]


def _whole(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives [3, H, W] of a picture, or of patches [9, 3, p, p] the first."""
    return picture if picture.ndim == 3 else picture[0]


SHORTCUTS = (
    Shortcut(
        name="format",
        kind="bookkeeping",
        leak="Frames of two files differ in size, rate or codec: sharpness and blocks tell which.",
        guard="A held-out pair's files have the same of all three, where two groups have them.",
        probe=probe_format,
        off={"match_format": False},
    ),
    Shortcut(
        name="place in the file",
        kind="bookkeeping",
        leak="Two moments of one clip are near in time: a clock in the picture, or how long after "
        "its key frame each is, tells them from any two.",
        guard="The other clip's frame is as late in it, and as long after its key frame, as the "
        "own clip's would have been.",
        probe=probe_places,
        off={"match_place": False},
    ),
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Black bars of a letterbox are those of one file: two pictures with them match.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
    ),
    Shortcut(
        name="file size",
        kind="content",
        leak="A file of few bits is blurred and blocky from end to end: two frames of it match.",
        guard="None by default; with `match_bits` the files of a held-out pair spend as many on a "
        "pixel, to a factor of 2, where two groups do.",
        probe=probe_bits,
        off={"match_bits": False},
        closes={"match_bits": True},
        cut_share=0.9,  # measured: 100 % (95 to 100), docs/audit.md
    ),
    Shortcut(
        name="overlay",
        kind="content",
        leak="A logo in the corner is that of one file, a clock's digits are those of one minute.",
        guard="None by default; `margin` leaves the edges of every picture out.",
        probe=probe_corners,
        off={"margin": 0.0},
        closes={"margin": 0.2},
        cut_share=0.15,  # measured: 26 % (16 to 36), docs/audit.md
    ),
    Shortcut(
        name="mean colour",
        kind="content",
        leak="A clip's light and colours stay: mean colour alone tells which clip it is.",
        guard="Each frame has its own brightness, contrast and saturation, and may be grey.",
        probe=probe_color,
        off={"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "grey_probability": 0.0},
        cut_share=0.5,  # measured: 57 % (53 to 60), docs/audit.md
    ),
    Shortcut(
        name="same background",
        kind="content",
        leak="A camera that stands still shows the same pixels at the same places all the time.",
        guard="Each frame has its own crop and is mirrored by itself.",
        probe=probe_same_place,
        off={"crop_scale": (1.0, 1.0), "flip": False},
        cut_share=0.35,  # measured: 42 % (38 to 46), docs/audit.md
    ),
)
