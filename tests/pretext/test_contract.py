"""What every pretext task promises; walks the registry, so a new task is tested by being in it."""

import ast
import copy
import dataclasses
import inspect
import json
import pickle
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import avssl.pretext
from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_json, config_from_recipe, config_to_json
from avssl.errors import InputError
from avssl.pretext import RECIPES, REGISTRY, TASKS, recipes_at
from avssl.records import Clip, Plan
from avssl.run.command import parse
from avssl.sample import sample_rng
from avssl.task import Recipe, Task

Fetch = Callable[[Catalog, Plan], list[Clip]]
NAMES = sorted(TASKS)
NAMED_RECIPES = [(name, recipe) for name in NAMES for recipe in RECIPES[name]]
TOGETHER: dict[str, list[dict[str, Any]]] = {
    "arrow-of-time": [{"as_clip": True, "fusion": "concat-mlp"}],
    "colorization": [{"prior": (1 / 313,) * 313}],
    "shuffle-and-learn": [{"tau_max_frames": 40, "tau_min_frames": 8}],
    "tracking-by-colorization": [
        {"num_colors": 3, "palette": ((-20.0, 4.5), (0.0, 0.0), (31.0, -7.25))}
    ],
}
"""Name → changes of knobs of which none can be changed alone, or whose values are no numbers."""


def small_task(name: str) -> Any:
    return RECIPES[name]["small"].task


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_is_whole(name: str) -> None:
    task_type = TASKS[name]
    assert task_type.name == name and task_type.summary and task_type.streams
    assert isinstance(task_type(), Task)
    assert {"small", "paper"} <= set(RECIPES[name])
    assert next(iter(RECIPES[name])) == "small"  # what `avssl train` takes by default
    assert len({type(recipe.task) for recipe in RECIPES[name].values()}) == 1


def test_both_tables_follow_the_registry_and_wrong_lines_are_told() -> None:
    assert list(REGISTRY) == list(TASKS) == list(RECIPES)
    for name, place, said in (
        ("rotation", "rotation", "'rotation': 'rotation': must be FILE:NAME"),
        ("rotation", "rotaton:RECIPES", "there is no avssl/pretext/rotaton.py"),
        ("rotation", "rotation:RECIPE", "rotation.py needs RECIPE, a dict with a recipe"),
        ("turning", "rotation:RECIPES", "recipe 'small' is of 'rotation', not of 'turning'"),
    ):
        with pytest.raises(ImportError, match=re.escape(said)):
            recipes_at(name, place)


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
def test_every_knob_goes_through_json_and_its_flag(name: str) -> None:
    """Each with another value than the recipe's, whatever its kind; and back again."""
    for recipe_name, recipe in RECIPES[name].items():
        config = config_from_recipe(name, recipe_name, data="/d", out="o")
        assert config.task == recipe.task
        assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config
    small = config_from_recipe(name, "small", data="/d", out="o")
    check_flags(name, small, "task.", TOGETHER.get(name, ()))


def test_every_setting_of_a_run_goes_through_json_and_its_flag() -> None:
    small = config_from_recipe("rotation", "small", data="/d", out="o")
    check_flags("rotation", small, "optim.")
    others = [{"data": "/e", "out": "p"}, {"recipe": "paper"}]  # the last as `--recipe` sets it
    check_flags("rotation", small, "", others, leave=("task", "optim"))


def check_flags(
    name: str,
    small: TrainConfig,
    prefix: str,
    together: Sequence[dict[str, Any]] = (),
    *,
    leave: Sequence[str] = (),
) -> None:
    """Gives every field of the configuration, or of a part of it, another value by its flag.

    And, to a recipe that has the other values, the small recipe's: what is on is switched off too.
    """
    seen, part = set(leave), getattr(small, prefix[:-1]) if prefix else small
    assert parse(name, "small", words_for(small, prefix, set())) == small
    for changed, fields in changes(part, together, leave):
        seen |= fields
        config = dataclasses.replace(small, **{prefix[:-1]: changed}) if prefix else changed
        found = parse(name, "small", words_for(config, prefix, fields))
        assert found == config and repr(found) == repr(config)
        assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config
        settings = dict(RECIPES[name]["small"].settings)
        if prefix != "task.":
            settings |= {prefix + one: getattr(changed, one) for one in fields - {"data", "out"}}
        with pytest.MonkeyPatch.context() as patch:
            other = Recipe(task=config.task, settings=settings, about="")
            patch.setitem(avssl.pretext.RECIPES, name, {"small": other, "paper": other})
            assert parse(name, "small", words_for(config, prefix, set())) == config
            assert parse(name, "small", words_for(small, prefix, fields)) == small
    assert seen == {field.name for field in dataclasses.fields(part)}


