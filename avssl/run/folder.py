"""The folder of a run: whose it is, what is noted in it, and the encoders that it hands on.

config.json  run.json  metrics.jsonl  timings.jsonl  checkpoints/  tensorboard/
vision_encoder.safetensors + .json, sound_encoder.safetensors + .json      (at the end)
"""

import dataclasses
import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avssl import __version__
from avssl.catalog import Catalog
from avssl.config import FILE_NAME, TrainConfig, differences, read_config, write_config
from avssl.data import Batches
from avssl.errors import AvsslError, InputError
from avssl.files import replacing, write_json
from avssl.run.checkpoint import list_checkpoints, read_facts, sweep
from avssl.run.parallel import Processes
from avssl.task import Learner, describe, parts_of

RUN_FILE = "run.json"
HEAD_FILE = "head.safetensors"
_STATISTICS = "statistics."
_MAY_DIFFER = ("out", "data", "workers", "recipe", "tensorboard", "keep_checkpoints")
"""Fields that change no result: the data are checked by their fingerprint."""


def claim(config: TrainConfig, here: Processes) -> None:
    """Makes the run's folder, or finds the same run in it.

    Raises:
        InputError: the folder holds another run or other things, or cannot be written.
    """
    problem: list[str | None] = [None]
    if here.first:
        try:
            _claim(config)
        except OSError as error:
            problem = [f"{config.out}: cannot be written ({error.strerror or error})"]
        except InputError as error:
            problem = [str(error)]
    if dist.is_initialized():
        dist.broadcast_object_list(problem, src=0)
    if problem[0]:
        raise InputError(problem[0])


def _claim(config: TrainConfig) -> None:
    directory = Path(config.out)
    if (directory / FILE_NAME).is_file():
        # Without a checkpoint there is nothing to lose: a corrected command may take its place.
        other = list_checkpoints(directory) and differences(
            read_config(directory), config, ignore=(*_MAY_DIFFER, *_unused(config))
        )
        if other:
            raise InputError(
                f"{directory}: holds another run ({other[0]}); `avssl resume {directory}` goes on "
                "with that one, another --out starts this one"
            )
    elif directory.is_dir() and any(directory.iterdir()):
        raise InputError(
            f"{directory}: not empty and not the folder of a run; choose another --out"
        )
    directory.mkdir(parents=True, exist_ok=True)
    sweep(directory)
    write_config(config, directory)


def _unused(config: TrainConfig) -> set[str]:
    """Names the encoders that the task does not train: they change nothing either."""
    return {"vision", "sound"} - set(config.task.streams)


def continued(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    data: str | None = None,
    workers: int | None = None,
) -> TrainConfig:
    """Gives the configuration with which a run goes on; a new length is written into its folder.

    Raises:
        InputError: the folder holds no run, or the run is already longer.
    """
    config = read_config(directory)
    changes: dict[str, Any] = {"out": os.fspath(directory)}
    for name, value in (("steps", steps), ("data", data), ("workers", workers)):
        if value is not None:
            changes[name] = value
    changed = dataclasses.replace(config, **changes)
    if saved := list_checkpoints(directory):
        done = int(read_facts(saved[-1])["step"])
        if done > changed.steps:
            raise InputError(f"steps {changed.steps}: the run has already done {done}")
    if int(os.environ.get("RANK", "0")) == 0:
        write_config(changed, directory)
    return changed


def check_facts(path: Path, config: TrainConfig, fingerprint: str) -> int:
    """Gives the step of a checkpoint after checking that it belongs to this run and this data.

    Raises:
        InputError: the data set has changed since, or the run has already done more steps.
    """
    facts = read_facts(path)
    if facts["data_fingerprint"] != fingerprint:
        raise InputError(
            f"{config.data}: not the data set that the run began with (fingerprint {fingerprint}, "
            f"then {facts['data_fingerprint']}); give that one, or start a new --out"
        )
    if facts["step"] > config.steps:
        raise InputError(f"steps {config.steps}: the run has already done {facts['step']}")
    return int(facts["step"])


def holds_stream(ref: str, stream: str) -> bool:
    """Whether a REF can give an encoder for `stream`: a run's folder may hold one of them only."""
    if Path(ref).is_dir():
        return (Path(ref) / f"{stream}_encoder.safetensors").is_file() or not any(
            Path(ref).glob("*_encoder.safetensors")  # then loading says what is wrong
        )
    if ref.startswith(("timm:", "random:")):
        return stream == "vision"
    return f"{'sound' if stream == 'vision' else 'vision'}_encoder" not in Path(ref).name


