"""Games as the engines play them: in step down to the written file, the folder, going on."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from avssl.decode import open_video
from avssl.errors import InputError, MissingPartError

vizdoom = pytest.importorskip("vizdoom", reason="the extra avssl[games] is not installed")
pytest.importorskip("ale_py", reason="the extra avssl[games] is not installed")

from avssl.world import games_atari, games_doom  # noqa: E402
from avssl.world.encode import write_mp4  # noqa: E402
from avssl.world.games import GameSpec, record, record_games  # noqa: E402
from avssl.world.games_sheet import games_sheet  # noqa: E402
from avssl.world.games_sync import atari_lags, doom_lags  # noqa: E402

SETTINGS = {
    "num_train": 2,
    "num_validation": 0,
    "num_test": 1,
    "seed": 5,
    "short_side_px": 120,
    "duration_s": 1.5,
    "workers": 1,
    "quiet": True,
}


@pytest.fixture(scope="module")
def doom() -> None:
    """Skips where the engine has no OpenAL to mix its sound."""
    try:
        games_doom.Doom("freedoom1-E1M1", "pistol", seed=0, short_side_px=120).close()
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def small(doom: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_games(tmp_path_factory.mktemp("games") / "small", **SETTINGS)


def test_every_game_is_there_and_gives_512_samples():
    from ale_py import roms

    for names in games_atari.GAMES.values():
        assert all(Path(roms.get_rom_path(name)).is_file() for name in names)
    with games_atari.Atari("frogger", seed=1) as game:
        steps = [game.step("NOOP") for _ in range(30)]
    assert {step.sound.shape for step in steps} == {(games_atari.FRAME_SAMPLES,)}
    assert {step.picture.shape for step in steps} == {(210, 160, 3)}


def test_no_two_levels_are_the_same_place():
    """The corners of every level, read from the WAD files by hand, differ."""
    corners = {}
    for wad in ("freedoom1", "freedoom2"):
        data = (Path(vizdoom.__file__).parent / f"{wad}.wad").read_bytes()
        num_lumps, table = struct.unpack_from("<ii", data, 4)
        level = ""
        for number in range(num_lumps):
            start, size, name = struct.unpack_from("<ii8s", data, table + 16 * number)
            text = name.rstrip(b"\0").decode("ascii", "replace")
            level = text if size == 0 else level
            if text == "VERTEXES":
                corners[f"{wad}-{level}"] = hashlib.sha256(data[start : start + size]).hexdigest()
    wanted = [name for names in games_doom.LEVELS.values() for name in names]
    assert set(wanted) <= set(corners)
    assert len({corners[name] for name in wanted}) == len(wanted)


def test_the_shot_is_heard_in_the_frame_in_which_it_is_seen(doom: None, tmp_path: Path):
    """Down to the file: where the ammunition falls, the picture flashes and the sound begins."""
    steps = []
    with games_doom.Doom("freedoom1-E1M1", "pistol", seed=2, short_side_px=120) as game:
        for frame in range(150):
            step = game.step("ATTACK" if frame in (70, 110) else "")
            if frame >= 40:
                steps.append(step)
    shots = [frame for frame, step in enumerate(steps) if "shot" in step.events]
    assert len(shots) == 2
    sound = np.concatenate([step.sound for step in steps])[None]
    assert sound.shape == (1, 110 * 1260)
    path = tmp_path / "shots.mp4"
    pictures = [step.picture for step in steps]
    write_mp4(path, pictures, sound, size_px=(160, 120), fps=35, rate_hz=44_100)
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.frame_times_s, np.arange(110) / 35, atol=1e-4)
        seen = reader.frames_by_index(range(110)).astype(np.float64)
        heard = reader.sound(start_s=0.0, duration_s=110 / 35, rate_hz=44_100).samples[0]
    flash = seen[:, :, 45:100, 55:105].mean(axis=(1, 2, 3))
    for shot in shots:
        assert flash[shot] > flash[shot - 1] + 5
        before = np.abs(heard[(shot - 5) * 1260 : shot * 1260 - 128])
        assert before.max() < 0.01  # AAC spreads a little of an onset forwards
        onset = np.flatnonzero(np.abs(heard[(shot - 1) * 1260 :]) > 0.05)[0] - 1260
        assert -128 < onset < 300  # 3 ms before to 7 ms after the frame is shown


def test_twins_part_in_picture_and_sound_together(doom: None):
    (doom_lag,) = doom_lags("freedoom2-MAP01", "shotgun", num_twins=1)
    assert 0 <= doom_lag.frames < 0.1
    lags = atari_lags("star_gunner", num_twins=2)
    assert lags and all(0 <= lag.frames < 0.2 for lag in lags)
    with pytest.raises(InputError, match="no fire button"):
        atari_lags("freeway", num_twins=1)


def test_the_folder_holds_clips_as_long_as_their_sound(small: Path):
    for split, index, fps, rate_hz, name in (
        ("train", 0, 35, 44_100, "doom"),
        ("train", 1, 60, 48_000, "atari"),
        ("test", 0, 35, 44_100, "doom"),
    ):
        truth = json.loads((small / "truth" / split / f"{split}_{index:05d}.json").read_text())
        num_frames = round(1.5 * fps)
        assert (truth["num_frames"], truth["fps"]) == (num_frames, fps)
        assert truth["num_samples"] == round(num_frames / fps * rate_hz)
        assert len(truth["actions"]) == num_frames and len(truth["class_path"]) == 2
        assert truth["class_path"][0] == truth["engine"] == name
        assert truth["sounding_share"] >= 0.2
        for event in truth["events"]:
            assert event["time_s"] == pytest.approx(event["frame"] / fps, abs=1e-6)
        with open_video(small / truth["video"]) as reader:
            times_s = reader.frame_times_s
            np.testing.assert_allclose(times_s, np.arange(num_frames) / fps, atol=1e-4)
            heard = sum(block.samples.shape[1] for block in reader.iter_sound(rate_hz=rate_hz))
        # AAC comes in packets of 1024 samples; the last one is filled up with silence.
        assert 0 <= heard - truth["num_samples"] < 1024
    told = json.loads((small / "truth" / "games_train.json").read_text())
    assert sum(told["classes"].values()) == sum(told["levels_and_games"].values()) == 2


def test_it_goes_on_where_it_stopped_with_the_same_clip(small: Path):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*") if path.is_file()}
    record_games(small, **SETTINGS)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    clip, manifest = small / "train" / "train_00000.mp4", small / "world.json"
    old = clip.read_bytes()
    clip.unlink()
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "complete": False}))  # as after a stop
    record_games(small, **SETTINGS)
    assert clip.read_bytes() == old
    with pytest.raises(InputError, match="another world"):
        record_games(small, **{**SETTINGS, "seed": 4})
    games_sheet(small, small.parent / "sheet.png", num_frames=3)
    assert (small.parent / "sheet.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no clips in truth/validation"):
        games_sheet(small, small.parent / "none.png", split="validation")


def test_nothing_is_left_where_it_was_called(
    doom: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    spec = GameSpec(
        seed=1, split="train", index=0, engines=("doom",), short_side_px=120, duration_s=1.0
    )
    found = record(spec)
    assert found.truth["level"] == "freedoom1-E1M1" and not list(tmp_path.iterdir())
