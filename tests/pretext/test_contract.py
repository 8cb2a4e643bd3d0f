"""What every pretext task promises; walks the registry, so a new task is tested by being in it."""

import ast
import copy
import dataclasses
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from avssl.catalog import Catalog
from avssl.config import config_from_json, config_from_recipe, config_to_json
from avssl.model import build_encoder
from avssl.pretext import RECIPES, TASKS
from avssl.records import Clip, Example, Plan
from avssl.run.command import parse
from avssl.sample import sample_rng
from avssl.task import Learner, Recipe, Task, widths_of

Fetch = Callable[[Catalog, Plan], list[Clip]]
NAMES = sorted(TASKS)
NAMED_RECIPES = [(name, recipe) for name in NAMES for recipe in RECIPES[name]]
BATCH_SIZE = 16
BY_HEART = {"masked-autoencoding": 0.45}
"""Name → share of the first loss that may be left of a batch learned by heart; 0.1 for the others.

A ViT that draws 48 of 64 patches first learns what all patches have in common and stays there for a
hundred steps and more: its own tests have a smaller batch, learned further."""

NUM_PLANS = 3000
ANSWERS = ("label", "asked")
"""What a plan may call its answer; the first that it has."""
SHARES = {"shuffle-and-learn": (0.75, 0.25)}
"""Name → shares of the answers that its recipe asks for; even ones for the others."""


def small_task(name: str) -> Any:
    return RECIPES[name]["small"].task


def make_example(
    task: Task, catalog: Catalog, fetch: Fetch, *, seed: int, position: int
) -> tuple[Plan, Example]:
    items = task.items(catalog)
    plan_rng, transform_rng = sample_rng(seed, 0, position).spawn(2)
    plan = task.sample(catalog, int(items[position % len(items)]), plan_rng)
    return plan, task.transform(fetch(catalog, plan), plan, transform_rng)


def make_batch(
    task: Task, catalog: Catalog, fetch: Fetch, *, num: int = BATCH_SIZE, seed: int = 0
) -> dict[str, torch.Tensor]:
    examples = [
        make_example(task, catalog, fetch, seed=seed, position=position)[1].arrays
        for position in range(num)
    ]
    return {
        key: torch.from_numpy(np.stack([arrays[key] for arrays in examples])) for key in examples[0]
    }


def make_learner(task: Task, *, seed: int = 0) -> Learner:
    """With the small recipe's networks, but GroupNorm where they have BatchNorm."""
    settings = RECIPES[task.name]["small"].settings
    names = {stream: settings.get(stream, "small").removesuffix("-bn") for stream in task.streams}
    encoders = {
        stream: build_encoder(name, stream=stream, seed=seed) for stream, name in names.items()
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Learner(task=task, encoders=encoders, widths=widths_of(encoders))


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_is_whole(name: str) -> None:
    task_type = TASKS[name]
    assert task_type.name == name and task_type.summary and task_type.streams
    assert isinstance(task_type(), Task)
    assert {"small", "paper"} <= set(RECIPES[name])
    assert next(iter(RECIPES[name])) == "small"  # what `avssl train` takes by default


@pytest.mark.parametrize(("name", "recipe_name"), NAMED_RECIPES)
def test_recipes_fit_the_configuration(name: str, recipe_name: str) -> None:
    recipe = RECIPES[name][recipe_name]
    assert isinstance(recipe, Recipe) and isinstance(recipe.task, TASKS[name]) and recipe.about
    assert ".md §" not in recipe.about, "who reads help has no notes: author and year"
    from avssl.config import TrainConfig

    for dotted, value in recipe.settings.items():
        part: Any = TrainConfig(task=recipe.task, data="d", out="o")
        for field in dotted.split("."):
            assert hasattr(part, field), f"{dotted}: no such field"
            part = getattr(part, field)
        if not (isinstance(value, str) or isinstance(part, tuple)):
            assert type(value) is type(part), dotted


@pytest.mark.parametrize("name", NAMES)
def test_every_knob_has_a_default_and_a_string_under_it(name: str) -> None:
    task_type = TASKS[name]
    parameters = task_type.__dataclass_params__
    assert parameters.frozen
    body: list[ast.stmt] = []
    for part in task_type.__mro__:  # knobs that several tasks share stand in a class above them
        if dataclasses.is_dataclass(part):
            tree = ast.parse(inspect.getsource(part)).body[0]
            assert isinstance(tree, ast.ClassDef)
            body += tree.body
    for field in dataclasses.fields(task_type):
        assert field.kw_only and field.default is not dataclasses.MISSING, field.name
        place = next(
            index
            for index, node in enumerate(body)
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == field.name
        )
        below = body[place + 1]
        assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant), field.name
        assert "papers.md" not in str(below.value.value), "who reads help has no such file"


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_a_value(name: str) -> None:
    task = small_task(name)
    assert pickle.loads(pickle.dumps(task)) == task
    assert hash(task) == hash(copy.deepcopy(task))


