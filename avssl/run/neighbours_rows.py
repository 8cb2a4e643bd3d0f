"""Rows of `avssl eval neighbours` (ways of looking at pictures), and the queries and gallery."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.downstream.features import NUM_FEATURES, Pool, checked_layer, layer_vectors
from avssl.downstream.neighbours import Found, search
from avssl.downstream.probe_truth import ClassTruth, check_kind, class_truth
from avssl.errors import InputError
from avssl.progress import progress_bar
from avssl.run.probe_samples import (
    BATCH,
    NETWORK,
    Network,
    Samples,
    read_pictures,
    resized,
    some_of,
)

PIXELS, COLOR = "trivial: pixels", "trivial: mean colour"
KEPT = 50
"""Neighbours that are searched for: enough for votes, and for pictures of one frame a clip."""
_THUMB_PX = 16
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Looker:
    """One row's way of turning pictures into vectors."""

    embed: Callable[[Sequence[Any]], Floats]
    """Squares uint8 [T, 3, S, S] → float32 [N, D]."""
    cosine: bool = True
    layer: str = ""


def network_looker(network: Network, layer: str, *, pool: Pool, whole: bool) -> Looker:
    """Gives an encoder's layer as a way of looking.

    Args:
        network: the encoder and the size of its pictures.
        layer: of it.
        pool: how maps are brought to their grid.
        whole: mean (or maximum) over the whole picture instead of the grid.
    """
    num = 1 if whole else NUM_FEATURES

    def embed(shown: Sequence[Any]) -> Floats:
        parts = []
        for start in range(0, len(shown), BATCH):
            batch = network.batch(shown[start : start + BATCH])
            found = layer_vectors(
                network.encoder, batch, pool=pool, layers=[layer], num_features=num
            )
            parts.append(found[layer])
        return np.concatenate(parts)

    return Looker(embed=embed, layer=layer)


def _pixels(shown: Sequence[Any]) -> Floats:
    thumbs = [resized(one[len(one) // 2], _THUMB_PX).ravel() for one in shown]
    return np.asarray(thumbs, dtype=np.float32) / np.float32(255)


def _color(shown: Sequence[Any]) -> Floats:
    means = [one.mean(axis=(0, 2, 3)) for one in shown]
    return np.asarray(means, dtype=np.float32) / np.float32(255)


def lookers(
    found: dict[str, list[Network]], *, layer: str, pool: Pool, whole: bool
) -> dict[str, list[Looker]]:
    """Gives every row's ways of looking, one a seed; the trivial rows last.

    Raises:
        InputError: the network has no such layer.
    """
    rows: dict[str, list[Looker]] = {}
    for name, each in found.items():
        encoder = each[0].encoder
        has_it = name == NETWORK or layer in encoder.layers or layer == "vector"
        own = checked_layer(encoder, layer if has_it else "")
        rows[name] = [network_looker(one, own, pool=pool, whole=whole) for one in each]
    rows[PIXELS] = [Looker(embed=_pixels, cosine=False)]
    rows[COLOR] = [Looker(embed=_color, cosine=False)]
    return rows


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Queries and gallery with their groups and classes."""

    queries: Samples
    gallery: Samples
    query_groups: NDArray[np.int64]
    gallery_groups: NDArray[np.int64]
    gallery_clips: NDArray[np.int64]
    """int64 [N]: number of the clip, apart from those of other splits."""
    classes: ClassTruth | None
    """Of the queries and, behind them, the gallery."""

    def class_of(self, place: int) -> str:
        """Gives the class of a sample (queries first, then the gallery), "" where none."""
        if self.classes is None or not self.classes.told[place]:
            return ""
        return self.classes.names[int(self.classes.classes[place])]

    def find(self, looker: Looker, asked: Floats, gallery: Floats, device: Any) -> Found:
        """Searches without each query's own group."""
        return search(
            asked, gallery, top=KEPT, cosine=looker.cosine, device=device,
            query_groups=self.query_groups, gallery_groups=self.gallery_groups,
        )  # fmt: skip


def read_sets(
    data: str | Path,
    *,
    split: str,
    among: Sequence[str],
    kind: str,
    level: int | None,
    per_clip: int,
    max_clips: int,
    max_queries: int,
    num_frames: int,
    step_s: float,
    quiet: bool,
) -> Sets:
    """Reads queries and gallery.

    Raises:
        InputError: a split is empty, or fewer than two groups.
    """
    catalog = Catalog.read(data)
    asked = catalog.select(split=split)
    pool = catalog.select(keep=lambda row: row.split in among)
    for part, name in ((asked, split), (pool, " or ".join(among))):
        if not len(part):
            raise InputError(f"{data}: no clip of {name!r}; see --split and --gallery")
    chosen = some_of(asked, max_queries), some_of(pool, max_clips)
    total = sum(map(len, chosen))
    check_kind(kind, [asked.row(k) for k in chosen[0]])
    with progress_bar("read", total=total, unit="clip", quiet=quiet) as bar:
        queries, gallery = (
            read_pictures(
                part, own, per_clip=per_clip, num_frames=num_frames, step_s=step_s, bar=bar
            )
            for part, own in zip((asked, pool), chosen, strict=True)
        )
    names = np.concatenate([queries.groups, gallery.groups])
    numbers = np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)
    if numbers.max() < 1:
        raise InputError(f"{data}: one group of clips; neighbours are sought in others")
    first = len(queries.rows)
    classes = class_truth(
        [*queries.rows, *gallery.rows], [*queries.times_s, *gallery.times_s], kind=kind, level=level
    )
    return Sets(
        queries=queries,
        gallery=gallery,
        query_groups=numbers[:first],
        gallery_groups=numbers[first:],
        gallery_clips=gallery.clips,
        classes=classes if classes is not None and classes.single else None,
    )
