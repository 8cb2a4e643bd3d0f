"""Tracking by colorization: colour a grey frame by pointing at earlier frames.

Vondrick, Shrivastava, Fathi, Guadarrama, Murphy, "Tracking emerges by colorizing videos", ECCV 2018
(papers.md §6.2). The network sees four grey frames. For each place of the last it says how much it
looks like each place of the three before it, and the colour there is the mixture of theirs: to be
right it has to point at the same thing.

    frames   0 ── 1 ── 2 ── 3      at 6 Hz, all grey to the network
             └─ colours ─┘  └ ?    p(colour at j) = Σᵢ softmaxᵢ(fᵢ · fⱼ) [colour of i]

Colours are 16: k-means of ab of Lab on the data set's own frames, filled in before a run begins.
The loss is the negative log-likelihood of the mixture. (A known re-implementation hands the mixture
to a softmax as if it were logits; papers.md warns of it.) Places whose colour is in no earlier
frame ask for nothing and are left out of loss and scores [ours].

Most of a picture stands still, so copying the colour at the same place is right most of the time:
the scores say how much better than that, and than the mix of colours seen, the network is. Each
frame is cut out a little differently, so that "the same place" is not the answer.

Shapes: B samples, T frames of S x S px, answers on a x a places, K colours. Batch: shown uint8
[B, T, 1, S, S] (3 channels with `grey` off), colors uint8 [B, T, a, a].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.pretext.tracking_by_colorization_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, Recipe, layer_sizes
from avssl.transform import palette as colors_of
from avssl.transform.moving import MovingKnobs

_MIXES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""How sure blind guesses are of the same place's colour; the best of them counts."""


