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
            # Pictures of 150 000 to 450 000 px, their shape kept: 387 px are the side of the first
            # and 0.577 of the side of the last (papers.md §5.1, relative position).
            size_px=387,
            crop_scale=(0.577, 1.0),
            layout="pairs",
            patch_px=96,  # papers.md §5.1: 96 x 96
            gap_px=48,  # papers.md §5.1: gap 48
            jitter_px=7,  # papers.md §5.1: jitter ±7
            # papers.md §5.1: one channel kept, the others U(−.5, .5) noise before the patch is
            # brought to RMS 50. Here the noise is ± half of the patch's deviation.
            color="drop",
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
            "vision": "caffenet-96-bn",
            "steps": 400_000,
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
        "each), patches at an RMS of 50 levels (here 64), dropped colours as noise of ± 0.5 levels "
        "(here ± half a deviation), BatchNorm without scale at momentum .999 (here torch's). Ours: "
        "the solver and a second layer in the trunk. Made for a GPU; theirs: 38.4 % on ImageNet "
        "(chance 12.5 %) after four weeks.",
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
            embedding=1000,  # papers.md §5.1: embed 1000, concat, fc
            hidden=1000,
        ),
        settings={
            "vision": "timm:resnet50",
            "steps": 350_000,
            "batch_size": 128,
            "optim.name": "sgd",
            "optim.lr": 0.1,
            "optim.weight_decay": 1e-4,
            "optim.schedule": "step",
            "optim.step_at": (150_000, 250_000),
            "optim.warmup_steps": 50_000,
        },
        # papers.md §5.1, "modern re-impl.", and §5.5.
        about="The 3 x 3 form of later code (Kolesnikov and others 2019: 35 epochs of ImageNet in "
        "batches of 128, drops after 15 and 25, warm-up 5; rate and decay are ours). For a GPU.",
    ),
}
"""Name → recipe."""
