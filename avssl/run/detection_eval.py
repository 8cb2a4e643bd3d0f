"""`avssl eval detection RUN --data D`: things found in held-out pictures, beside constant boxes.

voc07_map is VOC2007's mean average precision at 0.5 (eleven points, ignored things neither right
nor wrong), coco_map COCO's over 0.5 to 0.95. The blind rows answer every picture with the same
boxes, taken from the training split. Intervals: 95 %, from draws of whole groups (videos).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.downstream import detection_data as labels
from avssl.downstream import detection_metrics as metrics
from avssl.downstream.detection import Detection
from avssl.downstream.detection_drawing import with_answers, with_truth
from avssl.downstream.detection_floors import constant_boxes, mean_boxes
from avssl.downstream.detection_metrics import Truth
from avssl.errors import InputError
from avssl.progress import progress_bar
from avssl.run import dense_rows
from avssl.transform.tiles import tiled, write_png

BLIND = {"trivial: mean box of each class": mean_boxes, "trivial: constant boxes": constant_boxes}
NAMES = ("voc07_map", "coco_map", "coco_map_50", "coco_map_75")
_SHOWN = 6
_NUM_RESAMPLES = 200
_MOST_TRAINING = 5000


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a row said of all pictures."""

    found: list[NDArray[np.float64]]
    """Detections [D, 6] of each picture."""
    truths: list[Truth]

    def states(self) -> list[NDArray[np.int64]]:
        """Says of each detection whether it is right, by VOC's rule."""
        return [metrics.judged(f, t) for f, t in zip(self.found, self.truths, strict=True)]


