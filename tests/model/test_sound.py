"""Sound encoders by name: shapes, files, the papers' sizes, no torchaudio."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avssl.errors import InputError
from avssl.model import build_encoder, load_encoder, save_encoder


def second(rate_hz: int, num: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(num, rate_hz, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "full", "width", "last", "size"),
    [
        ("small", "logmel16k/small", 192, "res5", (2, 4)),
        ("small-bn", "logmel16k/small-bn", 192, "res5", (2, 4)),
        ("timm:resnet18", "logmel16k/timm:resnet18", 512, "res5", (2, 4)),
        ("l3", "l3/l3", 512, "conv4", (32, 24)),  # papers.md 2.1: L3-Net
        ("ave", "l3/ave", 512, "conv4", (16, 12)),  # AVE-Net
        ("openl3-mel128/l3", "openl3-mel128/l3", 512, "conv4", (16, 24)),  # OpenL3
    ],
)
def test_vector_and_maps(name, full, width, last, size) -> None:
    encoder = build_encoder(name, stream="sound", seed=0).eval()
    with torch.no_grad():
        heard = second(encoder.rate_hz)
        vector, maps = encoder(heard), encoder.features(heard)
    assert encoder.name == full and vector.shape == (2, width)
    assert list(maps) == list(encoder.layers) and list(maps)[-1] == last
    assert maps[last].shape == (2, encoder.layers[last][0], *size)
    for layer, (channels, stride) in encoder.layers.items():
        assert maps[layer].shape[1] == channels
        bands = encoder.front_end.num_bands
        assert abs(maps[layer].shape[2] - bands / stride) <= 1


def test_the_papers_picture_towers() -> None:
    for name, side in (("l3", 28), ("ave", 14)):
        encoder = build_encoder(name, seed=0).eval()
        assert encoder.layers["conv4"] == (512, 224 // side)
        with torch.no_grad():
            picture = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
            assert encoder.features(picture)["conv4"].shape == (1, 512, side, side)
        weights = sum(w.numel() for n, w in encoder.named_parameters() if w.ndim == 4)
        assert round(weights / 1e6, 1) == 4.7  # "4.7 M conv params per tower", papers.md 2.1


def test_files_go_both_ways(tmp_path: Path) -> None:
    encoder = build_encoder("openl3-mel128/small", stream="sound", seed=4).eval()
    path = save_encoder(encoder, tmp_path, metadata={}, stream="sound")
    assert path.name == "sound_encoder.safetensors"
    again = load_encoder(tmp_path, "sound")
    heard = second(48_000)
    assert torch.equal(again(heard), encoder(heard)) and again.name == encoder.name
    with pytest.raises(InputError, match="without vision_encoder"):
        load_encoder(tmp_path)
    with pytest.raises(InputError, match="an encoder for 'sound', not for 'vision'"):
        load_encoder(path)
    other = load_encoder("random:small", "sound")
    assert other.name == "logmel16k/small" and not torch.equal(other(heard), again(heard))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("l4/small", "write FRONT/NETWORK with one of l3"),
        ("l3/", "write FRONT/NETWORK"),
        ("l3/resnet1800", "no such network; did you mean resnet18"),
        ("smal", "did you mean small"),
    ],
)
def test_unknown_names_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        build_encoder(name, stream="sound")
    assert "\n" not in str(refused.value)


def test_an_encoder_needs_no_torchaudio(tmp_path: Path) -> None:
    save_encoder(build_encoder("small", stream="sound", seed=0), tmp_path, metadata={},
                 stream="sound")  # fmt: skip
    code = (
        "import sys; sys.modules['torchaudio'] = None\n"
        "import avssl, torch\n"
        f"encoder = avssl.load_encoder({str(tmp_path)!r}, stream='sound')\n"
        "print(tuple(encoder(torch.zeros(1, 16000)).shape))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == "(1, 192)", out.stderr
