"""Curves for the report: from the lines of metrics.jsonl to points in a small SVG picture.

The template draws them; here is only arithmetic, so that light, dark and print need no second
picture and every text in it is escaped like all others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 26.0
"""Units of the SVG's own coordinates; text is 11 of them high."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve, ready to be drawn."""

    split: str
    points: str
    """SVG coordinates "x,y x,y …"."""
    last: str
    """Its last value, for people who read rather than see."""
    last_value: float
    last_line: int
    """Line of metrics.jsonl that holds it, from 1."""
    end: tuple[float, float]
    """Where it ends."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One metric over the steps."""

    name: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    blind_y: float | None
    """Height of the best blind guess, where it is known and in view."""
    summary: str
    """The chart in words, for screen readers."""


def number(value: Any) -> str:
    """Gives a number with four digits that count, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def charts(lines: Sequence[Mapping[str, Any]], trivial: Mapping[str, float]) -> list[Chart]:
    """Draws every metric of a run: the loss first, then what has a blind guess, then the rest.

    Args:
        lines: the lines of metrics.jsonl: {"step": …, "split": …, name: value, …}.
        trivial: name → score of the best blind guess.
    """
    series: dict[str, dict[str, list[tuple[float, float, int]]]] = {}
    for place, line in enumerate(lines, start=1):
        step, split = line.get("step"), str(line.get("split", ""))
        for name, value in line.items():
            if name in ("step", "split") or isinstance(value, bool):
                continue
            if isinstance(value, (int, float)) and isinstance(step, (int, float)):
                points = series.setdefault(name, {}).setdefault(split, [])
                if math.isfinite(value):
                    points.append((float(step), float(value), place))
    names = sorted(series, key=lambda name: (name != "loss", name not in trivial))
    found = [_chart(name, series[name], trivial.get(name)) for name in names]
    return [chart for chart in found if chart is not None]


def _chart(
    name: str, splits: Mapping[str, list[tuple[float, float, int]]], blind: float | None
) -> Chart | None:
    points = [point for line in splits.values() for point in line]
    if not points:
        return None
    values = [value for _, value, _ in points]
    if blind is not None and math.isfinite(blind):
        values.append(blind)
    x_ticks = _ticks(min(0.0, *(step for step, *_ in points)), max(step for step, *_ in points), 4)
    y_ticks = _ticks(min(values), max(values), 4)
    low, high = min(*y_ticks, *values), max(*y_ticks, *values)
    first, last = x_ticks[0], max(x_ticks[-1], *(step for step, *_ in points))

    def x(step: float) -> float:
        return round(LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = tuple(
        Line(
            split=split,
            points=" ".join(f"{x(step)},{y(value)}" for step, value, _ in line),
            last=number(line[-1][1]),
            last_value=line[-1][1],
            last_line=line[-1][2],
            end=(x(line[-1][0]), y(line[-1][1])),
        )
        for split, line in splits.items()
        if line
    )
    words = [
        f"{split} from {number(line[0][1])} at step {number(line[0][0])} "
        f"to {number(line[-1][1])} at step {number(line[-1][0])}"
        for split, line in splits.items()
        if line
    ]
    if blind is not None:
        words.append(f"blind guess {number(blind)}")
    return Chart(
        name=name,
        lines=lines,
        x_ticks=tuple(Tick(at=x(step), label=_short(step)) for step in x_ticks),
        y_ticks=tuple(Tick(at=y(value), label=f"{value:.4g}") for value in y_ticks),
        blind_y=None if blind is None or not math.isfinite(blind) else y(blind),
        summary=f"{name}: " + "; ".join(words),
    )


def _ticks(low: float, high: float, num: int) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    if high - low < 1e-12 * max(1.0, abs(low), abs(high)):  # one value, or all the same
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    return [float(value) for value in MaxNLocator(nbins=num).tick_values(low, high)]


def _short(step: float) -> str:
    return f"{step / 1000:g}k" if abs(step) >= 10_000 else f"{step:g}"
