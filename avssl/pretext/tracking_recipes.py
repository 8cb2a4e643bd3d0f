"""Recipes of tracking: complete settings, where they come from, what to expect."""

from avssl.pretext.tracking import Tracking
from avssl.task import Recipe

_SMALL = {
    "vision": "small-bn",
    "optim.name": "adamw",
    "optim.lr": 1e-3,
    "optim.weight_decay": 0.05,
    "optim.schedule": "cosine",
    "optim.warmup_steps": 20,
    "channels_last": True,
}

RECIPES = {
    "small": Recipe(
        task=Tracking(
            num_frames=3,
            size_px=80,
            patch_px=32,
            grid=3,
            patch_jitter=0.15,
            motion_power=1.0,
            edge_dropout=0.0,  # with it no walk is ever sure, and no batch can be learned by heart
        ),
        settings={**_SMALL, "steps": 250, "batch_size": 24, "evaluate_every": 50},
        about="Three frames of 9 patches of 32 px, our small network. Validation clips of the "
        "world after 120 steps: 0.81 of walks come home (chance 0.11; first weights 0.11 to 0.19).",
    ),
    "paper": Recipe(
        task=Tracking(
            num_frames=4,  # papers.md §6.3: "clip 4"
            rate_hz=8.0,  # papers.md §6.3: "8 fps"
            size_px=256,  # papers.md §6.3: "7×7 grid from 256"
            patch_px=64,  # papers.md §6.3: "64 px patches"
            grid=7,  # papers.md §6.3
            edge_dropout=0.1,  # papers.md §6.3: "edge dropout .1"
            temperature=0.05,  # papers.md §6.3: "T .05"
            layer="res4",  # papers.md §6.3: "layer4 removed"; its stride of 8 is 16 here
            patch_jitter=0.2,  # not in papers.md: ours, and what follows
            embedding=128,
            crop_scale=(1.0, 1.0),
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "timm:resnet18",  # papers.md §6.3: "R18"
            "steps": 300_000,  # not in papers.md: ours
            "batch_size": 20,  # papers.md §6.3: "batch 20"
            "optim.name": "adam",  # papers.md §6.3: "Adam 1e-4"
            "optim.lr": 1e-4,
            "optim.weight_decay": 0.0,
            "optim.schedule": "constant",
        },
        about="The contrastive random walk of Jabri, Owens and Efros 2020. Theirs and not here: a "
        "stride of 8 px in the last layer (here 16). Ours: patches cut a little smaller in each "
        "frame (up to 0.2), 128 numbers a node, the number of steps. Made for a GPU.",
    ),
    "ranking": Recipe(
        task=Tracking(
            mode="ranking",
            num_frames=8,
            size_px=96,
            patch_px=40,
            motion_power=1.0,
            moving_share=(0.02, 0.75),
        ),
        settings={**_SMALL, "steps": 200, "batch_size": 32, "evaluate_every": 50},
        about="Wang and Gupta's ranking of tracked patches of 40 px, our small network. On clips "
        "of the world a third of the tracks count. After 60 steps 0.92 of others rank right on "
        "validation clips; chance is 0.5, but first weights reach 0.89.",
    ),
    "ranking-paper": Recipe(
        task=Tracking(
            mode="ranking",
            num_frames=31,  # papers.md §6.1: tracked over "30 frames": 30 steps
            rate_hz=25.0,  # not in papers.md: ours, and the sizes
            size_px=360,
            patch_px=227,
            crop_scale=(1.0, 1.0),
            patch_jitter=0.0,
            color_per_frame=False,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            embedding=1024,  # papers.md §6.1: "fc7 = 1024"
            margin=0.5,  # papers.md §6.1: "margin M = 0.5" (the released code has 1)
            num_negatives=4,  # papers.md §6.1: "K = 4 negatives"
            # papers.md §6.1: "random first, then hard mining"; the released code's "hard/rand
            # 0.5/0.5" from the first step on here.
            hard_share=0.5,
            moving_px=0.5,  # papers.md §6.1: "flow > 0.5 px"
            moving_share=(0.25, 0.75),  # papers.md §6.1: "keep 25–75 % moving (unverified)"
        ),
        settings={
            "vision": "caffenet",  # papers.md §6.1: "AlexNet"
            "steps": 400_000,  # papers.md §6.1: "400 k it."
            "batch_size": 100,  # not in papers.md: ours
            "optim.name": "sgd",
            "optim.lr": 1e-3,  # papers.md §6.1: "SGD 1e-3"
            "optim.momentum": 0.9,  # not in papers.md: Caffe's usual
            "optim.weight_decay": 5e-4,  # papers.md §6.1: "wd 5e-4"
            "optim.schedule": "step",
            "optim.step_at": (100_000, 200_000, 300_000),  # papers.md §6.1: "step 100 k"
            "optim.step_factor": 0.1,  # not in papers.md: Caffe's usual
        },
        about="Ranking of tracked patches as Wang and Gupta 2015. Theirs and not here: random "
        "negatives alone at first (here half are the hardest from the first step on), AlexNet's "
        "own fc7 of 1024 (here 4096, then a linear layer to 1024), the tracker KCF. The batch, the "
        "sizes and the rate of frames are ours. For a GPU.",
    ),
}
"""Name → recipe."""
