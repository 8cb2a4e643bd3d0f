"""Random labels of the tasks on order: the same pictures, and labels that say nothing of them."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.pretext import RECIPES

NUM_PLANS = 1500


@pytest.mark.parametrize("name", ["arrow-of-time", "odd-one-out", "clip-order", "frame-fill-in"])
def test_random_labels_leave_the_pictures_and_say_nothing(
    name: str, make_row: Callable[..., ClipRow]
) -> None:
    row = make_row(num_frames=150, step_s=1 / 25)
    catalog = Catalog.from_rows([row])
    told = RECIPES[name]["small"].task
    random = dataclasses.replace(told, random_labels=True)
    pairs = []
    for seed in range(NUM_PLANS):
        true, said = (
            task.sample(catalog, 0, np.random.default_rng(seed)) for task in (told, random)
        )
        assert true.spans == said.spans
        pairs.append((int(true.target["label"]), int(said.target["label"])))
    num_labels = max(label for label, _ in pairs) + 1
    table = np.zeros((num_labels, num_labels))
    np.add.at(table, tuple(np.array(pairs).T), 1)
    assert table.min() > 0
    # independent of the truth, and even
    assert stats.chi2_contingency(table).pvalue > 0.001
    assert stats.chisquare(table.sum(axis=0)).pvalue > 0.001
    # whereas the truth is not what is said
    assert np.trace(table) / NUM_PLANS == pytest.approx(1 / num_labels, abs=0.06)
