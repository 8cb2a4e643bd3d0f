"""Judging a localizer: its maps beside guesses, other sounds put in their place, silence.

    report = judge(where, catalog, rng=rng)
    print(report.table())

Rows that always stand beside the network's (papers.md §3.3): all ones, a disc in the middle, the
image prior (the same network with the sounds of eight other clips, on average: what it looks at
whatever it hears), the untrained network, and the oracle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.downstream import localization_metrics as metrics
from avssl.downstream.localizer import Localizer, ObjectPrior
from avssl.errors import InputError
from avssl.labels.sounding import Moment, has_truth, moments_of

NUM_PRIOR_SOUNDS = 8
FIGURES = (
    "ciou_at_05",
    "mean_ciou",
    "auc",
    "adaptive_ciou_at_05",
    "mean_adaptive_ciou",
    "hit_rate",
)
PARTS = ("two or more candidates", "off centre")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Maps and truths of one data set, and what follows from them."""

    moments: tuple[Moment, ...]
    truths: tuple[NDArray[np.float64], ...]
    maps: Mapping[str, Sequence[NDArray[np.floating]]]
    """Row → maps, one a moment."""
    strengths: NDArray[np.float32]
    silent_strengths: NDArray[np.float32]
    """With the sound replaced by silence of −60 dB hiss, heard as it is."""
    swapped: tuple[tuple[bool, bool], ...] = ()
    """For every moment with something else in view whose sound could be put in: (the highest place
    is now on the other thing, it was on the source before)."""
    groups: tuple[str, ...] = field(default_factory=tuple)

    def figures(self, row: str, chosen: Sequence[int] | None = None) -> dict[str, float]:
        """Gives the figures of a row, of all or of the chosen moments."""
        index = range(len(self.moments)) if chosen is None else chosen
        return metrics.score_maps(
            [self.maps[row][k] for k in index], [self.truths[k] for k in index]
        ).as_dict()

    def with_others(self) -> list[int]:
        """Gives the moments with something else in view that could sound."""
        return [k for k, one in enumerate(self.moments) if one.others and one.boxes]

    def off_centre(self) -> list[int]:
        """Gives the moments whose source is not in the middle of the picture."""
        middle = metrics.SIDE_PX // 2
        return [k for k, truth in enumerate(self.truths) if truth[middle, middle] == 0]

    def summary(self) -> dict[str, Any]:
        """Gives everything as JSON values."""
        found: dict[str, Any] = {
            "num_moments": len(self.moments),
            "rows": {row: self.figures(row) for row in self.maps},
            "strength": float(np.mean(self.strengths)),
            "silent_strength": float(np.mean(self.silent_strengths)),
            "off_centre_share": len(self.off_centre()) / max(1, len(self.moments)),
            **metrics.with_silent_negatives(
                metrics.score_maps(self.maps["network"], self.truths).ciou,
                self.strengths,
                self.silent_strengths,
            ),
        }
        for name, chosen in zip(PARTS, (self.with_others(), self.off_centre()), strict=True):
            if chosen:
                rows = {row: self.figures(row, chosen) for row in self.maps}
                found[name] = {"num_moments": len(chosen), "rows": rows}
        if self.swapped:
            onto = [now for now, _ in self.swapped]
            found["swapped"] = {
                "num": len(self.swapped),
                "onto_the_other": float(np.mean(onto)),
                "on_the_source_before": float(np.mean([was for _, was in self.swapped])),
            }
        return found


def table(summary: Mapping[str, Any]) -> str:
    """Gives the figures of `Judged.summary` as tables for a page."""
    parts = []
    kinds = [("all", summary)] + [
        (name, summary[name])
        for name in ("two or more candidates", "off centre")
        if name in summary
    ]
    for name, part in kinds:
        head = f"| {name} ({part['num_moments']}) | " + " | ".join(FIGURES) + " |"
        lines = [head, "|---" * (len(FIGURES) + 1) + "|"]
        for row, figures in part["rows"].items():
            shown = " | ".join(f"{figures[figure]:.3f}" for figure in FIGURES)
            lines.append(f"| {row} | {shown} |")
        parts.append("\n".join(lines))
    parts.append(
        f"strength {summary['strength']:.3f}, of silence {summary['silent_strength']:.3f}; "
        f"with silent negatives: average precision {summary['average_precision']:.3f}, "
        f"best F1 {summary['max_f1']:.3f}"
    )
    if "swapped" in summary:
        found = summary["swapped"]
        parts.append(
            f"another visible thing's sound put in ({found['num']} times): the highest place is "
            f"on that thing in {found['onto_the_other']:.1%}"
        )
    return "\n\n".join(parts) + "\n"


