"""Odd one out: of these short sequences, which one is out of order?

Fernando, Bilen, Gavves, Gould, CVPR 2017 (O3N, arXiv 1611.06646). All N sequences are of one shot;
in all but one the pictures are in the order of filming, in the odd one they are not.

    time  ──a0 a1 a2──────b0 b1 b2───c0 c1 c2──▶    three runs of three, likelier with more motion
    shown   a0 a1 a2      b1 b0 b2   c2 c1 c0       label 1: the second one

Runs are drawn before the label, and each is reversed with p = ½: the odd order is one that is wrong
in both directions, since a network cannot always tell those (the arrow of time is its own task).

Of the paper's ways to show a sequence to a network (stacks and sums of differences of frames) none
is here: they train an encoder of differences. Each picture goes through the encoder by itself, or
all of a sequence together through a 3-D one (`as_clip`).

Pixels alone tell much: on clips of the synthetic world (160 training questions a row, three of
three pictures) the sequence whose ends differ least, in proportion, is the odd one in 0.97 of
questions at steps of 0.08 s, 0.97 at 0.16 s, 0.84 at 0.28 s. Where things swing and turn back, long
steps have no order to be seen; short ones make it a matter of pixels.

What came of it: on held-out clips of the world 0.89 are right (three seeds), and on the same
samples the network does not beat a few numbers about pixel differences (AUC 0.989 and 0.995). With
the guards that take those away (`crop_jitter`, `color_per_frame`, `disjoint`) 300 steps learn
nothing (0.33); for joints the encoder is then worth as much as before (docs/pose_study.md).

Shapes: B questions of N sequences of K pictures, S x S px. Batch: frames uint8 [B, N, K, 3, S, S],
or [B, N, 3, K, S, S] with `as_clip`, label int64 [B].
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion, encode_each
from avssl.pretext import sequence_guards
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.sample.clock import picture_numbers
from avssl.sample.sequences import Runs
from avssl.task import Batch, Outputs, Recipe
from avssl.transform.drawing_strips import PLAIN, RIGHT, WRONG, draw_sheet, draw_strip
from avssl.transform.sequences import SequenceKnobs

COMPARISONS = ("score", "joined")
_LOOKED_AT = 256
"""Runs that are tried where sequences share no picture."""


@functools.cache
def odd_orders(num: int) -> tuple[tuple[int, ...], ...]:
    """Gives every order of `num` pictures but the two that time has: num! - 2 of them."""
    in_order = tuple(range(num))
    return tuple(
        order
        for order in itertools.permutations(in_order)
        if order not in (in_order, in_order[::-1])
    )


class OneOut(nn.Module):
    """Joins the pictures of each sequence, then the sequences: [B, N, K, width] → logits [B, N]."""

    def __init__(self, *, each: nn.Module, joined: nn.Module | None) -> None:
        super().__init__()
        self.each = each
        self.joined = joined

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives the logits: how likely each sequence is the odd one."""
        found = self.each(vectors.flatten(end_dim=1)).unflatten(0, vectors.shape[:2])
        return found[..., 0] if self.joined is None else self.joined(functional.relu(found))


