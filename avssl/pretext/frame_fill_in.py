"""Frame fill-in: given what comes before and after, which picture was in between?

The question behind the "fill in the blanks" figure of Misra et al. 2016 (papers.md §1.5: fix the
first and last frame, take the middle that the verifier likes best), asked directly, among
candidates of the same shot. Two ways to answer (`mode`):

- "choose": each candidate is shown between the ends, and the best trio wins;
- "predict": the features of the middle are predicted from those of the ends, and the candidate
  with the nearest features (cosine) wins; no gradient flows into the candidates' own features.

    time  ──x0────c0────x1────c1────x2────c2────x3──▶    a run of 2k + 1 pictures, even steps
    candidates: c0 c1 c2, shuffled.   Answer c1: the ends are x1 and x2, in either direction.

Candidates are drawn before the answer, and the answer's ends lie round it, as they would round any
other one: so candidates alone tell nothing. The usual way, ends first and wrong candidates around
them, makes the answer the middle one of the candidates (`candidates_before_label` off).

Pixels alone tell much: on clips of the synthetic world (160 training questions a row, k = 3) the
candidate that differs least from both ends is the answer in 0.98 of questions at steps of 0.1 s,
0.88 at 0.2 s, 0.68 at 0.3 s.

What came of it: on held-out clips of the world 0.82 are right (three seeds; "predict" 0.49), and on
the same samples the network does not beat pixel differences (AUC 0.964 and 0.974). With the guards
that take those away (`crop_jitter`, `color_per_frame`) 300 steps learn nothing (0.33); for joints
the encoder is then worth as much as before (docs/pose_study.md).

Shapes: B questions of k candidates, S x S px. Batch: frames uint8 [B, 2 + k, 3, S, S] (end, end,
candidates; clips: [B, 2 + k, 3, T, S, S]), label int64 [B], which candidate.
"""

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
from avssl.transform.drawing_strips import PLAIN, RIGHT, WRONG, draw_sheet, draw_strip
from avssl.transform.sequences import SequenceKnobs

MODES = ("choose", "predict")


class Predictor(nn.Module):
    """Predicts the features of the middle from those of both ends, in either order.

    [B, 2, width] → [B, width]: their mean, and a small network on mean and squared difference.
    """

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, ends: Tensor) -> Tensor:
        """Gives the features expected in between."""
        mean = ends.mean(dim=1)
        return mean + self.net(torch.cat([mean, (ends[:, 0] - ends[:, 1]).square()], dim=1))


