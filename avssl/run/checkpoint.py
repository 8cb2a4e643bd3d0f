"""Checkpoints: one safetensors file a step, whole or not there at all.

    checkpoints/step_00000500.safetensors
        model/…   ema/…   optimizer/WEIGHT/STATE   sums/METRIC   turns/…
        metadata: step, data fingerprint

Nothing is pickled. The state of the loader and of random numbers is not in it because there is
none: both are functions of (seed, step). Under FSDP2 the weights are gathered, so a checkpoint does
not depend on the number of processes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avssl.errors import AvsslError, InputError
from avssl.files import PARTIAL_SUFFIX, replacing

FOLDER = "checkpoints"
SCHEMA_VERSION = 1


def checkpoint_path(directory: str | os.PathLike[str], step: int) -> Path:
    """Gives the path of the checkpoint after `step` steps."""
    return Path(directory) / FOLDER / f"step_{step:08d}.safetensors"


def list_checkpoints(directory: str | os.PathLike[str]) -> list[Path]:
    """Gives the run's checkpoints, oldest first (names of unfinished ones begin with a dot)."""
    return sorted((Path(directory) / FOLDER).glob("step_*.safetensors"))


def sweep(directory: str | os.PathLike[str]) -> None:
    """Removes what a killed process left half written in the folder of a run."""
    for folder in (Path(directory), Path(directory) / FOLDER):
        # safetensors writes to a temporary name of its own (.tmpXXXXXX) beside ours
        for pattern in (f".*{PARTIAL_SUFFIX}*", ".tmp??????"):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)


def gather_state(
    *,
    learner: nn.Module,
    ema: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    sums: Mapping[str, Tensor],
    more: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Gathers all that a run needs to go on: name → tensor on the CPU.

    Every process has to call it (shards are gathered); only one writes the result. `more` goes in
    under its own names.
    """
    state = {f"model/{name}": value for name, value in learner.state_dict().items()}
    if ema is not None:
        state |= {f"ema/{name}": value for name, value in ema.state_dict().items()}
    for name, weight in learner.named_parameters():
        for key, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, Tensor):
                state[f"optimizer/{name}/{key}"] = value
    state |= {f"sums/{name}": value for name, value in sums.items()} | dict(more or {})
    return {name: _whole(value) for name, value in state.items()}


def save(
    directory: str | os.PathLike[str],
    state: Mapping[str, Tensor],
    *,
    step: int,
    facts: Mapping[str, Any],
    keep: int,
) -> Path:
    """Writes the checkpoint of `step`, all or nothing, and removes old ones.

    Args:
        directory: the run's folder.
        state: what `gather_state` gave.
        step: steps done.
        facts: plain values to keep with it, such as the data's fingerprint.
        keep: newest checkpoints to keep; 0 keeps all.

    Raises:
        AvsslError: it cannot be written (full disk, no permission).
    """
    path = checkpoint_path(directory, step)
    notes = {"schema_version": SCHEMA_VERSION, "step": step, **facts}
    try:
        with replacing(path) as temporary:
            save_file(dict(state), temporary, metadata={"avssl": json.dumps(notes)})
        if keep:
            for old in list_checkpoints(directory)[:-keep]:
                old.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise AvsslError(
            f"{path}: cannot write the checkpoint ({error}); make room there, then "
            f"`avssl resume {os.fspath(directory)}`"
        ) from error
    return path


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what is noted in a checkpoint: at least "step".

    Raises:
        InputError: the file is damaged or of another version.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            facts = json.loads((stream.metadata() or {}).get("avssl", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({error}); delete it to go on from the one before"
        ) from error
    if facts.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: checkpoint version {facts.get('schema_version')}, "
            f"this avssl reads {SCHEMA_VERSION}"
        )
    return facts


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads everything that a checkpoint holds: name → tensor on the CPU."""
    return load_file(path)


def read_below(path: str | os.PathLike[str], prefix: str) -> dict[str, Tensor]:
    """Reads the tensors of a checkpoint whose names begin with `prefix`, by their whole names."""
    with safe_open(path, framework="pt") as stream:
        names = [name for name in list(stream.keys()) if name.startswith(prefix)]
        return {name: stream.get_tensor(name) for name in names}


def restore(
    path: str | os.PathLike[str],
    *,
    learner: nn.Module,
    ema: nn.Module | None,
    optimizer: torch.optim.Optimizer,
) -> dict[str, Tensor]:
    """Puts a checkpoint's state into the objects and gives the sums that were under way.

    Raises:
        InputError: the file does not fit the configuration.
    """
    with safe_open(path, framework="pt") as stream:
        names = list(stream.keys())

        def fill(module: nn.Module, prefix: str) -> None:
            own = module.state_dict()
            found = {name[len(prefix) :] for name in names if name.startswith(prefix)}
            if found != set(own):
                odd = sorted(found ^ set(own))[0]
                raise InputError(f"{path}: does not fit the configuration of the run ({odd})")
            with torch.no_grad():
                for name, value in own.items():
                    value.copy_(_like(stream.get_tensor(prefix + name), value))

        fill(learner, "model/")
        if ema is not None:
            fill(ema, "ema/")
        weights = dict(learner.named_parameters())
        numbers = {
            weight: number
            for number, weight in enumerate(w for g in optimizer.param_groups for w in g["params"])
        }
        states: dict[int, dict[str, Tensor]] = {}
        for name in names:
            if name.startswith("optimizer/"):
                weight_name, key = name.removeprefix("optimizer/").rsplit("/", 1)
                weight, value = weights[weight_name], stream.get_tensor(name)
                if value.shape == weight.shape:
                    value = torch.empty_like(weight).detach().copy_(_like(value, weight))
                states.setdefault(numbers[weight], {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        return {
            name.removeprefix("sums/"): stream.get_tensor(name)
            for name in names
            if name.startswith("sums/")
        }


def _whole(value: Tensor) -> Tensor:
    """Gives a contiguous copy on the CPU of the whole tensor (a shard is gathered)."""
    whole = value.full_tensor() if hasattr(value, "full_tensor") else value  # type: ignore[operator]
    return whole.detach().cpu().contiguous().clone()


def _like(value: Tensor, like: Tensor) -> Tensor:
    """Gives `value` on the device of `like`, in the same shards."""
    if not hasattr(like, "device_mesh"):
        return value.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)  # type: ignore[attr-defined]
