"""`avssl eval normals RUN --data D`: surface normals of held-out pictures, beside blind guesses.

The blind rows come from the training split: the best single direction, and the mean direction at
each place. Intervals: 95 %, from draws of whole groups (scenes, videos).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.catalog import Catalog
from avssl.downstream import normal_metrics as metrics
from avssl.downstream.normals import Normals, coded_picture
from avssl.errors import InputError
from avssl.model.normals import angles, decoded
from avssl.progress import progress_bar
from avssl.run import dense_rows
from avssl.transform.tiles import tiled, write_png

CONSTANT, PLACES = "trivial: one direction", "trivial: mean of each place"
_SHOWN = 6
_MOST_TRAINING = 2000
Columns = dict[str, NDArray[np.float64]]


def evaluate_normals(
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
        run: folder of a run of `avssl train normals`.
        data: pictures with normals.
        rows: name → further runs, which see pictures of the same size.
        split: what is judged.
        max_pictures: only so many, evenly spread; 0: all.
        picture: PNG to write, some pictures with answers beside the truth.
        quiet: no progress bar.

    Raises:
        InputError: no such run, or no picture with normals in the split.
    """
    runs = {"network": run, **(rows or {})}
    loaded = [dense_rows.load_row(name, path, Normals) for name, path in runs.items()]
    first: Normals = loaded[0].task
    for other in loaded[1:]:
        if other.task.shown_px != first.shown_px:
            raise InputError(
                f"row {other.name}: sees {other.task.shown_px} px, the network {first.shown_px}; "
                "rows must see the same"
            )
    whole = Catalog.read(data)
    catalog = whole.select(split=split)
    chosen = dense_rows.spread(first.items(catalog), max_pictures)
    groups = np.array([catalog.row(int(k)).group_id for k in chosen])
    found: dict[str, Columns] = {}
    with progress_bar(
        "normals", total=len(loaded) * len(chosen), unit="picture", quiet=quiet
    ) as bar:
        shown: dict[str, list[Any]] = {}
        for row in loaded:
            found[row.name] = _judged(row, catalog, chosen, bar, shown)
    found |= _blind(first, whole, catalog, chosen)
    if picture is not None:
        _draw(picture, shown, list(runs))
    figures = {name: metrics.figures_of(columns) for name, columns in found.items()}
    intervals = {
        name: metrics.intervals_of(columns, groups, rng=np.random.default_rng(0))
        for name, columns in found.items()
    }
    return {
        "kind": "normals",
        "title": f"Surface normals of {len(chosen)} {split} pictures",
        "data": str(data),
        "split": split,
        "num_pictures": len(chosen),
        "num_groups": len(set(groups.tolist())),
        "encoder": loaded[0].encoder,
        "tune": first.tune,
        "size_px": list(first.shown_px),
        "rows": dense_rows.with_missing(figures, "normals"),
        "intervals": {name: own for name, own in intervals.items() if own},
        "metric": "mean_deg",
        "better": "lower",
        "pictures": [] if picture is None else [picture.name],
        "alts": {}
        if picture is None
        else {
            picture.name: f"{_SHOWN} pictures, each beside its true normals as colours and the "
            f"answers of {', '.join(runs)}; black: unknown"
        },
        "note": "Angles between answer and truth over all known pixels; within_11, _22 and _30 are "
        "the shares below 11.25, 22.5 and 30 degrees. A network that is not better than the mean "
        "of each place has learned where floors are, and no more.",
    }


def _judged(
    row: dense_rows.TrainedRow,
    catalog: Catalog,
    chosen: NDArray[np.int64],
    bar: Any,
    shown: dict[str, list[Any]],
) -> Columns:
    parts: list[dict[str, Tensor]] = []
    drawn = set(dense_rows.spread(chosen, _SHOWN).tolist())
    for part, batch, out in dense_rows.answers(row, catalog, chosen, bar):
        truth, known = decoded(batch["normals"])
        parts.append(metrics.counts_of(angles(out["normals"].float(), truth), known))
        for place in [k for k, index in enumerate(part) if int(index) in drawn]:
            shown.setdefault(row.name, []).append(coded_picture(out["normals"])[place])
            if row.name == "network":
                shown.setdefault("picture", []).append(batch["frames"][place].numpy())
                shown.setdefault("truth", []).append(batch["normals"][place].numpy())
    return {name: torch.cat([one[name] for one in parts]).numpy() for name in parts[0]}


def _blind(
    task: Normals, whole: Catalog, catalog: Catalog, chosen: NDArray[np.int64]
) -> dict[str, Columns]:
    """Gives the columns of both blind guesses; {} where there is no training split."""
    training = whole.select(split="train")
    try:
        rows = dense_rows.spread(task.items(training), _MOST_TRAINING)
    except InputError:
        return {}
    guesses = dict(zip((CONSTANT, PLACES), task.mean_normals(training, rows), strict=True))
    parts: dict[str, list[dict[str, Tensor]]] = {name: [] for name in guesses}
    for coded in task.truths(catalog, chosen):
        truth, known = decoded(torch.from_numpy(coded)[None])
        for name, guess in guesses.items():
            each = angles(torch.from_numpy(guess)[None], truth)
            parts[name].append(metrics.counts_of(each, known))
    return {
        name: {key: torch.cat([one[key] for one in own]).numpy() for key in own[0]}
        for name, own in parts.items()
    }


def _draw(path: Path, shown: dict[str, list[Any]], names: Sequence[str]) -> None:
    columns = ["picture", "truth", *names]
    rows = [
        [np.ascontiguousarray(shown[name][k].transpose(1, 2, 0)) for name in columns]
        for k in range(len(shown["picture"]))
    ]
    write_png(path, tiled(rows, columns, grow=-(-240 // rows[0][0].shape[1])))


def command(arguments: Sequence[str]) -> int:
    """`avssl eval normals`.

    Raises:
        InputError: see `evaluate_normals`.
    """
    out, summary = dense_rows.run_command("normals", __doc__, arguments, evaluate_normals)
    dense_rows.write_result(out, summary, metrics.NAMES)
    return 0
