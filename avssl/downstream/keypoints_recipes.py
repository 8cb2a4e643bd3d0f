"""Recipes of keypoints: complete settings, where they come from, what to expect."""

from avssl.downstream.keypoints import Keypoints
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=Keypoints(
            size_px=64,
            layer="res4",
            head_width=64,
            sigma_cells=1.0,
            rotation_deg=10.0,
            scale_jitter=0.1,
            shift_jitter=0.03,
        ),
        settings={
            "vision": "small-bn",
            "steps": 800,
            "batch_size": 16,
            "channels_last": True,
            "optim.lr": 4e-3,
            "optim.weight_decay": 0.01,
            "optim.warmup_steps": 50,
            "optim.clip_norm": 5.0,
            "evaluate_every": 200,
            "num_evaluation_samples": 256,
        },
        about="Pictures of 64 px, our small network, a minute of one core. Made for few labels: "
        "0.2 of a torso is 3 px of 64, so views move little. What was tried on the way: "
        "docs/pose_study.md.",
    ),
    "simple-baseline": Recipe(
        task=Keypoints(
            size_px=256,
            crop="person",
            map_loss="mse",
            sigma_cells=2.0,
            head_width=256,
            shift_jitter=0.0,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "timm:resnet50",
            "steps": 24_500,
            "batch_size": 128,
            "optim.name": "adam",
            "optim.lr": 1e-3,
            "optim.weight_decay": 0.0,
            "optim.schedule": "step",
            "optim.step_at": (15_750, 21_000),
            "optim.step_factor": 0.1,
        },
        about="ResNet-50 at 256 x 256 by the released settings of Xiao, Wu and Wei (ECCV 2018; "
        "Adam 1e-3, down at 90 and 120 of 140 epochs of MPII's 22 thousand people). Made "
        "for a GPU.",
    ),
    "paper": Recipe(
        task=Keypoints(
            size_px=227,
            crop="joints",
            head_kind="regression",
            rotation_deg=0.0,
            scale_jitter=0.14,
            shift_jitter=0.02,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 60_000,
            "batch_size": 32,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
        },
        about="Coordinate regression on crops around the true joints, as Shuffle and Learn's "
        "authors did (Misra, Zitnick, Hebert, ECCV 2016, their released code): crop 1.5 to 2 times "
        "the joints' box, mirrored with p = 1/2, batch 32. Learning rate and steps are ours. Made "
        "for a GPU.",
    ),
}
"""Name → recipe."""