@dataclass(frozen=True, kw_only=True)
class OddOneOut(SequenceKnobs):
    """Find the sequence whose pictures are out of order."""

    name: ClassVar[str] = "odd-one-out"
    summary: ClassVar[str] = "which of these short sequences is out of order?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = sequence_guards.ODD

    num_sequences: int = 3
    """Sequences of a question (the paper's N + 1)."""
    num_frames: int = 3
    """Pictures of a sequence."""
    reverse: bool = True
    """Each sequence is shown in reverse with p = ½."""
    disjoint: bool = False
    """No picture is in two sequences, where a clip has so many that are apart."""
    as_clip: bool = False
    """The pictures of a sequence go through the encoder together, as one clip (3-D encoders)."""
    fusion: str = "relative"
    """How the pictures of a sequence are joined, see `avssl.model.heads.build_fusion`."""
    compare: str = "score"
    """"score": each sequence gets a number by itself, the highest is the answer; "joined": one more
    layer sees all of them together (the paper)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}")
        if self.compare not in COMPARISONS:
            raise InputError(f"compare {self.compare!r}: must be one of {', '.join(COMPARISONS)}")
        if self.num_sequences < 2:
            raise InputError(f"num_sequences {self.num_sequences}: must be 2 or more")
        if self.num_frames < 3:
            raise InputError(f"num_frames {self.num_frames}: two have no wrong order; 3 or more")

    def run_shape(self) -> tuple[int, int, float]:
        """See `SequenceKnobs`."""
        return self.num_frames, 1, 0.0

    def least_runs(self) -> int:
        """All sequences of a question are different ones."""
        return self.num_sequences

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one question of row `index`: the runs first, then which one is odd, and how."""
        row = catalog.row(index)
        runs = self.runs(row)
        num = self.num_sequences if not self.disjoint else min(len(runs.first), _LOOKED_AT)
        numbers = rng.choice(len(runs.first), num, replace=False, p=runs.shares(self.motion_power))
        if self.disjoint:
            numbers = self._apart(row, runs, numbers)
        label = int(rng.integers(self.num_sequences))
        orders = odd_orders(self.num_frames) if self.num_frames <= 7 else None
        order = self._long_order(rng) if orders is None else orders[int(rng.integers(len(orders)))]
        turned = rng.random(self.num_sequences) < 0.5
        shown = []
        for k, number in enumerate(numbers):
            frames = runs.frames(int(number))
            if k == label:
                frames = frames[list(order)]
            shown.append(frames[::-1] if turned[k] and self.reverse else frames)
        said = self.said(label, self.num_sequences, rng)
        target = {"label": said, "as_clip": int(self.as_clip)}
        return self.plan(row, index, np.concatenate(shown), target)

    def _apart(self, row: ClipRow, runs: Runs, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gives the first runs of a random order that share no picture; then any, if too few."""
        picture, seen, kept = picture_numbers(row), set(), []
        for number in numbers:
            shown = set(picture[runs.frames(int(number)).ravel()].tolist())
            if not shown & seen and len(kept) < self.num_sequences:
                seen |= shown
                kept.append(number)
        rest = [number for number in numbers if number not in kept]
        return np.array([*kept, *rest][: self.num_sequences])

    def _long_order(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Draws from the wrong orders of so many pictures that they are not listed."""
        while True:
            order = rng.permutation(self.num_frames)
            if abs(np.diff(order).sum()) != self.num_frames - 1 or len(set(np.diff(order))) > 1:
                return tuple(order.tolist())

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the pictures: frames and label (see the top)."""
        shown = self.cut_out(clips, plan, rng)
        shown = shown.reshape(self.num_sequences, self.num_frames, *shown.shape[1:])
        if self.as_clip:
            shown = np.ascontiguousarray(shown.swapaxes(1, 2))
        label = np.array(plan.target["label"], dtype=np.int64)
        return Example(arrays={"frames": shown, "label": label})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds both joins, see `OneOut`."""
        scored = self.compare == "score"
        each = build_fusion(
            "concat-mlp" if self.as_clip else self.fusion,
            width=widths["vision"],
            num_vectors=1 if self.as_clip else self.num_frames,
            num_outputs=1 if scored else self.hidden,
            embedding=self.embedding,
            hidden=self.hidden,
        )
        num = self.num_sequences
        joined = build_fusion("concat", width=self.hidden, num_vectors=num, num_outputs=num)
        return OneOut(each=each, joined=None if scored else joined)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, N]}."""
        frames = batch["frames"].unsqueeze(2) if self.as_clip else batch["frames"]
        return {"logits": head(encode_each(encoders["vision"], frames, num_leading=3))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy."""
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives accuracy, [B]."""
        return {"accuracy": (out["logits"].detach().argmax(dim=1) == batch["label"]).float()}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of questions answered rightly."""
        return {"accuracy": float(columns["accuracy"].mean())}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches: every place is odd equally often."""
        return {"accuracy": 1 / self.num_sequences}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each question, a row a sequence, with the network's answer and the truth."""
        sheets = []
        frames = batch["frames"].swapaxes(2, 3) if self.as_clip else batch["frames"]
        chances = out["logits"].detach().float().softmax(dim=1).cpu().numpy()
        for pictures, chance, label in zip(
            frames.cpu().numpy(), chances, batch["label"].tolist(), strict=True
        ):
            says, strips = int(chance.argmax()), []
            for k, sequence in enumerate(pictures):
                color = RIGHT if k == label else WRONG if k == says else PLAIN
                so = "out of order" if k == label else "in order"
                captions = [f"{k + 1}: {so}", f"odd: {chance[k]:.0%}"]
                captions += [""] * (len(sequence) - 2)
                strips.append(draw_strip(sequence, captions, colors=[color] * len(sequence)))
            sheets.append(draw_sheet(strips, f"it says {says + 1}, the odd one is {label + 1}"))
        return sheets


RECIPES = {
    "small": Recipe(
        task=OddOneOut(step_s=0.16),
        settings={
            "vision": "small-bn",
            "steps": 300,
            "batch_size": 24,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 40,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Three sequences of three pictures of 64 px, our small network. A quarter of it (90 "
        "steps of 20 questions, 63 core-seconds): accuracy 0.81 on 384 held-out questions of "
        "the synthetic world (blind 0.33), less than one number from pixels reaches.",
    ),
    "paper": Recipe(
        task=OddOneOut(
            num_sequences=6,
            num_frames=6,
            step_s=0.04,
            match_gop_phase=False,
            reverse=False,
            size_px=227,
            crop_scale=(227 / 256, 227 / 256),
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="concat",
            compare="joined",
            hidden=4096,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 100_000,
            "batch_size": 32,
            "optim.name": "sgd",
            "optim.lr": 1e-2,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (80_000,),
            "optim.step_factor": 0.1,
        },
        # papers.md has no row for it: what is said of the paper is from memory.
        about="In the manner of Fernando and others 2017, from memory. Theirs: six sequences of "
        "six frames, each shown to AlexNet as one stack of differences. Ours: as many, each "
        "frame a picture shown to CaffeNet with BatchNorm, vectors joined; the solver is ours. "
        "Neighbouring frames cannot have one GOP phase, so that guard is off: use a set prepared "
        "with --gop 1. Made for a GPU.",
    ),
}
"""Name → recipe."""
