"""Label propagation: carry labels of a clip's first frame along by what looks alike.

The protocol of Jabri 2020 (papers.md §6.3): features of a layer of stride 8 as unit vectors; each
place of a frame looks at frame 0 and at the 20 frames before it, there within 12 places; the ten
most alike count, softmax of cosines over 0.05; labels stay soft.

    frame 0 ──┐   t-20 … t-1 ──┐
              ▼                ▼
    place of frame t: ten nearest among all of these → mean of their labels, by softmax

Frame 0 is looked at everywhere, whatever the radius, and the radius is a circle, as in the authors'
released evaluation (ajabri/videowalk, test.py). What differs from it:

- It fills the window before frame 20 with copies of frame 0, so that frame 0 stands there up to 21
  times, and one place of it can take all ten places that count. Here frame 0 is there once.
- Its circle leaves out what is exactly 12 places away; here that is in.
- It shrinks masks by linear interpolation; here a cell has the shares of its pixels.

Shapes: D numbers and C labels a place, h x w places.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avssl.errors import InputError

_MOST_AT_ONCE = 30_000_000
"""Cosines that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How labels are carried; the defaults are the published ones (papers.md §6.3)."""

    top_k: int = 10
    """Places that count."""
    context: int = 20
    """Frames before the present one, beside frame 0."""
    radius: float = 12.0
    """Places away at most, in those frames; 0: anywhere."""
    temperature: float = 0.05
    """Cosines are divided by it before the softmax."""

    def __post_init__(self) -> None:
        if self.top_k < 1 or self.context < 0 or self.radius < 0 or not self.temperature > 0:
            raise InputError(
                "top_k must be 1 or more, context and radius 0 or more, temperature above 0"
            )


def propagate(
    features: Iterable[Tensor], labels: Tensor, *, protocol: Protocol | None = None
) -> Iterator[Tensor]:
    """Gives the labels of every frame, the first included as it is: float [C, h, w] each.

    Args:
        features: maps [D, h, w] of the frames, in order; any length, taken one at a time.
        labels: of the first frame, float [C, h, w].
        protocol: the published one.
    """
    how = protocol or Protocol()
    first: tuple[Tensor, Tensor] | None = None
    before: deque[tuple[Tensor, Tensor]] = deque(maxlen=how.context)
    for frame in features:
        unit = functional.normalize(frame.float(), dim=0)
        if first is None:
            found = labels.float()
            if found.shape[1:] != unit.shape[1:]:
                raise ValueError(f"labels {list(found.shape)}, features {list(unit.shape)}")
            first = (unit, found)
        else:
            found = _carried(unit, first, list(before), how)
            before.append((unit, found))
        yield found


def _carried(
    unit: Tensor, first: tuple[Tensor, Tensor], before: list[tuple[Tensor, Tensor]], how: Protocol
) -> Tensor:
    """Gives the labels of one frame, [C, h, w], some rows of it at a time."""
    _, height, width = unit.shape
    radius = how.radius or float(height + width)
    reach = min(int(radius), height)
    one_row = width * width * (height + len(before) * min(height, 2 * reach + 1))
    num_rows = max(1, min(height, _MOST_AT_ONCE // one_row))
    parts = []
    for top in range(0, height, num_rows):
        rows = torch.arange(top, min(top + num_rows, height))
        asked = unit[:, rows].flatten(1).T
        alike, known = [asked @ first[0].flatten(1)], [first[1].flatten(1).T]
        low, high = max(0, top - reach), min(height, int(rows[-1]) + reach + 1)
        far = _far(rows, torch.arange(low, high), width, radius=radius)
        for seen, carried in before:
            cosine = asked @ seen[:, low:high].flatten(1)
            alike.append(cosine.masked_fill(far, -torch.inf))
            known.append(carried[:, low:high].flatten(1).T)
        best = torch.cat(alike, dim=1)
        best = best.topk(min(how.top_k, best.shape[1]), dim=1)
        weight = (best.values / how.temperature).softmax(dim=1)
        chosen = torch.cat(known)[best.indices]  # [places, k, C]
        parts.append((weight[..., None] * chosen).sum(dim=1))
    return torch.cat(parts).T.unflatten(1, (height, width))


def _far(rows: Tensor, others: Tensor, width: int, *, radius: float) -> Tensor:
    """Tells which places of `others` are too far from those of `rows`, bool [places, places]."""
    column = torch.arange(width)
    down = (rows[:, None] - others[None]).float() ** 2
    across = (column[:, None] - column[None]).float() ** 2
    apart = down[:, None, :, None] + across[None, :, None, :]
    return (apart > radius**2 + 1e-6).flatten(2).flatten(0, 1)


def mask_labels(mask: NDArray[np.integer], *, num_objects: int, size: tuple[int, int]) -> Tensor:
    """Takes a mask [H, W] of numbers (0: background) to soft labels [1 + objects, h, w].

    A cell's labels are the shares of its pixels; other numbers, such as 255, count as background.
    """
    numbers = torch.from_numpy(np.asarray(mask).astype(np.int64))
    numbers = torch.where((numbers < 0) | (numbers > num_objects), 0, numbers)
    planes = functional.one_hot(numbers, num_objects + 1).permute(2, 0, 1).float()
    return functional.adaptive_avg_pool2d(planes, size)


def mask_of(labels: Tensor, *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Takes soft labels [C, h, w] to the likeliest number of each pixel, uint8 [H, W]."""
    large = functional.interpolate(labels[None], size=size, mode="bilinear", align_corners=False)
    return large[0].argmax(dim=0).to(torch.uint8).numpy()


def point_labels(
    points_px: NDArray[np.float64], *, size: tuple[int, int], picture_px: tuple[int, int]
) -> Tensor:
    """Takes points [K, 2] (x, y) px to labels [K, h, w], each shared by the four nearest cells.

    Shares are those of linear interpolation, so that their centre of mass is the point. A point
    that is not finite has no label anywhere.
    """
    height, width = size
    labels = torch.zeros(len(points_px), height, width)
    scale = np.array([width / picture_px[0], height / picture_px[1]])
    # The centre of a pixel is a whole number, so that of cell 0 is half a cell less half a pixel.
    places = (np.asarray(points_px, dtype=np.float64) + 0.5) * scale - 0.5
    for number, (x, y) in enumerate(places):
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        x, y = float(np.clip(x, 0, width - 1)), float(np.clip(y, 0, height - 1))
        left, top = int(x), int(y)
        for row, share_y in ((top, 1 - (y - top)), (min(top + 1, height - 1), y - top)):
            for column, share in ((left, 1 - (x - left)), (min(left + 1, width - 1), x - left)):
                labels[number, row, column] += share * share_y
    return labels


def points_of(
    labels: Tensor, *, picture_px: tuple[int, int], num_cells: int = 5
) -> NDArray[np.float64]:
    """Takes labels [K, h, w] to points float64 [K, 2] (x, y) px; NaN where there is no label.

    A point is the mean of its `num_cells` heaviest cells [ours].
    """
    count, height, width = labels.shape
    flat = labels.reshape(count, -1).double()
    best = flat.topk(min(num_cells, flat.shape[1]), dim=1)
    rows = torch.div(best.indices, width, rounding_mode="floor").double()
    total = best.values.sum(dim=1)
    found = torch.stack(
        [
            (best.values * (best.indices % width).double()).sum(dim=1) / total,
            (best.values * rows).sum(dim=1) / total,
        ],
        dim=1,
    )
    scale = np.array([picture_px[0] / width, picture_px[1] / height])
    return (found.numpy() + 0.5) * scale - 0.5
