"""Patches on the device: brightness and contrast taken out of each by itself."""

import torch
from torch import Tensor

USUAL_MEAN, USUAL_DEVIATION = 0.45, 0.25
"""About those of photographs, so that an encoder's own normalisation gets what it expects."""


def standardised(pictures: Tensor, *, each_color: bool = False) -> Tensor:
    """Gives each picture mean 0.45 and deviation 0.25, over its places and colours together.

    Jigsaw (papers.md §5.1: "each tile normalised by own mean/std") and relative position need it,
    or brightness that falls off to the corners tells where a patch was.

    Args:
        pictures: uint8 0–255 or float 0–1, [..., 3, H, W]; one of a single colour comes out even.
        each_color: every colour by itself, so that a patch's hue (sky, grass) goes as well.

    Returns:
        float32 of the same shape.
    """
    values = pictures.float() / (1 if pictures.is_floating_point() else 255)
    over = (-2, -1) if each_color else (-3, -2, -1)
    mean = values.mean(dim=over, keepdim=True)
    deviation = (values - mean).square().mean(dim=over, keepdim=True).sqrt()
    # Half a level of 255: below it there is nothing but rounding to be stretched.
    return (values - mean) / torch.clamp(deviation, min=0.5 / 255) * USUAL_DEVIATION + USUAL_MEAN
