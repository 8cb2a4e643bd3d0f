"""A run's own question on other clips, and the study that trains and judges many runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import read_config
from avssl.data import EVALUATION_SEED, make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.model import load_encoder
from avssl.run.hearing_study import Training, run_study, tables
from avssl.run.pretext_eval import evaluate_pretext
from avssl.sample.order import evaluation_item, evaluation_rng
from avssl.task import Learner, widths_of


def made_up(row: str, seed: int, accuracy: float, hit: float, disc: float) -> dict:
    figures = {"hit_rate": hit, "mean_adaptive_ciou": 0.2, "mean_ciou": 0.1}
    guess = {"hit_rate": disc, "mean_adaptive_ciou": 0.15, "mean_ciou": 0.05}
    low = dict.fromkeys(guess, 0.0)
    rows = {"network": figures, "centred disc": guess, "all ones": low, "image prior": low,
            "untrained": low}  # fmt: skip
    return {
        "row": row, "seed": seed, "steps": 10,
        "pretext": {"scores": {"balanced_accuracy": accuracy, "auc": 0.5}},
        "localization": {
            "two or more candidates": {"num_moments": 4, "rows": rows},
            "swapped": {"onto_the_other": 0.75, "num": 4}, "strength": 0.9,
            "silent_strength": 0.0, "off_centre_share": 0.5,
        },
    }  # fmt: skip


def test_tables_are_means_in_the_order_of_seeds() -> None:
    shown = tables(
        [made_up("contrast", 1, 0.9, 0.6, 0.3), made_up("contrast", 0, 0.7, 0.5, 0.2)]
    ).splitlines()
    assert shown[2] == "| contrast | 10 | **0.800** (0.700 0.900) | **0.500** (0.500 0.500) |"
    assert shown[6].startswith(
        "| contrast | **0.550** (0.500 0.600) | **0.250** (0.200 0.300) centred disc | **0.200**"
    )
    assert shown[10] == "| contrast | **0.750** (0.750 0.750) | **0.90** (0.90 0.90) " + (
        "| **0.00** (0.00 0.00) | 0.50 |"
    )


def test_a_row_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 'MAE': must be one of L3-Net"):
        run_study(["MAE"], Training(data="d"), tmp_path, seeds=[0])


def slow_score(run: Path, data: Path, num_samples: int) -> tuple[float, float]:
    """Balanced accuracy and loss, sample by sample."""
    config = read_config(run)
    task, catalog = config.task, Catalog.read(data).select(split="test")
    encoders = {stream: load_encoder(run, stream) for stream in task.streams}
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).eval()
    learner.head.load_state_dict(load_file(run / "head.safetensors"))
    items, fetcher = task.items(catalog), Fetcher(data)
    right: dict[int, list[bool]] = {0: [], 1: []}
    losses = []
    for position in range(num_samples):
        index = int(items[evaluation_item(len(items), position, num_samples=num_samples)])
        rng = evaluation_rng(EVALUATION_SEED, position)
        _, example = make_example(task, catalog, lambda: fetcher, index=index, rng=rng)
        batch = {name: torch.from_numpy(value[None]) for name, value in example.arrays.items()}
        with torch.no_grad():
            logits = learner.outputs(batch)["logits"][0]
        label = int(batch["label"])
        right[label].append(int(logits.argmax()) == label)
        losses.append(float(torch.logsumexp(logits, 0) - logits[label]))
    return float(np.mean([np.mean(one) for one in right.values()])), float(np.mean(losses))


@pytest.mark.slow
def test_the_study_trains_judges_and_goes_on(tmp_path, capsys) -> None:
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data, out = tmp_path / "world", tmp_path / "data", tmp_path / "out"
    make_world(world, num_train=4, num_validation=2, num_test=3, seed=1, short_side_px=64,
               duration_s=2.0, theme="sounds", quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    small = {"batch_size": 4, "task.size_px": 32, "num_evaluation_samples": 4}
    training = Training(data=str(data), steps=2, num_samples=12, changes=small)
    names = ["AVE-Net", "contrast", "sync"]
    results = run_study(names, training, out, seeds=[0], quiet=True)
    assert sorted(one["row"] for one in results) == sorted(names)
    assert {one["row"] for one in results if "localization" in one} == {"AVE-Net", "contrast"}
    shown = tables(results)
    assert shown.count("| AVE-Net |") == 3 and shown.count("| sync |") == 1
    # a second call reads; one with other settings is refused
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert run_study(names, training, out, seeds=[0], quiet=True) == results
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="of other settings"):
        run_study(names, Training(data=str(data), steps=3), out, seeds=[0], quiet=True)
    # the figures are those of one sample after another
    run = out / "runs" / "AVE-Net_0"
    found = evaluate_pretext(run, data, num_samples=12)
    accuracy, loss = slow_score(run, data, 12)
    assert found["scores"]["balanced_accuracy"] == pytest.approx(accuracy)
    assert found["scores"]["loss"] == pytest.approx(loss, rel=1e-4)
    assert found["trivial"]["balanced_accuracy"] == 0.5
    # from the command line, and mistakes
    words = ["eval", "pretext", str(run), "--data", str(data)]
    assert main([*words, "--samples", "12", "--quiet"]) == 0
    assert "balanced_accuracy" in capsys.readouterr().out
    assert json.loads((run / "pretext_test.json").read_text())["scores"] == found["scores"]
    assert main([*words, "--samples", "0"]) == 2
    (run / "vision_encoder.safetensors").unlink()
    assert main([*words, "--quiet"]) == 2
    assert "avssl resume" in capsys.readouterr().err
