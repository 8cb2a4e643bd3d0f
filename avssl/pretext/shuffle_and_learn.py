"""Shuffle and Learn: were these three frames filmed in this order?

Misra, Zitnick, Hebert, ECCV 2016 (arXiv 1603.08561), by third-party summaries and the authors' own
settings (github.com/imisra/shuffle-tuple); docs/shuffle_and_learn.md says which figure is from
where. What they leave open is ours, and marked [ours].

Five frames a < b < c < d < e of one window with much motion, inside one shot:

    time  ──a─────b────────c───────d─────e──▶
            └τ_min┘└──── τ_max ────┘└τ_min┘     at least τ_min, |b - d| = τ_max
    1:             b        c       d           in order
    0:             b ← a            d           the middle one is from before
    0:             b            e → d           the middle one is from after

Each is reversed in time with p = ½; that changes no label. The ends b and d are drawn before it,
so only the middle frame tells. How a network could cheat: `ShuffleAndLearn.shortcuts`.

Its worth for pose so far is negative: fine-tuned on 50 labels it costs 0.046 (world) and 0.024
(motion capture) of PCK against fresh weights. Remedies that failed: docs/pose_study.md.

Shapes: B triplets, S x S px, T frames of a clip (3-D encoders). Batch: frames uint8
[B, 3, 3, S, S] or [B, 3, 3, T, S, S] (triplet, colour), label int64 [B], weight float32 [B].
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model.heads import FUSIONS, build_fusion
from avssl.pretext.shuffle_and_learn_guards import SHORTCUTS
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.sample.clock import key_frame_phases, leave_out, screen_times, uneven_remark
from avssl.sample.windows import Windows, draw_alike, draw_at_one_phase, find_windows
from avssl.task import Batch, Outputs, two_class_scores
from avssl.transform import frames as pictures
from avssl.transform import measure
from avssl.transform.drawing_strips import draw_verdicts

ORDERS = ("in order", "middle from before", "middle from after")
"""`Plan.target["order"]` counts in this list; 0 is the positive class."""
_NUM_SPANS = 8


@functools.lru_cache(maxsize=16)  # an hour's clip takes 70 ms to search, and has many samples
def _windows(task: "ShuffleAndLearn", row: ClipRow, span: float) -> Windows:
    return find_windows(
        row,
        span=span,
        least_outside=task._taus()[1],
        most_outside=task._taus()[1] * task.reach,
        middle_margin=task.middle_margin,
        least_motion=task.min_motion,
        edge_s=task.clip_frames // 2 * task.clip_step_s,
        in_frames=task.tau_max_frames is not None,
        within_shot=task.within_shot,
        distinct_pictures=task.distinct_pictures,
    )


@dataclass(frozen=True, kw_only=True)
class ShuffleAndLearn:
    """Tell triplets of frames in order from triplets whose middle frame is from elsewhere."""

    name: ClassVar[str] = "shuffle-and-learn"
    summary: ClassVar[str] = "were these three frames filmed in this order?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    label_names: ClassVar[tuple[str, ...]] = ("not in order", "in order")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    tau_max_s: float = 2.4
    """|b - d|, seconds (the paper's 60 frames of 25 a second)."""
    tau_min_s: float = 0.6
    """Least |a - b| and |d - e|, seconds (the paper's 15 frames of 25 a second)."""
    tau_max_frames: int | None = None
    """|b - d| in frames of the clip instead of seconds; with `tau_min_frames`."""
    tau_min_frames: int | None = None
    """Least |a - b| and |d - e| in frames of the clip; with `tau_max_frames`."""
    tau_max_spread: float = 0.0
    """|b - d| is one of 8 even steps from (1 - this) to 1 times τ_max; the paper has one value."""
    reach: float = 2.0
    """a and e are at most this many τ_min from b and d [ours: the window's length is not known]."""
    middle_margin: float = 0.125
    """c is at least this share of |b - d| away from both [ours: nearer ones look like an end]."""
    positive_share: float = 0.25
    """Share of triplets in order (the paper's best)."""
    motion_power: float = 1.0
    """Windows are drawn in proportion to their motion to this power; 0: all alike."""
    min_motion: float = 0.0
    """Least motion from a to b and d to e, short sides of the picture: the plan's filter [ours]."""
    min_difference_levels: float = 0.0
    """Least RMS difference of c from a and e, in levels of 255 (the paper's filter); 0: off."""
    match_gop_phase: bool = True
    """Draw the middle frame's place between key frames before the label."""
    shared_ends: bool = True
    """Off: negatives are (b, d, c), whose ends differ from a positive's. To show the leak only."""
    distinct_pictures: bool = True
    """Off: repeated frames and still stretches count as different. To show the leak only."""
    within_shot: bool = True
    """Off: triplets may span cuts. To show the leak only."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the network's training alone does."""
    clip_frames: int = 1
    """Frames around each of the three times, for 3-D encoders."""
    clip_step_s: float = 1 / 15
    """Time between the frames of such a clip."""
    size_px: int = 64
    """Side of the pictures that the network sees."""
    crop_scale: tuple[float, float] = (0.6, 1.0)
    """Side of the square cut out, as a share of the short side, drawn evenly from this range."""
    margin: float = 0.0
    """Share of the short side left out at every edge: cameras write the time there."""
    crop_jitter: float = 0.0
    """Own crop for each frame: shift and scale by up to this share of the side; 0: one for all."""
    flip: bool = True
    """Mirror all three with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""
    channel_gain: float = 0.0
    """Factor of each channel from 1 ± this (the released code has 0.2, switched off)."""
    channel_shift: float = 0.0
    """Levels added to each channel, ± this (the released code has 5, switched off)."""
    grey_probability: float = 0.0
    """Chance that a picture loses its colour."""
    color_per_frame: bool = False
    """Each frame has its own colour change; off: one for all three."""
    fusion: str = "relative"
    """How the three vectors are joined: "concat" (the paper), "concat-mlp", "difference" (of
    embeddings), "relative" (differences in proportion to each other)."""
    embedding: int = 128
    """Length of the embeddings that "difference" and "relative" compare."""
    hidden: int = 128
    """Width of the hidden layer of all but "concat"."""

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion {self.fusion!r}: must be one of {', '.join(FUSIONS)}")
        if (self.tau_max_frames is None) != (self.tau_min_frames is None):
            raise InputError("tau_max_frames and tau_min_frames: give both or neither")
        if min(self._taus()) <= 0:
            raise InputError(f"tau_max and tau_min {self._taus()}: must be above 0")
        if not 0 < self.positive_share < 1:
            raise InputError(f"positive_share {self.positive_share}: must be between 0 and 1")
        if not 0 <= self.tau_max_spread < 1 or not 0 <= self.middle_margin < 0.5:
            raise InputError("tau_max_spread must be in [0, 1), middle_margin in [0, 0.5)")
        if self.reach < 1 or self.clip_frames < 1 or self.size_px < 1:
            raise InputError("reach, clip_frames and size_px: must be at least 1")
        clip_s = (self.clip_frames - 1) * self.clip_step_s
        nearest_s = self.middle_margin * (1 - self.tau_max_spread) * self.tau_max_s
        if self.tau_max_frames is None and clip_s > min(self.tau_min_s, nearest_s):
            raise InputError(
                f"clips of {clip_s:g} s would overlap: at most {min(self.tau_min_s, nearest_s):g} s"
            )
        if not 0 <= self.margin <= 0.4:
            raise InputError(f"margin {self.margin}: must be from 0 to 0.4")
        if not 0 < self.crop_scale[0] <= self.crop_scale[1] <= 1:
            raise InputError(f"crop_scale {self.crop_scale}: must rise within (0, 1]")

    def _taus(self) -> tuple[float, float]:
        """τ_max and τ_min, in seconds, or in frames where those are given."""
        if self.tau_max_frames is not None and self.tau_min_frames is not None:
            return float(self.tau_max_frames), float(self.tau_min_frames)
        return self.tau_max_s, self.tau_min_s

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows that have a window; one stands in it once for every τ_max of places."""
        return np.array(leave_out(*self._rows(catalog)), dtype=np.int64)

    def remark(self, catalog: Catalog) -> str:
        """Gives what a report must say of these clips' key frames; "" where they are as meant."""
        return uneven_remark(*self._rows(catalog))

    def _rows(self, catalog: Catalog) -> tuple[list[int], set[int]]:
        """Gives the rows for `items`, and those whose key frames allow no single phase."""
        span, rows, uneven = self._taus()[0], [], set()
        for index in range(len(catalog)):
            row = catalog.row(index)
            windows = _windows(self, row, span) if row.num_frames > 4 else None
            if windows is not None and len(windows.b):
                per_frame = 1.0 if self.tau_max_frames else row.duration_s / row.num_frames
                rows += [index] * max(1, round(len(windows.b) * per_frame / span))
                if self.match_gop_phase and not windows.one_phase(row):
                    uneven.add(index)
        if not rows:
            tau_max, tau_min = self._taus()
            unit = "s" if self.tau_max_frames is None else "frames"
            raise InputError(
                f"shuffle-and-learn: none of {len(catalog)} clips has a shot of "
                f"{tau_max + 2 * tau_min:g} {unit} in motion; use smaller tau_max and tau_min"
            )
        return rows, uneven

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one triplet of row `index`.

        All five frames are drawn before the label, always with the same number of random values.
        """
        row = catalog.row(index)
        draw = rng.random(9)
        tau_max = self._taus()[0]
        step = int(draw[0] * _NUM_SPANS) / (_NUM_SPANS - 1)
        windows = _windows(self, row, tau_max * (1 - self.tau_max_spread * step))
        if not len(windows.b):  # a shorter span can miss where τ_max, which `items` asks, fits
            windows = _windows(self, row, tau_max)
        if not len(windows.b):
            raise InputError(f"{row.clip_id}: no window for shuffle-and-learn; see `items`")
        matched = self.match_gop_phase
        k = windows.draw(row, power=self.motion_power, value=draw[1], one_phase=matched)
        b, d = int(windows.b[k]), int(windows.d[k])
        ranges, own = windows.ranges(k), draw[2:6]
        free = draw_alike(ranges, period=1, origin=0, draw=own)
        a, c, e = draw_at_one_phase(row, ranges, draw=own) if matched else free
        order = 0 if draw[6] < self.positive_share else 1 + int(draw[7] < 0.5)
        middle = (c, a, e)[order]
        triplet = [b, middle, d] if self.shared_ends or order == 0 else [b, d, c]
        if draw[8] < 0.5:
            triplet.reverse()
        label = int(rng.random() < self.positive_share if self.random_labels else order == 0)
        wanted = [*triplet, a, c, e] if self.min_difference_levels else triplet
        return Plan(
            spans=(FrameSpan(row=index, times_s=self._times_s(row, wanted)),),
            target={
                "label": label,
                "order": order,
                "reversed": int(draw[8] < 0.5),
                "clip_frames": self.clip_frames,
                "gop_phases": tuple(key_frame_phases(row)[triplet].tolist()),
                "borders_px": pictures.within_margin(
                    row.borders_px,
                    margin=self.margin,
                    height_px=row.height_px,
                    width_px=row.width_px,
                ),
            },
        )

    def _times_s(self, row: ClipRow, frames: Sequence[int]) -> tuple[float, ...]:
        """Gives the times to ask for: the triplet's, as clips where wanted, then the others'."""
        shown_s = screen_times(row)
        around = (np.arange(self.clip_frames) - (self.clip_frames - 1) // 2) * self.clip_step_s
        triplet_s = np.add.outer(shown_s[list(frames[:3])], around).ravel()
        asked = np.concatenate([triplet_s, shown_s[list(frames[3:])]])
        return tuple(np.clip(asked, shown_s[0], shown_s[-1]).tolist())

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts, scales and colours the three pictures: frames, label, weight (see the top)."""
        found = clips[0].frames
        assert found is not None
        num, (height_px, width_px) = self.clip_frames, found.shape[2:]
        borders_px = plan.target["borders_px"]
        assert isinstance(borders_px, tuple)
        place = {"height_px": height_px, "width_px": width_px, "borders_px": borders_px}
        box = pictures.draw_box(scale=self.crop_scale, rng=rng, **place)
        flip = bool(rng.random() < 0.5) and self.flip
        shown = []
        shared_color = self._draw_color(rng)
        for k in range(3):
            own = pictures.jitter_box(box, jitter=self.crop_jitter, rng=rng, **place)
            color = self._draw_color(rng)
            part = pictures.crop_resize(
                found[k * num : (k + 1) * num], own, size_px=self.size_px, flip=flip
            )
            part = (color if self.color_per_frame else shared_color).apply(part)
            shown.append(part[0] if num == 1 else part.transpose(1, 0, 2, 3))
        weight = 1.0
        if self.min_difference_levels > 0:
            a, c, e = pictures.crop_resize(found[3 * num :], box, size_px=self.size_px)
            least = min(measure.root_mean_square(c, a), measure.root_mean_square(c, e))
            weight = float(least >= self.min_difference_levels)
        return Example(
            arrays={
                "frames": np.stack(shown),
                "label": np.array(plan.target["label"], dtype=np.int64),
                "weight": np.array(weight, dtype=np.float32),
            }
        )

    def _draw_color(self, rng: np.random.Generator) -> pictures.ColorChange:
        return pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            channel_gain=self.channel_gain,
            channel_shift=self.channel_shift,
            grey_probability=self.grey_probability,
            rng=rng,
        )

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the join of the three vectors: → logits [B, 2] (0: not in order, 1: in order)."""
        sizes = {"width": widths["vision"], "embedding": self.embedding, "hidden": self.hidden}
        return build_fusion(self.fusion, num_vectors=3, num_outputs=2, **sizes)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Runs one encoder on all frames, then joins them: {"logits": [B, 2]}."""
        vectors = encoders["vision"](batch["frames"].flatten(end_dim=1))
        return {"logits": head(vectors.unflatten(0, batch["frames"].shape[:2]))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy; triplets of weight 0 count as 0."""
        each = functional.cross_entropy(out["logits"].float(), batch["label"], reduction="none")
        return (each * batch["weight"]).mean()

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives label, score, weight, and what averages to the balanced accuracy, each [B].

        The score is the log odds of "in order" less those of the training mix: 0 is the threshold
        of balanced accuracy.
        """
        logits, label = out["logits"].detach().float(), batch["label"]
        share = self.positive_share
        score = logits[:, 1] - logits[:, 0] - math.log(share / (1 - share))
        right = ((score > 0) == (label == 1)).float()
        per_class = torch.where(label == 1, 0.5 / share, 0.5 / (1 - share))
        return {
            "balanced_accuracy": right * per_class * batch["weight"],
            "score": score,
            "label": label.float(),
            "weight": batch["weight"],
        }

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives balanced accuracy and AUC; {} where only one class was seen."""
        kept = columns["weight"] > 0
        return two_class_scores({name: columns[name][kept] for name in ("label", "score")})

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches."""
        return {"balanced_accuracy": 0.5, "auc": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each sample's three pictures (of clips the middle ones), and what is answered."""
        frames = batch["frames"].cpu().numpy()
        frames = frames if frames.ndim == 5 else frames[:, :, :, frames.shape[3] // 2]
        odds = self.metrics(out, batch)["score"].cpu().numpy()
        return draw_verdicts(frames, odds, batch["label"].cpu().numpy(), self.label_names)
