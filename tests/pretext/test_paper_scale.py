"""Twenty steps of each recipe of a paper's size, at its resolution and with its network.

The batch is 2 instead of the paper's: it is the size of the pictures and of the network that is
tried, and what a step costs. Read the times with `pytest -m paper -s`.

A fixed batch of 2 must be learned: no loss may end where it began. Tasks whose loss cannot fall so
far in 20 steps say so in SHARE.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.model import build_encoder
from avssl.pretext import RECIPES
from avssl.records import Clip, FrameSpan, Plan
from avssl.task import Learner, widths_of

BATCH_SIZE, NUM_STEPS = 2, 20
SQUARE_PX = 240
# Sound has its own file: tests/pretext/test_audio_visual.py.
CASES = sorted(
    (name, recipe)
    for name, own in RECIPES.items()
    for recipe, what in own.items()
    if what.task.streams == ("vision",) and not what.settings["vision"].startswith("small")
)
SHARE: dict[str, float] = {
    # bare products of first weights are nearly 0, so all places are pointed at for a while
    "tracking-by-colorization": 0.97,
}
"""Name → share of the first loss that may be left of it; 0.8 for the others."""


def fetch_moving(catalog: Catalog, plan: Plan) -> list[Clip]:
    """Gives clips of a rough square that slides to and fro over rough ground, 25 px a second.

    It can be followed, and its share of the picture is one that Wang and Gupta's rule lets in.
    """
    (span,) = plan.spans
    assert isinstance(span, FrameSpan)
    row, rng = catalog.row(span.row), np.random.default_rng(span.row)
    ground, square = (
        cv2.GaussianBlur(rng.integers(0, 256, size=(*size, 3)).astype(np.uint8), (0, 0), 1.5)
        for size in ((row.height_px, row.width_px), (SQUARE_PX, SQUARE_PX))
    )
    frames = []
    for time_s in span.times_s:
        left = 80 + round(abs((25 * time_s + 30) % 120 - 60))
        frame = ground.copy()
        frame[60 : 60 + SQUARE_PX, left : left + SQUARE_PX] = square
        frames.append(frame.transpose(2, 0, 1))
    return [Clip(frames=np.stack(frames), times_s=np.array(span.times_s))]


@pytest.mark.slow
@pytest.mark.paper
@pytest.mark.timeout(1800)  # clip networks: minutes
@pytest.mark.parametrize(("name", "recipe_name"), CASES)
def test_twenty_steps_at_the_papers_size(
    name: str,
    recipe_name: str,
    make_row: Callable[..., ClipRow],
    fetch: Callable[[Catalog, Plan], list[Clip]],
    from_memory: Any,
) -> None:
    """As in a run, the task is first completed with what the data set knows, such as colours."""
    recipe = RECIPES[name][recipe_name]
    task, settings = recipe.task, recipe.settings
    catalog = Catalog.from_rows(
        [make_row(number=k, num_frames=200, fps=25.0, width_px=460, height_px=360) for k in (0, 1)]
    )
    if hasattr(task, "completed"):
        with from_memory():
            task = task.completed(catalog)
        assert task != recipe.task, "nothing was filled in"
    examples = []
    for k in range(BATCH_SIZE):
        plan = task.sample(catalog, k % 2, np.random.default_rng(k))
        clips = fetch_moving(catalog, plan) if name == "tracking" else fetch(catalog, plan)
        examples.append(task.transform(clips, plan, np.random.default_rng(k)))
    batch = {
        key: torch.from_numpy(np.stack([example.arrays[key] for example in examples]))
        for key in examples[0].arrays
    }
    if "weight" in batch:
        assert (batch["weight"] > 0).all(), "what is left out teaches nothing"
    encoder = build_encoder(settings["vision"], seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoders = {"vision": encoder}
        learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
        for layer in learner.modules():  # its noise would hide what so few steps learn
            if isinstance(layer, torch.nn.Dropout):
                layer.eval()
        # Adam whatever the paper took: its own rate belongs to its own batch.
        optimiser = torch.optim.Adam(learner.parameters(), lr=1e-4)
        losses, seconds, core_seconds = [], [], []
        for _ in range(NUM_STEPS):
            start, core_start = time.perf_counter(), time.process_time()
            optimiser.zero_grad()
            step = learner(batch)
            step.loss.backward()
            optimiser.step()
            losses.append(float(step.loss.detach()))
            seconds.append(time.perf_counter() - start)
            core_seconds.append(time.process_time() - core_start)
    shapes = ", ".join(f"{key} {list(value.shape)}" for key, value in batch.items())
    print(
        f"\n{name}, {recipe_name}, {settings['vision']}, {shapes}: {np.median(seconds):.2f} s and "
        f"{np.median(core_seconds):.2f} core-seconds a step, "
        f"loss {losses[0]:.3f} → {losses[-1]:.3f}"
    )
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-3:]) < SHARE.get(name, 0.8) * losses[0]