def judge(
    where: Localizer,
    catalog: Catalog,
    *,
    rng: np.random.Generator,
    untrained: Localizer | None = None,
    objects: ObjectPrior | None = None,
    per_clip: int = 3,
    on_moment: Callable[[], None] = lambda: None,
) -> Judged:
    """Runs a localizer on every clip that says what sounds in it.

    Args:
        where: the network.
        catalog: the rows to judge on.
        rng: draws the moments' places, the prior's sounds and those put in for others.
        untrained: the same network with first weights.
        objects: adds the rows "object prior" and "with object prior".
        per_clip: moments of each clip of the world, spread evenly over where sound can be cut.
        on_moment: called after each, for a progress bar.

    Raises:
        InputError: no row says what sounds.
    """
    moments = []
    for index in range(len(catalog)):
        row = catalog.row(index)
        if not has_truth(row):
            continue
        found = where.task.row_spots(row)
        places = (np.arange(per_clip) + 0.5) / per_clip * len(found)
        times_s = row.frame_times_s[found[places.astype(int)]].tolist() if len(found) else []
        moments += [one for one in moments_of(index, row, times_s=times_s) if one.boxes]
    if not moments:
        raise InputError(f"{catalog.directory}: no clip says what sounds in it and is in view")
    fetcher = Fetcher(catalog.directory)

    def heard(row: int, time_s: float) -> NDArray[np.float32]:
        start_s = time_s - where.sound_s / 2
        found = fetcher.sound(catalog.row(row), start_s, where.sound_s, where.rate_hz).sound
        assert found is not None
        return found.samples[0]

    prior = [moments[k] for k in rng.integers(0, len(moments), NUM_PRIOR_SOUNDS)]
    prior_sounds = np.stack([heard(one.row, one.time_s) for one in prior])
    by_kind: dict[str, list[Moment]] = {}
    for one in moments:
        by_kind.setdefault(one.name, []).append(one)
    hiss = (1e-3 * rng.standard_normal(round(where.sound_s * where.rate_hz))).astype(np.float32)
    maps: dict[str, list[NDArray[np.floating]]] = {"network": [], "image prior": []}
    if untrained is not None:
        maps["untrained"] = []
    if objects is not None:
        maps |= {"object prior": [], "with object prior": []}
    strengths, silent, swapped, truths = [], [], [], []
    for one in moments:
        truth = (
            metrics.consensus_truth(one.annotators)
            if one.annotators
            else metrics.boxes_truth(one.boxes)
        )
        truths.append(truth)
        clip = fetcher.frames(catalog.row(one.row), (one.time_s,))
        assert clip.frames is not None
        own = heard(one.row, one.time_s)
        sounds = [own, hiss]
        others = [kind for kind in sorted(one.others) if kind in by_kind]
        kind = others[int(rng.integers(len(others)))] if others else ""
        if kind:
            donor = by_kind[kind][int(rng.integers(len(by_kind[kind])))]
            sounds.append(heard(donor.row, donor.time_s))
        stacked = np.concatenate([np.stack(sounds), prior_sounds])
        found, strength = where(np.repeat(clip.frames, len(stacked), axis=0), stacked)
        maps["network"].append(found[0])
        maps["image prior"].append(found[len(sounds) :].mean(axis=0))
        if untrained is not None:
            maps["untrained"].append(untrained(clip.frames, own)[0][0])
        if objects is not None:
            seen = objects(clip.frames[0])
            maps["object prior"].append(seen)
            maps["with object prior"].append(objects.joined(found[0], seen))
        strengths.append(strength[0])
        silent.append(strength[1])
        if kind:
            other = metrics.boxes_truth(one.others[kind])
            swapped.append(
                (metrics.hit(found[2], other) >= 0.5, metrics.hit(found[0], truth) >= 0.5)
            )
        on_moment()
    maps["all ones"] = [metrics.all_ones()] * len(moments)
    maps["centred disc"] = [metrics.centred_disc()] * len(moments)
    maps["oracle"] = [metrics.oracle(truth) for truth in truths]
    return Judged(
        moments=tuple(moments),
        truths=tuple(truths),
        maps=maps,
        strengths=np.array(strengths),
        silent_strengths=np.array(silent),
        swapped=tuple(swapped),
        groups=tuple(catalog.row(one.row).group_id for one in moments),
    )
