"""ViZDoom with the levels of Freedoom: 35 frames a second, each with 1,260 samples of its sound.

The engine mixes its sound tic by tic for the buffer that is read here; no sound card is used, but
OpenAL Soft must be on the machine. Levels and their split, weapons, a wandering player.
"""

import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from avssl.errors import MissingPartError
from avssl.world.games_play import GameOver, Holding, Step

FPS = 35
RATE_HZ = 44_100
SHORT_SIDES_PX = (120, 150, 192, 240, 300, 384, 480)
"""Heights of the engine's 4 to 3 pictures."""
LEVELS = {
    "train": tuple(
        [f"freedoom1-E{episode}M{level}" for episode in (1, 2) for level in range(1, 10)]
        + [f"freedoom2-MAP{level:02d}" for level in range(1, 21)]
    ),
    "validation": tuple(
        [f"freedoom1-E3M{level}" for level in range(1, 10)]
        + [f"freedoom2-MAP{level:02d}" for level in range(21, 27)]
    ),
    "test": tuple(
        [f"freedoom1-E4M{level}" for level in range(1, 10)]
        + [f"freedoom2-MAP{level:02d}" for level in range(27, 33)]
    ),
}
WEAPONS = {
    "pistol": ("Pistol", "Clip"),
    "shotgun": ("Shotgun", "Shell"),
    "chaingun": ("Chaingun", "Clip"),
    "plasma_rifle": ("PlasmaRifle", "Cell"),
}
"""Name → the engine's names of the weapon and of what it shoots."""
_BUTTONS = (
    "ATTACK", "USE", "MOVE_FORWARD", "MOVE_BACKWARD", "MOVE_LEFT", "MOVE_RIGHT", "TURN_LEFT",
    "TURN_RIGHT",
)  # fmt: skip
_COUNTED = {"HITCOUNT": "hit", "KILLCOUNT": "kill", "ITEMCOUNT": "item"}
_VARIABLES = (
    "SELECTED_WEAPON", "SELECTED_WEAPON_AMMO", "HEALTH", "POSITION_X", "POSITION_Y", *_COUNTED
)  # fmt: skip
_LEAST_WAY, _STUCK_AFTER = 4.0, 12
"""Map units a tic; tics."""

_NO_OPENAL = "it is mixed by OpenAL Soft, install that (Debian, Ubuntu: apt install libopenal1)"


def vizdoom() -> Any:
    """Imports ViZDoom.

    Raises:
        MissingPartError: it is not installed.
    """
    try:
        import vizdoom  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingPartError(
            "ViZDoom is not installed: pip install 'avssl[games]' to record games"
        ) from error
    return vizdoom


