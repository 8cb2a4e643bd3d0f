"""Recipes of Shuffle and Learn: complete settings, where they come from, what to expect."""

from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=ShuffleAndLearn(tau_max_s=0.8, tau_min_s=0.25, tau_max_spread=0.25),
        settings={
            "vision": "small",
            "steps": 400,
            "batch_size": 64,
            "optim.name": "adamw",
            "optim.lr": 1e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Pictures of 64 px, our small network, three minutes of one core. On held-out clips "
        "of two synthetic worlds: balanced accuracy 0.73 to 0.74, and 0.68 to 0.70 "
        "(docs/tasks.md).",
    ),
    "paper": Recipe(
        task=ShuffleAndLearn(
            size_px=227,
            crop_scale=(227 / 256, 227 / 256),
            flip=False,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="concat",
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 100_000,
            "batch_size": 128,
            "accumulate": 4,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (80_000,),
            "optim.step_factor": 0.1,
        },
        about="The values of Misra, Zitnick and Hebert 2016; made for a GPU.",  # §1.1, §1.2
    ),
}
"""Name → recipe."""