def figures_of(
    said: Judged, names: Sequence[str], groups: NDArray[Any]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Gives a row's figures, each class's VOC2007 precision as "ap NAME", and intervals."""
    states = said.states()
    counts = np.stack([labels.counts_of([truth], len(names)) for truth in said.truths])
    each = metrics.voc_precisions(said.found, states, counts.sum(axis=0))
    figures = {"voc07_map": metrics.mean_precision(each)}
    figures |= metrics.coco_figures(said.found, said.truths)
    figures |= {f"ap {name}": float(value) for name, value in zip(names, each, strict=True)}
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(_NUM_RESAMPLES if len(members) > 1 else 0):
        chosen = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        resampled = metrics.voc_precisions(
            [said.found[k] for k in chosen],
            [states[k] for k in chosen],
            counts[chosen].sum(axis=0),
        )
        # a class that a draw leaves out keeps its figure: else rare, hard ones would drop out
        drawn.append(metrics.mean_precision(np.where(np.isfinite(resampled), resampled, each)))
    drawn = [value for value in drawn if np.isfinite(value)]
    intervals = {}
    if drawn:
        intervals["voc07_map"] = [float(v) for v in np.percentile(drawn, [2.5, 97.5])]
    return {k: v for k, v in figures.items() if np.isfinite(v)}, intervals


def evaluate_detection(
    run: str | Path,
    data: str | Path,
    *,
    rows: Mapping[str, str] | None = None,
    split: str = "test",
    max_pictures: int = 0,
    picture: Path | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives the figures of a run and of others beside it; see the file's head.

    Args:
        run: folder of a run of `avssl train detection`.
        data: pictures with boxes of the same classes.
        rows: name → further runs.
        split: what is judged.
        max_pictures: only so many, evenly spread; 0: all.
        picture: PNG to write, some pictures with answers beside the truth.
        quiet: no progress bar.

    Raises:
        InputError: no such run, other classes, or no picture with boxes in the split.
    """
    runs = {"network": run, **(rows or {})}
    loaded = [dense_rows.load_row(name, path, Detection) for name, path in runs.items()]
    whole = Catalog.read(data)
    names, most = labels.read_classes(whole)
    for row in loaded:
        if row.task.classes != names:
            raise InputError(
                f"{data}: classes {', '.join(names[:4])}…, {row.name} knows "
                f"{', '.join(row.task.classes[:4])}…"
            )
        if row.task.max_boxes < most:
            raise InputError(
                f"{data}: up to {most} things in a picture, {row.name} was trained for "
                f"{row.task.max_boxes}; train it with --task.max-boxes {most}"
            )
    first: Detection = loaded[0].task
    catalog = whole.select(split=split)
    chosen = dense_rows.spread(first.items(catalog), max_pictures)
    groups = np.array([catalog.row(int(k)).group_id for k in chosen])
    found: dict[str, Judged] = {}
    shown: list[list[Any]] = []
    with progress_bar(
        "detection", total=len(loaded) * len(chosen), unit="picture", quiet=quiet
    ) as bar:
        for row in loaded:
            found[row.name] = _judged(row, catalog, chosen, bar, shown)
    found |= _blind(first, whole, catalog, chosen)
    if picture is not None:
        write_png(picture, tiled(shown, ["truth", *runs]))
    both = {name: figures_of(said, names, groups) for name, said in found.items()}
    truths = found["network"].truths
    counts = labels.counts_of(truths, len(names))
    return {
        "kind": "detection",
        "title": f"Things found in {len(chosen)} {split} pictures",
        "data": str(data),
        "split": split,
        "num_pictures": len(chosen),
        "num_groups": len(set(groups.tolist())),
        "num_things": {name: int(count) for name, count in zip(names, counts, strict=True)},
        "num_ignored": int(sum(truth.ignored.sum() for truth in truths)),
        "encoder": loaded[0].encoder,
        "tune": first.tune,
        "canvas_px": [first.width_px, first.height_px],
        "rows": dense_rows.with_missing({n: own for n, (own, _) in both.items()}, "detection"),
        "intervals": {name: own for name, (_, own) in both.items() if own},
        "metric": "voc07_map",
        "better": "higher",
        "pictures": [] if picture is None else [picture.name],
        "alts": {}
        if picture is None
        else {
            picture.name: f"{len(shown)} pictures with the true boxes, each beside the answers of "
            f"{', '.join(runs)} with a score of 0.3 or more"
        },
        "note": "voc07_map: mean over classes of the eleven-point average precision at an overlap "
        "of 0.5. The blind rows give every picture the same boxes; what is not above them has "
        "found nothing.",
    }


def _judged(
    row: dense_rows.TrainedRow,
    catalog: Catalog,
    chosen: NDArray[np.int64],
    bar: Any,
    shown: list[list[Any]],
) -> Judged:
    found: list[NDArray[np.float64]] = []
    truths: list[Truth] = []
    drawn = dense_rows.spread(chosen, _SHOWN).tolist()
    names = row.task.classes
    for part, batch, out in dense_rows.answers(row, catalog, chosen, bar):
        answers, own = row.task.answers(out), labels.truths_of(batch)
        for place in [k for k, index in enumerate(part) if int(index) in drawn]:
            seen, line = batch["frames"][place].numpy(), drawn.index(int(part[place]))
            if line == len(shown):
                shown.append([with_truth(seen, own[place], names)])
            shown[line].append(with_answers(seen, answers[place], names))
        found += list(answers)
        truths += own
    return Judged(found=found, truths=truths)


def _blind(
    task: Detection, whole: Catalog, catalog: Catalog, chosen: NDArray[np.int64]
) -> dict[str, Judged]:
    """Gives what both blind guesses say; {} where there is no training split."""
    training = whole.select(split="train")
    try:
        rows = dense_rows.spread(task.items(training), _MOST_TRAINING)
    except InputError:
        return {}
    known = task.standing_truths(training, rows)
    truths = task.standing_truths(catalog, chosen)
    return {
        name: Judged(found=[guess(known, len(task.classes))] * len(truths), truths=truths)
        for name, guess in BLIND.items()
    }


def command(arguments: Sequence[str]) -> int:
    """`avssl eval detection`.

    Raises:
        InputError: see `evaluate_detection`.
    """
    out, summary = dense_rows.run_command("detection", __doc__, arguments, evaluate_detection)
    present = [f"ap {name}" for name, count in summary["num_things"].items() if count]
    dense_rows.write_result(out, summary, [*NAMES, *present])
    return 0
