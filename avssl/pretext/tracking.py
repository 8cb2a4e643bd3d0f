"""Tracking: follow patches through time, with time itself as the teacher. Two modes.

"walks": Jabri, Owens, Efros, "Space-time correspondence as a contrastive random walk", NeurIPS 2020
(papers.md §6.3). Patches of a grid are nodes; one goes to a node of the next frame as likely as it
looks like it, and back again. A walk should end where it began:

    frame 0        1        2        3        2        1        0
    ┌─┬─┬─┐
    ├─┼─┼─┤   i ──────▶ ? ─────▶ ? ─────▶ ? ─────▶ ? ─────▶ ? ─────▶ i
    └─┴─┴─┘   N = grid² nodes; loss: NLL of the return, for 1, 2 … T - 1 steps there

"ranking": Wang and Gupta, "Unsupervised learning of visual representations using videos", ICCV 2015
(papers.md §6.1). A window with many moving points is followed; its first and last picture belong
together more than its first and other windows: hinge on 1 - cos, margin ½, K = 4 others, of other
groups of clips. KCF, their tracker, is not in our OpenCV; `avssl.transform.following` says what
stands in for it. Tracks that are lost, or of pictures in which too few or too many points move,
weigh nothing.

Nodes are patches that pass through the network one by one (the paper), each cut and coloured a
little differently in each frame; from one map of the whole picture (`nodes="map"`) they would be
had for less, but a network knows from the zeros around a map where it is: then the walk comes home
by place alone.

What the score does not say is whether things are followed: colour alone brings many walks home.
That is asked by label propagation (docs/propagation.md): a short run beats copying there by its
layer res4, not by res3.

Batch: walks: patches uint8 [B, T, N, 3, p, p] (map: frames uint8 [B, T, 3, S, S]); ranking: patches
uint8 [B, 2, 3, p, p], weight float32 [B], group int64 [B].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import walks
from avssl.model.gather import all_rows
from avssl.pretext.tracking_drawing import draw_ranking, draw_walks
from avssl.pretext.tracking_guards import ByMode
from avssl.records import Clip, Example, Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes
from avssl.transform import frames as pictures
from avssl.transform.following import follow
from avssl.transform.moving import MovingKnobs
from avssl.transform.pair_rows import number_of

MODES = ("walks", "ranking")
NODES = ("patches", "map")


class TrackingHead(nn.Module):
    """A linear embedding of nodes."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.embed = nn.Linear(width, embedding)

    def forward(self, nodes: Tensor) -> Tensor:
        """Takes [..., width] to [..., embedding]."""
        return self.embed(nodes)


