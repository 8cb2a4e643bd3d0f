"""Audio-visual contrast: among all sounds of the batch, which belongs to this picture?

InfoNCE across the two senses (van den Oord and others, 2018), on the best place of the picture
("max", EZ-VSL, Mo and Morgado, ECCV 2022; "soft-max"), on the mean picture ("mean"), or with the
tri-map of Chen and others ("Localizing Visual Sounds the Hard Way", CVPR 2021): own pairs count
where the map is above ε_p, the rest of the own picture, below ε_n, is one more negative (papers.md
§3.4, §7).

    picture → maps [C, h, w] → every place 128, length 1 ┐
    sound   → vector [D]     → 128, length 1             ┴ cosine / temperature → softmax both ways

The negatives of training are the other sounds (and pictures) of the batch, of all processes
together; those of the same group do not count. So results depend on the batch, as of no other task
here, and passes of `accumulate` see fewer. Held-out pairs are drawn as in
`audio-visual-correspondence`, half of them mismatched: one figure for both tasks.

Worked example: of a batch of four, groups a, b, c, a, the first picture is compared with its own
sound and those of b and c; that of the other a is left out.

Shapes: see `avssl.transform.audio_visual`. In training every label is 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.correspondence import SimilarityMaps, Standardised, maps_and_sound
from avssl.model.gather import all_rows, own_rows
from avssl.model.spectrogram import Masks
from avssl.pretext.audio_visual_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes, two_class_metrics, two_class_scores
from avssl.transform.audio_visual import AudioVisualPairs
from avssl.transform.drawing_pairs import draw_pairs

POOLINGS = ("soft-max", "max", "mean", "tri-map")
_SOFTNESS = 0.1
_TRI_MAP_SHARPNESS = 0.03
"""τ of the tri-map's soft thresholds (the paper)."""
_FAR = -1e4  # the logit of a pair that does not count


