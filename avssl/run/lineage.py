"""Which network a result is about: what is fine-tuned belongs to the encoder that it began from.

runs/position_0, runs/position_1        two seeds of one network
runs/boxes_0 (--init runs/position_0)   its boxes: a task of that network, not one of its own
runs/bare (no --init)                   a network of its own
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl import downstream

_MAY_DIFFER = ("seed", "out", "workers", "tensorboard", "keep_checkpoints", "init")
"""Fields in which runs of one network may differ."""
_LABEL_SEED = "label_seed"


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Whose result it is."""

    network: str
    """The same word for runs that differ only in their seed, and for what began from them."""
    name: str
    """Of the network's folder, or of published weights."""
    way: str
    """How it was fine-tuned, the same word for different seeds; "" where it was not."""
    words: str
    """What of that a title needs: ", encoder frozen", ", 50 labels"; "" where there is nothing."""


def lineage_of(folder: Path) -> Lineage:
    """Reads it from a run's configuration, and from that of the run that it began from.

    Args:
        folder: of a run; one without a readable configuration is a network of its own.
    """
    config = _config(folder)
    if config is None:
        return Lineage(network=str(folder.resolve()), name=folder.name, way="", words="")
    task, init = config.get("task") or {}, str(config.get("init") or "")
    if not init or task.get("name") not in downstream.TASKS:
        return Lineage(network=_shared(config), name=folder.name, way="", words="")
    origin = Path(init)
    began = _config(origin)
    return Lineage(
        network=_shared(began) if began is not None else init,
        name=origin.name if began is not None else init,
        way=_shared(config),
        words=_words(task),
    )


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _shared(config: dict[str, Any]) -> str:
    kept = {key: value for key, value in config.items() if key not in _MAY_DIFFER}
    task = config.get("task")
    if isinstance(task, dict):  # other labels are another draw, as another seed is
        kept["task"] = {key: value for key, value in task.items() if key != _LABEL_SEED}
    return json.dumps(kept, sort_keys=True)


def _words(task: dict[str, Any]) -> str:
    frozen = ", encoder frozen" if task.get("tune") == "frozen" else ", fine-tuned"
    count = task.get("num_labels") or 0
    return frozen + (f" on {count} labels" if count else "")