class Doom:
    """A running level (`Session`). The same arguments and actions give the same frames."""

    def __init__(self, level: str, weapon: str, *, seed: int, short_side_px: int) -> None:
        """Starts a level, such as "freedoom1-E1M1", and hands a weapon over.

        Raises:
            MissingPartError: ViZDoom or OpenAL Soft is missing (the engine may notice, or start in
                silence: then the first shot does).
            GameOver: the engine did not start.
        """
        self._engine = vizdoom()
        self.stuck = False
        self._weapon, self._still = weapon, 0
        self._folder = tempfile.TemporaryDirectory(prefix="avssl_doom_")
        self._game = self._engine.DoomGame()
        wad, name = level.split("-")
        self._set_up(wad, name, seed=seed, short_side_px=short_side_px)
        try:
            # The engine leaves an empty folder where it is started.
            with contextlib.chdir(self._folder.name):
                self._game.init()
        except self._engine.ViZDoomNoOpenALSoundException as error:
            self.close()
            raise MissingPartError(f"ViZDoom did not start its sound: {_NO_OPENAL}") from error
        except self._engine.SignalException as error:
            raise KeyboardInterrupt from error
        except (self._engine.ViZDoomErrorException, OSError) as error:
            self.close()
            raise GameOver("crashed") from error
        self._selected = {"pistol": 2, "shotgun": 3, "chaingun": 4, "plasma_rifle": 6}[weapon]
        thing, shoots = WEAPONS[weapon]
        for words in (f"give {thing}", f"give {shoots} 200"):
            self._game.send_game_command(words)
        self._before = self._variables()
        for _ in range(2):  # what is given is there one tic later
            self.step("")
        self._game.send_game_command(f"use {thing}")

    def _set_up(self, wad: str, name: str, *, seed: int, short_side_px: int) -> None:
        engine, game = self._engine, self._game
        size = f"RES_{short_side_px * 4 // 3}X{short_side_px}"
        game.set_doom_config_path(str(Path(self._folder.name) / "vizdoom.ini"))
        game.set_doom_game_path(str(Path(engine.__file__).parent / f"{wad}.wad"))
        game.set_doom_map(name)
        game.set_doom_skill(3)
        game.set_seed(seed)
        game.set_episode_timeout(0)
        game.set_mode(engine.Mode.PLAYER)
        game.set_window_visible(False)
        game.set_screen_format(engine.ScreenFormat.RGB24)
        game.set_screen_resolution(getattr(engine.ScreenResolution, size))
        game.set_render_hud(False)
        game.set_render_messages(False)
        game.set_available_buttons([getattr(engine.Button, key) for key in _BUTTONS])
        game.set_available_game_variables([getattr(engine.GameVariable, key) for key in _VARIABLES])
        game.set_audio_buffer_enabled(True)
        game.set_audio_sampling_rate(engine.SamplingRate.SR_44100)
        game.set_audio_buffer_size(1)  # tics; as many as are played at once
        game.add_game_args("+snd_efx 0")  # with effects on, some machines get silence
        game.add_game_args("+neverswitchonpickup 1")

    def _variables(self) -> dict[str, float]:
        state = self._game.get_state()
        if state is None:
            raise GameOver("ended")
        return dict(zip(_VARIABLES, state.game_variables.tolist(), strict=True))

    def armed(self) -> bool:
        """Whether the weapon asked for is in hand."""
        return self._before["SELECTED_WEAPON"] == self._selected

    def step(self, action: str) -> Step:
        """Plays one tic with keys such as "ATTACK+MOVE_FORWARD", or "" (see `Session`)."""
        held = set(filter(None, action.split("+")))
        try:
            self._game.make_action([float(key in held) for key in _BUTTONS], 1)
        except self._engine.SignalException as error:
            raise KeyboardInterrupt from error
        except self._engine.ViZDoomUnexpectedExitException as error:
            raise GameOver("crashed") from error
        now = self._variables()  # raises where the player is dead or out of the level
        state, old = self._game.get_state(), self._before
        events = [event for key, event in _COUNTED.items() if now[key] > old[key]]
        same = now["SELECTED_WEAPON"] == old["SELECTED_WEAPON"]
        if same and now["SELECTED_WEAPON_AMMO"] < old["SELECTED_WEAPON_AMMO"]:
            events.insert(0, "shot")
        if now["HEALTH"] < old["HEALTH"]:
            events.append("hurt")
        away = math.hypot(
            now["POSITION_X"] - old["POSITION_X"], now["POSITION_Y"] - old["POSITION_Y"]
        )
        self._still = 0 if away > _LEAST_WAY or "MOVE" not in action else self._still + 1
        self.stuck = self._still >= _STUCK_AFTER
        self._still %= _STUCK_AFTER
        self._before = now
        both = np.asarray(state.audio_buffer, np.float32)  # [1260, 2] int16
        if "shot" in events and not both.any():
            raise MissingPartError(f"ViZDoom gives no sound, even of shots: {_NO_OPENAL}")
        return Step(
            picture=np.array(state.screen_buffer, np.uint8),
            sound=(both.mean(axis=1) / 32768).astype(np.float32),
            events=tuple(events),
        )

    def close(self) -> None:
        """Ends the engine's process."""
        self._game.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Wanderer(Holding):
    """Walks ahead most of the time, turns where it is stuck, opens doors, shoots now and then."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng, [""], hold_frames=(5, 22))

    def draw(self, stuck: bool) -> str:
        """Draws moving, turning and shooting apart from each other."""
        rng = self.rng
        moves = ["MOVE_FORWARD"] * 5 + ["MOVE_LEFT", "MOVE_RIGHT", "MOVE_BACKWARD", ""]
        turns = ["TURN_LEFT", "TURN_RIGHT"] + ([] if stuck else [""] * 3)
        keys = [
            "" if stuck else moves[int(rng.integers(len(moves)))],
            turns[int(rng.integers(len(turns)))],
            "ATTACK" if rng.random() < 0.35 else "",
            "USE" if rng.random() < 0.15 else "",
        ]
        return "+".join(filter(None, keys))
