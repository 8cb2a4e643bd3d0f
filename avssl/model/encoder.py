"""The one form of a vision encoder, and every network behind it by name.

    encoder = build_encoder("timm:resnet18")
    encoder(frames)                      # vector [batch, width]
    encoder.features(frames)["res4"]     # maps [batch, channels, h, w]
    encoder.layers["res4"]               # (channels, stride in px)

Shapes: frames [batch, 3, H, W], clip models [batch, 3, T, H, W]; uint8 0–255, or float 0–1. Mean
and deviation are the encoder's own business: it normalises on the device.
"""

import contextlib
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from avssl.errors import InputError
from avssl.model import caffenet, l3, small, vit
from avssl.model.published import published_weights
from avssl.model.sound import SoundEncoder, build_sound_encoder, run_plain

Run = Callable[[nn.Module, Tensor, bool], tuple[Tensor, Mapping[str, Tensor]]]
"""(network, normalised pictures, maps wanted) → vector [batch, width], name → maps."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Caffe's nets see pictures of 0–255 less this mean (papers.md §1.1 gives it in BGR order).
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
KINETICS_MEAN = (0.45, 0.45, 0.45)
KINETICS_STD = (0.225, 0.225, 0.225)
CLIP_NETWORKS = {"slow_r50": (8, 224), "x3d_s": (13, 160), "r2plus1d_r50": (16, 224)}
"""pytorchvideo's clip networks: name → (frames, px) that they were designed for."""


class Encoder(nn.Module):
    """A network with its normalisation, its layers by name and its vector."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        run: Run,
        name: str,
        layers: Mapping[str, tuple[int, int]],
        width: int,
        input_size_px: int,
        mean: Sequence[float],
        std: Sequence[float],
        num_frames: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self._run = run
        self.name = name
        self.layers = dict(layers)
        """Layer name → (channels, stride in px), from the picture's side to the vector's."""
        self.width = width
        """Length of the vector."""
        self.input_size_px = input_size_px
        """Side of the pictures that it was made for; most networks take others too."""
        self.num_frames = num_frames
        """1: takes pictures; more: takes clips, and was made for this many frames."""
        shape = (1, 3, *([1] * (2 if num_frames == 1 else 3)))
        self.register_buffer("mean", torch.tensor(mean).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(shape), persistent=False)

    def normalise(self, frames: Tensor) -> Tensor:
        """Gives float pictures less the mean, over the deviation; uint8 is scaled to 0–1 first."""
        if frames.ndim != self.mean.ndim or frames.shape[1] != 3:
            wanted = "[batch, 3, H, W]" if self.mean.ndim == 4 else "[batch, 3, T, H, W]"
            raise InputError(f"{self.name} takes {wanted}, got {list(frames.shape)}")
        scaled = frames.to(self.mean.dtype)
        if not frames.is_floating_point():
            scaled = scaled / 255
        return (scaled - self.mean) / self.std

    def forward(self, frames: Tensor) -> Tensor:
        """Gives the vector, float [batch, width]."""
        return self._run(self.network, self.normalise(frames), False)[0]

    def features(self, frames: Tensor) -> dict[str, Tensor]:
        """Gives all maps by name: [batch, channels, h, w], of clips [batch, channels, t, h, w]."""
        return dict(self._run(self.network, self.normalise(frames), True)[1])

    def both(self, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Gives the vector and all maps of one pass; see `forward` and `features`."""
        vector, maps = self._run(self.network, self.normalise(frames), True)
        return vector, dict(maps)

    def tokens(self, frames: Tensor, visible: Tensor) -> Tensor:
        """Gives a ViT's tokens [B, K + V, width] of the patches `visible`, int64 [B, V], alone.

        No other pixel is looked at; see `avssl.model.vit.visible_tokens`.
        """
        return vit.visible_tokens(self.network, self.normalise(frames), visible, name=self.name)

    def description(self) -> dict[str, Any]:
        """Gives what the JSON beside saved weights says of it."""
        return {
            "name": self.name,
            "width": self.width,
            "layers": {name: list(sizes) for name, sizes in self.layers.items()},
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
        }


def _run_clip(
    network: nn.Module, x: Tensor, want_maps: bool
) -> tuple[Tensor, Mapping[str, Tensor]]:
    maps = {}
    for stage, block in enumerate(network.children(), start=1):
        x = block(x)
        maps[f"res{stage}" if stage > 1 else "conv1"] = x
    return x.mean(dim=(2, 3, 4)), maps


