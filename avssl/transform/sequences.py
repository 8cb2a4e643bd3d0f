"""What the tasks on the order of pictures share: where runs are drawn, and how they are shown.

    Runs of a shot (sample/sequences.py) → one, likelier with more motion → its pictures in the
    order that the task shows them → one crop, mirroring and colour change for all, or own ones

Shapes: N pictures, S x S px, or clips of T frames: uint8 [N, 3, S, S] or [N, 3, T, S, S].
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.records import Clip, FrameSpan, Plan
from avssl.sample.clock import key_frame_phases, leave_out, screen_times, uneven_remark
from avssl.sample.sequences import Runs, find_runs
from avssl.transform import frames as pictures


@functools.lru_cache(maxsize=64)  # a clip has many samples
def _runs(task: "SequenceKnobs", row: ClipRow) -> Runs:
    num_clips, clip_frames, clip_step_s = task.run_shape()
    return find_runs(
        row,
        num_clips=num_clips,
        step_s=task.step_s,
        clip_frames=clip_frames,
        clip_step_s=clip_step_s,
        match_gop_phase=task.match_gop_phase,
        least_motion=task.min_motion,
        within_shot=task.within_shot,
        distinct_pictures=task.distinct_pictures,
    )


@dataclass(frozen=True, kw_only=True)
class SequenceKnobs:
    """Knobs of tasks on the order of pictures, and the steps that read them."""

    step_s: float = 0.3
    """From the beginning of one picture or clip to that of the next, rounded to frames; with
    `match_gop_phase` to whole key-frame periods, at least one: of a set with --gop 8 at 25 Hz 0.2
    becomes 0.32 s. Sets prepared with --gop 1 keep it."""
    motion_power: float = 1.0
    """Runs are drawn in proportion to their motion to this power; 0: all alike."""
    min_motion: float = 0.0
    """Least motion in each step, short sides of the picture."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the network's training alone does."""
    match_gop_phase: bool = True
    """All pictures of a run are equally long after their key frames, where a clip has such runs.
    Off: the order shows in sharpness; for the audit."""
    within_shot: bool = True
    """Off: runs may span cuts. To show the leak only."""
    distinct_pictures: bool = True
    """Off: repeated frames and still stretches count as different. To show the leak only."""
    size_px: int = 64
    """Side of the pictures that the network sees."""
    crop_scale: tuple[float, float] = (0.6, 1.0)
    """Side of the crop, as a share of the picture's short side."""
    margin: float = 0.0
    """Share of the short side left out at every edge: cameras write the time there."""
    crop_jitter: float = 0.0
    """Own crop for each: shift and scale by up to this share of the side; 0: one for all."""
    flip: bool = True
    """Mirror all with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""
    grey_probability: float = 0.0
    """Chance that the pictures lose their colour."""
    color_per_frame: bool = False
    """Each picture or clip has its own colour change; off: one for all."""
    embedding: int = 128
    """Length of the embeddings that "difference", "relative" and "ordered" compare."""
    hidden: int = 128
    """Width of the head's hidden layer."""

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise InputError(f"crop_scale {self.crop_scale}: must be two shares, low <= high <= 1")
        if not 0 <= self.margin <= 0.4:
            raise InputError(f"margin {self.margin}: must be from 0 to 0.4")
        for name in ("size_px", "embedding", "hidden"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be 1 or more")
        if not self.step_s > 0:
            raise InputError(f"step_s {self.step_s}: must be above 0")
        for name in ("motion_power", "min_motion"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name)}: must not be negative")
        for name in ("crop_jitter", "brightness", "contrast", "saturation", "grey_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name)}: must be from 0 to 1")
        num_clips, clip_frames, clip_step_s = self.run_shape()
        clip_s = (clip_frames - 1) * clip_step_s
        if clip_frames < 1 or num_clips < 2:
            raise InputError(f"runs of {num_clips} x {clip_frames} pictures: must be 2 x 1 or more")
        if clip_s >= self.step_s:
            raise InputError(f"clips of {clip_s:g} s would overlap: step_s must be above that")

    def run_shape(self) -> tuple[int, int, float]:
        """Gives clips of a run, pictures of a clip, and seconds between those. Tasks say it."""
        raise NotImplementedError

    def least_runs(self) -> int:
        """Gives how many runs a clip must have to be used."""
        return 1

    def runs(self, row: ClipRow) -> Runs:
        """Gives every run of a clip."""
        return _runs(self, row)

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows that have runs; one stands in it once for every run's length of places.

        Those whose key frames allow no single phase are left out (`avssl.sample.clock.leave_out`).

        Raises:
            InputError: no row has so many runs.
        """
        return np.array(leave_out(*self._rows(catalog)), dtype=np.int64)

    def remark(self, catalog: Catalog) -> str:
        """Gives what a report must say of these clips' key frames; "" where they are as meant."""
        return uneven_remark(*self._rows(catalog))

    def _rows(self, catalog: Catalog) -> tuple[list[int], set[int]]:
        """Gives the rows for `items`, and those whose key frames allow no single phase."""
        rows: list[int] = []
        uneven: set[int] = set()
        for index in range(len(catalog)):
            row = catalog.row(index)
            found = self.runs(row) if row.num_frames > 1 else None
            if found is not None and len(found.first) >= self.least_runs():
                rows += [index] * max(1, round(len(found.first) / (int(found.offsets.max()) + 1)))
                if not found.one_phase:
                    uneven.add(index)
        if not rows:
            num_clips, clip_frames, clip_step_s = self.run_shape()
            length_s = (num_clips - 1) * self.step_s + (clip_frames - 1) * clip_step_s
            raise InputError(
                f"none of {len(catalog)} clips has a shot of {length_s:g} s with a new picture "
                "at every step; use a smaller step_s, or fewer pictures"
            )
        return rows, uneven

    def said(self, label: int, num_labels: int, rng: np.random.Generator) -> int:
        """Gives the label that the network is told; with `random_labels` one drawn by itself."""
        return int(rng.integers(num_labels)) if self.random_labels else label

    def plan(
        self,
        row: ClipRow,
        index: int,
        shown: NDArray[np.int64],
        target: Mapping[str, int | float | tuple[int | float, ...]],
    ) -> Plan:
        """Gives the plan for frames of row `index`, in the order in which they are to be shown.

        Args:
            row: the row.
            index: its number.
            shown: frames, int64 [num_clips, clip_frames].
            target: what else the plan carries beside "gop_phases" (share of the period at which
                each clip begins; see `key_frame_phases`), "clip_frames" and "borders_px".
        """
        return Plan(
            spans=(FrameSpan(row=index, times_s=tuple(screen_times(row)[shown.ravel()].tolist())),),
            target={
                **target,
                "gop_phases": tuple(key_frame_phases(row)[shown[:, 0]].tolist()),
                "clip_frames": shown.shape[1],
                "borders_px": pictures.within_margin(
                    row.borders_px,
                    margin=self.margin,
                    height_px=row.height_px,
                    width_px=row.width_px,
                ),
            },
        )

    def cut_out(
        self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Cuts, scales, mirrors and colours the plan's frames: uint8 [N, 3, S, S].

        Clips of more than one frame: [N, 3, T, S, S]. 14 values are drawn, and 13 for each clip.
        """
        found = clips[0].frames
        assert found is not None
        num = int(plan.target["clip_frames"])  # type: ignore[arg-type]
        borders_px = plan.target["borders_px"]
        assert isinstance(borders_px, tuple)
        place: dict[str, Any] = {
            "height_px": found.shape[2],
            "width_px": found.shape[3],
            "borders_px": borders_px,
        }
        box = pictures.draw_box(scale=self.crop_scale, rng=rng, **place)
        flip = bool(rng.random() < 0.5) and self.flip
        shared_color = self._draw_color(rng)
        shown = []
        for k in range(len(found) // num):
            own = pictures.jitter_box(box, jitter=self.crop_jitter, rng=rng, **place)
            color = self._draw_color(rng)
            part = pictures.crop_resize(
                found[k * num : (k + 1) * num], own, size_px=self.size_px, flip=flip
            )
            part = (color if self.color_per_frame else shared_color).apply(part)
            shown.append(part[0] if num == 1 else part.transpose(1, 0, 2, 3))
        return np.stack(shown)

    def _draw_color(self, rng: np.random.Generator) -> pictures.ColorChange:
        return pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            grey_probability=self.grey_probability,
            rng=rng,
        )