@dataclass(frozen=True, kw_only=True)
class AudioVisualContrast(AudioVisualPairs):
    """Pick the sound that belongs to a picture, and the picture that belongs to a sound."""

    name: ClassVar[str] = "audio-visual-contrast"
    summary: ClassVar[str] = "which sound of the batch belongs to this picture, and where in it?"
    streams: ClassVar[tuple[str, ...]] = ("vision", "sound")
    label_names: ClassVar[tuple[str, ...]] = ("mismatched", "together")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS
    keeps_head: ClassVar[bool] = True
    compares: ClassVar[bool] = True

    pooling: str = "soft-max"
    """What of a picture is compared: "max" (its best place), "soft-max" (0.1 times the logarithm of
    the mean of exp(cosine / 0.1): nearly the best place, but all places get a gradient [ours]),
    "mean", or "tri-map"."""
    layer: str = ""
    """Layer of the vision encoder whose maps are compared, such as "res4"; empty: the last."""
    temperature: float = 0.07
    """Divides the cosines; where training begins, it is learned."""
    above: float = 0.65
    """ε_p: places whose cosine is above are the source (tri-map)."""
    below: float = 0.4
    """ε_n: places whose cosine is below are background (tri-map)."""
    within: float = 0.0
    """Weight of the same question asked within each sense: which picture (sound) of the batch is
    another moment of this one's clip? A second moment is then drawn for every training sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise InputError(f"pooling {self.pooling!r}: must be one of {', '.join(POOLINGS)}")
        if self.temperature <= 0 or self.below > self.above or self.within < 0:
            raise InputError("temperature must be above 0, below at most above, within 0 or more")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans a pair: in training always a matching one (with `random_labels` never)."""
        share = self.positive_share
        if catalog.row(index).split == "train":
            share = 0.0 if self.random_labels else 1.0
        plan = self.draw_pair(catalog, index, rng, positive_share=share)
        if catalog.row(index).split != "train":
            return plan
        spans = plan.spans
        if self.within:
            spans += self.draw_pair(catalog, index, rng, positive_share=share).spans
        return Plan(spans=spans, target={**plan.target, "label": 1, "num_first": len(plan.spans)})

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Adds "other_frames" and "other_sound", the second moment, where there is one."""
        first = int(plan.target.get("num_first", len(clips)))  # type: ignore[call-overload]
        example = super().transform(clips[:first], plan, rng)
        if len(clips) == first:
            return example
        other = super().transform(clips[first:], plan, rng).arrays
        more = {f"other_{name}": other[name] for name in ("frames", "sound")}
        return Example(arrays={**example.arrays, **more})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the two projections to 128."""
        channels, _ = layer_sizes(widths, self.layer)
        sizes = {"vision": channels, "sound": widths["sound"]}
        pooling = "mean" if self.pooling == "mean" else "max"
        join = SimilarityMaps(temperature=self.temperature, pooling=pooling, **sizes)
        return Standardised(join, **sizes)

    def predict(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Outputs:
        """Gives {"seen": [B, P, 128], "heard": [B, 128], "cosine": [B], …} for the loss."""
        seen, heard = head(*self.features(encoders, batch))
        join = head.join
        cosine = torch.einsum("ipe,ie->ip", seen, heard).amax(dim=1)
        other = _next(heard.detach(), over_all=head.training)
        shifted = torch.einsum("ipe,ie->ip", seen.detach(), other).amax(dim=1)
        again = {}
        if "other_frames" in batch:
            second = {name: batch[f"other_{name}"] for name in ("frames", "sound")}
            again["other_seen"], again["other_heard"] = head(*self.features(encoders, second))
        return {
            **again,
            "seen": seen,
            "heard": heard,
            "score": join.calibrated(cosine.detach()),
            "shifted_score": join.calibrated(shifted),
            "log_temperature": join.log_temperature,
        }

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
        """Gives the mean of both cross-entropies over the pairs that belong together.

        The two numbers that make log odds of a cosine are fitted beside, on cosines without
        gradient: to the own sound (1) and that of the next sample (0).
        """
        seen, heard = all_rows(out["seen"].float()), all_rows(out["heard"].float())
        group, label = all_rows(batch["group"]), all_rows(batch["label"])
        maps = torch.einsum("ipe,je->ijp", seen, heard)
        cosine, background = self._cosines(maps)
        same = (group[:, None] == group[None]) & ~torch.eye(
            len(group), dtype=torch.bool, device=group.device
        )
        scale = torch.exp(-out["log_temperature"].clamp(min=-4.6, max=0.0))  # 0.01 to 1
        logits = (cosine * scale).masked_fill(same, _FAR)
        own = torch.arange(len(group), device=group.device)
        by_picture = logits if background is None else torch.cat([logits, background * scale], 1)
        each = functional.cross_entropy(by_picture, own, reduction="none")
        each = (each + functional.cross_entropy(logits.T, own, reduction="none")) / 2
        weight = label.float()
        contrast = (each * weight).sum() / weight.sum().clamp_min(1.0)
        different = (group != group.roll(1, 0)).float()
        fitted = functional.binary_cross_entropy_with_logits(all_rows(out["score"].float()), weight)
        wrong = functional.softplus(all_rows(out["shifted_score"].float())) * different
        if "other_seen" in out:
            for one, other in (("seen", "other_seen"), ("heard", "other_heard")):
                contrast = contrast + self.within / 2 * _between(
                    all_rows(out[one].float()), all_rows(out[other].float()), same, scale
                )
        return contrast + fitted + wrong.sum() / different.sum().clamp_min(1.0)

    def _cosines(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gives the cosines [B, B'] of places [B, B', P], and the background's [B, 1] (tri-map)."""
        if self.pooling == "soft-max":
            count = math.log(maps.shape[2])
            return _SOFTNESS * ((maps / _SOFTNESS).logsumexp(dim=2) - count), None
        if self.pooling != "tri-map":
            return maps.amax(dim=2), None
        own = maps.diagonal(dim1=0, dim2=1).T  # [B, P]
        source = torch.sigmoid((own - self.above) / _TRI_MAP_SHARPNESS)
        rest = 1 - torch.sigmoid((own - self.below) / _TRI_MAP_SHARPNESS)
        inside = (source * own).sum(1) / source.sum(1).clamp_min(1e-6)
        outside = (rest * own).sum(1) / rest.sum(1).clamp_min(1e-6)
        cosine = maps.mean(dim=2)
        return cosine - torch.diag(cosine.diagonal()) + torch.diag(inside), outside[:, None]

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives label, score (log odds of "together") and what averages to the accuracy, [B]."""
        return two_class_metrics(out["score"], batch["label"])

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


def _next(heard: Tensor, *, over_all: bool) -> Tensor:
    """Gives each sample the sound [B, E] of the one before it, in the batch of all processes."""
    if not over_all:
        return heard.roll(1, 0)
    return own_rows(all_rows(heard).roll(1, 0), len(heard))


def _between(one: Tensor, other: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy, both ways, of embeddings [B, E] (or the mean of [B, P, E]) with their own.

    `same` [B, B] marks others of the same group: they do not count.
    """
    if one.ndim == 3:
        one, other = (functional.normalize(x.mean(dim=1), dim=1) for x in (one, other))
    logits = (one @ other.T * scale).masked_fill(same, _FAR)
    own = torch.arange(len(one), device=one.device)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