@dataclass(frozen=True, kw_only=True)
class FrameFillIn(SequenceKnobs):
    """Find the picture that was between two others."""

    name: ClassVar[str] = "frame-fill-in"
    summary: ClassVar[str] = "which of these pictures was between the two?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = sequence_guards.FILL_IN

    num_candidates: int = 3
    """Pictures to choose from, k."""
    mode: str = "choose"
    """"choose" among trios, or "predict" the features of the middle."""
    temperature: float = 0.1
    """Cosines are divided by this before the softmax ("predict")."""
    clip_frames: int = 1
    """Frames at each place, for 3-D encoders."""
    clip_step_s: float = 1 / 25
    """Time between the frames of such a clip."""
    candidates_before_label: bool = True
    """Off: ends first, wrong candidates on both sides. To show the leak only."""
    fusion: str = "relative"
    """How a trio is joined ("choose"), see `avssl.model.heads.build_fusion`."""

    def __post_init__(self) -> None:
        if self.num_candidates < 2:
            raise InputError(f"num_candidates {self.num_candidates}: must be 2 or more")
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r}: must be one of {', '.join(MODES)}")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}")
        if not self.temperature > 0:
            raise InputError(f"temperature {self.temperature}: must be above 0")
        super().__post_init__()

    def run_shape(self) -> tuple[int, int, float]:
        """See `SequenceKnobs`: candidates at odd places, ends between them."""
        return 2 * self.num_candidates + 1, self.clip_frames, self.clip_step_s

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one question of row `index`: the candidates, then which of them it is about."""
        row = catalog.row(index)
        runs = self.runs(row)
        draw = rng.random(3)
        shuffled = rng.permutation(self.num_candidates)  # place → which in time
        frames = runs.frames(runs.draw(power=self.motion_power, value=draw[0]))
        label = int(draw[1] * self.num_candidates)
        asked = int(shuffled[label])
        if not self.candidates_before_label:
            asked = self.num_candidates // 2
            label = int(np.flatnonzero(shuffled == asked)[0])
        ends = [2 * asked, 2 * asked + 2]
        if draw[2] < 0.5:
            ends.reverse()
        shown = frames[[*ends, *(2 * shuffled + 1)]]
        said = self.said(label, self.num_candidates, rng)
        return self.plan(row, index, shown, {"label": said, "between": asked})

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours ends and candidates: frames and label (see the top)."""
        label = np.array(plan.target["label"], dtype=np.int64)
        return Example(arrays={"frames": self.cut_out(clips, plan, rng), "label": label})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the judge of trios ([n, 3, width] → [n, 1]), or the predictor."""
        if self.mode == "predict":
            return Predictor(width=widths["vision"], hidden=self.hidden)
        return build_fusion(
            self.fusion,
            width=widths["vision"],
            num_vectors=3,
            num_outputs=1,
            embedding=self.embedding,
            hidden=self.hidden,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, k]}.

        Pictures of one shot are so alike that all cosines are near 1: the mean of the candidates is
        taken away from them and from the prediction first.
        """
        vectors = encode_each(encoders["vision"], batch["frames"])
        ends, candidates = vectors[:, :2], vectors[:, 2:]
        if self.mode == "predict":
            own = candidates.detach().float()
            centre = own.mean(dim=1, keepdim=True)
            expected = head(ends).float().unsqueeze(1) - centre
            cosine = functional.cosine_similarity(expected, own - centre, dim=2)
            return {"logits": cosine / self.temperature}
        first = ends[:, :1].expand_as(candidates)
        last = ends[:, 1:].expand_as(candidates)
        trios = torch.stack([first, candidates, last], dim=2)
        return {"logits": head(trios.flatten(end_dim=1)).view(candidates.shape[:2])}

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
        """Gives what any answer without looking reaches: every place is right equally often."""
        return {"accuracy": 1 / self.num_candidates}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each question: the ends with the true middle, and the candidates' chances below."""
        sheets = []
        frames = batch["frames"].cpu().numpy()
        shown = frames[:, :, :, self.clip_frames // 2] if self.clip_frames > 1 else frames
        chances = out["logits"].detach().float().softmax(dim=1).cpu().numpy()
        for pictures, chance, label in zip(shown, chances, batch["label"].tolist(), strict=True):
            says = int(chance.argmax())
            blank = np.full_like(pictures[0], 235)
            ends = draw_strip(
                np.stack([pictures[0], blank, pictures[1]]), ["one end", "what was here?", "other"]
            )
            colors = [
                RIGHT if k == label else WRONG if k == says else PLAIN for k in range(len(chance))
            ]
            captions = [f"{k + 1}: {share:.0%}" for k, share in enumerate(chance)]
            below = draw_strip(pictures[2:], captions, colors=colors)
            title = f"it says {says + 1}, the middle is {label + 1}"
            sheets.append(draw_sheet([ends, below], title))
        return sheets


RECIPES = {
    "small": Recipe(
        task=FrameFillIn(step_s=0.2),
        settings={
            "vision": "small-bn",
            "steps": 300,
            "batch_size": 32,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 40,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Three candidates of 64 px, our small network. A fifth of it (80 steps of 24 "
        "questions, 41 core-seconds): accuracy 0.77 on 384 held-out questions of the synthetic "
        'world (blind 0.33). The mode "predict" reaches 0.49 with all of it, choosing 0.82; and '
        "pixels alone tell the answer (docs/audit.md).",
    ),
    "paper": Recipe(
        task=FrameFillIn(
            # Ends 1.2 s apart: half of papers.md §1.1's 60 frames of 25 a second, so that three
            # candidates with ends of their own fit into 3.6 s.
            step_s=0.6,
            size_px=227,
            crop_scale=(227 / 256, 227 / 256),
            flip=False,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="concat-mlp",
            hidden=1024,
        ),
        settings={
            "vision": "caffenet-bn",
            "steps": 100_000,
            "batch_size": 128,
            "optim.name": "sgd",
            "optim.lr": 1e-3,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "step",
            "optim.step_at": (80_000,),
            "optim.step_factor": 0.1,
        },
        # papers.md §1.1, §1.2.
        about="The network, pictures and solver of Shuffle and Learn's paper recipe "
        "(Misra and others 2016); no paper trains on this question alone, and the head is "
        "ours. Made for a GPU.",
    ),
}
"""Name → recipe."""
