"""A toy task for testing the loop alone: no media, a closed form for everything.

Is the left or the right half of a noisy picture brighter? Also a script that runs the command line
with it: `python toy.py train toy --data … --out …`.
"""

import os
import signal
import sys
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

import avssl.pretext
from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError, MediaError
from avssl.records import Example, Plan
from avssl.task import Recipe, layer_sizes

SIDE_PX = 32
SETTINGS = {
    "vision": "small", "steps": 12, "batch_size": 8, "workers": 0, "device": "cpu",
    "tensorboard": False, "log_every": 2, "evaluate_every": 5, "save_every": 3,
    "num_evaluation_samples": 20, "optim.lr": 3e-3,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Toy:
    """Left or right."""

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "is the left or the right half brighter"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple] = ()

    contrast: float = 40.0
    """Levels between the halves."""
    dropout: float = 0.0
    """In the head."""
    fusion: Literal["linear", "deep"] = "linear"
    """Kind of head."""
    layer: str = ""
    """An earlier layer handed on: later weights get no gradient."""
    maps: bool = False
    """The last layer's maps are read instead of the vector, as tasks that draw do."""
    broken_row: int = -1
    """A row whose file cannot be read."""
    nan_from: int = -1
    """Number of the first forward pass of this process whose loss is not finite."""

    def __post_init__(self) -> None:
        if self.contrast < 0:
            raise InputError(f"task.contrast {self.contrast}: must be 0 or more")

    def items(self, catalog):
        if not len(catalog):
            raise InputError("no clip here; prepare more videos")
        return np.arange(len(catalog))

    def sample(self, catalog, index, rng):
        row = catalog.row(index)
        if index == self.broken_row:
            raise MediaError(f"{row.source}: cut off after 3 frames")
        return Plan(spans=(), target={"label": int(rng.integers(2)), "row": index})

    def transform(self, clips, plan, rng):
        picture = rng.normal(128, 30, size=(3, SIDE_PX, SIDE_PX))
        half = SIDE_PX // 2
        left = slice(0, half) if plan.target["label"] else slice(half, None)
        picture[:, :, left] += self.contrast
        return Example(
            arrays={
                "frames": picture.clip(0, 255).astype(np.uint8),
                "label": np.array(plan.target["label"], np.int64),
                "row": np.array(plan.target["row"], np.int64),
            }
        )

    def head(self, widths):
        width = layer_sizes(widths, self.layer)[0] if self.layer or self.maps else widths["vision"]
        layers: list[nn.Module] = [nn.Dropout(self.dropout), nn.Linear(width, 2)]
        if self.fusion == "deep":
            layers = [nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 2)]
        return nn.Sequential(*layers)

    def predict(self, encoders, head, batch):
        if self.layer or self.maps:
            vision = encoders["vision"]
            maps = vision.features(batch["frames"])[self.layer or list(vision.layers)[-1]]
            return {"logits": head(maps.mean(dim=(2, 3)))}
        return {"logits": head(encoders["vision"](batch["frames"]))}

    def loss(self, out, batch):
        loss = nn.functional.cross_entropy(out["logits"].float(), batch["label"])
        return loss * torch.inf if self.nan_from >= 0 and counter.past(self.nan_from) else loss

    def metrics(self, out, batch):
        return {"correct": (out["logits"].argmax(1) == batch["label"]).float()}

    def scores(self, columns):
        return {"accuracy": float(np.mean(columns["correct"]))}

    def trivial(self, catalog):
        return {"accuracy": 0.5}


@dataclass(frozen=True, kw_only=True)
class Rows(Toy):
    """Upper or lower, in darker pictures, with a loss of another size; for several at once."""

    name: ClassVar[str] = "toy-rows"
    summary: ClassVar[str] = "is the upper or the lower half brighter"

    size: float = 1.0
    """Factor of the loss."""

    def transform(self, clips, plan, rng):
        arrays = dict(super().transform(clips, plan, rng).arrays)
        arrays["frames"] = np.ascontiguousarray(arrays["frames"].transpose(0, 2, 1)) // 3
        return Example(arrays=arrays)

    def loss(self, out, batch):
        return self.size * super().loss(out, batch)


class _Counter:
    """Counts calls of the loss in this process, for planting a failure at a known step."""

    num = 0

    def past(self, limit: int) -> bool:
        self.num += 1
        return self.num > limit


counter = _Counter()


def make_row(number: int, split: str = "train") -> ClipRow:
    """Gives a row that stands for a 4 s clip."""
    return ClipRow(
        clip_id=f"clip{number:03d}",
        source=f"clip{number:03d}.mp4",
        source_sha256=f"{number:064x}",
        source_start_s=0.0,
        source_end_s=4.0,
        group_id=f"group{number}",
        split=split,
        store="shards/0.tar",
        video_offset=0,
        video_num_bytes=1000,
        video_suffix=".mp4",
        codec="h264",
        width_px=SIDE_PX,
        height_px=SIDE_PX,
        start_s=0.0,
        step_s=0.1,
        num_frames=40,
        last_frame_s=0.1,
        sound_state="absent",
        window_s=0.5,
    )


def write_data(directory, *, num_train: int = 13, num_validation: int = 5):
    """Writes a catalogue without media and gives its folder."""
    rows = [make_row(n) for n in range(num_train)]
    rows += [make_row(100 + n, "validation") for n in range(num_validation)]
    Catalog.from_rows(rows, directory=directory).write(directory)
    return directory


def register() -> None:
    """Adds the toy to the registry of this process."""
    for kind in (Toy, Rows):
        avssl.pretext.TASKS[kind.name] = kind
        recipe = Recipe(task=kind(), settings=SETTINGS, about="a test")
        avssl.pretext.RECIPES[kind.name] = {"small": recipe}


if __name__ == "__main__":
    from avssl.cli import main

    torch.set_num_threads(1)
    register()
    if kill_after := os.environ.get("TOY_STOP_AT"):  # a signal to itself at a known step
        from avssl.run import train as loop

        number, step = kill_after.split(":")
        inner = loop.learning_rate

        def rate(config, *, step, steps, _at=int(step)):
            if step == _at:
                os.kill(os.getpid(), getattr(signal, number))
            return inner(config, step=step, steps=steps)

        loop.learning_rate = rate
    sys.exit(main())
