"""Localising on videos made by hand: a lamp that beeps, a screen that does not."""

import csv
import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
import torch

import avssl
from avssl.cli import main
from avssl.config import config_from_recipe, write_config
from avssl.downstream.localizer import Localizer, scaled
from avssl.errors import InputError
from avssl.run.localize import localize_video, smoothed, write_tables
from avssl.transform.audio_visual import AudioVisualPairs
from avssl.transform.drawing_sound import glow_over

RATE_HZ = 16_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RedBeeps(AudioVisualPairs):
    """Knows the answer: what is red beeps at 1 kHz."""

    name: ClassVar[str] = "red-beeps"
    size_px: int = 48

    def locate(self, encoders: Any, head: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        frames = batch["frames"].float()
        red = torch.nn.functional.avg_pool2d(frames[:, :1] - frames[:, 2:], 8)[:, 0] / 255
        turn = torch.exp(-2j * torch.pi * 1000 * torch.arange(batch["sound"].shape[1]) / RATE_HZ)
        beep = (batch["sound"] * turn).mean(1).abs() / (batch["sound"].abs().mean(1) + 1e-9)
        return 12 * red * beep[:, None, None] - 3


def tools() -> Any:
    """The helpers that write videos, of the tests of `prepare`."""
    spec = importlib.util.spec_from_file_location(
        "prepare_tools", Path(__file__).parent.parent / "prepare" / "conftest.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lamps() -> np.ndarray:
    """A picture uint8 [64, 96, 3]: red right, blue left."""
    picture = np.full((64, 96, 3), 60, np.uint8)
    picture[16:40, 66:90] = (250, 30, 30)
    picture[16:40, 6:30] = (30, 30, 250)
    return picture


def write(path: Path, picture: np.ndarray) -> Path:
    """3 s at 25 a second; beeps in the middle second."""
    at_s = np.arange(3 * 48_000) / 48_000
    sound = 0.5 * np.sin(2 * np.pi * 1000 * at_s) * ((at_s >= 1) & (at_s < 2))
    return tools().write_video(path, [picture] * 75, sound=sound.astype(np.float32))


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("beep") / "beep.mkv", lamps())


@pytest.fixture
def where() -> Localizer:
    return Localizer(RedBeeps(sound_s=0.4), {}, torch.nn.Linear(1, 1))


def test_maps_and_strengths(where: Localizer) -> None:
    frames = np.zeros((3, 3, 96, 144), np.uint8)
    frames[:, 0, 32:48, 96:112] = 255
    beep = np.sin(2 * np.pi * 1000 * np.arange(6400) / RATE_HZ).astype(np.float32)
    heard = np.stack([beep, 1e-4 * beep, np.random.default_rng(0).standard_normal(6400)])
    maps, strengths = where(frames, heard)
    assert maps.shape == (3, 6, 9) and maps.dtype == strengths.dtype == np.float32
    assert np.unravel_index(maps[0].argmax(), maps[0].shape) == (2, 6)
    # strength is the probability of the best place; a whisper below -50 dB counts as silence
    assert strengths[0] == pytest.approx(1 / (1 + np.exp(-maps[0].max())), rel=1e-5)
    assert strengths[0] > 0.5 > strengths[2] and strengths[1] == 0.0
    again, _ = where(frames, beep)
    assert np.array_equal(again[0], maps[0]) and np.array_equal(again[2], maps[0])


def test_wrong_shapes_are_refused(where: Localizer) -> None:
    frames = np.zeros((2, 3, 48, 48), np.uint8)
    for sound, message in (
        (np.zeros((3, 6400)), r"sound must be \[2, n\]"),
        (np.full(6400, np.nan), "not finite"),
        (avssl.Sound(samples=np.zeros((1, 9), np.float32), rate_hz=8000, start_s=0), "of 16000 Hz"),
    ):
        with pytest.raises(InputError, match=message):
            where(frames, sound)
    with pytest.raises(InputError, match="frames must be uint8"):
        where(frames[0], np.zeros(6400))
    with pytest.raises(InputError, match="trained on clips of 8 pictures"):
        Localizer(RedBeeps(clip_frames=8), {}, torch.nn.Linear(1, 1))


def test_a_video_is_drawn_with_its_sound(where: Localizer, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    located = localize_video(where, video, out=out, quiet=True)
    assert len(located.times_s) == 75 and located.size_px == (96, 64)
    loud = (located.times_s >= 1.3) & (located.times_s < 1.7)
    quiet = (located.times_s < 0.4) | (located.times_s >= 2.7)
    assert located.strengths[loud].min() > 0.9 and located.strengths[quiet].max() == 0.0
    # the lamp's middle is at (77.5, 27.5); a place is 10.7 px
    assert np.abs(located.peaks_px()[loud] - (77.5, 27.5)).max() < 8
    with avssl.open_video(out) as reader:
        assert reader.num_frames == 75 and reader.info.has_sound
        np.testing.assert_allclose(reader.frame_times_s, located.times_s, atol=1e-3)
        before, during = reader.frames_by_index([3, 37]).astype(int)
        sound = reader.sound(start_s=0.0, duration_s=3.0, rate_hz=RATE_HZ).samples[0]
    # 5 times as large; the glow is on the lamp alone, and only while it beeps
    changed = np.abs(during - before)[:, : 64 * 5].max(axis=0)
    assert changed[100:180, 350:430].mean() > 40 > 4 > changed[100:180, 40:140].mean()
    loudness = [np.abs(sound[k * RATE_HZ : (k + 1) * RATE_HZ]).mean() for k in range(3)]
    assert loudness[1] > 0.2 and max(loudness[0], loudness[2]) < 0.01
    write_tables(located, csv_path=tmp_path / "t.csv", json_path=tmp_path / "t.json")
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    frames = json.loads((tmp_path / "t.json").read_text())["frames"]
    assert len(rows) == len(frames) == 75
    assert float(rows[37]["strength"]) == frames[37]["strength"] > 0.9
    assert abs(float(rows[37]["x_px"]) - 77.5) < 8 and np.shape(frames[37]["log_odds"]) == (6, 9)


def test_black_bars_are_not_looked_at(where: Localizer, tmp_path: Path) -> None:
    framed = np.pad(lamps(), ((20, 12), (0, 8), (0, 0)))
    out = tmp_path / "out.mp4"
    located = localize_video(where, write(tmp_path / "barred.mkv", framed), out=out, quiet=True)
    assert located.bars_px == (0, 20, 8, 12) and located.size_px == (104, 96)
    assert located.maps.shape[1:] == (6, 9)  # of what is between the bars
    loud = (located.times_s >= 1.3) & (located.times_s < 1.7)
    assert np.abs(located.peaks_px()[loud] - (77.5, 47.5)).max() < 8
    with avssl.open_video(out) as reader:
        before, during = reader.frames_by_index([3, 37]).astype(int)
    changed = np.abs(during - before)[:, : 96 * 5].max(axis=0)
    assert changed[200:280, 350:430].mean() > 40
    assert max(changed[:95].max(), changed[84 * 5 + 5 : 96 * 5].max()) < 12  # the bars stay black
    write_tables(located, json_path=tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["bars_px"] == [0, 20, 8, 12]


def test_smoothing_is_a_gaussian_in_seconds() -> None:
    times_s = np.sort(np.random.default_rng(0).uniform(0, 4, 200))
    values = np.random.default_rng(1).standard_normal((200, 2)).astype(np.float32)
    found = smoothed(values, times_s)
    for k in (0, 57, 199):
        weight = np.exp(-0.5 * ((times_s - times_s[k]) / 0.12) ** 2)
        weight[np.abs(times_s - times_s[k]) > 0.36] = 0
        np.testing.assert_allclose(found[k], weight @ values / weight.sum(), atol=1e-5)
    assert np.allclose(smoothed(np.ones((200, 3), np.float32), times_s), 1.0)


def test_no_strength_leaves_the_picture_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    values = np.zeros((4, 6))
    values[1, 4] = 1.0
    assert np.array_equal(glow_over(picture, values, strength=0.0), picture)
    glowing = np.abs(glow_over(picture, values, strength=1.0).astype(int) - picture).max(axis=2)
    assert glowing[15, 45] > 30 and glowing[30, 10] == 0
    assert scaled(picture.transpose(2, 0, 1), 20).shape == (3, 20, 30)


def test_what_cannot_be_localised_is_one_line(tmp_path: Path, video: Path, capsys) -> None:
    run = tmp_path / "run"
    config = config_from_recipe("shuffle-and-learn", "small", data="d", out=str(run))
    run.mkdir()
    write_config(config, run)
    assert main(["localize", str(run), str(video)]) == 2
    assert "runs of audio-visual-correspondence" in capsys.readouterr().err
    write_config(dataclasses.replace(config_from_recipe("audio-visual-contrast", "small", data="d", out=str(run))), run)  # fmt: skip  # noqa: E501
    assert main(["localize", str(run), str(video)]) == 2
    assert "no head.safetensors yet" in capsys.readouterr().err
    assert main(["localize", str(tmp_path), str(video)]) == 2
    assert main(["localize", str(run), str(video), "-o", "out.avi"]) == 2
    assert "must end in .mp4" in capsys.readouterr().err


def test_a_video_without_sound_is_refused(where: Localizer, tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(InputError, match="has no sound"):
        localize_video(where, path, quiet=True)
