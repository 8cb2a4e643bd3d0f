"""Rotation: by how many quarters was this picture turned?

Gidaris, Singh, Komodakis, ICLR 2018 (arXiv 1803.07728); constants: papers.md §5.1.

    picture ┌────┐  0: as it is   1: a quarter, against the clock   2: a half   3: three quarters
            │ ↑  │        ↑                ←                           ↓             →
            └────┘

Worked example: rows [1 2], [3 4] become [2 4], [1 3] for 1, [4 3], [2 1] for 2, [3 1], [4 2] for 3.

All turned copies of a picture are one sample, and so in one batch. Turns are flips and transposes
of a square that was cut and scaled before: no value changes, so nothing but the picture itself
tells. Objects that have no upright, and cameras that look straight down, have no answer.

The share that is right is balanced by itself: each sample has every turn once.

How light rises across the picture tells a good deal of the synthetic world's clips (lamps and skies
are above): shallow trees on its two slopes reach an AUC of 0.73 over the four turns, with
`level_light` 0.50 (1800 samples). What else turns with a picture, combing of interlaced video
and pixels that are not square, is the business of `avssl prepare`; no guard here.

Shapes: B pictures, K turns (2 or 4), S x S px. Batch: frames uint8 [B, K, 3, S, S], in the order of
the turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
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

TURNS = {2: (0, 2), 4: (0, 1, 2, 3)}
"""Number of classes → quarters against the clock."""
UP = ((-1, 0), (0, -1), (1, 0), (0, 1))
"""(down, right) in which the picture's upper side lies after 0, 1, 2, 3 quarters."""
_SHOWN_PX = 128


