"""Recipes of action: complete settings, where they come from, what to expect."""

from avssl.downstream.action import Action
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=Action(size_px=64, scale=(0.7, 1.0), test_scale=0.9),
        settings={
            "vision": "small-bn",
            "steps": 600,
            "batch_size": 32,
            "channels_last": True,
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.warmup_steps": 50,
            "optim.clip_norm": 5.0,
            "evaluate_every": 200,
            "num_evaluation_samples": 256,
        },
        about="Frames of 64 px, our small network, a minute or two of one core. What it reaches on "
        "the synthetic world: docs/action.md.",
    ),
    "linear": Recipe(
        task=Action(
            size_px=64, scale=(0.7, 1.0), test_scale=0.9, tune="frozen", standardise=True,
            dropout=0.0,
        ),
        settings={
            "vision": "small-bn",
            "steps": 600,
            "batch_size": 32,
            "channels_last": True,
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.0,
            "optim.warmup_steps": 50,
            "evaluate_every": 200,
            "num_evaluation_samples": 256,
        },
        about="The same with the encoder as it is: softmax regression on its standardised vector.",
    ),
    "paper": Recipe(
        task=Action(
            size_px=227, scale=(0.887, 0.887), test_scale=0.887, num_views=5,
            brightness=0.2, contrast=0.0, saturation=0.0, dropout=0.5,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 20_000,
            "batch_size": 256,
            "optim.name": "sgd",
            "optim.lr": 1e-2,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (14_000,),
            "optim.step_factor": 0.1,
            "evaluate_every": 2_000,
        },
        about="Shuffle and Learn's fine-tuning (Misra, Zitnick, Hebert, ECCV 2016: RGB frames, fc8 "
        "begun anew, the protocol of Simonyan and Zisserman, NIPS 2014): 227 of 256 px, batch 256, "
        "1e-2, down after 14 of 20 thousand steps; from nothing they train 80 thousand, down after "
        "50 and 70 (--steps 80000 --optim.step-at 50000 70000). Batch, rates and steps are from "
        "memory of arXiv 1406.2199; weight decay and colours are ours. Published, mean of three "
        "divisions of UCF101: 50.2, from nothing 38.6, ImageNet 67.1. Made for a GPU.",
    ),
    "clip": Recipe(
        task=Action(
            num_frames=8, clip_s=2.13, size_px=224, scale=(0.7, 0.875), test_scale=0.875,
            num_views=2,
        ),
        settings={
            "vision": "pytorchvideo:slow_r50",
            "steps": 12_000,
            "batch_size": 64,
            "precision": "bf16",
            "optim.name": "sgd",
            "optim.lr": 2e-2,
            "optim.momentum": 0.9,
            "optim.weight_decay": 1e-4,
            "optim.warmup_steps": 500,
            "evaluate_every": 1_000,
        },
        about="Clips of 8 frames over 2.1 s at 224 px through a 3D ResNet-50 without temporal "
        "strides (pytorchvideo's slow_r50, 8 x 8). Rates and steps are ours. Made for a GPU.",
    ),
}  # fmt: skip
"""Name → recipe."""
