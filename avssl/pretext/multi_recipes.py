"""Recipes of several tasks at once: which, and how they are trained.

Tasks stand here by their names and are taken from the registry, so this file needs none of them; a
recipe whose tasks are not all there is not offered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A recipe of several tasks."""

    tasks: Mapping[str, Mapping[str, Any]]
    """Name → knobs that differ from those of the task's own first recipe; in the order of the
    turns' numbers. Empty: the tasks come from the command line."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    """Of `avssl.pretext.multi.MultiKnobs`, those that differ."""
    settings: Mapping[str, Any]
    """As in `avssl.task.Recipe`."""
    about: str
    """As in `avssl.task.Recipe`."""


_SMALL: Mapping[str, Any] = {
    "vision": "small-bn",
    "sound": "logmel16k/small-bn",
    "steps": 800,
    "batch_size": 64,
    "optim.name": "adamw",
    "optim.lr": 2e-3,
    "optim.weight_decay": 0.05,
    "optim.schedule": "cosine",
    "optim.warmup_steps": 50,
    "channels_last": True,
    "evaluate_every": 200,
    "num_evaluation_samples": 256,
}

RECIPES: dict[str, Joint] = {
    "small": Joint(
        tasks={},
        settings=_SMALL,
        about="For --tasks NAME NAME …, each with the knobs of its own first recipe; networks as "
        "in the first task's.",
    ),
    "beast": Joint(
        tasks={"masked-autoencoding": {}, "frame-contrast": {"temperature": 1.0}},
        knobs={"weights": (1.0, 0.03)},  # the contrast's, as in its released code
        settings={
            **_SMALL,
            "vision": "small-vit-class",
            "batch_size": 32,
            "optim.lr": 5e-4,
            "optim.betas": (0.9, 0.95),
            "optim.clip_norm": 1.0,
            "channels_last": False,
        },
        about="Masked pictures filled in, and moments of one video told from those of others, on "
        "one vision transformer: what BEAST (arXiv 2507.09513) pretrains with on frames of one's "
        "own experiment. There both losses are of one batch; here they take turns, and the network "
        "is small. Rate and first weights chosen by joints on validation clips of the synthetic "
        "world.",
    ),
}
"""Name → recipe of `multi`."""
