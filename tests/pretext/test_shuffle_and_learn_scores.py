"""Shuffle and Learn: its loss and its scores against closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch

from avssl.pretext.shuffle_and_learn import ShuffleAndLearn

TASK = ShuffleAndLearn(tau_max_s=0.8, tau_min_s=0.25, tau_max_spread=0.25)


def logits_and_batch(num: int = 400) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    rng = np.random.default_rng(0)
    label = (rng.random(num) < 0.25).astype(np.int64)
    score = np.round(rng.normal(size=num) + 0.8 * label, 1)  # rounded: many ties
    logits = np.stack([np.zeros(num), score + math.log(1 / 3)], axis=1)
    batch = {"label": torch.from_numpy(label), "weight": torch.ones(num)}
    return {"logits": torch.from_numpy(logits)}, batch


def test_scores_equal_counts_over_all_pairs() -> None:
    out, batch = logits_and_batch()
    metrics = TASK.metrics(out, batch)
    scores = TASK.scores({key: value.double().numpy() for key, value in metrics.items()})
    label = batch["label"].numpy() == 1
    score = (out["logits"][:, 1] - math.log(1 / 3)).float().numpy()  # less the mix's own log odds
    pairs = [
        1.0 if one > two else 0.5 if one == two else 0.0
        for one, two in itertools.product(score[label], score[~label])
    ]
    assert scores["auc"] == pytest.approx(np.mean(pairs), abs=1e-9)
    recalls = [(score[label] > 0).mean(), (score[~label] <= 0).mean()]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(recalls), abs=1e-9)


def test_the_running_mean_estimates_the_balanced_accuracy() -> None:
    """At exactly the mix of 25 : 75 the mean per sample is the balanced accuracy itself."""
    label = torch.tensor([1] * 25 + [0] * 75)
    right = torch.tensor([1] * 20 + [0] * 5 + [1] * 45 + [0] * 30)
    score = torch.where((label == 1) == (right == 1), 1.0, -1.0)
    logits = torch.stack([torch.zeros(100), score + math.log(1 / 3)], dim=1)
    batch = {"label": label, "weight": torch.ones(100)}
    metrics = TASK.metrics({"logits": logits}, batch)
    assert float(metrics["balanced_accuracy"].mean()) == pytest.approx((20 / 25 + 45 / 75) / 2)


@pytest.mark.parametrize("answer", [-5.0, 5.0])
def test_always_the_same_answer_is_worth_half(answer: float) -> None:
    _, batch = logits_and_batch()
    logits = torch.tensor([[0.0, answer]]).repeat(len(batch["label"]), 1)
    metrics = TASK.metrics({"logits": logits}, batch)
    scores = TASK.scores({key: value.double().numpy() for key, value in metrics.items()})
    assert scores == {"balanced_accuracy": 0.5, "auc": 0.5}


def test_dropped_triplets_change_neither_loss_nor_scores() -> None:
    out, batch = logits_and_batch(100)
    weight = torch.ones(100)
    weight[60:] = 0
    dropped = {**batch, "weight": weight}
    kept = {key: value[:60] for key, value in batch.items()}
    first = {"logits": out["logits"][:60]}
    assert float(TASK.loss(out, dropped)) == pytest.approx(0.6 * float(TASK.loss(first, kept)))
    columns, fewer = (
        {key: value.double().numpy() for key, value in TASK.metrics(*pair).items()}
        for pair in ((out, dropped), (first, kept))
    )
    assert TASK.scores(columns) == TASK.scores(fewer)
    assert TASK.scores({key: value[:0] for key, value in columns.items()}) == {}


def test_the_loss_is_the_cross_entropy_in_closed_form() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    batch = {"label": torch.tensor([1, 1]), "weight": torch.ones(2)}
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert float(TASK.loss({"logits": logits}, batch)) == pytest.approx(expected)
