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
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, Recipe
from avssl.transform import boards, patch_clues
from avssl.transform.stills import StillKnobs

_SHOWN_PX = 128
_MEAN, _DEVIATION = 0.45, 0.25
"""About those of photographs (ImageNet's): what the network need not learn first."""


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides, as shares of the side; what lies between is not looked at.

    A dark scene that ends as sharply as a bar looks like one: of films by night the guard may be
    blamed for what they show.
    """
    return patch_clues.letterbox(example.arrays["frames"])


def even_share(plan: Plan, example: Example) -> float:
    """Gives the share of the picture's variance that means of rows and of columns explain.

    What is drawn for nothing: a bar is a row, or a column, of one colour.
    """
    shown = example.arrays["frames"].astype(np.float64)
    rest = shown - shown.mean(axis=(1, 2), keepdims=True)
    drawn = rest.mean(axis=2, keepdims=True) + rest.mean(axis=1, keepdims=True)
    return float(1 - np.square(rest - drawn).mean() / max(np.square(rest).mean(), 1e-9))


@dataclass(frozen=True, kw_only=True)
class Reconstruction(StillKnobs):
    """Draw the picture again from a few numbers."""

    name: ClassVar[str] = "reconstruction"
    summary: ClassVar[str] = "draw the picture again from the encoder's vector (an autoencoder)"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (
        Shortcut(
            name="letterbox",
            kind="bookkeeping",
            leak="Black bars of a letterbox are drawn for nothing and raise every figure.",
            guard="The crop keeps clear of the bars that the catalogue knows.",
            probe=probe_bars,
            off={"clear_of_borders": False},
            answer=even_share,
        ),
    )

    answer_px: int = 32
    """Side of what it draws."""
    hidden: int = 512
    """Width of the drawing half's hidden layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer_px < 1 or self.hidden < 1:
            raise InputError("answer_px and hidden must be 1 or more")
        if self.answer_px > self.size_px:
            raise InputError(f"answer_px {self.answer_px}: above size_px {self.size_px}")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, each as likely as any other."""
        return self.still(catalog, index, rng)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the picture."""
        return Example(arrays={"frames": self.picture(clips, plan, rng)})

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

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws what is shown, what the network makes of it, and what was asked for."""
        answer = self.answer(batch).cpu().numpy()
        made = out["picture"].detach().float().clamp(0, 1).cpu().numpy()
        found = []
        for shown, own, asked in zip(batch["frames"].cpu().numpy(), made, answer, strict=True):
            parts = {
                "shown": shown,
                "drawn again": np.rint(255 * own).astype(np.uint8),
                "asked for": np.rint(255 * asked).astype(np.uint8),
            }
            found.append(
                boards.beside(
                    [
                        boards.headed(boards.enlarged(part, side_px=_SHOWN_PX), words)
                        for words, part in parts.items()
                    ]
                )
            )
        return found


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
