"""Reconstruction: the answer, its figures by hand, and that a network learns to draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.reconstruction import Reconstruction
from avssl.task import Learner, widths_of


@pytest.fixture(scope="module")
def batch(catalog: Catalog, fetch: Callable) -> dict[str, torch.Tensor]:
    """Sixteen samples of the drawn clips."""
    task, rng = Reconstruction(), np.random.default_rng(3)
    shown = []
    for index in task.items(catalog)[:: len(task.items(catalog)) // 16][:16]:
        plan = task.sample(catalog, int(index), rng)
        shown.append(task.transform(fetch(catalog, plan), plan, rng).arrays["frames"])
    return {"frames": torch.from_numpy(np.stack(shown))}


def test_every_half_second_is_one_item(catalog: Catalog) -> None:
    rows = Reconstruction(spacing_s=0.5).items(catalog)
    assert np.bincount(rows).tolist() == [12] * 6  # six clips of 6 s


def test_the_answer_is_the_mean_of_blocks(batch: dict[str, torch.Tensor]) -> None:
    task = Reconstruction(answer_px=16)
    found = task.answer(batch).numpy()
    shown = batch["frames"].numpy().astype(float) / 255
    for b, c, y, x in ((0, 0, 0, 0), (3, 1, 7, 12), (15, 2, 15, 15)):
        block = shown[b, c, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        assert found[b, c, y, x] == pytest.approx(block.mean(), abs=1e-6)


def test_filling_with_the_mean_colour_explains_nothing(batch: dict[str, torch.Tensor]) -> None:
    task = Reconstruction()
    answer = task.answer(batch)
    filled = answer.mean(dim=(2, 3), keepdim=True).expand_as(answer)

    def scores(drawn: torch.Tensor) -> dict[str, float]:
        metrics = task.metrics({"picture": drawn}, batch)
        return task.scores({name: value.double().numpy() for name, value in metrics.items()})

    assert scores(filled)["explained"] == pytest.approx(0, abs=1e-5)
    off = scores(answer + 0.1)
    spread = np.mean([np.var(picture, axis=(1, 2)).mean() for picture in answer.numpy()])
    assert off["explained"] == pytest.approx(1 - 0.01 / spread, abs=1e-4)


@pytest.mark.parametrize("name", ["small", "small-bn"])
def test_a_network_learns_to_draw(name: str, batch: dict[str, torch.Tensor]) -> None:
    task = Reconstruction()
    encoders = {"vision": build_encoder(name, stream="vision", seed=0)}
    torch.manual_seed(0)
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
    assert learner.outputs(batch)["picture"].shape == (16, 3, 32, 32)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        task.loss(learner.outputs(batch), batch).backward()
        optimizer.step()
    learner.eval()
    columns = task.metrics(learner.outputs(batch), batch)
    found = task.scores({key: value.double().numpy() for key, value in columns.items()})
    assert found["explained"] > task.trivial(Catalog.from_rows([]))["explained"] + 0.3


def test_knobs_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"answer_px": 0},
        {"answer_px": 128},
        {"crop_scale": (0.5, 1.2)},
        {"spacing_s": 0.0},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError):
            Reconstruction(**wrong)
