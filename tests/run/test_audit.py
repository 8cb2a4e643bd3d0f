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
from avssl.run.audit import audit, draw, probe_with, standard_error, table


def phase(plan: Plan, example: Example) -> np.ndarray:
    angle = 2 * np.pi * plan.target["phase"]  # type: ignore[operator]
    return np.array([np.sin(angle), np.cos(angle)])


def light(plan: Plan, example: Example) -> np.ndarray:
    return np.array([example.arrays["frames"].mean(), 1.0])


@dataclass(frozen=True, kw_only=True)
class Leaky:
    """Its negatives begin anywhere, unless guarded; its pictures are a little brighter."""

    name: ClassVar[str] = "leaky"
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (
        Shortcut(
            name="phase",
            kind="bookkeeping",
            leak="It tells.",
            guard="All begin alike.",
            probe=phase,
            off={"on_grid": False},
        ),
        Shortcut(name="light", kind="content", leak="It tells.", guard="None.", probe=light),
    )
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
        return Example(arrays={"frames": rng.normal(mean, 10.0, size=(4,))})


@pytest.fixture
def catalog(make_row: Callable[..., ClipRow]) -> Catalog:
    return Catalog.from_rows([make_row(number=k) for k in range(7)])


def test_planted_leaks_are_found_and_guards_close_them(catalog: Catalog) -> None:
    clean, content = audit(Leaky(), catalog, num_samples=1500)
    assert not clean.leaks and clean.off is not None
    # off the grid the phase is even, on it one of four: trees see it, a line cannot
    assert clean.off.small_auc > 0.9 and abs(clean.off.linear_auc - 0.5) < 0.06
    assert clean.kept_share is not None and clean.kept_share < 0.2
    assert not content.leaks and content.off is None and content.kept_share is None
    open_, bright = audit(Leaky(on_grid=False, brighter=4.0), catalog, num_samples=1500)
    assert open_.leaks and bright.leaks
    # two normal distributions 4 apart with a deviation of 10 / √4 = 5: AUC = Φ(0.8 / √2)
    expected = float(stats.norm.cdf(0.8 / np.sqrt(2)))
    assert bright.on.linear_auc == pytest.approx(expected, abs=0.03)
    shown = table([open_, bright])
    assert "| **leaks** |" in shown and "| tells something |" in shown
    assert "on 1500 samples a setting" in shown
    assert "these probes found nothing" in table([clean])


def test_the_error_of_a_guess_is_that_of_ranks() -> None:
    rng = np.random.default_rng(0)
    aucs = []
    for _ in range(2000):
        ranks = rng.permutation(50) + 1
        aucs.append((ranks[:20].sum() - 20 * 21 / 2) / (20 * 30))
    assert standard_error(20, 30) == pytest.approx(np.std(aucs), rel=0.06)


def test_false_alarms_are_as_rare_as_said() -> None:
    """Labels that nothing tells: the two classifiers stay within the margin in nearly all tries."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        label = rng.integers(0, 2, 600)
        one = probe_with(label, 2.0 * rng.integers(0, 2, (600, 12)) - 1, num_fit=200)
        found += [one.linear_auc, one.small_auc]
        assert one.num_samples == 400
    error = standard_error(200, 200)
    assert np.mean(found) == pytest.approx(0.5, abs=0.01)
    assert np.std(found) == pytest.approx(error, rel=0.25)
    assert max(found) < 0.5 + stats.norm.isf(0.05 / 80) * error


def test_samples_are_the_same_every_time_and_labels_must_vary(catalog: Catalog) -> None:
    one = draw(Leaky(), catalog, num_samples=50, probes=[phase, light])
    two = draw(Leaky(), catalog, num_samples=50, probes=[phase, light])
    assert np.array_equal(one[0], two[0]) and all(map(np.array_equal, one[1], two[1]))
    assert one[1][0].shape == (50, 2)
    with pytest.raises(InputError, match="try --split validation"):
        audit(Leaky(one_label=True), catalog, num_samples=50)
    bare = dataclasses.make_dataclass("Bare", [], bases=(Leaky,), frozen=True, kw_only=True)
    bare.shortcuts = ()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="lists no shortcut"):
        audit(bare(), catalog, num_samples=50)


@pytest.mark.slow
def test_from_the_command_line(tmp_path, capsys) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    make_world(tmp_path / "world", num_train=6, num_validation=1, num_test=1, seed=1,
               short_side_px=64, duration_s=2.0, theme="sounds", quiet=True)  # fmt: skip
    data = tmp_path / "data"
    prepare(tmp_path / "world", data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    out = tmp_path / "audit.json"
    words = ["audit", "audio-visual-correspondence", "--data", str(data), "--samples", "300"]
    words += ["-o", str(out), "--quiet"]
    assert main([*words, "--task.size-px", "32"]) == 0
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert not rows["sound grid"]["leaks"] and rows["sound grid"]["off"]["small_auc"] > 0.8
    assert "| sound grid | bookkeeping |" in out.with_suffix(".md").read_text()
    # let in on purpose, it is found: exit code 1, and the line says what closes it
    assert main([*words, "--task.no-on-grid"]) == 1
    assert "sound grid: " in capsys.readouterr().out
    assert (
        main(["audit", "audio-visual-correspondence", "--data", str(data), "--samples", "9"]) == 2
    )
    assert main(["audit", "nothing", "--data", str(data)]) == 2
    assert main([*words, "--task.no-such-knob", "1"]) == 2
