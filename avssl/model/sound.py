"""The one form of a sound encoder: samples in, vector and maps out; its spectrogram is inside.

    encoder = build_encoder("logmel16k/small", stream="sound")
    encoder(samples)                     # vector [batch, width]
    encoder.features(samples)["res4"]    # maps [batch, channels, bands, frames]
    encoder.rate_hz, encoder.duration_s  # what it was made for

Its name is FRONT/NETWORK: one of `avssl.model.spectrogram.FRONT_ENDS`, and "small", "small-bn",
"l3", "ave" or any network of timm on one channel. NETWORK alone has "l3" before "l3" and "ave",
"logmel16k" before all others. "ave" halves the size in its first convolution, "l3" does not.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from avssl.errors import InputError
from avssl.model import l3, small
from avssl.model.spectrogram import FRONT_ENDS, FrontEnd, Masks

DURATION_S = 1.0
"""Length of the stretches that the papers' networks hear."""


class SoundEncoder(nn.Module):
    """A network behind its front end, with its layers by name and its vector."""

    def __init__(
        self,
        network: nn.Module,
        *,
        run: Any,
        front_end: FrontEnd,
        name: str,
        layers: Mapping[str, tuple[int, int]],
        width: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.front_end = front_end
        self._run = run
        self.name = name
        self.layers = dict(layers)
        """Layer name → (channels, stride in bands and frames of the spectrogram)."""
        self.width = width
        """Length of the vector."""
        self.rate_hz = front_end.settings.rate_hz
        """Sampling rate of what it hears."""
        self.duration_s = DURATION_S
        """Length that it was made for; others of a window or more work too."""

    def forward(self, samples: Tensor, masks: Masks | None = None) -> Tensor:
        """Gives the vector, float [batch, width], of samples float [batch, n] (full scale ±1).

        `masks` blanks parts of the spectrogram in training mode, and does nothing else.
        """
        return self._run(self.network, self._seen(samples, masks), False)[0]

    def features(self, samples: Tensor, masks: Masks | None = None) -> dict[str, Tensor]:
        """Gives all maps by name, [batch, channels, bands, frames]."""
        return dict(self._run(self.network, self._seen(samples, masks), True)[1])

    def both(self, samples: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Gives the vector and all maps of one pass; see `forward` and `features`."""
        vector, maps = self._run(self.network, self._seen(samples, None), True)
        return vector, dict(maps)

    def _seen(self, samples: Tensor, masks: Masks | None) -> Tensor:
        found = self.front_end(samples)
        return masks(found) if masks is not None and self.training else found

    def description(self) -> dict[str, Any]:
        """Gives what the JSON beside saved weights says of it."""
        return {
            "name": self.name,
            "width": self.width,
            "layers": {name: list(sizes) for name, sizes in self.layers.items()},
            "rate_hz": self.rate_hz,
            "duration_s": self.duration_s,
            "front_end": self.front_end.name,
        }


def split_name(name: str) -> tuple[str, str]:
    """Gives front end and network of a sound encoder's name.

    Raises:
        InputError: no such front end.
    """
    front, found, network = name.partition("/")
    if not found:
        front, network = ("l3" if name in ("l3", "ave") else "logmel16k"), name
    if front not in FRONT_ENDS or not network:
        raise InputError(
            f"sound encoder {name!r}: write FRONT/NETWORK with one of {', '.join(FRONT_ENDS)} "
            "first, or NETWORK alone"
        )
    return front, network


_OWN = ("small", "small-bn", "l3", "ave")


def build_sound_encoder(name: str, *, pretrained: bool = False) -> SoundEncoder:
    """Builds a sound encoder by its name (see the file's head), weights from torch's generator.

    Args:
        name: FRONT/NETWORK, or NETWORK.
        pretrained: with timm's published weights, their first layer summed over colours.

    Raises:
        InputError: no such front end or network, or no published weights.
    """
    front, network_name = split_name(name)
    front_end, full = FrontEnd(front), f"{front}/{network_name}"
    own = {"front_end": front_end, "name": full}
    plain = network_name.removeprefix("timm:")
    if pretrained and network_name in _OWN:
        raise InputError(f"sound encoder {name!r}: there are no published weights; give a file")
    if network_name in ("small", "small-bn"):
        network = small.SmallNet(batch_norm=network_name == "small-bn", channels=1)
        return SoundEncoder(network, run=run_plain, layers=small.LAYERS, width=192, **own)
    if network_name in ("l3", "ave"):
        stride = 1 if network_name == "l3" else 2
        tower = l3.L3Net(channels=1, first_stride=stride)
        return SoundEncoder(tower, run=run_plain, layers=l3.layers_of(stride), width=512, **own)
    from avssl.model.encoder import timm_parts

    parts = timm_parts(plain, pretrained=pretrained, channels=1, own=_OWN)
    return SoundEncoder(parts.network, run=parts.run, layers=parts.layers, width=parts.width, **own)


def run_plain(
    network: nn.Module, x: Tensor, want_maps: bool
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Runs a network that gives vector and maps by itself."""
    return network(x)
