"""What `avssl check` prints for a person."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from avssl.prepare.health import Health


def print_table(health: Health) -> None:
    """Prints a line per file and a summary."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    table = Table(box=None, pad_edge=False)
    wide = [("seconds", "s"), ("frames", ""), ("rate", ""), ("size", ""), ("sound", "")]
    table.add_column("clip or shard" if health.kind == "prepared" else "file", overflow="fold")
    for title, _ in wide:
        table.add_column(title, justify="right")
    table.add_column("problems", overflow="fold")
    for item in health.files:
        words = Text("; ".join(item.problems) or "none", style="red" if item.problems else "green")
        table.add_row(Text(item.name), *_numbers(item.facts), words)
    console.print(table)
    unit = "clips and shards" if health.kind == "prepared" else "files"
    console.print(f"{len(health.files)} {unit}, {health.num_bad} with something to know")
    for name, reason in health.skipped:
        console.print(Text(f"left out {name}: {reason}"))


def _numbers(facts: Any) -> list[str]:
    frames = str(facts.get("num_frames", ""))
    claimed = facts.get("num_frames_claimed")
    if claimed and claimed != facts["num_frames"]:
        frames += f" of {claimed}"
    size = f"{facts['width_px']}x{facts['height_px']}" if "width_px" in facts else ""
    rate = f"{facts['fps']:g}" if "fps" in facts else ""
    seconds = f"{facts['seconds']:.2f}" if "seconds" in facts else ""
    return [seconds, frames, rate, size, facts.get("sound", "")]