def initial_encoder(config: TrainConfig, stream: str) -> Any:
    """Gives the encoder that `config.init` names, or its bare network where that is gone.

    A run that has a checkpoint takes its weights from there: it needs to know the network, not
    the file that it once began with.

    Raises:
        InputError: see `load_encoder`, for a run that has not begun.
    """
    from avssl.model import build_encoder, load_encoder

    try:
        return load_encoder(config.init, stream)
    except InputError:
        directory = Path(config.out)
        if not (directory / RUN_FILE).is_file() or not list_checkpoints(directory):
            raise
        name = read_run(directory).get("networks", {}).get(stream)
        if not name:
            raise
        return build_encoder(name, stream=stream, seed=config.seed)


def say(text: str) -> None:
    """Prints a line for a person on standard error."""
    print(text, file=sys.stderr, flush=True)


def beside_trivial(scores: Mapping[str, float], trivial: Mapping[str, float]) -> str:
    """Gives one line: every score, with the best blind guess where it is known."""
    return ", ".join(
        f"{name} {value:.3f}" + (f" (blind {trivial[name]:.3f})" if name in trivial else "")
        for name, value in scores.items()
    )


class Notes:
    """What the run knows about itself, in `run.json` while it goes and beside each encoder."""

    def __init__(
        self,
        config: TrainConfig,
        here: Processes,
        *,
        catalog: Catalog,
        batches: Batches,
        learner: Learner,
    ) -> None:
        self._config, self._here = config, here
        self.trivial: dict[str, float] = {
            f"{name}/{key}" if name else key: value
            for name in batches.evaluated
            for key, value in parts_of(config.task)[name].trivial(batches.validation).items()
        }
        """Scores of the best blind guess on the validation split."""
        self._facts: dict[str, Any] = {
            "task": config.task.name,
            "described": describe(config.task),
            "recipe": config.recipe,
            "num_parameters": sum(weight.numel() for weight in learner.parameters()),
            "num_clips": {
                split: len(catalog.select(split=split)) for split in ("train", "validation", "test")
            },
            "data": config.data,
            "data_fingerprint": catalog.fingerprint(),
            "initial_weights": _origin(config),
            "networks": {
                stream: getattr(encoder, "name", "") for stream, encoder in learner.encoders.items()
            },
            "trivial": self.trivial,
            "num_processes": here.num,
            "device": _device_name(here.device),
            "versions": {
                "avssl": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }

    def write(self, *, status: str, step: int, scores: Mapping[str, float]) -> None:
        """Writes `run.json`; `status` is "running", "stopped" or "done"."""
        if self._here.first:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            facts = {"status": status, "step": step, "steps": self._config.steps, "written": now}
            found = {**facts, "scores": dict(scores), **self._facts}
            write_json(Path(self._config.out) / RUN_FILE, found)

    def hand_on(
        self,
        encoders: nn.ModuleDict,
        head: nn.Module | None,
        state: Mapping[str, Tensor],
        *,
        step: int,
        scores: Mapping[str, float],
    ) -> None:
        """Writes the encoders of the last step, of their running mean where that is on.

        Args:
            encoders: the bare encoders, on the CPU; filled from `state`.
            head: the head where it is kept: written to `head.safetensors`, with the statistics of
                several tasks.
            state: what the checkpoint holds.
            step: steps done.
            scores: of the last evaluation.
        """
        from avssl.model import save_encoder

        part = "ema" if self._config.ema_decay else "model"
        encoders.load_state_dict(_below(state, f"{part}/encoders."))
        if head is not None:
            with replacing(Path(self._config.out) / HEAD_FILE) as temporary:
                kept = _below(state, f"{part}/{_STATISTICS}")
                apart = {f"{_STATISTICS}{name}": value for name, value in kept.items()}
                save_file({**_below(state, f"{part}/head."), **apart}, temporary)
        metadata = {
            **self._facts,
            "step": step,
            "weights": "running mean" if part == "ema" else "last step",
            "scores": dict(scores),
        }
        for stream, encoder in encoders.items():
            save_encoder(encoder, self._config.out, metadata=metadata, stream=stream)  # type: ignore[arg-type]


def fill_head(learner: Learner, path: Path) -> None:
    """Fills the head from a run's `head.safetensors`, and the statistics of several tasks."""
    state = load_file(path)
    apart = _below(state, _STATISTICS)
    if learner.statistics:
        learner.statistics.load_state_dict(apart)
    own = {k: value for k, value in state.items() if not k.startswith(_STATISTICS)}
    learner.head.load_state_dict(own)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: value for k, value in state.items() if k.startswith(prefix)}


def read_run(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads `run.json` of a run's folder.

    Raises:
        InputError: there is none.
    """
    path = Path(directory) / RUN_FILE
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error})") from error


def _origin(config: TrainConfig) -> dict[str, Any] | None:
    if not config.init:
        return None
    from avssl.model import read_description

    found: dict[str, Any] = {"ref": config.init}
    try:
        described = read_description(config.init)
    except AvsslError:
        return found
    return {**found, "licence": described.get("licence")}


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"
