"""Running statistics of normalisation, apart for each of several tasks.

BatchNorm normalises with a batch's own mean and variance while it learns, and with their running
means afterwards. Where tasks show one encoder different pictures (grey patches, whole frames), one
running mean of both fits neither. Here each task has running means of its own; weights and biases
are shared. (Bilen and Vedaldi, arXiv 1701.07275, keep a set of BatchNorm layers for each domain.)

    layer.running_mean ──▶ tensor of "rotation"            those of the first task are the layer's
    with own.of("jigsaw"):                                 own: they are in its state, and go on
        layer.running_mean ──▶ tensor of "jigsaw"          with the encoder

Tensors change places, their contents are not copied: what a backward pass still needs stays.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


class OwnStatistics(nn.Module):
    """The running statistics of all tasks but the first; empty where no layer keeps any."""

    def __init__(self, encoders: Mapping[str, nn.Module], names: Sequence[str]) -> None:
        """Takes the layers as they are: every task begins with the statistics that they have.

        Args:
            encoders: stream → encoder; they hold the first task's statistics.
            names: of the tasks; the first one's stay in the encoders.
        """
        super().__init__()
        # In a list, or the layers' weights would be this module's too.
        self._places: list[tuple[nn.Module, str, str]] = []
        for stream, encoder in encoders.items():
            for path, layer in encoder.named_modules():
                if isinstance(layer, _NormBase) and layer.track_running_stats:
                    for name in layer._buffers:
                        key = "/".join((stream, *path.split("."), name))
                        self._places.append((layer, name, key))
        self._names = tuple(names)
        for name in self._names[1:]:
            for layer, kind, key in self._places:
                value: Any = layer._buffers[kind]
                self.register_buffer(f"{name}/{key}", value.detach().clone())

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Lets every layer have the statistics of one task within the block.

        Raises:
            KeyError: no such task.
        """
        if name == self._names[0]:
            yield
            return
        if name not in self._names:
            raise KeyError(name)
        before: list[Tensor | None] = [layer._buffers[kind] for layer, kind, _ in self._places]
        for layer, kind, key in self._places:
            layer._buffers[kind] = self._buffers[f"{name}/{key}"]
        try:
            yield
        finally:
            for (layer, kind, _), value in zip(self._places, before, strict=True):
                layer._buffers[kind] = value
