"""Recipes of the tasks on picture and sound: complete settings, where they come from."""

from collections.abc import Mapping
from typing import Any

from avssl.pretext.audio_visual_contrast import AudioVisualContrast
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence
from avssl.pretext.audio_visual_sync import AudioVisualSync
from avssl.task import Recipe

_SMALL: Mapping[str, Any] = {
    "vision": "small-bn",
    "sound": "logmel16k/small-bn",
    "steps": 800,
    "batch_size": 64,
    "optim.lr": 2e-3,
    "optim.weight_decay": 0.01,
    "optim.warmup_steps": 50,
    "optim.clip_norm": 5.0,
    "channels_last": True,
    "evaluate_every": 200,
    "num_evaluation_samples": 512,
}

CORRESPONDENCE = {
    "small": Recipe(
        task=AudioVisualCorrespondence(layer="res4"),
        settings=_SMALL,
        about="Pictures of 96 px, 1 s of log-mel, our small networks.",
    ),
    "paper": Recipe(
        task=AudioVisualCorrespondence(
            fusion="ave",
            standardise=False,
            layer="conv4",
            size_px=224,
            rate_hz=48_000,
            crop_scale=(224 / 256, 224 / 256),
        ),
        settings={
            "vision": "ave",
            "sound": "l3/ave",
            "steps": 400_000,
            "batch_size": 256,
            "optim.name": "adam",
            "optim.lr": 1e-4,
            "optim.weight_decay": 1e-5,
            "optim.schedule": "constant",
        },
        # papers.md §2.3.
        about="AVE-Net's towers (Arandjelović and Zisserman 2018) at 224 px and 48 kHz; batch and "
        "rate are L3-Net's (2017: Adam 1e-4, 16 x 16 pairs; AVE-Net itself took 2048 and searched "
        "the rate). Made for GPUs.",
    ),
}
"""Name → recipe of `audio-visual-correspondence`."""

CONTRAST = {
    "small": Recipe(
        task=AudioVisualContrast(layer="res4"),
        settings=_SMALL,
        about="Pictures of 96 px, 1 s of log-mel, our small networks.",
    ),
    "paper": Recipe(
        task=AudioVisualContrast(pooling="max", size_px=224, temperature=0.03),
        settings={
            "vision": "timm:resnet18",
            "sound": "logmel16k/timm:resnet18",
            "steps": 100_000,
            "batch_size": 128,
            "optim.name": "adam",
            "optim.lr": 1e-4,
            "optim.weight_decay": 1e-4,
            "optim.schedule": "constant",
        },
        # papers.md §3.4.
        about="Two ResNet-18 at 224 px as EZ-VSL's (Mo and Morgado 2022; there 3 s of sound, and "
        "an ImageNet start: --init). Steps and rate are ours. Made for a GPU.",
    ),
}
"""Name → recipe of `audio-visual-contrast`."""

SYNC = {
    "small": Recipe(
        task=AudioVisualSync(),
        settings={**_SMALL, "batch_size": 32},
        about="Eight pictures of 64 px, 0.64 s of log-mel, our small networks.",
    ),
    "paper": Recipe(
        task=AudioVisualSync(
            size_px=224, clip_frames=16, clip_step_s=1 / 16, sound_s=1.0, sound_layer="res4"
        ),
        settings={
            "vision": "pytorchvideo:r2plus1d_r50",
            "sound": "logmel16k/timm:resnet18",
            "steps": 100_000,
            "batch_size": 64,
            "optim.name": "sgd",
            "optim.lr": 1e-2,
            "optim.weight_decay": 5e-4,
        },
        about="A clip network of the published kind (R(2+1)D at 224 px, 16 frames of a second), "
        "ResNet-18 on log-mel; rate and steps are ours. Made for a GPU.",
    ),
}
"""Name → recipe of `audio-visual-sync`."""
