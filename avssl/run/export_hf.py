"""Export to a folder for a model hub: weights, what they are, and a model card.

    OUT/model.safetensors   weights under the bare network's names (a timm network's: timm's)
    OUT/config.json         the encoder's description; a timm network's holds timm's keys too
    OUT/README.md           the model card, with its head in YAML

`avssl.load_encoder(OUT)` reads it; of a timm network `timm.create_model("local-dir:OUT")` too.
Nothing is pushed: `hf upload OWNER/NAME OUT` is the person's own act.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.files import write_bytes, write_json, write_text
from avssl.model.storage import HUB_CONFIG, HUB_WEIGHTS
from avssl.run.export import (
    BATCHES,
    Source,
    check_differences,
    example_input,
    outputs_of,
    relative_difference,
)
from avssl.run.export_timm import create_words, pretrained_cfg, timm_name
from avssl.run.model_card import Licences, model_card, public

FILES = (HUB_WEIGHTS, HUB_CONFIG, "README.md")


def export(source: Source, out: Path, *, licences: Licences) -> dict[str, float]:
    """Writes the folder, reads it back and gives each output's largest relative difference.

    Raises:
        InputError: `out` is a file, or holds other things.
    """
    from avssl.model import load_encoder, save_encoder

    there = [path.name for path in out.iterdir()] if out.is_dir() else []
    strange = [name for name in there if name not in FILES]
    if strange or out.is_file():
        raise InputError(f"-o {out}: holds {(strange or ['a file'])[0]}; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as apart:
        trial = Path(apart)
        metadata = public(source.described.get("metadata") or {})
        path = save_encoder(
            source.encoder, trial / "encoder.safetensors", metadata=metadata, stream=source.stream
        )
        config = json.loads(path.with_suffix(".json").read_text())
        shutil.move(path, trial / HUB_WEIGHTS)
        path.with_suffix(".json").unlink()
        write_json(trial / HUB_CONFIG, {**config, "library_name": "avssl", **_for_timm(source)})
        again = load_encoder(trial, source.stream)
        differences: dict[str, float] = {}
        for batch in BATCHES:
            value = example_input(source.encoder, batch=batch)
            expected = outputs_of(source.encoder, value)
            for name, found in outputs_of(again, value).items():
                difference = relative_difference(found, expected[name])
                differences[name] = max(differences.get(name, 0.0), difference)
        check_differences(differences, format_name="hf")
        stream = "" if source.stream == "vision" else f', stream="{source.stream}"'
        lines = ["import torch", "", "import avssl", ""]
        lines.append(f'encoder = avssl.load_encoder("{out.resolve().name}"{stream})')
        lines += _example_lines(source)
        card = model_card(source, licences=licences, how_to_load=lines)
        write_text(trial / "README.md", card)
        for name in FILES:
            write_bytes(out / name, (trial / name).read_bytes())
    return differences


def _example_lines(source: Source) -> list[str]:
    encoder = source.encoder
    if source.stream == "sound":
        num = round(encoder.duration_s * encoder.rate_hz)
        made = f"samples = torch.zeros(2, {num})  # {encoder.rate_hz} a second, full scale -1 to 1"
        return [made, "vector = encoder(samples)", "maps = encoder.features(samples)"]
    frames = f"{encoder.num_frames}, " if encoder.num_frames > 1 else ""
    side = encoder.input_size_px
    shape = f"(2, 3, {frames}{side}, {side})"
    made = f"frames = torch.zeros({shape}, dtype=torch.uint8)  # 0 to 255"
    return [made, "vector = encoder(frames)", "maps = encoder.features(frames)"]


def _for_timm(source: Source) -> dict[str, Any]:
    """Gives the keys by which timm itself reads the folder, none for other networks."""
    try:
        name = timm_name(source)
    except InputError:
        return {}
    words = create_words(source)
    return {
        "architecture": name.partition(".")[0],
        "num_classes": words.pop("num_classes"),
        "num_features": source.encoder.width,
        "model_args": words,
        "pretrained_cfg": pretrained_cfg(source),
    }
