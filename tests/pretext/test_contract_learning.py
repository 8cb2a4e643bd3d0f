"""Every small recipe, and every other form of a task, learns one fixed batch by heart; and nothing
is built that never has a gradient."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from avssl.catalog import Catalog


def test_one_fixed_batch_can_be_learned_by_heart(
    case: Any,
    catalog: Catalog,
    fetch: Callable[..., Any],
    make_batch: Callable[..., Any],
    make_learner: Callable[..., Any],
) -> None:
    """After which every weight has had a gradient, in the head and in the encoders.

    But for those of an encoder that lie behind the layer whose maps the task hands on.
    """
    task = dataclasses.replace(case.task, **case.by_heart)
    learner = make_learner(task, case.networks).train()
    batch = make_batch(task, catalog, fetch, num=case.num)
    optimiser = torch.optim.Adam(learner.parameters(), lr=2e-3)
    reached: set[str] = set()
    found: list[float] = []
    for _ in range(case.num_steps):
        optimiser.zero_grad()
        step = learner(batch)
        step.loss.backward()
        reached |= {
            key
            for key, weight in learner.named_parameters()
            if weight.grad is not None and bool(weight.grad.any())
        }
        optimiser.step()
        total, count = step.sums[case.watched].tolist()
        found.append(total / count)
        if found[-1] < case.share * found[0]:
            break
    assert found[-1] < case.share * found[0], found[:: max(1, len(found) // 12)]
    missing = {key for key, _ in learner.named_parameters()} - reached
    assert missing <= behind_what_is_handed_on(task, learner)
    assert any(key.startswith("head.") for key in reached)


def behind_what_is_handed_on(task: Any, learner: Any) -> set[str]:
    """Gives the weights of encoders on which the map named by `layer` does not depend.

    The graph of that map is asked, not the task.
    """
    found: set[str] = set()
    shown = {"vision": torch.rand(1, 3, 64, 64), "sound": torch.rand(1, 16_000)}
    for stream, knob in (("vision", "layer"), ("sound", "sound_layer")):
        name = getattr(task, knob, "")
        if name:
            encoder = learner.encoders[stream]
            encoder.zero_grad(set_to_none=True)
            encoder.features(shown[stream])[name].square().sum().backward()
            found |= {
                f"encoders.{stream}.{key}"
                for key, weight in encoder.named_parameters()
                if weight.grad is None
            }
    return found
