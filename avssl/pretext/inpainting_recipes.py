"""Recipes of inpainting: complete settings, where they come from, what to expect."""

from avssl.pretext.inpainting import Inpainting
from avssl.task import Recipe

_SMALL = {
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
}
_PAPER = {
    "size_px": 128,  # "128 in", papers.md §5.1
    "crop_scale": (128 / 350, 1.0),  # [ours]: the released code cuts 128 of 350 px
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "answer_stride": 1,
    "overlap_px": 4,  # "overlapPred=4 px border seen", §5.1
    "overlap_weight": 10.0,  # not in papers.md; the released code's
}

RECIPES = {
    "small": Recipe(
        task=Inpainting(),
        settings=_SMALL,
        about="Pictures of 64 px, our small network.",
    ),
    "paper": Recipe(
        task=Inpainting(
            **{
                **_PAPER,
                "size_px": 228,
                "crop_scale": (227 / 256, 227 / 256),
            },  # 228: CaffeNet, whole 4s
            mask="random-region",  # "for features", §5.1
            layer="conv5",
            places=6,  # pool5's 6 x 6 places
            bottleneck="channel-wise",  # "AlexNet variant uses channel-wise FC", §5.1
            head_width=256,
            adversarial=0.0,  # "adv diverged with AlexNet → features use L2 only", §5.1
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 100_000,  # [ours]
            "batch_size": 64,  # §5.1
            "optim.name": "adam",  # §5.1
            "optim.lr": 2e-4,  # "Adam 2e-4", §5.1
            "optim.betas": (0.5, 0.999),  # "β1 .5", §5.1
            "optim.weight_decay": 0.0,
            "optim.schedule": "constant",
        },
        about="The features of papers.md §5.3: AlexNet, random regions, L2 alone; made for a GPU.",
    ),
}
"""Name → recipe."""
