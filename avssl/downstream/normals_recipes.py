"""Recipes of normals: complete settings, where they come from, what to expect."""

from avssl.downstream.normals import Normals
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=Normals(height_px=96, width_px=128, head_width=32),
        settings={
            "vision": "small-bn",
            "steps": 400,
            "batch_size": 8,
            "channels_last": True,
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.01,
            "optim.warmup_steps": 30,
            "optim.clip_norm": 5.0,
            "evaluate_every": 200,
            "num_evaluation_samples": 128,
        },
        about="Pictures of 128 x 96 px, our small network; 200 steps took 76 to 119 s on a busy "
        "core. Figures on the world: docs/normals.md. All constants are ours.",
    ),
    "paper": Recipe(
        task=Normals(
            height_px=240,
            width_px=320,
            head_width=256,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "timm:resnet50",
            "steps": 10_000,
            "batch_size": 16,
            "optim.name": "sgd",
            "optim.lr": 1e-2,
            "optim.momentum": 0.9,
            "optim.weight_decay": 1e-4,
            "optim.schedule": "step",
            "optim.step_at": (6_000, 8_000),
            "optim.step_factor": 0.1,
        },
        about="ResNet-50 on NYUv2's 795 training pictures at half their size. Papers judge "
        "encoders so with heads and truth of their own; no constants of theirs are in our notes, "
        "so all of these are ours. Made for a GPU.",
    ),
}
"""Name → recipe."""
