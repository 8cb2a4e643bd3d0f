"""Arrow of time: is this played forwards?

Pickup et al., CVPR 2014; Wei, Lim, Zisserman, Freeman, CVPR 2018 ("Learning and using the arrow of
time"). What falls speeds up, what bounces loses height, people walk the way they look: a network
that tells the direction has had to see such things. What must not tell it is how the file was made.

    time  ──f0────f1────f2────f3──▶   even steps inside one shot
    1: shown  f0 f1 f2 f3             0: shown  f3 f2 f1 f0

The frames are drawn before the label, so no time tells it. All have one place between key frames:
within a group of pictures sharpness rises or falls with time, and that would tell the direction of
compression. The places known are those of the prepared copy; what an earlier compression of the
source has left in its pixels is not, and a careful user reads `audit` and doubts.

Maps joined place by place before they are pooled (`fusion="places"`) learn it where balls fall (the
world's theme `falls`): 0.787 0.774 0.764 on test clips, three seeds. Vectors of whole pictures,
joined afterwards, do not, on the same clips with the same steps and seeds: 0.512 0.532 0.522. The
join of `res3`'s maps makes the difference. On the world's people, who walk, wave and play, places
give 0.501 0.498 0.494 (test clips, three seeds). Vectors learned it on nothing tried
(balanced accuracy 0.50, the loss stays at ln 2, 300 steps): 4000 clips of things that sound, 150 of
motion-captured people, the world's people, earlier forms of `falls`. That theme was made easier
because of that: a tripod, more balls. With the tripod and six to ten balls places gave 0.569 (200
steps, one seed, validation).

Tried and not kept: three grey pictures in a row as the colours of one (0.515 on the captured
people, 512 runs; 0.45 to 0.55 is chance), eight as those of six (0.500 on an earlier `falls`); a
moving camera and few balls in `falls` (vectors 0.500 on test). Two plain numbers, whether changes
of the picture shrink and whether they sink, tell little: AUC 0.487 and 0.476 on captured people,
0.459 and 0.525 where balls fall now (training clips).

Shapes: B runs of N pictures, S x S px. Batch: frames uint8 [B, N, 3, S, S], or [B, 3, N, S, S] with
`as_clip` (3-D encoders), label int64 [B].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion, encode_each
from avssl.model.places import PlacesFusion
from avssl.pretext import sequence_guards
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, Recipe, layer_sizes, two_class_metrics, two_class_scores
from avssl.transform.drawing_strips import draw_verdicts
from avssl.transform.sequences import SequenceKnobs


@dataclass(frozen=True, kw_only=True)
class ArrowOfTime(SequenceKnobs):
    """Tell pictures in the order of filming from the same ones in reverse."""

    name: ClassVar[str] = "arrow-of-time"
    summary: ClassVar[str] = "is this played forwards, or backwards?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    label_names: ClassVar[tuple[str, ...]] = ("backwards", "forwards")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = sequence_guards.ARROW

    num_frames: int = 4
    """Pictures shown."""
    as_clip: bool = False
    """All pictures go through the encoder together, as one clip (3-D encoders)."""
    drawn_before_label: bool = True
    """Off: what is played backwards is from the end of the file. To show the leak only."""
    layer: str = ""
    """For fusion "places": the layer whose maps are joined; "" is the last."""
    fusion: str = "ordered"
    """How pictures are joined: "places" compares their maps place by place; "ordered",
    "concat-mlp", "concat" and "pairs" their vectors. "difference" and "relative" see no sign; what
    they can tell is whether changes grow or shrink."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.as_clip and self.fusion == "places":
            raise InputError("fusion 'places': joins pictures, and as_clip has one clip; drop one")
        if self.fusion not in (*FUSIONS, "places"):
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}, places")

    def run_shape(self) -> tuple[int, int, float]:
        """See `SequenceKnobs`."""
        return self.num_frames, 1, 0.0

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one run of row `index`, then the direction in which it is shown."""
        row = catalog.row(index)
        runs = self.runs(row)
        draw = rng.random(2)
        label = int(draw[1] < 0.5)
        number = runs.draw(power=self.motion_power, value=draw[0])
        if not self.drawn_before_label and label == 0:
            number = len(runs.first) - 1 - int(draw[0] * len(runs.first) / 4)
        shown = runs.frames(number)
        target = {"label": self.said(label, 2, rng), "as_clip": int(self.as_clip)}
        return self.plan(row, index, shown if label else shown[::-1], target)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the pictures: frames and label (see the top)."""
        shown = self.cut_out(clips, plan, rng)
        label = np.array(plan.target["label"], dtype=np.int64)
        if self.as_clip:
            shown = np.ascontiguousarray(shown.swapaxes(0, 1))
        return Example(arrays={"frames": shown, "label": label})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the join of the vectors: → logits [B, 2] (0: backwards, 1: forwards)."""
        if self.fusion == "places":
            return PlacesFusion(
                channels=layer_sizes(widths, self.layer)[0],
                num_pictures=self.num_frames,
                num_outputs=2,
                embedding=self.embedding,
                hidden=self.hidden,
            )
        return build_fusion(
            "concat-mlp" if self.as_clip else self.fusion,
            width=widths["vision"],
            num_vectors=1 if self.as_clip else self.num_frames,
            num_outputs=2,
            embedding=self.embedding,
            hidden=self.hidden,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, 2]}."""
        if self.fusion == "places":
            encoder: Any = encoders["vision"]
            maps = encoder.features(batch["frames"].flatten(end_dim=1))
            seen = maps[self.layer or list(encoder.layers)[-1]]
            return {"logits": head(seen.unflatten(0, batch["frames"].shape[:2]))}
        frames = batch["frames"].unsqueeze(1) if self.as_clip else batch["frames"]
        return {"logits": head(encode_each(encoders["vision"], frames))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy."""
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives accuracy, score (log odds of forwards) and label, each [B]."""
        logits = out["logits"]
        return two_class_metrics(logits[:, 1] - logits[:, 0], batch["label"])

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives balanced accuracy and AUC; {} where only one class was seen."""
        return two_class_scores(columns)

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches: both directions are equally frequent."""
        return {"balanced_accuracy": 0.5, "auc": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each run as it was shown, with what the network says and what is so."""
        logits = out["logits"].detach().float().cpu().numpy()
        frames = batch["frames"].swapaxes(1, 2) if self.as_clip else batch["frames"]
        return draw_verdicts(
            frames.cpu().numpy(),
            logits[:, 1] - logits[:, 0],
            batch["label"].cpu().numpy(),
            self.label_names,
        )


RECIPES = {
    "small": Recipe(
        task=ArrowOfTime(step_s=0.0667, fusion="places", layer="res3"),
        settings={
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
        },
        about="Pictures of 64 px, our small network, its maps joined place by place. What it "
        "learned, and where nothing: the head of the file.",
    ),
    "paper": Recipe(
        task=ArrowOfTime(
            num_frames=10,
            step_s=0.3,
            size_px=224,
            crop_scale=(224 / 256, 224 / 256),
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            fusion="concat",
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
        about="In the manner of Wei and others 2018, and not their network, input or numbers. "
        "Theirs: T-CAM, VGG-16 on groups of optical flow, whose maps are joined late and end in "
        "class activation maps. Ours: CaffeNet with BatchNorm on ten pictures, whose vectors are "
        "joined late; every constant is ours. Made for a GPU.",
    ),
}
"""Name → recipe."""
