"""Tables and curves of `avssl eval probe`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.downstream.linear import NUM_FOLDS
from avssl.files import replacing

Values = Mapping[str, float]
COLORS = {"network": "#0b6fb8", "untrained": "#7f7f7f", "imagenet": "#d1660a"}
"""Row → colour, the same in every figure."""
_MARKS = {"network": "o", "untrained": "s", "imagenet": "^"}
_FLAT = (":", "--", "-.")
_LEAST_WIDTH = 6.0
"""Inches of a figure: three names of the legend have room beside each other."""
_LOWEST, _TOP, _ROOM = -0.2, 0.3, 0.03
"""R² below the first is drawn there, with a mark that points down: how wrong it is says nothing
more. Its axis reaches up to the second at least, so that noise around 0 does not fill a panel."""


def number(value: Any, span: Sequence[float] | None = None) -> str:
    """Gives a figure with its interval for a cell of a table."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    shown = f"{value:.3f}"
    return shown + (f" [{span[0]:.3f}, {span[1]:.3f}]" if span else "")


def table(summary: Mapping[str, Any]) -> str:
    """Gives the figures as tables for a page: rows at their own layers, layers, labels, steps."""
    names = summary["metrics"]
    lines = [
        f"{summary['num_clips']} clips of {summary['split']}, {summary['num_train_clips']} to fit; "
        f"each figure at the layer that the training folds choose; {over_groups(summary)}",
        *_left_out(summary),
        *_not_judged(summary),
        "",
        "| row | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row, figures in summary["rows"].items():
        if "not run" in figures:
            lines.append(f"| {row} | not run: {figures['not run']} |" + " |" * (len(names) - 1))
            continue
        spans, layers = summary["intervals"].get(row, {}), summary["layers"].get(row, {})
        cells = []
        for name in names:
            at = layers.get(name, row)
            cells.append(number(figures.get(name), spans.get(name)) + f" {at if at != row else ''}")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    for row, layers in summary["curve"].items():
        if len(layers) < 2:
            continue
        lines += ["", f"| {row}, layer | numbers | " + " | ".join(names) + " |"]
        lines.append("|---" * (len(names) + 2) + "|")
        for layer, figures in layers.items():
            cells = [number(figures.get(name)) for name in names]
            size = summary["num_features"][row][layer]
            lines.append(f"| {layer} | {size} | " + " | ".join(cells) + " |")
    for key, title in (("labels", "labels"), ("steps", "steps")):
        for row, each in summary.get(key, {}).items():
            if not each:
                continue
            spans = summary.get(f"{key}_intervals", {}).get(row, {})
            lines += ["", f"| {row}, {title} | " + " | ".join(names) + " |"]
            lines.append("|---" * (len(names) + 1) + "|")
            for place, figures in each.items():
                own = spans.get(place, {})
                cells = [number(figures.get(name), own.get(name)) for name in names]
                lines.append(f"| {place} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _left_out(summary: Mapping[str, Any]) -> list[str]:
    judged = summary["num_judged_clips"]
    if not summary["classes"] or judged == summary["num_clips"]:
        return []
    return ["", f"Classes are judged on {judged} clips: the others have none, or one without a "
            "training clip."]  # fmt: skip


def _not_judged(summary: Mapping[str, Any]) -> list[str]:
    """Gives a line about numbers of labels that are too few for some figures, or for all."""
    lack = summary.get("labels_lack", {})
    if not lack:
        return []
    each = []
    for wanted, names in lack.items():
        every = set(names) >= set(summary["metrics"])
        each.append(f"{wanted}: " + ("no figure" if every else f"no {', '.join(names)}"))
    return ["", f"Too few labels: --labels {'; '.join(each)}. What is told by numbers needs clips "
            f"of {NUM_FOLDS} groups in every draw, so that a penalty can be chosen: ask for more, "
            "as in --labels 50%."]  # fmt: skip


def over_groups(summary: Mapping[str, Any]) -> str:
    """Gives what the intervals are; one group alone tells none: there is nothing to redraw."""
    return "95 % over groups" if summary["num_groups"] > 1 else "one group: no interval"


def _panels(count: int, plt: Any) -> tuple[Any, list[Any]]:
    columns = min(3, count)
    rows = -(-count // columns)
    size = (max(3.7 * columns + 0.4, _LEAST_WIDTH), 3.0 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    flat = list(axes.ravel())
    for one in flat[count:]:
        one.axis("off")
    return figure, flat[:count]


def draw_curves(
    path: str | Path,
    curves: Mapping[str, Mapping[str, Values]],
    *,
    metrics: Sequence[str],
    spans: Mapping[str, Any],
    flat: Mapping[str, Values],
    xlabel: str,
    places: Mapping[str, Sequence[float]] | None = None,
    log: bool = False,
) -> None:
    """Draws a panel a figure, a line a row with its interval, flat rows as straight lines.

    Args:
        path: .png.
        curves: row → place ("res4", "5", "1000") → figures.
        metrics: what gets a panel.
        spans: row → place → figure → (low, high).
        flat: row → figures that do not depend on the place.
        xlabel: what the places are.
        places: row → where each place stands; None: see `columns_of`.
        log: places on a logarithmic scale.
    """
    import matplotlib.pyplot as plt

    figure, panels = _panels(len(metrics), plt)
    columns = columns_of({row: list(each) for row, each in curves.items()})
    for axes, metric in zip(panels, metrics, strict=True):
        lowest = _LOWEST if metric.startswith("R²") else 0.0
        for row, each in curves.items():
            shown = [place for place in each if metric in each[place]]
            if not shown:
                continue
            where = dict(zip(each, places[row], strict=True)) if places else columns[row]
            x = [where[place] for place in shown]
            y = [max(each[place][metric], lowest) for place in shown]
            color, mark = COLORS.get(row, "#2a8a4a"), _MARKS.get(row, "D")
            axes.plot(x, y, mark + "-", color=color, label=row, markersize=4, linewidth=1.4)
            below = [k for k, place in enumerate(shown) if each[place][metric] < lowest]
            at = [x[k] for k in below]
            axes.plot(at, [lowest] * len(at), "v", color=color, markersize=9, fillstyle="none")
            own = spans.get(row, {})
            both: Any = [own.get(place, {}).get(metric) for place in shown]
            if all(both):
                axes.fill_between(
                    x,
                    [max(one[0], lowest) for one in both],
                    [max(one[1], lowest) for one in both],
                    color=color,
                    alpha=0.13,
                    linewidth=0,
                )
        for style, (row, figures) in zip(_FLAT, flat.items(), strict=False):
            if metric in figures:
                value = max(figures[metric], lowest)
                axes.axhline(value, linestyle=style, color="0.35", linewidth=1, label=row)
        axes.set_title(metric, fontsize=10)
        if metric.startswith("R²"):
            axes.set_ylim(_LOWEST - _ROOM, max(_TOP, min(1.0, axes.get_ylim()[1])))
        axes.grid(alpha=0.3)
        if log:
            axes.set_xscale("log")
            axes.minorticks_off()
        _ticks(axes, curves, places)
    for axes in panels[-min(3, len(panels)) :]:
        axes.set_xlabel(xlabel, fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=5 if len(panels) > 1 else 3,
        frameon=False, fontsize=9,
    )  # fmt: skip
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)


def columns_of(names: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Gives where the layers of several networks stand beside each other: row → name → place.

    Layers of one name stand below each other where one of the networks has all the names; else
    each row goes from 0 to 1 by depth.
    """
    longest = max(names.values(), key=len)
    alike = all(set(own) <= set(longest) for own in names.values())
    return {
        row: {
            name: (longest.index(name) if alike else place)
            / max(1, len(longest if alike else own) - 1)
            for place, name in enumerate(own)
        }
        for row, own in names.items()
    }


def _ticks(axes: Any, curves: Mapping[str, Any], places: Mapping[str, Any] | None) -> None:
    rows = {row: list(each) for row, each in curves.items()}
    first = next(iter(rows))
    ticks = dict(zip(rows[first], places[first], strict=True)) if places else {}
    for own in () if places else columns_of(rows).values():
        if not ticks or (len(own) > len(ticks) and set(ticks) <= set(own)):
            ticks = own
    if len(ticks) <= 10:
        axes.set_xticks(list(ticks.values()), list(ticks))
    axes.tick_params(labelsize=8)
    if len("".join(ticks)) > 32 and len(ticks) <= 10:
        axes.tick_params(axis="x", rotation=40)
