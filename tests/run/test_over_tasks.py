"""The table over tasks against calculations by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.cli import main
from avssl.run import over_tasks_command
from avssl.run.over_tasks import Value, over_tasks, share_of
from avssl.run.results import at_pointer, pointer, read_results, results_in, row_kind


def write(path: Path, rows: dict[str, Any], *, metric: str = "mAP", half: float = 0.01, **more):
    """Writes a result in the common form, each figure with an interval of that half width."""
    spans = {
        row: {name: [value - half, value + half] for name, value in cells.items()}
        for row, cells in rows.items()
        if "not run" not in cells
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"kind": "probe", "title": path.stem, "data": "d", "split": "test", "rows": rows,
             "intervals": spans if half else {}, "metric": metric, "better": "higher"}  # fmt: skip
    path.write_text(json.dumps({**found, **more}))
    return path


def one_line(path: Path):
    (table,) = over_tasks(read_results(path))
    (line,) = table.lines
    return line


def test_the_worked_example_of_the_heading(tmp_path: Path) -> None:
    rows = {"network": {"mAP": 0.35}, "untrained": {"mAP": 0.2}, "imagenet": {"mAP": 0.5}}
    line = one_line(write(tmp_path / "a.json", rows, half=0.02))
    assert line.share == pytest.approx(0.5)
    assert line.values["imagenet"].error == pytest.approx(0.02 / 1.96)


def test_a_metric_that_is_better_when_lower_gives_the_same_share(tmp_path: Path) -> None:
    """Mean angles 40 (fresh), 30 (ours), 20 (ImageNet): half the way."""
    rows = {"network": {"deg": 30.0}, "untrained": {"deg": 40.0}, "imagenet": {"deg": 20.0}}
    path = write(tmp_path / "a.json", rows, metric="deg", half=0.5, better="lower")
    assert one_line(path).share == pytest.approx(0.5)
    path = write(tmp_path / "a.json", rows, metric="deg", half=0.5, better="higher")
    line = one_line(path)  # then ImageNet would be worse than fresh weights
    assert line.share is None and "under 2 standard errors" in line.why and "-20" in line.why


@pytest.mark.parametrize(("gap", "defined"), [(0.0290, True), (0.0288, False), (-0.3, False)])
def test_the_gap_counts_from_two_standard_errors_on(
    gap: float, defined: bool, tmp_path: Path
) -> None:
    """2 · sqrt(2) · 0.02 / 1.96 = 0.02886."""
    rows = {"network": {"m": 0.3}, "untrained": {"m": 0.2}, "imagenet": {"m": 0.2 + gap}}
    line = one_line(write(tmp_path / "a.json", rows, metric="m", half=0.02))
    assert (line.share is not None) is defined
    assert defined or "under 2 standard errors" in line.why


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"network": {"m": 0.3}, "untrained": {"m": 0.2}}
    assert one_line(write(tmp_path / "a.json", rows, metric="m")).why == "no imagenet row"
    rows["imagenet"] = {"not run": "no weights"}
    line = one_line(write(tmp_path / "a.json", rows, metric="m"))
    assert line.why == "no imagenet row" and line.not_run == {"imagenet": "no weights"}
    rows["imagenet"] = {"m": 0.9}
    line = one_line(write(tmp_path / "a.json", rows, metric="m", half=0))
    assert line.share is None and "nothing tells the error" in line.why


def test_seeds_are_runs_that_differ_in_nothing_else(tmp_path: Path) -> None:
    """Shares of the means: (0.4 - 0.2) / (0.6 - 0.2), errors from the spread over seeds."""
    results = []
    for seed, (own, fresh, top) in enumerate([(0.3, 0.1, 0.5), (0.4, 0.2, 0.6), (0.5, 0.3, 0.7)]):
        run = tmp_path / f"run_{seed}"
        rows = {"network": {"m": own}, "untrained": {"m": fresh}, "imagenet": {"m": top}}
        write(run / "probe_test.json", rows, metric="m", half=0.001)
        config = {"task": {"name": "rotation"}, "seed": seed, "out": str(run), "steps": 100}
        (run / "config.json").write_text(json.dumps(config))
        results += results_in(run)
    (table,) = over_tasks(results)
    (line,) = table.lines
    assert line.num_seeds == 3
    assert line.values["network"].value == pytest.approx(0.4)
    assert line.values["network"].error == pytest.approx(0.1 / math.sqrt(3))
    assert line.share == pytest.approx(0.5)
    (tmp_path / "run_2" / "config.json").write_text('{"task": {"name": "jigsaw"}}')
    tables = over_tasks(results)
    assert [line.num_seeds for table in tables for line in table.lines] == [2, 1]


def judged_run(
    folder: Path, task: dict[str, Any], init: Path | str, *, seed: int, own: float
) -> Path:
    """A run with one result, as `avssl eval` leaves it."""
    rows = {"network": {"m": own}, "untrained": {"m": 0.2}, "imagenet": {"m": 0.6}}
    write(folder / "it_test.json", rows, metric="m", title="It", kind=task["name"])
    config = {"task": task, "seed": seed, "out": str(folder), "init": str(init), "steps": 9}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_was_fine_tuned_is_a_task_of_the_network_it_began_from(tmp_path: Path) -> None:
    """Two seeds of an encoder, boxes and normals from each; one more, begun from nothing."""
    runs = []
    for seed in (0, 1):
        origin = judged_run(
            tmp_path / f"rotation_{seed}", {"name": "rotation"}, "", seed=seed, own=0.3 + seed / 10
        )
        boxes = {"name": "detection", "tune": "full", "num_labels": 50, "label_seed": seed}
        normals = {"name": "normals", "tune": "frozen"}
        runs += [
            origin,
            judged_run(tmp_path / f"boxes_{seed}", boxes, origin, seed=seed, own=0.4),
            judged_run(tmp_path / f"normals_{seed}", normals, origin, seed=seed, own=0.6),
        ]
    tuned = {"name": "normals", "tune": "full"}
    runs.append(judged_run(tmp_path / "more", tuned, runs[0], seed=0, own=0.5))
    bare = {"name": "detection", "tune": "full", "num_labels": 50, "label_seed": 0}
    runs.append(judged_run(tmp_path / "bare", bare, "", seed=0, own=0.2))
    first, second = over_tasks([one for run in runs for one in results_in(run)])
    assert (first.name, second.name) == ("rotation_0", "bare")
    assert [(line.title, line.num_seeds) for line in first.lines] == [
        ("It", 2),
        ("It, fine-tuned on 50 labels", 2),
        ("It, encoder frozen", 2),
        ("It, fine-tuned", 1),
    ]
    assert first.shares == pytest.approx([(0.35 - 0.2) / 0.4, 0.5, 1.0, 0.75])
    assert [line.share for line in second.lines] == [0.0]


def test_a_row_that_one_seed_alone_has_is_neither_missing_nor_renamed(tmp_path: Path) -> None:
    results = []
    for seed in (0, 1):
        rows: dict[str, Any] = {"network": {"m": 0.4}, "untrained": {"m": 0.2}}
        rows["imagenet"] = {"m": 0.6} if seed == 0 else {"not run": "train it"}
        run = tmp_path / f"run_{seed}"
        write(run / "it_test.json", rows, metric="m")
        config = {"task": {"name": "rotation"}, "seed": seed, "out": str(run)}
        (run / "config.json").write_text(json.dumps(config))
        results += results_in(run)
    ((line,),) = (table.lines for table in over_tasks(results))
    assert line.values["imagenet"].name == "imagenet" and line.values["imagenet"].value == 0.6
    assert line.not_run == {} and line.share == pytest.approx(0.5)


def test_a_network_of_a_run_that_is_gone_or_published_has_the_name_it_was_given(
    tmp_path: Path,
) -> None:
    task = {"name": "action", "tune": "full"}
    runs = [
        judged_run(tmp_path / "a", task, "timm:resnet18", seed=0, own=0.3),
        judged_run(tmp_path / "b", task, tmp_path / "gone", seed=0, own=0.3),
    ]
    tables = over_tasks([one for run in runs for one in results_in(run)])
    assert [table.name for table in tables] == ["timm:resnet18", str(tmp_path / "gone")]


def test_the_mean_is_over_the_shares_that_are_defined(tmp_path: Path) -> None:
    def rows(own: float, top: float) -> dict[str, Any]:
        return {"network": {"m": own}, "untrained": {"m": 0.2}, "imagenet": {"m": top}}

    write(tmp_path / "a.json", rows(0.4, 0.6), metric="m")  # 0.5
    write(tmp_path / "b.json", rows(0.8, 0.6), metric="m")  # 1.5
    write(tmp_path / "c.json", rows(0.8, 0.2), metric="m")  # no gap
    write(tmp_path / "d.json", rows(0.8, 0.6), metric="m", kind="pretext")  # no task for features
    (table,) = over_tasks(results_in(tmp_path))
    assert len(table.lines) == 3 and table.shares == pytest.approx([0.5, 1.5])
    assert table.mean == pytest.approx(1.0)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 5), st.floats(0.01, 100))
def test_the_share_is_that_of_any_other_unit(
    own: float, base: float, gap: float, scale: float
) -> None:
    """Per cent for shares, or a metric turned over: the share is the same."""

    def share(unit: float, better: str) -> float | None:
        values = {
            name: Value(value=unit * value, error=unit * 0.001, sources=(), spans=(), name=name)
            for name, value in (("network", own), ("untrained", base), ("imagenet", base + gap))
        }
        values = {
            name: Value(value=one.value, error=abs(one.error or 0), sources=(), spans=(), name=name)
            for name, one in values.items()
        }
        return share_of(values, better=better)[0]

    expected = pytest.approx((own - base) / gap, rel=1e-6, abs=1e-9)
    assert share(1.0, "higher") == expected
    assert share(scale, "higher") == expected
    assert share(-1.0, "lower") == expected


def test_the_best_trivial_row_is_named_and_an_oracle_is_none(tmp_path: Path) -> None:
    rows = {"network": {"e": 3.0}, "trivial: HOG": {"e": 5.0}, "trivial: mean": {"e": 4.0},
            "oracle": {"e": 0.0}}  # fmt: skip
    line = one_line(write(tmp_path / "a.json", rows, metric="e", better="lower"))
    assert (line.values["trivial"].value, line.values["trivial"].name) == (4.0, "trivial: mean")
    assert row_kind("oracle") == "other" and row_kind("majority") == "trivial"
    assert set(line.values) == {"network", "trivial"}


def test_the_command_writes_the_table(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(over_tasks_command, "why_no_modern", lambda: "cannot be reached")
    rows = {"network": {"mAP": 0.35}, "untrained": {"mAP": 0.2}, "imagenet": {"mAP": 0.5}}
    mine = write(tmp_path / "mine.json", rows)
    dino = write(tmp_path / "dino.json", {"network": {"mAP": 0.75}})
    out = tmp_path / "table.json"
    assert main(["eval", "table", str(mine), "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "| 0.350 ± 0.0051 | 0.500 |" in shown
    assert "modern self-supervised: not run: cannot be reached" in shown
    assert "Mean share over 1 of 1 tasks: 0.500" in shown
    (network,) = json.loads(out.read_text())["networks"]
    assert network["mean_share"] == pytest.approx(0.5)
    assert main(["eval", "table", str(mine), "--row", f"dinov2={dino}"]) == 0
    shown = capsys.readouterr().out
    assert "dinov2" in shown and "0.750" in shown and "not run" not in shown
    assert main(["eval", "table", str(tmp_path / "none.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("parts", [("a", 0), ("a/b", "c~d"), ("", "~1"), ("im-aud recall@1",)])
def test_a_pointer_finds_what_it_names(parts: tuple[Any, ...]) -> None:
    """The escapes of RFC 6901: ~0 is ~, ~1 is /."""
    value: Any = 42
    for part in reversed(parts):
        value = [value] if part == 0 else {part: value}
    assert at_pointer(value, pointer(*parts)) == 42
    assert pointer("a/b", "m~n") == "/a~1b/m~0n"
