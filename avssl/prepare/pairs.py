"""Pictures with a sound apart (Flickr-SoundNet's test set) become clips: one picture that stays.

found/0/123.jpg + found/0/123.wav  →  joined/123.mkv      the middle 20 s of the sound
"""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing
from avssl.prepare.scan import SUFFIXES
from avssl.progress import progress_bar

PICTURES = ("jpg", "jpeg", "png", "bmp", "webp")
SOUNDS = ("wav", "flac", "mp3", "m4a", "aac", "ogg", "opus")
FPS = 10
RATE_HZ = 48_000
LONGEST_S = 20.0
"""Of the sound, its middle: a clip is then one moment of one picture."""
MAX_READ_S = 600.0
"""What comes later in a sound is not read; its middle is that of what was."""
MAX_NUM_BYTES = 256 << 20
SHORT_SIDE_PX = 512
"""Larger pictures are shrunk to it: boxes are shares of the picture."""


def join_pairs(
    source: Path, names: Iterable[str], folder: Path, *, quiet: bool = False
) -> list[str]:
    """Makes a clip of every picture and sound that bear one of `names`; videos are linked.

    Clips that are there already stay, so that a stopped call goes on.

    Args:
        source: folder of pictures, sounds or videos, at any depth.
        names: file names without suffix.
        folder: where `<name>.mkv` goes, or a link to the video.
        quiet: no progress bar.

    Returns:
        One line for each pair that cannot be joined; names without files are not among them.

    Raises:
        InputError: no such folder, or two files of one kind and name.
    """
    from av.error import FFmpegError

    if not source.is_dir():
        raise InputError(f"{source}: must be a folder of pictures and sounds, or of videos")
    wanted = list(dict.fromkeys(names))
    there = _files(source, set(wanted))
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with progress_bar("pairs", total=len(wanted), unit="pair", quiet=quiet) as bar:
        for name in wanted:
            bar.advance()
            found = there.get(name, {})
            if "video" in found:
                link = folder / f"{name}{found['video'].suffix}"
                if not link.is_symlink():
                    link.symlink_to(found["video"].absolute())
            elif "picture" in found and "sound" in found:
                clip = folder / f"{name}.mkv"
                if clip.is_file():
                    continue
                try:
                    _write(clip, _picture(found["picture"]), _sound(found["sound"]))
                except InputError as error:
                    problems.append(str(error))
                except FFmpegError as error:
                    problems.append(f"{found['picture']}: cannot be joined ({error})")
            elif found:
                (only,) = found.values()
                problems.append(f"{only}: a picture and a sound must bear one name")
    return problems


def _files(source: Path, wanted: set[str]) -> dict[str, dict[str, Path]]:
    kinds = {suffix: "video" for suffix in SUFFIXES}
    kinds |= {suffix: "picture" for suffix in PICTURES} | {suffix: "sound" for suffix in SOUNDS}
    there: dict[str, dict[str, Path]] = {}
    for folder, folders, files in os.walk(source):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            kind = kinds.get(path.suffix.lower().lstrip("."))
            if kind is None or path.stem not in wanted:
                continue
            before = there.setdefault(path.stem, {}).setdefault(kind, path)
            if before is not path:
                raise InputError(f"{before} and {path}: two files of one name; remove one of them")
    return there


def _picture(path: Path) -> NDArray[np.uint8]:
    """Gives uint8 [H, W, 3], RGB, both sides even."""
    import cv2

    if path.stat().st_size > MAX_NUM_BYTES:
        raise InputError(f"{path}: larger than {MAX_NUM_BYTES >> 20} MiB, so no picture of a pair")
    data = np.fromfile(path, dtype=np.uint8)
    # boxes count in stored pixels: a camera's note about turning is not obeyed
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(data, flags) if len(data) else None
    if picture is None or min(picture.shape[:2]) < 2:
        raise InputError(f"{path}: not a picture that can be decoded")
    height, width = picture.shape[:2]
    scale = SHORT_SIDE_PX / min(height, width)
    if scale < 1:
        size = (round(width * scale), round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    height, width = (length // 2 * 2 for length in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width, ::-1], dtype=np.uint8)


def _sound(path: Path) -> NDArray[np.int16]:
    """Gives the middle `LONGEST_S` of a sound file, mono, int16 [n] at `RATE_HZ`."""
    import av
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    blocks: list[NDArray[np.int16]] = []
    most, length = round(MAX_READ_S * RATE_HZ), 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path}: no sound in it")
            for frame in container.decode(audio=0):
                frame.pts = None
                blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
                length += len(blocks[-1]) if blocks else 0
                if length >= most:
                    break
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)]
    except (FFmpegError, ValueError) as error:
        raise InputError(f"{path}: the sound cannot be decoded ({error})") from None
    samples = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int16)
    if len(samples) < RATE_HZ:
        raise InputError(f"{path}: {len(samples) / RATE_HZ:.2f} s of sound, must be 1 s or more")
    kept = min(len(samples), round(LONGEST_S * RATE_HZ))
    first = (len(samples) - kept) // 2
    return samples[first : first + kept]


def _write(path: Path, picture: NDArray[np.uint8], samples: NDArray[np.int16]) -> None:
    import av

    with replacing(path) as temporary, av.open(str(temporary), "w", format="matroska") as out:
        video: Any = out.add_stream("libx264", rate=FPS)
        video.height, video.width = picture.shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.options = {"crf": "10", "preset": "veryfast"}
        sound: Any = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for number in range(-(-len(samples) * FPS // RATE_HZ)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for at in range(0, len(samples), RATE_HZ):
            block = av.AudioFrame.from_ndarray(
                samples[None, at : at + RATE_HZ], format="s16", layout="mono"
            )
            block.sample_rate, block.pts, block.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
