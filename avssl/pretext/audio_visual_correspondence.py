"""Audio-visual correspondence: do this picture and this second of sound belong together?

Arandjelović and Zisserman: "Look, Listen and Learn" (L3-Net, ICCV 2017, arXiv 1705.08168), "Objects
that Sound" (AVE-Net and AVOL-Net, ECCV 2018, arXiv 1712.06651); papers.md §2 gives layers, sampling
and figures. What may be seen and heard is drawn by `avssl.transform.audio_visual`; how a network
could cheat, and what stops it, stands in `shortcuts`.

    fusion "l3":    picture 512 + sound 512 → 128 → 2
    fusion "ave":   two embeddings of 128 and length 1 → their distance → 2
    fusion "avol":  every place of the picture · the sound → the best place decides

Worked example: a clip of 7 s at 25 frames a second has 150 spots, 0.52 s to 6.48 s. The picture
at 3.0 s goes with the sound of [2.5, 3.5) of its own file (label 1), or with that of [1.22, 2.22)
of a file of another group, whose picture at 1.72 s it would have gone with (label 0).

Shapes: see `avssl.transform.audio_visual`; the maps are those of `layer`, [B, C, h, w].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.correspondence import (
    FUSIONS,
    balanced_pair_loss,
    build_correspondence,
    maps_and_sound,
)
from avssl.model.gather import all_rows, own_rows
from avssl.model.spectrogram import Masks
from avssl.pretext.audio_visual_guards import SHORTCUTS
from avssl.records import Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes, two_class_metrics, two_class_scores
from avssl.transform.audio_visual import AudioVisualPairs
from avssl.transform.drawing_pairs import draw_pairs


@dataclass(frozen=True, kw_only=True)
class AudioVisualCorrespondence(AudioVisualPairs):
    """Tell pictures with their own sound from pictures with another's."""

    name: ClassVar[str] = "audio-visual-correspondence"
    summary: ClassVar[str] = "do this picture and this second of sound belong together?"
    streams: ClassVar[tuple[str, ...]] = ("vision", "sound")
    label_names: ClassVar[tuple[str, ...]] = ("mismatched", "together")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS
    keeps_head: ClassVar[bool] = True

    fusion: str = "avol"
    """How the two are joined: "l3", "ave" or "avol" (see the top)."""
    standardise: bool = True
    """Bring what leaves the encoders to mean 0 and deviation 1 before it is joined [ours]."""
    layer: str = ""
    """Layer of the vision encoder whose maps are joined, such as "res4"; empty: the last."""

    negatives: str = "sampled"
    """Mismatched pairs of training: "sampled" draws half of the samples as such (the papers);
    "batch" draws matching pairs and compares every picture with every sound of the batch, those of
    its own group left out. Held-out pairs are always drawn [ours]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negatives not in ("sampled", "batch"):
            raise InputError(f"negatives {self.negatives!r}: must be sampled or batch")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}")
        if self.positive_share >= 1:
            raise InputError("positive_share must be below 1")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans a pair; in training with the negatives of the batch always a matching one."""
        share = self.positive_share
        if self.negatives == "batch" and catalog.row(index).split == "train":
            share = 0.0 if self.random_labels else 1.0
        plan = self.draw_pair(catalog, index, rng, positive_share=share)
        if share not in (0.0, 1.0):
            return plan
        return Plan(spans=plan.spans, target={**plan.target, "label": 1})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the join: maps [B, C, h, w] and sound [B, D] → logits [B, 2]."""
        channels, _ = layer_sizes(widths, self.layer)
        return build_correspondence(
            self.fusion, vision=channels, sound=widths["sound"], standardise=self.standardise
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Outputs:
        """Gives {"logits": [B, 2]}; in training with the batch's negatives "pairs" [N, N] too."""
        maps, heard = self.features(encoders, batch)
        if self.negatives == "sampled" or not head.training:
            return {"logits": head(maps, heard)}
        odds = head.pairs(all_rows(maps), all_rows(heard))
        own = own_rows(odds.diagonal(), len(maps))
        return {"logits": torch.stack([torch.zeros_like(own), own], dim=1), "pairs": odds}

    def features(self, encoders: Mapping[str, nn.Module], batch: Batch) -> tuple[Tensor, Tensor]:
        """Gives the maps [B, C, h, w] and the sound's vector [B, D]."""
        return maps_and_sound(
            encoders,
            batch,
            layer=self.layer,
            masks=Masks(bands=self.mask_bands, frames=self.mask_frames),
        )

    def locate(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Tensor:
        """Gives the log odds of "together" place by place, [B, h, w]."""
        return head.at(*self.features(encoders, batch))

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy, or that of all pairs of the batch (`negatives`)."""
        if "pairs" in out:
            return balanced_pair_loss(out["pairs"].float(), all_rows(batch["group"]))
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives label, score (log odds of "together") and what averages to the accuracy, [B]."""
        logits = out["logits"]
        return two_class_metrics(logits[:, 1] - logits[:, 0], batch["label"])

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives balanced accuracy and AUC; {} where only one class was seen."""
        return two_class_scores(columns)

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking or listening reaches."""
        return {"balanced_accuracy": 0.5, "auc": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each pair, picture beside spectrogram, with the answer and what is so."""
        odds = self.metrics(out, batch)["score"].cpu().numpy()
        frames, sound = batch["frames"].cpu().numpy(), batch["sound"].cpu().numpy()
        labels = batch["label"].cpu().numpy()
        return draw_pairs(frames, sound, odds, labels, self.label_names, rate_hz=self.rate_hz)
