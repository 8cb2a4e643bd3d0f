"""Exports: the libraries that they are for read them back and answer as the encoder does."""

import contextlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from avssl.cli import main
from avssl.model import build_encoder, load_encoder, save_encoder
from avssl.run import export as export_module
from avssl.run import export_onnx

METADATA = {
    "task": "rotation", "described": "rotation(size_px=64)", "recipe": "small", "step": 1234,
    "data": "/home/somebody/secret/birds", "data_fingerprint": "0123456789abcdef",
    "num_clips": {"train": 987, "validation": 65, "test": 0}, "initial_weights": None,
    "scores": {"loss": 0.5, "accuracy": 0.8125}, "trivial": {"accuracy": 0.25},
    "versions": {"avssl": "0.1.0"}, "device": "somebody's machine",
}  # fmt: skip
RESULT = {
    "kind": "probe", "title": "Linear probe", "data": "/home/somebody/labels", "split": "test",
    "rows": {"network": {"mAP": 0.375}, "untrained": {"mAP": 0.4375},
             "imagenet": {"not run": "no weights here"}},
    "intervals": {"network": {"mAP": [0.3125, 0.4325]}}, "metric": "mAP", "better": "higher",
}  # fmt: skip
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in export_onnx.PARTS), reason="extra `export` not here"
)


def make_run(folder: Path, name: str = "small-bn", *, stream: str = "vision", **changes) -> Path:
    """The folder of a finished run with one result, as far as an export reads it."""
    encoder = build_encoder(name, stream=stream, seed=3)
    save_encoder(encoder, folder, metadata={**METADATA, **changes}, stream=stream)
    (folder / "run.json").write_text(json.dumps(METADATA))
    (folder / "probe_test.json").write_text(json.dumps(RESULT))
    return folder


def python_of(card: str) -> str:
    """The lines of Python in a card."""
    found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert found
    return found[1]


def run_lines(lines: str, folder: Path) -> Any:
    """Runs what a card says in the folder that it lies in, and gives its `vector`."""
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        exec(lines, names)
    return names["vector"]


def test_timm_makes_the_same_network_from_the_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "timm:resnet18")
    out = tmp_path / "mine.safetensors"
    assert main(["export", str(run), "--format", "timm", "-o", str(out)]) == 0
    facts = json.loads(out.with_suffix(".json").read_text())
    network = timm.create_model("resnet18", num_classes=0, checkpoint_path=str(out)).eval()
    encoder = load_encoder(run)
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    config = facts["pretrained_cfg"]
    mean, std = (torch.tensor(config[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    assert torch.allclose(network((frames - mean) / std), encoder(frames), rtol=1e-4, atol=1e-5)
    assert facts["create_model"] == (
        'timm.create_model("resnet18", num_classes=0, checkpoint_path="mine.safetensors")'
    )
    assert config["input_size"] == [3, 224, 224] and "url" not in config
    found = run_lines(python_of(out.with_suffix(".md").read_text()), tmp_path)
    assert tuple(found.shape) == (2, encoder.width)


def test_a_sound_network_of_timm_has_one_channel(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "timm:resnet10t", stream="sound")
    out = tmp_path / "mine.safetensors"
    words = ["export", str(run), "--format", "timm", "-o", str(out), "--stream", "sound"]
    assert main(words) == 0
    network = timm.create_model(
        "resnet10t", num_classes=0, in_chans=1, checkpoint_path=str(out)
    ).eval()
    encoder = load_encoder(run, "sound")
    samples = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0)) / 10
    expected = encoder(samples)
    assert torch.allclose(network(encoder.front_end(samples)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "timm", "-o", "x.safetensors"], "no network of timm; --format onnx"),
        (["--format", "timm", "-o", "x.onnx"], "must end in .safetensors"),
        (["--format", "hf", "-o", "run"], "choose a new folder"),
        (["--format", "hf", "-o", "x", "--stream", "sound"], "without sound_encoder.safetensors"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    make_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "run", *words]) == 2
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1 and said in shown
    assert not (tmp_path / words[3]).is_file()


def test_a_missing_part_is_one_clear_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(export_onnx, "find_spec", lambda name: None if name == "onnx" else 1)
    assert main(["export", "random:small", "--format", "onnx", "-o", str(tmp_path / "x.onnx")]) == 2
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1 and "needs onnx; install with" in shown
    assert "avssl[export]" in shown


