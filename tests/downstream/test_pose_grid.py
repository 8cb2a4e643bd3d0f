"""Grids of runs: every cell once, the rate chosen on validation, figures from test."""

import dataclasses
import json

import numpy as np
import pytest

from avssl.cli import main
from avssl.errors import InputError
from avssl.run.pose_grid import Cell, Setting, grid, run_grid, search
from avssl.run.pose_tables import as_markdown, best_rates, paired_as_markdown, summarise, t_interval


def result(row: str, seed: int, lr: float, validation: float, test: float) -> dict:
    cell = {"row": row, "num_labels": 50, "tune": "full", "layer": "", "seed": seed, "lr": lr}
    return {**cell, "validation": {"pck_mean": validation}, "test": {"pck_mean": test}}


def test_the_rate_is_chosen_on_validation_and_the_figures_are_of_test() -> None:
    results = [
        # the higher test figures are those of the rate that validation does not choose
        result("a", 0, 1e-3, 0.5, 0.1), result("a", 1, 1e-3, 0.7, 0.3),
        result("a", 0, 2e-3, 0.9, 0.8), result("a", 1, 2e-3, 0.1, 0.9),
        result("b", 0, 1e-3, 0.4, 0.2), result("b", 0, 2e-3, 0.3, 0.9), result("b", 1, 2e-3, 1, 1),
    ]  # fmt: skip
    first, second = summarise(results)
    assert (first.row, first.lr, first.values) == ("a", 1e-3, (0.1, 0.3))
    # seed 1 of b is not there for both rates yet: it does not choose
    assert (second.row, second.lr, second.values) == ("b", 1e-3, (0.2,))
    # seed 1 alone would choose the other rate for a; b cannot be judged by it
    assert best_rates(results, search_seeds=[1]) == {("a", 50, "full", ""): 1e-3}
    assert best_rates(results, search_seeds=[0])[("a", 50, "full", "")] == 2e-3
    only = summarise([one for one in results if one["row"] == "b"], search_seeds=[0])
    assert (only[0].lr, only[0].seeds) == (1e-3, (0,))
    assert "| a | 50 | full | last | 0.001 | 0.200" in as_markdown([first])


def test_differences_are_taken_seed_by_seed() -> None:
    results = [
        result("random", 0, 1e-3, 0.5, 0.25), result("random", 1, 1e-3, 0.7, 0.50),
        result("ours", 0, 1e-3, 0.5, 0.50), result("ours", 1, 1e-3, 0.7, 0.625),
        result("lone", 7, 1e-3, 0.5, 0.9),
    ]  # fmt: skip
    table = paired_as_markdown(summarise(results))
    low, high = t_interval([0.25, 0.125])
    wanted = f"| ours | 50 | full | last | +0.188 [{low:+.3f}, {high:+.3f}] | +0.250 +0.125 |"
    assert wanted in table
    assert "lone" not in table and "| random" not in table


def test_other_seeds_run_the_chosen_rate_alone(monkeypatch, tmp_path) -> None:
    called = []

    def figures(cells, setting, directory, **_):
        called.append([(cell.seed, cell.lr) for cell in cells])
        return [result(c.row, c.seed, c.lr, 1 - 100 * c.lr, 0.5) for c in cells]

    monkeypatch.setattr("avssl.run.pose_grid.run_grid", figures)
    found = search(
        {"a": []},
        Setting(data="D"),
        tmp_path,
        labels=[50],
        seeds=range(4),
        rates=[2e-3, 1e-3],
        num_search_seeds=2,
    )
    assert called == [[(0, 2e-3), (0, 1e-3), (1, 2e-3), (1, 1e-3)], [(2, 1e-3), (3, 1e-3)]]
    (line,) = summarise(found, search_seeds=range(2))
    assert (line.lr, line.seeds) == (1e-3, (0, 1, 2, 3))


def test_each_row_has_its_best_layer_and_others_run_that_alone(monkeypatch, tmp_path) -> None:
    # on validation a is best at res5 with 1e-3, b at res4 with 2e-3; on test it is the other way
    best = {"a": ("res5", 1e-3), "b": ("res4", 2e-3)}
    called = []

    def figures(cells, setting, directory, **_):
        called.append([(cell.row, cell.seed, cell.layer, cell.lr) for cell in cells])
        found = []
        for c in cells:
            near = (c.layer == best[c.row][0]) + (c.lr == best[c.row][1])
            of_test = 0.5 if c.row == "a" else 0.25
            one = result(c.row, c.seed, c.lr, near / 2, of_test * (1 - near / 4) + c.seed / 8)
            found.append({**one, "layer": c.layer})
        return found

    monkeypatch.setattr("avssl.run.pose_grid.run_grid", figures)
    found = search(
        {"a": [], "b": []}, Setting(data="D"), tmp_path, labels=[50], seeds=range(2),
        rates=[1e-3, 2e-3], layers=["res4", "res5"], num_search_seeds=1, choose_layer=True,
    )  # fmt: skip
    assert len(called[0]) == 8 and {seed for _, seed, _, _ in called[0]} == {0}
    assert sorted(called[1]) == [("a", 1, "res5", 1e-3), ("b", 1, "res4", 2e-3)]
    lines = summarise(found, search_seeds=[0], choose_layer=True)
    assert {(line.row, line.layer, line.lr): line.values for line in lines} == {
        ("a", "res5", 1e-3): (0.25, 0.375),
        ("b", "res4", 2e-3): (0.125, 0.25),
    }
    table = paired_as_markdown(lines, against="a", choose_layer=True)
    assert "| b | 50 | full | res4 | -0.125 [-0.125, -0.125] | -0.125 -0.125 |" in table
    assert "| b |" not in paired_as_markdown(lines, against="a")  # not at the same layer


