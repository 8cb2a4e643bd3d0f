"""The audit finds planted leaks, finds nothing where there is nothing, and counts right."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.cli import main
from avssl.errors import InputError
from avssl.records import Example, Plan, Shortcut
from avssl.run.audit import notes, table
from avssl.run.audit_ask import audit
from avssl.run.audit_pictures import contact_sheet
from avssl.run.audit_samples import draw


def phase(plan: Plan, example: Example) -> np.ndarray:
    angle = 2 * np.pi * plan.target["phase"]  # type: ignore[operator]
    return np.array([np.sin(angle), np.cos(angle)])


def light(plan: Plan, example: Example) -> np.ndarray:
    return np.array([example.arrays["frames"].mean(), 1.0])


def nothing(plan: Plan, example: Example) -> np.ndarray:
    return np.zeros(2)


def off_the_grid(plan: Plan, example: Example) -> np.ndarray:
    return np.array([plan.target["phase"] % 0.25])  # type: ignore[operator]


PHASE = Shortcut(
    name="phase",
    kind="bookkeeping",
    leak="It tells.",
    guard="All begin alike.",
    probe=phase,
    off={"on_grid": False},
)
LIGHT = Shortcut(
    name="light",
    kind="content",
    leak="It tells.",
    guard="`brighter` is nothing.",
    probe=light,
    off={"brighter": 4.0},
    closes={"brighter": 1.0},
    cut_share=0.6,
)


@dataclass(frozen=True, kw_only=True)
class Leaky:
    """Its negatives begin anywhere, unless guarded; its pictures are a little brighter."""

    name: ClassVar[str] = "leaky"
    label_names: ClassVar[tuple[str, ...]] = ("dark", "light")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (PHASE, LIGHT)
    on_grid: bool = True
    brighter: float = 0.0
    one_label: bool = False

    def items(self, catalog: Catalog) -> np.ndarray:
        return np.arange(len(catalog))

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        label = 1 if self.one_label else int(rng.integers(2))
        on_grid = label or self.on_grid
        place = 0.25 * rng.integers(4) if on_grid else rng.random()
        return Plan(spans=(), target={"label": label, "phase": float(place)})

    def transform(self, clips: Any, plan: Plan, rng: np.random.Generator) -> Example:
        mean = 100 + self.brighter * int(plan.target["label"])  # type: ignore[call-overload]
        frames = rng.normal(mean, 10.0, size=(1, 2, 2)).clip(0, 255)
        return Example(arrays={"frames": frames, "shown": np.full((3, 8, 8), mean, np.uint8)})


@pytest.fixture
def catalog(make_row: Callable[..., ClipRow]) -> Catalog:
    return Catalog.from_rows([make_row(number=k) for k in range(7)])


def with_shortcuts(*shortcuts: Shortcut) -> Any:
    kind = dataclasses.make_dataclass("Other", [], bases=(Leaky,), frozen=True, kw_only=True)
    kind.shortcuts = shortcuts  # type: ignore[attr-defined]
    return kind


def test_planted_leaks_are_found_and_guards_close_them(catalog: Catalog) -> None:
    clean, content = audit(Leaky(), catalog, num_samples=800)
    assert not clean.leaks and clean.off is not None and not clean.fails
    # off the grid the phase is even, on it one of four: trees see it, a line cannot
    assert clean.off.small_auc > 0.9 and abs(clean.off.linear_auc - 0.5) < 0.08
    assert clean.cut is not None and clean.cut.low > 0.8 and clean.cut.high <= 1
    assert not content.leaks and not content.fails and content.off is not None
    # two normal distributions 4 apart with a deviation of 10 / √4 = 5: AUC = Φ(0.8 / √2); 1 apart,
    # Φ(0.2 / √2), so that a quarter of it is left
    expected = float(stats.norm.cdf(0.8 / np.sqrt(2)))
    assert content.off.linear_auc == pytest.approx(expected, abs=0.04)
    left = (float(stats.norm.cdf(0.2 / np.sqrt(2))) - 0.5) / (expected - 0.5)
    assert content.cut is not None and content.cut.low < 1 - left < content.cut.high
    assert content.cut.stated == 0.6 and not content.cut.short
    open_, bright = audit(Leaky(on_grid=False, brighter=4.0), catalog, num_samples=800)
    assert open_.leaks and open_.fails and bright.leaks and not bright.fails
    assert open_.advice == "set --task.on-grid (now: --task.on-grid is False)"
    assert bright.advice == "set --task.brighter 1.0 (now: --task.brighter is 4.0)"
    shown = table([open_, bright])
    assert "| **leaks** |" in shown and "| tells something |" in shown
    assert "on 800 samples a setting" in shown and "60% stated, " in shown
    assert "these probes found nothing" in table([clean])
    assert [line.partition(":")[0] for line in notes([clean, open_, bright])] == ["phase", "light"]
    sheet = contact_sheet(open_, num_samples=800)
    assert (
        sheet is not None
        and sheet.image.dtype == np.uint8
        and "as the task is set" in sheet.caption
    )
    assert contact_sheet(content, num_samples=800) is not None  # the guard off
    kept_out = contact_sheet(clean, num_samples=800)
    assert kept_out is not None and "with the guard off" in kept_out.caption


def test_a_guard_that_cuts_less_than_stated_is_told(catalog: Catalog) -> None:
    task = with_shortcuts(dataclasses.replace(LIGHT, closes={"brighter": 3.5}, cut_share=0.9))
    (one,) = audit(task(), catalog, num_samples=500)
    assert one.cut is not None and one.cut.short and one.fails and not one.leaks
    assert "**less than stated**" in table([one])
    assert notes([one]) == [f"light: the guard cuts {one.cut.words.replace('**', '')}"]


def test_numbers_that_never_change_are_no_pass(catalog: Catalog) -> None:
    task = with_shortcuts(dataclasses.replace(PHASE, probe=nothing, off={}))
    (one,) = audit(task(), catalog, num_samples=200)
    assert not one.leaks and one.off is None and one.cut is None
    assert "all alike" in one.verdict and contact_sheet(one, num_samples=200) is None


def test_a_guard_may_leave_nothing_to_tell(catalog: Catalog) -> None:
    task = with_shortcuts(dataclasses.replace(PHASE, probe=off_the_grid))
    (one,) = audit(task(), catalog, num_samples=200)
    assert not one.leaks and one.off is not None and one.off.best > 0.9
    assert one.verdict == "its numbers are all alike: the guard leaves nothing of them"


def test_samples_are_the_same_every_time_and_labels_must_vary(catalog: Catalog) -> None:
    how: dict[str, Any] = {"shortcuts": [PHASE, LIGHT], "num_samples": 50}
    one, two = draw(Leaky(), catalog, **how), draw(Leaky(), catalog, **how)
    assert [a.answers for a in one] == [b.answers for b in two]
    assert all(np.array_equal(a.numbers, b.numbers) for a, b in zip(one, two, strict=True))
    assert one[0].numbers.shape == (50, 2)
    # what only looks at plans is asked without pictures, and is told the same
    alone = draw(Leaky(), catalog, shortcuts=[PHASE], num_samples=50)[0]
    assert np.array_equal(alone.numbers, one[0].numbers) and alone.answers == one[0].answers
    with pytest.raises(InputError, match="of all of 200 plans is 1, so there is nothing"):
        audit(Leaky(one_label=True), catalog, num_samples=50)
    with pytest.raises(InputError, match="lists no shortcut"):
        audit(with_shortcuts()(), catalog, num_samples=50)


def four_at_once(plan: Plan, example: Example) -> np.ndarray:
    """A line for each of four questions; in the first number stands the answer."""
    return np.stack([np.arange(4.0), np.full(4, float(plan.target["phase"]))], axis=1)  # type: ignore[arg-type]


def test_one_of_several_questions_of_a_sample_is_asked(catalog: Catalog) -> None:
    one = dataclasses.replace(PHASE, probe=four_at_once, answer=lambda plan, example: np.arange(4))
    drawn = draw(Leaky(), catalog, shortcuts=[one], num_samples=400)[0]
    assert drawn.numbers.shape == (400, 2)
    assert drawn.answers == drawn.numbers[:, 0].tolist() == drawn.asked.tolist()
    assert stats.chisquare(np.bincount(drawn.asked)).pvalue > 1e-3


def test_a_task_without_labels_has_to_say_its_answer(catalog: Catalog) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Plain(Leaky):
        def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
            return Plan(spans=(), target={"phase": 0.5, "size": float(rng.random())})

    with pytest.raises(InputError, match=r"phase: its plans have no label; it needs `answer`"):
        draw(Plain(), catalog, shortcuts=[PHASE], num_samples=3)
    sized = dataclasses.replace(PHASE, answer=lambda plan, example: plan.target["size"])
    assert len(set(draw(Plain(), catalog, shortcuts=[sized], num_samples=9)[0].answers)) == 9


@pytest.mark.slow
def test_from_the_command_line(tmp_path, capsys) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    make_world(tmp_path / "world", num_train=6, num_validation=1, num_test=1, seed=1,
               short_side_px=64, duration_s=2.0, theme="sounds", quiet=True)  # fmt: skip
    data = tmp_path / "data"
    prepare(tmp_path / "world", data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    out = tmp_path / "audit.json"
    words = [
        "audit",
        "audio-visual-correspondence",
        "--data",
        str(data),
        "--samples",
        "200",
        "--task.size-px",
        "32",
    ]
    words += ["-o", str(out), "--quiet"]
    assert main(words) == 0
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert not rows["sound grid"]["leaks"] and rows["sound grid"]["off"]["small_auc"] > 0.8
    assert "| sound grid | bookkeeping |" in out.with_suffix(".md").read_text()
    sheet = (tmp_path / "audit_sound_grid.png").read_bytes()
    assert sheet.startswith(b"\x89PNG")
    page = out.with_suffix(".html").read_text()
    assert "data:image/jpeg;base64," in page and "http://" not in page and "<script" not in page
    assert "--task.on-grid" in page and "sound grid, with the guard off" in page
    # let in on purpose, it is found: exit code 1, and the line says what closes it
    assert main([*words, "--task.no-on-grid", "--no-media"]) == 1
    assert "Way out: set --task.on-grid" in capsys.readouterr().out
    assert "base64" not in out.with_suffix(".html").read_text()
    assert (
        main(["audit", "audio-visual-correspondence", "--data", str(data), "--samples", "9"]) == 2
    )
    assert main(["audit", "nothing", "--data", str(data)]) == 2
    assert main([*words, "--task.no-such-knob", "1"]) == 2
    assert main([*words, "--run", str(tmp_path)]) == 2
