"""From an encoder's layers to vectors of about 9000 numbers: what linear probes look at.

papers.md §5.4, table "ImageNet linear top-1, ResNet-50 (no GAP; each stage pooled to ~9 k dims)"
and the protocol below it (FAIR-bench, vissl): maps are average-pooled to a small grid, so
many places that their numbers come near to 9216. For a ResNet-50 at 224 px that row has

    stage   channels   FAIR-bench (kernel, stride)   grid    numbers
    conv1     64       10, 10                        12 x 12   9216
    res2     256       16, 8                          6 x 6    9216
    res3     512       13, 5                          4 x 4    8192
    res4    1024        8, 3                          3 x 3    9216
    res5    2048        6, 1                          2 x 2    8192

and `grid_side` (the largest square of at most 9216 numbers) gives the same five grids. The windows
that fill them are torch's adaptive ones: equal shares of the map, which overlap by at most a cell
(FAIR-bench's overlap more). A map that is smaller than its grid stays as it is: fewer numbers.

Shapes: maps [batch, channels, h, w], of clips [batch, channels, t, h, w] (their mean over t is
taken), of sounds [batch, channels, bands, frames].
"""

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avssl.errors import InputError

NUM_FEATURES = 9216
VECTOR = "vector"
"""Name of the encoder's own vector among its layers; it comes last."""
Pool = Literal["avg", "max"]


def grid_side(channels: int, *, num_features: int = NUM_FEATURES) -> int:
    """Gives the side of the grid: the largest n with n² · channels ≤ num_features, 1 at least."""
    return max(1, math.isqrt(num_features // channels))


def pooled(maps: Tensor, *, pool: Pool = "avg", num_features: int = NUM_FEATURES) -> Tensor:
    """Gives maps as vectors, float [batch, channels · rows · columns]; see the file's head."""
    if maps.ndim == 5:
        maps = maps.mean(dim=2)
    side = grid_side(maps.shape[1], num_features=num_features)
    grid = min(side, maps.shape[2]), min(side, maps.shape[3])
    take = functional.adaptive_max_pool2d if pool == "max" else functional.adaptive_avg_pool2d
    return take(maps.float(), grid).flatten(1)


def layer_names(encoder: Any) -> list[str]:
    """Gives the encoder's layers from the picture's side on, the vector last."""
    return [*encoder.layers, VECTOR]


def late_middle(encoder: Any) -> str:
    """Gives the last layer but one: where features of geometric tasks are best (papers.md §5.4).

    Of res2 … res5 that is res4; of twelve blocks it is the ninth (three quarters of the way).
    """
    names = list(encoder.layers)
    return names[max(0, math.ceil(0.75 * len(names)) - 1)]


def checked_layer(encoder: Any, layer: str) -> str:
    """Gives `layer`, or the late middle where it is empty.

    Raises:
        InputError: the encoder has none of that name.
    """
    names = layer_names(encoder)
    if layer and layer not in names:
        raise InputError(f"--layer {layer!r}: {encoder.name} has {', '.join(names)}")
    return layer or late_middle(encoder)


@torch.inference_mode()
def layer_maps(encoder: Any, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Gives the vector and all maps of one pass.

    Args:
        encoder: of pictures, clips or sounds.
        batch: uint8 [batch, 3, H, W] or [batch, 3, T, H, W], or float samples [batch, n].
    """
    batch = batch.to(next(encoder.parameters()).device)
    seen = encoder._seen(batch, None) if batch.ndim == 2 else encoder.normalise(batch)
    # `forward` and `features` would each run the network, so what both call is called once
    vector, maps = encoder._run(encoder.network, seen, True)
    return vector, dict(maps)


def layer_vectors(
    encoder: Any,
    batch: Tensor,
    *,
    pool: Pool = "avg",
    layers: list[str] | None = None,
    num_features: int = NUM_FEATURES,
) -> dict[str, NDArray[np.float32]]:
    """Gives every layer's features of a batch: name → float32 [batch, F].

    Args:
        encoder: see `layer_maps`.
        batch: see `layer_maps`.
        pool: how maps are brought to their grid.
        layers: only these.
        num_features: what a grid may come to; 1 pools the whole map.
    """
    vector, maps = layer_maps(encoder, batch)
    found = {}
    for name in layers or layer_names(encoder):
        if name == VECTOR:
            one = vector.float()
        else:
            one = pooled(maps[name], pool=pool, num_features=num_features)
        found[name] = one.cpu().numpy()
    return found
