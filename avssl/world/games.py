"""A domain with sound in step that is not drawn here: play of games (an optional extra).

    from avssl.world.games import record_games
    record_games("games", num_train=60, num_validation=20, num_test=20)

Clips of Doom (ViZDoom, levels of Freedoom) and of Atari games (Arcade Learning Environment) take
turns. Levels and games belong to one split. Folders and truth as everywhere (docs/games.md).
"""

import dataclasses
import functools
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import AvsslError, InputError
from avssl.files import replacing, write_json, write_text
from avssl.world import games_atari, games_doom
from avssl.world.clip import SPLITS
from avssl.world.encode import write_mp4
from avssl.world.folder import clip_paths, fill_folder
from avssl.world.games_play import (
    LEAST_SOUNDING,
    GameOver,
    Holding,
    Step,
    resampled,
    sounding_share,
    without_offset,
)

GAMES_VERSION = 1
ENGINES = ("doom", "atari")
TITLES = {"doom": games_doom.LEVELS, "atari": games_atari.GAMES}
"""Engine → split → its levels or games."""
FPS = {"doom": games_doom.FPS, "atari": games_atari.FPS}
RATE_HZ = {"doom": games_doom.RATE_HZ, "atari": 48_000}
"""Of the file's sound: the engine's own, but 48 kHz where no player knows the engine's."""
TRIES = 6
"""A level or game that was tried so often in vain leaves the clip to the next of its split."""
_STREAM = 78
_WARM_UP_S = (2.0, 15.0)
"""Played before the recording begins, so that clips of one level begin at different places."""


