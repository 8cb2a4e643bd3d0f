"""Inpainting: a part of the picture is hidden; what was there?

"Context Encoders" (Pathak, Krähenbühl, Donahue, Darrell, Efros, CVPR 2016; papers.md §5.1, §5.3).

    picture ┬ hidden places become the mean colour → encoder → maps → bottleneck → drawing
            └ the hole, and a band around it ────────────────────────── asked for ─┘

    ░░░░░░░░░░░░   ░ seen
    ░░▒▒▒▒▒▒▒▒░░   ▒ seen and asked for with ten times the weight: the seam has to fit (overlap_px)
    ░░▒██████▒░░   █ hidden and asked for: the hole; scores look at nothing else
    ░░▒▒▒▒▒▒▒▒░░

`mask` "centre" is a square of half the side, hole and band together, and only it is drawn;
"random-region" hides a quarter of the picture in windows of one fixed pattern
(`avssl.transform.holes`), and the whole picture is drawn. Features of the paper's tables come from
the second and from L2 alone: the adversarial term did not converge with AlexNet.

With `adversarial` a judge is trained inside the head, in the same forward pass and by the same
optimiser: true and drawn pictures cost it a cross-entropy, whose gradient reaches the drawing
reversed and times the term's weight. The released code trains both in turns, the drawing against a
loss that does not saturate and at ten times the judge's rate. At the small recipe's rate (2e-3) the
judge throws the drawing off (loss 0.4 → 24 within 20 steps); take 2e-4.

What did not work with our small network: "full" and drawing from the mean of usual pictures (as the
released code does) had explained −0.20 after 75 steps, against 0.19 after 100 of the settings here.
A smooth filling from the rim beats both on regions, which are small.

Shapes: B pictures, S x S px; drawings s x s px, s the drawn side over answer_stride. Batch: frames
uint8 [B, 3, S, S], hidden uint8 [B, 1, S, S] (1: not seen), asked uint8 [B, 1, S, S] (1: the hole,
2: the band, 0: neither).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.context import ContextHead, harmonic_fill, reverse_gradient
from avssl.pretext.inpainting_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes
from avssl.transform.holes import centre_hole, draw_regions, grown
from avssl.transform.stills import StillKnobs

_MEAN, _DEVIATION = 0.45, 0.25
"""About those of photographs: what the network need not learn first."""
_SURROUNDINGS_SHARE = 1 / 8
_SHOWN_PX = 128


@dataclass(frozen=True, kw_only=True)
class Inpainting(StillKnobs):
    """Draw what is hidden."""

    name: ClassVar[str] = "inpainting"
    summary: ClassVar[str] = "what was in the hidden part of this picture?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    mask: Literal["random-region", "centre"] = "random-region"
    """What is hidden: regions of no fixed shape or place, or the middle."""
    hidden_share: float = 0.25
    """Share of the picture that is hidden ("random-region"; the middle is always a quarter)."""
    overlap_px: int = 0
    """Width of the band that is seen and asked for (the paper: 4 of 128 px, "centre"). With
    regions it is most of what is asked for, and the hole itself counts for little."""
    overlap_weight: float = 10.0
    """Weight of the band's pixels (10 in the code that Pathak and others released)."""
    margin_px: int = 0
    """Width of a strip around the hole that is hidden too but not asked for, instead of a band."""
    layer: str = ""
    """Layer of the encoder that is handed on, such as "conv5"; empty: the last."""
    places: int = 2
    """Side of the maps at the bottleneck; larger ones are pooled."""
    bottleneck: Literal["full", "channel-wise"] = "channel-wise"
    """How all places meet: all numbers at once, or within each channel (the AlexNet variant)."""
    from_mean: bool = True
    """Draw the difference from the mean colour of the hole's surroundings [ours]. Off: from the
    mean of usual pictures (the paper)."""
    hidden: int = 512
    """Numbers of the bottleneck "full" (the released code: 4000)."""
    head_width: int = 128
    """Channels of the drawing's first maps, halved at each doubling."""
    answer_stride: int = 2
    """Pixels of the picture to one of the drawing (the paper: 1)."""
    adversarial: float = 0.0
    """Weight of the adversarial term; the squared error has the rest (the paper: 0.001)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask not in ("random-region", "centre"):
            raise InputError(f"mask {self.mask!r}: must be random-region or centre")
        if self.bottleneck not in ("full", "channel-wise"):
            raise InputError(f"bottleneck {self.bottleneck!r}: must be full or channel-wise")
        for name in ("places", "hidden", "head_width", "answer_stride"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be 1 or more")
        if min(self.overlap_px, self.margin_px) < 0 or (self.overlap_px and self.margin_px):
            raise InputError("overlap_px and margin_px: 0 or more, and only one of them above 0")
        if not 0 < self.hidden_share < 1 or not 0 <= self.adversarial < 1:
            raise InputError("hidden_share must be between 0 and 1, adversarial from 0 to below 1")
        if self.overlap_weight < 0:
            raise InputError(f"overlap_weight {self.overlap_weight}: must be 0 or more")
        if self.size_px % (4 * self.answer_stride):
            raise InputError(
                f"size_px {self.size_px}: must be so many times 4 answer_stride, "
                f"{4 * self.answer_stride}"
            )
        if 4 * self.overlap_px >= self.size_px:
            raise InputError(f"overlap_px {self.overlap_px}: leaves nothing of the middle")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, each as likely as any other."""
        return self.still(catalog, index, rng)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts and colours the picture, then draws the hole: frames, hidden, asked."""
        frames = self.picture(clips, plan, rng)
        regions = draw_regions(self.size_px, rng, share=self.hidden_share)
        if self.mask == "centre":
            regions = centre_hole(self.size_px, inner_px=self.size_px // 2 - 2 * self.overlap_px)
        band = grown(regions, self.overlap_px) - regions
        asked = regions + 2 * band
        return Example(
            arrays={
                "frames": frames,
                "hidden": grown(regions, self.margin_px)[None],
                "asked": asked[None].astype(np.uint8),
            }
        )

    def _part(self, pictures: Tensor) -> Tensor:
        """Cuts out what is drawn: the middle, or all of it."""
        if self.mask != "centre":
            return pictures
        first, side = self.size_px // 4, self.size_px // 2
        return pictures[..., first : first + side, first : first + side]

    def _smaller(self, pictures: Tensor) -> Tensor:
        return functional.avg_pool2d(self._part(pictures).float(), self.answer_stride)

    def answer(self, batch: Batch) -> Tensor:
        """Gives what is to be drawn, [B, 3, s, s], 0 for the mean of usual pictures."""
        return (self._smaller(batch["frames"]) / 255 - _MEAN) / _DEVIATION

    def hole(self, batch: Batch) -> Tensor:
        """Gives the share of each drawn pixel that lies in the hole, [B, 1, s, s]."""
        return self._smaller(batch["asked"] == 1)

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the bottleneck and the drawing half; see `avssl.model.context`."""
        channels, _ = layer_sizes(widths, self.layer)
        side_px = self.size_px // 2 if self.mask == "centre" else self.size_px
        return ContextHead(
            channels=channels,
            places=self.places,
            bottleneck=self.bottleneck,
            hidden=self.hidden,
            width=self.head_width,
            side_px=side_px // self.answer_stride,
            judged=self.adversarial > 0,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Outputs:
        """Hides, encodes, draws.

        Returns:
            "drawn" [B, 3, s, s], 0 for the mean of usual pictures; "shown" [B, 3, S, S], what the
            encoder saw, 0–1; "mean" [B, 3, 1, 1], the colour of the hole's surroundings;
            "judged_true" and "judged_drawn" [B] where a judge is trained; out of training
            "interpolated" [B, 3, s, s], a filling without a network.
        """
        encoder: Any = encoders["vision"]
        hidden = batch["hidden"] > 0
        # What the encoder takes for the mean colour: nothing, once it has normalised the picture.
        empty = encoder.mean.to(torch.float32).expand(1, 3, 1, 1)
        shown = torch.where(hidden, empty, batch["frames"].float() / 255)
        maps = encoder.features(shown)[self.layer or list(encoder.layers)[-1]]
        drawn, mean = head(maps).float(), self._mean(batch)
        if self.from_mean:
            drawn = drawn + mean
        out = {"drawn": drawn, "shown": shown, "mean": mean}
        if head.judge is not None:
            out["judged_true"] = head.judge(self.answer(batch))
            out["judged_drawn"] = head.judge(reverse_gradient(drawn, self.adversarial))
        if not head.training:
            out["interpolated"] = self._interpolated(batch)
        return out

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Gives what is seen, float [B, 1, S, S] of 0 and 1, and the picture as drawings are."""
        return (batch["hidden"] == 0).float(), (batch["frames"].float() / 255 - _MEAN) / _DEVIATION

    @torch.no_grad()
    def _mean(self, batch: Batch) -> Tensor:
        """Gives the mean colour of what is seen near the hole, [B, 3, 1, 1]."""
        seen, frames = self._seen(batch)
        reach = 2 * max(1, round(self.size_px * _SURROUNDINGS_SHARE)) + 1
        near = functional.max_pool2d(1 - seen, reach, stride=1, padding=reach // 2) * seen
        total = (frames * near).sum(dim=(2, 3), keepdim=True)
        return total / near.sum(dim=(2, 3), keepdim=True).clamp_min(1)

    @torch.no_grad()
    def _interpolated(self, batch: Batch) -> Tensor:
        """Gives the smooth filling from the rim, [B, 3, s, s]."""
        seen, frames = self._seen(batch)
        share = functional.avg_pool2d(seen, self.answer_stride)
        colors = functional.avg_pool2d(frames * seen, self.answer_stride) / share.clamp_min(1e-6)
        whole = harmonic_fill(colors, share > 0)
        if self.mask == "centre":
            first, side = whole.shape[-1] // 4, whole.shape[-1] // 2
            whole = whole[..., first : first + side, first : first + side]
        return whole

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the weighted mean squared difference, in shares of usual pictures' variance.

        With `adversarial` α it counts 1 − α, and the judge's two cross-entropies (nats) are added;
        the drawing gets −α times their gradient.
        """
        weight = self.hole(batch) + self.overlap_weight * self._smaller(batch["asked"] == 2)
        squared = (out["drawn"] - self.answer(batch)).square().mean(dim=1, keepdim=True)
        each = (squared * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp_min(1e-6)
        loss = each.mean()
        if "judged_true" in out:
            wrong = functional.softplus(-out["judged_true"].float())
            fooled = functional.softplus(out["judged_drawn"].float())
            loss = (1 - self.adversarial) * loss + (wrong + fooled).mean()
        return loss

    @torch.no_grad()
    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the hole's squared error in shares of usual variance, sums over its pixels, [B].

        "_error" of the drawing, "_mean_error" of the mean colour of the surroundings, out of
        training "_interpolated_error". For the log: "hole_error", the mean.
        """
        answer, hole = self.answer(batch), self.hole(batch)

        def error(filled: Tensor) -> Tensor:
            return ((filled - answer).square().mean(dim=1, keepdim=True) * hole).sum(dim=(1, 2, 3))

        found = {"_error": error(out["drawn"])}
        found["hole_error"] = found["_error"] / hole.sum(dim=(1, 2, 3)).clamp_min(1e-6)
        found["_mean_error"] = error(out["mean"])
        if "interpolated" in out:
            found["_interpolated_error"] = error(out["interpolated"])
        return found

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of the hole's squared error round the mean of its surroundings.

        "explained" by the drawing; "interpolation_explained" by a smooth filling from the rim, no
        network: the row to compare with, which knows the very colours at the rim.
        """
        mean = max(float(columns["_mean_error"].sum()), 1e-12)
        return {
            "explained": 1 - float(columns["_error"].sum()) / mean,
            "interpolation_explained": 1 - float(columns["_interpolated_error"].sum()) / mean,
        }

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives 0: what each hole filled with the mean colour of its surroundings reaches.

        They are what is seen within an eighth of the picture's side of what is hidden.
        """
        return {"explained": 0.0, "interpolation_explained": 0.0}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives what is shown, the drawing in its place, the smooth filling, and the truth."""
        truth = batch["frames"].float() / 255
        hidden = (batch["hidden"] > 0).expand_as(truth)
        tiles = [out["shown"]]
        for name in ("drawn", "interpolated"):
            if name in out:
                filled = _MEAN + _DEVIATION * out[name].float()
                filled = functional.interpolate(
                    filled, scale_factor=float(self.answer_stride), mode="bilinear"
                )
                whole = out["shown"].clone()
                self._part(whole).copy_(filled)
                tiles.append(torch.where(hidden, whole, truth))
        row = torch.cat([*tiles, truth], dim=3).clamp(0, 1)
        times = max(1, -(-_SHOWN_PX // self.size_px))
        row = functional.interpolate(row, scale_factor=float(times), mode="nearest")
        return list((255 * row).round().byte().permute(0, 2, 3, 1).cpu().numpy())
