"""Reconstruction: draw the picture again from the encoder's vector.

The plainest task there is, an autoencoder (Rumelhart, Hinton, Williams, 1986): it needs neither
order nor sound, and keeps what takes up room in a picture, not what matters. A row to put beside
the others, in `docs/pose_study.md`.

The answer is what the network sees, smaller.

Shapes: B pictures, S x S px, answers s x s px. Batch: frames uint8 [B, 3, S, S].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.sample.clock import screen_times
from avssl.task import Batch, Outputs, Recipe
from avssl.transform import frames as pictures

_MEAN, _DEVIATION = 0.45, 0.25
"""About those of photographs (ImageNet's): what the network need not learn first."""


def probe_edges(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much each outermost row and column varies: left, top, right, bottom, in levels."""
    shown = example.arrays["frames"].astype(np.float64)
    edges = (shown[:, :, 0], shown[:, 0], shown[:, :, -1], shown[:, -1])
    return np.array([edge.std(axis=1).mean() for edge in edges])


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Draw the picture again from a few numbers."""

    name: ClassVar[str] = "reconstruction"
    summary: ClassVar[str] = "draw the picture again from the encoder's vector (an autoencoder)"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (
        Shortcut(
            name="still bars",
            kind="content",
            leak="Black bars of a letterbox are drawn for nothing and raise every figure.",
            guard="The crop keeps clear of the bars that the catalogue knows.",
            probe=probe_edges,
            off={"clear_of_borders": False},
        ),
    )

    size_px: int = 64
    """Side of what the network sees."""
    answer_px: int = 32
    """Side of what it draws."""
    hidden: int = 512
    """Width of the drawing half's hidden layer."""
    spacing_s: float = 0.5
    """One sample for every so many seconds of a clip."""
    crop_scale: tuple[float, float] = (0.6, 1.0)
    """Side of the crop, as a share of the picture's short side."""
    clear_of_borders: bool = True
    """Whether bars known to be still are kept out of the crop."""
    flip: bool = True
    """Mirror with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise InputError(f"crop_scale {self.crop_scale}: must be two shares, low <= high <= 1")
        if self.answer_px < 1 or self.hidden < 1:
            raise InputError("answer_px and hidden must be 1 or more")
        if self.answer_px > self.size_px:
            raise InputError(f"answer_px {self.answer_px}: above size_px {self.size_px}")
        if self.spacing_s <= 0:
            raise InputError(f"spacing_s {self.spacing_s}: must be above 0")

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives every row with frames, once for every `spacing_s` of it."""
        rows = []
        for index in range(len(catalog)):
            row = catalog.row(index)
            if row.num_frames:
                rows += [index] * max(1, round(row.duration_s / self.spacing_s))
        if not rows:
            raise InputError(f"reconstruction: none of {len(catalog)} clips has a frame")
        return np.array(rows, dtype=np.int64)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, each as likely as any other."""
        row = catalog.row(index)
        times_s = screen_times(row)
        at = int(rng.integers(len(times_s)))
        return Plan(
            spans=(FrameSpan(row=index, times_s=(float(times_s[at]),)),),
            target={"borders_px": tuple(row.borders_px) if self.clear_of_borders else (0,) * 4},
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the picture."""
        found = clips[0].frames
        assert found is not None
        borders_px = plan.target["borders_px"]
        assert isinstance(borders_px, tuple)
        box = pictures.draw_box(
            height_px=found.shape[2],
            width_px=found.shape[3],
            scale=self.crop_scale,
            rng=rng,
            borders_px=borders_px,
        )
        flip = bool(rng.random() < 0.5) and self.flip
        color = pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
        shown = pictures.crop_resize(found[:1], box, size_px=self.size_px, flip=flip)
        return Example(arrays={"frames": color.apply(shown)[0]})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the drawing half: one hidden layer, then all places at once.

        Transposed convolutions from 4 x 4 places were tried first: after 80 steps on one batch of
        twelve pictures 66 % of the squared error was left, with this head 9 %.
        """
        return nn.Sequential(
            nn.Linear(widths["vision"], self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, 3 * self.answer_px**2),
            nn.Unflatten(1, (3, self.answer_px, self.answer_px)),
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"picture": [B, 3, s, s]}, 0 to 1 where it is right."""
        return {"picture": _MEAN + _DEVIATION * head(encoders["vision"](batch["frames"]))}

    def answer(self, batch: Batch) -> Tensor:
        """Gives the picture that is asked for, [B, 3, s, s], 0 to 1: means over areas."""
        shown = batch["frames"].float() / 255
        return functional.interpolate(shown, size=(self.answer_px, self.answer_px), mode="area")

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean squared difference, in shares of usual pictures' variance."""
        return functional.mse_loss(out["picture"].float(), self.answer(batch)) / _DEVIATION**2

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the squared difference, and the picture's own variance round its mean colour."""
        answer = self.answer(batch)
        error = (out["picture"].detach().float() - answer).square().mean(dim=(1, 2, 3))
        spread = (answer - answer.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(1, 2, 3))
        return {"squared_error": error, "variance": spread}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of the variance within pictures that is drawn."""
        error, spread = columns["squared_error"].mean(), columns["variance"].mean()
        return {
            "explained": float(1 - error / max(spread, 1e-12)),
        }

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what each picture filled with its own mean colour reaches."""
        return {"explained": 0.0}


RECIPES = {
    "small": Recipe(
        task=Reconstruction(),
        settings={
            "vision": "small",
            "steps": 400,
            "batch_size": 64,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Pictures of 64 px, our small network.",
    ),
    "paper": Recipe(
        task=Reconstruction(size_px=227, answer_px=64, hidden=1024),
        settings={
            "vision": "caffenet-bn",
            "steps": 100_000,
            "batch_size": 128,
            "optim.name": "adamw",
            "optim.lr": 1e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 1000,
        },
        about="The network, size and number of steps of Shuffle and Learn's paper recipe, so that "
        "the two can be compared; no paper gives these settings. Made for a GPU.",
    ),
}
"""Name → recipe."""
