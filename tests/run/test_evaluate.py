"""The evaluated loss: every sample that is asked counts once, whatever the batches."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.data import Batches, BatchKey, Share
from avssl.run import evaluate as module
from avssl.run.evaluate import evaluate
from avssl.run.feed import evaluation_keys, make_batches
from avssl.run.parallel import Processes
from avssl.run.train import build_learner
from avssl.task import Learner

HERE = Processes(device=torch.device("cpu"))
SIZES = (1, 7, 8, 20, 32)
"""Of a batch: 20 samples fit in, do not, or are fewer than one batch."""


def evaluated(config: TrainConfig, learner: Learner) -> dict[str, float]:
    batches = make_batches(config, Catalog.read(config.data), HERE, quiet=True)
    keys = evaluation_keys(config, batches.evaluated)
    stream = (batches[key] for key in keys)
    return evaluate(learner, stream, config, HERE, evaluated=batches.evaluated)


def losses_by_hand(config: TrainConfig, learner: Learner, name: str = "") -> np.ndarray:
    """Cross-entropy of each of the samples by itself, float64 [20]."""
    batches = Batches(
        task=config.task, train=Catalog.read(config.data).select(split="train"),
        validation=Catalog.read(config.data).select(split="validation"), seed=0,
        share=Share(batch_size=1), num_evaluation_samples=20,
    )  # fmt: skip
    learner.eval()
    head: Any = learner.head[name] if name else learner.head  # type: ignore[index]
    prefix, found = f"{name}/" if name else "", []
    for number in range(20):
        batch = batches[BatchKey(split="validation", task=name, number=number)]
        with torch.no_grad():
            logits = head(learner.encoders["vision"](batch[f"{prefix}frames"]))[0].double()
        found.append(float(logits.logsumexp(0) - logits[int(batch[f"{prefix}label"])]))
    return np.array(found)


def test_the_loss_is_the_mean_of_the_samples_for_any_batch_size(make_config) -> None:
    config = make_config(num_evaluation_samples=20, **{"task.dropout": 0.5})
    learner = build_learner(config)
    each = losses_by_hand(config, learner)
    assert each[:4].mean() != pytest.approx(each.mean(), rel=1e-3)  # twice would be seen
    learner.train()
    found = [evaluated(dataclasses.replace(config, batch_size=size), learner) for size in SIZES]
    for one in found:
        assert one["loss"] == pytest.approx(each.mean(), rel=1e-5)
        assert one["accuracy"] == found[0]["accuracy"]
    assert learner.training


def test_of_several_tasks_each_and_their_mean(make_several) -> None:
    config = make_several(num_evaluation_samples=20, vision="small", **{"task.toy_rows.size": 3.0})
    learner = build_learner(config)
    toy, rows = (losses_by_hand(config, learner, name).mean() for name in ("toy", "toy-rows"))
    for size in SIZES:
        found = evaluated(dataclasses.replace(config, batch_size=size), learner)
        assert found["toy/loss"] == pytest.approx(toy, rel=1e-5)
        assert found["toy-rows/loss"] == pytest.approx(3 * rows, rel=1e-5)
        assert found["loss"] == pytest.approx((toy + 3 * rows) / 2, rel=1e-5)


def test_a_loss_that_compares_has_whole_batches(make_config, toy, monkeypatch) -> None:
    """20 samples in batches of 8: the last has four more to compare with, and counts half."""
    sizes = []

    def loss(self, out, batch):
        sizes.append(len(batch["label"]))
        return functional.cross_entropy(out["logits"], batch["label"]) + len(sizes)

    monkeypatch.setattr(toy.Toy, "compares", True, raising=False)
    monkeypatch.setattr(toy.Toy, "loss", loss)
    config = make_config(num_evaluation_samples=20, batch_size=8)
    learner = build_learner(config)
    each = losses_by_hand(config, learner)
    last = np.concatenate([each[16:], each[:4]])
    wanted = (8 * (each[:8].mean() + 1) + 8 * (each[8:16].mean() + 2) + 4 * (last.mean() + 3)) / 20
    assert evaluated(config, learner)["loss"] == pytest.approx(wanted, rel=1e-5)
    assert sizes == [8, 8, 8]


@pytest.mark.parametrize("num", [10, 13, 14, 19, 21, 24])
def test_processes_give_what_one_gives(
    num: int, make_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes run one after the other here; what one gives waits for the other's.

    Of the last batch the second has all rows, some, or none.
    """
    config = make_config(num_evaluation_samples=num, batch_size=8)
    learner, catalog = build_learner(config), Catalog.read(config.data)
    alone = evaluated(config, learner)
    given: list[list[np.ndarray]] = [[], []]
    for rank in (0, 1):
        here = Processes(rank=rank, num=2, device=torch.device("cpu"))

        def gather(column: torch.Tensor, rank: int = rank) -> np.ndarray:
            own = column.detach().double().numpy()
            given[rank].append(own)
            if rank == 0:  # the truth is not known yet
                return np.concatenate([own, own])
            return np.concatenate([given[0][len(given[1]) - 1], own])

        monkeypatch.setattr(module, "gather_rows", gather)
        batches = make_batches(config, catalog, here, quiet=True)
        stream = (batches[key] for key in evaluation_keys(config, batches.evaluated))
        found = evaluate(learner, stream, config, here, evaluated=batches.evaluated)
    assert len(given[0]) == len(given[1])  # or they would wait for each other for ever
    assert found == pytest.approx(alone, rel=1e-5)