def turned(picture: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """Turns uint8 [3, S, S] against the clock, by flips and transposes alone."""
    if quarters % 4 == 1:
        return picture.transpose(0, 2, 1)[:, ::-1]
    if quarters % 4 == 2:
        return picture[:, ::-1, ::-1]
    if quarters % 4 == 3:
        return picture.transpose(0, 2, 1)[:, :, ::-1]
    return picture


def turned_roughly(picture: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """Turns as careless code does, about the corner of four pixels: a black line comes in.

    To show the leak only.
    """
    side_px = picture.shape[1]
    matrix = cv2.getRotationMatrix2D((side_px / 2, side_px / 2), 90 * quarters, 1.0)
    size = (side_px, side_px)
    return np.stack([np.asarray(cv2.warpAffine(plane, matrix, size), "u1") for plane in picture])


def _asked(plan: Plan, example: Example) -> NDArray[np.uint8]:
    """The copy that the audit looks at; the plan draws which."""
    return example.arrays["frames"][int(plan.target["asked"])]  # type: ignore[call-overload]


def answer_asked(plan: Plan, example: Example) -> int:
    """The class of that copy."""
    return int(plan.target["asked"])  # type: ignore[call-overload]


def probe_bars(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Dark even bars at the four sides, as shares of the side; in all colours, as bars are."""
    return patch_clues.bars(_asked(plan, example).max(axis=0, keepdims=True))


def probe_outermost(plan: Plan, example: Example) -> NDArray[np.float64]:
    """Share of pixels black in the outermost line alone: left, top, right, bottom.

    What is black behind that line too is a dark scene, not a trace of turning.
    """
    black = _asked(plan, example).max(axis=0) == 0
    edges = ((black[:, 0], black[:, 1]), (black[0], black[1]),
             (black[:, -1], black[:, -2]), (black[-1], black[-2]))  # fmt: skip
    return np.array([float((line & ~behind).mean()) for line, behind in edges])


def probe_seams(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How sharp columns and rows are at each phase of a grid of 4 and of 8 px."""
    shown = _asked(plan, example)
    return np.concatenate([patch_clues.seams(shown, period_px=period) for period in (4, 8)])


def probe_light(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How much lighter the picture is at the bottom than at the top, and right than left."""
    return patch_clues.light(_asked(plan, example))[2:]


def probe_corners(plan: Plan, example: Example) -> NDArray[np.float64]:
    """How far each corner's colour is from the picture's, and how much it varies: [8]."""
    return patch_clues.corner_marks(_asked(plan, example))


SHORTCUTS = (
    Shortcut(
        name="letterbox",
        kind="bookkeeping",
        leak="Bars above and below turn with the picture: on which sides they lie is the answer.",
        guard="The crop keeps clear of the bars that the catalogue knows.",
        probe=probe_bars,
        off={"clear_of_borders": False},
        answer=answer_asked,
    ),
    Shortcut(
        name="traces of turning",
        kind="bookkeeping",
        leak="Turning by interpolation leaves lines and blur that the upright copy lacks.",
        guard="Flips and transposes alone, of a square that was cut and scaled before.",
        probe=probe_outermost,
        off={"exact_turns": False},
        answer=answer_asked,
    ),
    Shortcut(
        name="block phase",
        kind="content",
        leak="The codec's blocks start at the upper left corner, and turn with the picture.",
        guard="The square is drawn anywhere and scaled at random before it is turned.",
        probe=probe_seams,
        off={"crop_scale": (1.0, 1.0)},
        answer=answer_asked,
        cut_share=0.35,  # measured: 48 % (35 to 62), docs/audit.md
    ),
    Shortcut(
        name="light from above",
        kind="content",
        leak="Skies and lamps are above: the lighter side tells without a single object.",
        guard="None by default; `level_light` takes the slope of light out of every picture.",
        probe=probe_light,
        off={"level_light": False},
        closes={"level_light": True},
        answer=answer_asked,
        cut_share=0.75,  # measured: 89 % (76 to 100), docs/audit.md
    ),
    Shortcut(
        name="overlay",
        kind="content",
        leak="A clock or a logo has its corner: where it stands after turning is the answer.",
        guard="None by default; `margin` leaves the edges of every picture out.",
        probe=probe_corners,
        off={"margin": 0.0},
        closes={"margin": 0.2},
        answer=answer_asked,
        cut_share=0.1,  # measured: 23 % (14 to 33), docs/audit.md
    ),
)


@dataclass(frozen=True, kw_only=True)
class Rotation(StillKnobs):
    """Tell by how many quarters a picture was turned."""

    name: ClassVar[str] = "rotation"
    summary: ClassVar[str] = "by how many quarters was this picture turned?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    num_rotations: int = 4
    """4: every quarter; 2: upright or on its head."""
    level_light: bool = False
    """Take the slope of light out of every picture before it is turned."""
    exact_turns: bool = True
    """Off: turned with interpolation about a wrong centre. To show the leak only."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the network's training alone does."""
    hidden: int = 0
    """Width of a layer between the vector and the answer; 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_rotations not in TURNS:
            raise InputError(f"num_rotations {self.num_rotations}: must be 2 or 4")
        if self.hidden < 0:
            raise InputError(f"hidden {self.hidden}: must be 0 or more")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`; "asked" is the copy that the audit looks at."""
        order = rng.permutation(self.num_rotations)
        said = tuple(order.tolist() if self.random_labels else range(self.num_rotations))
        asked = int(rng.integers(self.num_rotations))
        return self.still(catalog, index, rng, target={"asked": asked, "labels": said})

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the picture, then turns it: frames, labels int64 [K]."""
        picture = self.picture(clips, plan, rng)
        if self.level_light:
            picture = levelled(picture)
        turn = turned if self.exact_turns else turned_roughly
        frames = np.stack([turn(picture, quarters) for quarters in TURNS[self.num_rotations]])
        labels = np.array(plan.target["labels"], dtype=np.int64)
        return Example(arrays={"frames": frames, "labels": labels})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the classifier: [B, width] → logits [B, K]."""
        width = widths["vision"]
        if not self.hidden:
            return nn.Linear(width, self.num_rotations)
        first = nn.Linear(width, self.hidden)
        return nn.Sequential(first, nn.ReLU(), nn.Linear(self.hidden, self.num_rotations))

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, K, K]}: copy, then class."""
        frames = batch["frames"]
        logits = head(encoders["vision"](frames.flatten(end_dim=1)))
        return {"logits": logits.unflatten(0, frames.shape[:2])}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy over all copies."""
        logits, labels = out["logits"].float().flatten(end_dim=1), batch["labels"].flatten()
        return functional.cross_entropy(logits, labels)

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the share of a picture's copies that is right, and whether all are, each [B].

        "upright": the share of its two half turns told apart, whatever the quarters' logits say.
        """
        logits, labels = out["logits"].detach().float(), batch["labels"]
        right = (logits.argmax(dim=2) == labels).float()
        half = TURNS[self.num_rotations].index(2)
        # Positive where the copy looks upright rather than on its head.
        lean = logits[:, (0, half), 0] - logits[:, (0, half), half]
        told = (lean > 0) == (labels[:, (0, half)] == 0)
        return {
            "accuracy": right.mean(dim=1),
            "all_right": right.prod(dim=1),
            "upright": told.float().mean(dim=1),
        }

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the shares of copies, of whole pictures, and of half turns that are right."""
        return {name: float(columns[name].mean()) for name in ("accuracy", "all_right", "upright")}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what answers without looking reach: drawn anew for each copy, all alike likely.

        A fixed answer has the same accuracy, and never a whole picture.
        """
        share = 1 / self.num_rotations
        return {"accuracy": share, "all_right": share**self.num_rotations, "upright": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws all copies side by side; an arrow points to what the network holds for the top.

        A thin white arrow is the truth; the answer's is green where it is right, else red.
        """
        turns = TURNS[self.num_rotations]
        shares = out["logits"].detach().double().softmax(dim=2).cpu().numpy()
        found = []
        for frames, sure in zip(batch["frames"].cpu().numpy(), shares, strict=True):
            tiles = []
            for number, frame in enumerate(frames):
                said = int(sure[number].argmax())
                color = boards.RIGHT if said == number else boards.WRONG
                picture = boards.enlarged(frame, side_px=_SHOWN_PX)
                picture = boards.arrow(picture, UP[turns[said]], color, width_px=4)
                picture = boards.arrow(picture, UP[turns[number]], boards.TRUTH, width_px=1)
                words = f"is {90 * turns[number]}, said {90 * turns[said]}"
                tiles.append(boards.headed(picture, words, color=color))
            found.append(boards.beside(tiles))
        return found


def levelled(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Takes the plane that fits a picture's grey best out of it, uint8 [3, S, S]; its mean stays.

    Plane and picture are on an even grid, so the two slopes are found one by one.
    """
    side_px = picture.shape[1]
    grey = picture.mean(axis=0, dtype=np.float64)
    at = np.linspace(-0.5, 0.5, side_px) if side_px > 1 else np.zeros(1)
    square = max(float(at @ at), 1e-9)
    down, right = (float(at @ grey.mean(axis=axis)) / square for axis in (1, 0))
    plane = down * at[:, None] + right * at[None, :]
    return np.clip(np.rint(picture - plane), 0, 255).astype(np.uint8)


RECIPES = {
    "small": Recipe(
        task=Rotation(),
        settings={
            "vision": "small-bn",
            "steps": 300,
            "batch_size": 32,
            "optim.name": "adamw",
            "optim.lr": 2e-3,
            "optim.weight_decay": 0.05,
            "optim.schedule": "cosine",
            "optim.warmup_steps": 50,
            "channels_last": True,
            "evaluate_every": 100,
        },
        about="Pictures of 64 px, four copies each, our small network; about 90 core-seconds. On "
        "validation clips of the synthetic world (one seed): accuracy 0.91 (blind 0.25), all four "
        "right 0.85 (blind 0.004); after 100 steps 0.73 and 0.43.",
    ),
    "paper": Recipe(
        task=Rotation(size_px=227, brightness=0.0, contrast=0.0, saturation=0.0),
        settings={
            "vision": "caffenet-bn",
            # papers.md §5.1: 50 epochs of batches of 192 (x 4 turns); of ImageNet's 1 281 167.
            "steps": 333_600,
            "batch_size": 192,
            "optim.name": "sgd",
            "optim.lr": 0.1,  # papers.md §5.1: SGD .1
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,  # papers.md §5.1: wd 5e-4
            "optim.schedule": "step",
            "optim.step_at": (100_080, 200_160, 300_240),  # papers.md §5.1: drops 15/30/45
            "optim.step_factor": 0.2,
        },
        about="The values of Gidaris and others 2018 for AlexNet. Ours: momentum, drops' factor, "
        "CaffeNet with BatchNorm for the authors' AlexNet, crops of `crop_scale`. For a GPU.",
    ),
}
"""Name → recipe."""
