"""Frame contrast: two moments of one video agree, those of other videos do not.

InfoNCE (van den Oord and others, 2018) with two frames of one clip as the two views, both with a
crop, mirroring and colours of their own: what stays is what the video shows. Where it comes from:
time-contrastive networks (Sermanet and others, 2018), frames of one video as positives (Gordon and
others, "Watching the World Go By", 2020, arXiv 2003.07990), in-batch negatives of both views
(SimCLR, Chen and others, 2020, arXiv 2002.05709). With `jigsaw` the second view is nine shuffled
patches: PIRL (Misra, van der Maaten, "Self-Supervised Learning of Pretext-Invariant
Representations", CVPR 2020, arXiv 1912.01991), whose negatives come from a memory of the data set;
here both kinds come from the batch.

    clip a   ──●────●────      a₁ agrees with a₂ (at most max_gap_s away),
    clip b   ─●───●──────      not with b₁, b₂, c₁, c₂ of other groups;
    clip a'  ────●──●────      a' is of a's group (a copy, one recording): neither
    clip c   ──●───●─────

The negatives of training are the frames of the batch, of all processes together, so results depend
on the batch and passes of `accumulate` see fewer. Held-out pairs are an even mix, planned one by
one: the second frame is of the same clip, or the like moment of a clip of another group. So the
figures depend on no batch.

Shapes: B pairs, S x S px. Batch: frames uint8 [B, 3, S, S]; others uint8 [B, 3, S, S], or the nine
patches [B, 9, 3, p, p]; label, group, other_group int64 [B]. In training every label is 1.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model.contrast import Projections, info_nce, mean_over
from avssl.model.gather import all_rows
from avssl.model.patches import standardised
from avssl.pretext.frame_contrast_guards import SHORTCUTS
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.sample.clock import key_frame_period, key_frame_phases, screen_times
from avssl.sample.moments import Moments, find_moments, like_moment
from avssl.sample.pairs import Pairing, capped, make_pairing, make_pairings
from avssl.task import Batch, Outputs, two_class_metrics, two_class_scores
from avssl.transform.frames import within_margin
from avssl.transform.pair_rows import bits_class, number_of, step_s
from avssl.transform.panels import enlarged, framed, panel
from avssl.transform.patches import cut, draw_corners
from avssl.transform.stills import StillKnobs

_CELLS = 3
_DRAWN_PX = 128
_RIGHT, _WRONG = (30, 160, 60), (210, 40, 40)


@dataclass(frozen=True, kw_only=True)
class FrameContrast(StillKnobs):
    """Find the other moment of the same video among those of others."""

    name: ClassVar[str] = "frame-contrast"
    summary: ClassVar[str] = "do these two frames belong to one video?"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    label_names: ClassVar[tuple[str, ...]] = ("of two videos", "of one video")
    compares: ClassVar[bool] = True
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS

    min_gap_s: float = 0.2
    """Least time between the two frames, seconds."""
    max_gap_s: float = 2.0
    """Most time between them; 0 takes the same frame twice (PIRL, SimCLR)."""
    crop_scale: tuple[float, float] = (0.5, 1.0)
    """Side of the crop, as a share of the picture's short side; each frame has its own."""
    brightness: float = 0.4
    """Factor from 1 ± this, for each frame by itself; so are the next three."""
    contrast: float = 0.4
    """Factor from 1 ± this."""
    saturation: float = 0.4
    """Factor from 1 ± this."""
    grey_probability: float = 0.2
    """Chance that a frame loses its colour."""
    others: Literal["groups", "clips"] = "groups"
    """What counts as another video: clips of other groups; or every other clip, also of the same
    recording (as BEAST does, arXiv 2507.09513): for experiments of one or few recordings."""
    jigsaw: bool = False
    """The second view is 3 x 3 patches in random order, each at mean and deviation of its own."""
    jigsaw_px: int = 96
    """Side of the picture that the patches are cut from."""
    jigsaw_patch_px: int = 24
    """Side of a patch, somewhere in its cell of a third of that."""
    temperature: float = 0.1
    """Divides the cosines."""
    hidden: int = 256
    """Width of the projection's hidden layer; 0: a linear projection (PIRL)."""
    embedding: int = 128
    """Length of the embeddings that are compared."""
    match_format: bool = True
    """A held-out pair's clips have the same codec, size and rate, where two groups have them."""
    match_bits: bool = False
    """A held-out pair's clips spend as many bits on a pixel too, to a factor of 2."""
    match_place: bool = True
    """Off: the other clip's frame is any of it. To show the leak only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.min_gap_s <= self.max_gap_s:
            raise InputError(
                f"min_gap_s {self.min_gap_s}, max_gap_s {self.max_gap_s}: must rise, from 0"
            )
        if self.temperature <= 0 or self.hidden < 0 or self.embedding < 1:
            raise InputError("temperature must be above 0, hidden 0 or more, embedding 1 or more")
        if self.others not in ("groups", "clips"):
            raise InputError(f"others {self.others!r}: must be groups or clips")
        if not 1 <= self.jigsaw_patch_px <= self.jigsaw_px // _CELLS:
            raise InputError(
                f"jigsaw_patch_px {self.jigsaw_patch_px}: at most a third of jigsaw_px"
            )

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives every row with two such moments, once for every `spacing_s` of it.

        A group that outweighs all others is drawn less often (`avssl.sample.pairs.capped`).

        Raises:
            InputError: no row has two moments, or all are of one group.
        """
        return _known(self, catalog).items

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans a pair whose first frame is of row `index`: in training always of one clip.

        Six values are drawn. The second frame of a pair of two clips is the moment of the other
        clip that is like the one its own clip would have given.
        """
        known, row, draw = _known(self, catalog), catalog.row(index), rng.random(6)
        first, second = _moments(self, row).draw((draw[0], draw[1]))
        label, other, frame = 1, index, second
        if row.split != "train" and draw[2] < 0.5:
            label, other = 0, known.pairings[index].partner(index, (draw[3], draw[4]))
            count = catalog.row(other).num_frames
            frame = min(int(draw[5] * count), count - 1)
            if self.match_place:
                frame = like_moment(row, second, catalog.row(other))
        source = catalog.row(other)
        return Plan(
            spans=(_shown(index, row, first), _shown(other, source, frame)),
            target={
                "label": label,
                "group": number_of(self.group_of(row)),
                "other_group": number_of(self.group_of(source)),
                "borders_px": self._borders(row),
                "other_borders_px": self._borders(source),
                "formats": (number_of(format_of(row)), number_of(format_of(source))),
                "gop_phases": (
                    float(key_frame_phases(row)[first]),
                    float(key_frame_phases(source)[frame]),
                ),
                "bits": (bits_class(row), bits_class(source)),
                "places": (first / row.num_frames, frame / source.num_frames),
            },
        )

    def group_of(self, row: ClipRow) -> str:
        """Gives what tells one video from another; see `others`."""
        return row.group_id if self.others == "groups" else row.clip_id

    def _borders(self, row: ClipRow) -> tuple[float, ...]:
        return within_margin(
            row.borders_px if self.clear_of_borders else (0,) * 4,
            margin=self.margin,
            height_px=row.height_px,
            width_px=row.width_px,
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Makes the two views, each with a crop and colours of its own (see the top)."""
        second = dataclasses.replace(
            plan, target={**plan.target, "borders_px": plan.target["other_borders_px"]}
        )
        one = self.picture(clips[:1], plan, rng)
        size_px = self.jigsaw_px if self.jigsaw else self.size_px
        other = self.picture(clips[1:], second, rng, size_px=size_px)
        if self.jigsaw:
            corners = draw_corners(
                size_px=size_px, num_cells=_CELLS, patch_px=self.jigsaw_patch_px, rng=rng
            )
            other = cut(other, corners, patch_px=self.jigsaw_patch_px)[rng.permutation(_CELLS**2)]
        numbers = {
            name: np.array(plan.target[name], dtype=np.int64)
            for name in ("label", "group", "other_group")
        }
        return Example(arrays={"frames": one, "others": other, **numbers})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the projections."""
        return Projections(
            width=widths["vision"],
            hidden=self.hidden,
            embedding=self.embedding,
            num_patches=_CELLS**2 if self.jigsaw else 0,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"one", "other": [B, E] of length 1, "calibration": [2], "score": [B]}."""
        vision, frames, others = encoders["vision"], batch["frames"], batch["others"]
        if self.jigsaw:
            patches = standardised(others.flatten(end_dim=1))
            seen, again = vision(frames), vision(patches).unflatten(0, others.shape[:2])
        else:
            seen, again = vision(torch.cat([frames, others])).chunk(2)
        one, other, calibration = head(seen, again)
        cosine = (one.detach() * other.detach()).sum(dim=1).float()
        score = calibration[0] * cosine + calibration[1]
        return {"one": one, "other": other, "calibration": calibration, "score": score}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives InfoNCE over the pairs of one clip, of all processes together.

        The two numbers that make log odds of a cosine are fitted beside, on cosines without
        gradient, of own pairs and of all others in an even mix.
        """
        one, other = all_rows(out["one"].float()), all_rows(out["other"].float())
        label = all_rows(batch["label"])
        groups = all_rows(batch["group"]), all_rows(batch["other_group"])
        contrast = info_nce(one, other, groups=groups, label=label, temperature=self.temperature)
        scale, offset = out["calibration"].float()
        odds = scale * (one.detach() @ other.detach().T) + offset
        belong = torch.diag(label == 1)
        apart = groups[0][:, None] != groups[1][None]
        fitted = mean_over(functional.softplus(-odds), belong)
        return contrast + (fitted + mean_over(functional.softplus(odds), apart)) / 2

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives label, score (log odds of "of one video") and accuracy, [B]."""
        return two_class_metrics(out["score"], batch["label"])

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives balanced accuracy and AUC; {} where only one class was seen."""
        return two_class_scores(columns)

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking reaches."""
        return {"balanced_accuracy": 0.5, "auc": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives both views side by side, framed green where the answer is right, else red."""
        shares = torch.sigmoid(out["score"].detach().float()).cpu().tolist()
        labels = batch["label"].cpu().tolist()
        pictures = []
        for one, other, share, label in zip(
            batch["frames"].cpu().numpy(),
            batch["others"].cpu().numpy(),
            shares,
            labels,
            strict=True,
        ):
            whole = _mosaic(other) if self.jigsaw else other
            height_px = max(_DRAWN_PX, whole.shape[1], one.shape[1])
            color = _RIGHT if (share > 0.5) == (label == 1) else _WRONG
            tiles = [enlarged(one, height_px=height_px), enlarged(whole, height_px=height_px)]
            height_px = max(tile.shape[0] for tile in tiles)
            tiles = [
                np.pad(framed(tile, color), ((0, height_px - tile.shape[0]), (0, 0), (0, 0)))
                for tile in tiles
            ]
            words = (f"one video: {share:.0%}", f"truth: {'one' if label else 'two'}")
            pictures.append(panel(tiles, words))
        return pictures


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What the task knows of a catalogue."""

    items: NDArray[np.int64]
    pairings: dict[int, Pairing]


@functools.lru_cache(maxsize=8)  # training and validation splits, and those of a few tests
def _known(task: FrameContrast, catalog: Catalog) -> _Known:
    rows = [catalog.row(index) for index in range(len(catalog))]
    usable = [
        index for index, row in enumerate(rows) if row.num_frames and len(_moments(task, row).first)
    ]
    if not usable:
        raise InputError(
            f"none of {len(catalog)} clips has two pictures {task.min_gap_s:g} to "
            f"{task.max_gap_s:g} s apart within a shot; use a smaller min_gap_s"
        )
    groups = [task.group_of(rows[index]) for index in usable]
    if len(usable) < 2:
        raise InputError(
            f"one clip alone ({rows[usable[0]].clip_id}) can be used, so there is no other video "
            "to tell it from; prepare more videos, or shorter clips (`avssl prepare --max-clip-s`)"
        )
    if len(set(groups)) < 2:
        raise InputError(
            f"all clips are of one group ({groups[0]}), so there is no other video to tell them "
            "from; tell groups apart with `avssl prepare --group-by`, or give --task.others clips"
        )
    counts = capped(
        np.array([max(1, round(rows[i].duration_s / task.spacing_s)) for i in usable]), groups
    )
    formats = [_kind(task, rows[index]) for index in usable]
    pairings = make_pairings(usable, counts.tolist(), groups, formats)
    whole = make_pairing(usable, counts.tolist(), groups)
    pairings = {k: found if found.num_groups > 1 else whole for k, found in pairings.items()}
    return _Known(items=np.repeat(np.array(usable, dtype=np.int64), counts), pairings=pairings)


@functools.lru_cache(maxsize=4096)
def _moments(task: FrameContrast, row: ClipRow) -> Moments:
    return find_moments(row, min_gap_s=task.min_gap_s, max_gap_s=task.max_gap_s)


def _kind(task: FrameContrast, row: ClipRow) -> str:
    """Gives what the clips of a pair have in common."""
    found = format_of(row) if task.match_format else ""
    return f"{found} {bits_class(row)}" if task.match_bits else found


def format_of(row: ClipRow) -> str:
    """Gives what a file's picture says of the device and program that made it."""
    size = f"{row.width_px}x{row.height_px}"
    return f"{row.codec} {row.video_suffix} {size} {step_s(row):.4f} {key_frame_period(row)}"


def _shown(index: int, row: ClipRow, frame: int) -> FrameSpan:
    return FrameSpan(row=index, times_s=(float(screen_times(row)[frame]),))


def _mosaic(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Puts nine patches [9, 3, p, p] in their shown order: [3, 3 p + 4, 3 p + 4]."""
    apart = np.pad(patches, ((0, 0), (0, 0), (0, 2), (0, 2)), constant_values=255)
    rows = [np.concatenate(list(apart[k : k + 3]), axis=2) for k in (0, 3, 6)]
    return np.concatenate(rows, axis=1)[:, :-2, :-2]