class TimmRun:
    """Runs a timm network and names its stages."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def __call__(
        self, network: Any, x: Tensor, want_maps: bool
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See `Run`."""
        if not want_maps:
            return network.forward_head(network.forward_features(x), pre_logits=True), {}
        last, found = network.forward_intermediates(x)
        maps = dict(zip(self.names, found, strict=True))
        return network.forward_head(last, pre_logits=True), maps


def _stage_names(info: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names stages by stride (2 → conv1, 4 → res2, 8 → res3 …), a ViT's by number (block1 …)."""
    strides = [stage["reduction"] for stage in info]
    if len(set(strides)) == len(strides) and all(n & (n - 1) == 0 for n in strides):
        return [f"res{n.bit_length() - 1}" if n > 2 else "conv1" for n in strides]
    return [f"block{number}" for number in range(1, len(strides) + 1)]


@dataclass(frozen=True, kw_only=True)
class TimmParts:
    """A network of timm and what is known about it."""

    network: Any
    run: TimmRun
    layers: dict[str, tuple[int, int]]
    width: int


def timm_parts(
    name: str, *, pretrained: bool, channels: int = 3, own: Sequence[str] = ()
) -> TimmParts:
    """Builds a network of timm without its classifier.

    Args:
        name: timm's.
        pretrained: with published weights.
        channels: of the input.
        own: names written here, which may have been meant too.

    Raises:
        InputError: no such network, or one without named stages.
    """
    import timm
    from timm.models import is_model_in_modules

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*own, *timm.list_models()], n=3)
        known = f"own networks: {', '.join(own)}; " if own else ""
        hint = f"did you mean {' or '.join(near)}?" if near else f"{known}else timm.list_models()"
        raise InputError(f"encoder {name!r}: no such network; {hint}")
    how: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if pretrained:
        how["pretrained_cfg_overlay"] = {"file": str(published_weights(name))}
    if is_model_in_modules(name, ["vision_transformer"]):
        how |= {"dynamic_img_size": True, "dynamic_img_pad": True}  # pictures of any size
    network: Any = timm.create_model(name, pretrained=pretrained, **how)
    if not hasattr(network, "forward_intermediates"):
        raise InputError(f"encoder timm:{name}: has no named stages in timm; choose another")
    return _parts_of(network)


def _parts_of(network: Any) -> TimmParts:
    names = _stage_names(network.feature_info)
    return TimmParts(
        network=network,
        run=TimmRun(names),
        layers={
            layer: (stage["num_chs"], stage["reduction"])
            for layer, stage in zip(names, network.feature_info, strict=True)
        },
        width=getattr(network, "head_hidden_size", None) or network.num_features,
    )


def _build_timm(name: str, *, pretrained: bool, own: Sequence[str] = ()) -> Encoder:
    parts = timm_parts(name, pretrained=pretrained, own=own)
    published = parts.network.pretrained_cfg
    return Encoder(
        parts.network,
        run=parts.run,
        name=f"timm:{name}",
        layers=parts.layers,
        width=parts.width,
        input_size_px=published["input_size"][-1],
        mean=published["mean"],
        std=published["std"],
    )


def _build_clip(name: str) -> Encoder:
    if name not in CLIP_NETWORKS:
        raise InputError(f"encoder pytorchvideo:{name}: must be one of {', '.join(CLIP_NETWORKS)}")
    num_frames, size_px = CLIP_NETWORKS[name]
    if name == "x3d_s":
        from pytorchvideo.models.x3d import create_x3d

        whole = create_x3d(input_clip_length=num_frames, input_crop_size=size_px)
        widths = (24, 24, 48, 96, 192)
        strides = (2, 4, 8, 16, 32)
    elif name == "slow_r50":
        from pytorchvideo.models.resnet import create_resnet

        # Its annotations say tuples of one number; its code and its own hub pass three.
        kernels: Any = {"stem_conv_kernel_size": (1, 7, 7), "head_pool_kernel_size": (8, 7, 7)}
        whole = create_resnet(**kernels)
        widths = (64, 256, 512, 1024, 2048)
        strides = (4, 4, 8, 16, 32)
    else:
        from pytorchvideo.models.r2plus1d import create_r2plus1d

        whole = create_r2plus1d()
        widths = (64, 256, 512, 1024, 2048)
        strides = (2, 4, 8, 16, 32)
    blocks: Any = whole.blocks
    return Encoder(
        nn.Sequential(*list(blocks)[:-1]),  # the last block is the classifier
        run=_run_clip,
        name=f"pytorchvideo:{name}",
        layers=dict(
            zip(
                ("conv1", "res2", "res3", "res4", "res5"),
                zip(widths, strides, strict=True),
                strict=True,
            )
        ),
        width=widths[-1],
        input_size_px=size_px,
        mean=KINETICS_MEAN,
        std=KINETICS_STD,
        num_frames=num_frames,
    )