class ColorizingHead(nn.Module):
    """Convolutions over places and frames, then the embedding of each place."""

    def __init__(self, width: int, *, hidden: int, depth: int, embedding: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Conv3d(width, hidden, 3, padding=1), nn.ReLU()]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Conv3d(width, embedding, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Takes [B, T, C, h, w] to [B, T, h · w, embedding]."""
        return self.layers(maps.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)


@dataclass(frozen=True, kw_only=True)
class TrackingByColorization(MovingKnobs):
    """Colour a grey frame by pointing at the frames before it."""

    name: ClassVar[str] = "tracking-by-colorization"
    summary: ClassVar[str] = "colour a grey frame with colours of earlier frames, by pointing"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    rate_hz: float = 6.0
    """Frames a second that are taken of a clip."""
    crop_jitter: float = 0.1
    """Own crop for each frame: shift and scale by up to this share of the side; 0: one for all."""
    answer_px: int = 16
    """Places along each side for which a colour is asked: S over the layer's stride."""
    layer: str = "res3"
    """Layer whose places are compared; empty: the last."""
    num_colors: int = 16
    """K, colours of the palette."""
    palette: tuple[tuple[float, float], ...] = ()
    """Its (a, b) of Lab; empty: fitted to the data set's frames before a run begins."""
    grey: bool = True
    """Off: the network sees colour. To show the leak only."""
    hidden: int = 256
    """Width of the head's convolutions."""
    depth: int = 0
    """Convolutions over places and frames before the embedding."""
    embedding: int = 64
    """Length of a place's vector."""
    unit_length: bool = True
    """Compare by cosine; off: by the bare product (the paper)."""
    temperature: float = 0.07
    """Products are divided by it before the softmax."""
    floor: float = 1e-3
    """Share of an even guess in the mixture, so that no colour costs infinitely much [ours]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.answer_px <= self.size_px:
            raise InputError(f"answer_px {self.answer_px}: must be 1 to size_px {self.size_px}")
        if not 2 <= self.num_colors <= 255:
            raise InputError(f"num_colors {self.num_colors}: must be from 2 to 255")
        if self.palette and len(self.palette) != self.num_colors:
            raise InputError(f"palette of {len(self.palette)}: must be num_colors, or empty")
        if min(self.hidden, self.embedding) < 1 or self.depth < 0:
            raise InputError("hidden and embedding must be 1 or more, depth 0 or more")
        if not self.temperature > 0 or not 0 < self.floor < 1:
            raise InputError("temperature must be above 0, floor between 0 and 1")

    def completed(self, catalog: Catalog) -> "TrackingByColorization":
        """Gives the task with a palette of the data set's colours; called once, before a run."""
        if self.palette:
            return self
        found = colors_of.fit_palette(catalog, num_colors=self.num_colors, answer_px=self.answer_px)
        return replace(self, palette=found)

    def colors(self) -> tuple[tuple[float, float], ...]:
        """Gives the palette; an even one before `completed`."""
        return self.palette or colors_of.even_palette(self.num_colors)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one run of row `index`; the last frame is the one to be coloured."""
        return self.moving(catalog, index, rng)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the frames and takes their colours: see the top."""
        frames = self.color_change(rng).apply(self.cropped(clips, plan, rng))
        ab = colors_of.coarse_ab(frames, answer_px=self.answer_px)
        return Example(
            arrays={
                "shown": colors_of.light_of(frames) if self.grey else frames,
                "colors": colors_of.nearest(ab, self.colors()),
            }
        )

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the embedding of places.

        Raises:
            InputError: the layer's map is not a x a.
        """
        channels, stride = layer_sizes(widths, self.layer)
        if -(-self.size_px // stride) != self.answer_px:
            raise InputError(
                f"answer_px {self.answer_px}: layer {self.layer} has {-(-self.size_px // stride)} "
                f"places along {self.size_px} px; give --task.answer-px that"
            )
        return ColorizingHead(
            channels, hidden=self.hidden, depth=self.depth, embedding=self.embedding
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"chances": [B, a², K]} of the last frame's colours, float32."""
        shown, colors = batch["shown"], batch["colors"].long()
        grey = shown.flatten(end_dim=1).expand(-1, 3, -1, -1)
        encoder: Any = encoders["vision"]
        maps = encoder.features(grey)[self.layer or list(encoder.layers)[-1]]
        places = head(maps.unflatten(0, shown.shape[:2])).float()
        if self.unit_length:
            places = functional.normalize(places, dim=-1)
        known = places[:, :-1].flatten(1, 2)
        pointing = (places[:, -1] @ known.transpose(1, 2) / self.temperature).softmax(dim=-1)
        seen = functional.one_hot(colors[:, :-1].flatten(1), self.num_colors).float()
        mixture = pointing @ seen
        return {"chances": (1 - self.floor) * mixture + self.floor / self.num_colors}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean negative log-likelihood of the mixture."""
        return self._costs(out["chances"], batch).mean()

    def _costs(self, chances: Tensor, batch: Batch) -> Tensor:
        """Gives -log of the right colour's chance, mean over places whose colour was seen, [B]."""
        asked = batch["colors"][:, -1].long().flatten(1)
        right = chances.gather(2, asked[..., None])[..., 0]
        return _mean(-right.clamp(min=1e-12).log(), self._seen(batch).gather(1, asked) > 0)

    def _seen(self, batch: Batch) -> Tensor:
        """Gives the share of each colour in the earlier frames, [B, K]."""
        earlier = batch["colors"][:, :-1].long().flatten(1)
        return functional.one_hot(earlier, self.num_colors).float().mean(dim=1)

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives accuracy and cost of the network and of blind guesses, each [B].

        "copied": the same place's colour in the frame before; "frequent": the commonest colour of
        the earlier frames. "_blind…": cost of mixes of both, for `scores`.
        """
        chances = out["chances"].detach()
        colors = batch["colors"].long()
        asked, before = colors[:, -1].flatten(1), colors[:, -2].flatten(1)
        share = self._seen(batch)
        of_asked = share.gather(1, asked)
        counts = of_asked > 0
        same = before == asked
        found = {
            "accuracy": _mean((chances.argmax(dim=2) == asked).float(), counts),
            "nll": self._costs(chances, batch),
            "copied": _mean(same.float(), counts),
            "frequent": _mean((share.argmax(dim=1)[:, None] == asked).float(), counts),
        }
        for mix in _MIXES:
            chance = mix * same + (1 - mix) * of_asked
            found[f"_blind{mix:g}"] = _mean(-chance.clamp(min=1e-12).log(), counts)
        return found

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives what the network has above the best blind guess on the same samples.

        "accuracy_gain": share of places right, less that of the better of copying and the commonest
        colour. "nll_gain": cost of the best mix of both, nats, less the network's.
        """
        mean = {name: float(values.mean()) for name, values in columns.items()}
        blind = min(mean[f"_blind{mix:g}"] for mix in _MIXES)
        return {
            "accuracy_gain": mean["accuracy"] - max(mean["copied"], mean["frequent"]),
            "nll_gain": blind - mean["nll"],
        }

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives 0: the scores are above copying and the commonest colour, sample for sample."""
        return {"accuracy_gain": 0.0, "nll_gain": 0.0}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws the frame before with its colours, the grey frame, the answer and the truth."""
        palette = torch.tensor(self.colors()).T
        pictures = []
        for chances, shown, colors in zip(
            out["chances"], batch["shown"], batch["colors"], strict=True
        ):
            side = colors.shape[-1]
            answer = (palette @ chances.float().cpu().T).reshape(2, side, side).numpy()
            before, truth = (palette[:, colors[at].cpu().long()].numpy() for at in (-2, -1))
            light = shown.cpu().float().mean(dim=1).round().to(torch.uint8).numpy()
            grey = light[-1][..., None].repeat(3, axis=2)
            panels = [colors_of.painted(light[-2], before), grey]
            panels += [colors_of.painted(light[-1], ab) for ab in (answer, truth)]
            large = [cv2.resize(p, (128, 128), interpolation=cv2.INTER_LINEAR) for p in panels]
            gap = np.full((128, 6, 3), 255, dtype=np.uint8)
            row = [part for panel in large for part in (panel.astype(np.uint8), gap)][:-1]
            pictures.append(np.concatenate(row, axis=1))
        return pictures


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Gives the mean over the places that count, [B]; 0 where none does."""
    return (values * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)


RECIPES = {
    "small": Recipe(
        task=TrackingByColorization(size_px=96, answer_px=12, motion_power=1.0),
        settings={
            "vision": "small-bn",
            "steps": 200,
            "batch_size": 24,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 20,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Pictures of 96 px, small network. After 200 steps, on validation clips: "
        "0.18 more places right than the best blind guess, 0.76 nats less (one seed).",
    ),
    "paper": Recipe(
        task=TrackingByColorization(
            num_frames=4,  # papers.md §6.2: "3 reference + 1 target frame"
            rate_hz=6.0,  # papers.md §6.2: "Kinetics at 6 fps"
            size_px=256,  # papers.md §6.2: "grey input 256×256"
            answer_px=32,  # papers.md §6.2: "labels at 32×32"
            num_colors=16,  # papers.md §6.2: "k-means K=16"
            # papers.md §6.2: trunk to 32×32×256 without pooling. timm's ResNet-18 pools in its
            # stem and has 128 channels at that stride; the first layer behind it makes 256.
            layer="res3",
            hidden=256,
            depth=5,  # papers.md §6.2: "5-layer 3-D conv"
            embedding=64,  # papers.md §6.2: "64-d embedding"
            unit_length=False,  # papers.md §6.2: "f_i·f_j"
            # papers.md §6.2: "T train 1.0"; the test's 0.5 is label propagation's here, which has
            # a temperature of its own (`avssl eval propagation --temperature`).
            temperature=1.0,
            crop_jitter=0.0,
            crop_scale=(1.0, 1.0),
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "timm:resnet18",  # papers.md §6.2: "ResNet-18"
            "steps": 400_000,  # papers.md §6.2: "to 400 k"
            "batch_size": 32,  # papers.md §6.2: "batch 32"
            "optim.name": "adam",  # papers.md §6.2: "Adam 1e-3 for 60 k then 1e-4"
            "optim.lr": 1e-3,
            "optim.weight_decay": 0.0,
            "optim.schedule": "step",
            "optim.step_at": (60_000,),
            "optim.step_factor": 0.1,
        },
        about="The values of Vondrick and others 2018. Theirs and not here: a trunk without "
        "pooling that ends at 256 channels (timm's ResNet-18: 128 at the same stride). Ours: a "
        "thousandth of every colour in the mixture. Made for a GPU.",
    ),
}
"""Name → recipe."""
