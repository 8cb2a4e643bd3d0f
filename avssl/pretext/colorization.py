"""Colorization: the picture is shown in grey; which colours had it?

"Colorful Image Colorization" (Zhang, Isola, Efros, ECCV 2016; papers.md §5.1, §5.3). Whoever
colours grass green and skin pink knows where grass and skin are.

    frame ─ Lab ─┬─ L (three times, 0–1) → encoder → maps → head ─→ 313 classes of colour, h x w
                 └─ ab, mean of squares of 4 px ─ 5 nearest bins, Gaussian σ 5 ─→ soft target

Rare colours weigh more: w ∝ ((1 − λ) p̃ + λ / 313)⁻¹, λ ½, from the colours of the data set itself,
which `completed` counts before a run. Drawn is the annealed mean (T 0.38) of the answer.

The answer is not unique: a ball may be red or blue, and the mean of many answers is brown. `mode`
"latent" draws z and gives one of them (a conditional VAE, `avssl.model.color_heads`).

The loss is the weighted divergence (nats a place) of the answer from the target: the cross-entropy
less what even the target itself would cost. Scores are shares of what the best blind answer leaves:
the training clips' own distribution of colours, everywhere the same, or their mean colour.

The published networks read one layer; `laterals` reads the finer ones too [ours]: with our small
network, the last layer has 2 x 2 places.

Shapes: B pictures, S x S px, answers h x h with h = S / answer_stride. Batch: frames uint8
[B, 3, S, S] (in colour: `predict` takes it away), weight float32 [B], noise float32 [B, 5, Z].
"""

import dataclasses
import functools
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
from avssl.model import lab
from avssl.model.color_heads import BinHead, LatentHead, code_nats
from avssl.model.pyramid import used_layers
from avssl.pretext.colorization_guards import SHORTCUTS, colorfulness
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, widths_of
from avssl.transform.stills import StillKnobs

NUM_DRAWINGS = 4
"""Colourings from z that an evaluation makes of each picture ("latent")."""
_NUM_SHOWN = 3
_SHOWN_PX = 128
_STATISTICS_SEED = 313
_DIGITS = 8


@functools.lru_cache(maxsize=4)
def _bin_weights(prior: tuple[float, ...], mix: float, sigma: float) -> NDArray[np.float64]:
    if not prior:
        return np.ones(lab.NUM_BINS)
    return lab.rebalancing_weights(np.asarray(prior), mix=mix, sigma=sigma)