@pytest.mark.parametrize(("name", "recipe_name"), NAMED_RECIPES)
def test_plans_are_pure_and_name_their_row(name: str, recipe_name: str, catalog: Catalog) -> None:
    task = RECIPES[name][recipe_name].task
    items = task.items(catalog)
    assert items.dtype == np.int64 and len(items) and set(items) <= set(range(len(catalog)))
    again = Catalog.from_rows(catalog.rows())
    for position in range(60):
        index = int(items[position % len(items)])
        plan = task.sample(catalog, index, sample_rng(7, 0, position))
        assert plan == task.sample(again, index, sample_rng(7, 0, position))
        assert plan.spans[0].row == index
        for span in plan.spans:
            for time_s in getattr(span, "times_s", ()):
                row = catalog.row(span.row)
                assert row.start_s <= time_s < row.end_s


@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_plans_are_the_same_in_any_order_and_balanced(
    name: str, held_out: Catalog
) -> None:
    """Rows in proportion to their length, answers evenly (or in `SHARES`), whatever the row and the
    time that is shown; nothing is decoded."""
    task, again = small_task(name), Catalog.from_rows(held_out.rows())
    items = task.items(held_out)

    def plan(catalog: Catalog, position: int) -> Plan:
        index = int(items[position % len(items)])
        return task.sample(catalog, index, sample_rng(11, 0, position))

    plans = [plan(held_out, position) for position in range(NUM_PLANS)]
    backwards = [plan(again, position) for position in reversed(range(NUM_PLANS))]
    assert plans == backwards[::-1]
    lengths = [held_out.row(index).duration_s for index in range(len(held_out))]
    shares = np.bincount(items, minlength=len(held_out)) / len(items)
    assert np.allclose(shares, np.array(lengths) / sum(lengths), atol=0.5 / len(held_out))
    for key in [key for key in ANSWERS if key in plans[0].target][:1]:
        label = np.array([one.target[key] for one in plans])
        values, counts = np.unique(label, return_counts=True)
        expected = np.array(SHARES.get(name, [1 / len(values)] * len(values)))
        spread = np.sqrt(NUM_PLANS * expected * (1 - expected))
        assert len(values) > 1 and (abs(counts - NUM_PLANS * expected) < 4.5 * spread).all(), key
        row = np.array([one.spans[0].row for one in plans])
        assert _are_independent(label, row), (key, "row")
        time_s = np.array([_time_of(one) for one in plans])
        third = np.searchsorted(np.quantile(time_s, [1 / 3, 2 / 3]), time_s)
        assert _are_independent(label, third), (key, "time")


def _time_of(plan: Plan) -> float:
    span = plan.spans[0]
    return float(np.mean(getattr(span, "times_s", 0.0)))


