"""Jigsaw: nine tiles of a picture are shuffled; which of N orders is it?

Noroozi, Favaro, ECCV 2016 (arXiv 1603.09246); constants: papers.md §5.1, permutations §5.2.

    0 1 2      permutation (4, 2, 0, 8, …): tile 4 is shown first, then 2, then 0 …
    3 4 5  →   the label is the permutation's number among N of 9!, chosen far apart
    6 7 8      (`avssl.sample.permutations`)

Each tile lies anywhere in its cell of patch_px + gap_px, so none begins where its neighbour ends.
The trunk sees each tile by itself; their vectors meet in the head alone, in the order shown.

The more permutations there are, the nearer some lie to each other: with 10 every two differ in 8 or
9 places, with 1000 some in 5 only, and the question becomes one of details.

Worked example, cells of 85 px, tiles of 64 (the paper's): cell 5 covers 85 to 169 down and 170 to
254 to the right; its tile starts at one of 22 places along each, 85 to 106 and 170 to 191.

Shapes: B puzzles, K = 9 tiles of P x P px. Batch: frames uint8 [B, 9, 3, P, P] in the order shown,
label int64 [B], 0 to N - 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.patches import standardised
from avssl.pretext.jigsaw_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.sample.permutations import far_apart
from avssl.task import Batch, Outputs
from avssl.transform import boards
from avssl.transform.patches import cut_tiles
from avssl.transform.stills import StillKnobs

_SHOWN_PX = 40


@dataclass(frozen=True, kw_only=True)
class Jigsaw(StillKnobs):
    """Tell in which of N orders the tiles of a picture are shown."""

    name: ClassVar[str] = "jigsaw"
    summary: ClassVar[str] = "in which order are the nine tiles of this picture shown?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    size_px: int = 96
    """Side of the picture that the tiles are cut from; what the cells leave over is not shown."""
    grey_probability: float = 0.3
    """Chance that the picture loses its colour (the paper's 30 %)."""
    num_permutations: int = 10
    """How many orders there are to choose from (the paper: 10, 35, 100, 1000)."""
    num_cells: int = 3
    """Cells along each side, 2 or 3."""
    patch_px: int = 26
    """Side of a tile, as the network sees it."""
    gap_px: int = 6
    """Room in a cell along each axis: the mean distance of two tiles."""
    channel_jitter_px: int = 1
    """Each colour of each tile is moved by up to ± this, against lenses that bend colours."""
    standardise: bool = True
    """Each tile is brought to one mean and deviation on the device."""
    standardise_colors: bool = False
    """Each colour of a tile by itself: what hue it has in the mean goes too (blue is above)."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the network's training alone does."""
    embedding: int = 64
    """Width of a layer that each tile goes through by itself before the join; 0: none."""
    hidden: int = 256
    """Width of the layer after the join."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_cells not in (2, 3):
            raise InputError(f"num_cells {self.num_cells}: must be 2 or 3")
        most = {2: 24, 3: 362_880}[self.num_cells]
        if not 2 <= self.num_permutations <= most:
            raise InputError(f"num_permutations {self.num_permutations}: must be from 2 to {most}")
        if self.patch_px < 1 or self.gap_px < 0 or self.channel_jitter_px < 0:
            raise InputError("patch_px must be 1 or more, gap_px and channel_jitter_px 0 or more")
        if self.size_px < self.used_px():
            raise InputError(
                f"size_px {self.size_px}: the cells take {self.used_px()} px; use that or more, or "
                "smaller patch_px and gap_px"
            )
        if self.hidden < 1 or self.embedding < 0:
            raise InputError("hidden must be 1 or more, embedding 0 or more")

    def used_px(self) -> int:
        """Gives the side of the part of the picture that the cells take."""
        return self.num_cells * (self.patch_px + self.gap_px)

    def permutations(self) -> NDArray[np.uint8]:
        """Gives the orders to choose from, uint8 [N, K]: tiles in the order they are shown."""
        return far_apart(self.num_permutations, num_tiles=self.num_cells**2)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, and the order: each of N alike likely."""
        order, said = (int(number) for number in rng.integers(self.num_permutations, size=2))
        target = {
            "label": said if self.random_labels else order,
            "permutation": tuple(self.permutations()[order].tolist()),
            "standardised": int(self.standardise),
        }
        return self.still(catalog, index, rng, target=target)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the tiles and puts them in the plan's order: frames, label."""
        picture = self.picture(clips, plan, rng)
        over = (self.size_px - self.used_px()) // 2
        inner = slice(over, over + self.used_px())
        tiles = cut_tiles(
            np.ascontiguousarray(picture[:, inner, inner]),
            num_cells=self.num_cells,
            patch_px=self.patch_px,
            rng=rng,
            channel_jitter_px=self.channel_jitter_px,
        )
        order = plan.target["permutation"]
        assert isinstance(order, tuple)
        label = np.array(plan.target["label"], dtype=np.int64)
        return Example(arrays={"frames": tiles[np.array(order)], "label": label})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds what follows the shared trunk: each tile by itself, joined, N logits."""
        width, alone = widths["vision"], nn.Identity()
        if self.embedding:
            alone = nn.Sequential(nn.Linear(width, self.embedding), nn.ReLU())
            width = self.embedding
        join = nn.Sequential(
            nn.Flatten(),
            nn.Linear(self.num_cells**2 * width, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, self.num_permutations),
        )
        return nn.ModuleDict({"alone": alone, "join": join})

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Runs one trunk on all tiles, then joins them: {"logits": [B, N]}."""
        assert isinstance(head, nn.ModuleDict)
        frames = batch["frames"]
        tiles = frames.flatten(end_dim=1)
        if self.standardise:
            tiles = standardised(tiles, each_color=self.standardise_colors)
        vectors = encoders["vision"](tiles)
        return {"logits": head["join"](head["alone"](vectors).unflatten(0, frames.shape[:2]))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy."""
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives whether the order is right, and the share of tiles that it puts right, each [B]."""
        label, answer = batch["label"], out["logits"].detach().argmax(dim=1)
        orders = torch.tensor(self.permutations(), device=label.device)
        placed = (orders[answer] == orders[label]).float().mean(dim=1)
        return {"accuracy": (answer == label).float(), "tiles_right": placed}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the shares of orders and of tiles that are right."""
        return {name: float(columns[name].mean()) for name in ("accuracy", "tiles_right")}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what the best fixed answer reaches; all orders are alike likely.

        Of the tiles, that order of the set which agrees with the others in most places.
        """
        orders = self.permutations()
        num, num_tiles = orders.shape
        agree = np.zeros(num)
        for place in orders.T:
            agree += np.bincount(place, minlength=num_tiles)[place]
        return {"accuracy": 1 / num, "tiles_right": float(agree.max() / (num * num_tiles))}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws the tiles as shown, as the answer puts them (red: wrong), and as they were."""
        orders = self.permutations()
        answers = out["logits"].detach().argmax(dim=1).tolist()
        labels = batch["label"].tolist()
        found = []
        for frames, label, answer in zip(
            batch["frames"].cpu().numpy(), labels, answers, strict=True
        ):
            tiles = [boards.enlarged(tile, side_px=_SHOWN_PX) for tile in frames]
            put: list[boards.Picture | None] = [None] * len(tiles)
            truth: list[boards.Picture | None] = [None] * len(tiles)
            for tile, said, true in zip(tiles, orders[answer], orders[label], strict=True):
                color = boards.RIGHT if said == true else boards.WRONG
                put[int(said)] = boards.framed(tile, color, width_px=2)
                truth[int(true)] = tile
            color = boards.RIGHT if answer == label else boards.WRONG
            columns = (("shown", tiles), (f"said {answer}", put), (f"is {label}", truth))
            found.append(
                boards.beside(
                    [
                        boards.headed(
                            boards.board(cells, num_columns=self.num_cells),
                            words,
                            color=color if cells is put else boards.TRUTH,
                        )
                        for words, cells in columns
                    ]
                )
            )
        return found
