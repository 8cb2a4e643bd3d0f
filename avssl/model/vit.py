"""Vision transformers: our own by name, and what masked autoencoding needs of any of timm's.

    picture [3, H, W] → patches of p x p px → tokens → blocks → tokens → vector

`visible_tokens` runs the blocks on some of the patches only: what is not visible enters nothing, so
it costs nothing and cannot leak. Networks are timm's `VisionTransformer`, so that a file of their
weights is one that timm loads.

Positions of our own networks are fixed sines and cosines; first weights of `vit-base` are
Xavier-uniform (He and others, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, arXiv
2111.06377, A.1). The small ones' are normal of deviation 0.02, timm's own: trained by masked
autoencoding they answer better (docs/pose_study.md) and their features stay of use when frozen.

Shapes: B pictures, N patches in reading order, p px a side, V of them visible, K tokens before the
patches' (class token), D the width.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from avssl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class VitSizes:
    """What a vision transformer of ours is made of."""

    input_size_px: int
    patch_px: int
    width: int
    depth: int
    heads: int
    class_token: bool
    """Whether the vector is a token of its own; else it is the mean of all patches'."""
    first_weights: Literal["", "jax"] = ""
    """timm's `weight_init`: "" normal of deviation 0.02, "jax" Xavier-uniform."""


VITS = {
    "small-vit": VitSizes(
        input_size_px=64, patch_px=8, width=192, depth=6, heads=3, class_token=False
    ),
    # The vector has a token of its own, so what it is trained for need not be in every patch's.
    "small-vit-class": VitSizes(
        input_size_px=64, patch_px=8, width=192, depth=6, heads=3, class_token=True
    ),
    # ViT-Base as Masked Autoencoders trains it: positions are fixed there, and in timm's learned.
    "vit-base": VitSizes(
        input_size_px=224,
        patch_px=16,
        width=768,
        depth=12,
        heads=12,
        class_token=True,
        first_weights="jax",
    ),
}
"""Name → sizes; the small ones have ViT-Tiny's width and half its depth: two cores, 64 px."""


def build_vit(name: str) -> nn.Module:
    """Builds one of `VITS`, with weights from torch's generator; takes pictures of any size."""
    from timm.models.vision_transformer import VisionTransformer

    sizes = VITS[name]
    network: Any = VisionTransformer(
        img_size=sizes.input_size_px,
        patch_size=sizes.patch_px,
        num_classes=0,
        global_pool="token" if sizes.class_token else "avg",
        class_token=sizes.class_token,
        fc_norm=False,  # the same normalisation for tokens and vector
        embed_dim=sizes.width,
        depth=sizes.depth,
        num_heads=sizes.heads,
        dynamic_img_size=True,
        dynamic_img_pad=True,
        weight_init=sizes.first_weights,
    )
    side = sizes.input_size_px // sizes.patch_px
    table = sine_cosine(side, side, width=sizes.width)[None]
    if sizes.class_token:
        table = torch.cat([torch.zeros(1, 1, sizes.width), table], dim=1)
    assert table.shape == network.pos_embed.shape
    del network.pos_embed  # a weight there; here it is saved but not trained
    network.register_buffer("pos_embed", table)
    return network


def sine_cosine(num_rows: int, num_columns: int, *, width: int) -> Tensor:
    """Gives positions as sines and cosines, float32 [num_rows · num_columns, width].

    A quarter of the numbers each is sine and cosine of the column and of the row, at rates from 1
    to nearly 1/10 000 (Vaswani and others, 2017, for each axis).

    Args:
        num_rows: of patches.
        num_columns: of patches.
        width: divisible by 4.
    """
    if width % 4:
        raise ValueError(f"width {width}: must be divisible by 4")
    rates = 10_000.0 ** (-torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(num_rows), torch.arange(num_columns), indexing="ij")
    parts = []
    for place in (column, row):
        angles = place.reshape(-1, 1) * rates
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=1)


def to_patches(pictures: Tensor, *, patch_px: int) -> Tensor:
    """Cuts [B, C, H, W] into [B, N, p · p · C], patches and their pixels in reading order."""
    batch, channels, height_px, width_px = pictures.shape
    rows, columns = height_px // patch_px, width_px // patch_px
    cut = pictures.reshape(batch, channels, rows, patch_px, columns, patch_px)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)


def to_pictures(patches: Tensor, *, patch_px: int) -> Tensor:
    """Puts the patches [B, N, p · p · C] of square pictures together: [B, C, S, S]."""
    batch, count, _ = patches.shape
    side = round(count**0.5)
    tiles = patches.reshape(batch, side, side, patch_px, patch_px, -1)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, side * patch_px, side * patch_px)


def chosen(tokens: Tensor, which: Tensor) -> Tensor:
    """Gives tokens [B, V, D] of [B, N, D], those with the numbers `which`, int64 [B, V]."""
    return torch.gather(tokens, 1, which[..., None].expand(-1, -1, tokens.shape[2]))


def visible_tokens(network: nn.Module, pictures: Tensor, visible: Tensor, *, name: str) -> Tensor:
    """Runs a vision transformer on some patches of each picture.

    Args:
        network: timm's `VisionTransformer`.
        pictures: float [B, 3, H, W], normalised.
        visible: int64 [B, V], the numbers of the patches.
        name: of the network, for the error.

    Returns:
        float [B, K + V, D], after the last normalisation, patches in the order of `visible`.

    Raises:
        InputError: the network is of another kind.
    """
    from timm.models.vision_transformer import VisionTransformer

    if not isinstance(network, VisionTransformer) or network.attn_pool is not None:
        raise InputError(
            f"encoder {name}: cannot be run on some patches only; take a plain ViT, such as "
            "small-vit or timm:vit_tiny_patch16_224"
        )
    tokens = network._pos_embed(network.patch_embed(pictures))
    num_before = network.num_prefix_tokens
    seen = chosen(tokens[:, num_before:], visible)
    tokens = network.norm_pre(torch.cat([tokens[:, :num_before], seen], dim=1))
    # One of the two does nothing: timm normalises before or after it takes the mean.
    return network.fc_norm(network.norm(network.blocks(tokens)))
