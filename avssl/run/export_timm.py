"""Export to timm: weights under timm's own names, and the call that makes the network for them.

    timm.create_model("resnet18", num_classes=0, checkpoint_path="FILE.safetensors")

The pictures that this network takes are normalised outside, as timm does it: FILE.json holds the
mean and deviation in timm's `pretrained_cfg`.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.files import replacing
from avssl.run.export import (
    BATCHES,
    Source,
    check_differences,
    example_input,
    relative_difference,
    write_beside,
)
from avssl.run.model_card import Licences, model_card, public


def timm_name(source: Source) -> str:
    """Gives timm's name of the network.

    Raises:
        InputError: it is no network of timm.
    """
    import timm

    name = source.encoder.name.partition("/")[2] or source.encoder.name
    if source.stream == "vision":
        name = source.encoder.name
    name = name.removeprefix("timm:")
    if not timm.is_model(name):
        raise InputError(
            f"{source.encoder.name}: no network of timm; --format onnx runs without avssl, "
            "--format hf with it"
        )
    return name


def create_words(source: Source) -> dict[str, Any]:
    """Gives the keywords of `timm.create_model` that make the very network of this encoder."""
    from timm.models import is_model_in_modules

    words: dict[str, Any] = {"num_classes": 0}
    if source.stream == "sound":
        words["in_chans"] = 1
    if is_model_in_modules(timm_name(source), ["vision_transformer"]):
        words |= {"dynamic_img_size": True, "dynamic_img_pad": True}
    return words


def pretrained_cfg(source: Source) -> dict[str, Any]:
    """Gives timm's description of the weights: size, mean and deviation; no address of others'."""
    encoder = source.encoder
    known = encoder.network.pretrained_cfg
    found = {
        "architecture": timm_name(source).partition(".")[0],
        "tag": "avssl",
        "num_classes": 0,
        "classifier": known.get("classifier"),
        "first_conv": known.get("first_conv"),
        "pool_size": known.get("pool_size"),
        "crop_pct": 1.0,
        "interpolation": known.get("interpolation", "bicubic"),
    }
    if source.stream == "vision":
        side = encoder.input_size_px
        found |= {
            "input_size": [3, side, side],
            "mean": encoder.mean.flatten().tolist(),
            "std": encoder.std.flatten().tolist(),
        }
    return json.loads(json.dumps(found))


def compare(source: Source, network: Any) -> dict[str, float]:
    """Runs timm's network and the encoder on the same pictures (of sound: spectrograms)."""
    import torch

    encoder, differences = source.encoder, {"vector": 0.0, "last map": 0.0}
    for batch in BATCHES:
        value = example_input(encoder, batch=batch)
        with torch.no_grad():
            seen = encoder.normalise(value) if source.stream == "vision" else None
            seen = encoder.front_end(value) if seen is None else seen
            last = network.forward_features(seen)
            found = network.forward_head(last, pre_logits=True)
            pairs = {
                "vector": (found, encoder(value)),
                "last map": (last, encoder.network.forward_features(seen)),
            }
        for name, (one, other) in pairs.items():
            differences[name] = max(differences[name], relative_difference(one, other))
    return differences


def export(source: Source, out: Path, *, licences: Licences) -> dict[str, float]:
    """Writes FILE.safetensors, FILE.json and FILE.md and gives the differences to timm's network.

    Raises:
        InputError: the encoder is no network of timm, or the two differ.
    """
    import timm
    from safetensors.torch import save_file

    name, words = timm_name(source), create_words(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    state = {
        key: value.detach().cpu().contiguous()
        for key, value in source.encoder.network.state_dict().items()
    }
    with replacing(out) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
        trial = temporary.with_name(f"{temporary.stem}.trial.safetensors")
        shutil.copyfile(temporary, trial)
        try:
            network = timm.create_model(name, checkpoint_path=str(trial), **words).eval()
        finally:
            trial.unlink()
        differences = compare(source, network)
        check_differences(differences, format_name="timm")
    call = create_call(name, words, out.name)
    facts: Mapping[str, Any] = {
        "format": "timm",
        "create_model": call,
        "architecture": name,
        "keywords": words,
        "pretrained_cfg": pretrained_cfg(source),
        "differences": differences,
        "metadata": public(source.described.get("metadata") or {}),
    }
    lines = ["import timm", "", f"network = {call}.eval()"]
    if source.stream == "vision":
        side = source.encoder.input_size_px
        mean, std = (facts["pretrained_cfg"][key] for key in ("mean", "std"))
        lines = [
            "import timm",
            "import torch",
            "",
            f"network = {call}.eval()",
            f"mean = torch.tensor({[round(x, 6) for x in mean]}).reshape(1, 3, 1, 1)",
            f"std = torch.tensor({[round(x, 6) for x in std]}).reshape(1, 3, 1, 1)",
            f"pictures = torch.rand(2, 3, {side}, {side})  # 0 to 1",
            "vector = network((pictures - mean) / std)",
        ]
    card = model_card(source, licences=licences, how_to_load=lines, normalises=False)
    write_beside(out, facts, card)
    return differences


def create_call(name: str, words: Mapping[str, Any], file: str) -> str:
    """Gives the call of `timm.create_model` as a line of Python."""
    shown = ", ".join(f"{key}={value!r}" for key, value in words.items())
    return f'timm.create_model("{name}", {shown}, checkpoint_path="{file}")'
