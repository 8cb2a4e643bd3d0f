"""The typed configuration of a run, and its JSON.

The object that a run starts from is the one that is saved: `config.json` in the run's folder reads
back as an equal object, and nothing derived is ever written into it.

    recipe (a task's knobs + the run's settings) → TrainConfig → flags override → config.json
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from avssl.config_tasks import (
    closed,
    default_recipe,
    opened,
    recipe_of_several,
    task_from_json,
    task_to_json,
)
from avssl.config_tasks import recipes as recipes
from avssl.config_tasks import task_classes as task_classes
from avssl.errors import InputError
from avssl.files import write_json
from avssl.typed_json import from_json, known_name, to_json

SCHEMA_VERSION = 1
FILE_NAME = "config.json"


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How the weights are moved."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimiser; "adam" and "sgd" add the decay to the gradient, "adamw" shrinks the weight."""
    lr: float = 1e-3
    """Learning rate at its height, for the whole batch: it is never scaled behind your back."""
    weight_decay: float = 0.01
    """Decay of weights; biases and normalisation are left out."""
    momentum: float = 0.9
    """Momentum of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Running means of adam and adamw."""
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    """Course of the learning rate after warming up: to zero at the last step (cosine), or down by
    `step_factor` at each of `step_at`."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises linearly from zero."""
    step_at: tuple[int, ...] = ()
    """Steps at which the schedule "step" goes down."""
    step_factor: float = 0.1
    """Factor of the schedule "step"."""
    clip_norm: float = 0.0
    """Longest gradient (norm over all weights); 0 does not clip."""
    encoder_lr_factor: float = 1.0
    """Learning rate of the encoders, as a share of the head's."""
    encoder_from_step: int = 0
    """Step from which the encoders are trained too (in stages: the head first)."""

    def __post_init__(self) -> None:
        _one_of("optim.name", self.name, ("adamw", "adam", "sgd"))
        _one_of("optim.schedule", self.schedule, ("constant", "cosine", "step"))
        for name in ("lr", "weight_decay", "clip_norm", "step_factor", "encoder_lr_factor"):
            _number(f"optim.{name}", getattr(self, name), 0)
        _whole("optim.warmup_steps", self.warmup_steps, 0)
        _whole("optim.encoder_from_step", self.encoder_from_step, 0)
        _number("optim.momentum", self.momentum, 0, 1)
        for beta in self.betas:
            _number("optim.betas", beta, 0, 1)
        if list(self.step_at) != sorted(set(self.step_at)) or any(s < 0 for s in self.step_at):
            raise InputError(f"optim.step_at {self.step_at}: steps must rise, from 0")
        if self.schedule == "step" and not self.step_at:
            raise InputError("optim.step_at is empty: the schedule 'step' needs at least one step")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run: what is learned, from which data, for how long."""

    task: Any
    """Knobs of the task."""
    data: str
    """Prepared data set (a folder written by `avssl prepare`)."""
    out: str
    """Folder of the run."""
    recipe: str = ""
    """Recipe that the settings start from, one of those above; a flag that is given comes first."""
    vision: str = "resnet18"
    """Vision encoder by name: one of avssl's own (`small`, `small-bn`, `small-vit`, `caffenet` …),
    any of timm's, or a clip model of pytorchvideo; see docs/models.md."""
    sound: str = "small"
    """Sound encoder by name, where the task hears; see docs/audio_visual.md."""
    init: str = ""
    """Initial encoders: a run's folder, a .safetensors file, timm:NAME or random:NAME. The network
    is then that of the file, whatever `vision` or `sound` say; a stream that it does not hold
    starts fresh."""
    seed: int = 0
    """Seed of everything that is drawn: weights, order, samples, augmentation."""
    steps: int = 2000
    """Steps of the optimiser in all."""
    batch_size: int = 64
    """Samples in a step, over all processes and passes."""
    accumulate: int = 1
    """Passes into which a process divides its share of the batch, to save memory."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser and schedule."""
    ema_decay: float = 0.0
    """Decay of a running mean of the weights, which is then evaluated and handed on; 0 is off.
    Early on the decay is min(ema_decay, (1 + step) / (10 + step)), so the start is forgotten."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the networks; bf16 is automatic mixed precision."""
    channels_last: bool = False
    """Lay pictures out channels last (quicker convolutions on most GPUs and with bf16)."""
    compile: bool = False
    """Compile the networks with torch.compile (needs a C++ compiler, or a GPU with Triton)."""
    parallel: Literal["ddp", "fsdp2"] = "ddp"
    """How several processes (torchrun) share the work: copies, or weights in shards."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks run."""
    workers: int = -1
    """Processes that make batches: 0 makes them in the main process, -1 chooses by the cores. The
    batches are the same for any number."""
    log_every: int = 50
    """Steps between lines of metrics."""
    evaluate_every: int = 500
    """Steps between evaluations on the validation split; 0 evaluates only at the end."""
    num_evaluation_samples: int = 512
    """Samples of an evaluation, the same ones every time and for every seed; 0 never evaluates."""
    save_every: int = 500
    """Steps between checkpoints; 0 saves only at the end."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept; 0 keeps all."""
    tensorboard: bool = True
    """Write curves for TensorBoard too."""

    def __post_init__(self) -> None:
        if not dataclasses.is_dataclass(self.task) or not hasattr(self.task, "name"):
            raise InputError(f"task {self.task!r}: must be a task object, see `avssl tasks`")
        for name in ("data", "out"):
            if getattr(self, name) == "":
                raise InputError(f"{name} is empty: must be a folder")
        for name in ("steps", "batch_size", "accumulate", "log_every"):
            _whole(name, getattr(self, name), 1)
        for name in ("seed", "evaluate_every", "num_evaluation_samples", "save_every"):
            _whole(name, getattr(self, name), 0)
        _whole("keep_checkpoints", self.keep_checkpoints, 0)
        _whole("workers", self.workers, -1)
        _number("ema_decay", self.ema_decay, 0, 1)
        _one_of("precision", self.precision, ("fp32", "bf16"))
        _one_of("parallel", self.parallel, ("ddp", "fsdp2"))
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        if self.batch_size % self.accumulate:
            raise InputError(
                f"accumulate {self.accumulate}: must divide batch_size {self.batch_size}"
            )