@dataclass(frozen=True, kw_only=True)
class Colorization(StillKnobs):
    """Colour a grey picture."""

    name: ClassVar[str] = "colorization"
    summary: ClassVar[str] = "which colours had this grey picture?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    saturation: float = 0.0
    """Factor from 1 ± this; 0, since the grey picture does not tell what was drawn."""
    mode: Literal["classes", "latent"] = "classes"
    """Classes of colour (the paper), or drawings from a latent code: several for one picture."""
    layer: str = ""
    """Coarsest layer of the encoder that is read, such as "conv5"; empty: the last."""
    laterals: bool = True
    """Read the finer layers too, down to `answer_stride`. Off: `layer` alone (the paper)."""
    answer_stride: int = 4
    """Side of the squares whose mean colour is asked for, px (the paper's quarter)."""
    head_width: int = 64
    """Channels of the head."""
    num_nearest: int = 5
    """Bins over which a true colour is spread."""
    sigma_ab: float = 5.0
    """σ of the Gaussians: of that spread, and of the smoothing of the prior."""
    rebalancing: float = 0.5
    """λ, the share of the even distribution in the prior; 1 weighs all colours alike."""
    temperature: float = 0.38
    """T of the annealed mean that is drawn."""
    least_color_levels: float = 2.0
    """Pictures whose channels differ by less (mean, levels of 255) count for nothing [ours]."""
    prior: tuple[float, ...] = ()
    """How often each of the 313 bins occurs in the training clips; filled in before a run."""
    num_prior_frames: int = 1024
    """Frames of the training clips that are decoded for `prior`, spread evenly over them."""
    latent: int = 16
    """Numbers in the code z ("latent")."""
    noise_ab: float = 10.0
    """Deviation from its drawing that "latent" expects of a colour, in ab."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("classes", "latent"):
            raise InputError(f"mode {self.mode!r}: must be classes or latent")
        for name in ("answer_stride", "head_width", "num_nearest", "num_prior_frames", "latent"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be 1 or more")
        for name in ("sigma_ab", "temperature", "noise_ab"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} {getattr(self, name)}: must be above 0")
        if not 0 < self.rebalancing <= 1 or self.num_nearest > lab.NUM_BINS:
            raise InputError("rebalancing must be in (0, 1], num_nearest at most 313")
        if self.size_px % self.answer_stride:
            raise InputError(f"size_px {self.size_px}: must be so many times answer_stride")
        if self.prior and (
            len(self.prior) != lab.NUM_BINS or min(self.prior) < 0 or not sum(self.prior) > 0
        ):
            raise InputError(f"prior: must be {lab.NUM_BINS} shares, 0 or more; leave it out")

    def completed(self, catalog: Catalog) -> "Colorization":
        """Counts the colours of the training clips where `prior` is not given.

        The frames are cut and coloured as in training, the same ones every time.

        Raises:
            InputError: none of the training clips has a frame in colour.
            MediaError: a file cannot be read.
        """
        if self.prior:
            return self
        from avssl.data import make_example
        from avssl.decode.fetch import Fetcher
        from avssl.sample.order import sample_rng

        train = catalog.select(split="train")
        items, fetcher = self.items(train), Fetcher(train.directory)
        num = min(self.num_prior_frames, len(items))
        counts = np.zeros(lab.NUM_BINS)
        for number in range(num):
            _, example = make_example(
                self,
                train,
                lambda: fetcher,
                index=int(items[number * len(items) // num]),
                rng=sample_rng(_STATISTICS_SEED, 0, number),
            )
            if example.arrays["weight"]:
                _, ab = self.light_and_ab(torch.from_numpy(example.arrays["frames"][None]))
                nearest, _ = lab.soft_bins(ab.movedim(1, -1), num_nearest=1)
                counts += np.bincount(nearest.flatten().numpy(), minlength=lab.NUM_BINS)
        fetcher.close()
        if not counts.any():
            raise InputError(
                f"{self.name}: {num} frames of the training clips are all grey; nothing to learn"
            )
        shares = np.round(counts / counts.sum(), _DIGITS)
        return dataclasses.replace(self, prior=tuple(shares.tolist()))

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, each as likely as any other."""
        return self.still(catalog, index, rng)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts and scales the picture: frames, weight, and in "latent" the noise behind z."""
        arrays: dict[str, NDArray[Any]] = {"frames": self.picture(clips, plan, rng)}
        found = colorfulness(plan, Example(arrays=arrays))
        arrays["weight"] = np.array(found >= self.least_color_levels, dtype=np.float32)
        if self.mode == "latent":  # the first is for training, the others are of N(0, 1)
            shape = (1 + NUM_DRAWINGS, self.latent)
            arrays["noise"] = rng.standard_normal(shape, dtype=np.float32)
        return Example(arrays=arrays)

    def light_and_ab(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Gives L [B, 1, S, S] and the ab asked for [B, 2, h, h] of frames uint8 [B, 3, S, S]."""
        colors = lab.rgb_to_lab(frames)
        return colors[:, :1], functional.avg_pool2d(colors[:, 1:], self.answer_stride)

    def bin_weights(self) -> NDArray[np.float64]:
        """Gives the weight of each bin, float64 [313]; even ones where no prior is known."""
        return _bin_weights(self.prior, self.rebalancing, self.sigma_ab)

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the layers on the encoder's maps; see `avssl.model.color_heads`."""
        channels = [widths[f"vision.{name}.channels"] for name in self._layers(widths)]
        if self.mode == "latent":
            return LatentHead(channels, width=self.head_width, latent=self.latent)
        return BinHead(channels, width=self.head_width)

    def _layers(self, widths: Mapping[str, int]) -> list[str]:
        finest = self.answer_stride
        return used_layers(widths, self.layer, finest_stride=finest, laterals=self.laterals)

    def predict(self, encoders: Mapping[str, nn.Module], head: Any, batch: Batch) -> Outputs:
        """Shows the encoder L alone.

        Returns:
            "light" [B, 1, S, S] and "ab" [B, 2, h, h], the truth. "classes": "logits"
            [B, 313, h, h] and the target's "bins" and "shares" [B, h, h, num_nearest]. "latent":
            "drawn" [B, 1, 2, h, h] from the true colours' code and its "nats" [B], and, out of
            training, "sampled" [B, 4, 2, h, h].
        """
        encoder: Any = encoders["vision"]
        light, ab = self.light_and_ab(batch["frames"])
        maps = encoder.features((light / 100).expand(-1, 3, -1, -1))
        size = (ab.shape[2], ab.shape[3])
        seen = [maps[name] for name in self._layers(widths_of({"vision": encoder}))]
        out = {"light": light, "ab": ab}
        if self.mode == "classes":
            kept = {"num_nearest": self.num_nearest, "sigma": self.sigma_ab}
            bins, shares = lab.soft_bins(ab.movedim(1, -1), **kept)
            return {**out, "logits": head(seen, size), "bins": bins, "shares": shares}
        mean, log_variance = head.code(functional.avg_pool2d(light, self.answer_stride), ab)
        noise = batch["noise"]
        code = mean + torch.exp(log_variance / 2) * noise[:, 0]
        base = head.pyramid(seen, size)
        out |= {"drawn": head.colors(base, code[:, None]), "nats": code_nats(mean, log_variance)}
        if not head.training:
            out["sampled"] = head.colors(base, noise[:, 1:])
        return out

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the weighted divergence a place, or the latent mode's bound, in nats a place."""
        weight = batch["weight"]
        if self.mode == "classes":
            divergence, place_weight = self._divergence(out)
            each = (divergence * place_weight).mean(dim=(1, 2))
        else:
            each = self._squared(out) / (2 * self.noise_ab**2) + self._code_nats(out)
        return (each * weight).mean()

    def _squared(self, out: Outputs) -> Tensor:
        """Squared distance in ab of the drawing from the truth, mean over places, [B]."""
        return (out["drawn"][:, 0] - out["ab"]).square().sum(dim=1).mean(dim=(1, 2))

    def _code_nats(self, out: Outputs) -> Tensor:
        return out["nats"] / out["ab"].shape[2] ** 2

    def _divergence(self, out: Outputs) -> tuple[Tensor, Tensor]:
        """Gives KL(target, answer) in nats and the weight of every place, [B, h, h]."""
        logs = functional.log_softmax(out["logits"].float(), dim=1).movedim(1, -1)
        found = torch.gather(logs, -1, out["bins"])
        shares = out["shares"]
        weights = torch.as_tensor(self.bin_weights(), dtype=torch.float32, device=logs.device)
        divergence = (shares * (torch.log(shares.clamp_min(1e-12)) - found)).sum(dim=-1)
        return divergence, weights[out["bins"][..., 0]]

    def blind(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gives the best answers that see nothing, from `prior`; even and grey without one.

        Returns:
            The distribution over the bins that costs least under the weights, float64 [313], and
            the mean colour, float64 [2].
        """
        if not self.prior:
            return np.full(lab.NUM_BINS, 1 / lab.NUM_BINS), np.zeros(2)
        prior = np.asarray(self.prior) / sum(self.prior)
        spread = lab.spread_of_bins(num_nearest=self.num_nearest, sigma=self.sigma_ab)
        seen = (prior * self.bin_weights()) @ spread
        # A colour that the sample missed would cost without end: one in a million is added.
        seen = seen / seen.sum() + 1e-6
        return seen / seen.sum(), prior @ lab.ab_bins()

    @torch.no_grad()
    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives sums over each picture's places, [B], from which `scores` makes the figures.

        0 of grey pictures. "_color_error", "_grey_error" and "_mean_error": squared distance in ab
        of the answer's mean colour (in "classes" with the weights taken out again, in "latent" of
        the mean of all drawings), of no colour, and of the training clips' mean colour. "classes"
        adds "_divergence" and "_blind_divergence", "latent" "_bound" and "_spread". For the log:
        "color_rmse", in ab.
        """
        ab, weight = out["ab"], batch["weight"]
        num_places = float(ab.shape[2] * ab.shape[3])
        constant, mean_color = self.blind()
        mean_ab = torch.as_tensor(mean_color, dtype=ab.dtype, device=ab.device)[:, None, None]
        found = {
            "_grey_error": ab.square().sum(dim=(1, 2, 3)),
            "_mean_error": (ab - mean_ab).square().sum(dim=(1, 2, 3)),
        }
        if self.mode == "classes":
            divergence, place_weight = self._divergence(out)
            found["_divergence"] = (divergence * place_weight).sum(dim=(1, 2))
            logs = torch.as_tensor(np.log(constant), dtype=ab.dtype, device=ab.device)
            shares = out["shares"]
            blind = (shares * (shares.clamp_min(1e-12).log() - logs[out["bins"]])).sum(dim=-1)
            found["_blind_divergence"] = (blind * place_weight).sum(dim=(1, 2))
            weights = torch.as_tensor(self.bin_weights(), dtype=ab.dtype, device=ab.device)
            even = out["logits"].float() - weights.log()[:, None, None]
            guess = lab.annealed_mean(even, temperature=1.0)
        else:
            sampled = out["sampled"] if "sampled" in out else out["drawn"]
            guess = sampled.mean(dim=1)
            paid = 2 * self.noise_ab**2 * out["nats"]
            found["_bound"] = self._squared(out) * num_places + paid
            apart = (sampled - guess[:, None]).square()
            # of few drawings: over one less than their number, or it comes out too small
            found["_spread"] = apart.sum(dim=(1, 2, 3, 4)) / max(1, sampled.shape[1] - 1)
        found["_color_error"] = (guess - ab).square().sum(dim=(1, 2, 3))
        found["color_rmse"] = (found["_color_error"] / num_places).sqrt()
        return {name: value * weight for name, value in found.items()}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives shares of what the best blind answer leaves; {} where all pictures are grey.

        "explained": of the weighted divergence ("classes"), or of the squared error with the price
        of the code paid ("latent": 2 σ² a nat). "color_explained": of the squared error in ab, by
        the mean colour, or the mean of four drawings. "diversity" ("latent"): deviation of drawings
        of one picture from their mean, as a share of that of the true colours.
        """
        total = {name: float(value.sum()) for name, value in columns.items()}
        blind = min(total["_grey_error"], total["_mean_error"])
        if not blind > 0:
            return {}
        color = {"color_explained": 1 - total["_color_error"] / blind}
        if self.mode == "latent":
            diversity = (max(total["_spread"], 0.0) / blind) ** 0.5
            return {"explained": 1 - total["_bound"] / blind, **color, "diversity": diversity}
        left = total["_divergence"] / max(total["_blind_divergence"], 1e-12)
        return {"explained": 1 - left, **color}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives 0: what the colours of the training clips reach, the same for every picture.

        For "color_explained" grey, or their mean colour, whichever is nearer.
        """
        names = ["explained", "color_explained"]
        return dict.fromkeys(names + ["diversity"] * (self.mode == "latent"), 0.0)

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives the grey picture, its colouring (three of them in "latent"), and the truth."""
        light = out["light"]
        if self.mode == "classes":
            answers = [lab.annealed_mean(out["logits"], temperature=self.temperature)]
        elif "sampled" in out:
            answers = list(out["sampled"].unbind(dim=1))[:_NUM_SHOWN]
        else:
            answers = [out["drawn"][:, 0]]
        size = (light.shape[2], light.shape[3])
        smooth = [functional.interpolate(ab, size=size, mode="bilinear") for ab in answers]
        grey = torch.zeros_like(light).expand(-1, 2, -1, -1)
        tiles = [lab.lab_to_rgb(torch.cat([light, ab], dim=1)) for ab in (grey, *smooth)]
        row = torch.cat([*tiles, batch["frames"].float() / 255], dim=3)
        times = max(1, -(-_SHOWN_PX // size[0]))
        row = functional.interpolate(row, scale_factor=float(times), mode="nearest")
        pictures = (255 * row).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return list(pictures)