def _are_independent(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a χ² test of the table of both finds nothing (one in a hundred thousand)."""
    table = np.zeros((len(set(one.tolist())), len(set(other.tolist()))))
    np.add.at(
        table, (np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]), 1
    )
    found: Any = chi2_contingency(table)
    return bool(found.pvalue > 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_configuration_goes_through_json_and_the_command_line(name: str) -> None:
    """Of every recipe and with every knob set by its flag to what it is."""
    for recipe_name, recipe in RECIPES[name].items():
        config = config_from_recipe(name, recipe_name, data="/d", out="o")
        assert config.task == recipe.task
        assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config
    words = ["--data", "/d", "--out", "o"]
    small = config_from_recipe(name, "small", data="/d", out="o")
    assert parse(name, "small", words) == small
    flags = [
        f"--task.{field.name.replace('_', '-')}={getattr(small.task, field.name)}"
        for field in dataclasses.fields(small.task)
        if type(getattr(small.task, field.name)) in (int, float)
    ]
    assert parse(name, "small", [*words, *flags]) == small
    assert flags or not dataclasses.fields(small.task)


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_pure_small_and_of_one_shape(
    name: str, catalog: Catalog, fetch: Fetch
) -> None:
    task = small_task(name)
    first = make_example(task, catalog, fetch, seed=3, position=0)[1].arrays
    for position in range(12):
        arrays = make_example(task, catalog, fetch, seed=3, position=position)[1].arrays
        again = make_example(task, catalog, fetch, seed=3, position=position)[1].arrays
        for key, array in arrays.items():
            assert np.array_equal(array, again[key])
            assert array.shape == first[key].shape and array.dtype == first[key].dtype
            small = array.size < 4096 or key == "sound"
            assert array.dtype == np.uint8 or small, f"{key}: pictures stay uint8"


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_per_sample_and_scores_are_those_of_the_blind_guess(
    name: str, held_out: Catalog, fetch: Fetch
) -> None:
    task = small_task(name)
    learner = make_learner(task).eval()
    batch = make_batch(task, held_out, fetch, num=64)
    with torch.no_grad():
        out = learner.outputs(batch)
        metrics = task.metrics(out, batch)
        assert all(value.shape == (64,) for value in metrics.values())
        assert task.loss(out, batch).shape == ()
    scores = task.scores({key: value.double().numpy() for key, value in metrics.items()})
    assert set(scores) == set(task.trivial(held_out))
    assert all(np.isfinite(value) for value in scores.values())


@pytest.mark.parametrize("name", NAMES)
def test_one_fixed_batch_can_be_learned_by_heart(name: str, catalog: Catalog, fetch: Fetch) -> None:
    """After which every weight has had a gradient: nothing is built that is never used.

    Where a task hands an earlier layer on, what comes after it is not used.
    """
    task, share = small_task(name), BY_HEART.get(name, 0.1)
    learner = make_learner(task).train()
    batch = make_batch(task, catalog, fetch)
    optimiser = torch.optim.Adam(learner.parameters(), lr=2e-3)
    reached: set[str] = set()
    losses = []
    for _ in range(120):
        optimiser.zero_grad()
        step = learner(batch)
        step.loss.backward()
        reached |= {
            key
            for key, weight in learner.named_parameters()
            if weight.grad is not None and bool(weight.grad.any())
        }
        optimiser.step()
        losses.append(float(step.loss.detach()))
        if losses[-1] < share * losses[0]:
            break
    assert losses[-1] < share * losses[0], losses
    hands_on = getattr(task, "layer", "") or getattr(task, "sound_layer", "")
    used = {
        key for key, weight in learner.named_parameters() if weight.grad is not None or not hands_on
    }
    assert used == reached and any("head" in key for key in used)


@pytest.mark.parametrize("name", NAMES)
def test_shortcuts_are_stated_measured_and_can_be_let_in(
    name: str, catalog: Catalog, fetch: Fetch
) -> None:
    task = small_task(name)
    assert task.shortcuts
    fields = {field.name for field in dataclasses.fields(task)}
    for shortcut in task.shortcuts:
        assert shortcut.name and shortcut.leak and shortcut.guard
        assert shortcut.off and set(shortcut.off) <= fields
        for variant in (task, dataclasses.replace(task, **shortcut.off)):
            sizes = set()
            for position in range(4):
                plan, example = make_example(variant, catalog, fetch, seed=1, position=position)
                numbers = shortcut.probe(plan, example)
                assert numbers.ndim == 1 and np.isfinite(numbers).all()
                sizes.add(len(numbers))
            assert len(sizes) == 1 and sizes.pop() > 0