@dataclass(frozen=True, kw_only=True)
class Tracking(MovingKnobs):
    """Follow patches through time: walks that come home, or ranking of tracked patches."""

    name: ClassVar[str] = "tracking"
    summary: ClassVar[str] = "follow patches to later frames and back to where they were"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = cast(Any, ByMode())

    mode: str = "walks"
    """"walks" (cycle-consistent random walks) or "ranking" (tracked patches against others)."""
    nodes: str = "patches"
    """"patches" (each through the network by itself) or "map" (cells of one map: quicker, but the
    network knows where a cell is). Of "walks"."""
    layer: str = ""
    """Layer whose mean over a patch is a node, or whose map is; "": the vector, or the last."""
    grid: int = 5
    """Patches along each side. Of "walks"."""
    patch_px: int = 32
    """Side of the patches that the network sees."""
    patch_jitter: float = 0.2
    """Each patch is cut anew in each frame, smaller by up to this share, anywhere in its place."""
    color_per_frame: bool = True
    """Each frame has its own colour change; off: one for all."""
    embedding: int = 128
    """Length of a node's vector."""
    temperature: float = 0.05
    """Cosines are divided by it before the softmax. Of "walks"."""
    edge_dropout: float = 0.1
    """Chance that an edge of the walk is cut, in training. Of "walks"."""
    margin: float = 0.5
    """Of the hinge. Of "ranking"."""
    num_negatives: int = 4
    """Patches of other samples for each track. Of "ranking"."""
    hard_share: float = 0.5
    """Share of those that are the hardest of the batch; the others are random. Of "ranking"."""
    moving_px: float = 0.5
    """A point moves if it goes farther than this from a frame to the next. Of "ranking"."""
    moving_share: tuple[float, float] = (0.25, 0.75)
    """Least and greatest share of moving points in pictures that count. Of "ranking"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r}: must be one of {', '.join(MODES)}")
        if self.nodes not in NODES:
            raise InputError(f"nodes {self.nodes!r}: must be one of {', '.join(NODES)}")
        if not 1 <= self.patch_px <= self.size_px:
            raise InputError(f"patch_px {self.patch_px}: must be from 1 to size_px {self.size_px}")
        if self.grid < 2 or self.embedding < 1 or self.num_negatives < 1:
            raise InputError("grid must be 2 or more, embedding and num_negatives 1 or more")
        for name in ("patch_jitter", "edge_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be from 0 to below 1")
        if not self.temperature > 0 or not 0 <= self.hard_share <= 1 or self.margin < 0:
            raise InputError("temperature must be above 0, hard_share in [0, 1], margin 0 or more")
        if not 0 <= self.moving_share[0] <= self.moving_share[1] <= 1:
            raise InputError(f"moving_share {self.moving_share}: must rise within [0, 1]")

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one run of row `index`; "node" and "other" are for the audit alone."""
        node, step = int(rng.integers(self.grid**2)), int(rng.integers(1, self.grid**2))
        label = int(rng.random() < 0.5)
        other = node if label else (node + step) % self.grid**2
        return self.moving(
            catalog,
            index,
            rng,
            target={
                "node": node,
                "other": other,
                "same": label,
                "grid": self.grid,
                "group": number_of(catalog.row(index).group_id),
            },
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the frames, then the patches: see the top."""
        frames = self.cropped(clips, plan, rng)
        if self.mode == "ranking":
            return self._tracked(frames, plan, rng)
        frames = self._colored(frames, rng)
        if self.nodes == "map":
            return Example(arrays={"frames": frames})
        step = (self.size_px - self.patch_px) / (self.grid - 1)
        corners = step * np.indices((self.grid, self.grid)).reshape(2, -1).T
        patches = [
            self._patches(frame, [(left, top) for top, left in corners], rng) for frame in frames
        ]
        return Example(arrays={"patches": np.stack(patches)})

    def _colored(self, frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        changes = [self.color_change(rng) for _ in frames]
        each = changes if self.color_per_frame else [changes[0]] * len(frames)
        return np.concatenate([one.apply(frames[k : k + 1]) for k, one in enumerate(each)])

    def _patches(
        self,
        frame: NDArray[np.uint8],
        corners: Sequence[tuple[float, float]],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Cuts patches with (left, top) corners, each a little differently; 3 values for each."""
        draws = rng.random((len(corners), 3))
        out = []
        for (left, top), draw in zip(corners, draws, strict=True):
            side = self.patch_px * (1 - self.patch_jitter * draw[0])
            room = self.patch_px - side
            box = (left + room * draw[1], top + room * draw[2], side)
            out.append(pictures.crop_resize(frame[None], box, size_px=self.patch_px)[0])
        return np.stack(out)

    def _tracked(self, frames: NDArray[np.uint8], plan: Plan, rng: np.random.Generator) -> Example:
        """Follows a window and gives its first and last picture."""
        grey = np.rint(frames.mean(axis=1, dtype=np.float32)).astype(np.uint8)
        found = follow(grey, patch_px=self.patch_px, moving_px=self.moving_px)
        least, most = self.moving_share
        counts = not found.lost and least <= found.moving_share <= most
        ends = self._colored(frames[[0, -1]], rng)
        both = [
            self._patches(frame, [corner], rng)
            for frame, corner in zip(ends, (found.first, found.last), strict=True)
        ]
        room = self.size_px - self.patch_px
        turn = (0.25 + 0.5 * rng.random(2)) * room  # elsewhere, as on a ring
        left, top = (at_px % max(room, 1) for at_px in np.array(found.last) + turn)
        other = self._patches(ends[1], [(float(left), float(top))], rng)[0]
        return Example(
            arrays={
                "patches": np.concatenate(both),
                "other": other,
                "weight": np.array(counts, dtype=np.float32),
                "group": np.array(plan.target["group"], dtype=np.int64),
            }
        )

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the embedding of nodes."""
        width = widths["vision"]
        if self.layer or (self.mode == "walks" and self.nodes == "map"):
            width = layer_sizes(widths, self.layer)[0]
        return TrackingHead(width, self.embedding)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"ends": [B, T - 1, N, N], "there": [B, N, N]} or {"cost": [B], "ranked": [B]}."""
        encoder = encoders["vision"]
        if self.mode == "ranking":
            patches = batch["patches"]
            nodes = head(self._vectors(encoder, patches.flatten(end_dim=1)))
            first, last = nodes.unflatten(0, patches.shape[:2]).unbind(dim=1)
            cost, ranked = walks.ranking(
                all_rows(first.contiguous()),
                all_rows(last.contiguous()),
                group=all_rows(batch["group"]),
                margin=self.margin,
                num_negatives=self.num_negatives,
                hard_share=self.hard_share,
            )
            return {"cost": cost, "ranked": ranked, "first": first, "last": last}
        if self.nodes == "map":
            frames = batch["frames"]
            found = self._map(encoder, frames.flatten(end_dim=1))
            cells = functional.adaptive_avg_pool2d(found, self.grid).flatten(2).transpose(1, 2)
            nodes = head(cells).unflatten(0, frames.shape[:2])
        else:
            patches = batch["patches"]
            vectors = self._vectors(encoder, patches.flatten(end_dim=2))
            nodes = head(vectors).unflatten(0, patches.shape[:3])
        dropout = self.edge_dropout if head.training else 0.0
        forward, backward = walks.transitions(nodes, temperature=self.temperature, dropout=dropout)
        there = forward[:, 0]
        for step in range(1, forward.shape[1]):
            there = there @ forward[:, step]
        return {"ends": walks.returns(forward, backward), "there": there.detach()}

    def _map(self, encoder: nn.Module, pictures: Tensor) -> Tensor:
        found = encoder.features(pictures)  # type: ignore[operator]
        return found[self.layer] if self.layer else list(found.values())[-1]

    def _vectors(self, encoder: nn.Module, patches: Tensor) -> Tensor:
        return self._map(encoder, patches).mean(dim=(2, 3)) if self.layer else encoder(patches)

    @property
    def compares(self) -> bool:
        """Whether the loss compares the samples of a batch with each other."""
        return self.mode == "ranking"

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean loss; tracks of weight 0 do not count."""
        if self.mode == "ranking":
            weight = all_rows(batch["weight"])
            return (out["cost"] * weight).sum() / weight.sum().clamp(min=1)
        return walks.return_loss(out["ends"]).mean()

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the share of nodes whose likeliest end is home; or of others that are farther."""
        if self.mode == "ranking":
            num = len(batch["weight"])
            return {"ranked": self._own(out["ranked"], num), "weight": batch["weight"]}
        end = out["ends"].detach()[:, -1].argmax(dim=2)
        home = torch.arange(end.shape[1], device=end.device)
        return {"returned": (end == home).float().mean(dim=1)}

    def _own(self, rows: Tensor, num: int) -> Tensor:
        """Gives this process's part of the rows of all."""
        first = torch.distributed.get_rank() * num if len(rows) > num else 0
        return rows[first : first + num]

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives the share of walks that come home, or of others ranked right; {} without tracks."""
        if self.mode == "walks":
            return {"returned": float(columns["returned"].mean())}
        kept = columns["weight"] > 0
        return {"ranked": float(columns["ranked"][kept].mean())} if kept.any() else {}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what walks anywhere, or an even guess, reach."""
        return {"returned": 1 / self.grid**2} if self.mode == "walks" else {"ranked": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Draws where nodes go and where they come back to, or what is taken for a track's end.

        Walks: first frame, last frame, first frame again; the end is green if it is home.
        """
        if self.mode == "ranking":
            return draw_ranking(batch["patches"], out["first"], out["last"])
        shown = batch["frames"] if self.nodes == "map" else batch["patches"]
        return draw_walks(shown, out["there"], out["ends"][:, -1], grid=self.grid)