def words_for(config: TrainConfig, prefix: str, fields: set[str]) -> list[str]:
    """Writes data, out and the fields of a part as a person does at a terminal."""
    part = getattr(config, prefix[:-1]) if prefix else config
    values = {prefix + one: getattr(part, one) for one in fields}
    values |= {"data": config.data, "out": config.out}
    words = []
    for name, value in sorted(values.items()):
        before, dot, dashed = name.replace("_", "-").rpartition(".")
        words.append(f"--{before}{dot}{'no-' if value is False else ''}{dashed}")
        if not isinstance(value, bool):
            several = np.ravel(value).tolist() if isinstance(value, tuple) else [value]
            words += map(str, several)
    return words


def changes(
    task: Any, together: Sequence[dict[str, Any]], leave: Sequence[str]
) -> Iterator[tuple[Any, set[str]]]:
    """Gives a task again and again with as many knobs changed as it takes, each once."""
    left = [field.name for field in dataclasses.fields(task) if field.name not in leave]
    for given in together:
        left = [name for name in left if name not in given]
        yield dataclasses.replace(task, **given), set(given)
    while left:
        now, fields = task, set()
        for name in left:
            for value in values_like(task, name):
                try:
                    changed = dataclasses.replace(now, **{name: value})
                except InputError:
                    continue
                now, fields = changed, fields | {name}
                break
        assert fields, f"{left}: no other value was found; name them in TOGETHER"
        left = [name for name in left if name not in fields]
        yield now, fields


def values_like(task: Any, name: str) -> list[Any]:
    """Gives other values of a knob's kind; words that are allowed, from its type or its error."""
    value, hint = getattr(task, name), typing.get_type_hints(type(task))[name]
    found: list[Any] = []
    if typing.get_origin(hint) is typing.Literal:
        found = list(typing.get_args(hint))
    elif isinstance(value, bool):
        found = [not value]
    elif isinstance(value, int):
        found = [value + 1, 2 * value, value - 1, value // 2]
    elif isinstance(value, float):
        found = [value + 0.0625, value * 0.75, value * 1.5, value / 2]
    elif value == () and typing.get_args(hint)[0] is int:
        found = [(2, 5)]
    elif isinstance(value, tuple):
        found = [tuple(type(one)(one * by) for one in value) for by in (0.9375, 0.5)]
    elif isinstance(value, str):
        try:
            found = ["res2"]
            dataclasses.replace(task, **{name: "no-such-word"})
        except InputError as error:
            found = re.split(
                r", | or ", str(error).partition("must be ")[2].removeprefix("one of ")
            )
    return [one for one in found if one != value]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_pure_small_and_of_one_shape(
    name: str, catalog: Catalog, fetch: Fetch, make_example: Callable[..., Any]
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
    name: str,
    held_out: Catalog,
    fetch: Fetch,
    make_batch: Callable[..., Any],
    make_learner: Callable[..., Any],
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
def test_shortcuts_are_stated_measured_and_can_be_let_in(
    name: str, catalog: Catalog, fetch: Fetch, make_example: Callable[..., Any]
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
                assert numbers.ndim in (1, 2) and np.isfinite(numbers).all()
                if numbers.ndim == 2:  # several questions at once
                    assert len(np.ravel(shortcut.answer(plan, example))) == len(numbers)
                sizes.add(numbers.shape[-1])
            assert len(sizes) == 1 and sizes.pop() > 0
