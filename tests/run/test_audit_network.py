"""A network beside the probes: better, no better, or not to be compared."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.records import Shortcut
from avssl.run.audit import notes, table
from avssl.run.audit_ask import audit
from avssl.run.audit_network import Answers, against, compare, read_run
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import Drawn
from avssl.run.train import train

NUM, NUM_FIT = 900, 300


@pytest.fixture(scope="module")
def nine() -> tuple[Drawn, Judged]:
    """Nine permutations of which three each begin with tile 0, 1 and 2; a probe hears a little."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 9, NUM)
    numbers = (label // 3)[:, None] + rng.normal(0, 2.0, (NUM, 1))
    drawn = Drawn(
        answers=(label // 3).tolist(),
        numbers=numbers,
        rows=rng.integers(0, 40, NUM),
        groups=rng.integers(0, 40, NUM),
        asked=np.zeros(NUM, np.int64),
    )
    return drawn, judge(classes_of(drawn.answers), numbers, num_fit=NUM_FIT)


def says(label: np.ndarray, *, doubt: float, seed: int = 1) -> Answers:
    """A network of nine classes that is right up to noise."""
    rng = np.random.default_rng(seed)
    logits = (label[:, None] == np.arange(9)) * 4.0 + rng.normal(0, doubt, (len(label), 9))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(sure=shares[:, None], label=label[:, None].astype(float))


def test_classes_of_the_network_are_put_together_as_the_probe_asks(
    nine: tuple[Drawn, Judged],
) -> None:
    drawn, judged = nine
    asked = classes_of(drawn.answers)
    label = np.random.default_rng(0).integers(0, 9, NUM)[NUM_FIT:]  # as in `nine`
    units = drawn.groups[judged.places]
    how: dict[str, Any] = {"drawn": drawn, "asked": asked, "judged": judged, "units": units}
    how["num_fit"] = NUM_FIT
    good = compare(says(label, doubt=1.0), **how)
    assert good.beats and good.network_auc is not None and good.network_auc > 0.95
    assert good.low < good.network_auc - judged.best < good.high
    poor = compare(says(label, doubt=30.0), **how)
    assert poor.worse and "**does not beat the probe**" in poor.words
    # labels that say nothing about the answer are another question
    mixed = compare(says(np.random.default_rng(9).permutation(label), doubt=1.0), **how)
    assert mixed.network_auc is None and mixed.words == "the network answers another question"
    sizes = classes_of([float(one) for one in drawn.answers])
    assert compare(says(label, doubt=1.0), **{**how, "asked": sizes}).network_auc is None
    assert compare("no answer in classes to compare", **how).words.startswith("no answer")


def test_the_same_answers_are_no_better(nine: tuple[Drawn, Judged]) -> None:
    drawn, judged = nine
    same = against(judged.sure, judged=judged, units=drawn.groups[judged.places])
    assert same.network_auc == pytest.approx(judged.best) and (same.low, same.high) == (0, 0)
    assert not same.beats and not same.worse


def one_pixel(plan: Any, example: Any) -> np.ndarray:
    return example.arrays["frames"][:1, 0, 0].astype(float)


def both_halves(plan: Any, example: Any) -> np.ndarray:
    halves = example.arrays["frames"].astype(float).mean(axis=(0, 1)).reshape(2, -1).mean(axis=1)
    return halves[:1] - halves[1:]


def test_a_trained_network_beats_one_pixel_but_not_the_whole_answer(
    toy: Any, make_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"kind": "content", "leak": "It tells.", "guard": "None."}
    probes = {"one pixel": one_pixel, "both halves": both_halves}
    shortcuts = [Shortcut(name=name, probe=probe, **given) for name, probe in probes.items()]
    shortcuts.append(dataclasses.replace(shortcuts[0], name="row", answer=_row))
    monkeypatch.setattr(toy.Toy, "shortcuts", tuple(shortcuts))
    config = make_config(steps=30)
    directory = train(config, quiet=True)
    catalog = Catalog.read(config.data).select(split="validation")
    run = read_run(directory, task_name="toy")
    pixel, whole, row = audit(config.task, catalog, num_samples=240, run=run)
    assert pixel.network is not None and pixel.network.beats and not pixel.fails
    # the noise of one pixel is 30 levels, the answer 40: Φ(4 / 3 √½)
    assert pixel.on.linear_auc == pytest.approx(0.827, abs=0.07)
    # a probe that the network is not shown to beat: exit code 1, whether it is worse or as good
    assert whole.network is not None and not whole.network.beats and whole.unbeaten and whole.fails
    assert not dataclasses.replace(whole, network=None).fails
    assert "**does not beat the probe**" in table([whole])
    assert row.network is not None and row.network.network_auc is None and not row.fails
    assert "the network answers another question" in table([pixel, whole, row])
    assert any(line.startswith("both halves: network") for line in notes([whole]))
    with pytest.raises(InputError, match="a run of toy"):
        read_run(directory, task_name="rotation")
    (config_path := directory / "checkpoints").rename(directory / "elsewhere")
    with pytest.raises(InputError, match="no checkpoint yet"):
        audit(config.task, catalog, num_samples=240, run=run)
    assert not config_path.exists()


def _row(plan: Any, example: Any) -> int:
    return int(plan.target["row"]) % 2
