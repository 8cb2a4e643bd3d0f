"""Charts and figures of the report: their points are where their values belong."""

from typing import Any

import pytest

from avssl.run.report_curves import charts, number
from avssl.run.report_data import flat


def test_a_chart_puts_values_where_they_belong() -> None:
    """Two points and a blind guess half way: straight lines between the ticks give the truth."""
    lines = [
        {"step": 0, "split": "validation", "score": 0.0, "note": "text", "flag": True},
        {"step": 100, "split": "validation", "score": 1.0},
        {"step": 100, "split": "train", "score": float("nan")},
    ]
    (chart,) = charts(lines, {"score": 0.5})
    assert chart.name == "score"
    (line,) = chart.lines
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in line.points.split())
    assert x0 < x1
    assert y0 > y1  # SVG counts downwards
    assert chart.blind_y == pytest.approx((y0 + y1) / 2, abs=0.1)
    places = {tick.label: tick.at for tick in chart.y_ticks}
    assert places["0"] == y0
    assert places["1"] == y1
    steps = {tick.label: tick.at for tick in chart.x_ticks}
    assert (steps["0"], steps["100"]) == (x0, x1)
    assert "0 at step 0 to 1 at step 100" in chart.summary


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1e9, 1e9], [-1e-9, 1e-9]])
def test_a_chart_of_one_value_stays_in_its_frame(values: list[float]) -> None:
    lines = [{"step": 5, "split": "train", "loss": value} for value in values]
    (chart,) = charts(lines, {})
    for point in chart.lines[0].points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 340
        assert 0 <= y <= 190


def test_the_order_of_charts_is_loss_then_scores_then_the_rest() -> None:
    line = {"step": 1, "split": "train", "zeta": 1.0, "auc": 0.5, "loss": 2.0}
    assert [chart.name for chart in charts([line], {"auc": 0.5})] == ["loss", "auc", "zeta"]
    assert charts([{"step": 1, "split": "train", "loss": float("inf")}], {}) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (12345, "12,345"), (0.81249, "0.8125"), (2.0, "2"), ("a", "a"), (True, "True")],
)
def test_numbers_for_people(value: Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"a": {"b": 1, "c": None}}, [("a.b", "1"), ("a.c", "none")]),
        ({"split": [0.8, 0.1]}, [("split", "0.8, 0.1")]),
        (
            {"skipped": [{"file": "x", "why": "y"}, {"file": "z"}]},
            [("skipped", "file x, why y; file z")],
        ),
        ({"copies": [["a", "b"]], "notes": []}, [("copies", "a, b"), ("notes", "none")]),
        ({"n": list(range(22))}, [("n", ", ".join(map(str, range(20))) + ", and 2 more")]),
    ],
)
def test_nested_values_are_told_in_lines(value: Any, rows: list[tuple[str, str]]) -> None:
    assert list(flat(value)) == rows
