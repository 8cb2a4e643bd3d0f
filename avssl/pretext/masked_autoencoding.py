"""Masked autoencoding: a quarter of the patches is seen, the others are to be drawn.

He, Chen, Xie, Li, Dollár, Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022
(arXiv 2111.06377); the modern form of the context encoder.

    picture of 64 px = 8 x 8 patches of 8 px; 48 of them, drawn at random, are hidden

    ░░░▓░░░░     16 visible patches ▓ → encoder (ViT) → 16 tokens ┐
    ░▓░░░░▓░     48 times one mask token ░ ───────────────────────┴ + places → decoder → 48 patches
    ░░░░▓░░░ …   loss: mean squared error of the hidden patches alone

The encoder never meets a mask token, so it is as it will be used. With `normalise_patches` (the
paper's better target) each patch is asked for less its own mean, over its own deviation.

The figure "explained" is the share of the trivial answer's squared error that is taken away. That
answer fills every hidden patch with the mean colour of the visible ones, in the units that are
asked for: normalised patches still have a hue, since their mean is one over all three colours.

Measured on held-out clips of the world: 0.25 after the small recipe's 500 steps (three seeds), most
of it hue and coarse light; fine detail is not drawn by then. For joints from 50 labels the encoder
is worth what first weights are where it is trained along, 0.02 less where it is frozen; asked for
patches of another picture (`random_labels`) 0.03 and 0.17 less. With Xavier-uniform first weights
and three times the rate the features collapsed onto few directions (0.13 less, frozen): see
docs/pose_study.md.

Only plain vision transformers can be run on some patches: `small-vit`, `vit-base`, timm's.

Shapes: B pictures of S x S px, N = (S / p)² patches of p x p px, V visible, H = N − V hidden.
Batch: frames uint8 [B, 3, S, S], visible int64 [B, V], hidden int64 [B, H], both rising.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.gather import all_rows, own_rows
from avssl.model.vit import chosen, sine_cosine, to_patches, to_pictures
from avssl.pretext.masked_autoencoding_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, Recipe, layer_sizes
from avssl.transform.panels import enlarged, panel
from avssl.transform.stills import StillKnobs

_MEAN, _DEVIATION = 0.45, 0.25
"""About those of photographs: what the network need not learn where patches are not normalised."""
_LEAST_VARIANCE = 1e-6
"""Added to a patch's variance (the released code): patches of one colour stay finite."""
_DRAWN_PX = 128
_HIDDEN_GREY = 0.6


