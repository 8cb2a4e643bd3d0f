"""docs/tasks.md: one table of all tasks, and for each its sampling, its score, its picture."""

import inspect
import io
import json
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avssl.errors import InputError
from avssl.files import write_bytes, write_text
from avssl.pretext import TASKS
from avssl.run.pose_tables import t_interval

BEGIN, END = "<!--tasks-->", "<!--/tasks-->"
"""What stands between these on the page is written anew; the words around them are a person's."""


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Gives one line a task: its first score over the seeds, the blind guess, the time of a run."""
    lines = [
        "| task | score | blind guess | mean [95 %] (each seed) | steps × batch | core-seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(one["task"] for one in results):
        own = [one for one in results if one["task"] == name]
        score = next(iter(own[0]["trivial"]))
        values = [one["scores"][score] for one in own]
        low, high = t_interval(values)
        interval = f" [{low:.3f}, {high:.3f}]" if len(values) > 1 else ""
        each_one = " ".join(f"{value:.3f}" for value in values)
        core_s = np.median([one["train_core_s"] for one in own])
        cells = (
            f"[{name}](#{name})",
            score.replace("_", " "),
            f"{own[0]['trivial'][score]:.3f}",
            f"**{np.mean(values):.3f}**{interval} ({each_one})",
            f"{own[0]['steps']} × {own[0]['batch_size']}",
            f"{core_s:.0f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def sections(
    results: Sequence[Mapping[str, Any]], *, images: str, drawn: Collection[str] = ()
) -> str:
    """Gives a section a task: its line, its docstring's first part, its picture.

    Args:
        results: of `run_tasks`.
        images: folder of the pictures, relative to the page.
        drawn: the tasks that have one.
    """
    parts = []
    for name in dict.fromkeys(one["task"] for one in results):
        task = TASKS[name]
        module = inspect.getmodule(task)
        about = (inspect.getdoc(module) or "").strip()
        first, _, rest = about.partition("\n\n")
        scores = next(one for one in results if one["task"] == name)["scores"]
        others = ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in scores.items())
        parts.append(f"## {name}\n\n{first}\n")
        if rest:
            parts.append(f"```text\n{rest}\n```\n")
        if name in drawn:
            parts.append(f"![what {name} is shown and answers]({images}/{name}.webp)\n")
        parts.append(f"First seed: {others}.\n")
    return "\n".join(parts)


def machine() -> str:
    """Gives a line on the machine: processor, cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def write_page(
    page: Path,
    results: Sequence[Mapping[str, Any]],
    *,
    pictures: Path,
    beside: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Writes the tables and the sections into a page, the pictures into `images/tasks` there, and
    every run's figures into `data/NAME.jsonl`, one line each with its table's heading.

    Args:
        page: gets them between its two marks; what stands around them is a person's.
        results: of `run_tasks`.
        pictures: its folder of pictures.
        beside: heading → results on other clips, a table each.

    Raises:
        InputError: the page lacks the two marks.
    """
    text = page.read_text() if page.is_file() else f"# Tasks\n\n{BEGIN}\n{END}\n"
    before, found, rest = text.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        raise InputError(f"{page}: lacks the marks {BEGIN} and {END}; put them in")
    from PIL import Image

    images = page.parent / "images" / "tasks"
    images.mkdir(parents=True, exist_ok=True)
    for path in sorted(pictures.glob("*.png")):
        stream = io.BytesIO()  # a tenth of the PNG, which a repository would carry for good
        with Image.open(path) as picture:
            picture.save(stream, format="WEBP", quality=85, method=6)
        write_bytes(images / f"{path.stem}.webp", stream.getvalue())
    drawn = [path.stem for path in images.glob("*.webp")]
    told = sections(results, images="images/tasks", drawn=drawn)
    others = (f"## {heading}\n\n{table(own)}" for heading, own in (beside or {}).items())
    parts = (table(results), f"Machine: {machine()}.\n", *others, told)
    lines = [
        json.dumps({"table": heading, **one})
        for heading, own in {"": results, **(beside or {})}.items()
        for one in own
    ]
    write_text(page.parent / "data" / f"{page.stem}.jsonl", "\n".join(lines) + "\n")
    write_text(page, f"{before}{BEGIN}\n" + "\n".join(parts) + END + after)
