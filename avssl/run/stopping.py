"""Signals: the step that is under way is finished and saved, then the run ends."""

import os
import signal
from types import FrameType
from typing import Any

from avssl.errors import AvsslError


class Stopped(AvsslError):  # noqa: N818 - no error: a person or a scheduler asked for it
    """A signal stopped the run; its exit code is 128 + the signal's number, as a shell gives it."""

    def __init__(self, number: int, *, step: int, directory: str | os.PathLike[str]) -> None:
        name = signal.Signals(number).name if number else "a signal to another process"
        super().__init__(
            f"stopped by {name} and saved at step {step}; "
            f"`avssl resume {os.fspath(directory)}` goes on"
        )
        self.exit_code = 128 + (number or int(signal.SIGTERM))


class StopSignals:
    """While active, SIGINT and SIGTERM only raise a flag; a second one ends at once."""

    def __init__(self) -> None:
        self.number = 0
        """Number of the signal that came, or 0."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: whoever owns it decides
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number
        signal.signal(number, self._before[number])
