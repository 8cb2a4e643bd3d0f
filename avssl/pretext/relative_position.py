"""Relative position: on which side of this patch does that one lie?

Doersch, Gupta, Efros, ICCV 2015 (arXiv 1505.05192); constants: papers.md §5.1.

    0 1 2     the patch in the middle is shown first, one of its eight neighbours second; the label
    3 · 4     is the neighbour's place, row by row
    5 6 7

Two layouts. "pairs" is the paper's: the two patches lie anywhere in a larger picture, `gap_px`
apart, each moved by up to ± `jitter_px`. "cells" is the later 3 x 3 form: a cell has a side of
patch_px + gap_px, the patch lies anywhere in it, and the first is always that of the middle cell.

Worked example, "pairs", label 4 (right), patches of 96 px, gap 48, jitter 7: first at (160, 190)
(down, right), second 144 to the right at (160, 334); moved by (-3, +5) and (+7, 0) they are shown
from (157, 195) and (167, 334). The first ends at 291, the second begins at 334: no line that runs
over the border tells how far it goes on.

Where the first patch lies in the picture must not tell the answer, or seeing that it is at the left
edge says "right". Cells have it in the middle; of pairs it is drawn where each of the eight
neighbours would fit (`room_for_all`), which takes 3 patches, 2 gaps and the jitter: 398 px.

The picture is cut and scaled as a whole (`StillKnobs`), so both patches have one scale. How a
network could cheat, and what stops it, stands in `RelativePosition.shortcuts`.

Shapes: B pairs of patches, P x P px. Batch: frames uint8 [B, 2, 3, P, P] (first, second), label
int64 [B], 0 to 7.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.patches import standardised
from avssl.pretext.relative_position_guards import SHORTCUTS
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs
from avssl.transform import boards
from avssl.transform import patches as parts
from avssl.transform.patch_clues import NEIGHBOURS
from avssl.transform.stills import StillKnobs

LAYOUTS = ("pairs", "cells")
COLORS = ("drop", "project", "keep")
_CENTRE = 4
_SHOWN_PX = 64
# Of the patch's side: the paper goes down to 10 of 96 px (papers.md §5.1).
_LEAST_SHARE, _MOST_SHARE = 10 / 96, 95 / 96


@dataclass(frozen=True, kw_only=True)
class RelativePosition(StillKnobs):
    """Tell which of the eight neighbours of a patch another patch is."""

    name: ClassVar[str] = "relative-position"
    summary: ClassVar[str] = "which of its eight neighbours is this patch to that one?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    label_names: ClassVar[tuple[str, ...]] = (
        "above left", "above", "above right", "left", "right", "below left", "below", "below right",
    )  # fmt: skip
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    size_px: int = 120
    """Side of the picture that the patches are cut from."""
    layout: str = "cells"
    """"cells" (middle cell of 3 x 3 and a neighbour) or "pairs" (the paper's, anywhere)."""
    patch_px: int = 32
    """Side of a patch, as the network sees it."""
    gap_px: int = 8
    """Room between two patches; in "cells" on average, since each lies anywhere in its cell."""
    jitter_px: int = 2
    """Each patch is moved by up to ± this ("pairs"; "cells" move by the gap)."""
    room_for_all: bool = True
    """Pairs: the first patch lies where all eight neighbours fit. Off: to show the leak only."""
    color: str = "drop"
    """"drop": each patch keeps one channel, drawn at random, the others become noise; "project":
    green against magenta is taken out; "keep": nothing. All against lenses that bend colours."""
    drop_noise: float = 0.5
    """The noise: even, ± this share of the kept channel's deviation around its mean."""
    standardise: bool = True
    """Each patch is brought to one mean and deviation on the device."""
    coarse_probability: float = 0.0
    """Chance that a patch is shrunk and enlarged again, by 10/96 to 95/96 of its side."""
    both_directions: bool = True
    """Ask each pair the other way round too: second first, with the opposite place."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the network's training alone does."""
    embedding: int = 0
    """Width of a layer that each patch goes through by itself before the join; 0: none."""
    hidden: int = 256
    """Width of the layers after the join."""
    num_hidden: int = 1
    """How many such layers; 0: the answer directly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout not in LAYOUTS:
            raise InputError(f"layout {self.layout!r}: must be one of {', '.join(LAYOUTS)}")
        if self.color not in COLORS:
            raise InputError(f"color {self.color!r}: must be one of {', '.join(COLORS)}")
        if self.patch_px < 1 or self.gap_px < 0 or self.jitter_px < 0:
            raise InputError("patch_px must be 1 or more, gap_px and jitter_px 0 or more")
        if self.size_px < self.least_px():
            raise InputError(
                f"size_px {self.size_px}: the patches take {self.least_px()} px; use that or more, "
                "or smaller patch_px, gap_px, jitter_px"
            )
        if not 0 <= self.drop_noise <= 1:
            raise InputError(f"drop_noise {self.drop_noise}: must be from 0 to 1")
        if not 0 <= self.coarse_probability <= 1:
            raise InputError(f"coarse_probability {self.coarse_probability}: must be from 0 to 1")
        if self.hidden < 1 or self.num_hidden < 0 or self.embedding < 0:
            raise InputError("hidden must be 1 or more, num_hidden and embedding 0 or more")

    def least_px(self) -> int:
        """Gives the side of the smallest picture that the patches fit into."""
        if self.layout == "cells":
            return 3 * (self.patch_px + self.gap_px)
        num_gaps = 2 if self.room_for_all else 1
        return (num_gaps + 1) * self.patch_px + num_gaps * self.gap_px + 2 * self.jitter_px

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one frame of row `index`, and which neighbour is shown: each of eight alike.

        Of pairs also where the first patch lies, before it is moved: "first_px" (top, left).
        """
        place, said = (int(number) for number in rng.integers(len(NEIGHBOURS), size=2))
        target: dict[str, int | float | tuple[int | float, ...]] = {
            "place": place,
            "label": said if self.random_labels else place,
            "standardised": int(self.standardise),
        }
        if self.layout == "pairs":
            target["first_px"] = self.first_px(place, rng)
        return self.still(catalog, index, rng, target=target)

    def first_px(self, place: int, rng: np.random.Generator) -> tuple[int, int]:
        """Draws the upper left corner (top, left) of the first patch of a pair; two values."""
        pitch = self.patch_px + self.gap_px
        room = self.size_px - self.patch_px - 2 * self.jitter_px
        if self.room_for_all:
            before, after = np.full(2, pitch), np.full(2, pitch)
        else:  # a neighbour above or left starts before the first patch, one below or right after
            down_right = np.array(NEIGHBOURS[place])
            before, after = np.maximum(-down_right, 0) * pitch, np.maximum(down_right, 0) * pitch
        at = np.floor(rng.random(2) * (room - before - after + 1)).astype(int)
        top, left = (at + before + self.jitter_px).tolist()
        return top, left

    def corners(self, plan: Plan, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draws the upper left corners (top, left) of both patches, int64 [2, 2].

        Always the same number of values, whatever the plan's "place".
        """
        place = int(plan.target["place"])  # type: ignore[arg-type]
        pitch = self.patch_px + self.gap_px
        if self.layout == "cells":
            drawn = parts.draw_corners(
                size_px=3 * pitch, num_cells=3, patch_px=self.patch_px, rng=rng
            )
            # The numbers of the cells leave out the middle one.
            cells = [_CENTRE, place + (place >= _CENTRE)]
            return drawn[cells] + (self.size_px - 3 * pitch) // 2
        first = np.array(plan.target["first_px"])
        both = np.stack([first, first + np.array(NEIGHBOURS[place]) * pitch])
        return both + rng.integers(-self.jitter_px, self.jitter_px + 1, size=(2, 2))

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts both patches out of the picture and guards their colours: frames, label."""
        shown = self.picture(clips, plan, rng)
        corners = self.corners(plan, rng)
        patches = parts.cut(shown, corners, patch_px=self.patch_px)
        coarse = rng.random((2, 2))
        patches = np.stack([self._coarse(*pair) for pair in zip(patches, coarse, strict=True)])
        if self.color == "drop":
            patches = parts.keep_one_channel(patches, rng, noise=self.drop_noise)
        elif self.color == "project":
            patches = parts.project_color(patches)
        label = np.array(plan.target["label"], dtype=np.int64)
        return Example(arrays={"frames": patches, "label": label})

    def _coarse(self, patch: NDArray[np.uint8], draw: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Shrinks and enlarges a patch at times; how far is drawn evenly by its side [ours]."""
        if draw[0] >= self.coarse_probability:
            return patch
        share = _LEAST_SHARE + (_MOST_SHARE - _LEAST_SHARE) * draw[1]
        side_px = max(1, round(share * self.patch_px))
        full, planes = (self.patch_px, self.patch_px), []
        for plane in patch:
            small = cv2.resize(plane, (side_px, side_px), interpolation=cv2.INTER_AREA)
            planes.append(cv2.resize(small, full, interpolation=cv2.INTER_LINEAR))
        return np.stack(planes)

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds what follows the shared trunk: each by itself (`embedding`), joined, 8 logits."""
        width, alone = widths["vision"], nn.Identity()
        if self.embedding:
            alone = nn.Sequential(nn.Linear(width, self.embedding), nn.ReLU())
            width = self.embedding
        join, width = nn.Sequential(nn.Flatten()), 2 * width
        for _ in range(self.num_hidden):
            join.extend([nn.Linear(width, self.hidden), nn.ReLU()])
            width = self.hidden
        join.append(nn.Linear(width, len(NEIGHBOURS)))
        return nn.ModuleDict({"alone": alone, "join": join})

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Runs one trunk on all patches, then joins them.

        Returns:
            {"logits": [B, 8]}, and with `both_directions` "reversed", the logits of the pair asked
            the other way round, whose label is 7 - label.
        """
        assert isinstance(head, nn.ModuleDict)
        frames = batch["frames"].flatten(end_dim=1)
        shown = standardised(frames) if self.standardise else frames
        vectors = head["alone"](encoders["vision"](shown)).unflatten(0, (-1, 2))
        found = {"logits": head["join"](vectors)}
        if self.both_directions:
            found["reversed"] = head["join"](vectors.flip(1))
        return found

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy, of both directions where both are asked."""
        loss = functional.cross_entropy(out["logits"].float(), batch["label"])
        if "reversed" not in out:
            return loss
        opposite = len(NEIGHBOURS) - 1 - batch["label"]
        return (loss + functional.cross_entropy(out["reversed"].float(), opposite)) / 2

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives whether the place is right, and whether it is at most one off, each [B].

        Of the first direction alone, so that samples stay independent.
        """
        around = torch.tensor(_AROUND, device=batch["label"].device)
        answer = out["logits"].detach().argmax(dim=1)
        apart = (around[answer] - around[batch["label"]]).abs()
        near = torch.minimum(apart, 8 - apart) <= 1
        return {"accuracy": (answer == batch["label"]).float(), "within_one": near.float()}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the shares of places that are right, and right or next to the right one."""
        return {name: float(columns[name].mean()) for name in ("accuracy", "within_one")}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches: all eight places are alike likely."""
        return {"accuracy": 1 / 8, "within_one": 3 / 8}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws boards of 3 x 3: both patches in their places, the true one's frame white.

        The answer's place has a frame of green or red; the others show how sure the network is of
        them, in per cent.
        """
        sure = out["logits"].detach().double().softmax(dim=1).cpu().numpy()
        found = []
        for frames, label, shares in zip(
            batch["frames"].cpu().numpy(), batch["label"].tolist(), sure, strict=True
        ):
            cells: list[boards.Picture | None] = [_percent(share) for share in shares]
            answer = int(shares.argmax())
            second = boards.enlarged(frames[1], side_px=_SHOWN_PX)
            cells[label] = boards.framed(second, boards.TRUTH)
            cell = cells[answer]
            assert cell is not None
            color = boards.RIGHT if answer == label else boards.WRONG
            cells[answer] = boards.framed(cell, color, inset_px=3 if answer == label else 0)
            cells.insert(_CENTRE, boards.enlarged(frames[0], side_px=_SHOWN_PX))
            board = boards.board(cells, num_columns=3)
            words = f"is {self.label_names[label]}, said {self.label_names[answer]}"
            found.append(boards.headed(board, words, color=color))
        return found


def _steps_around(down: int, right: int) -> int:
    """Gives the number of eighths of a turn from the right, as one goes round the middle."""
    return round(math.atan2(down, right) / (math.pi / 4)) % 8


_AROUND = tuple(_steps_around(down, right) for down, right in NEIGHBOURS)


def _percent(share: float) -> boards.Picture:
    cell = np.full((_SHOWN_PX, _SHOWN_PX, 3), boards.EMPTY, np.uint8)
    at = (12, _SHOWN_PX // 2 + 5)
    cv2.putText(
        cell, f"{share:.0%}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (200,) * 3, 1, cv2.LINE_AA
    )
    return cell