@dataclass(frozen=True, kw_only=True)
class GameSpec:
    """Everything that a clip depends on."""

    seed: int
    split: str
    index: int
    """Number of the clip in its split."""
    engines: tuple[str, ...] = ENGINES
    """They take turns."""
    short_side_px: int = 240
    duration_s: float = 8.0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"split {self.split!r}: must be one of {', '.join(SPLITS)}")
        known = set(self.engines) <= set(ENGINES)
        if not self.engines or not known or len(set(self.engines)) < len(self.engines):
            raise InputError(f"engines {list(self.engines)}: one or both of {', '.join(ENGINES)}")
        if self.short_side_px not in games_doom.SHORT_SIDES_PX:
            sizes = ", ".join(map(str, games_doom.SHORT_SIDES_PX))
            raise InputError(f"short side {self.short_side_px}: must be one of {sizes} pixels")
        if not 1.0 <= self.duration_s <= 60.0:
            raise InputError(f"duration {self.duration_s} s: must be 1 to 60 seconds")

    @property
    def engine(self) -> str:
        """Which engine plays the clip."""
        return self.engines[self.index % len(self.engines)]

    @property
    def num_frames(self) -> int:
        """Frames of the clip."""
        return round(self.duration_s * FPS[self.engine])

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height, 4 to 3."""
        return self.short_side_px * 4 // 3, self.short_side_px

    @property
    def clip_id(self) -> str:
        """Name of the clip's files, without suffix."""
        return f"{self.split}_{self.index:05d}"

    def title(self, attempt: int = 0) -> str:
        """Which level or game is played; they take turns."""
        titles = TITLES[self.engine][self.split]
        return titles[(self.index // len(self.engines) + attempt // TRIES) % len(titles)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """A clip in memory."""

    pictures: list[NDArray[np.uint8]]
    """Each [H, W, 3]."""
    sound: NDArray[np.float32]
    """[1, n] at the file's rate: n is the frames' duration times the rate, rounded."""
    truth: dict[str, Any] = field(repr=False)


def _steps_doom(spec: GameSpec, title: str, rng: np.random.Generator) -> dict[str, Any]:
    weapon = list(games_doom.WEAPONS)[int(rng.integers(len(games_doom.WEAPONS)))]
    seed, warm = int(rng.integers(2**31)), _warm_up(spec, rng)
    agent, steps, actions = games_doom.Wanderer(rng), [], []
    with games_doom.Doom(title, weapon, seed=seed, short_side_px=spec.short_side_px) as game:
        for frame in range(-warm, spec.num_frames):
            actions.append(agent.choose(game.stuck))
            step = game.step(actions[-1])
            if frame >= 0:
                steps.append(step)
                if not game.armed():
                    raise GameOver("switched")  # out of ammunition
    told = {"level": title, "weapon": weapon, "class_path": ["doom", weapon]}
    return {"steps": steps, "actions": actions[warm:], "engine_seed": seed, "told": told}


def _steps_atari(spec: GameSpec, title: str, rng: np.random.Generator) -> dict[str, Any]:
    seed, warm = int(rng.integers(2**31)), _warm_up(spec, rng)
    steps, actions = [], []
    with games_atari.Atari(title, seed=seed) as game:
        agent = Holding(rng, game.actions, hold_frames=(4, 25))
        for frame in range(-warm, spec.num_frames):
            actions.append(agent.choose(game.stuck))
            try:
                step = game.step(actions[-1])
            except GameOver:
                if frame >= 0:
                    raise
                game.again()
                continue
            if frame >= 0:
                picture = games_atari.on_a_television(step.picture, spec.short_side_px)
                steps.append(dataclasses.replace(step, picture=picture))
    told = {"game": title, "class_path": ["atari", title]}
    return {"steps": steps, "actions": actions[warm:], "engine_seed": seed, "told": told}


def _warm_up(spec: GameSpec, rng: np.random.Generator) -> int:
    return round(float(rng.uniform(*_WARM_UP_S)) * FPS[spec.engine])


def _sound_of(spec: GameSpec, steps: Sequence[Step]) -> NDArray[np.float32]:
    """Joins the frames' sound and brings it to the file's rate, float32 [n]."""
    samples = np.concatenate([step.sound for step in steps])
    rate_hz = RATE_HZ[spec.engine]
    num_samples = round(len(steps) * rate_hz / FPS[spec.engine])
    if spec.engine == "doom":
        return resampled(samples, from_hz=rate_hz, to_hz=rate_hz, num_samples=num_samples)
    samples = without_offset(samples)
    return resampled(samples, from_hz=games_atari.RATE_HZ, to_hz=rate_hz, num_samples=num_samples)


def record(spec: GameSpec) -> Recording:
    """Plays a clip: a function of its spec and of the engines' versions.

    Where the game ends, the weapon changes or next to nothing sounds, it is played again with
    other random numbers; the truth counts these.

    Raises:
        MissingPartError: an engine or what it needs is not installed.
        AvsslError: no try gave a clip.
    """
    play = {"doom": _steps_doom, "atari": _steps_atari}[spec.engine]
    again: Counter[str] = Counter()
    for attempt in range(TRIES * len(TITLES[spec.engine][spec.split])):
        key = (_STREAM, SPLITS.index(spec.split), spec.index, attempt)
        rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=key))
        try:
            found = play(spec, spec.title(attempt), rng)
        except GameOver as over:
            again[over.reason] += 1
            continue
        sound = _sound_of(spec, found["steps"])
        share = sounding_share(sound, num_frames=spec.num_frames)
        if share < LEAST_SOUNDING:
            again["silent"] += 1
            continue
        steps: list[Step] = found.pop("steps")
        truth = _truth(spec, found, steps, num_samples=len(sound), share=share, again=again)
        return Recording(pictures=[step.picture for step in steps], sound=sound[None], truth=truth)
    raise AvsslError(f"{spec.clip_id}: no try gave a clip with sound ({dict(again)})")


def _truth(
    spec: GameSpec,
    found: dict[str, Any],
    steps: Sequence[Step],
    *,
    num_samples: int,
    share: float,
    again: Counter[str],
) -> dict[str, Any]:
    fps = FPS[spec.engine]
    return {
        "games_version": GAMES_VERSION,
        "clip": spec.clip_id,
        "split": spec.split,
        "video": f"{spec.split}/{spec.clip_id}.mp4",
        "width_px": spec.size_px[0],
        "height_px": spec.size_px[1],
        "fps": fps,
        "num_frames": len(steps),
        "rate_hz": RATE_HZ[spec.engine],
        "num_samples": num_samples,
        "engine": spec.engine,
        "engine_version": engine_version(spec.engine),
        "engine_seed": found["engine_seed"],
        "seed": spec.seed,
        **found["told"],
        "sounding_share": round(share, 4),
        "played_again": dict(again),
        "actions": found["actions"],
        "events": [
            {"frame": frame, "time_s": round(frame / fps, 6), "kind": kind}
            for frame, step in enumerate(steps)
            for kind in step.events
        ],
    }