def config_from_recipe(
    task_name: str,
    recipe_name: str = "",
    *,
    data: Any,
    out: Any,
    tasks: Sequence[str] = (),
    **changes: Any,
) -> TrainConfig:
    """Builds a configuration from a named recipe.

    Args:
        task_name: such as "shuffle-and-learn".
        recipe_name: such as "small"; empty takes "small", or the first that there is.
        data: prepared data set.
        out: folder of the run.
        tasks: of "multi": the names of those that it joins, with the knobs and, of the first that
            has one, the network of their own first recipes.
        **changes: fields of `TrainConfig` that differ from the recipe.

    Raises:
        InputError: no such task, recipe or field.
    """
    known = recipes(task_name)
    recipe_name = recipe_name or default_recipe(known)
    if not recipe_name:
        return TrainConfig(task=task_classes()[task_name](), data=data, out=out, **changes)
    known_name(f"recipe of {task_name}", recipe_name, list(known), f"one of: {', '.join(known)}")
    recipe = recipe_of_several(known[recipe_name], tasks) if tasks else known[recipe_name]
    config = TrainConfig(task=recipe.task, data=data, out=out, recipe=recipe_name)
    return replaced(replaced(config, recipe.settings), changes)


def replaced(config: Any, settings: Mapping[str, Any]) -> Any:
    """Gives `config` with dotted fields replaced, such as {"optim.lr": 1e-2}."""
    config = opened(config)
    direct: dict[str, Any] = {}
    deeper: dict[str, dict[str, Any]] = {}
    names = [item.name for item in dataclasses.fields(config)]
    for key, value in settings.items():
        name, _, rest = key.partition(".")
        known_name("setting", name, names, f"one of: {', '.join(names)}")
        if rest:
            deeper.setdefault(name, {})[rest] = value
        else:
            direct[name] = value
    for name, inner in deeper.items():
        direct[name] = replaced(direct.get(name, getattr(config, name)), inner)
    return closed(dataclasses.replace(config, **direct))


def config_to_json(config: TrainConfig) -> dict[str, Any]:
    """Gives the configuration as JSON values; the task is an object with its name."""
    values = {
        item.name: to_json(getattr(config, item.name))
        for item in dataclasses.fields(config)
        if item.name != "task"
    }
    return {"schema_version": SCHEMA_VERSION, "task": task_to_json(config.task), **values}


def config_from_json(value: Mapping[str, Any]) -> TrainConfig:
    """Reads what `config_to_json` gave.

    Raises:
        InputError: an unknown key (with the nearest known one), a missing one, a wrong value.
    """
    values = dict(value)
    version = values.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise InputError(
            f"configuration: schema version {version}, this avssl reads {SCHEMA_VERSION}"
        )
    task = task_from_json(values.pop("task", None))
    return from_json(TrainConfig, {**values, "task": task}, "")


def write_config(config: TrainConfig, directory: str | os.PathLike[str]) -> None:
    """Writes `config.json` into a run's folder."""
    write_json(Path(directory) / FILE_NAME, config_to_json(config))


def read_config(directory: str | os.PathLike[str]) -> TrainConfig:
    """Reads `config.json` of a run's folder.

    Raises:
        InputError: there is none, or it does not read.
    """
    path = Path(directory) / FILE_NAME
    if not path.is_file():
        raise InputError(f"{directory}: no {FILE_NAME} there, so it is not the folder of a run")
    try:
        value = json.loads(path.read_text())
        if not isinstance(value, dict):
            raise InputError("must be an object")
        return config_from_json(value)
    except (ValueError, InputError) as error:
        raise InputError(f"{path}: {error}") from error


def differences(one: TrainConfig, other: TrainConfig, *, ignore: Sequence[str] = ()) -> list[str]:
    """Gives lines "field: value in one, value in other" for all that differs."""
    first, second = _flat(config_to_json(one)), _flat(config_to_json(other))
    return [
        f"{key}: {first.get(key)!r} there, {second.get(key)!r} here"
        for key in sorted({*first, *second})
        if first.get(key) != second.get(key) and key not in ignore
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            found.update(_flat(inner, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = inner
    return found


def _one_of(name: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        raise InputError(f"{name} {value!r}: must be one of {', '.join(map(repr, choices))}")


def _whole(name: str, value: Any, low: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise InputError(f"{name} {value!r}: must be a whole number, {low} or more")


def _number(name: str, value: Any, low: float, below: float = math.inf) -> None:
    if not isinstance(value, (int, float)) or not low <= value < below:
        rule = f"from {low:g} to below {below:g}" if below < math.inf else f"{low:g} or more"
        raise InputError(f"{name} {value!r}: must be a number, {rule}")
