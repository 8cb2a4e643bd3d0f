"""Labels that came with a video: a JSON file beside it, or below `truth/` (the synthetic world)."""

import json
from pathlib import Path
from typing import Any

from avssl.prepare.scan import Source

MAX_NUM_BYTES = 4 << 20
"""Larger files are no labels of one video."""


def label_path(source: Source, *, root: Path) -> Path | None:
    """Gives the file with a video's labels, or None.

    For `root/a/b.mp4` it is `root/a/b.json`, else `root/truth/a/b.json`.
    """
    stem = Path(source.relative).with_suffix(".json")
    for path in (root / stem, root / "truth" / stem):
        if path.is_file() and path.stat().st_size <= MAX_NUM_BYTES:
            return path
    return None


def labels_of(source: Source, *, root: Path) -> dict[str, Any]:
    """Gives the labels of a video as JSON values; {} where there are none (or no JSON object).

    Times in them are on the clock of the source: a clip begins at its row's `source_start_s`.
    """
    path = label_path(source, root=root)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return {}
    return found if isinstance(found, dict) else {}
