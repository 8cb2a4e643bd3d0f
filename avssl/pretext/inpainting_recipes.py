"""Recipes of inpainting: complete settings, where they come from, what to expect."""

from typing import Any

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
_SOLVER = {
    "batch_size": 64,  # papers.md §5.1
    "optim.name": "adam",  # §5.1
    "optim.lr": 2e-4,  # "Adam 2e-4", §5.1
    "optim.betas": (0.5, 0.999),  # "β1 .5", §5.1
    "optim.weight_decay": 0.0,
    "optim.schedule": "constant",
    "steps": 100_000,  # [ours: not in papers.md]
}
_PLAIN: dict[str, Any] = {
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "answer_stride": 1,
    "from_mean": False,
}

RECIPES = {
    "small": Recipe(
        task=Inpainting(),
        settings=_SMALL,
        about="Pictures of 64 px, our small network. On held-out clips of the synthetic world: "
        "explained 0.19, 0.27, 0.28 after 100, 150 and 200 steps of a run of 200 (103 core-seconds "
        "of a busy machine); a smooth filling from the rim, which no vector of 192 numbers holds, "
        "explains 0.73.",
    ),
    "paper": Recipe(
        task=Inpainting(
            **_PLAIN,
            size_px=228,  # CaffeNet's maps are those of 227
            crop_scale=(227 / 256, 227 / 256),
            mask="random-region",  # "random-region masks for features", papers.md §5.1
            hidden_share=0.25,  # not in papers.md; ¼ in the released code
            overlap_px=0,  # off for regions in the released code
            layer="conv5",  # [ours]: where AlexNet's own fully connected layers begin
            places=6,  # pool5's
            bottleneck="channel-wise",  # "AlexNet variant uses channel-wise FC", §5.1
            head_width=256,  # [ours: not in papers.md]
            adversarial=0.0,  # "adv diverged with AlexNet → features use L2 only", §5.1
        ),
        settings={"vision": "caffenet-bn", **_SOLVER},
        # The features of the rows of papers.md §5.3.
        about="How the features of Pathak and others 2016 were made: AlexNet, random regions, L2. "
        "Made for a GPU.",
    ),
    "centre": Recipe(
        task=Inpainting(
            **_PLAIN,
            size_px=128,  # "128 in", §5.1
            crop_scale=(128 / 350, 1.0),  # [ours]: the released code cuts 128 out of 350 px
            mask="centre",  # "centre 64 hole", §5.1
            overlap_px=4,  # "overlapPred=4", §5.1
            overlap_weight=10.0,  # not in papers.md; 10 in the released code
            places=4,  # the paper's five convolutions of stride 2: 4 x 4 places of 128 px
            bottleneck="full",
            hidden=4000,  # "4000-d bottleneck", §5.1
            head_width=512,  # [ours: not in papers.md]
            # ".999·L2 + .001·adv", §5.1; ours reverses the judge's gradient instead of training in
            # turns, and takes L2 in units of half the range of tanh.
            adversarial=0.001,
        ),
        # res5 of a ResNet has the 4 x 4 places; the paper's own encoder is not among ours.
        settings={"vision": "resnet18", **_SOLVER},
        about="The drawings of Pathak and others 2016: the middle half, with a judge whose "
        "gradient is turned round in the one step (theirs: two steps in turns). ResNet-18 for "
        "their encoder of five convolutions. Made for a GPU.",
    ),
}
"""Name → recipe."""
