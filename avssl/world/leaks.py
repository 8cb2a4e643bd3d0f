"""Leaks planted on purpose: what gives a pretext task's answer away, put into clean clips.

A world made with `--leak NAME` has it in every clip (or in a share of them, where that is the
leak). The audit of a task with its guard off finds it there, and with the guard on does not.
Joints, boxes and flow in the truth are those of the clean clip: such a world is for the audit, not
for pose.

    bars        black bars of a letterbox on half of the clips
    ramp        the light rises from the first frame to the last
    counter     a gauge in the upper left corner fills up: the place in the file
    logo        a mark in the lower right corner, other colours in each clip: which file it is
    chromatic   red is larger than blue, as by a poor lens: the place in the picture
    vignette    corners are darker: the place in the picture
    blocks      a lattice of 8 px blocks, as by strong compression: the phase of a cut
    loudness    loud clips are bright, quiet ones dark: which sound belongs to which picture
    stills      every fifth frame repeats the one before; two stretches stand still
    cuts        twice the colours change at once, as if by a cut
    key-frames  few bits, a key frame every two seconds: frames after it are sharper
    format      half of the clips are written with few bits: which file it is

Shapes: frames uint8 [H, W, 3]; sound float32 [1, n].
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

Frame = NDArray[np.uint8]
Sound = NDArray[np.float32]
_Change = Callable[[Frame, int], Frame]

# All [ours]: strong enough for a probe on a few hundred samples, weak enough to be overlooked.
_BARS = (0.08, 0.16)
_RAMP = (0.6, 1.4)
_CORNER = 1 / 6
_LENS = 0.025
_DARK = 0.55
_JPEG_QUALITY = 10
_LOUD_DB, _BRIGHT = 12.0, 0.35
_REPEATED = 0.2


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One leak: what is done to the frames, the sound or the file of a clip."""

    about: str
    """One line for help."""
    frames: Callable[[np.random.Generator, int], _Change] | None = None
    """(rng, frames of the clip) → what changes frame number n."""
    sound: Callable[[np.random.Generator, Sound], Sound] | None = None
    """(rng, sound) → sound; `rng` is the one that the frames had."""
    encoding: Callable[[np.random.Generator], Mapping[str, str]] | None = None
    """rng → options of the encoder; `rng` is the one that the frames had."""


def _scaled(frame: Frame, factor: float | NDArray[np.float32]) -> Frame:
    return np.clip(np.rint(frame * np.asarray(factor, np.float32)), 0, 255).astype(np.uint8)


def _bars(rng: np.random.Generator, num_frames: int) -> _Change:
    has, beside, share = rng.random() < 0.5, rng.random() < 0.5, rng.uniform(*_BARS)

    def change(frame: Frame, number: int) -> Frame:
        if not has:
            return frame
        turned = (frame.transpose(1, 0, 2) if beside else frame).copy()
        px = max(1, round(share * len(turned)))
        turned[:px] = turned[-px:] = 0
        return turned.transpose(1, 0, 2) if beside else turned

    return change


def _ramp(rng: np.random.Generator, num_frames: int) -> _Change:
    factors = np.linspace(*_RAMP, num_frames)
    return lambda frame, number: _scaled(frame, float(factors[number]))


def _counter(rng: np.random.Generator, num_frames: int) -> _Change:
    def change(frame: Frame, number: int) -> Frame:
        out = frame.copy()
        px = round(_CORNER * len(frame))
        out[:px, :px] = 16
        filled = round((px - 2) * number / max(num_frames - 1, 1))
        out[px - 1 - filled : px - 1, 1 : px - 1] = 235
        return out

    return change


def _logo(rng: np.random.Generator, num_frames: int) -> _Change:
    colours = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)

    def change(frame: Frame, number: int) -> Frame:
        out = frame.copy()
        px = max(1, round(_CORNER * len(frame) / 2))
        out[-2 * px :, -2 * px :] = np.kron(colours, np.ones((px, px, 1), np.uint8))
        return out

    return change


def _chromatic(rng: np.random.Generator, num_frames: int) -> _Change:
    import cv2

    def change(frame: Frame, number: int) -> Frame:
        height, width = frame.shape[:2]
        centre = ((width - 1) / 2, (height - 1) / 2)
        planes = [frame[..., 0], frame[..., 1], frame[..., 2]]
        for plane, scale in ((0, 1 + _LENS), (2, 1 - _LENS)):
            matrix = cv2.getRotationMatrix2D(centre, 0, scale)
            planes[plane] = np.asarray(
                cv2.warpAffine(
                    np.ascontiguousarray(planes[plane]), matrix, (width, height),
                    flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
                ),
                np.uint8,
            )  # fmt: skip
        return np.stack(planes, axis=-1)

    return change


def _vignette(rng: np.random.Generator, num_frames: int) -> _Change:
    def change(frame: Frame, number: int) -> Frame:
        height, width = frame.shape[:2]
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
        return _scaled(frame, (1 - _DARK * (x**2 + y**2) / 2)[..., None].astype(np.float32))

    return change


