"""One layer judged: fitted on the training samples, figures and redraws on those of another split.

    figure            fitted by                  unit that is judged
    mAP               SVM, one against the rest  clip (mean score of its samples); frame of "view"
    mAP 11-point      the same, as VOC07 counts
    SVM top-1         the same
    softmax top-1     softmax regression         clip (mean log-probability)
    R² NAME           ridge                      frame

Of each, what the folds held out inside the training split say is kept too (`held`): layers are
chosen by that and never by the split that is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.downstream import linear
from avssl.downstream import probe_metrics as metrics
from avssl.downstream.probe_truth import ClassTruth

Floats = NDArray[np.float64]
SVM_MAP, SVM_MAP_11, SVM_TOP, SOFTMAX = "mAP", "mAP 11-point", "SVM top-1", "softmax top-1"


@dataclass(frozen=True, kw_only=True)
class Side:
    """The samples of one split: who they are and what is true of them."""

    clips: NDArray[np.int64]
    """int64 [N]: number of each sample's clip."""
    groups: NDArray[np.object_]
    """[N] names: what is never torn apart."""
    classes: ClassTruth | None = None
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    """Name → float64 [N, T]."""

    def of(self, kept: NDArray[np.bool_]) -> "Side":
        """Gives some of the samples, bool [N]."""
        classes = self.classes
        if classes is not None:
            classes = replace(classes, marks=classes.marks[kept], told=classes.told[kept])
        return Side(
            clips=self.clips[kept],
            groups=self.groups[kept],
            classes=classes,
            numbers={name: values[kept] for name, values in self.numbers.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one layer of one network is worth."""

    figures: dict[str, float]
    """On the split that is reported."""
    draws: dict[str, Floats]
    """The same with groups redrawn, float64 [B]."""
    held: dict[str, float]
    """In the folds held out of the training split; NaN where nothing could be held out."""
    chosen: dict[str, Any]
    """Costs and penalties."""
    num_features: int


class Problem:
    """What is asked, the same for every layer of every network."""

    def __init__(self, train: Side, other: Side, *, num_draws: int = metrics.NUM_DRAWS) -> None:
        """Keeps classes that are trained on; `other` loses the others, and samples of them alone.

        Raises:
            InputError: fewer groups to train on than folds.
        """
        self.train, self.other = _known(train, other)
        self.folds = _folds(self.train)
        self._weights = metrics.redrawn(self.other.groups.tolist(), num=num_draws)

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures that all of the training samples give."""
        classes = self.train.classes
        named = [] if classes is None else [SVM_MAP, SVM_MAP_11]
        if classes is not None and classes.single:
            named += [SVM_TOP, SOFTMAX]
        return (*named, *(f"R² {name}" for name in self.train.numbers))

    def judge(self, train: NDArray[np.floating], other: NDArray[np.floating]) -> Judged:
        """Judges features float [N, F] of the training samples and [M, F] of the others."""
        turned = linear.Turned(train)
        return self._judge(turned(train), turned(other), self.train, self.folds, train.shape[1])

    def judge_some(
        self, train: NDArray[np.floating], other: NDArray[np.floating], kept: NDArray[np.bool_]
    ) -> Judged:
        """Judges after fitting on some training samples, bool [N] (label efficiency).

        Costs are chosen among them if every class is in as many groups as there are folds; else
        `linear.FIXED_COST` is taken.
        """
        side = self.train.of(kept)
        turned = linear.Turned(train[kept])
        folds = _folds(side) if _enough(side) else None
        return self._judge(turned(train[kept]), turned(other), side, folds, train.shape[1])

    def _judge(
        self,
        x: Floats,
        z: Floats,
        side: Side,
        folds: NDArray[np.int64] | None,
        num_features: int,
    ) -> Judged:
        found = Judged(figures={}, draws={}, held={}, chosen={}, num_features=num_features)
        if side.classes is not None:
            self._judge_classes(x, z, side, folds, found)
        for name in side.numbers if folds is not None else ():
            truth, right = side.numbers[name], self.other.numbers[name]
            answers, penalty, held = linear.ridge(x, truth, z, folds)  # type: ignore[arg-type]
            self._note(found, f"R² {name}", metrics.determination, (answers, right), held)
            found.chosen[f"R² {name}"] = penalty
        return found

    def _judge_classes(
        self, x: Floats, z: Floats, side: Side, folds: NDArray[np.int64] | None, found: Judged
    ) -> None:
        own, others = side.classes, self.other.classes
        assert own is not None and others is not None
        told, asked = own.told, others.told
        dealt = None if folds is None else folds[told]
        scores, costs, held = linear.svm(x[told], own.marks[told], z[asked], dealt)
        found.chosen[SVM_MAP] = costs
        marks, units = others.marks[asked], np.arange(int(asked.sum()))
        if own.single:
            units = np.unique(self.other.clips[asked], return_index=True)[1]
            scores = _by_clip(scores, self.other.clips[asked])
        weights = self._weights[:, asked][:, units]
        area, eleven = metrics.mean_average_precision(scores, marks[units])
        more, eleven_more = metrics.mean_average_precision(scores, marks[units], weights)
        for name, value, draws in ((SVM_MAP, area, more), (SVM_MAP_11, eleven, eleven_more)):
            found.figures[name], found.draws[name] = float(value), np.atleast_1d(draws)
            found.held[name] = held
        if not own.single:
            return
        classes = others.classes[asked][units]
        self._note_share(found, SVM_TOP, scores.argmax(axis=1) == classes, weights, held)
        logs, cost, held_top = linear.softmax(
            x[told], own.classes[told], z[asked], dealt, num_classes=len(own.names)
        )
        found.chosen[SOFTMAX] = cost
        logs = _by_clip(np.maximum(logs, -1e6), self.other.clips[asked])
        self._note_share(found, SOFTMAX, logs.argmax(axis=1) == classes, weights, held_top)

    def _note_share(
        self, found: Judged, name: str, right: NDArray[np.bool_], weights: Floats, held: float
    ) -> None:
        found.figures[name] = float(metrics.share(right))
        found.draws[name] = np.atleast_1d(metrics.share(right, weights))
        found.held[name] = held

    def _note(
        self, found: Judged, name: str, figure: Any, given: tuple[Any, ...], held: float
    ) -> None:
        found.figures[name] = float(figure(*given))
        found.draws[name] = np.atleast_1d(figure(*given, self._weights))
        found.held[name] = held

    def trivial(self) -> Judged:
        """Judges blind answers: the most frequent class, the training mean of every number."""
        found = Judged(figures={}, draws={}, held={}, chosen={}, num_features=0)
        own, others = self.train.classes, self.other.classes
        if own is not None and others is not None:
            asked = others.told
            units = np.arange(int(asked.sum()))
            if own.single:
                units = np.unique(self.other.clips[asked], return_index=True)[1]
            weights = self._weights[:, asked][:, units]
            marks = others.marks[asked][units]
            blind = np.broadcast_to(own.marks[own.told].mean(axis=0), marks.shape)
            values = metrics.mean_average_precision(blind, marks)
            more = metrics.mean_average_precision(blind, marks, weights)
            for k, name in enumerate((SVM_MAP, SVM_MAP_11)):
                found.figures[name], found.draws[name] = float(values[k]), np.atleast_1d(more[k])
            if own.single:
                right = blind.argmax(axis=1) == others.classes[asked][units]
                for name in (SVM_TOP, SOFTMAX):
                    self._note_share(found, name, right, weights, float("nan"))
        for name, truth in self.train.numbers.items():
            right = self.other.numbers[name]
            blind = np.broadcast_to(np.nanmean(truth, axis=0), right.shape)
            self._note(found, f"R² {name}", metrics.determination, (blind, right), float("nan"))
        return found


def _by_clip(values: Floats, clips: NDArray[np.int64]) -> Floats:
    """Gives the mean of each clip's rows, in the order of the clips' numbers."""
    _, which = np.unique(clips, return_inverse=True)
    sums = np.zeros((int(which.max()) + 1, values.shape[1]))
    np.add.at(sums, which, values)
    return sums / np.bincount(which)[:, None]


def _folds(side: Side) -> NDArray[np.int64]:
    classes = side.classes
    usable = classes is not None and classes.single and classes.told.all()
    return linear.deal(side.groups.tolist(), classes.classes if usable and classes else None)


def _enough(side: Side) -> bool:
    if len(set(side.groups.tolist())) < linear.NUM_FOLDS:
        return False
    marks = None if side.classes is None else side.classes.marks
    return marks is None or all(
        len(set(side.groups[marks[:, k]].tolist())) >= linear.NUM_FOLDS
        for k in range(marks.shape[1])
        if marks[:, k].any()
    )


def _known(train: Side, other: Side) -> tuple[Side, Side]:
    numbers = [
        name
        for name, values in train.numbers.items()
        if name in other.numbers
        and len(set(train.groups[np.isfinite(values).all(axis=1)].tolist())) >= linear.NUM_FOLDS
        and np.isfinite(other.numbers[name]).all(axis=1).sum() >= 2
    ]
    sides = []
    kept: Any = None
    if train.classes is not None:
        kept = train.classes.marks[train.classes.told].any(axis=0)
    for side in (train, other):
        classes = side.classes
        if classes is not None and kept is not None:
            marks = classes.marks[:, kept]
            told = classes.told & (marks.any(axis=1) if classes.single else True)
            names = tuple(name for name, own in zip(classes.names, kept, strict=True) if own)
            classes = replace(classes, marks=marks, told=told, names=names)
            if len(names) < 2 or not told.any():
                classes = None
        own = {name: side.numbers[name] for name in numbers}
        sides.append(replace(side, classes=classes, numbers=own))
    if any(side.classes is None for side in sides):
        sides = [replace(side, classes=None) for side in sides]
    return sides[0], sides[1]


def draw_labels(side: Side, wanted: str, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draws the clips whose labels are known, bool [N]: "5" (five clips a class) or "10%".

    A share takes that part of each class's clips, one at least; of "view" that part of all clips.
    """
    firsts = np.unique(side.clips, return_index=True)[1]
    clips = side.clips[firsts]
    classes = side.classes
    if classes is not None and classes.single:
        told = classes.told[firsts]
        pools = [clips[told & classes.marks[firsts, k]] for k in range(len(classes.names))]
    else:
        pools = [clips]
    chosen: list[int] = []
    for pool in pools:
        count = int(wanted) if not wanted.endswith("%") else 0
        count = count or max(1, round(float(wanted[:-1] or 0) / 100 * len(pool)))
        chosen += rng.permutation(pool)[:count].tolist()
    return np.isin(side.clips, chosen)


def best_layers(judged: Mapping[str, Judged]) -> dict[str, str]:
    """Gives for each figure the layer that the training folds choose (the earliest of equals)."""
    names: Sequence[str] = list(judged)
    found = {}
    for figure in judged[names[0]].figures:
        values = [judged[name].held[figure] for name in names]
        found[figure] = names[int(np.nan_to_num(values, nan=-np.inf).argmax())]
    return found