def test_fresh_weights_of_another_network() -> None:
    cell = Cell(row="a", init="fresh:small", num_labels=5, seed=1, lr=1e-3)
    config = Setting(data="D", changes={"vision": "small-bn"}).config(cell, "out")
    assert (config.vision, config.init) == ("small", "")


def test_the_interval_is_students() -> None:
    low, high = t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    # mean 3, deviation sqrt(2.5), t for 4 degrees of freedom 2.776 (any printed table)
    assert (low, high) == pytest.approx(
        (3 - 2.7764 * np.sqrt(0.5), 3 + 2.7764 * np.sqrt(0.5)), abs=1e-3
    )
    assert np.isnan(t_interval([1.0])).all()


def test_cells_have_names_of_their_own_and_early_seeds_come_first() -> None:
    cells = grid(
        {"random": [], "ours": ["run_a", "run_b"]},
        labels=[10, 0], seeds=[0, 1, 2], rates=[1e-3, 2e-3], tunes=["full", "frozen"],
    )  # fmt: skip
    assert len(cells) == len({cell.name for cell in cells}) == 48
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert {cell.init for cell in cells if cell.row == "ours"} == {"run_a", "run_b"}
    assert {cell.init for cell in cells if cell.row == "random"} == {""}
    assert all("/" not in cell.name and " " not in cell.name for cell in cells)


@pytest.mark.slow
def test_a_grid_goes_on_where_it_was(data, tmp_path, monkeypatch) -> None:
    setting = Setting(data=str(data), steps=3, changes={"batch_size": 4, "task.size_px": 32})
    cells = grid({"random": []}, labels=[10, 20], seeds=[0], rates=[1e-3])
    first = run_grid(cells[:1], setting, tmp_path, quiet=True)
    path = tmp_path / "results" / f"{cells[0].name}.json"
    before = path.stat().st_mtime_ns
    both = run_grid(cells, setting, tmp_path, quiet=True)
    assert path.stat().st_mtime_ns == before and both[0] == first[0]
    assert [found["num_labels"] for found in both] == [10, 20]
    assert set(both[1]["test"]) == set(both[1]["validation"]) >= {"pck_mean", "error_px"}
    assert not list((tmp_path / "runs").iterdir())  # their weights are not kept
    with pytest.raises(InputError, match="holds results with steps 3, not 4"):
        run_grid(cells, dataclasses.replace(setting, steps=4), tmp_path, quiet=True)
    named = [dataclasses.replace(cells[1], init="elsewhere/run_1")]
    with pytest.raises(InputError, match="began with fresh weights, not with elsewhere/run_1"):
        run_grid(named, setting, tmp_path, quiet=True)
    assert json.loads((tmp_path / "results" / f"{cells[1].name}.json").read_text()) == both[1]


@pytest.mark.slow
def test_batches_that_are_kept_change_nothing(data, tmp_path, monkeypatch) -> None:
    changes = {"batch_size": 4, "task.size_px": 32}
    setting = Setting(data=str(data), steps=4, changes=changes)
    cells = grid({"random": []}, labels=[10], seeds=[0, 1], rates=[1e-3, 1e-2])
    kept = run_grid(cells, setting, tmp_path / "kept", quiet=True)
    assert not list((tmp_path / "kept").glob("drawn*"))
    monkeypatch.setattr("avssl.run.pose_grid._MOST_KEPT_BYTES", 0)
    assert run_grid(cells, setting, tmp_path / "drawn", quiet=True) == kept
    assert len({json.dumps(one["validation"]) for one in kept}) == 4


@pytest.mark.slow
def test_the_curve_from_the_command_line(data, tmp_path, capsys) -> None:
    words = ["pose", "curve", "--data", str(data), "--out", str(tmp_path / "curve"), "--quiet"]
    words += ["--labels", "10", "0", "--seeds", "2", "--lr", "1e-3", "--steps", "2"]
    assert main([*words, "--init", "random=", "--workers", "2"]) == 0
    shown = capsys.readouterr().out
    assert "| random | 10 | full | res4 |" in shown  # the layer that the recipe hands on
    assert "| HOG | 10 |" in shown and "| mean pose | all |" in shown
    assert (tmp_path / "curve" / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert len(list((tmp_path / "curve" / "results").glob("*.json"))) == 4
    assert (
        json.loads(next((tmp_path / "curve" / "results").glob("*.json")).read_text())["steps"] == 2
    )
    assert main([*words, "--init", "random"]) == 2
    assert "write NAME=REF" in capsys.readouterr().err
