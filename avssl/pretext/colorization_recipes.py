"""Recipes of colorization: complete settings, where they come from, what to expect."""

from avssl.pretext.colorization import Colorization
from avssl.task import Recipe

_SMALL = {
    "vision": "small-bn",
    "steps": 300,
    "batch_size": 64,
    "optim.name": "adamw",
    "optim.lr": 2e-3,
    "optim.weight_decay": 0.05,
    "optim.schedule": "cosine",
    "optim.warmup_steps": 50,
    "channels_last": True,
    "evaluate_every": 100,
}

RECIPES = {
    "small": Recipe(
        task=Colorization(),
        settings=_SMALL,
        about="Pictures of 64 px, our small network. Little is gained on the synthetic world: its "
        "things have colours that grey does not tell. With 240 training clips, after 225 steps "
        "(154 core-seconds of a busy machine), explained 0.05 and color_explained 0.11 of 168 "
        "held-out pictures. A constant fitted to those very pictures has explained 0.08.",
    ),
    "diverse": Recipe(
        task=Colorization(mode="latent"),
        settings=_SMALL,
        about="Several colourings of one picture from a latent code. On held-out clips of the "
        "synthetic world (three seeds): they differ by 0.43 to 0.48 of the colours' deviation, and "
        "explain 0.56 with the code that fits; their mean explains 0.00 to 0.04.",
    ),
    "paper": Recipe(
        task=Colorization(
            # 228, not 227: a whole number of squares of 4 px; CaffeNet's maps are the same size.
            size_px=228,
            crop_scale=(227 / 256, 227 / 256),
            brightness=0.0,
            contrast=0.0,
            answer_stride=4,  # "ab out at ¼ res", papers.md §5.1
            num_nearest=5,  # "5-NN", §5.1
            sigma_ab=5.0,  # "Gaussian σ=5", §5.1: of the neighbours and of p̃
            rebalancing=0.5,  # "λ=½", §5.1
            temperature=0.38,  # "annealed-mean T=.38", §5.1
            layer="conv5",  # AlexNet, as in the rows of §5.3; the dilated VGG is not among ours
            laterals=False,
            head_width=256,  # [ours]
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 450_000,  # "Adam 450 k it.", §5.1
            "batch_size": 40,  # [ours: not in papers.md]
            "optim.name": "adam",  # §5.1
            # The rest is not in papers.md: the solver released for AlexNet (3e-5, by about a third
            # after 240 k, 300 k and 400 k steps, decay 1e-3).
            "optim.lr": 3e-5,
            "optim.betas": (0.9, 0.999),
            "optim.weight_decay": 1e-3,
            "optim.schedule": "step",
            "optim.step_at": (240_000, 300_000, 400_000),
            "optim.step_factor": 1 / 3,
        },
        about="The values of Zhang, Isola and Efros 2016, with AlexNet for their dilated VGG; "
        "batch and head are ours. Made for a GPU.",
    ),
}
"""Name → recipe."""
