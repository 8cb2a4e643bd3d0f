"""Games, without an engine: splits, sound against closed forms, playing again, mistakes."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avssl.errors import AvsslError, InputError, MissingPartError
from avssl.world import games, games_atari, games_doom
from avssl.world.clip import SPLITS
from avssl.world.games import GameSpec, record, record_games
from avssl.world.games_play import (
    GameOver,
    Holding,
    Step,
    resampled,
    sounding_share,
    without_offset,
)
from avssl.world.games_sync import lag_of

ROOT = Path(__file__).parents[2]
SPEC = GameSpec(seed=1, split="test", index=1, short_side_px=120, duration_s=1.0)


@pytest.mark.parametrize("engine", games.ENGINES)
def test_no_level_and_no_game_is_in_two_splits(engine: str):
    names = [name for split in SPLITS for name in games.TITLES[engine][split]]
    assert len(set(names)) == len(names)
    assert all(games.TITLES[engine][split] for split in SPLITS)


def test_engines_and_titles_take_turns():
    specs = [dataclasses.replace(SPEC, index=index) for index in range(4)]
    assert [spec.engine for spec in specs] == ["doom", "atari", "doom", "atari"]
    assert [spec.title() for spec in specs] == [
        "freedoom1-E4M1", "freeway", "freedoom1-E4M2", "frogger",
    ]  # fmt: skip
    assert [spec.num_frames for spec in specs] == [35, 60, 35, 60]
    assert SPEC.title(games.TRIES) == "frogger"  # given up, so the next plays


def test_a_minute_of_blocks_is_resampled_without_drift_or_seams():
    """A tone in blocks of 512 samples is, at 48 kHz, the same tone to the last frame."""
    num_frames, tone_hz = 60 * 60, 440.0
    blocks = np.sin(2 * np.pi * tone_hz * np.arange(512 * num_frames) / 30_720).astype(np.float32)
    found = resampled(blocks, from_hz=30_720, to_hz=48_000, num_samples=800 * num_frames)
    assert found.shape == (800 * num_frames,)
    wanted = np.sin(2 * np.pi * tone_hz * np.arange(800 * num_frames) / 48_000)
    for part in (slice(800, 4000), slice(-4000, -800)):
        np.testing.assert_allclose(found[part], wanted[part], atol=1e-4)


def test_clicks_stay_where_they_were():
    """A click at the start of block k is at sample 800 k."""
    samples = np.zeros(512 * 300, np.float32)
    samples[512 * np.array([10, 150, 290])] = 0.5
    found = resampled(samples, from_hz=30_720, to_hz=48_000, num_samples=800 * 300)
    peaks = [start + int(np.argmax(found[start : start + 800])) for start in range(0, 240_000, 800)]
    loud = [peak for peak in peaks if found[peak] > 0.25]
    assert loud == [800 * 10, 800 * 150, 800 * 290]


def test_same_rate_is_left_alone_and_lengths_are_kept():
    samples = np.linspace(-1, 1, 1260, dtype=np.float32)
    found = resampled(samples, from_hz=44_100, to_hz=44_100, num_samples=1300)
    np.testing.assert_array_equal(found[:1260], samples)
    assert not found[1260:].any()


def test_the_offset_dies_away_as_a_power():
    """A step of height h at sample m leaves h pᵏ at sample m + k; a constant leaves 0."""
    step = np.full(4000, 0.25, np.float32)
    step[1000:] += 0.5
    found = without_offset(step)
    assert np.abs(found[:1000]).max() < 1e-6
    np.testing.assert_allclose(found[1000:], 0.5 * 0.995 ** np.arange(3000), atol=1e-6)


def test_the_share_of_sounding_frames():
    samples = np.zeros(10 * 800, np.float32)
    samples[:2400] = 10 ** (-49 / 20)
    samples[2400:4000] = 10 ** (-51 / 20)
    assert sounding_share(samples, num_frames=10) == pytest.approx(0.3)


def test_keys_are_held_and_changed_when_stuck():
    agent = Holding(np.random.default_rng(0), "abcdefgh", hold_frames=(4, 9))
    keys = "".join(agent.choose(False) for _ in range(4000))
    changes = np.flatnonzero([a != b for a, b in itertools.pairwise(keys)]) + 1
    assert np.diff(changes).min() == 4 and set(keys) == set("abcdefgh")
    one = Holding(np.random.default_rng(0), "abcdefgh", hold_frames=(100, 101))
    assert len({one.choose(False) for _ in range(100)}) == 1
    assert len({one.choose(True) for _ in range(100)}) > 4


def test_atari_pixels_become_four_to_three():
    screen = np.zeros((210, 160, 3), np.uint8)
    screen[:, 80:] = 200
    for short in games_doom.SHORT_SIDES_PX:
        found = games_atari.on_a_television(screen, short)
        assert found.shape == (short, short * 4 // 3, 3) and found.dtype == np.uint8
        assert found.mean() == pytest.approx(100, abs=2)
        assert not found[:, : short * 2 // 3 - 2].any()


def _step(picture: int = 0, *, from_sample: int | None = None, event: str = "") -> Step:
    sound = np.zeros(100, np.float32)
    if from_sample is not None:
        sound[from_sample:] = 0.5
    events = (event,) if event else ()
    return Step(picture=np.full((120, 160, 3), picture, np.uint8), sound=sound, events=events)


def test_twins_are_compared_by_their_first_differences():
    still = [_step() for _ in range(6)]
    late = [_step(), _step(), _step(90), _step(90), _step(90, from_sample=40), _step(90)]
    found = lag_of(still, late)
    assert found is not None
    assert (found.picture_frame, found.sound_frames) == (2, 4.4)
    assert found.frames == pytest.approx(2.4)
    assert lag_of(still, still) is None
    assert lag_of(still, [_step(9)] * 6) is None  # too little to be seen, nothing heard


def test_clips_that_end_or_are_silent_are_played_again_and_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    played: list[str] = []

    def play(spec: GameSpec, title: str, rng: np.random.Generator) -> dict:
        played.append(title)
        if len(played) < 3:
            raise GameOver("ended")
        quiet = len(played) <= games.TRIES
        steps = [
            Step(
                picture=np.zeros((120, 160, 3), np.uint8),
                sound=np.zeros(512, np.float32) if quiet else rng.uniform(-0.5, 0.5, 512),
                events=("score",) if frame == 30 else (),
            )
            for frame in range(spec.num_frames)
        ]
        told = {"game": title, "class_path": ["atari", title]}
        return {"steps": steps, "actions": ["NOOP"] * 60, "engine_seed": 3, "told": told}

    monkeypatch.setattr(games, "_steps_atari", play)
    monkeypatch.setattr(games, "engine_version", lambda engine: "0")
    found = record(SPEC)
    assert played == ["freeway"] * games.TRIES + ["frogger"]
    assert found.truth["played_again"] == {"ended": 2, "silent": 4}
    assert found.truth["game"] == "frogger"
    assert found.truth["events"] == [{"frame": 30, "time_s": 0.5, "kind": "score"}]
    assert found.sound.shape == (1, 48_000) and found.truth["num_samples"] == 48_000

    def over(*_: object) -> dict:
        raise GameOver("ended")

    monkeypatch.setattr(games, "_steps_atari", over)
    with pytest.raises(AvsslError, match=r"no try gave a clip.*'ended': 48"):
        record(SPEC)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engines": ["quake"]}, "engines"),
        ({"engines": []}, "engines"),
        ({"engines": ["doom", "doom"]}, "engines"),
        ({"short_side_px": 128}, "short side 128"),
        ({"duration_s": 0.5}, "duration 0.5"),
        ({"num_train": 0, "num_validation": 0, "num_test": 0}, "at least one clip"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, wrong: dict, message: str):
    with pytest.raises(InputError, match=message) as caught:
        record_games(tmp_path / "games", **{"quiet": True, **wrong})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "games").exists()


def test_a_missing_extra_is_one_line_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    games.engine_version.cache_clear()
    for engine, module in (("doom", "vizdoom"), ("atari", "ale_py")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingPartError, match=r"pip install 'avssl\[games\]'") as caught:
            record_games(tmp_path / "games", engines=[engine], quiet=True)
        assert caught.value.exit_code == 2
    assert not (tmp_path / "games").exists()


def test_the_script_ends_with_one_line_and_two(tmp_path: Path):
    script = ROOT / "tools" / "record_games.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "x"), "--engines", "quake"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("record_games: engines") and done.stderr.count("\n") == 1
