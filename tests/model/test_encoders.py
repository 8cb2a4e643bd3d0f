"""Encoders by name: shapes, strides, normalisation, and that they are what they say."""

import pytest
import torch

from avssl.errors import InputError
from avssl.model import Encoder, build_encoder
from avssl.model.encoder import CLIP_NETWORKS

PICTURE_NETWORKS = [
    ("small", 64),
    ("small-bn", 96),
    ("caffenet", 227),
    ("caffenet-bn", 227),
    ("caffenet-96", 96),
    ("caffenet-64-bn", 64),
    ("timm:resnet18", 64),
    ("tf_efficientnet_lite0", 96),
    ("vit_tiny_patch16_224", 224),
    ("convnext_atto", 64),
]


def pictures(size_px: int, *, num_frames: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 3, size_px, size_px) if num_frames == 1 else (1, 3, num_frames, size_px, size_px)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def check_outputs(encoder: Encoder, frames: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        vector, maps = encoder(frames), encoder.features(frames)
    assert vector.shape == (len(frames), encoder.width)
    assert vector.dtype == torch.float32 and bool(vector.isfinite().all())
    assert list(maps) == list(encoder.layers)
    for name, found in maps.items():
        assert found.shape[1] == encoder.layers[name][0]
    return maps


@pytest.mark.parametrize(("name", "size_px"), PICTURE_NETWORKS)
def test_vector_and_maps_have_the_sizes_that_are_promised(name: str, size_px: int) -> None:
    encoder = build_encoder(name, seed=0).eval()
    maps = check_outputs(encoder, pictures(size_px))
    for layer, found in maps.items():
        stride = encoder.layers[layer][1]
        # Caffe's first convolution, 11 px wide, is not padded.
        lost = 10 / encoder.layers["conv1"][1] if "caffenet" in name else 0.5
        assert abs(found.shape[-1] - size_px / stride) <= lost


@pytest.mark.parametrize("name", CLIP_NETWORKS)
def test_clip_networks_take_clips(name: str) -> None:
    encoder = build_encoder(f"pytorchvideo:{name}", seed=0).eval()
    maps = check_outputs(encoder, pictures(64, num_frames=4))
    assert {layer: found.shape[-1] for layer, found in maps.items()} == {
        layer: 64 // stride for layer, (_, stride) in encoder.layers.items()
    }
    with pytest.raises(InputError, match=r"takes \[batch, 3, T, H, W\]"):
        encoder(pictures(64))


@pytest.mark.parametrize("name", ["small", "timm:resnet18", "vit_tiny_patch16_224"])
def test_the_vector_is_made_of_the_last_maps(name: str) -> None:
    """forward() and features() take two ways through timm: they must be the same network."""
    encoder = build_encoder(name, seed=1).eval()
    frames = pictures(encoder.input_size_px if "vit" in name else 64)
    with torch.no_grad():
        vector, maps = encoder(frames), encoder.features(frames)
        if "vit" in name:
            tokens = encoder.network.forward_features(encoder.normalise(frames))
            side = maps["block12"].shape[-1]
            last = encoder.network.norm(maps["block12"].flatten(2).transpose(1, 2))
            assert torch.allclose(last, tokens[:, 1:], atol=1e-4) and side == 14
        else:
            assert torch.allclose(vector, maps["res5"].mean(dim=(2, 3)), atol=1e-5)


def test_normalisation_is_on_the_inside_and_the_same_for_bytes_and_floats() -> None:
    encoder = build_encoder("timm:resnet18", seed=0).eval()
    frames = pictures(48)
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    with torch.no_grad():
        bare = encoder.network((frames.float() / 255 - mean) / std)
        assert torch.allclose(encoder(frames), bare, atol=1e-5)
        assert torch.allclose(encoder(frames.float() / 255), bare, atol=1e-5)


def test_caffenet_is_the_published_net() -> None:
    """Weights per layer as the net's table has them: kernel area x inputs a group x outputs."""
    network = build_encoder("caffenet", seed=0).network
    found = {name: tensor.numel() for name, tensor in network.named_parameters()}
    weights = {name.split(".")[0]: n for name, n in found.items() if name.endswith("weight")}
    assert weights == {
        "conv1": 11 * 11 * 3 * 96,
        "conv2": 5 * 5 * 48 * 256,
        "conv3": 3 * 3 * 256 * 384,
        "conv4": 3 * 3 * 192 * 384,
        "conv5": 3 * 3 * 192 * 256,
        "fc6": 6 * 6 * 256 * 4096,
        "fc7": 4096 * 4096,
    }


@pytest.mark.parametrize(("name", "least_px"), [("caffenet-96-bn", 67), ("caffenet-64-bn", 39)])
def test_caffenets_refuse_pictures_of_which_nothing_is_left(name: str, least_px: int) -> None:
    encoder = build_encoder(name, seed=0).eval()
    with torch.no_grad():
        assert (
            encoder(torch.zeros(1, 3, least_px, 2 * least_px, dtype=torch.uint8)).isfinite().all()
        )
        with pytest.raises(InputError, match=rf"of 200 x {least_px - 1} px.*give {least_px} px"):
            encoder(torch.zeros(1, 3, least_px - 1, 200, dtype=torch.uint8))


@pytest.mark.parametrize(("name", "inputs"), [("caffenet-96", 256), ("caffenet-64", 4 * 256)])
def test_caffenets_of_patches_differ_in_what_fc6_takes(name: str, inputs: int) -> None:
    small, large = (build_encoder(one, seed=0).network for one in (name, "caffenet"))
    shapes = {key: value.shape for key, value in small.state_dict().items()}
    wanted = {key: value.shape for key, value in large.state_dict().items()}
    assert shapes == {**wanted, "fc6.0.weight": (4096, inputs)}


def test_small_net_treats_each_picture_by_itself() -> None:
    encoder = build_encoder("small", seed=0).train()
    frames = pictures(64)
    with torch.no_grad():
        assert torch.allclose(encoder(frames)[:1], encoder(frames[:1]), atol=1e-6)


def test_a_seed_fixes_the_weights_and_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    one, two, other = (build_encoder("small", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "no such network; did you mean resnet18"),
        ("resnet1888", "no such network; did you mean resnet18 or"),
        ("smal", "no such network; did you mean small or small-bn"),
        ("xyzzy", "own networks: small, small-bn"),
        ("pytorchvideo:slowfast_r50", "must be one of slow_r50"),
        ("timm:small", "no such network; did you mean"),
    ],
)
def test_unknown_names_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        build_encoder(name)
    assert "\n" not in str(refused.value)


def test_what_does_not_exist_yet_is_refused() -> None:
    with pytest.raises(InputError, match="must be one of vision, sound"):
        build_encoder("small", stream="smell")
    with pytest.raises(InputError, match="no published weights"):
        build_encoder("small", pretrained=True)


@pytest.mark.parametrize("name", ["small", "small-bn", "timm:resnet18"])
def test_gradients_reach_every_weight(name: str) -> None:
    encoder = build_encoder(name, seed=0).train()
    encoder(pictures(64)).square().sum().backward()
    assert [key for key, weight in encoder.named_parameters() if weight.grad is None] == []
