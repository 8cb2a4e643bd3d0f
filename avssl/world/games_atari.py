"""Atari 2600 games in the Arcade Learning Environment: 60 frames a second, 512 samples with each.

The engine computes its sound at 31,400 Hz, but gives 512 samples a frame where a console has 524.
Played at 512 · 60 = 30,720 Hz nothing drifts and nothing is cut; tones are 2.2 % too low.
"""

from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import MissingPartError
from avssl.world.games_play import GameOver, Step

FPS = 60
FRAME_SAMPLES = 512
RATE_HZ = FPS * FRAME_SAMPLES
GAMES = {
    "train": (
        "alien", "assault", "asteroids", "atlantis", "bank_heist", "beam_rider", "berzerk",
        "centipede", "chopper_command", "defender", "demon_attack", "enduro", "galaxian",
        "gravitar", "ms_pacman", "phoenix", "riverraid", "seaquest", "space_invaders",
        "star_gunner", "wizard_of_wor", "yars_revenge",
    ),
    "validation": (
        "battle_zone", "hero", "kangaroo", "krull", "qbert", "robotank", "video_pinball", "zaxxon",
    ),
    "test": (
        "freeway", "frogger", "kaboom", "kung_fu_master", "road_runner", "time_pilot", "turmoil",
        "tutankham",
    ),
}  # fmt: skip
"""By hand: what resembles each other (shooters from below, mazes, tanks, roads) stays together."""


def ale() -> Any:
    """Imports ale-py.

    Raises:
        MissingPartError: it is not installed.
    """
    try:
        import ale_py  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingPartError(
            "ale-py is not installed: pip install 'avssl[games]' to record games"
        ) from error
    return ale_py


def on_a_television(screen: NDArray[np.uint8], short_side_px: int) -> NDArray[np.uint8]:
    """Draws the engine's 210 × 160 pixels, uint8 [210, 160, 3], at 4 to 3 (they are not square)."""
    fine = cv2.resize(screen, (320, 210), interpolation=cv2.INTER_NEAREST)
    size = (short_side_px * 4 // 3, short_side_px)
    how = cv2.INTER_AREA if short_side_px < 210 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(fine, size, interpolation=how), np.uint8)


class Atari:
    """A running game (`Session`), pictures [210, 160, 3]. The same actions give the same frames."""

    stuck = False

    def __init__(self, game: str, *, seed: int) -> None:
        """Starts a game, such as "frogger".

        Raises:
            MissingPartError: ale-py or its file of the game is missing.
        """
        module = ale()
        from ale_py import roms  # type: ignore[import-not-found]

        path = roms.get_rom_path(game)
        if path is None or not Path(path).is_file():
            raise MissingPartError(
                f"ale-py {module.__version__} has no file of the game {game!r}: "
                "pip install -U ale-py (0.12.1 brings it)"
            )
        module.ALEInterface.setLoggerMode(module.LoggerMode.Error)
        self._game = module.ALEInterface()
        self._game.setBool("sound_obs", True)
        self._game.setInt("random_seed", seed)
        self._game.setFloat("repeat_action_probability", 0.0)  # the agent holds its keys itself
        self._game.loadROM(path)
        self._actions = {action.name: action for action in self._game.getMinimalActionSet()}
        self.actions = tuple(self._actions)
        """Names of the keys that do something in this game."""
        self._lives = self._game.lives()
        self._screen = np.asarray(self._game.getScreenRGB(), np.uint8)

    def step(self, action: str) -> Step:
        """Plays one frame with keys such as "UPFIRE" or "NOOP" (see `Session`)."""
        if self._game.game_over():
            raise GameOver("ended")
        events = ["score"] if self._game.act(self._actions[action]) else []
        lives = self._game.lives()
        if lives < self._lives:
            events.append("life")
        self._lives = lives
        sound = self._game.getAudio()
        # Many games draw their things in turns, every second frame: as on the slow glow of a
        # television, and as is usual with this engine, a frame shows the one before it too.
        last, self._screen = self._screen, np.asarray(self._game.getScreenRGB(), np.uint8)
        return Step(
            picture=np.maximum(last, self._screen),
            sound=((sound.astype(np.float32) - 128) / 128).astype(np.float32),
            events=tuple(events),
        )

    def again(self) -> None:
        """Starts the game anew."""
        self._game.reset_game()
        self._lives = self._game.lives()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._game
