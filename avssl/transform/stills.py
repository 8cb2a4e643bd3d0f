"""What the tasks on single pictures share: which moment, which part of the picture, which colours.

    clip of 3 s, spacing_s 0.5 → stands 6 times in `items`; each time one frame, all alike likely
    frame [3, H, W] → square of crop_scale x short side, clear of bars → S x S → mirror, colour

Shapes: S x S px; pictures uint8 [3, S, S].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.records import Clip, FrameSpan, Plan
from avssl.sample.clock import screen_times
from avssl.transform import frames as pictures


@dataclass(frozen=True, kw_only=True)
class StillKnobs:
    """Knobs of tasks on one picture, and the steps that read them."""

    size_px: int = 64
    """Side of the picture that is cut out and scaled, before the task takes it apart."""
    spacing_s: float = 0.5
    """One sample for every so many seconds of a clip."""
    crop_scale: tuple[float, float] = (0.6, 1.0)
    """Side of the crop, as a share of the picture's short side."""
    clear_of_borders: bool = True
    """Whether bars known to be still are kept out of the crop. Off: to show the leak only."""
    margin: float = 0.0
    """Share of the short side left out at every edge: cameras write the time there."""
    flip: bool = True
    """Mirror with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""
    grey_probability: float = 0.0
    """Chance that the picture loses its colour."""

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise InputError(f"crop_scale {self.crop_scale}: must be two shares, low <= high <= 1")
        if not 0 <= self.margin <= 0.4:
            raise InputError(f"margin {self.margin}: must be from 0 to 0.4")
        if self.size_px < 1:
            raise InputError(f"size_px {self.size_px}: must be 1 or more")
        if not self.spacing_s > 0:
            raise InputError(f"spacing_s {self.spacing_s}: must be above 0")
        for name in ("brightness", "contrast", "saturation", "grey_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name)}: must be from 0 to 1")

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives every row with frames, once for every `spacing_s` of it."""
        rows = []
        for index in range(len(catalog)):
            row = catalog.row(index)
            if row.num_frames:
                rows += [index] * max(1, round(row.duration_s / self.spacing_s))
        if not rows:
            raise InputError(f"none of {len(catalog)} clips has a frame; check the data set")
        return np.array(rows, dtype=np.int64)

    def still(
        self,
        catalog: Catalog,
        index: int,
        rng: np.random.Generator,
        *,
        target: dict[str, int | float | tuple[int | float, ...]] | None = None,
    ) -> Plan:
        """Plans one frame of row `index`, each as likely as any other.

        Args:
            catalog: where the row stands.
            index: of the row.
            rng: one value is drawn.
            target: what else the plan carries, beside "borders_px".
        """
        row = catalog.row(index)
        times_s = screen_times(row)
        at = int(rng.integers(len(times_s)))
        borders_px = pictures.within_margin(
            row.borders_px if self.clear_of_borders else (0,) * 4,
            margin=self.margin,
            height_px=row.height_px,
            width_px=row.width_px,
        )
        return Plan(
            spans=(FrameSpan(row=index, times_s=(float(times_s[at]),)),),
            target={"borders_px": borders_px, **(target or {})},
        )

    def picture(
        self,
        clips: Sequence[Clip],
        plan: Plan,
        rng: np.random.Generator,
        *,
        size_px: int | None = None,
    ) -> NDArray[np.uint8]:
        """Cuts, scales, mirrors and colours the plan's frame: uint8 [3, S, S]; 14 values drawn.

        S is `size_px`, that of the task or the one given.
        """
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
            grey_probability=self.grey_probability,
            rng=rng,
        )
        shown = pictures.crop_resize(found[:1], box, size_px=size_px or self.size_px, flip=flip)
        return color.apply(shown)[0]
