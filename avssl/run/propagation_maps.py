"""Maps of an encoder for label propagation: which layer, of which pictures."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.downstream.propagation import Protocol, propagate
from avssl.errors import InputError
from avssl.transform.palette import light_of

_STRIDE_PX = 8
_BATCH = 16
Maps = Callable[[Iterable[NDArray[np.uint8]]], Iterator[Tensor]]


def choose_layer(encoder: Any, layer: str = "") -> str:
    """Gives `layer`, or the deepest of at most 8 px stride, or the last where all are coarser.

    Raises:
        InputError: no such layer, or a network of clips.
    """
    if encoder.num_frames > 1:
        raise InputError(f"{encoder.name}: takes clips, propagation needs a network of pictures")
    names = list(encoder.layers)
    if layer and layer not in names:
        raise InputError(f"--layer {layer!r}: {encoder.name} has {', '.join(names)}")
    fine = [name for name in names if encoder.layers[name][1] <= _STRIDE_PX]
    return layer or (fine or names)[-1]


def maps_of(encoder: Any, layer: str, *, short_side_px: int = 0, grey: bool = False) -> Maps:
    """Gives the function that takes pictures uint8 [3, H, W] to the layer's maps [D, h, w].

    Args:
        encoder: of pictures.
        layer: its name.
        short_side_px: pictures are scaled to it; 0: as they are.
        grey: the encoder is shown lightness alone, as `tracking-by-colorization` trains it.
    """

    @torch.no_grad()
    def run(shown: Iterable[NDArray[np.uint8]]) -> Iterator[Tensor]:
        source = iter(shown)
        while part := list(itertools.islice(source, _BATCH)):
            shown_now = np.stack([_scaled(one, short_side_px) for one in part])
            if grey:
                shown_now = light_of(shown_now).repeat(3, axis=1)
            frames = torch.from_numpy(shown_now)
            yield from encoder.features(frames)[layer]

    return run


def _scaled(picture: NDArray[np.uint8], short_side_px: int) -> NDArray[np.uint8]:
    height, width = picture.shape[1:]
    factor = short_side_px / min(height, width) if short_side_px else 1.0
    if factor == 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    whole = cv2.resize(np.ascontiguousarray(picture.transpose(1, 2, 0)), size, interpolation=method)
    return np.ascontiguousarray(whole.transpose(2, 0, 1), dtype=np.uint8)


def carried(maps: Iterator[Tensor], make: Callable[..., Tensor], how: Protocol) -> Iterator[Tensor]:
    """Gives the labels of all frames; `make` gives the first ones at the size of the maps."""
    first = next(maps)
    labels = make(size=(first.shape[1], first.shape[2]))
    return propagate(itertools.chain([first], maps), labels, protocol=how)