def _build_own(name: str) -> Encoder:
    batch_norm = name.endswith("-bn")
    if name.startswith("caffenet"):
        size_px, stride = caffenet.SIZES[name.removesuffix("-bn")]
        return Encoder(
            caffenet.CaffeNet(size_px=size_px, stride=stride, batch_norm=batch_norm),
            run=run_plain,
            name=name,
            layers=caffenet.layers_of(size_px, stride),
            width=4096,
            input_size_px=size_px,
            mean=CAFFE_MEAN,
            std=CAFFE_STD,
        )
    rest: dict[str, Any] = {"name": name, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    if name in vit.VITS:
        parts = _parts_of(vit.build_vit(name))
        rest |= {"run": parts.run, "layers": parts.layers, "width": parts.width}
        return Encoder(parts.network, input_size_px=vit.VITS[name].input_size_px, **rest)
    if name in ("l3", "ave"):
        stride = 1 if name == "l3" else 2
        rest |= {"layers": l3.layers_of(stride), "width": l3.WIDTHS[-1]}
        network = l3.L3Net(first_stride=stride)
        return Encoder(network, run=run_plain, input_size_px=l3.INPUT_SIZE_PX, **rest)
    rest |= {"layers": small.LAYERS, "width": small.WIDTHS[-1]}
    return Encoder(small.SmallNet(batch_norm=batch_norm), run=run_plain, input_size_px=64, **rest)


_CAFFENETS = tuple(f"{name}{norm}" for name in caffenet.SIZES for norm in ("", "-bn"))
OWN_NETWORKS = ("small", "small-bn", *_CAFFENETS, "l3", "ave", *vit.VITS)
"""Networks written here; "-bn" has BatchNorm, and so have the towers of L3-Net and AVE-Net."""

STREAMS = ("vision", "sound")


@overload
def build_encoder(
    name: str,
    *,
    stream: Literal["vision"] = ...,
    pretrained: bool = ...,
    seed: int | None = ...,
) -> Encoder: ...
@overload
def build_encoder(
    name: str, *, stream: str, pretrained: bool = ..., seed: int | None = ...
) -> Any: ...
def build_encoder(
    name: str, *, stream: str = "vision", pretrained: bool = False, seed: int | None = None
) -> Encoder | SoundEncoder:
    """Builds an encoder by its name.

    Args:
        name: one of `OWN_NETWORKS`, "pytorchvideo:NAME" for one of `CLIP_NETWORKS`, or any network
            of timm as "timm:NAME" or plainly "NAME"; for sound see `avssl.model.sound`.
        stream: "vision" or "sound".
        pretrained: with timm's published weights (from its cache or the network).
        seed: draws the first weights from this seed and leaves torch's own generator as it was;
            None draws from torch's generator.

    Raises:
        InputError: no such network, or no such weights to be had.
    """
    if stream not in STREAMS:
        raise InputError(f"stream {stream!r}: must be one of {', '.join(STREAMS)}")
    with contextlib.ExitStack() as stack:
        if seed is not None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(seed)
        if stream == "sound":
            return build_sound_encoder(name, pretrained=pretrained)
        plain = name.removeprefix("timm:")
        is_other = name in OWN_NETWORKS or name.startswith("pytorchvideo:")
        if not is_other:
            meant = () if name.startswith("timm:") else OWN_NETWORKS
            return _build_timm(plain, pretrained=pretrained, own=meant)
        if pretrained:
            raise InputError(f"encoder {name!r}: there are no published weights; give a file")
        if name in OWN_NETWORKS:
            return _build_own(name)
        return _build_clip(name.removeprefix("pytorchvideo:"))
