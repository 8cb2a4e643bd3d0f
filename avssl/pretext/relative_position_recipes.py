"""Recipes of relative position: complete settings, where they come from, what to expect."""

from avssl.pretext.relative_position import RelativePosition
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=RelativePosition(color="project"),
        settings={
            "vision": "small-bn",
            "steps": 600,
            "batch_size": 64,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Cells of 40 px, patches of 32, our small network; about 120 core-seconds. On "
        "validation clips of the synthetic world (one seed): accuracy 0.28 (blind 0.125), right or "
        "next to it 0.58 (blind 0.375). Dropping colours instead is slower: 0.22 after 450 "
        "steps, 0.28 and 0.56 after 900.",
    ),
    "paper": Recipe(
        task=RelativePosition(
            # papers.md §5.1: pictures of 150 000 to 450 000 px, their shape kept, pairs anywhere.
            # Here the 398 px that all eight neighbours take are cut anywhere out of a frame that
            # is scaled to a short side of 398 to 503 px: 282 000 to 450 000 px of 16:9, 211 000 to
            # 338 000 of 4:3. In smaller ones the place of the first patch tells the answer.
            size_px=398,
            crop_scale=(398 / 503, 1.0),
            layout="pairs",
            patch_px=96,  # papers.md §5.1: 96 x 96
            gap_px=48,  # papers.md §5.1: gap 48
            jitter_px=7,  # papers.md §5.1: jitter ±7
            # papers.md §5.1: one channel kept, the others U(−.5, .5) noise before the patch is
            # brought to RMS 50. That is half a level, less than the rounding of ours: none.
            color="drop",
            drop_noise=0.0,
            # papers.md §5.1: RMS 50 (levels of 255). Here mean 0.45, deviation 0.25 of each patch,
            # less CaffeNet's mean: RMS 64, which the BatchNorm behind conv1 takes out again.
            standardise=True,
            # papers.md §5.1: 4 random grids a picture, all pairs of each. Here every sample is a
            # picture and a pair of its own, so none of this: a batch has less in common.
            coarse_probability=0.33,  # papers.md §5.1: p = .33 between 10² and 95² px
            both_directions=True,  # papers.md §5.1: each pair in both directions
            flip=False,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hidden=4096,  # papers.md §5.1: fc7 4096, fc8 4096, fc9 8
            num_hidden=2,
        ),
        settings={
            "vision": "caffenet-96-bn",  # papers.md §5.1: fc6 4096 for each patch
            "steps": 400_000,  # not in papers.md, nor what follows: ours
            "batch_size": 256,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "constant",
        },
        # papers.md §5.1; the figures at the end: §5.3.
        about="The values of Doersch, Gupta and Efros 2015; network CaffeNet for patches of 96 px. "
        "Theirs and not here: four random grids a picture with all their pairs (here one pair of "
        "each), pictures below 211 000 px, patches at an RMS of 50 levels (here 64), BatchNorm "
        "without scale at momentum .999 (here torch's). Ours: the first patch lies where all "
        "eight neighbours would fit, the solver, a second layer in the trunk. Made for a GPU; "
        "theirs: 38.4 % on ImageNet (chance 12.5 %) after four weeks.",
    ),
    "cells": Recipe(
        task=RelativePosition(
            size_px=255,  # papers.md §5.1, modern re-implementation: 255 crop
            layout="cells",
            patch_px=64,  # papers.md §5.1: 64 px of cells of 85
            gap_px=21,
            color="keep",
            grey_probability=0.66,  # papers.md §5.1: grey p = .66
            both_directions=False,  # papers.md §5.1: pairs (i, centre)
            standardise=True,  # papers.md §5.1: per-patch standardisation
            embedding=1000,  # papers.md §5.1: embed 1000, concat, fc
            num_hidden=0,
            # Not in papers.md: no changes of colour beside grey, no mirror.
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            flip=False,
        ),
        settings={
            "vision": "timm:resnet50",  # papers.md §5.4: ResNet-50
            "steps": 350_000,  # papers.md §5.5: 35 epochs of 1.28 million pictures in 128s
            "batch_size": 128,  # papers.md §5.5: batch 128
            "optim.name": "sgd",  # not in papers.md, nor rate and decay: ours
            "optim.lr": 0.1,
            "optim.weight_decay": 1e-4,
            "optim.schedule": "step",
            "optim.step_at": (150_000, 250_000),  # papers.md §5.5: drops 15/25
            "optim.warmup_steps": 50_000,  # papers.md §5.5: warm-up 5
        },
        # papers.md §5.1, "modern re-impl.", and §5.5.
        about="The 3 x 3 form of later code (Kolesnikov and others 2019: 35 epochs of ImageNet in "
        "batches of 128, drops after 15 and 25, warm-up 5; rate, decay and the crop are ours). For "
        "a GPU.",
    ),
}
"""Name → recipe."""