@needs_onnx
def test_onnxruntime_answers_as_the_encoder_does(tmp_path: Path) -> None:
    import onnxruntime

    run = make_run(tmp_path / "run")
    out = tmp_path / "mine.onnx"
    assert main(["export", str(run), "--format", "onnx", "-o", str(out), "--size-px", "48"]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [(x.name, x.type) for x in session.get_inputs()] == [("frames", "tensor(uint8)")]
    names = [x.name for x in session.get_outputs()]
    assert names == ["vector", "res2", "res3", "res4", "res5"]
    rng = np.random.default_rng(1)
    encoder = load_encoder(run)
    for batch in (1, 5):  # 5 is none of those that the export compared
        frames = rng.integers(0, 256, (batch, 3, 48, 48)).astype(np.uint8)
        found = dict(zip(names, session.run(None, {"frames": frames}), strict=True))
        with torch.no_grad():
            maps = encoder.features(torch.from_numpy(frames))
            np.testing.assert_allclose(
                found["vector"], encoder(torch.from_numpy(frames)), rtol=1e-4, atol=1e-5
            )
        for name, one in maps.items():
            np.testing.assert_allclose(found[name], one, rtol=1e-4, atol=1e-5)
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["input"]["shape"] == ["batch", 3, 48, 48]
    assert facts["outputs"]["res3"] == ["batch", 48, 6, 6]
    assert max(facts["differences"].values()) < facts["tolerance"]
    found = run_lines(python_of(out.with_suffix(".md").read_text()), tmp_path)
    assert tuple(found.shape) == (2, encoder.width)


@needs_onnx
def test_the_stft_of_a_sound_encoder_is_inside(tmp_path: Path) -> None:
    import onnxruntime

    run = make_run(tmp_path / "run", "logmel16k/small-bn", stream="sound")
    out = tmp_path / "heard.onnx"
    words = ["export", str(run), "--format", "onnx", "-o", str(out), "--stream", "sound"]
    assert main([*words, "--seconds", "0.5"]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    samples = (np.random.default_rng(0).standard_normal((2, 8000)) / 10).astype(np.float32)
    vector = session.run(["vector"], {"samples": samples})[0]
    with torch.no_grad():
        expected = load_encoder(run, "sound")(torch.from_numpy(samples))
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)


def test_a_difference_above_the_tolerance_is_refused() -> None:
    from avssl.errors import InputError

    assert export_module.relative_difference([1.0, -4.0], [1.0, -5.0]) == 0.2
    assert export_module.relative_difference([1.0], [1.0, 2.0]) == float("inf")
    assert export_module.relative_difference([float("nan")], [1.0]) == float("inf")
    with pytest.raises(InputError, match=r"res3 differs by 0\.2"):
        export_module.check_differences({"vector": 1e-7, "res3": 0.2}, format_name="onnx")
    with pytest.raises(InputError, match="vector"):
        export_module.check_differences({"vector": float("nan")}, format_name="onnx")


def test_a_hubs_folder_is_loaded_and_its_card_read(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    run = make_run(tmp_path / "run")
    out = tmp_path / "hub"
    for _ in range(2):  # again into its own folder
        words = ["export", str(run), "--format", "hf", "-o", str(out), "--licence", "mit"]
        assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "config.json", "model.safetensors"
    ]  # fmt: skip
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert torch.equal(load_encoder(out)(frames), load_encoder(run)(frames))
    card = ModelCard.load(out / "README.md")
    assert card.data.license == "mit" and card.data.library_name == "avssl"
    assert {"avssl", "rotation", "self-supervised", "vision"} <= set(card.data.tags)
    text = card.text
    assert "fingerprint `0123456789abcdef`" in text and "train 987" in text
    assert "| accuracy | 0.8125 | 0.25 |" in text
    assert "| network | 0.375 [0.3125, 0.4325] |" in text
    assert "imagenet | not run: no weights here" in text
    assert "training data: unknown" in text
    assert "Not better than a row without training or learning in: Linear probe" in text
    whole = "".join(path.read_text() for path in (out / "README.md", out / "config.json"))
    assert "somebody" not in whole  # neither folders nor machine of whoever trained it
    assert run_lines(python_of(text), tmp_path).shape == (2, 192)


def test_timm_reads_the_folder_of_its_network(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "timm:resnet18")
    assert main(["export", str(run), "--format", "hf", "-o", str(tmp_path / "hub")]) == 0
    network = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    encoder = load_encoder(tmp_path / "hub")
    frames = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(encoder.normalise(frames)), encoder(frames))
    assert network.pretrained_cfg["mean"] == pytest.approx((0.485, 0.456, 0.406))


def test_the_licence_of_the_data_is_what_its_preparation_noted(tmp_path: Path) -> None:
    from avssl.run.model_card import data_licence

    (tmp_path / "prepare.json").write_text(json.dumps({"licence": "CC BY 4.0"}))
    assert data_licence({"data": str(tmp_path)}) == "CC BY 4.0"
    assert data_licence({"data": str(tmp_path)}, "CC0") == "CC0"
    assert data_licence({"data": str(tmp_path / "gone")}) == "unknown"