@functools.cache
def engine_version(engine: str) -> str:
    """Gives the version of an engine's package.

    Raises:
        MissingPartError: it is not installed.
    """
    module = games_doom.vizdoom() if engine == "doom" else games_atari.ale()
    return str(module.__version__)


def _make_clip(directory: Path, spec: GameSpec) -> None:
    """Writes one clip and its truth (last: it marks the clip as done)."""
    cv2.setNumThreads(1)
    video, truth_path = clip_paths(directory, spec)
    found = record(spec)
    with replacing(video) as temporary:
        write_mp4(
            temporary,
            found.pictures,
            found.sound,
            size_px=spec.size_px,
            fps=FPS[spec.engine],
            rate_hz=RATE_HZ[spec.engine],
        )
    write_text(truth_path, json.dumps(found.truth, separators=(",", ":"), allow_nan=False))


def _write_labels(directory: Path, specs: Sequence[GameSpec]) -> None:
    """Writes what a split holds and what had to be played again."""
    for split in SPLITS:
        classes: Counter[str] = Counter()
        places: Counter[str] = Counter()
        again: Counter[str] = Counter()
        for spec in specs:
            if spec.split == split:
                truth = json.loads(clip_paths(directory, spec)[1].read_text("utf-8"))
                classes["/".join(truth["class_path"])] += 1
                places[truth.get("level") or truth["game"]] += 1
                again.update(truth["played_again"])
        found = {"classes": classes, "levels_and_games": places, "played_again": again}
        write_json(
            directory / "truth" / f"games_{split}.json",
            {name: dict(sorted(counts.items())) for name, counts in found.items()},
        )


def record_games(
    directory: str | os.PathLike[str],
    *,
    num_train: int = 60,
    num_validation: int = 20,
    num_test: int = 20,
    seed: int = 0,
    engines: Sequence[str] = ENGINES,
    short_side_px: int = 240,
    duration_s: float = 8.0,
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Records a folder of clips of play with sound, and their truth.

    Layout and rules are those of `avssl.world.make_world`: the same call again does nothing, after
    a stop it goes on clip by clip, larger counts extend the folder, other settings are refused.

    Args:
        directory: an empty folder, a new one, or one that holds these clips in part.
        num_train: clips in the split; its levels and games take turns.
        num_validation: as `num_train`.
        num_test: as `num_train`.
        seed: another seed is other play.
        engines: "doom", "atari" or both; they take turns.
        short_side_px: height of the pictures, one of ViZDoom's; they are 4 to 3.
        duration_s: of each clip, 1 to 60 s.
        workers: processes, by default one for each core.
        quiet: show no progress.

    Raises:
        InputError: a setting is out of range, or the folder holds something else.
        MissingPartError: an engine is not installed.
        AvsslError: no clip could be played.
    """
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise InputError(f"clips {counts}: at least one clip, none below 0")
    if seed < 0 or (workers is not None and workers < 1):
        raise InputError(f"seed {seed}, workers {workers}: seed from 0, workers from 1")
    specs = [
        GameSpec(
            seed=seed,
            split=split,
            index=index,
            engines=tuple(engines),
            short_side_px=short_side_px,
            duration_s=duration_s,
        )
        for split, count in counts.items()
        for index in range(count)
    ]
    versions = {engine: engine_version(engine) for engine in engines}
    shared = {k: v for k, v in asdict(specs[0]).items() if k not in ("split", "index", "engines")}
    return fill_folder(
        Path(directory),
        specs,
        settings={"games_version": GAMES_VERSION, "engines": versions, **shared},
        counts=counts,
        make_clip=_make_clip,
        write_labels=_write_labels,
        title="playing",
        workers=workers,
        quiet=quiet,
    )
