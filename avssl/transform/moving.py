"""What the tasks on runs of frames share: which moments, which part of the picture, which colours.

    clip of 7 s, 4 frames at 8 Hz → every frame with 3/8 s of its shot after it can be the first
    frames [T, 3, H, W] → one square (each frame's moved a little) → S x S → mirror; colours after

Shapes: T frames, S x S px; pictures uint8 [T, 3, S, S].
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.records import Clip, FrameSpan, Plan
from avssl.sample.runs import Runs, draw_run, find_runs, run_times
from avssl.transform import frames as pictures


@functools.lru_cache(maxsize=64)
def _runs(row: ClipRow, span_s: float, within_shot: bool) -> Runs:
    return find_runs(row, span_s=span_s, within_shot=within_shot)


@dataclass(frozen=True, kw_only=True)
class MovingKnobs:
    """Knobs of tasks on runs of frames, and the steps that read them."""

    num_frames: int = 4
    """Frames of a sample."""
    rate_hz: float = 8.0
    """Frames a second that are taken of a clip."""
    motion_power: float = 0.0
    """Runs are drawn in proportion to their motion to this power; 0: all alike."""
    within_shot: bool = True
    """Off: runs may span cuts. To show the leak only."""
    size_px: int = 96
    """Side of the picture that is cut out and scaled."""
    crop_scale: tuple[float, float] = (0.6, 1.0)
    """Side of the square cut out, as a share of the picture's short side."""
    crop_jitter: float = 0.0
    """Own crop for each frame: shift and scale by up to this share of the side; 0: one for all."""
    clear_of_borders: bool = True
    """Whether bars known to be still are kept out of the crop. Off: to show the leak only."""
    flip: bool = True
    """Mirror all frames with p = ½."""
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
        if self.num_frames < 2 or self.size_px < 8:
            raise InputError("num_frames must be 2 or more, size_px 8 or more")
        if not self.rate_hz > 0 or self.motion_power < 0:
            raise InputError("rate_hz must be above 0, motion_power 0 or more")
        for name in ("crop_jitter", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be from 0 to below 1")

    @property
    def span_s(self) -> float:
        """From the first frame to the last, seconds."""
        return (self.num_frames - 1) / self.rate_hz

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows that have a run, once for every run's length of them.

        Raises:
            InputError: no clip has a shot that is long enough.
        """
        rows = []
        for index in range(len(catalog)):
            row = catalog.row(index)
            num_runs = len(_runs(row, self.span_s, self.within_shot).first)
            if num_runs:
                long_s = num_runs * row.duration_s / row.num_frames
                rows += [index] * max(1, round(long_s / self.span_s))
        if not rows:
            raise InputError(
                f"none of {len(catalog)} clips has a shot of {self.span_s:g} s; "
                "use fewer frames or a higher rate_hz"
            )
        return np.array(rows, dtype=np.int64)

    def moving(
        self,
        catalog: Catalog,
        index: int,
        rng: np.random.Generator,
        *,
        target: dict[str, int | float | tuple[int | float, ...]] | None = None,
    ) -> Plan:
        """Plans one run of row `index`.

        Args:
            catalog: where the row stands.
            index: of the row.
            rng: one value is drawn.
            target: what else the plan carries, beside "borders_px".
        """
        row = catalog.row(index)
        runs = _runs(row, self.span_s, self.within_shot)
        if not len(runs.first):
            raise InputError(f"{row.clip_id}: no shot of {self.span_s:g} s; see `items`")
        first = draw_run(runs, motion_power=self.motion_power, draw=rng.random())
        times_s = run_times(row, first, num_frames=self.num_frames, rate_hz=self.rate_hz)
        borders_px = tuple(row.borders_px) if self.clear_of_borders else (0,) * 4
        return Plan(
            spans=(FrameSpan(row=index, times_s=times_s),),
            target={"borders_px": borders_px, **(target or {})},
        )

    def cropped(
        self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Cuts, scales and mirrors the plan's frames: uint8 [T, 3, S, S]; 4 + 3 T values drawn."""
        found = clips[0].frames
        assert found is not None
        borders_px = plan.target["borders_px"]
        assert isinstance(borders_px, tuple)
        place = {
            "height_px": found.shape[2],
            "width_px": found.shape[3],
            "borders_px": borders_px,
            "rng": rng,
        }
        box = pictures.draw_box(scale=self.crop_scale, **place)
        flip = bool(rng.random() < 0.5) and self.flip
        own = [pictures.jitter_box(box, jitter=self.crop_jitter, **place) for _ in found]
        return np.concatenate(
            [
                pictures.crop_resize(found[k : k + 1], own[k], size_px=self.size_px, flip=flip)
                for k in range(len(found))
            ]
        )

    def color_change(self, rng: np.random.Generator) -> pictures.ColorChange:
        """Draws a change of colour; ten values are drawn."""
        return pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
