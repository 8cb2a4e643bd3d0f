"""Export to ONNX: normalisation, of sound the STFT too, inside; vector and maps by name outside.

    frames   uint8 or float [batch, 3, H, W] ─┐                      ┌─ vector float [batch, width]
             clips [batch, 3, T, H, W]        ├─ one graph, opset 18 ┼─ res2   float [batch, …]
    samples  float [batch, n]                ─┘                      └─ …

The batch is free, height, width and length are fixed: a network's layers may hang on them. The
graph comes from `torch.export` (torch's newer exporter, which knows `stft`; the older one does
not), and onnxruntime runs it.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import InputError, MissingPartError
from avssl.files import replacing
from avssl.run.export import (
    BATCHES,
    TOLERANCE,
    Source,
    check_differences,
    example_input,
    outputs_of,
    relative_difference,
    write_beside,
)
from avssl.run.model_card import Licences, model_card, public

PARTS = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18


def check_parts() -> None:
    """Does nothing where the extra is installed.

    Raises:
        MissingPartError: something of it is missing.
    """
    missing = [name for name in PARTS if find_spec(name) is None]
    if missing:
        raise MissingPartError(
            f"--format onnx: needs {', '.join(missing)}; install with `pip install 'avssl[export]'`"
        )


class WithMaps(nn.Module):
    """One pass that gives the vector and all maps, in the order of `names`."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = ("vector", *encoder.layers)

    def forward(self, value: Tensor) -> tuple[Tensor, ...]:
        """Takes what the encoder takes."""
        vector, maps = self.encoder.both(value)
        return (vector, *(maps[name] for name in self.names[1:]))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Torch's exporter tells its stages on standard output, and warns of its own insides."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def write_graph(encoder: Any, path: Path, *, input_name: str, example: Tensor) -> None:
    """Writes the graph of an encoder for inputs of the example's shape and any batch.

    Raises:
        InputError: torch cannot write this network.
    """
    module = WithMaps(encoder).eval()
    try:
        with _quietly():
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=[input_name],
                output_names=list(module.names),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{encoder.name}: torch cannot write it as ONNX ({reason})") from error


def compare(encoder: Any, path: Path, *, input_name: str, inputs: list[Tensor]) -> dict[str, float]:
    """Runs the graph by onnxruntime and gives each output's largest relative difference."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    differences = dict.fromkeys(names, 0.0)
    for value in inputs:
        expected = outputs_of(encoder, value)
        found = session.run(None, {input_name: value.numpy()})
        for name, one in zip(names, found, strict=True):
            difference = relative_difference(one, expected[name])
            differences[name] = max(differences[name], difference)
    return differences


def export(
    source: Source,
    out: Path,
    *,
    licences: Licences,
    size_px: int = 0,
    seconds: float = 0.0,
    dtype: str = "uint8",
) -> dict[str, float]:
    """Writes FILE.onnx, FILE.json and FILE.md and gives each output's largest relative difference.

    Args:
        source: what is exported.
        out: the .onnx file.
        licences: for the model card.
        size_px: side of the pictures; 0: what it was made for.
        seconds: length of the sound; 0: what it was made for.
        dtype: of pictures: "uint8" or "float".

    Raises:
        MissingPartError: the extra `export` is not installed.
        InputError: torch cannot write this network, or the two differ.
    """
    check_parts()
    encoder, name = source.encoder, "frames" if source.stream == "vision" else "samples"
    how: dict[str, Any] = {"size_px": size_px, "seconds": seconds, "dtype": dtype}
    inputs = [example_input(encoder, batch=batch, **how) for batch in BATCHES]
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        write_graph(
            encoder, temporary, input_name=name, example=example_input(encoder, batch=2, **how)
        )
        differences = compare(encoder, temporary, input_name=name, inputs=inputs)
        check_differences(differences, format_name="onnx")
    shape = ["batch", *inputs[0].shape[1:]]
    kind = str(inputs[0].dtype).removeprefix("torch.")
    scale = {"uint8": "0 to 255", "float32": "0 to 1" if name == "frames" else "-1 to 1"}[kind]
    outputs = {key: list(value.shape[1:]) for key, value in outputs_of(encoder, inputs[0]).items()}
    facts: dict[str, Any] = {
        "format": "onnx",
        "opset": OPSET,
        "input": {"name": name, "shape": shape, "dtype": kind, "range": scale},
        "outputs": {key: ["batch", *sizes] for key, sizes in outputs.items()},
        "normalisation": "inside",
        "differences": differences,
        "tolerance": TOLERANCE,
        "compared_batches": list(BATCHES),
        "encoder": {k: v for k, v in source.described.items() if k != "metadata"},
        "metadata": public(source.described.get("metadata") or {}),
    }
    if name == "samples":
        facts["input"]["rate_hz"] = encoder.rate_hz
    made = f"np.zeros((2, {', '.join(map(str, shape[1:]))}), np.{kind})"
    lines = [
        "import numpy as np",
        "import onnxruntime",
        "",
        f'session = onnxruntime.InferenceSession("{out.name}")',
        f"{name} = {made}  # {scale}",
        f'vector, *maps = session.run(None, {{"{name}": {name}}})',
    ]
    write_beside(out, facts, model_card(source, licences=licences, how_to_load=lines))
    return differences
