"""Progress bars with rate and time left, one look for every long job."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """Shows how many units are done in a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Renders the rate, or nothing before there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.2f} {self.unit}/s", style="cyan")


class Bar:
    """A running bar: `advance` it, and `say` what is going on at its end."""

    def __init__(self, progress: Progress, task_id: int) -> None:
        self._progress = progress
        self._task_id = task_id

    def advance(self, num_units: float = 1) -> None:
        """Adds `num_units` finished units."""
        self._progress.advance(self._task_id, num_units)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """Replaces the text at the end of the bar."""
        self._progress.update(self._task_id, note=text)  # type: ignore[arg-type]

    def print(self, text: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)


@contextlib.contextmanager
def progress_bar(
    title: str, *, total: float | None, unit: str, start: float = 0, quiet: bool = False
) -> Iterator[Bar]:
    """Shows a progress bar on standard error while the block runs.

    Args:
        title: what is being done.
        total: the number of units, or None where it is not known.
        unit: one unit's name ("file", "step"), for the rate.
        start: units that an earlier, stopped run has already done.
        quiet: show nothing (workers other than the first, tests).
    """
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=quiet,
    )
    with progress:
        task_id = progress.add_task(title, total=total, completed=int(start), note="")
        yield Bar(progress, task_id)
