"""Nearest neighbours: exact search without a query's own group, votes, recall, pictures' hue.

    queries [Q, D] ─┐
                    ├→ similarity, a part of the gallery at a time → top k, merged → [Q, k]
    gallery [N, D] ─┘      own group: never found

Search is torch's matmul and topk; nothing is approximate. What is found is judged as the papers do
(papers.md §5.4, kNN): the k nearest vote for a class, and recall@k asks whether any of the k
nearest has the query's class. Hue is turned to see whether a network looks at more than colour.

Shapes: Q queries, N pictures in the gallery, D numbers each, k neighbours, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PART = 65_536
_TIE = 1e-6

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Neighbours, the nearest first."""

    indices: Counts
    """int64 [Q, k]: number in the gallery; -1 where the gallery has no more."""
    near: Floats
    """float32 [Q, k]: their similarity; -inf beside -1."""


@torch.inference_mode()
def search(
    queries: Floats,
    gallery: Floats,
    *,
    top: int,
    query_groups: Counts | None = None,
    gallery_groups: Counts | None = None,
    cosine: bool = True,
    part: int = PART,
    device: torch.device | None = None,
) -> Found:
    """Finds the `top` most similar of a gallery, exactly.

    Args:
        queries: float32 [Q, D].
        gallery: float32 [N, D]; a memory map does too, it is read once.
        top: k.
        query_groups: int64 [Q]; what has the same number in the gallery is never found.
        gallery_groups: int64 [N].
        cosine: similarity is the cosine; else less the squared distance.
        part: of the gallery at a time.
        device: None is the CPU.
    """
    device = device or torch.device("cpu")
    asked = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)).to(device)
    if cosine:
        asked = torch.nn.functional.normalize(asked, dim=1)
    own = None if query_groups is None else torch.from_numpy(query_groups).to(device)
    best = torch.full((len(asked), 0), -torch.inf, device=device)
    where = torch.zeros((len(asked), 0), dtype=torch.int64, device=device)
    for start in range(0, len(gallery), part):
        piece = np.ascontiguousarray(gallery[start : start + part], dtype=np.float32)
        shown = torch.from_numpy(piece).to(device)
        near = asked @ shown.T
        if cosine:
            near /= shown.norm(dim=1).clamp_min(1e-12)
        else:
            near = 2 * near - (shown**2).sum(dim=1) - (asked**2).sum(dim=1, keepdim=True)
        if own is not None and gallery_groups is not None:
            others = torch.from_numpy(gallery_groups[start : start + part]).to(device)
            near.masked_fill_(own[:, None] == others[None], -torch.inf)
        values, places = near.topk(min(top, near.shape[1]), dim=1)
        both = torch.cat([best, values], dim=1)
        found = torch.cat([where, places + start], dim=1)
        best, order = both.topk(min(top, both.shape[1]), dim=1)
        where = found.gather(1, order)
    where = where.masked_fill(best == -torch.inf, -1)
    return Found(indices=where.cpu().numpy(), near=best.cpu().numpy())


def votes(found: Found, classes: Counts, *, num_classes: int, num: int) -> Counts:
    """Gives the class that most of the `num` nearest have, int64 [Q]; of equals the nearer ones'.

    Args:
        found: neighbours.
        classes: int64 [N], of the gallery.
        num_classes: K.
        num: neighbours that vote.
    """
    known = found.indices[:, :num] >= 0
    theirs = np.where(known, classes[found.indices[:, :num]], 0)
    # a nearer neighbour counts for a trifle more, and all trifles together for less than a vote
    weight = 1 + _TIE * np.arange(known.shape[1], 0, -1)
    counts = np.zeros((len(theirs), num_classes))
    np.add.at(counts, (np.arange(len(theirs))[:, None], theirs), known * weight)
    return counts.argmax(axis=1)


def hits(found: Found, classes: Counts, own: Counts, *, top: int) -> NDArray[np.bool_]:
    """Gives whether one of the `top` nearest has the query's class, bool [Q] (for recall@top)."""
    near = found.indices[:, :top]
    return ((near >= 0) & (classes[near] == own[:, None])).any(axis=1)


def random_recall(
    classes: Counts,
    own: Counts,
    *,
    top: int,
    query_groups: Counts,
    gallery_groups: Counts,
) -> NDArray[np.float64]:
    """Gives each query's chance of a hit in a random order, in closed form, float64 [Q].

    1 − C(N − n, top) / C(N, top), n of the N that may be found having the query's class.
    """
    chances = np.zeros(len(own))
    for k in range(len(own)):
        allowed = gallery_groups != query_groups[k]
        num, right = int(allowed.sum()), int((classes[allowed] == own[k]).sum())
        misses = [(num - right - step) / (num - step) for step in range(min(top, num))]
        chances[k] = 1 - float(np.prod(np.maximum(misses, 0)))
    return chances


def overlap(one: Found, other: Found, *, top: int) -> NDArray[np.float64]:
    """Gives the share of the `top` nearest that both lists have, whatever their order, [Q]."""
    shares = []
    for mine, theirs in zip(one.indices[:, :top], other.indices[:, :top], strict=True):
        here, there = set(mine[mine >= 0].tolist()), set(theirs[theirs >= 0].tolist())
        shares.append(len(here & there) / max(1, len(here)))
    return np.array(shares)


def first_of_each(indices: Sequence[int], owners: Counts, *, num: int) -> list[int]:
    """Gives the nearest `num` of which no two have the same owner (clip), for figures."""
    taken: list[int] = []
    seen: set[int] = set()
    for index in indices:
        if index >= 0 and int(owners[index]) not in seen:
            seen.add(int(owners[index]))
            taken.append(int(index))
        if len(taken) == num:
            break
    return taken


def turn_hue(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turns the hue of a picture uint8 [3, H, W] on the wheel of HSV; greys stay as they are.

    Saturation and value stay, so shapes do; lightness changes a little with the hue.
    """
    import cv2

    whole = np.ascontiguousarray(picture.transpose(1, 2, 0)).astype(np.float32) / 255
    wheel: Any = cv2.cvtColor(whole, cv2.COLOR_RGB2HSV)
    wheel[..., 0] = (wheel[..., 0] + degrees) % 360
    turned: Any = cv2.cvtColor(wheel, cv2.COLOR_HSV2RGB)
    return np.rint(turned * 255).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A square part of a square picture, in shares of its side."""

    left: float
    top: float
    side: float

    def cut(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cuts it out of frames uint8 [T, 3, S, S]."""
        size = frames.shape[-1]
        side = max(1, round(self.side * size))
        left, top = (min(round(one * size), size - side) for one in (self.left, self.top))
        return frames[:, :, top : top + side, left : left + side]


def draw_windows(num: int, *, side: float, rng: np.random.Generator) -> list[Window]:
    """Draws `num` windows of one side, anywhere in the picture."""
    places = rng.random((num, 2)) * (1 - side)
    return [Window(left=float(x), top=float(y), side=side) for x, y in places]
