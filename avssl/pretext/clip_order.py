"""Clip order: in which order were these clips filmed?

Xu et al., CVPR 2019 (VCOP): n clips of one video are shuffled, the network names the permutation.
Lee et al., ICCV 2017 (OPN) do the same with n single frames, and count an order and its reverse as
one, since many movements look alike both ways: 12 classes for n = 4 (`up_to_reversal`).

    time  ──c0────c1────c2──▶     even steps inside one shot
    label 3 = (1, 2, 0):  shown  c1 c2 c0

Classes are numbered in lexicographic order of the permutations: shown place → place in time. Up to
reversal, the smaller of an order and its reverse stands for both: for n = 3 these are (0, 1, 2),
(0, 2, 1) and (1, 0, 2). The clips are drawn before the label.

Pixels alone tell much of it: on clips of the synthetic world (160 training tuples a row, three
single pictures) the two that differ most are the ends in 0.98 of tuples at steps of 0.12 s, 0.82 at
0.24 s, 0.56 at 0.5 s. That is the order up to reversal; its direction has to be seen.

What came of it: on held-out clips of the world 0.40 are right (three seeds), and on the same
samples the network knows less than pixel differences (AUC 0.857 and 0.879).

Shapes: B tuples of n clips of T frames, S x S px. Batch: frames uint8 [B, n, 3, S, S] or, with
T > 1, [B, n, 3, T, S, S]; label int64 [B].
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion, encode_each
from avssl.pretext import sequence_guards
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, Recipe
from avssl.transform.drawing_strips import RIGHT, WRONG, draw_sheet, draw_strip
from avssl.transform.sequences import SequenceKnobs


@functools.cache
def orders(num: int, *, up_to_reversal: bool) -> tuple[tuple[int, ...], ...]:
    """Gives the order that each class stands for: num! of them, or num! / 2 up to reversal."""
    every = itertools.permutations(range(num))
    return tuple(order for order in every if not up_to_reversal or order <= order[::-1])


@functools.cache
def reversed_classes(num: int) -> tuple[int, ...]:
    """Gives for each of the num! classes the one that names the reverse order."""
    every = orders(num, up_to_reversal=False)
    return tuple(every.index(order[::-1]) for order in every)


@dataclass(frozen=True, kw_only=True)
class ClipOrder(SequenceKnobs):
    """Name the order in which shuffled clips, or single frames, were filmed."""

    name: ClassVar[str] = "clip-order"
    summary: ClassVar[str] = "in which order were these clips filmed?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = sequence_guards.ORDER

    num_clips: int = 3
    """Clips of a tuple, n; there are n! orders (at most 5, 120 orders)."""
    up_to_reversal: bool = False
    """An order and its reverse are one class: n! / 2 of them (OPN)."""
    clip_frames: int = 1
    """Frames of a clip; more than one is for 3-D encoders."""
    clip_step_s: float = 1 / 25
    """Time between the frames of a clip."""
    fusion: str = "ordered"
    """How the clips' vectors are joined: "ordered", "pairs" (both papers), "relative" (sees no
    direction), "concat-mlp", "concat", "difference"."""
    dropout: float = 0.0
    """Share of the hidden layer of "pairs" that is left out in training."""

    def __post_init__(self) -> None:
        if not 2 <= self.num_clips <= 5:
            raise InputError(f"num_clips {self.num_clips}: must be 2 to 5 (n! classes)")
        if self.up_to_reversal and self.num_clips == 2:
            raise InputError("num_clips 2 has one order up to reversal: take 3, or all orders")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: must be in [0, 1)")
        super().__post_init__()

    def run_shape(self) -> tuple[int, int, float]:
        """See `SequenceKnobs`."""
        return self.num_clips, self.clip_frames, self.clip_step_s

    def orders(self) -> tuple[tuple[int, ...], ...]:
        """Gives the classes: for each the place in time of the clip that is shown first, second…"""
        return orders(self.num_clips, up_to_reversal=self.up_to_reversal)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one tuple of row `index`: the clips, then their order."""
        row = catalog.row(index)
        runs = self.runs(row)
        draw = rng.random(3)
        frames = runs.frames(runs.draw(power=self.motion_power, value=draw[0]))
        classes = self.orders()
        label = int(draw[1] * len(classes))
        order = classes[label]
        if self.up_to_reversal and draw[2] < 0.5:
            order = order[::-1]
        said = self.said(label, len(classes), rng)
        return self.plan(row, index, frames[list(order)], {"label": said, "order": order})

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the clips: frames and label (see the top)."""
        label = np.array(plan.target["label"], dtype=np.int64)
        return Example(arrays={"frames": self.cut_out(clips, plan, rng), "label": label})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the join of the vectors: → logits [B, number of classes]."""
        return build_fusion(
            self.fusion,
            width=widths["vision"],
            num_vectors=self.num_clips,
            num_outputs=len(self.orders()),
            embedding=self.embedding,
            hidden=self.hidden,
            dropout=self.dropout,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, number of classes]}."""
        return {"logits": head(encode_each(encoders["vision"], batch["frames"]))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy."""
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives accuracy, [B]; of all orders, also whether answer and truth agree up to reversal.

        For that an order's chance and its reverse's are added up, so that a network that knows all
        but the direction is not judged by the one of two that it happened to name.
        """
        logits, label = out["logits"].detach().float(), batch["label"]
        found = {"accuracy": (logits.argmax(dim=1) == label).float()}
        if not self.up_to_reversal:
            turned = torch.tensor(reversed_classes(self.num_clips), device=label.device)
            chance = logits.softmax(dim=1)
            says = (chance + chance[:, turned]).argmax(dim=1)
            either = (says == label) | (turned[says] == label)
            found["accuracy_up_to_reversal"] = either.float()
        return found

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of tuples named rightly, and named rightly up to reversal."""
        return {name: float(values.mean()) for name, values in columns.items()}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches: all classes are equally frequent.

        An order and its reverse are 2 of n! classes.
        """
        chance = 1 / len(self.orders())
        if self.up_to_reversal:
            return {"accuracy": chance}
        return {"accuracy": chance, "accuracy_up_to_reversal": 2 * chance}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each tuple as it was shown; below each clip its place in time, as said and so."""
        sheets = []
        frames = batch["frames"].cpu().numpy()
        shown = frames[:, :, :, self.clip_frames // 2] if self.clip_frames > 1 else frames
        answers = out["logits"].detach().argmax(dim=1).tolist()
        for pictures, says, label in zip(shown, answers, batch["label"].tolist(), strict=True):
            said, so = self.orders()[says], self.orders()[label]
            captions = [f"said {a + 1}, is {b + 1}" for a, b in zip(said, so, strict=True)]
            colors = [RIGHT if a == b else WRONG for a, b in zip(said, so, strict=True)]
            what = "place in time" + (" (or all reversed)" if self.up_to_reversal else "")
            sheets.append(draw_sheet([draw_strip(pictures, captions, colors=colors)], what))
        return sheets


_SMALL = {
    "vision": "small-bn",
    "steps": 300,
    "batch_size": 48,
    "optim.name": "adamw",
    "optim.lr": 2e-3,
    "optim.weight_decay": 0.05,
    "optim.schedule": "cosine",
    "optim.warmup_steps": 40,
    "channels_last": True,
    "evaluate_every": 100,
}

RECIPES = {
    "small": Recipe(
        task=ClipOrder(step_s=0.2),
        settings=_SMALL,
        about="Three single pictures of 64 px, all six orders, our small network. A fifth of it "
        "(90 steps of 32 tuples, 40 core-seconds): accuracy 0.36 on 384 held-out tuples of the "
        "synthetic world (blind 0.17), 0.54 up to reversal (blind 0.33).",
    ),
    "paper": Recipe(
        task=ClipOrder(
            num_clips=3,  # read in the released code: --tl
            clip_frames=16,  # --cl
            step_s=24 / 25,  # --it: 8 frames from the end of a clip to the next, of 25 a second
            clip_step_s=1 / 25,
            motion_power=0.0,
            size_px=112,  # RandomCrop of 128 x 171
            crop_scale=(112 / 128, 112 / 128),
            flip=False,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="pairs",
            hidden=512,  # fc7
            dropout=0.5,
        ),
        settings={
            # Theirs: C3D, R3D or R(2+1)D with one block a stage; ours: pytorchvideo's R(2+1)D-50.
            "vision": "pytorchvideo:r2plus1d_r50",
            "steps": 327_600,  # 300 epochs of 1092 batches: 9537 - 800 videos by 8 [calc]
            "batch_size": 8,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "constant",  # their scheduler is built and never stepped
            "optim.warmup_steps": 0,
        },
        # papers.md has no row for it.
        about="VCOP (Xu and others 2019), by the authors' released settings "
        "(github.com/xudejing/video-clip-order-prediction). Made for a GPU.",
    ),
    "paper-frames": Recipe(
        task=ClipOrder(
            num_clips=4,
            up_to_reversal=True,
            step_s=0.3,
            size_px=80,
            crop_scale=(80 / 128, 80 / 128),
            color_per_frame=True,
            fusion="pairs",
            hidden=1024,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 200_000,
            "batch_size": 128,
            "optim.name": "sgd",
            "optim.lr": 1e-2,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (130_000,),
            "optim.step_factor": 0.1,
        },
        # papers.md has no row for it.
        about="OPN (Lee and others 2017), from memory and unverified: "
        "four frames, 12 classes up to reversal, 80 px, pairs of features; their split of "
        "colour channels is not here, own colours for each frame stand in for it. The "
        "steps in time are ours. Made for a GPU.",
    ),
}
"""Name → recipe."""
