"""Encoders on disk: weights in safetensors, what they are in a JSON beside them.

A reference to an encoder (REF on the command line) is one of

    RUN                  a run folder: its vision_encoder.safetensors
    FOLDER               written by `avssl export --format hf`: its model.safetensors
    FILE.safetensors     a file written by avssl (FILE.json beside it says what it is)
    timm:NAME            timm's published weights
    timm:NAME@FILE.safetensors   a file with timm's key names, no JSON needed
    random:NAME          first weights; NAME as `build_encoder` takes it

Pickles are never loaded: a pickle runs code of whoever made it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from torch import Tensor

from avssl.errors import InputError
from avssl.files import replacing, write_json
from avssl.model.encoder import Encoder, build_encoder
from avssl.model.sound import SoundEncoder

FORMAT = "avssl-encoder"
VERSION = 1
PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")
HUB_WEIGHTS, HUB_CONFIG = "model.safetensors", "config.json"
"""What a model hub calls the weights, and what says which network they are for."""
_SHOWN_KEYS = 3


def encoder_file_name(stream: str) -> str:
    """Gives the name of a stream's weights in a run folder."""
    return f"{stream}_encoder.safetensors"


def save_encoder(
    encoder: Encoder | SoundEncoder,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, Any],
    stream: str = "vision",
) -> Path:
    """Writes the weights to `path` (.safetensors) and what they are to a .json beside it.

    The weights' names are those of the bare network: a timm network's file is one that timm itself
    loads. The JSON is written last, each file all or nothing.

    Args:
        encoder: what to save; its normalisation goes into the JSON.
        path: the file, ending in ".safetensors", or a folder (a run), in which it gets its name.
        metadata: anything that JSON can hold, such as the data's fingerprint and the metrics.
        stream: "vision" or "sound".
    """
    from safetensors.torch import save_file

    target = Path(path)
    if target.suffix != ".safetensors":
        target = target / encoder_file_name(stream)
    tensors = {
        key: value.detach().cpu().contiguous()
        for key, value in encoder.network.state_dict().items()
    }
    with replacing(target) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    described = {
        "format": FORMAT,
        "version": VERSION,
        "stream": stream,
        **encoder.description(),
        "metadata": dict(metadata),
    }
    write_json(target.with_suffix(".json"), described)
    return target


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix in PICKLE_SUFFIXES:
        raise InputError(
            f"{path}: a {path.suffix} file is a pickle, which can run any code when it is loaded; "
            "convert its weights to .safetensors where you trust it"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: weights must be a .safetensors file")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from error


def _fill(encoder: Any, weights: Mapping[str, Tensor], *, path: Path) -> Any:
    """Loads `weights` into the bare network; every weight of it must be there, in its shape."""
    wanted = encoder.network.state_dict()
    wrong = [key for key in wanted if key not in weights or weights[key].shape != wanted[key].shape]
    if wrong:
        raise InputError(
            f"{path}: does not fit {encoder.name}: {len(wrong)} of {len(wanted)} weights are "
            f"missing or of another shape ({', '.join(wrong[:_SHOWN_KEYS])}…); name the network "
            "that the file was made from"
        )
    # What is left over is the classifier that an encoder does not have.
    encoder.network.load_state_dict({key: weights[key] for key in wanted})
    return encoder


def _described(path: Path) -> dict[str, Any]:
    beside = path.with_name(HUB_CONFIG) if path.name == HUB_WEIGHTS else path.with_suffix(".json")
    if not beside.is_file():
        raise InputError(
            f"{path}: no {beside.name} beside it says which network this is; "
            f"for a file with timm's names write timm:NAME@{path}"
        )
    try:
        described = json.loads(beside.read_text(encoding="utf-8"))
        if described["format"] != FORMAT or described["version"] != VERSION:
            raise InputError(f"{beside}: not an encoder of this version of avssl")
        if not isinstance(described["name"], str) or not isinstance(described["stream"], str):
            raise TypeError("name and stream must be text")
        return described
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{beside}: not the description of an encoder ({error!r})") from error


def read_description(ref: str | os.PathLike[str], stream: str = "vision") -> dict[str, Any]:
    """Gives the JSON of a saved encoder: a run folder or a .safetensors file."""
    path = Path(ref)
    return _described(_weights_in(path, stream) if path.is_dir() else path)


def _weights_in(folder: Path, stream: str) -> Path:
    """Gives the weights of a run, or else of a hub's folder."""
    own, hubs = folder / encoder_file_name(stream), folder / HUB_WEIGHTS
    return hubs if hubs.is_file() and not own.is_file() else own


@overload
def load_encoder(ref: str | os.PathLike[str], stream: Literal["vision"] = ...) -> Encoder: ...
@overload
def load_encoder(ref: str | os.PathLike[str], stream: str) -> Any: ...
def load_encoder(ref: str | os.PathLike[str], stream: str = "vision") -> Encoder | SoundEncoder:
    """Gives the encoder that `ref` names, in evaluation mode on the CPU.

    Args:
        ref: a run folder, a hub's folder, a .safetensors file, "timm:NAME",
            "timm:NAME@FILE.safetensors" or "random:NAME" (weights of seed 0; see the file's head).
        stream: "vision" or "sound".

    Raises:
        InputError: it does not exist, is damaged, is a pickle, or does not fit its network.
    """
    text = os.fspath(ref)
    if text.startswith("random:"):
        return build_encoder(text.removeprefix("random:"), stream=stream, seed=0).eval()
    if text.startswith("timm:"):
        name, _, file = text.removeprefix("timm:").partition("@")
        if not file:
            return build_encoder(f"timm:{name}", stream=stream, pretrained=True).eval()
        bare = build_encoder(f"timm:{name}", stream=stream, seed=0)
        return _fill(bare, _read_weights(Path(file)), path=Path(file)).eval()
    path = Path(text)
    if path.is_dir():
        folder, path = path, _weights_in(path, stream)
        if not path.is_file():
            raise InputError(f"{folder}: a run folder without {path.name} (not finished yet?)")
    if not path.exists() and path.suffix not in (".safetensors", *PICKLE_SUFFIXES):
        name = text.rpartition(":")[2]  # another word before the colon is a slip for these two
        raise InputError(
            f"{text}: neither a run folder nor a .safetensors file; a network by name is "
            f"timm:{name} (published weights) or random:{name}"
        )
    weights = _read_weights(path)
    described = _described(path)
    if described["stream"] != stream:
        raise InputError(f"{path}: an encoder for {described['stream']!r}, not for {stream!r}")
    encoder = build_encoder(described["name"], stream=stream, seed=0)
    return _fill(encoder, weights, path=path).eval()
