"""`avssl export REF --format timm|onnx|hf -o OUT`: an encoder for those who do not have avssl.

Every export is read back by the library that it is for, run on the same made-up input as the
encoder, and compared: the largest difference over the largest value, output by output. Above the
tolerance nothing is left behind.

    timm   FILE.safetensors + FILE.json (the call of timm.create_model) + FILE.md (model card)
    onnx   FILE.onnx + FILE.json (inputs, outputs, differences) + FILE.md (model card)
    hf     a folder for a model hub: model.safetensors, config.json, README.md; nothing is pushed
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.errors import AvsslError, InputError
from avssl.files import check_target, write_json, write_text

FORMATS = ("timm", "onnx", "hf")
TOLERANCE = 1e-4
"""Largest relative difference of any output; float32 in another order of sums stayed below 1e-5."""
BATCHES = (1, 3)
"""Sizes of the batches that are compared."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An encoder and what is known of where it comes from."""

    ref: str
    stream: str
    encoder: Any
    described: Mapping[str, Any]
    """The JSON beside its weights, or what its network says where there is none."""
    run: Path | None
    """The run's folder where it has one."""


def read_source(ref: str, stream: str = "vision") -> Source:
    """Loads an encoder in evaluation mode and what stands beside it.

    Raises:
        InputError: see `avssl.load_encoder`.
    """
    from avssl.model import load_encoder, read_description

    encoder = load_encoder(ref, stream)
    try:
        described: Mapping[str, Any] = read_description(ref, stream)
    except AvsslError:
        described = {"stream": stream, **encoder.description(), "metadata": {}}
    path = Path(ref)
    folder = path if path.is_dir() else path.parent
    run = folder if path.exists() and (folder / "run.json").is_file() else None
    return Source(ref=ref, stream=stream, encoder=encoder, described=described, run=run)


def example_input(
    encoder: Any, *, batch: int, size_px: int = 0, seconds: float = 0.0, dtype: str = "uint8"
) -> Tensor:
    """Makes an input up: pictures of slopes and noise, or sound of tones and noise.

    Args:
        encoder: for pictures, clips or sound.
        batch: how many.
        size_px: side of the pictures; 0: what it was made for.
        seconds: length of the sound; 0: what it was made for.
        dtype: of pictures: "uint8" 0–255 or "float" 0–1.

    Returns:
        [batch, 3, H, W], of clips [batch, 3, T, H, W]; of sound float32 [batch, n].
    """
    rng = np.random.default_rng(batch)
    if hasattr(encoder, "rate_hz"):
        num = round((seconds or encoder.duration_s) * encoder.rate_hz)
        times_s = np.arange(num) / encoder.rate_hz
        tones = np.sin(2 * np.pi * rng.uniform(100, 3000, size=(batch, 1)) * times_s)
        samples = 0.1 * tones + 0.02 * rng.standard_normal((batch, num))
        return torch.from_numpy(samples.astype(np.float32))
    side = size_px or encoder.input_size_px
    frames = [encoder.num_frames] if encoder.num_frames > 1 else []
    slope = np.linspace(0.0, 200.0, side)[:, None] * rng.uniform(0, 1, (batch, 3, *frames, 1, 1))
    pictures = (slope + rng.uniform(0, 55, (batch, 3, *frames, side, side))).astype(np.uint8)
    found = torch.from_numpy(pictures)
    return found if dtype == "uint8" else found.float() / 255


def outputs_of(encoder: Any, value: Tensor) -> dict[str, Tensor]:
    """Gives the vector and all maps by name, of one pass without gradients."""
    with torch.no_grad():
        return {"vector": encoder(value), **encoder.features(value)}


def relative_difference(found: Any, expected: Any) -> float:
    """Gives the largest difference over the largest value; infinite where shapes differ."""
    one, other = (np.asarray(value, dtype=np.float64) for value in (found, expected))
    if one.shape != other.shape or not np.isfinite(one).all():
        return float("inf")
    return float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-12))


def check_differences(differences: Mapping[str, float], *, format_name: str) -> float:
    """Gives the largest of them.

    Raises:
        InputError: it lies above the tolerance.
    """
    name = max(differences, key=lambda key: differences[key])
    if not differences[name] <= TOLERANCE:
        raise InputError(
            f"{format_name}: {name} differs by {differences[name]:.2g} of its largest value, more "
            f"than {TOLERANCE:g}; nothing was written, take another format"
        )
    return differences[name]


def write_beside(path: Path, facts: Mapping[str, Any], card: str) -> None:
    """Writes the JSON and the model card of a file, beside it."""
    write_text(path.with_suffix(".md"), card)
    write_json(path.with_suffix(".json"), facts)


def command(arguments: Sequence[str]) -> int:
    """`avssl export`.

    Raises:
        InputError: what cannot be loaded, or not be exported to this format.
    """
    options = _parser().parse_args(list(arguments))
    out = Path(options.out)
    if options.format != "hf" and out.suffix != f".{_SUFFIXES[options.format]}":
        raise InputError(f"-o {out}: must end in .{_SUFFIXES[options.format]}")
    if options.format != "hf":
        check_target(out)
    if options.size_px < 0 or options.seconds < 0:
        raise InputError("--size-px and --seconds: must be 0 or more (0: what it was made for)")
    from avssl.run import export_hf, export_onnx, export_timm
    from avssl.run.model_card import Licences

    licences = Licences(weights=options.licence, data=options.data_licence)
    if options.format == "onnx":
        export_onnx.check_parts()  # before the weights are read
    source = read_source(options.ref, options.stream)
    if options.format == "timm":
        differences = export_timm.export(source, out, licences=licences)
    elif options.format == "onnx":
        differences = export_onnx.export(
            source, out, licences=licences, size_px=options.size_px, seconds=options.seconds,
            dtype=options.input,
        )  # fmt: skip
    else:
        differences = export_hf.export(source, out, licences=licences)
    for name, value in differences.items():
        print(f"{name}: largest difference {value:.2g} of the largest value")
    written = [out / name for name in export_hf.FILES] if out.is_dir() else []
    print(", ".join(map(str, written or (out, out.with_suffix(".json"), out.with_suffix(".md")))))
    return 0


_SUFFIXES = {"timm": "safetensors", "onnx": "onnx"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="avssl export",
        description="Writes an encoder for timm, ONNX or a model hub's folder, reads it back with "
        f"that library, runs both and compares; a relative difference above {TOLERANCE:g} is "
        "refused. Nothing is sent anywhere.",
    )
    parser.add_argument("ref", metavar="REF", help="run folder, .safetensors file, timm:NAME")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT",
        help="timm: FILE.safetensors; onnx: FILE.onnx; hf: a folder",
    )  # fmt: skip
    parser.add_argument("--stream", default="vision", choices=("vision", "sound"))
    parser.add_argument(
        "--size-px", type=int, default=0, metavar="PX", help="onnx: side (what it was made for)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="S", help="onnx: of sound (as made for)"
    )
    parser.add_argument(
        "--input", default="uint8", choices=("uint8", "float"),
        help="onnx: pictures as 0-255 (uint8) or 0-1 (float)",
    )  # fmt: skip
    parser.add_argument("--licence", default="", help="of these weights, for the model card")
    parser.add_argument("--data-licence", default="", help="of the data they were trained on")
    return parser
