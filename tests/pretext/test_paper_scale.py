"""Twenty steps of each task's `paper` recipe at its resolution and with its network.

The batch is 2 instead of 128: it is the size of the pictures and of the network that is tried, and
what a step costs. Read the time with `pytest -m paper -s`.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.model import build_encoder
from avssl.pretext import RECIPES
from avssl.records import Clip, Plan
from avssl.task import Learner

BATCH_SIZE = 2


@pytest.mark.slow
@pytest.mark.paper
def test_shuffle_and_learn_at_the_papers_size(
    make_row: Callable[..., ClipRow], fetch: Callable[[Catalog, Plan], list[Clip]]
) -> None:
    recipe = RECIPES["shuffle-and-learn"]["paper"]
    task, rate = recipe.task, float(recipe.settings["optim.lr"])
    catalog = Catalog.from_rows(
        [make_row(number=k, num_frames=200, fps=25.0, width_px=340, height_px=256) for k in (0, 1)]
    )
    examples = []
    for k in range(BATCH_SIZE):
        plan = task.sample(catalog, k % 2, np.random.default_rng(k))
        examples.append(task.transform(fetch(catalog, plan), plan, np.random.default_rng(k)))
    batch = {
        key: torch.from_numpy(np.stack([example.arrays[key] for example in examples]))
        for key in examples[0].arrays
    }
    batch["label"] = torch.arange(BATCH_SIZE) % 2  # both classes, whatever was drawn
    encoder = build_encoder(recipe.settings["vision"], seed=0)
    assert batch["frames"].shape == (BATCH_SIZE, 3, 3, 227, 227) and encoder.width == 4096
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = Learner(task=task, encoders={"vision": encoder}, widths={"vision": 4096})
    optimiser = torch.optim.SGD(
        learner.parameters(),
        lr=rate,
        momentum=recipe.settings["optim.momentum"],
        weight_decay=recipe.settings["optim.weight_decay"],
    )
    losses, seconds, core_seconds = [], [], []
    for _ in range(20):
        start, core_start = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        step = learner(batch)
        step.loss.backward()
        optimiser.step()
        losses.append(float(step.loss.detach()))
        seconds.append(time.perf_counter() - start)
        core_seconds.append(time.process_time() - core_start)
    print(
        f"\nshuffle-and-learn, paper: {np.median(seconds):.2f} s and {np.median(core_seconds):.2f} "
        f"core-seconds a step of {BATCH_SIZE} triplets, loss {losses[0]:.3f} → {losses[-1]:.3f}"
    )
    assert abs(losses[0] - np.log(2)) < 0.5  # nothing known yet: the loss of a coin
    assert np.mean(losses[-3:]) < 0.5 * losses[0]
