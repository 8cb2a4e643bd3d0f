"""Recipes of jigsaw: complete settings, where they come from, what to expect."""

from avssl.pretext.jigsaw import Jigsaw
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=Jigsaw(),
        settings={
            "vision": "small-bn",
            "steps": 400,
            "batch_size": 64,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Ten orders of tiles of 26 px, our small network; about 150 core-seconds. On "
        "validation clips of the synthetic world (one seed, 300 steps): accuracy 0.79 (blind "
        "0.10), tiles right 0.79 (blind 0.20). With 100 orders, 400 steps: 0.51 (blind 0.01).",
    ),
    "paper": Recipe(
        task=Jigsaw(
            size_px=255,  # papers.md §5.1: 255 crop
            patch_px=64,  # papers.md §5.1: 3 x 3 cells of 85, tiles of 64, jitter 21
            gap_px=21,
            num_permutations=1000,  # papers.md §5.2: 1000 permutations, by max-min distance
            grey_probability=0.3,  # papers.md §5.1: 30 % grey
            channel_jitter_px=2,  # papers.md §5.1: channel jitter ±2
            flip=False,  # papers.md §5.1: no mirror
            standardise=True,  # papers.md §5.1: each tile by its own mean and deviation
            standardise_colors=False,  # all colours together, as Brattoli's port
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            # papers.md §5.1: "shared trunk to fc6/1000-d → concat 9 → fc → N". The fc6 of each tile
            # has 1024 numbers and fc7 4096 in the port of the authors' network (bbrattoli/
            # JigsawPuzzlePytorch); the 1000 are those of later code on ResNets.
            embedding=1024,
            hidden=4096,
        ),
        settings={
            "vision": "caffenet-64",
            "steps": 350_000,  # not in papers.md, nor what follows: ours
            "batch_size": 256,
            "optim.name": "sgd",
            "optim.lr": 0.01,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (100_000, 200_000, 300_000),
        },
        about="The values of Noroozi and Favaro 2016; network CaffeNet for tiles of 64 px (its "
        "first stride 2). 1024 numbers a tile, as Brattoli's port of their network (later code on "
        "ResNets: 1000). Ours: the solver, a crop of 0.6 to 1 of the short side, and two layers of "
        "4096 in the trunk before the 1024. Made for a GPU; theirs: 71 % on ImageNet, of 1000 "
        "permutations of which some differ in 2 places only (ours: in 5 or more).",
    ),
}
"""Name → recipe."""
