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
            tau_max_s=2.4,  # papers.md §1.1: τ_max 60 frames of UCF101's 25 a second
            tau_min_s=0.6,  # papers.md §1.1: τ_min 15 frames
            positive_share=0.25,  # papers.md §1.1: 25 % positive, 75 % negative
            motion_power=1.0,  # papers.md §1.1: a frame's weight is its mean flow
            # papers.md §1.1 drops tuples whose middle is too like its ends; the threshold is not
            # known, so none here (`min_difference_levels` is the knob).
            min_difference_levels=0.0,
            size_px=227,  # papers.md §1.2: 227 x 227
            crop_scale=(227 / 256, 227 / 256),  # papers.md §1.1: out of 256 x 340
            flip=False,  # papers.md §1.1: neither flips nor colours in the released training
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="concat",  # papers.md §1.2: concatenated fc7, one linear layer
        ),
        settings={
            "vision": "caffenet-bn",  # papers.md §1.2: CaffeNet, BN used in pre-training
            "steps": 100_000,  # papers.md §1.2: 100 k iterations
            "batch_size": 128,  # papers.md §1.2: 32 x 4 = 128 tuples
            "accumulate": 4,
            "optim.name": "sgd",  # papers.md §1.2, and what follows
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (80_000,),
            "optim.step_factor": 0.1,
        },
        about="The values of Misra, Zitnick and Hebert 2016, but their filter of tuples whose "
        "pictures are too alike, whose threshold is not known; made for a GPU. Theirs: 72.1 % of "
        "tuples on UCF101.",
    ),
}
"""Name → recipe."""
