"""Recipes of frame contrast: complete settings, where they come from, what to expect."""

from avssl.pretext.frame_contrast import FrameContrast
from avssl.task import Recipe

RECIPES = {
    "small": Recipe(
        task=FrameContrast(),
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
        about="Pictures of 64 px, our small network. With 120 steps, on held-out clips of the "
        "synthetic world: balanced accuracy 0.80, AUC 0.89 (one seed).",
    ),
    "paper": Recipe(
        # PIRL (papers.md §5.4, "PIRL": 62.9 to 64.3 on ImageNet): the released settings,
        # vissl's pirl_jigsaw_4node_resnet50.yaml.
        task=FrameContrast(
            max_gap_s=0.0,  # both views of one picture
            min_gap_s=0.0,
            jigsaw=True,
            size_px=224,
            jigsaw_px=255,
            jigsaw_patch_px=64,
            crop_scale=(0.283, 1.0),  # areas of 0.08 to 1; theirs vary in shape, the patches' less
            brightness=0.4,
            contrast=0.4,
            saturation=0.4,  # and hue ± 0.2, which we do not have
            grey_probability=0.2,
            temperature=0.07,
            embedding=128,
            hidden=0,
        ),
        settings={
            "vision": "timm:resnet50",
            "steps": 1_000_912,  # 800 epochs of 1 281 167 pictures
            "batch_size": 1024,
            "optim.name": "sgd",
            "optim.lr": 0.12,
            "optim.momentum": 0.9,
            "optim.weight_decay": 1e-4,
            "optim.schedule": "cosine",
        },
        about="PIRL, ResNet-50. Its 32 000 negatives come from a memory of all pictures, ours from "
        "the batch (2 x 1023), and its cosine ends at 1.2e-4. For two moments give "
        "--task.max-gap-s 2 --task.min-gap-s 0.2. Made for GPUs.",
    ),
}
"""Name → recipe."""
