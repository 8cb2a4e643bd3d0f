"""The study of all tasks: its figures are those of the runs, its page keeps a person's words."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.errors import InputError
from avssl.run.tasks_page import BEGIN, END, table, write_page
from avssl.run.tasks_study import Setting, results_in, run_tasks, stacked


def made_up(task: str, seed: int, value: float) -> dict:
    return {
        "task": task, "seed": seed, "steps": 10, "batch_size": 4, "vision": "small",
        "scores": {"loss": 1.0, "explained": value, "balanced_accuracy": value, "auc": value},
        "trivial": {"explained": 0.0} if task == "reconstruction" else {"auc": 0.5},
        "train_core_s": 12.4,
    }  # fmt: skip


def test_the_table_has_means_intervals_and_the_blind_guess() -> None:
    results = [made_up("reconstruction", k, value) for k, value in enumerate((0.2, 0.3, 0.7))]
    line = table([*results, made_up("shuffle-and-learn", 0, 0.6)]).splitlines()[2:]
    # 0.4 ± t(0.975, 2) · s / √3 = 4.30265 · 0.264575 / 1.732051 = 0.657245
    assert line[0] == (
        "| [reconstruction](#reconstruction) | explained | 0.000 "
        "| **0.400** [-0.257, 1.057] (0.200 0.300 0.700) | 10 × 4 | 12 |"
    )
    assert "| auc | 0.500 | **0.600** (0.600) |" in line[1]


def test_pictures_stand_in_two_columns_where_they_are_narrow() -> None:
    narrow = [np.full((10, 100, 3), 40 * k, np.uint8) for k in range(3)]
    sheet = stacked(narrow)
    assert sheet.shape == (26, 206, 3)
    assert (sheet[:10, :100] == 0).all() and (sheet[:10, 106:] == 40).all()
    assert (sheet[16:, :100] == 80).all() and (sheet[16:, 100:] == 255).all()
    assert stacked([np.zeros((10, 900, 3), np.uint8)] * 3).shape == (42, 900, 3)


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "tasks.md"
    page.write_text("# Tasks\n")
    with pytest.raises(InputError, match="lacks the marks"):
        write_page(page, [made_up("reconstruction", 0, 0.1)], pictures=tmp_path)
    assert page.read_text() == "# Tasks\n"


def test_other_clips_have_a_table_under_their_heading(tmp_path: Path) -> None:
    page, own = tmp_path / "tasks.md", [made_up("reconstruction", 0, 0.1)]
    page.write_text(f"# Tasks\n{BEGIN}\n{END}\n")
    other = {"On real clips": [made_up("reconstruction", 0, 0.456)]}
    write_page(page, own, pictures=tmp_path, beside=other)
    first, _, rest = page.read_text().partition("## On real clips\n")
    assert "**0.100** (0.100)" in first and "**0.456** (0.456)" in rest.partition("##")[0]
    lines = (tmp_path / "data" / "tasks.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"table": "", **own[0]},
        {"table": "On real clips", **other["On real clips"][0]},
    ]
    with pytest.raises(InputError, match="no results/"):
        results_in(tmp_path)


@pytest.mark.slow
def test_a_task_is_trained_judged_drawn_and_not_done_twice(tmp_path: Path) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data, out = tmp_path / "world", tmp_path / "data", tmp_path / "out"
    make_world(world, num_train=3, num_validation=1, num_test=2, seed=1, short_side_px=64,
               duration_s=4.0, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    changes = {"batch_size": 4, "task.size_px": 32, "num_evaluation_samples": 4, "steps": 2}
    setting = Setting(data=str(data), num_samples=10, changes=changes)
    names = ["reconstruction"]
    found = run_tasks(names, setting, out, seeds=[0, 1], quiet=True)
    assert [(one["task"], one["seed"]) for one in found] == [("reconstruction", 0), (names[0], 1)]
    assert found[0]["trivial"] == {"explained": 0.0} and found[0]["num_samples"] == 10
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert run_tasks(names, setting, out, seeds=[0, 1], quiet=True) == found
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    other = Setting(data=str(data), num_samples=10, changes={**changes, "steps": 3})
    with pytest.raises(InputError, match="of other settings"):
        run_tasks(names, other, out, seeds=[0], quiet=True)
    page = tmp_path / "docs" / "tasks.md"
    page.parent.mkdir()
    page.write_text(f"# Mine\n\nwords before\n{BEGIN}\nold\n{END}\nwords after\n")
    write_page(page, found, pictures=out / "pictures")
    text = page.read_text()
    assert text.startswith("# Mine\n\nwords before\n") and text.endswith(f"{END}\nwords after\n")
    assert "old" not in text and f"{found[0]['scores']['explained']:.3f}" in text
    shown = out / "pictures" / "reconstruction.png"
    on_page = page.parent / "images" / "tasks" / "reconstruction.webp"
    with Image.open(on_page) as small, Image.open(shown) as large:
        # two columns of three pictures of 128 px, in two rows with a line of words above
        assert small.size == large.size == (2 * 400 + 6, 2 * 142 + 6)
    assert "(images/tasks/reconstruction.webp)" in text


def test_a_task_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="task 'mae': must be one of"):
        run_tasks(["mae"], Setting(data="d"), tmp_path, seeds=[0])
