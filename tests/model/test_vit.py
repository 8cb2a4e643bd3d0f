"""Vision transformers: positions, patches, visible patches alone, and storage."""

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from avssl.errors import InputError
from avssl.model import build_encoder, load_encoder, save_encoder
from avssl.model.vit import VITS, build_vit, chosen, sine_cosine, to_patches, to_pictures


def pictures(num: int = 2, size_px: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (num, 3, size_px, size_px)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3))
def test_patches_go_back_to_pictures(side: int, patch_px: int, batch: int) -> None:
    shape = (batch, 3, side * patch_px, side * patch_px)
    shown = torch.arange(np.prod(shape)).reshape(shape)
    patches = to_patches(shown, patch_px=patch_px)
    assert patches.shape == (batch, side**2, 3 * patch_px**2)
    assert torch.equal(to_pictures(patches, patch_px=patch_px), shown)
    # the last one is the lower right corner, colours innermost
    corner = shown[:, :, -patch_px:, -patch_px:].permute(0, 2, 3, 1).flatten(1)
    assert torch.equal(patches[:, -1], corner)


def test_positions_are_sines_and_cosines_of_column_and_row() -> None:
    table = sine_cosine(3, 5, width=8)
    assert table.shape == (15, 8)
    for row, column in ((0, 0), (1, 4), (2, 3)):
        wanted = []
        for place in (column, row):
            angles = [place * 10_000 ** (-k / 2) for k in range(2)]
            wanted += [np.sin(angles), np.cos(angles)]
        np.testing.assert_allclose(table[5 * row + column], np.concatenate(wanted), atol=1e-6)


def test_all_patches_visible_is_the_network_as_it_is() -> None:
    """The mean of all tokens is the vector, and the order of patches changes no token."""
    encoder = build_encoder("small-vit", seed=0).eval()
    shown = pictures()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        vector = encoder(shown)
        tokens = encoder.tokens(shown, torch.arange(64).expand(2, -1))
        shuffled = encoder.tokens(shown, order.expand(2, -1))
        last = encoder.features(shown)["block6"].flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens.mean(dim=1), vector)
    torch.testing.assert_close(tokens, encoder.network.norm(last))
    torch.testing.assert_close(shuffled, tokens[:, order], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["small-vit", "small-vit-class", "timm:vit_tiny_patch16_224"])
def test_what_is_hidden_changes_nothing(name: str) -> None:
    encoder = build_encoder(name, seed=0).eval()
    shown = pictures()
    patch_px = encoder.layers["block1"][1]
    count = (64 // patch_px) ** 2
    generator = torch.Generator().manual_seed(2)
    visible = torch.stack([torch.randperm(count, generator=generator)[:3] for _ in range(2)])
    other = to_patches(255 - shown, patch_px=patch_px)
    where = visible[..., None].expand(-1, -1, other.shape[2])
    kept = chosen(to_patches(shown, patch_px=patch_px), visible)
    other = to_pictures(other.scatter(1, where, kept), patch_px=patch_px)
    assert not torch.equal(other, shown)
    with torch.no_grad():
        tokens, again = encoder.tokens(shown, visible), encoder.tokens(other, visible)
        inverted = encoder.tokens(255 - shown, visible)
    assert tokens.shape == (2, 3 + (name != "small-vit"), encoder.width)
    assert torch.equal(tokens, again)
    assert not torch.allclose(tokens, inverted, atol=1e-2)  # what is seen does count


@pytest.mark.parametrize("name", list(VITS))
def test_our_own_have_the_sizes_that_are_promised(name: str) -> None:
    """Weights counted by hand: patches, blocks of 12 D² and 13 D, the last norm, no positions."""
    sizes = VITS[name]
    with torch.device("meta"):  # nothing is drawn
        network = build_vit(name)
    width = sizes.width
    wanted = width * (3 * sizes.patch_px**2 + 1) + sizes.depth * (12 * width**2 + 13 * width)
    wanted += 2 * width + sizes.class_token * width
    assert sum(weight.numel() for weight in network.parameters()) == wanted
    count = (sizes.input_size_px // sizes.patch_px) ** 2 + sizes.class_token
    assert dict(network.named_buffers())["pos_embed"].shape == (1, count, width)


@pytest.mark.parametrize(
    ("name", "size_px", "places"), [("small-vit", 100, 13), ("vit_tiny_patch16_224", 64, 4)]
)
def test_other_sizes_than_their_own_are_taken(name: str, size_px: int, places: int) -> None:
    encoder = build_encoder(name, seed=0).eval()
    with torch.no_grad():
        maps = encoder.features(pictures(size_px=size_px))
    assert {found.shape[2:] for found in maps.values()} == {(places, places)}


@pytest.mark.parametrize(("name", "pool"), [("small-vit", "avg"), ("small-vit-class", "token")])
def test_a_small_vit_comes_back_and_is_one_that_timm_loads(
    name: str, pool: str, tmp_path: Path
) -> None:
    encoder = build_encoder(name, seed=3).eval()
    path = save_encoder(encoder, tmp_path, metadata={})
    again = load_encoder(tmp_path)
    assert again.description() == encoder.description()
    assert torch.equal(again(pictures()), encoder(pictures()))
    network = timm.models.vision_transformer.VisionTransformer(
        img_size=64, patch_size=8, num_classes=0, embed_dim=192, depth=6, num_heads=3,
        class_token=pool == "token", global_pool=pool, fc_norm=False,
    ).eval()  # fmt: skip
    network.load_state_dict(load_file(path))
    assert torch.equal(network(encoder.normalise(pictures())), encoder(pictures()))


def test_other_networks_are_refused_in_one_line() -> None:
    for name in ("small", "timm:resnet18"):
        with pytest.raises(InputError, match="take a plain ViT, such as small-vit") as refused:
            build_encoder(name, seed=0).tokens(pictures(), torch.zeros(2, 3, dtype=torch.int64))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", list(VITS))
def test_first_weights_are_as_promised(name: str) -> None:
    torch.manual_seed(0)
    network = cast(Any, build_vit(name))
    weight = network.blocks[0].mlp.fc1.weight
    if name == "vit-base":  # Xavier-uniform: up to √(6 / (inputs + outputs))
        bound = math.sqrt(6 / (768 + 3072))
        assert 0.99 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    else:
        assert weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert network.blocks[0].mlp.fc1.bias.abs().max() < 1e-4
