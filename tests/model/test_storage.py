"""Encoders on disk: what comes back, what is refused, and that nothing else is needed."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from avssl.errors import InputError
from avssl.model import build_encoder, load_encoder, read_description, save_encoder
from avssl.model import encoder as encoder_module

FRAMES = torch.arange(2 * 3 * 64 * 64).reshape(2, 3, 64, 64).mul(7).remainder(256).to(torch.uint8)


def test_an_encoder_comes_back_as_it_was(tmp_path: Path) -> None:
    encoder = build_encoder("small", seed=3).eval()
    path = save_encoder(encoder, tmp_path, metadata={"data": "abc", "metrics": {"auc": 0.9}})
    assert path == tmp_path / "vision_encoder.safetensors"
    described = read_description(tmp_path)
    assert described["name"] == "small" and described["metadata"]["metrics"] == {"auc": 0.9}
    assert described["layers"]["res4"] == [96, 16]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "vision_encoder.json",
        "vision_encoder.safetensors",
    ]
    for ref in (tmp_path, path, str(path)):
        again = load_encoder(ref)
        assert not again.training
        assert torch.equal(again(FRAMES), encoder(FRAMES))


def test_statistics_of_batch_norm_are_kept(tmp_path: Path) -> None:
    encoder = build_encoder("small-bn", seed=0).train()
    encoder(FRAMES)
    save_encoder(encoder, tmp_path, metadata={})
    assert torch.equal(load_encoder(tmp_path)(FRAMES), encoder.eval()(FRAMES))


def test_a_file_of_ours_is_one_that_timm_loads(tmp_path: Path) -> None:
    encoder = build_encoder("resnet18", seed=0).eval()
    path = save_encoder(encoder, tmp_path / "mine.safetensors", metadata={})
    network = timm.create_model("resnet18", num_classes=0).eval()
    network.load_state_dict(load_file(path))
    assert torch.equal(network(encoder.normalise(FRAMES)), encoder(FRAMES))


def test_a_file_of_timms_is_one_that_we_load(tmp_path: Path) -> None:
    network = timm.create_model("resnet18", num_classes=7).eval()
    save_file(network.state_dict(), tmp_path / "theirs.safetensors")
    encoder = load_encoder(f"timm:resnet18@{tmp_path / 'theirs.safetensors'}")
    features = network.forward_head(
        network.forward_features(encoder.normalise(FRAMES)), pre_logits=True
    )
    assert torch.equal(encoder(FRAMES), features)
    with pytest.raises(InputError, match=r"does not fit timm:resnet34.*name the network"):
        load_encoder(f"timm:resnet34@{tmp_path / 'theirs.safetensors'}")
    with pytest.raises(InputError, match="timm:NAME@"):
        load_encoder(tmp_path / "theirs.safetensors")


def test_the_imagenet_weights_tell_pictures_apart(shared_data: Path) -> None:
    """Loaded right, they see that two parts of one photograph are alike."""
    from PIL import Image

    file = shared_data / "weights" / "tf_efficientnet_lite0.imagenet.safetensors"
    encoder = load_encoder(f"timm:tf_efficientnet_lite0@{file}")
    folder = shared_data / "pose" / "mpii_sample"
    photographs = sorted(folder.rglob("*.jpg"))[:3]
    assert len(photographs) == 3
    parts = []
    for photograph in photographs:
        picture = Image.open(photograph).convert("RGB").resize((240, 240))
        for box in ((0, 0, 224, 224), (16, 16, 240, 240)):
            values = torch.tensor(list(picture.crop(box).tobytes()), dtype=torch.uint8)
            parts.append(values.reshape(224, 224, 3).permute(2, 0, 1))
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(encoder(torch.stack(parts)), dim=1)
    likeness = vectors @ vectors.T
    likeness.fill_diagonal_(-1)
    assert likeness.argmax(dim=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_random_references_are_the_same_every_time() -> None:
    assert torch.equal(load_encoder("random:small")(FRAMES), load_encoder("random:small")(FRAMES))
    assert load_encoder("random:timm:resnet18").name == "timm:resnet18"


def test_published_weights_go_through_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder("resnet18", seed=5).eval()
    path = save_encoder(encoder, tmp_path / "hub.safetensors", metadata={})
    monkeypatch.setattr(encoder_module, "published_weights", lambda name: path)
    assert torch.equal(load_encoder("timm:resnet18")(FRAMES), encoder(FRAMES))


def test_published_weights_that_cannot_be_had_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda **where: None)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot be reached.*timm:resnet18@FILE") as refused:
        load_encoder("timm:resnet18")
    assert "\n" not in str(refused.value)


class Bomb:
    """A pickle that would leave a trace if anyone loaded it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl"])
def test_pickles_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    trace = tmp_path / "trace"
    for name in (f"bomb{suffix}", "bomb.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(InputError, match=r"pickle.*\.safetensors"):
        load_encoder(tmp_path / f"bomb{suffix}")
    with pytest.raises(InputError, match="pickle"):
        load_encoder(f"timm:resnet18@{tmp_path / f'bomb{suffix}'}")
    (tmp_path / "bomb.json").write_text("{}")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_encoder(tmp_path / "bomb.safetensors")
    assert not trace.exists()


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = save_encoder(build_encoder("small", seed=0), tmp_path, metadata={})
    beside = path.with_suffix(".json")
    described = beside.read_text()
    cases = [
        ("{", "not the description of an encoder"),
        ("[]", "not the description of an encoder"),
        (json.dumps({**json.loads(described), "version": 99}), "not an encoder of this version"),
        (json.dumps({**json.loads(described), "name": "small-bn"}), "does not fit small-bn"),
        (json.dumps({**json.loads(described), "name": 3}), "not the description of an encoder"),
        (json.dumps({**json.loads(described), "stream": "sound"}), "for 'sound'"),
    ]
    for text, message in cases:
        beside.write_text(text)
        with pytest.raises(InputError, match=message):
            load_encoder(path)
    beside.write_text(described)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_encoder(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a run folder without vision_encoder"):
        load_encoder(tmp_path / "empty")
    with pytest.raises(InputError, match="no such file"):
        load_encoder(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match=r"timm:resnet18 .published weights. or random:resnet18"):
        load_encoder("resnet18")


BLOCKED = """
import sys
for name in ("torchaudio", "av", "cv2", "librosa", "pytorchvideo", "decord"):
    sys.modules[name] = None  # importing it raises ImportError
import torch
import avssl
encoder = avssl.load_encoder(sys.argv[1])
print(tuple(encoder(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape))
"""


@pytest.mark.parametrize("name", ["small", "timm:resnet18"])
def test_an_encoder_runs_without_torchaudio_or_any_decoder(tmp_path: Path, name: str) -> None:
    encoder = build_encoder(name, seed=0)
    save_encoder(encoder, tmp_path, metadata={})
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == f"(2, {encoder.width})", done.stderr