@dataclass(frozen=True, kw_only=True)
class MaskedAutoencoding(StillKnobs):
    """Draw the hidden patches of a picture from the visible ones."""

    name: ClassVar[str] = "masked-autoencoding"
    summary: ClassVar[str] = "draw the three quarters of a picture's patches that are hidden (ViT)"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    patch_px: int = 8
    """Side of the patches: that of the encoder's (small-vit 8, most others 16)."""
    mask_share: float = 0.75
    """Share of the patches that is hidden (the paper's best); the number is the same for all."""
    normalise_patches: bool = True
    """Ask for each patch less its own mean, over its own deviation; off: for its colours."""
    random_labels: bool = False
    """Ask for the patches of the next picture of the batch, of which nothing is seen: the control
    of what the network's training alone does."""
    decoder_depth: int = 1
    """Blocks of the half that draws and is thrown away."""
    decoder_width: int = 96
    """Width of its tokens."""
    decoder_heads: int = 3
    """Heads of its attention."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_px < 1 or self.size_px % self.patch_px:
            raise InputError(f"size_px {self.size_px}: must be a multiple of patch_px")
        if not 0 < self.num_visible < self.num_patches:
            raise InputError(
                f"mask_share {self.mask_share}: of {self.num_patches} patches some must be "
                "visible and some hidden"
            )
        if self.decoder_depth < 1 or self.decoder_heads < 1 or self.decoder_width < 4:
            raise InputError("decoder_depth and decoder_heads: 1 or more; decoder_width: 4 or more")
        if self.decoder_width % 4 or self.decoder_width % self.decoder_heads:
            raise InputError(
                f"decoder_width {self.decoder_width}: must be a multiple of 4 and of decoder_heads"
            )

    @property
    def num_patches(self) -> int:
        """N, of a picture."""
        return (self.size_px // self.patch_px) ** 2

    @property
    def num_visible(self) -> int:
        """V, rounded down as in the released code."""
        return math.floor(self.num_patches * (1 - self.mask_share) + 1e-9)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, each as likely as any other."""
        return self.still(
            catalog, index, rng, target={"normalise_patches": int(self.normalise_patches)}
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the picture, then draws which patches are visible."""
        shown = self.picture(clips, plan, rng)
        order = rng.permutation(self.num_patches)
        return Example(
            arrays={
                "frames": shown,
                "visible": np.sort(order[: self.num_visible]).astype(np.int64),
                "hidden": np.sort(order[self.num_visible :]).astype(np.int64),
            }
        )

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the decoder.

        Raises:
            InputError: the encoder is no vision transformer, or has patches of another size.
        """
        names = [key.split(".")[1] for key in widths if key.startswith("vision.")]
        width, stride = layer_sizes(widths, "")
        if not names[-1].startswith("block"):
            raise InputError(
                f"masked-autoencoding: an encoder with layers {', '.join(dict.fromkeys(names))} is "
                "no vision transformer; take --vision small-vit or timm:vit_tiny_patch16_224"
            )
        if stride != self.patch_px:
            raise InputError(
                f"patch_px {self.patch_px}: the encoder's patches are {stride} px; "
                f"give --task.patch-px {stride}"
            )
        return Decoder(
            encoder_width=width,
            width=self.decoder_width,
            depth=self.decoder_depth,
            heads=self.decoder_heads,
            side=self.size_px // self.patch_px,
            num_outputs=3 * self.patch_px**2,
        )

    def predict(self, encoders: Mapping[str, Any], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"patches": [B, H, 3 p²]}, in the units of `answer`.

        With `random_labels`, in training, also "asked" uint8 [B, 3, S, S]: each one's next picture
        in the batch of all processes. (Reports and evaluations take that of their own batch.)

        Raises:
            InputError: a batch of one has no next picture (`random_labels`).
        """
        asked: dict[str, Tensor] = {}
        if self.random_labels and head.training:
            every = all_rows(batch["frames"])
            if len(every) < 2:
                raise InputError(
                    "task.random_labels: a pass has 1 picture alone, whose next is itself; needs 2 "
                    "or more: --batch-size of 2 x --accumulate, or more"
                )
            asked["asked"] = own_rows(every.roll(-1, dims=0), len(batch["frames"]))
        tokens = encoders["vision"].tokens(batch["frames"], batch["visible"])
        return {"patches": head(tokens, batch["visible"], batch["hidden"]), **asked}

    def answer(self, batch: Batch, asked: Tensor | None = None) -> Tensor:
        """Gives the hidden patches as they are asked for, [B, H, 3 p²]; see `normalise_patches`.

        Args:
            batch: what is shown.
            asked: uint8 [B, 3, S, S], other pictures that they are of; see `predict`.
        """
        patches = self._hidden(batch, asked)
        mean, deviation = self._units(patches)
        return (patches - mean) / deviation

    def _hidden(self, batch: Batch, asked: Tensor | None = None) -> Tensor:
        if asked is None:
            frames = batch["frames"]
            asked = frames.roll(-1, dims=0) if self.random_labels else frames
        return chosen(to_patches(asked.float() / 255, patch_px=self.patch_px), batch["hidden"])

    def _units(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Gives what is taken off [.., 1] and what is divided by [.., 1]."""
        if not self.normalise_patches:
            even = torch.ones_like(patches[..., :1])
            return _MEAN * even, _DEVIATION * even
        mean = patches.mean(dim=-1, keepdim=True)
        variance = patches.var(dim=-1, keepdim=True, correction=0)
        return mean, (variance + _LEAST_VARIANCE).sqrt()

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean squared difference over the hidden patches."""
        return (out["patches"].float() - self.answer(batch, out.get("asked"))).square().mean()

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the squared difference, and that of the trivial answer (see the top), each [B]."""
        answer = self.answer(batch, out.get("asked"))
        error = (out["patches"].detach().float() - answer).square().mean(dim=(1, 2))
        return {"squared_error": error, "variance": self._trivial_error(batch, answer)}

    def _trivial_error(self, batch: Batch, answer: Tensor) -> Tensor:
        shown = to_patches(batch["frames"].float() / 255, patch_px=self.patch_px)
        visible = chosen(shown, batch["visible"])
        mean, deviation = self._units(visible)
        color = ((visible - mean) / deviation).unflatten(2, (-1, 3)).mean(dim=(1, 2))
        off = answer.unflatten(2, (-1, 3)) - color[:, None, None]
        return off.square().mean(dim=(1, 2, 3))

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of the trivial answer's squared error that is taken away."""
        error, spread = columns["squared_error"].mean(), columns["variance"].mean()
        return {"explained": float(1 - error / max(spread, 1e-12))}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives 0: that of patches of the visible ones' mean colour, by definition."""
        return {"explained": 0.0}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives what is shown, the answer among what is visible, and the truth, side by side.

        Normalised patches are drawn with the mean and deviation of the truth, as in the paper's
        figures: the network does not say those.
        """
        shown = to_patches(batch["frames"].float() / 255, patch_px=self.patch_px)
        mean, deviation = self._units(self._hidden(batch))
        where = batch["hidden"][..., None].expand(-1, -1, shown.shape[2])
        answers = out["patches"].detach().float() * deviation + mean
        kinds = (
            shown.scatter(1, where, torch.full_like(answers, _HIDDEN_GREY)),
            shown.scatter(1, where, answers),
            shown,
        )
        rows = [
            (255 * to_pictures(kind, patch_px=self.patch_px).clamp(0, 1)).round().byte().cpu()
            for kind in kinds
        ]
        words = ("shown", "answer", "truth")
        return [
            panel([enlarged(one.numpy(), height_px=_DRAWN_PX) for one in row], words)
            for row in zip(*rows, strict=True)
        ]


class Decoder(nn.Module):
    """Mask tokens where nothing was seen, fixed positions, a few blocks, one linear layer."""

    positions: Tensor

    def __init__(
        self, *, encoder_width: int, width: int, depth: int, heads: int, side: int, num_outputs: int
    ) -> None:
        from timm.models.vision_transformer import Block

        super().__init__()
        self.embed = nn.Linear(encoder_width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, num_outputs)
        self.register_buffer("positions", sine_cosine(side, side, width=width), persistent=False)
        for part in self.modules():
            if isinstance(part, nn.Linear):  # the paper, A.1
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, tokens: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Takes tokens [B, K + V, D] and patch numbers [B, V], [B, H] to patches [B, H, 3 p²]."""
        num_before = tokens.shape[1] - visible.shape[1]
        known = self.embed(tokens)
        seen = known[:, num_before:] + self.positions[visible]
        # The sum takes the type that automatic mixed precision gave the tokens.
        asked = self.mask_token.to(known.dtype) + self.positions[hidden].to(known.dtype)
        # The order of tokens means nothing to attention: no need to sort them by place.
        joined = self.blocks(torch.cat([known[:, :num_before], seen.to(known.dtype), asked], dim=1))
        return self.out(self.norm(joined[:, -hidden.shape[1] :]))


RECIPES = {
    "small": Recipe(
        task=MaskedAutoencoding(),
        settings={
            "vision": "small-vit",
            "steps": 500,
            "batch_size": 32,
            "optim.name": "adamw",
            "optim.lr": 5e-4,
            "optim.betas": (0.9, 0.95),
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "evaluate_every": 100,
        },
        about="Pictures of 64 px in patches of 8, our small ViT. Explained 0.25 on held-out clips "
        "of the synthetic world (three seeds).",
    ),
    "paper": Recipe(
        # All of arXiv 2111.06377 (papers.md has no row for it): Table 1 for the decoder, A.1 and
        # Table 8 for the rest. Its encoder of Table 1 is ViT-Large; this is its ViT-Base.
        task=MaskedAutoencoding(
            size_px=224,
            patch_px=16,
            mask_share=0.75,
            normalise_patches=True,
            decoder_depth=8,
            decoder_width=512,
            decoder_heads=16,
            crop_scale=(0.447, 1.0),  # areas of 0.2 to 1; the paper's crops vary in shape too
            flip=True,
            brightness=0.0,  # "no color jittering"
            contrast=0.0,
            saturation=0.0,
        ),
        settings={
            "vision": "vit-base",
            "steps": 250_228,  # 800 epochs of ImageNet's 1 281 167 pictures at 4096
            "batch_size": 4096,
            "optim.name": "adamw",
            "optim.lr": 2.4e-3,  # 1.5e-4 x batch / 256
            "optim.betas": (0.9, 0.95),
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 12_511,  # 40 epochs
            "precision": "bf16",
        },
        about="Masked Autoencoders' ViT-Base, 800 epochs of ImageNet in steps. Made for GPUs; "
        "fewer than 4096 pictures a step need a rate smaller in proportion.",
    ),
}
"""Name → recipe."""