def _blocks(rng: np.random.Generator, num_frames: int) -> _Change:
    import cv2

    def change(frame: Frame, number: int) -> Frame:
        done, data = cv2.imencode(
            ".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        assert done
        return np.ascontiguousarray(
            np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
        )

    return change


def _bright(rng: np.random.Generator, num_frames: int) -> _Change:
    level = rng.uniform(-1, 1)
    return lambda frame, number: _scaled(frame, 1 + _BRIGHT * level)


def _loud(rng: np.random.Generator, sound: Sound) -> Sound:
    level = rng.uniform(-1, 1)  # the first draw, as of `_bright`
    return (0.25 * sound * 10 ** (_LOUD_DB * level / 20)).astype(np.float32)


def _stills(rng: np.random.Generator, num_frames: int) -> _Change:
    stands = rng.random(num_frames) < _REPEATED
    for start in rng.integers(0, num_frames, 2):
        stands[start + 1 : start + 1 + max(2, num_frames // 8)] = True
    kept: list[Frame] = []

    def change(frame: Frame, number: int) -> Frame:
        if not kept or not stands[number]:
            kept[:] = [frame]
        return kept[0]

    return change


def _cuts(rng: np.random.Generator, num_frames: int) -> _Change:
    first, second = np.sort(rng.uniform(0.15, 0.85, 2)) * num_frames

    def change(frame: Frame, number: int) -> Frame:
        return np.ascontiguousarray(255 - frame[..., ::-1]) if first <= number < second else frame

    return change


def _long_groups(rng: np.random.Generator) -> Mapping[str, str]:
    options = {"crf": "42", "g": "50", "keyint_min": "50"}
    return {**options, "sc_threshold": "0", "i_qfactor": "0.3"}


def _few_bits(rng: np.random.Generator) -> Mapping[str, str]:
    return {"crf": "44"} if rng.random() < 0.5 else {}


LEAKS: Mapping[str, Leak] = {
    "bars": Leak(about="letterbox bars on half of the clips", frames=_bars),
    "ramp": Leak(about="light that rises over the clip", frames=_ramp),
    "counter": Leak(about="a gauge in a corner that fills up over the clip", frames=_counter),
    "logo": Leak(about="a mark in a corner, other colours in each clip", frames=_logo),
    "chromatic": Leak(about="red larger than blue, as by a poor lens", frames=_chromatic),
    "vignette": Leak(about="dark corners", frames=_vignette),
    "blocks": Leak(about="a lattice of 8 px blocks", frames=_blocks),
    "loudness": Leak(about="loud clips are bright, quiet ones dark", frames=_bright, sound=_loud),
    "stills": Leak(about="repeated frames and still stretches", frames=_stills),
    "cuts": Leak(about="colours that change at once, twice", frames=_cuts),
    "key-frames": Leak(about="few bits and a key frame every 50 frames", encoding=_long_groups),
    "format": Leak(about="half of the clips written with few bits", encoding=_few_bits),
}
"""Name → leak."""


def check_leaks(names: Sequence[str]) -> None:
    """Checks that leaks exist, each once.

    Raises:
        InputError: one does not.
    """
    for name in names:
        if name not in LEAKS:
            raise InputError(f"leak {name!r}: must be one of {', '.join(LEAKS)}")
    if len(set(names)) < len(names):
        raise InputError(f"leaks {', '.join(names)}: each once")


def leak_frames(
    names: Sequence[str],
    frames: Iterable[Frame],
    *,
    num_frames: int,
    rng_of: Callable[[str], np.random.Generator],
) -> Iterator[Frame]:
    """Gives the frames of one clip with leaks in them.

    Args:
        names: of leaks, done in this order.
        frames: uint8 [H, W, 3] each, in order of time.
        num_frames: of the clip.
        rng_of: gives a fresh generator for a leak, the same for frames and sound.
    """
    changes = [
        leak.frames(rng_of(name), num_frames)
        for name in names
        if (leak := LEAKS[name]).frames is not None
    ]
    for number, frame in enumerate(frames):
        for change in changes:
            frame = change(frame, number)
        yield np.ascontiguousarray(frame)


def leak_sound(
    names: Sequence[str], sound: Sound, *, rng_of: Callable[[str], np.random.Generator]
) -> Sound:
    """Gives the sound of a clip, float32 [1, n], with leaks in it; see `leak_frames`."""
    for name in names:
        leak = LEAKS[name]
        if leak.sound is not None:
            sound = leak.sound(rng_of(name), sound)
    return sound


def leak_encoding(
    names: Sequence[str], *, rng_of: Callable[[str], np.random.Generator]
) -> dict[str, str]:
    """Gives the encoder's options that the leaks ask for in one clip; see `leak_frames`."""
    found: dict[str, str] = {}
    for name in names:
        if (encoding := LEAKS[name].encoding) is not None:
            found.update(encoding(rng_of(name)))
    return found
