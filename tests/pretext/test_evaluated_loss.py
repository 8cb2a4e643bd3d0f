"""Every task's evaluated loss is a mean over its samples, or it says that it compares them."""

from typing import Any

import pytest
import torch

from avssl.catalog import Catalog
from avssl.config import config_from_recipe
from avssl.data import Batches, BatchKey, Share
from avssl.pretext import TASKS
from avssl.run.train import build_learner

NUM = 4
CASES: dict[str, dict[str, Any]] = {name: {} for name in TASKS} | {
    "tracking, ranking": {"task.mode": "ranking"}
}
COMPARING = {"audio-visual-contrast", "frame-contrast", "tracking, ranking"}


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize("asked", CASES)
def test_a_loss_is_the_mean_of_its_samples_unless_it_compares_them(asked: str, data: str) -> None:
    config = config_from_recipe(
        asked.partition(",")[0], "small", data=data, out="o", batch_size=NUM, **CASES[asked]
    )
    catalog, task = Catalog.read(data), config.task
    if hasattr(task, "completed"):
        task = task.completed(catalog)
    batches = Batches(
        task=task, train=catalog.select(split="train"), seed=0, share=Share(batch_size=NUM),
        validation=catalog.select(split="validation"), num_evaluation_samples=NUM,
    )  # fmt: skip
    batch = batches[BatchKey(split="validation", number=0)]
    if "weight" in batch:  # what is drawn here has nothing to track
        batch["weight"] = torch.ones_like(batch["weight"])
    learner = build_learner(config).eval()
    learner.task = task

    def loss_of(rows: slice) -> float:
        part = {name: value[rows] for name, value in batch.items()}
        with torch.no_grad():
            return float(task.loss(learner.outputs(part), part))

    whole = loss_of(slice(None))
    each = [loss_of(slice(k, k + 1)) for k in range(NUM)]
    is_mean = whole == pytest.approx(sum(each) / NUM, rel=1e-4, abs=1e-6)
    assert getattr(task, "compares", False) == (asked in COMPARING) == (not is_mean)
