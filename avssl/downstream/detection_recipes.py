"""Recipes of detection: complete settings, where they come from, what to expect."""

from avssl.downstream.detection import Detection
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=Detection(),
        settings={
            "vision": "small-bn",
            "steps": 500,
            "batch_size": 4,
            "channels_last": True,
            "optim.lr": 1e-3,
            "optim.weight_decay": 0.01,
            "optim.warmup_steps": 50,
            "optim.clip_norm": 5.0,
            "evaluate_every": 250,
            "num_evaluation_samples": 128,
        },
        about="Pictures of 160 x 128 px, our small network under a pyramid; 250 steps took "
        "3 min 42 s on a busy core. Figures on the world: docs/detection.md. All constants "
        "are ours.",
    ),
    "paper": Recipe(
        task=Detection(
            height_px=600,
            width_px=800,
            layer="conv5",
            laterals=False,
            anchor_cells=(8.0, 16.0, 32.0),
            head_width=256,
            hidden=4096,
            num_proposals=2000,
            num_sampled=128,
            max_found=100,
            shrink=0.0,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 80_000,
            "batch_size": 2,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (60_000,),
            "optim.step_factor": 0.1,
        },
        about="Faster R-CNN on VOC07 trainval (Ren 2015): one map of stride 16, anchors of 128, "
        "256 and 512 px, 1e-3 for 60 k steps, 1e-4 for 20 k, mirrored. The papers on pretext tasks "
        "(Doersch 2015, Noroozi 2016, Gidaris 2018) used Fast R-CNN on AlexNet with ready "
        "proposals, so figures compare by order, not by value. Ours: canvas of 800 x 600 px, 2 "
        "pictures a step, 2000 proposals in testing too. Made for a GPU.",
    ),
}
"""Name → recipe."""
