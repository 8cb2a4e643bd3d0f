"""Made videos with known truth: every frame spells its number, a click sounds with a flash."""

import runpy
import sys
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 160, 96, 10


def background(rng: np.random.Generator, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray:
    """Smooth random picture, uint8 [height, 2 * width]: a camera can pan over it."""
    coarse = rng.integers(40, 216, size=(height // 12 + 2, 2 * width // 12 + 2)).astype(float)
    rows = np.linspace(0, coarse.shape[0] - 1.001, height)
    columns = np.linspace(0, coarse.shape[1] - 1.001, 2 * width)
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r)[:, None], (columns - c)[None, :]
    top = coarse[r][:, c] * (1 - fc) + coarse[r][:, c + 1] * fc
    below = coarse[r + 1][:, c] * (1 - fc) + coarse[r + 1][:, c + 1] * fc
    return (top * (1 - fr) + below * fr).astype(np.uint8)


def numbered(
    number: int, scene: NDArray, *, shift_px: int = 1, flash: bool = False
) -> NDArray[np.uint8]:
    """uint8 [HEIGHT, WIDTH, 3]: a panned scene with the number in 16-px blocks along the top."""
    left = number * shift_px % WIDTH
    picture = np.repeat(scene[:, left : left + WIDTH, None], 3, axis=2).copy()
    for bit in range(BITS):
        picture[:16, 16 * bit : 16 * bit + 16] = 235 if number >> bit & 1 else 16
    if flash:
        picture[32:] = 255
    return picture


def read_number(frame: NDArray) -> int:
    """Reads the number from uint8 [3, H, W] of any size."""
    height, width = frame.shape[1:]
    side_x, side_y = width / BITS, height * 16 / HEIGHT
    value = 0
    for bit in range(BITS):
        x, y = int((bit + 0.3) * side_x), int(0.3 * side_y)
        block = frame[:, y : y + max(1, int(0.4 * side_y)), x : x + max(1, int(0.4 * side_x))]
        value |= int(block.mean() > 126) << bit
    return value


def write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    fps: Fraction | int = 25,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    sound: NDArray[np.float32] | None = None,
    sound_start_s: float = 0.0,
    sound_codec: str = "pcm_s16le",
    rate_hz: int = 48000,
    rotate: int | None = None,
) -> Path:
    """Writes a video: pictures at frame / fps (or `times` in `time_base`), mono sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream: Any = None
        heard: Any = None
        base = time_base or 1 / Fraction(fps)
        pictures = list(pictures)
        stream = out.add_stream(codec, rate=Fraction(fps))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        stream.time_base = base
        stream.codec_context.thread_count = 1
        default = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
        stream.codec_context.options = {**default, **(options or {})}
        if sound is not None:
            heard = out.add_stream(sound_codec, rate=rate_hz, layout="mono")
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if heard is not None:
            samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
            first = round(sound_start_s * rate_hz)
            for at in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(
                    samples[None, at : at + 1024], format="s16", layout="mono"
                )
                block.sample_rate = rate_hz
                block.time_base = Fraction(1, rate_hz)
                block.pts = first + at
                out.mux(heard.encode(block))
            out.mux(heard.encode(None))
    return path


def click(length_s: float, *, at_s: Sequence[float], rate_hz: int = 48000) -> NDArray[np.float32]:
    """Faint noise with 200-sample bursts of 3 kHz, the first sample of each at `at_s`."""
    rng = np.random.default_rng(7)
    sound = rng.normal(scale=1e-4, size=round(length_s * rate_hz))
    burst = 0.8 * np.cos(2 * np.pi * 3000 / rate_hz * np.arange(200))
    for time_s in at_s:
        first = round(time_s * rate_hz)
        sound[first : first + 200] += burst
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def scene() -> NDArray:
    return background(np.random.default_rng(3))


@pytest.fixture(scope="session")
def make(scene: NDArray) -> Callable[..., Path]:
    """make(path, num_frames, **write_video's): a numbered video."""

    def build(path: Path, num_frames: int, *, first: int = 0, **settings: Any) -> Path:
        own = background(np.random.default_rng(settings.pop("scene_seed", 3)))
        return write_video(path, [numbered(first + k, own) for k in range(num_frames)], **settings)

    return build


@pytest.fixture(scope="session")
def tools() -> Any:
    """This module: importlib mode has no other way to share helpers."""
    return sys.modules[__name__]


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a script of datasets/; gives the exit code."""

    def script(name: str, *arguments: object) -> int:
        path = root / "datasets" / name / "make_catalog.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(path), run_name="__main__")
        return int(done.value.code or 0)

    return script
