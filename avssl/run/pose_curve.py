"""`avssl pose curve`: how many labels does it take, from which initial weights?"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.config import config_from_recipe
from avssl.errors import InputError
from avssl.files import replacing, write_json, write_text
from avssl.run.pose_grid import Setting, search
from avssl.run.pose_study import floors_as_markdown, run_floors
from avssl.run.pose_tables import Line, as_markdown, summarise

RATES = (1e-3, 2e-3, 4e-3, 8e-3)


def draw_curve(
    lines: Sequence[Line],
    path: str | Path,
    *,
    all_labels: int,
    floors: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draws PCK against the number of labels, a line a row, with 95 % intervals over seeds.

    `floors` (see `run_floors`) are dashed.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    styles = ("o-", "s-", "^-", "D-", "v-", "P-", "X-")
    names = {line: ", ".join(_differing(line, lines)) for line in lines}
    for number, name in enumerate(dict.fromkeys(names.values())):
        own = sorted(
            ((line.num_labels or all_labels, line) for line in lines if names[line] == name),
            key=lambda pair: pair[0],
        )
        counts = [count for count, _ in own]
        means = [line.mean for _, line in own]
        drawn = axes.plot(counts, means, styles[number % len(styles)], label=name, markersize=5)
        low = [line.interval[0] for _, line in own]
        high = [line.interval[1] for _, line in own]
        axes.fill_between(counts, low, high, color=drawn[0].get_color(), alpha=0.15, linewidth=0)
    for shade, kind in zip(
        ("0.3", "0.5", "0.7"), dict.fromkeys(one["kind"] for one in floors), strict=False
    ):
        values: dict[int, list[float]] = {}
        for one in floors:
            if one["kind"] == kind:
                values.setdefault(one["num_labels"] or all_labels, []).append(one["test"])
        counts = sorted(values)
        means = [sum(values[count]) / len(values[count]) for count in counts]
        axes.plot(counts, means, "--", marker=".", color=shade, label=kind, linewidth=1)
    axes.set_xscale("log")
    counts = sorted({line.num_labels or all_labels for line in lines})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("labelled pictures")
    axes.set_ylabel("PCK on the test split")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)


def as_result(
    lines: Sequence[Line], floors: Sequence[Mapping[str, Any]], *, data: str
) -> dict[str, Any]:
    """Gives the curve in the form of an evaluator's result (`avssl.run.results`)."""
    rows: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        name, column = ", ".join(_differing(line, lines)), f"{line.num_labels or 'all'} labels"
        rows.setdefault(name, {})[column] = line.mean
        if all(map(math.isfinite, line.interval)):
            intervals.setdefault(name, {})[column] = list(line.interval)
    for kind, num in dict.fromkeys((one["kind"], one["num_labels"]) for one in floors):
        values = [one["test"] for one in floors if (one["kind"], one["num_labels"]) == (kind, num)]
        own = rows.setdefault(f"trivial: {kind}", {})
        own[f"{num or 'all'} labels"] = sum(values) / len(values)
    return {
        "kind": "pose curve",
        "title": "Joints from few labels",
        "data": data,
        "split": "test",
        "rows": rows,
        "intervals": intervals,
        "metric": f"{max(line.num_labels for line in lines) or 'all'} labels" if lines else "",
        "better": "higher",
        "pictures": ["curve.png"],
        "alts": {"curve.png": "PCK on the test split against the number of labelled pictures"},
        "note": "Mean PCK over seeds, 95 % by Student's t.",
    }


def _differing(line: Line, lines: Sequence[Line]) -> list[str]:
    """Gives what tells a row from the others: its name, and tune and layer where they differ."""
    found = [line.row]
    if len({other.tune for other in lines}) > 1:
        found.append(line.tune)
    if len({other.layer for other in lines}) > 1:
        found.append(line.layer or "last")
    return found


def command(arguments: Sequence[str]) -> int:
    """`avssl pose curve`.

    Raises:
        InputError: a row without "=", or what training refuses.
    """
    parser = argparse.ArgumentParser(
        prog="avssl pose curve",
        description="Trains keypoints from several initial weights on several numbers of labels, "
        "several seeds and the same search of the learning rate each; writes a table and a curve. "
        "Stop it at any moment: the same command goes on.",
    )
    parser.add_argument("--data", required=True, metavar="D", help="labelled data set")
    parser.add_argument("--out", required=True, metavar="DIR", help="where results go")
    parser.add_argument(
        "--init", nargs="+", default=["random="], metavar="NAME=REF",
        help="initial weights: random= (fresh for each seed), ours=RUN, "
        "imagenet=timm:NAME, other=fresh:NAME (fresh weights of that network); several REFs with "
        "commas are taken one for each seed",
    )  # fmt: skip
    parser.add_argument("--vision", default="", help="network of rows without a REF (the recipe's)")
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--labels", nargs="+", type=int, default=[10, 25, 50, 100, 0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", nargs="+", type=float, default=list(RATES))
    parser.add_argument(
        "--search-seeds", type=int, default=0,
        help="try every rate on this many seeds, the best one on the rest (0: all rates on all)",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--tune", nargs="+", choices=("full", "frozen"), default=["full"])
    parser.add_argument("--layer", nargs="+", default=[], help="layers of the encoder (recipe's)")
    parser.add_argument(
        "--workers", type=int, default=1, help="runs beside each other, a core each"
    )
    parser.add_argument("--no-floors", action="store_true", help="no regressions beside the rows")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(arguments))
    from avssl.catalog import Catalog
    from avssl.downstream.keypoints_data import first_labels

    rows: dict[str, list[str]] = {}
    for text in options.init:
        name, found, refs = text.partition("=")
        if not found or not name:
            raise InputError(f"--init {text!r}: write NAME=REF, or NAME= for fresh weights")
        rows[name] = [ref for ref in refs.split(",") if ref]
    recipe = config_from_recipe("keypoints", options.recipe, data=options.data, out=options.out)
    changes = {"vision": options.vision} if options.vision else {}
    setting = Setting(
        data=str(Path(options.data).absolute()),
        recipe=options.recipe,
        steps=options.steps,
        changes=changes,
    )
    Catalog.read(options.data)  # a mistake there is said before a bar is drawn
    out = Path(options.out)
    results = search(
        rows,
        setting,
        out,
        labels=options.labels,
        seeds=range(options.seeds),
        rates=options.lr,
        num_search_seeds=options.search_seeds,
        tunes=options.tune,
        layers=options.layer or (recipe.task.layer,),
        num_processes=options.workers,
        quiet=options.quiet,
    )
    searched = range(options.seeds)[: options.search_seeds or None]
    lines, floors = summarise(results, search_seeds=searched), []
    if not options.no_floors:
        floors = run_floors(
            Path(options.data), out, labels=options.labels, seeds=range(options.seeds)
        )
    all_labels = len(first_labels(Catalog.read(options.data).select(split="train"), 0, seed=0))
    draw_curve(lines, out / "curve.png", all_labels=all_labels, floors=floors)
    table = as_markdown(lines) + ("\n" + floors_as_markdown(floors) if floors else "")
    write_text(out / "curve.md", table)
    write_json(out / "curve.json", as_result(lines, floors, data=options.data))
    print(table)
    print(f"{out}/curve.png, {out}/curve.md, {out}/curve.json")
    return 0
